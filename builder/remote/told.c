/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/told.h"

/* Parts are begun by a character that no report and no manifest holds: JSON writes it as an escape. PIBUILD_ROOT is
 * that of the programs on the card (overlays/common/usr/lib/pibuild/lib.sh). */
#define PART "\036"
static const char script[] =
	"cd \"${PIBUILD_ROOT:-}/etc\" || exit 1\n"
	"printf '\\036report\\n'; pibuild-status --json 2>/dev/null\n"
	"printf '\\036k3s\\n'; k3s --version 2>/dev/null | sed -n 's/^k3s version \\([^ ]*\\).*/\\1/p'\n"
	"printf '\\036os\\n'; (. ./os-release && printf '%s\\n' \"$PRETTY_NAME\") 2>/dev/null\n"
	"printf '\\036kernel\\n'; uname -r\n"
	"printf '\\036manifest\\n'; cat pibuild/manifest.json 2>/dev/null\n"
	":";

static const struct told_part {
	const char *name;
	size_t at;
	bool line; /* a text for people, without its line's end */
} parts[] = {
	{ "report", offsetof(struct told, report), false },
	{ "k3s", offsetof(struct told, k3s), true },
	{ "os", offsetof(struct told, os), true },
	{ "kernel", offsetof(struct told, kernel), true },
	{ "manifest", offsetof(struct told, manifest), false },
};

static void told_clear(struct told *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		*(const char **)((char *)t + parts[i].at) = "";
	t->why = "";
}

/* NAME, a line's end, what was said. */
static void read_part(struct told *t, const char *text)
{
	const char *end = strchr(text, '\n');

	for (size_t i = 0; end && i < ARRAY_SIZE(parts); i++) {
		const struct told_part *p = &parts[i];
		size_t n = strlen(p->name);

		if (n == (size_t)(end - text) && !strncmp(text, p->name, n))
			*(const char **)((char *)t +
					 p->at) = p->line ? clean_text(arena_strndup(end + 1, strcspn(end + 1, "\n")))
							  : arena_strdup(end + 1);
	}
}

void told_read(struct told *t)
{
	_cleanup_free_ char *copy = xstrdup(str_or(t->heard.s, ""));

	text_foreach (part, copy, PART)
		read_part(t, part);
}

void told_ask(const struct remote *r, unsigned seconds, struct told *t)
{
	static const char *const argv[] = { "sh", "-c", script, NULL };
	struct err e = { 0 };

	told_clear(t);
	t->answered = remote_run(r, &(struct remote_call){ .argv = argv, .timeout = seconds, .output = &t->heard },
				 &e) == 0;
	if (t->answered)
		told_read(t);
	else
		t->why = arena_strdup(e.msg);
}

void told_done(struct told *t)
{
	strbuf_done(&t->heard);
	*t = (struct told){ 0 };
}
