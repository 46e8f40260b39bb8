/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to struct config: what is given, and what follows from it. */
#include "base/log.h"
#include "config/apps.h"
#include "config/internal.h"
#include "config/values.h"
#include "crypto/digest.h"
#include "schema/source.h"

bool config_is_external(const struct node_config *n)
{
	return n->board && streq(n->board, "external");
}

bool config_has_external(const struct config *c, enum arch arch)
{
	vec_foreach (n, &c->nodes)
		if (config_is_external(n) && n->arch == arch)
			return true;
	return false;
}

const struct node_config *config_first_server(const struct config *c)
{
	vec_foreach (n, &c->nodes)
		if (n->role == ROLE_CONTROL_PLANE)
			return n;
	return NULL;
}

unsigned config_count_role(const struct config *c, enum role role)
{
	unsigned count = 0;

	vec_foreach (n, &c->nodes)
		count += n->role == role;
	return count;
}

enum backup_place_kind config_backup_place(const struct config *c)
{
	if (c->backup.s3.endpoint)
		return BACKUP_S3;
	if (c->backup.nfs)
		return BACKUP_NFS;
	if (c->backup.ssh.to)
		return BACKUP_SSH;
	return c->backup.disk ? BACKUP_DISK : BACKUP_NOWHERE;
}

bool config_keeps_state(const struct node_config *n)
{
	return n->data.device && streq(n->data.mount, data_mounts[0]);
}

bool config_uses_etcd(const struct config *c)
{
	return c->cluster.datastore == DATASTORE_ETCD ||
	       (c->cluster.datastore == DATASTORE_AUTO && config_count_role(c, ROLE_CONTROL_PLANE) > 1);
}

bool config_taints_servers(const struct config *c)
{
	return c->cluster.taint_servers == STATE_ON;
}

const char *config_api_host(const struct config *c)
{
	const struct node_config *first = config_first_server(c);
	char buf[IPV4_TEXT];

	if (c->cluster.endpoint)
		return c->cluster.endpoint;
	if (c->cluster.vip)
		return arena_strdup(ipv4_text(c->cluster.vip, buf));
	if (!first)
		return "";
	return first->address.set ? arena_strdup(ipv4_text(first->address.addr, buf)) : first->name;
}

const char *config_interface(const struct config *c, const struct node_config *n)
{
	return n && n->interface ? n->interface : c->network.interface;
}

const char *config_lan_interface(const struct config *c, const struct node_config *n)
{
	if (!c->network.vlan)
		return config_interface(c, n);
	return arena_printf("%s.%u", config_interface(c, n), c->network.vlan);
}

uint32_t config_host_address(const struct config *c, const char *name)
{
	vec_foreach (host, &c->network.hosts)
		if (streq(host->name, name))
			return host->addr;
	return 0;
}

/* ---- places by key ---- */

/* One step of "nodes[1].address" from N; *KEY moves behind it. NULL when it is not there. */
static const struct yaml_node *config_step(const struct yaml_node *n, const char **key)
{
	size_t len, index;

	if (**key == '[') {
		index = strtoul(*key + 1, NULL, 10);
		*key += strcspn(*key, "]");
		*key += **key == ']';
		return n->type == YAML_SEQ && index < n->count ? n->items[index] : NULL;
	}
	*key += **key == '.';
	len = strcspn(*key, ".[");
	n = yaml_get(n, arena_strndup(*key, len));
	*key += len;
	return n;
}

const struct yaml_node *config_node(const struct config *c, const char *key)
{
	const struct yaml_node *n = c->doc, *next;

	while (n && *key && (next = config_step(n, &key)))
		n = next;
	return n;
}

/* A config that was not read has no place but its name. */
static struct yaml_node config_place_of(const struct config *c, const char *key)
{
	const struct yaml_node *n = config_node(c, key);

	return n && n->file ? *n
			    : (struct yaml_node){ .file = c->path, .line = n ? n->line : 0, .col = n ? n->col : 0 };
}

void fault_key(struct faults *f, const struct config *c, const char *key, const char *fmt, ...)
{
	const struct yaml_node where = config_place_of(c, key);
	va_list ap;

	va_start(ap, fmt);
	fault_add(f, &where, false, fmt, ap);
	va_end(ap);
}

void fault_key_failed(struct faults *f, const struct config *c, const char *key, const struct err *e)
{
	if (!faults_machine(f, e))
		fault_key(f, c, key, "%s: %s", key, e->msg);
}

void note_key(struct faults *f, const struct config *c, const char *key, const char *fmt, ...)
{
	const struct yaml_node where = config_place_of(c, key);
	va_list ap;

	va_start(ap, fmt);
	fault_add(f, &where, true, fmt, ap);
	va_end(ap);
}

/* ---- what follows from what is given ---- */

/* Private networks (RFC 4193) of which every cluster has its own, and the same at every build. */
static void derive_ipv6(struct config *c)
{
	struct {
		struct cidr6 *net;
		const char *rest;
	} nets[] = {
		{ &c->network.ipv6.subnet, "::/64" },
		{ &c->network.ipv6.pods, ":4200::/56" },
		{ &c->network.ipv6.services, ":4300::/112" },
	};
	const char *seed = arena_printf("pibuild unique local %s", str_or(c->cluster.name, ""));
	char hex[SHA256_HEX];

	c->network.ipv6.enabled = yaml_get(yaml_get(c->doc, "network"), "ipv6") != NULL;
	if (!c->network.ipv6.enabled)
		return;
	sha256_bytes(seed, strlen(seed), hex);
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		if (!nets[i].net->set)
			value_cidr6(arena_printf("fd%.2s:%.4s:%.4s%s", hex, hex + 2, hex + 6, nets[i].rest),
				    nets[i].net);
}

static void derive(struct config *c)
{
	/* After a fault the checks that follow still need something to look at. */
	c->network.interface = str_or(c->network.interface, "eth0");
	c->os.base = str_or(c->os.base, "raspios");
	vec_foreach (n, &c->nodes) {
		if (!c->network.subnet.set && n->address.set) {
			c->network.subnet = n->address;
			c->network.subnet.addr = cidr_first(n->address);
		}
	}
	derive_ipv6(c);
	c->cert_manager.enabled = yaml_get(c->doc, "certManager") != NULL;
	c->lb.bgp.enabled = yaml_find(c->doc, "loadBalancer.announce.bgp") != NULL;
	c->gateway.enabled = yaml_get(c->doc, "gateway") != NULL;
	c->backup.enabled = config_backup_place(c) != BACKUP_NOWHERE;
	config_add_flux(c);
	if (c->cert_manager.provider && !yaml_find(c->doc, "certManager.issuers"))
		c->cert_manager.issuers[ISSUER_STAGING] = c->cert_manager.issuers[ISSUER_PRODUCTION] = true;
	if (!yaml_find(c->doc, "gateway.issuer"))
		c->gateway.issuer = config_default_issuer(c);
	if (!yaml_find(c->doc, "gateway.zones"))
		vec_foreach (zone, &c->cert_manager.zones)
			*vec_push(&c->gateway.zones) = *zone;
	if (!yaml_find(c->doc, "gateway.allowFrom") && c->network.subnet.set)
		*vec_push(&c->gateway.allow_from) = (struct cidr){ .addr = cidr_first(c->network.subnet),
								   .prefix = c->network.subnet.prefix,
								   .set = true };
}

/* ---- loading ---- */

/* Files of other programs, and other files of ours, by keys that all stand in one. */
static const struct {
	const char *keys[3];
	bool ours; /* apiVersion says so */
	const char *is, *instead;
} config_foreign[] = {
	{ { "kind", "time", "artifacts" }, true, "a lock", "--lock takes it" },
	{ { "kind", "tokens", "ca" }, true, "a file of secrets", "--secrets takes it" },
	{ { "kind", "versions", "artifacts" }, true, "the catalogue", "it is read by itself" },
	{ { "kind", "clusters", "contexts" }, false, "a kubeconfig", "kubectl takes it, once a cluster runs" },
	{ { "apiVersion", "kind" }, false, "a Kubernetes manifest", "kubectl apply takes it, once a cluster runs" },
	{ { "services" }, false, "a Compose file", "K3s runs Kubernetes manifests instead" },
	{ { "all" }, false, "an Ansible inventory", "its hosts belong below nodes:, with role and board" },
	{ { "ungrouped" }, false, "an Ansible inventory", "its hosts belong below nodes:, with role and board" },
	{ { "runcmd" }, false, "a cloud-config", "overlays/ holds files and units for the cards instead" },
	{ { "write_files" }, false, "a cloud-config", "overlays/ holds files and units for the cards instead" },
	{ { "network.ethernets" }, false, "a Netplan file", "its addresses belong below nodes: and network:" },
	{ { "network.wifis" }, false, "a Netplan file", "its addresses belong below nodes: and network:" },
};

static bool config_has_all(const struct yaml_node *doc, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n && keys[i]; i++)
		if (!yaml_find(doc, keys[i]))
			return false;
	return true;
}

/* One sentence instead of a fault for each key of a file that was made for something else; class CONFIG. */
static int config_refuse_foreign(const struct config *c, const struct yaml_node *doc, struct err *e)
{
	static const char *const own[] = { "cluster", "access", "nodes", "loadBalancer" };
	const struct yaml_node *first = doc->type == YAML_SEQ && doc->count ? doc->items[0] : NULL;
	const struct yaml_node *version = yaml_get(doc, "apiVersion");
	bool ours = version && version->type == YAML_SCALAR && starts_with(version->text, "pibuild/");
	const char *is = NULL, *instead = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (yaml_get(doc, own[i]))
			return 0;
	if (first && (yaml_get(first, "hosts") || yaml_get(first, "tasks")))
		is = "an Ansible playbook", instead = "it can run once the nodes are up";
	for (size_t i = 0; i < ARRAY_SIZE(config_foreign) && !is; i++)
		if (ours == config_foreign[i].ours &&
		    config_has_all(doc, config_foreign[i].keys, ARRAY_SIZE(config_foreign[i].keys)))
			is = config_foreign[i].is, instead = config_foreign[i].instead;
	if (!is)
		return 0;
	return err_at(
		e, c->path, 0, 0,
		"this seems to be %s, which describes no cluster for pibuild: %s; `pibuild init` writes a cluster.yaml, from your answers",
		is, instead);
}

/* What cannot be read as one document may be several manifests. */
static int config_refuse_foreign_first(const struct config *c, struct err *e)
{
	struct yaml_node **docs;
	struct err ignored = { 0 };
	size_t n;

	if (c->text && yaml_parse_all(c->path, c->text, c->text_n, &docs, &n, &ignored) == 0 && n &&
	    config_refuse_foreign(c, docs[0], &ignored) < 0)
		*e = ignored;
	return e->code;
}

static int config_read_text(struct config *c, const struct config_place *place, struct err *e)
{
	const char *env = getenv("PIBUILD_CONFIG");
	int r;

	if (!place->from_stdin) {
		r = yaml_read(place->path, -1, &c->text, &c->text_n, e);
		/* Set in another shell, on another day. */
		return r < 0 && env && streq(env, place->path) ? err_wrap(e, "PIBUILD_CONFIG") : r;
	}
	if (isatty(STDIN_FILENO))
		log_info("reading the cluster from the terminal; Ctrl-D ends it");
	return yaml_read(place->path, STDIN_FILENO, &c->text, &c->text_n, e);
}

int config_load(const char *path, struct config **ret, struct faults *f, struct err *e)
{
	struct config *c = arena_new(struct config);
	struct reading l = { .faults = f, .root = c, .foreign = &config_foreign_keys };
	struct config_place place;
	struct yaml_node *doc;
	int r = config_locate(path, &place, e);

	if (r < 0)
		return r;
	if (place.is_default)
		log_warning(
			"no cluster.yaml here: taking the shipped default, one rpi5 on DHCP; `pibuild init` writes your own");
	c->path = place.path;
	c->is_default = place.is_default;
	c->dir = l.dir = place.dir;
	r = config_read_text(c, &place, e);
	if (r == 0)
		source_keep(c->path, c->text, c->text_n);
	if (r == 0)
		r = yaml_parse(c->path, c->text, c->text_n, &doc, e);
	if (r < 0)
		return config_refuse_foreign_first(c, e);
	r = config_refuse_foreign(c, doc, e);
	if (r < 0)
		return r;
	c->doc = doc;
	if (doc->type == YAML_MAP && !doc->count)
		return err_class(e, CLASS_CONFIG,
				 "%s: there is nothing in this file; `pibuild init` writes one, from your answers",
				 c->path);
	schema_read(&l, config_fields, doc, "", c);
	derive(c);
	*ret = c;
	return 0;
}

int config_add_env_mirrors(struct config *c, struct err *e)
{
	const char *text = getenv("PIBUILD_MIRRORS");
	const struct field *field = config_fields;
	struct faults f = { 0 };
	struct reading l = { .faults = &f, .dir = ".", .root = c };
	typeof(c->mirrors) list = { 0 };
	struct yaml_node *doc;
	int r;

	if (!text || !*text)
		return 0;
	r = yaml_parse("$PIBUILD_MIRRORS", text, strlen(text), &doc, e);
	if (r < 0)
		return r;
	while (!streq(field->key, "mirrors"))
		field++;
	schema_read_value(&l, field, doc, "mirrors", &list);
	if (faults_failure(&f, e) < 0)
		return e->code;
	vec_foreach (m, &c->mirrors)
		*vec_push(&list) = *m;
	c->mirrors = list;
	return 0;
}

const struct node_config *config_find_node(const struct config *c, const char *name)
{
	vec_foreach (n, &c->nodes)
		if (n->name && streq(n->name, name))
			return n;
	return NULL;
}

const char *config_node_meant(const struct config *c, const char *name)
{
	enum { SHOWN = 12 };
	const char *near, *all = "it has none";
	struct text_list names = { 0 };

	vec_foreach (n, &c->nodes)
		if (n->name)
			*vec_push(&names) = n->name;
	near = nearest_word(name, names.v, names.n);
	if (near)
		return did_you_mean("", near);
	for (size_t i = 0; i < names.n && i < SHOWN; i++)
		all = i ? arena_printf("%s, %s", all, names.v[i]) : arena_printf("it has %s", names.v[i]);
	return names.n > SHOWN ? arena_printf("%s and others", all) : all;
}
