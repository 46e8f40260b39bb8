/* SPDX-License-Identifier: Apache-2.0 */
#include "board/memory.h"

#include <inttypes.h>

/* As the kernel reads sizes: lib/cmdline.c, memparse(). */
static double memory_parse_size(const char *s)
{
	static const char units[] = "KMGT";
	char *end;
	double v = (double)strtoull(s, &end, 0);
	const char *unit = *end ? strchr(units, *end & ~0x20) : NULL;

	for (const char *u = units; unit && u <= unit; u++)
		v *= 1024;
	return v;
}

static uint64_t memory_left(uint64_t memory, double taken)
{
	return taken < (double)memory ? memory - (uint64_t)taken : 0;
}

static uint64_t memory_limit(uint64_t memory, double limit)
{
	return limit < (double)memory ? (uint64_t)limit : memory;
}

/* The kernel's own size of a huge page: a block of its second level of tables. */
static double huge_page(const struct config *c, const struct board *board)
{
	const struct board_kernel *kernel = board_kernel_for(board, c->os.base);

	return kernel && kernel->page_kib == 16 ? 32.0 * MIB : 2.0 * MIB;
}

/* The last of several wins. */
static void memory_add_setting(struct memory_settings *s, const char *name, struct memory_setting add)
{
	vec_foreach (old, &s->list)
		if (starts_with(old->text, name)) {
			*old = add;
			return;
		}
	*vec_push(&s->list) = add;
}

/* What follows NAME and "=" in TEXT, or NULL. */
static const char *value_of(const char *text, const char *name)
{
	size_t n = strlen(name);

	return starts_with(text, name) && text[n] == '=' ? text + n + 1 : NULL;
}

static void add_config_line(struct memory_settings *s, const struct board *board, uint64_t memory, const char *key,
			    const char *line)
{
	const char *total = value_of(line, "total_mem"), *gpu = value_of(line, "gpu_mem");

	if (total)
		memory_add_setting(
			s, "total_mem=",
			(struct memory_setting){ key, line, memory_limit(memory, strtod(total, NULL) * MIB), false });
	else if (gpu && !streq(board->soc, "bcm2712"))
		memory_add_setting(
			s, "gpu_mem=",
			(struct memory_setting){ key, line, memory_left(memory, strtod(gpu, NULL) * MIB), true });
}

struct huge_pages {
	double standard, size; /* of one: when no size is said, and as the word before says */
};

static const char *huge_text(const char *word, double size)
{
	return arena_printf("%s, of pages of %.0f MiB,", word, size / MIB);
}

static void add_cmdline_word(struct memory_settings *s, struct huge_pages *h, uint64_t memory, const char *key,
			     const char *word)
{
	const char *standard = value_of(word, "default_hugepagesz"), *size = value_of(word, "hugepagesz"),
		   *pages = value_of(word, "hugepages"), *mem = value_of(word, "mem");

	if (standard)
		h->standard = h->size = memory_parse_size(standard);
	else if (size)
		h->size = memory_parse_size(size);
	else if (pages)
		*vec_push(&s->list) = (struct memory_setting){ key, huge_text(word, h->size),
							       memory_left(memory, strtod(pages, NULL) * h->size),
							       false };
	else if (mem)
		memory_add_setting(
			s, "mem=",
			(struct memory_setting){ key, word, memory_limit(memory, memory_parse_size(mem)), false });
}

struct memory_settings board_memory_settings(const struct config *c, const struct node_config *node, const char *key,
					     const struct board *board, uint64_t memory)
{
	const struct {
		const char *key;
		const struct boot_config *boot;
	} parts[] = { { "boot", &c->boot }, { arena_printf("%s.boot", key), &node->boot } };
	struct memory_settings s = { 0 };
	struct huge_pages h = { .standard = huge_page(c, board), .size = huge_page(c, board) };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const struct boot_config *b = parts[i].boot;

		for (size_t j = 0; j < b->config.n; j++)
			add_config_line(&s, board, memory, arena_printf("%s.config[%zu]", parts[i].key, j),
					str_or(b->config.v[j], ""));
		for (size_t j = 0; j < b->cmdline.n; j++)
			add_cmdline_word(&s, &h, memory, arena_printf("%s.cmdline[%zu]", parts[i].key, j),
					 str_or(b->cmdline.v[j], ""));
	}
	vec_foreach (set, &c->os.sysctl) {
		const char *text = arena_printf("%s = %s", set->key, set->value);

		if (streq(set->key, "vm.nr_hugepages") || streq(set->key, "vm/nr_hugepages"))
			*vec_push(&s.list) = (struct memory_setting){
				"os.sysctl", huge_text(text, h.standard),
				memory_left(memory, strtod(set->value, NULL) * h.standard), false
			};
	}
	return s;
}
