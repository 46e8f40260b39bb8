/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <errno.h>
#include <stdio.h>

#include "base/terminal.h"
#include "base/util.h"

static int base_json_print(json_t *value, size_t flags, struct err *e)
{
	int dumped = json_dumpf(value, stdout, flags), r;

	json_decref(value);
	fputc('\n', stdout);
	r = stdout_flush(e);
	return r < 0 || dumped == 0 ? r : err_set(e, -EIO, "cannot print what is to be printed as JSON");
}

int json_add(json_t *value, struct strbuf *out, struct err *e)
{
	_cleanup_free_ char *text = value ? json_dumps(value, JSON_INDENT(1)) : NULL;

	json_decref(value);
	if (!text)
		return err_set(e, -ENOMEM, "cannot write JSON");
	strbuf_addf(out, "%s\n", text);
	return 0;
}

const char *json_get_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

const char *json_clean_or(const json_t *object, const char *key, const char *fallback)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? clean_copy(s) : fallback;
}

const char *json_clean(const json_t *object, const char *key)
{
	return json_clean_or(object, key, "?");
}

const json_t *json_named(const json_t *list, const char *name)
{
	const json_t *one;

	for (size_t i = 0; (one = json_array_get(list, i)); i++)
		if (streq(json_get_text(one, "name"), name))
			return one;
	return NULL;
}

json_t *json_text(const char *s)
{
	json_t *j = json_string(s);
	char *ascii;

	if (j)
		return j;
	ascii = arena_strdup(s);
	for (char *p = ascii; *p; p++)
		if (*p & 0x80)
			*p = '?';
	return json_string(ascii);
}

int json_print(json_t *value, struct err *e)
{
	return base_json_print(value, JSON_INDENT(2), e);
}

int json_print_line(json_t *value, struct err *e)
{
	return base_json_print(value, JSON_COMPACT, e);
}
