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

/* What goes into config.txt. */
struct config_block {
	const struct board *board;
	bool watchdog;
};

struct words {
	VEC(const char *) v;
	uint32_t disk_id; /* 0 = the base's */
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
	if (old)
		add_with_disk_id(out, old, len, w->disk_id);
	vec_foreach (word, &w->v)
		if (!has_word(out->s, out->n, *word))
			strbuf_addf(out, "%s%s", out->n ? " " : "", *word);
	strbuf_adds(out, "\n");
	return 0;
}

static int edit_config(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	const struct config_block *b = arg;
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
	strbuf_addf(out, "%s\n", block_begin);
	vec_foreach (line, &b->board->config_lines)
		strbuf_addf(out, "%s\n", *line);
	strbuf_addf(out, "[all]\n%s%s%s\n", b->watchdog ? watchdog_line : "", b->watchdog ? "\n" : "", block_end);
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
	struct config_block *block = arena_new(struct config_block);
	struct words *w = arena_new(struct words);
	_cleanup_strbuf_ struct strbuf what = { 0 };
	bool debian = streq(x->config->os.base, "debian");
	struct entry *cmdline;

	if (debian)
		add_disk_id(x, t);
	w->disk_id = t->disk_id;

	*block = (struct config_block){ x->board, watches_start(x) };
	vec_foreach (word, &x->board->cmdline)
		*vec_push(&w->v) = *word;
	if (block->watchdog)
		*vec_push(&w->v) = watchdog_word;
	if (node_uses_wifi(x) && x->config->network.wifi.country)
		*vec_push(&w->v) = arena_printf("cfg80211.ieee80211_regdom=%s", x->config->network.wifi.country);
	vec_foreach (word, &w->v)
		strbuf_addf(&what, "%s%s", what.n ? " " : "adds ", *word);
	cmdline = tree_add_edit(t, BOOT_DIR "/cmdline.txt", 0755, origin, edit_cmdline, w,
				what.n ? what.s : "unchanged");
	/* The same words for every node: once in their layer is cheaper than on every image. Wi-Fi has a word of its
	 * own, for some nodes only, and a role has one layer; so has a disk id. */
	if (!x->config->network.wifi.country && !w->disk_id)
		cmdline->layer = LAYER_ROLE;
	if (x->board->config_lines.n || block->watchdog)
		tree_add_edit(t, BOOT_DIR "/config.txt", 0755, origin, edit_config, block,
			      arena_printf("block for %s%s", x->board->name, block->watchdog ? ", watchdog" : ""));
	if (debian)
		add_raspi_firmware(x->board, w, t);
	return 0;
}
