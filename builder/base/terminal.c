/* SPDX-License-Identifier: Apache-2.0 */
#include "base/terminal.h"

#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { NARROWEST = 30 };

static bool terminal_is_smart(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && *term && !streq(term, "dumb");
}

unsigned terminal_columns(void)
{
	struct winsize w;

	if (!terminal_is_smart() || ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_col)
		return 0;
	return MAX(w.ws_col, NARROWEST);
}

void terminal_ink(struct strbuf *out, enum ink ink, const char *text)
{
	static const char *const codes[INK_COUNT] = { "1;31", "1;35", "1;36", "1;32" };
	bool on = terminal_is_smart() && !*str_or(getenv("NO_COLOR"), "");

	if (on)
		strbuf_addf(out, "\033[%sm%s\033[m", codes[ink], text);
	else
		strbuf_adds(out, text);
}

int stdout_flush(struct err *e)
{
	struct pollfd out = { .fd = STDOUT_FILENO };
	int r = fflush(stdout) == EOF ? -errno : 0;

	if (r == 0 && ferror(stdout))
		r = poll(&out, 1, 0) == 1 && out.revents & POLLERR ? -EPIPE : -EIO;
	return r < 0 ? err_errno(e, r, "cannot write to stdout") : 0;
}

int stdout_print(const void *data, size_t n, struct err *e)
{
	fwrite(data, 1, n, stdout);
	return stdout_flush(e);
}

/* ---- text ---- */

static bool is_in(uint32_t c, const uint32_t (*ranges)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

unsigned text_columns(const char **s)
{
	/* The blocks that matter in a comment or a name; wcwidth() knows none of them in the C locale. */
	static const uint32_t wide[][2] = { { 0x1100, 0x115f }, { 0x2e80, 0xa4cf },   { 0xac00, 0xd7a3 },
					    { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
					    { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd } };
	static const uint32_t none[][2] = { { 0x300, 0x36f }, { 0x200b, 0x200f }, { 0xfe00, 0xfe0f } };
	uint32_t c = next_character(s);

	return is_in(c, wide, ARRAY_SIZE(wide)) ? 2 : is_in(c, none, ARRAY_SIZE(none)) ? 0 : 1;
}

static unsigned columns_of(const char *s, size_t n)
{
	const char *end = s + n;
	unsigned columns = 0;

	while (s < end)
		columns += text_columns(&s);
	return columns;
}

/* Bytes up to where a line may be broken. */
static size_t word_length(const char *s, unsigned most)
{
	const char *close = *s == '`' ? strchr(s + 1, '`') : NULL;
	size_t n = strcspn(s, " \n");

	if (!close)
		return n;
	n = (size_t)(close - s) + strcspn(close, " \n");
	return columns_of(s, n) <= most ? n : strcspn(s, " \n");
}

void text_wrap(struct strbuf *out, const char *text, unsigned columns, unsigned first, unsigned indent)
{
	unsigned at = first, room = columns > indent ? columns - indent : 0;

	while (columns && *text) {
		size_t blanks = strspn(text, " "), n = word_length(text + blanks, room);
		unsigned width = columns_of(text + blanks, n);

		if (blanks && n && at > indent && at + blanks + width > columns) {
			strbuf_addf(out, "\n%*s", (int)indent, "");
			strbuf_add(out, text + blanks, n);
			at = indent + width;
		} else {
			strbuf_add(out, text, blanks + n);
			at += (unsigned)blanks + width;
		}
		text += blanks + n;
		if (*text == '\n') {
			strbuf_adds(out, "\n");
			at = 0;
			text++;
		}
	}
	strbuf_adds(out, text);
}
