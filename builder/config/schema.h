/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema engine: a field is a row (config/fields.c), a kind says which values it takes (config/kinds.c). From the
 * rows come parsing, defaults, unknown-key faults, the JSON Schema and the reference page. Board files use it too.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "base/json.h"
#include "config/config.h"

/* One load: where faults go and where relative paths start. */
struct loader {
	struct faults *faults;
	const char *dir;
	struct config *config; /* NULL while another kind of file is read */
};

struct field;

/* Exactly one of pattern/check (text kept as it is), parse (text to a value) and node (everything else) reads it. */
struct kind {
	const char *name; /* "IPv4 network" as the reference page shows it */

	const char *pattern; /* ERE that is an ECMA regular expression too; goes into the JSON Schema */
	const char *words;   /* what the pattern asks for */
	/* ECMA regular expression for the JSON Schema alone, where the functions below say more about a wrong value. */
	const char *editor_pattern;
	/* NULL when TEXT will do, else why not. Runs after the pattern. */
	const char *(*check)(const char *text);
	/* As check, and fills DST. */
	const char *(*parse)(const struct loader *l, const char *text, void *dst);
	void (*node)(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst);

	void (*schema)(const struct field *f, json_t *out); /* NULL: a string with the pattern */
	bool secret;					    /* the text is never repeated in messages */
};

enum { REQUIRED = 1 << 0 };

struct field {
	const char *key; /* NULL ends a table */
	const struct kind *kind;
	size_t offset; /* in the struct the table fills */
	unsigned flags;
	const char *def;      /* default as written in the file; NULL = none */
	const char *def_text; /* default in words, for the reference page */
	const char *help;
	const char *example; /* YAML */

	const struct field *sub;  /* map, list of maps: fields of it */
	const struct field *item; /* list of anything else: its item (key unused, offset 0) */
	size_t size;		  /* list: of an item in memory */
	const char *const *names; /* choice */
	size_t names_count;
};

/* Scalars */
extern const struct kind kind_cluster_name, kind_node_name, kind_host, kind_domain, kind_user, kind_timezone,
	kind_locale, kind_keyboard, kind_interface, kind_ssid, kind_country, kind_email, kind_url_prefix, kind_sha256,
	kind_crypt, kind_board, kind_label;
extern const struct kind kind_version_k3s, kind_version_plain, kind_version_v, kind_version_date, kind_version_suite;
extern const struct kind kind_network, kind_address, kind_ip, kind_range, kind_memory, kind_bool, kind_vlan,
	kind_unsigned;
extern const struct kind kind_base, kind_values_file, kind_key_file, kind_ca_file;
extern const struct kind kind_choice, kind_tristate, kind_api_version;
/* Not scalars */
extern const struct kind kind_map, kind_list, kind_secret, kind_passphrase, kind_ssh_keys, kind_dns01, kind_issuers,
	kind_versions;

/* NULL when K takes TEXT, else why not; DST (may be NULL for kinds that keep the text) is filled on success. */
const char *kind_text_fault(const struct kind *k, const struct loader *l, const char *text, void *dst);

/* Reads MAP by TABLE into DST; PATH ("nodes[1]", "" at the top) stands before keys in messages. */
void schema_read(struct loader *l, const struct field *table, const struct yaml_node *map, const char *path, void *dst);
/* One value; N is never an absent one. */
void schema_read_value(struct loader *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst);
/* Faults for keys of MAP that are not among the N names. */
void schema_unknown_keys(struct loader *l, const struct yaml_node *map, const char *path, const char *const *names,
			 size_t n);
const char *schema_path(const char *path, const char *key);
/* Plain and one of nothing, ~, null. */
bool schema_is_null(const struct yaml_node *n);

/* A fault of the value at N: "PATH: words". */
void schema_fault(struct loader *l, const struct yaml_node *n, const char *path, const char *fmt, ...) _printf_(4, 5);

extern const struct field config_fields[];

#endif
