/* SPDX-License-Identifier: Apache-2.0 */
#include "board/board.h"

#include <ctype.h>
#include <stddef.h>

#include "base/data.h"
#include "base/file.h"
#include "config/kinds.h"
#include "schema/schema.h"

#define AT(member)     .offset = offsetof(struct board, member)
#define KERNEL(member) .offset = offsetof(struct board_kernel, member)

static const char *const base_names[] = { "raspios", "debian" };

static const char *check_line(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return "one line without control characters";
	return NULL;
}

static const struct kind kind_line = { .name = "line", .check = check_line };

static const struct field memory_item = { .kind = &kind_memory };
static const struct field line_item = { .kind = &kind_line };
static const struct field word_item = { .kind = &kind_label };

static const struct field kernel_fields[] = {
	{ .key = "base", .kind = &kind_word, KERNEL(base), NAMES(base_names), .flags = REQUIRED },
	{ .key = "file", .kind = &kind_label, KERNEL(file), .flags = REQUIRED },
	{ .key = "pageKiB", .kind = &kind_unsigned, KERNEL(page_kib), .flags = REQUIRED },
	{ .key = "addressBits", .kind = &kind_unsigned, KERNEL(address_bits), .flags = REQUIRED },
	{ 0 },
};

const struct field board_fields[] = {
	{ .key = "title", .kind = &kind_line, AT(title), .flags = REQUIRED },
	{ .key = "soc", .kind = &kind_label, AT(soc), .flags = REQUIRED },
	{ .key = "kernels",
	  .kind = &kind_list,
	  AT(kernels),
	  .flags = REQUIRED,
	  .sub = kernel_fields,
	  .size = sizeof(struct board_kernel) },
	{ .key = "memory",
	  .kind = &kind_list,
	  AT(memory),
	  .flags = REQUIRED,
	  .item = &memory_item,
	  .size = sizeof(uint64_t) },
	{ .key = "nic", .kind = &kind_interface, AT(nic) },
	{ .key = "wifi", .kind = &kind_bool, AT(wifi), .def = "false" },
	{ .key = "watchdog", .kind = &kind_bool, AT(watchdog), .def = "false" },
	{ .key = "pcie", .kind = &kind_bool, AT(pcie), .def = "false" },
	{ .key = "external", .kind = &kind_bool, AT(external), .def = "false" },
	{ .key = "eeprom", .kind = &kind_bool, AT(eeprom), .def = "false" },
	{ .key = "dtbs", .kind = &kind_list, AT(dtbs), .item = &word_item, .size = sizeof(const char *) },
	{ .key = "config", .kind = &kind_list, AT(config_lines), .item = &line_item, .size = sizeof(const char *) },
	{ .key = "cmdline", .kind = &kind_list, AT(cmdline), .item = &word_item, .size = sizeof(const char *) },
	{ 0 },
};

/* "Raspberry Pi 5 B", "raspberrypi5", "RPi 5", "pi5": "5". */
static const char *board_short(const char *name)
{
	static const char *const makers[] = { "raspberrypi", "raspberry", "raspi", "rpi", "pi", "computemodule", "cm" };
	_cleanup_strbuf_ struct strbuf b = { 0 };
	const char *s;
	bool module;

	for (; *name; name++)
		if (isalnum((unsigned char)*name))
			strbuf_addf(&b, "%c", tolower((unsigned char)*name));
	s = arena_strdup(str_or(b.s, ""));
	for (size_t i = 0; i < 5; i++)
		if (starts_with(s, makers[i])) {
			s += strlen(makers[i]);
			break;
		}
	module = starts_with(s, "computemodule") || starts_with(s, "cm");
	if (module)
		s += strlen(starts_with(s, "cm") ? "cm" : "computemodule");
	s = arena_strndup(s, strlen(s) - (!module && strlen(s) > 1 && ends_with(s, "b")));
	if (ends_with(s, "model"))
		s = arena_strndup(s, strlen(s) - strlen("model"));
	return module ? arena_printf("cm%s", s) : s;
}

/* A 3 is not nearly a 6. */
static const char *board_meant(const char *name, const char *const *names, size_t n)
{
	const char *wanted = board_short(name), *near = nearest_word(name, names, n);

	for (size_t i = 0; i < n; i++)
		if (streq(wanted, board_short(names[i])))
			return names[i];
	if (!near)
		return NULL;
	for (const char *p = near; *p; p++)
		if (isdigit((unsigned char)*p) && !strchr(name, *p))
			return NULL;
	return near;
}

static int unknown_board(const char *name, const char *const *names, size_t n, struct err *e)
{
	const char *near = board_meant(name, names, n);
	struct strbuf all = { 0 };

	for (size_t i = 0; i < n; i++)
		strbuf_item(&all, ", ", names[i]);
	err_class(e, CLASS_CONFIG, "there is no board '%s'%s%s boards are %s", name, did_you_mean("; ", near),
		  near ? "" : ";", all.s);
	strbuf_done(&all);
	return e->code;
}

static int board_read_board(const char *path, struct board *b, struct err *e)
{
	struct faults f = { 0 };
	struct reading l = { .faults = &f, .dir = path_dir(path) };
	int r = schema_load(&l, path, board_fields, b, e);

	if (r == 0)
		r = faults_failure(&f, e);
	if (r == 0 && (!b->memory.n || !b->kernels.n))
		r = err_at(e, path, 0, 0, "a board needs a kernel and a size of memory");
	return r;
}

int board_load(const char *name, const struct board **ret, struct err *e)
{
	struct board *b = arena_new(struct board);
	const char *const *names, *path;
	size_t n, i;
	int r = board_names(&names, &n, e);

	if (r < 0)
		return r;
	/* Only a name of the folder becomes part of a path. */
	for (i = 0; i < n && !streq(names[i], name); i++)
		;
	if (i == n)
		return unknown_board(name, names, n, e);
	r = data_path(arena_printf("boards/%s.yaml", name), &path, e);
	if (r < 0)
		return r;
	r = board_read_board(path, b, e);
	if (r < 0)
		return r;
	b->name = names[i];
	*ret = b;
	return 0;
}

const struct board_kernel *board_kernel_for(const struct board *b, const char *base)
{
	/* A base of the user's own boots like Raspberry Pi OS, which it is made from; so do all releases of that. */
	const char *name = streq(base, "debian") ? "debian" : "raspios";

	vec_foreach (k, &b->kernels)
		if (streq(k->base, name))
			return k;
	return NULL;
}

bool board_runs_envoy(const struct board *b, const char *base)
{
	const struct board_kernel *k = board_kernel_for(b, base);

	return k && k->address_bits > 39;
}

uint64_t board_max_memory(const struct board *b)
{
	return b->memory.v[b->memory.n - 1];
}

const char *board_lan_interface(const struct board *b, const struct config *c, const struct node_config *n)
{
	bool wireless = interface_is_wifi(config_interface(c, n)) || (!b->nic && !n->interface);

	return c->network.wifi.ssid && b->wifi && wireless ? "wlan0" : config_lan_interface(c, n);
}
