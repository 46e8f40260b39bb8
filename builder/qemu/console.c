/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/console.h"

#include <errno.h>
#include <poll.h>

#include "base/file.h"
#include "base/log.h"
#include "base/terminal.h"

enum { LINE_LIMIT = 16 * 1024, CHUNK = 16 * 1024 };

/* What a boot does not come back from: kernel, systemd, initramfs-tools, and the initramfs of the test base. */
static const char *const broken[] = {
	"Kernel panic - not syncing",
	"You are in emergency mode",
	"You are in rescue mode",
	"Give root password for",
	"Cannot open access to console, the root account is locked",
	"(initramfs) ",
	"initramfs: no ",
};

/* ---- escape sequences: ESC [ ... final byte; ESC ] ... BEL or ESC \; ESC and one more ---- */

enum escape { PLAIN, AFTER_ESC, IN_CSI, IN_OSC, IN_OSC_ESC };

/* True when C is text, not part of a sequence. */
static bool is_text(struct console *c, unsigned char ch)
{
	switch ((enum escape)c->escape) {
	case PLAIN:
		if (ch == 0x1b)
			c->escape = AFTER_ESC;
		return ch != 0x1b;
	case AFTER_ESC:
		c->escape = ch == '[' ? IN_CSI : ch == ']' ? IN_OSC : PLAIN;
		break;
	case IN_CSI:
		if (ch >= 0x40 || ch < 0x20)
			c->escape = PLAIN;
		return ch == '\n';
	case IN_OSC:
		if (ch == 0x07 || ch == '\n')
			c->escape = PLAIN;
		else if (ch == 0x1b)
			c->escape = IN_OSC_ESC;
		return ch == '\n';
	case IN_OSC_ESC:
		c->escape = PLAIN;
		break;
	}
	return false;
}

/* ---- lines ---- */

/* "STEP: CAUSE -> CURE" and the like: what follows the last of the report's marks that stand at its beginning. */
static const char *report_words(const char *line)
{
	static const char mark[] = "pibuild: ";
	const char *s = strstr(line, mark);

	while (s && starts_with(s, mark))
		s += strlen(mark);
	return s;
}

static void console_decide(struct console *c, enum verdict v, const char *words)
{
	if (c->verdict != VERDICT_NONE)
		return;
	c->verdict = v;
	c->words = arena_strdup(words);
}

/* The kernel repeats what it was told on its command line; that is no news. */
static bool is_echo(const char *line)
{
	return strstr(line, "Kernel command line: ") != NULL;
}

static void judge_report(struct console *c, const char *line)
{
	static const char ready[] = "READY: ", failed[] = "FAILED: ";
	const char *words = is_echo(line) ? NULL : report_words(line);

	if (!words)
		return;
	if (starts_with(words, ready)) {
		if (c->until_ready)
			console_decide(c, VERDICT_HOLDS, words + strlen(ready));
	} else if (starts_with(words, failed)) {
		if (c->until_ready)
			console_decide(c, VERDICT_FAILED, words + strlen(failed));
	} else {
		free(c->last_step);
		c->last_step = xstrdup(words);
	}
	if (!c->show)
		log_info("%s%s%s", str_or(c->name, ""), c->name ? ": " : "", words);
}

/* A prompt has no end of line: what waits for one is held against unfinished lines too. */
static void judge_text(struct console *c, const char *line)
{
	if (is_echo(line))
		return;
	if (c->until && regexec(c->until, line, 0, NULL, 0) == 0)
		console_decide(c, VERDICT_HOLDS, line);
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		if (strstr(line, broken[i]))
			console_decide(c, VERDICT_BROKEN, line);
}

static void show_rest(struct console *c)
{
	if (c->show)
		fwrite(c->line.s + c->shown, 1, c->line.n - c->shown, stdout);
	c->shown = c->line.n;
}

static void end_line(struct console *c)
{
	char **kept = &c->tail[c->tail_n++ % CONSOLE_TAIL];

	strbuf_adds(&c->line, "");
	show_rest(c);
	if (c->show)
		putchar('\n');
	judge_report(c, c->line.s);
	judge_text(c, c->line.s);
	free(*kept);
	*kept = xstrdup(c->line.s);
	c->line.n = c->shown = 0;
}

static void take_byte(struct console *c, unsigned char ch)
{
	if (!is_text(c, ch) || ch == '\r')
		return;
	if (ch == '\n' || c->line.n >= LINE_LIMIT)
		end_line(c);
	if (ch == '\n')
		return;
	if (ch < 0x20 || ch == 0x7f)
		ch = ch == '\t' ? ' ' : '?';
	/* The second byte of a C1 control. */
	if (ch >= 0x80 && ch < 0xa0 && c->line.n && (unsigned char)c->line.s[c->line.n - 1] == 0xc2)
		ch = '?';
	strbuf_add(&c->line, &ch, 1);
}

static int take(struct console *c, const char *data, size_t n, struct err *e)
{
	int r = c->log >= 0 ? write_all(c->log, data, n) : 0;

	if (r < 0)
		return err_errno(e, r, "cannot write the console's log");
	for (size_t i = 0; i < n; i++)
		take_byte(c, (unsigned char)data[i]);
	strbuf_adds(&c->line, "");
	judge_text(c, c->line.s);
	show_rest(c);
	return c->show ? stdout_flush(e) : 0;
}

int console_read(struct console *c, int timeout_ms, struct err *e)
{
	struct pollfd p = { c->fd, POLLIN, 0 };
	char buf[CHUNK];
	ssize_t n;

	if (poll(&p, 1, timeout_ms) <= 0 || c->fd < 0)
		return 0;
	n = read(c->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		closep(&c->fd);
		return 0;
	}
	return take(c, buf, (size_t)n, e);
}

void console_print_tail(const struct console *c)
{
	for (unsigned i = c->tail_n > CONSOLE_TAIL ? c->tail_n - CONSOLE_TAIL : 0; i < c->tail_n; i++)
		fprintf(stderr, "  %s\n", c->tail[i % CONSOLE_TAIL]);
	if (c->line.n)
		fprintf(stderr, "  %.*s\n", (int)c->line.n, c->line.s);
}

void console_done(struct console *c)
{
	closep(&c->fd);
	closep(&c->log);
	strbuf_done(&c->line);
	free(c->last_step);
	c->last_step = NULL;
	for (size_t i = 0; i < CONSOLE_TAIL; i++)
		free(c->tail[i]);
	memset(c->tail, 0, sizeof(c->tail));
}
