/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What first boot of a node consists of: which steps its card takes, its units, /etc/pibuild/steps, and the report
 * before there is one. What a step does, needs and is called stands in its own file, steps/NAME.sh below overlays/
 * (usr/lib/pibuild); what steps share in lib.sh there; what they are told of cluster.yaml in facts.c.
 *
 * No unit requires another one: a dependency on a unit that retries would fail at its first failure and never be
 * started (systemd issue 18856). Each waits for what it needs itself, and says so.
 */
#include <errno.h>

#include "base/data.h"
#include "base/file.h"
#include "base/json.h"
#include "node/cluster.h"

static const char origin[] = FIRST_BOOT_ORIGIN;

enum { STEP_FILE_LIMIT = 64 * 1024 };

static bool on_every_node(const struct node_ctx *x)
{
	return true;
}

static bool joins(const struct node_ctx *x)
{
	return !node_is_first_server(x);
}

static bool restores(const struct node_ctx *x)
{
	return node_is_first_server(x) && x->restore;
}

static bool has_gateway(const struct node_ctx *x)
{
	return node_is_first_server(x) && cilium_gateway_on(x);
}

static bool has_pools(const struct node_ctx *x)
{
	return node_is_first_server(x) && x->config->lb.pools.n;
}

static bool has_cert_manager(const struct node_ctx *x)
{
	return node_is_first_server(x) && x->config->cert_manager.enabled;
}

static bool serves_gateway(const struct node_ctx *x)
{
	return node_is_first_server(x) && x->config->gateway.enabled;
}

static bool has_issuers(const struct node_ctx *x)
{
	return has_cert_manager(x) && cert_manager_issuers(x->config)[0];
}

/* In the order of first boot, which is that of the report. */
static const struct step {
	const char *name;
	bool (*wanted)(const struct node_ctx *x);
} steps[] = {
	{ "eeprom", node_sets_eeprom },
	{ "preflight", on_every_node },
	{ "packages", node_has_packages },
	{ "data", node_has_data_disk }, /* from here on K3s's folders are where they stay */
	{ "restore", restores },
	{ "find-cluster", node_finds_cluster },
	{ "k3s", node_is_first_server },
	{ "join", joins },
	{ "gateway-crds", has_gateway },
	{ "cni", node_is_first_server },
	{ "loadbalancer", has_pools },
	{ "cert-manager", has_cert_manager },
	{ "issuers", has_issuers },
	{ "gateway", serves_gateway },
	{ "nodes", node_is_first_server },
	{ "apps", node_has_apps },
};

static const struct step *step_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (streq(steps[i].name, name))
			return &steps[i];
	return NULL;
}

static const char *step_unit(const char *name)
{
	return arena_printf("pibuild-%s.service", name);
}

bool node_step_unit(const struct node_ctx *x, size_t i, const char **ret_unit)
{
	if (i >= ARRAY_SIZE(steps))
		return false;
	*ret_unit = steps[i].wanted(x) ? step_unit(steps[i].name) : NULL;
	return true;
}

/* ---- what the head of a step's file says of it ---- */

struct step_facts {
	const char *name, *title;
	const char *needs; /* steps that have to be done before, joined by commas; "-" = none */
	unsigned bound;	   /* seconds until not being done is a failure */
};

struct step_list {
	struct step_facts rows[ARRAY_SIZE(steps)];
	size_t n;
};

/* The value of "# KEY: VALUE" among the comments that TEXT begins with; NULL without one. */
static const char *head_value(const char *text, const char *key)
{
	const char *prefix = arena_printf("# %s: ", key);

	for (; *text == '#'; text += strcspn(text, "\n"), text += *text == '\n')
		if (starts_with(text, prefix))
			return arena_strndup(text + strlen(prefix), strcspn(text, "\n") - strlen(prefix));
	return NULL;
}

/* Those of the blank-separated NAMES that this node takes: what it does not have is not waited for. */
static int needs_of(const struct node_ctx *x, const char *path, const char *names, const char **ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	for (; *names; names += strspn(names, " ")) {
		const char *name = arena_strndup(names, strcspn(names, " "));
		const struct step *s = step_find(name);

		names += strlen(name);
		if (!s)
			return err_set(e, -EINVAL, "%s: needs a step that there is not: '%s'", path, name);
		if (s->wanted(x))
			strbuf_item(&b, ",", name);
	}
	*ret = b.n ? arena_strdup(b.s) : "-";
	return 0;
}

static int read_step(const struct node_ctx *x, const struct tree *t, const char *name, struct step_facts *ret,
		     struct err *e)
{
	const char *path = arena_printf("/usr/lib/pibuild/steps/%s.sh", name), *bound;
	const struct entry *file = tree_find(t, path);
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r;

	if (!file || !file->host_file)
		return err_set(e, -ENOENT, "overlays/ has no file for the step %s: %s", name, path);
	r = file_read(file->host_file, STEP_FILE_LIMIT, &text, &n, e);
	if (r < 0)
		return r;
	ret->name = name;
	ret->title = head_value(text, "title");
	bound = head_value(text, "bound");
	ret->bound = bound ? (unsigned)strtoul(bound, NULL, 10) : 0;
	if (!ret->title || !ret->bound)
		return err_set(e, -EINVAL, "%s: its head has to say '# title: TEXT' and '# bound: SECONDS'",
			       file->host_file);
	return needs_of(x, file->host_file, str_or(head_value(text, "needs"), ""), &ret->needs, e);
}

static int read_steps(const struct node_ctx *x, const struct tree *t, struct step_list *ret, struct err *e)
{
	int r;

	ret->n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!steps[i].wanted(x))
			continue;
		r = read_step(x, t, steps[i].name, &ret->rows[ret->n++], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- /etc/pibuild/steps and the units ---- */

static void add_replaced(struct strbuf *b, const char *text, const char *word, const char *value)
{
	const char *at;

	for (; (at = strstr(text, word)); text = at + strlen(word)) {
		strbuf_add(b, text, (size_t)(at - text));
		strbuf_adds(b, value);
	}
	strbuf_adds(b, text);
}

/* From one template; a step that has a unit of its own in overlays/ keeps it. */
static void add_step_unit(const struct step_facts *s, const char *template, struct tree *t)
{
	const char *path = arena_printf("/etc/systemd/system/%s", step_unit(s->name));
	_cleanup_strbuf_ struct strbuf named = { 0 }, unit = { 0 };

	if (tree_find(t, path))
		return;
	add_replaced(&named, template, "{name}", s->name);
	add_replaced(&unit, named.s, "{title}", s->title);
	tree_add_text(t, path, 0644, origin, unit.s);
}

static int add_step_table(const struct step_list *list, struct tree *t, struct err *e)
{
	_cleanup_strbuf_ struct strbuf table = { 0 };
	_cleanup_free_ char *template = NULL;
	const char *path;
	size_t n;
	int r = data_path("overlays/step.service", &path, e);

	if (r < 0)
		return r;
	r = file_read(path, STEP_FILE_LIMIT, &template, &n, e);
	if (r < 0)
		return r;
	for (const struct step_facts *s = list->rows; s < list->rows + list->n; s++) {
		strbuf_addf(&table, "%-14s %-16s %5u %s\n", s->name, s->needs, s->bound, s->title);
		add_step_unit(s, template, t);
	}
	tree_add_text(t, "/etc/pibuild/steps", 0644, origin, table.s);
	return 0;
}

/* ---- the report before there is one ---- */

static const char not_booted[] = "This card has not been booted yet", power_on[] = "Put it into its Pi and power it on";

/* As every later one (docs/status.schema.json). The first step says how things are. */
static json_t *first_report(const struct node_ctx *x, const struct step_list *list)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(rows,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "name", list->rows[i].name,
						"title", list->rows[i].title, "state", "pending", "cause",
						i == 0 ? not_booted : "", "cure", i == 0 ? power_on : "", "attempts", 0,
						"since", "", "unit", step_unit(list->rows[i].name)));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:[]}", "apiVersion", "pibuild/v1", "kind", "Status",
			 "cluster", x->config->cluster.name, "node", x->node->name, "role", role_names[x->node->role],
			 "state", "working", "time", utc_text(x->epoch), "steps", rows, "notes");
}

/* Blanks up to the size of the file, so that it can be overwritten without touching the FAT. */
static void add_report_file(struct tree *t, const struct report_file *file, const char *text)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_adds(&b, text);
	while (b.n < file->size)
		strbuf_adds(&b, b.n % 64 == 63 || b.n == file->size - 1 ? "\n" : " ");
	tree_add_file(t, arena_printf(BOOT_DIR "/%s", file->name), 0755, origin, b.s, b.n);
}

static int add_first_report(const struct node_ctx *x, const struct step_list *list, struct tree *t, struct err *e)
{
	_cleanup_json_ json_t *j = first_report(x, list);
	_cleanup_free_ char *json = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	const char *text = arena_printf("%s, %s of cluster %s\n%s. %s.\n", x->node->name, role_names[x->node->role],
					x->config->cluster.name, not_booted, power_on);

	if (!json)
		return err_set(e, -ENOMEM, "cannot write the first report");
	for (size_t i = 0; i < REPORT_FILE_COUNT; i++)
		add_report_file(t, &report_files[i], report_files[i].json ? json : text);
	return 0;
}

int node_add_first_boot(const struct node_ctx *x, struct tree *t, struct err *e)
{
	struct step_list list;
	int r = read_steps(x, t, &list, e);

	if (r < 0)
		return r;
	r = add_step_table(&list, t, e);
	if (r < 0)
		return r;
	tree_add_dir(t, "/etc/pibuild", 0755, origin);
	tree_add_dir(t, "/var/lib/pibuild", 0755, origin);
	return add_first_report(x, &list, t, e);
}
