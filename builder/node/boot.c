/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware reads: words of cmdline.txt and a block of config.txt. Both are edits: the root's PARTUUID,
 * ` resize` and all else of the base stay. cmdline.txt is one line; a second one is ignored by the firmware.
 */
#include "node/encode.h"
#include "node/node.h"

static const char origin[] = "generated: boot";
static const char block_begin[] = "# pibuild: begin", block_end[] = "# pibuild: end";

/* The firmware starts the watchdog before the kernel, which serves it this many seconds, so that a start that gets
 * stuck, on a disk that does not show up say, is tried again: config_txt/boot.adoc of raspberrypi/documentation. Long
 * enough for a check of the file system. The initramfs would stop it again but for a word (raspberrypi-sys-mods issue
 * 115). Only with kernels that have the driver built in: a module could come too late. */
static const char watchdog_line[] = "kernel_watchdog_timeout=300", watchdog_word[] = "watchdog_disarm=0";

static bool watches_start(const struct node_ctx *x)
{
	return x->config->os.watchdog && x->board->watchdog && starts_with(x->config->os.base, "raspios");
}

struct kernel_words {
	VEC(const char *) v;
	uint32_t disk_id; /* 0 = the base's */
};

/* pibuild's part of config.txt. */
struct block {
	VEC(const char *) lines;
};

/* TEXT with every PARTUUID of an MBR naming the disk ID; as it is when that is 0. */
static void add_with_disk_id(struct strbuf *out, const char *text, size_t n, uint32_t id)
{
	static const char key[] = "PARTUUID=";
	const char *end = text + n;

	while (text < end) {
		const char *at = id ? memmem(text, (size_t)(end - text), key, strlen(key)) : NULL;
		const char *value = at ? at + strlen(key) : end;

		strbuf_add(out, text, (size_t)(value - text));
		text = value;
		if (at && end - value > 8 && strspn(value, "0123456789abcdef") == 8 && value[8] == '-') {
			strbuf_addf(out, "%08x", id);
			text += 8;
		}
	}
}

static int edit_partuuids(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	if (!old)
		return 1;
	add_with_disk_id(out, old, n, *(const uint32_t *)arg);
	return 0;
}

/* Raspberry Pi OS gives each card an id of its own at its first boot (raspberrypi-sys-mods, set_partuuid of its
 * initramfs); Debian does not, and two cards in one machine would be mistaken for each other. What names the old id: */
static void add_disk_id(const struct node_ctx *x, struct tree *t)
{
	static const char *const files[] = { "/etc/fstab", "/etc/default/raspi-firmware" };
	const char *parts[] = { "disk", x->config->cluster.name, x->node->name };
	char uuid[UUID_TEXT];

	derive_uuid(uuid, parts, ARRAY_SIZE(parts));
	t->disk_id = MAX((uint32_t)strtoul(arena_strndup(uuid, 8), NULL, 16), 1);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		tree_add_edit(t, files[i], 0644, origin, edit_partuuids, &t->disk_id,
			      arena_printf("disk id %08x", t->disk_id));
}

static int edit_cmdline(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	const struct kernel_words *w = arg;
	size_t len = old ? strcspn(old, "\r\n") : 0;

	while (len && old[len - 1] == ' ')
		len--;
	if (old)
		add_with_disk_id(out, old, len, w->disk_id);
	vec_foreach (word, &w->v)
		if (!word_in(str_or(out->s, ""), *word, strlen(*word)))
			strbuf_item(out, " ", *word);
	strbuf_adds(out, "\n");
	return 0;
}

static int edit_config(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	const struct block *b = arg;
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
	if (!b->lines.n)
		return 0;
	strbuf_addf(out, "%s\n", block_begin);
	vec_foreach (line, &b->lines)
		strbuf_addf(out, "%s\n", *line);
	strbuf_addf(out, "%s\n", block_end);
	return 0;
}

/* The board's lines, which may open a section, then those of cluster.yaml below [all]. */
static const struct block *config_block(const struct node_ctx *x, const struct boot_config *boot)
{
	struct block *b = arena_new(struct block);

	vec_foreach (line, &x->board->config_lines)
		*vec_push(&b->lines) = *line;
	*vec_push(&b->lines) = "[all]";
	if (watches_start(x))
		*vec_push(&b->lines) = watchdog_line;
	vec_foreach (line, &boot->config)
		*vec_push(&b->lines) = *line;
	if (x->board->wifi && boot->wifi == STATE_OFF)
		*vec_push(&b->lines) = "dtoverlay=disable-wifi";
	if (x->board->wifi && boot->bluetooth == STATE_OFF)
		*vec_push(&b->lines) = "dtoverlay=disable-bt";
	if (b->lines.n == 1)
		b->lines.n = 0;
	return b;
}

/* The firmware passes over an overlay that it does not find, and tells nobody. */
static void need_overlays(const struct block *b, struct tree *t)
{
	vec_foreach (line, &b->lines) {
		const char *name = boot_line_overlay(*line);

		if (name)
			tree_need(
				t, arena_printf(BOOT_DIR "/overlays/%s.dtbo", name), NULL,
				arena_printf(
					"boot.config: the base has no overlay %s (there is no overlays/%s.dtbo on its boot partition), so the firmware would pass over %s",
					name, name, *line))
				->suffix = ".dtbo";
	}
}

/* Debian's raspi-firmware writes cmdline.txt and config.txt anew with every kernel; these are what it adds to them. */
static void add_raspi_firmware(const struct block *b, const struct kernel_words *w, struct tree *t)
{
	_cleanup_strbuf_ struct strbuf line = { 0 }, config = { 0 };

	vec_foreach (word, &w->v)
		strbuf_item(&line, " ", *word);
	strbuf_adds(&line, "\n");
	tree_add_text(t, "/etc/default/raspi-extra-cmdline", 0644, origin, line.s);
	if (!b->lines.n)
		return;
	vec_foreach (l, &b->lines)
		strbuf_addf(&config, "%s\n", *l);
	tree_add_text(t, "/etc/default/raspi-firmware-custom", 0644, origin, config.s);
}

/* Of any node: what is in the layer of a role is there for all of them. */
static bool words_are_given(const struct config *c)
{
	size_t n = c->boot.cmdline.n;

	vec_foreach (node, &c->nodes)
		n += node->boot.cmdline.n;
	return n;
}

int node_add_boot(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct kernel_words *w = arena_new(struct kernel_words);
	_cleanup_strbuf_ struct strbuf what = { 0 };
	const struct boot_config boot = config_node_boot(x->config, x->node);
	const struct block *block = config_block(x, &boot);
	bool debian = streq(x->config->os.base, "debian");
	struct entry *cmdline;

	if (debian)
		add_disk_id(x, t);
	w->disk_id = t->disk_id;

	vec_foreach (word, &x->board->cmdline)
		*vec_push(&w->v) = *word;
	if (watches_start(x))
		*vec_push(&w->v) = watchdog_word;
	if (node_uses_wifi(x) && x->config->network.wifi.country)
		*vec_push(&w->v) = arena_printf("cfg80211.ieee80211_regdom=%s", x->config->network.wifi.country);
	vec_foreach (word, &boot.cmdline)
		*vec_push(&w->v) = *word;
	vec_foreach (word, &w->v)
		strbuf_addf(&what, "%s%s", what.n ? " " : "adds ", *word);
	cmdline = tree_add_edit(t, BOOT_DIR "/cmdline.txt", 0755, origin, edit_cmdline, w,
				what.n ? what.s : "unchanged");
	/* The same words for every node: once in their layer is cheaper than on every image. Wi-Fi has a word of its
	 * own, for some nodes only, and a role has one layer; so has a disk id, and cluster.yaml. */
	if (!x->config->network.wifi.country && !w->disk_id && !words_are_given(x->config))
		cmdline->layer = LAYER_ROLE;
	if (block->lines.n)
		tree_add_edit(t, BOOT_DIR "/config.txt", 0755, origin, edit_config, block,
			      arena_printf("block for %s%s", x->board->name, watches_start(x) ? ", watchdog" : ""));
	need_overlays(block, t);
	if (debian)
		add_raspi_firmware(block, w, t);
	return 0;
}
