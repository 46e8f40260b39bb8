/* SPDX-License-Identifier: Apache-2.0 */
/* From a file to struct config: what is given, what follows from it, and the shipped default when there is no file. */
#include <errno.h>
#include <glob.h>

#include "base/data.h"
#include "base/file.h"
#include "config/internal.h"

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

bool config_uses_etcd(const struct config *c)
{
	return c->cluster.datastore == DATASTORE_ETCD ||
	       (c->cluster.datastore == DATASTORE_AUTO && config_count_role(c, ROLE_CONTROL_PLANE) > 1);
}

const char *config_api_host(const struct config *c)
{
	const struct node_config *first = config_first_server(c);
	char buf[IPV4_TEXT];

	if (c->cluster.endpoint)
		return c->cluster.endpoint;
	if (!first)
		return "";
	return first->address.set ? arena_strdup(ipv4_text(first->address.addr, buf)) : first->name;
}

const char *config_lan_interface(const struct config *c)
{
	if (!c->network.vlan)
		return c->network.interface;
	return arena_printf("%s.%u", c->network.interface, c->network.vlan);
}

/* ---- what follows from what is given ---- */

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
	c->cert_manager.enabled = yaml_get(c->doc, "certManager") != NULL;
	if (c->cert_manager.provider && !yaml_find(c->doc, "certManager.issuers"))
		c->cert_manager.staging = c->cert_manager.production = true;
}

/* ---- the shipped default ---- */

static void add_home_keys(struct config *c)
{
	const char *home = getenv("HOME");
	struct key_list keys = { 0 };
	glob_t found;

	if (home && *home && glob(path_join(home, ".ssh/*.pub"), 0, NULL, &found) == 0) {
		/* glob() sorts; certificates (*-cert.pub) and the like are no keys and left out. */
		for (size_t i = 0; i < found.gl_pathc; i++)
			config_read_keys(found.gl_pathv[i], &keys);
		globfree(&found);
	}
	memcpy(&c->access.ssh_keys, &keys, sizeof(keys));
}

static int default_without_keys(struct err *e)
{
	return err_class(
		e, CLASS_CONFIG,
		"there is no cluster.yaml here, and no key in ~/.ssh/*.pub for the shipped single-node default; make "
		"one with `ssh-keygen -t ed25519`, or write a cluster.yaml (examples are in configs/)");
}

/* ---- loading ---- */

static int find_file(const char *path, struct config *c, struct err *e)
{
	c->path = path ? path : "cluster.yaml";
	c->dir = path_dir(c->path);
	c->shipped = false;
	if (path || access(c->path, F_OK) == 0)
		return 0;
	/* The shipped file is nobody's: secrets, lock and overlays are looked for where the user stands. */
	c->shipped = true;
	return data_path("configs/default.yaml", &c->path, e);
}

int config_load(const char *path, struct config **ret, struct faults *f, struct err *e)
{
	struct config *c = arena_new(struct config);
	struct loader l = { .faults = f, .config = c };
	struct yaml_node *doc;
	int r = find_file(path, c, e);

	if (r < 0)
		return r;
	r = yaml_load(c->path, &doc, e);
	if (r < 0)
		return r;
	c->doc = doc;
	l.dir = c->dir;
	schema_read(&l, config_fields, doc, "", c);
	if (c->shipped) {
		add_home_keys(c);
		if (!c->access.ssh_keys.n)
			return default_without_keys(e);
	}
	derive(c);
	*ret = c;
	return 0;
}

int config_add_env_mirrors(struct config *c, struct err *e)
{
	const char *text = getenv("PIBUILD_MIRRORS");
	const struct field *field = config_fields;
	struct faults f = { 0 };
	struct loader l = { .faults = &f, .dir = ".", .config = c };
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
	if (f.errors)
		return err_class(e, CLASS_CONFIG, "$PIBUILD_MIRRORS:%u:%u: %s", f.list.v[0].line, f.list.v[0].col,
				 f.list.v[0].msg);
	vec_foreach (m, &c->mirrors)
		*vec_push(&list) = *m;
	c->mirrors = list;
	return 0;
}
