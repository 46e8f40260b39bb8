/* SPDX-License-Identifier: Apache-2.0 */
/* boot and nodes[].boot: what a line of config.txt and a word of cmdline.txt may be, and what holds for a node. */
#include <ctype.h>

#include "config/config.h"
#include "config/kinds.h"
#include "config/owned.h"

/* "There is a 98-character line length limit for entries - any characters past this limit will be ignored":
 * raspberrypi/documentation, config.txt, file format. */
enum { CONFIG_LINE_LIMIT = 98, CMDLINE_WORD_LIMIT = 200 };

#define NAME_CHARS  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
#define CONFIG_NAME "abcdefghijklmnopqrstuvwxyz0123456789_"

static const char *boot_text_fault(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			return "it has to be one line of printable ASCII characters";
	return NULL;
}

/* ---- config.txt ---- */

/* "NAME=VALUE,NAME,..." of dtparam= and, after its overlay's name, of dtoverlay=. */
static bool are_parameters(const char *s)
{
	for (;; s++) {
		size_t n = strspn(s, NAME_CHARS);

		if (!n)
			return false;
		s += n;
		if (*s == '=')
			s += strcspn(s, ", ");
		if (*s != ',')
			return !*s;
	}
}

const char *boot_line_overlay(const char *line)
{
	static const char key[] = "dtoverlay=";

	if (!starts_with(line, key) || !line[strlen(key)])
		return NULL;
	return arena_strndup(line + strlen(key), strcspn(line + strlen(key), ",:"));
}

static const char *overlay_line_fault(const char *line)
{
	const char *name = boot_line_overlay(line), *rest;

	if (!name) /* "dtoverlay=" ends the parameters of the one before */
		return NULL;
	rest = line + strlen("dtoverlay=") + strlen(name);
	if (!*name || name[strspn(name, NAME_CHARS)] || (*rest && !are_parameters(rest + 1)))
		return "an overlay is loaded by dtoverlay=NAME or dtoverlay=NAME,PARAMETER=VALUE,...";
	return NULL;
}

static const char *check_config_line(const char *line)
{
	const char *why = boot_text_fault(line);
	size_t n = strlen(line), name = strspn(line, CONFIG_NAME);

	if (!why)
		why = owned_config_line(line);
	if (why)
		return why;
	if (*line == '#')
		return "comments stay in cluster.yaml";
	if (n > CONFIG_LINE_LIMIT)
		return arena_printf(
			"the firmware reads %d characters of a line, and this one has %zu; parameters of an overlay may go into lines dtparam= that follow it",
			CONFIG_LINE_LIMIT, n);
	if (line[name] == ':' && isdigit((unsigned char)line[name + 1]))
		name += 2;
	if (!name || line[name] != '=' || line[n - 1] == ' ' || line[name + 1] == ' ')
		return "give NAME=VALUE without blanks around either, such as dtparam=pciex1_gen=3";
	if (starts_with(line, "dtparam=") && n > strlen("dtparam=") && !are_parameters(line + strlen("dtparam=")))
		return "parameters are NAME or NAME=VALUE, with commas between them and no blanks: dtparam=pciex1_gen=3";
	return overlay_line_fault(line);
}

/* ---- cmdline.txt ---- */

static const char *check_cmdline_word(const char *word)
{
	const char *why = boot_text_fault(word);

	if (why)
		return why;
	if (strchr(word, ' '))
		return "a blank begins another word; give each as an entry of its own";
	if (strchr(word, '"'))
		return "the kernel takes quotes for the bounds of a word; leave them out";
	if (strlen(word) > CMDLINE_WORD_LIMIT)
		return arena_printf("it has more than %d characters", CMDLINE_WORD_LIMIT);
	return owned_cmdline_word(word);
}

const struct kind kind_config_line = {
	.name = "line of config.txt",
	.words = "give one line of config.txt, NAME=VALUE, of at most 98 characters",
	.editor_pattern = "^(?!(kernel|arm_64bit|os_prefix|cmdline)=)[a-z0-9_]+(:[0-9])?=[ -~]{0,96}$",
	.check = check_config_line,
};
const struct kind kind_cmdline_word = {
	.name = "word of cmdline.txt",
	.words = "give one word of the kernel's command line, without blanks",
	.editor_pattern = "^(?!(root|rootfstype|rootwait|init|cgroup_.*)(=|$))[!-~]{1,200}$",
	.check = check_cmdline_word,
};

/* ---- true or false, or not said ---- */

static void switch_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	size_t before = l->faults->errors;
	bool on = false;

	kind_bool.node(l, f, n, path, &on);
	if (l->faults->errors == before)
		*(enum tristate *)dst = on ? STATE_ON : STATE_OFF;
}

static void switch_schema(const struct field *f, json_t *out)
{
	kind_bool.schema(f, out);
}

const struct kind kind_switch = { .name = "true or false", .node = switch_node, .schema = switch_schema };

/* ---- the bootloader's EEPROM ---- */

/* raspberrypi/documentation, raspberry-pi/eeprom-bootloader.adoc: a digit each, the first to be tried on the right; f
 * starts anew when none was there. */
static const struct {
	const char *name;
	char digit;
} media[] = { { "sd", '1' }, { "network", '2' }, { "usb", '4' }, { "nvme", '6' }, { "http", '7' } };
enum { MEDIA_MOST = 7 };

static char medium_digit(const struct yaml_node *n)
{
	for (size_t i = 0; i < ARRAY_SIZE(media); i++)
		if (n->type == YAML_SCALAR && streq(n->text, media[i].name))
			return media[i].digit;
	return '\0';
}

static const char media_words[] =
	"a list of sd, usb, nvme, network and http in the order in which they are tried, such as [nvme, sd, usb]";

static void boot_order_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			    void *dst)
{
	char digits[MEDIA_MOST + 2], *p = digits + sizeof(digits) - 1;

	if (n->type != YAML_SEQ || !n->count || n->count > MEDIA_MOST)
		return schema_fault(l, n, path, "must be %s", media_words);
	*p = '\0';
	for (size_t i = 0; i < n->count; i++) {
		char digit = medium_digit(n->items[i]);

		if (!digit)
			return schema_fault(l, n->items[i], arena_printf("%s[%zu]", path, i), "must be one of %s",
					    media_words + strlen("a list of "));
		if (strchr(p, digit))
			return schema_fault(l, n->items[i], arena_printf("%s[%zu]", path, i), "stands there twice");
		*--p = digit;
	}
	if (!strpbrk(p, "146"))
		return schema_fault(l, n, path, "has none of sd, usb and nvme, on which the card of a node lies");
	*(const char **)dst = arena_printf("0xf%s", p);
}

static void boot_order_schema(const struct field *f, json_t *out)
{
	json_t *names = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(media); i++)
		json_array_append_new(names, json_string(media[i].name));
	json_object_set_new(out, "type", json_string("array"));
	json_object_set_new(out, "items", json_pack("{s:o}", "enum", names));
	json_object_set_new(out, "minItems", json_integer(1));
	json_object_set_new(out, "maxItems", json_integer(MEDIA_MOST));
	json_object_set_new(out, "uniqueItems", json_true());
}

static void eeprom_bounds(json_t *out, json_int_t most)
{
	json_object_set_new(out, "type", json_string("integer"));
	json_object_set_new(out, "minimum", json_integer(0));
	json_object_set_new(out, "maximum", json_integer(most));
}

static void eeprom_switch_schema(const struct field *f, json_t *out)
{
	eeprom_bounds(out, 1);
}

static void eeprom_number_schema(const struct field *f, json_t *out)
{
	eeprom_bounds(out, 99999);
}

const struct kind kind_boot_order = {
	.name = "list of sd, usb, nvme, network, http",
	.node = boot_order_node,
	.schema = boot_order_schema,
};
const struct kind kind_eeprom_switch = {
	.name = "0 or 1",
	.pattern = "^[01]$",
	.words = "give 0 or 1",
	.schema = eeprom_switch_schema,
};
const struct kind kind_eeprom_number = {
	.name = "number",
	.pattern = "^(0|[1-9][0-9]{0,4})$",
	.words = "give a number from 0 to 99999",
	.schema = eeprom_number_schema,
};

/* Each row of the field's table that is there, as text, in the order of the table. */
static void eeprom_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	typeof(((struct boot_config *)0)->eeprom) *settings = dst;
	size_t count = 0;
	struct field *rows;
	const char **texts;

	while (f->sub[count].key)
		count++;
	rows = arena_alloc((count + 1) * sizeof(*rows));
	memcpy(rows, f->sub, count * sizeof(*rows));
	for (size_t i = 0; i < count; i++)
		rows[i].offset = i * sizeof(*texts);
	texts = arena_alloc((count + 1) * sizeof(*texts));
	schema_read(l, rows, n, path, texts);
	for (size_t i = 0; i < count; i++)
		if (texts[i])
			*vec_push(settings) = (struct eeprom_setting){ f->sub[i].key, texts[i] };
}

const struct kind kind_eeprom = { .name = "map", .node = eeprom_node };

/* ---- what holds for a node ---- */

static const struct eeprom_setting *setting_find(const struct boot_config *b, const char *key)
{
	vec_foreach (s, &b->eeprom)
		if (streq(s->key, key))
			return s;
	return NULL;
}

struct boot_config config_node_boot(const struct config *c, const struct node_config *n)
{
	struct boot_config r = { .wifi = n->boot.wifi != STATE_AUTO ? n->boot.wifi : c->boot.wifi,
				 .bluetooth = n->boot.bluetooth != STATE_AUTO ? n->boot.bluetooth : c->boot.bluetooth };
	const struct boot_config *parts[] = { &c->boot, &n->boot };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		vec_foreach (line, &parts[i]->config)
			if (*line)
				*vec_push(&r.config) = *line;
		vec_foreach (word, &parts[i]->cmdline)
			if (*word)
				*vec_push(&r.cmdline) = *word;
	}
	vec_foreach (s, &c->boot.eeprom)
		*vec_push(&r.eeprom) = *(setting_find(&n->boot, s->key) ? setting_find(&n->boot, s->key) : s);
	vec_foreach (s, &n->boot.eeprom)
		if (!setting_find(&c->boot, s->key))
			*vec_push(&r.eeprom) = *s;
	return r;
}
