/* SPDX-License-Identifier: Apache-2.0 */
/* What rows would read, as JSON. */
#include "schema/schema.h"

static json_t *write_list(const struct field *f, const void *at)
{
	const struct {
		const char *v;
		size_t n, cap;
	} *list = at;
	json_t *all = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(all, schema_write(f->sub, list->v + i * f->size));
	return all;
}

static json_t *write_value(const struct field *f, const void *src)
{
	const void *at = (const char *)src + f->offset;
	const struct kind *k = f->kind;
	unsigned v;

	if (k == &kind_map)
		return schema_write(f->sub, at);
	if (k == &kind_list)
		return write_list(f, at);
	if (k == &kind_constant)
		return json_string(f->names[0]);
	if (k == &kind_choice) {
		memcpy(&v, at, sizeof(v)); /* any enum of ours */
		return json_string(f->names[v]);
	}
	if (k == &kind_bool)
		return json_boolean(*(const bool *)at);
	if (k == &kind_unsigned)
		return json_integer(*(const unsigned *)at);
	if (k == &kind_number)
		return json_integer((json_int_t) * (const uint64_t *)at);
	if (k == &kind_time || k == &kind_time_or_none)
		return json_string(*(const int64_t *)at ? utc_text(*(const int64_t *)at) : "");
	return json_text(str_or(*(const char *const *)at, ""));
}

json_t *schema_write(const struct field *table, const void *src)
{
	json_t *all = json_object();

	for (const struct field *f = table; f->key; f++)
		json_object_set_new(all, f->key, write_value(f, src));
	return all;
}
