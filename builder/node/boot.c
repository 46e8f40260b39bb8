/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware reads: words of cmdline.txt and a block of config.txt. Both are edits: the root's PARTUUID,
 * ` resize` and all else of the base stay. cmdline.txt is one line; a second one is ignored by the firmware.
 */
#include "node/node.h"

static const char origin[] = "generated: boot";
static const char block_begin[] = "# pibuild: begin", block_end[] = "# pibuild: end";

struct words {
	VEC(const char *) v;
};

static bool has_word(const char *line, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n; i++)
		if (!memcmp(line + i, word, len) && (i == 0 || line[i - 1] == ' ') &&
		    (i + len == n || line[i + len] == ' '))
			return true;
	return false;
}

static int edit_cmdline(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	const struct words *w = arg;
	size_t len = old ? strcspn(old, "\r\n") : 0;

	while (len && old[len - 1] == ' ')
		len--;
	strbuf_add(out, old ? old : "", len);
	vec_foreach (word, &w->v)
		if (!has_word(out->s, out->n, *word))
			strbuf_addf(out, "%s%s", out->n ? " " : "", *word);
	strbuf_adds(out, "\n");
	return 0;
}

static int edit_config(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	const struct board *b = arg;
	const char *begin = old ? strstr(old, block_begin) : NULL, *end = begin ? strstr(begin, block_end) : NULL;

	if (end) {
		strbuf_add(out, old, (size_t)(begin - old));
		end += strcspn(end, "\n");
		strbuf_adds(out, *end ? end + 1 : end);
	} else {
		strbuf_add(out, old ? old : "", n);
	}
	if (out->n && out->s[out->n - 1] != '\n')
		strbuf_adds(out, "\n");
	if (!b->config_lines.n)
		return 0;
	strbuf_addf(out, "%s\n", block_begin);
	vec_foreach (line, &b->config_lines)
		strbuf_addf(out, "%s\n", *line);
	strbuf_addf(out, "[all]\n%s\n", block_end);
	return 0;
}

/* Debian's raspi-firmware writes cmdline.txt and config.txt anew with every kernel; these are what it adds to them. */
static void add_raspi_firmware(const struct board *b, const struct words *w, struct tree *t)
{
	_cleanup_strbuf_ struct strbuf line = { 0 }, config = { 0 };

	vec_foreach (word, &w->v)
		strbuf_addf(&line, "%s%s", line.n ? " " : "", *word);
	strbuf_adds(&line, "\n");
	tree_add_text(t, "/etc/default/raspi-extra-cmdline", 0644, origin, line.s);
	if (!b->config_lines.n)
		return;
	vec_foreach (l, &b->config_lines)
		strbuf_addf(&config, "%s\n", *l);
	strbuf_adds(&config, "[all]\n");
	tree_add_text(t, "/etc/default/raspi-firmware-custom", 0644, origin, config.s);
}

int node_add_boot(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct words *w = arena_new(struct words);
	_cleanup_strbuf_ struct strbuf what = { 0 };

	struct entry *cmdline;

	vec_foreach (word, &x->board->cmdline)
		*vec_push(&w->v) = *word;
	if (node_uses_wifi(x) && x->config->network.wifi.country)
		*vec_push(&w->v) = arena_printf("cfg80211.ieee80211_regdom=%s", x->config->network.wifi.country);
	vec_foreach (word, &w->v)
		strbuf_addf(&what, "%s%s", what.n ? " " : "adds ", *word);
	cmdline = tree_add_edit(t, BOOT_DIR "/cmdline.txt", 0755, origin, edit_cmdline, w,
				what.n ? what.s : "unchanged");
	/* The same words for every node: once in their layer is cheaper than on every image. Wi-Fi has a word of its
	 * own, for some nodes only, and a role has one layer. */
	if (!x->config->network.wifi.country)
		cmdline->layer = LAYER_ROLE;
	if (x->board->config_lines.n)
		tree_add_edit(t, BOOT_DIR "/config.txt", 0755, origin, edit_config, x->board,
			      arena_printf("block for %s", x->board->name));
	if (streq(x->config->os.base, "debian"))
		add_raspi_firmware(x->board, w, t);
	return 0;
}
