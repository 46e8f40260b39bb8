/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `pibuild init` writes: cluster.yaml section by section, each through the YAML emitter with its comment before
 * it, and the lines of .gitignore.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/data.h"
#include "base/file.h"
#include "cmd/init.h"
#include "config/address_plan.h"
#include "config/values.h"
#include "secrets/secrets.h"
#include "yaml/yaml.h"

static struct yaml_node *init_address_node(uint32_t addr)
{
	char buf[IPV4_TEXT];

	return yaml_str(ipv4_text(addr, buf));
}

/* ---- nodes and their addresses ---- */

static bool init_file_is_taken(const struct init_cluster *c, uint32_t addr)
{
	vec_foreach (n, &c->nameservers)
		if (*n == addr)
			return true;
	return addr == c->gateway || addr == cidr_first(c->subnet) || range_has(c->pool, addr) ||
	       range_has(c->dhcp, addr);
}

uint32_t init_free_address(const struct init_cluster *c, uint32_t from)
{
	while (from < cidr_last(c->subnet) && init_file_is_taken(c, from))
		from++;
	return from < cidr_last(c->subnet) ? from : 0;
}

const char *init_nodes_range(const struct init_cluster *c)
{
	uint32_t first = init_free_address(c, c->address), last = first;
	char a[IPV4_TEXT], b[IPV4_TEXT];

	for (unsigned i = 1; i < c->servers + c->workers && last; i++)
		last = init_free_address(c, last + 1);
	if (!last)
		return NULL;
	ipv4_text(first, a);
	return first == last ? arena_strdup(a) : arena_printf("%s to %s", a, ipv4_text(last, b));
}

static struct yaml_node *node_of(const struct init_cluster *c, const char *name, enum role role, uint32_t addr)
{
	struct yaml_node *n = yaml_map();
	char buf[IPV4_TEXT];

	yaml_set(n, "name", yaml_str(name));
	yaml_set(n, "role", yaml_str(role_names[role]));
	yaml_set(n, "board", yaml_str(c->board));
	yaml_set(n, "address", yaml_strf("%s/%u", ipv4_text(addr, buf), c->subnet.prefix));
	return n;
}

/* NULL when the subnet has too few addresses. */
static struct yaml_node *nodes(const struct init_cluster *c)
{
	struct yaml_node *list = yaml_seq();
	uint32_t addr = c->address;

	for (unsigned i = 0; i < c->servers + c->workers; i++, addr++) {
		bool server = i < c->servers;

		addr = init_free_address(c, addr);
		if (!addr)
			return NULL;
		yaml_append(list,
			    node_of(c, server ? arena_printf("cp-%u", i + 1) : arena_printf("w-%u", i + 1 - c->servers),
				    server ? ROLE_CONTROL_PLANE : ROLE_WORKER, addr));
	}
	return list;
}

/* ---- sections ---- */

/* Networks of pods and services that the LAN does not lie in, where the defaults do. */
static void keep_clear_of_lan(const struct init_cluster *c, struct yaml_node *n)
{
	static const struct {
		const char *key, *usual;
	} networks[] = { { "podCIDR", "10.42.0.0/16" }, { "serviceCIDR", "10.43.0.0/16" } };
	struct config *made = arena_new(struct config);
	struct cidr others[ARRAY_SIZE(networks)];
	struct named_ranges named;
	size_t n_others;

	made->network.subnet = c->subnet;
	made->network.gateway = c->gateway;
	vec_foreach (s, &c->nameservers)
		*vec_push(&made->network.nameservers) = *s;
	value_cidr(networks[0].usual, &made->cluster.pod_cidr);
	value_cidr(networks[1].usual, &made->cluster.service_cidr);
	named = config_named_ranges(made);
	n_others = config_free_networks(made, others, ARRAY_SIZE(others));
	for (size_t i = 0; i < ARRAY_SIZE(networks); i++) {
		struct cidr usual;
		bool clear = true;

		value_cidr(networks[i].usual, &usual);
		vec_foreach (r, &named.list)
			clear &= !ranges_overlap(r->range,
						 (struct ip_range){ cidr_first(usual), cidr_last(usual), true });
		if (!clear && i < n_others)
			yaml_set(n, networks[i].key, yaml_str(cidr_text(others[i])));
	}
}

static struct yaml_node *cluster(const struct init_cluster *c)
{
	struct yaml_node *n = yaml_map();

	yaml_set(n, "name", yaml_str(c->name));
	keep_clear_of_lan(c, n);
	return n;
}

static struct yaml_node *access_of(const struct init_cluster *c)
{
	struct yaml_node *n = yaml_map(), *keys = yaml_seq();

	yaml_set(n, "user", yaml_str(c->user));
	yaml_set(n, "sshKeys", keys);
	vec_foreach (k, &c->keys)
		yaml_append(keys, yaml_str(*k));
	return n;
}

static struct yaml_node *range_of(struct ip_range r)
{
	char first[IPV4_TEXT], last[IPV4_TEXT];

	return yaml_strf("%s-%s", ipv4_text(r.first, first), ipv4_text(r.last, last));
}

static struct yaml_node *network(const struct init_cluster *c)
{
	struct yaml_node *n = yaml_map(), *servers = yaml_seq();

	yaml_set(n, "subnet", yaml_str(cidr_text(c->subnet)));
	yaml_set(n, "gateway", init_address_node(c->gateway));
	yaml_set(n, "nameservers", servers);
	vec_foreach (s, &c->nameservers)
		yaml_append(servers, init_address_node(*s));
	if (c->dhcp.set)
		yaml_set(n, "dhcpRange", range_of(c->dhcp));
	return n;
}

static struct yaml_node *load_balancer(const struct init_cluster *c)
{
	struct yaml_node *n = yaml_map(), *pool = yaml_map();

	if (!c->pool.set)
		return NULL;
	yaml_set(pool, "name", yaml_str("lan"));
	yaml_set(pool, "range", range_of(c->pool));
	yaml_append(yaml_set(n, "pools", yaml_seq()), pool);
	return n;
}

const char init_vip_hint[] = "Several servers: the kubeconfig names the first alone, which may be off, but with\n"
			     "  cluster.vip a free address of your LAN that leads to one that is on.";

static const char heading[] =
	"A K3s cluster on Raspberry Pis, written by `pibuild init` and yours to edit. `pibuild check` says what\n"
	"would not work, `pibuild schema --reference` lists every key.";

static const struct section {
	const char *key;
	struct yaml_node *(*value)(const struct init_cluster *c); /* NULL, or gives NULL: only the comment */
	const char *comment;
} sections[] = {
	{ "cluster", cluster,
	  "The name stands in the kubeconfig and in Cilium. More of this section, with the defaults:\n"
	  "  podCIDR: 10.42.0.0/16           addresses of pods, which no machine of your LAN may have\n"
	  "  serviceCIDR: 10.43.0.0/16       addresses of services inside the cluster\n"
	  "  vip: 192.168.1.10               a free address of your LAN for the API of several servers\n"
	  "  endpoint: api.home.my-domain.org    a name for the API; else it is the first control-plane node" },
	{ "access", access_of,
	  "Who may log in over SSH: with these public keys, never with a password. Also here: timezone (UTC),\n"
	  "locale, keyboard, and passwordHash for the console." },
	{ "network", network,
	  "The LAN the nodes are on. dhcpRange is what your router hands out (its web page says): `pibuild check`\n"
	  "finds addresses that would collide with it.\n"
	  "  dhcpRange: 192.168.1.128-192.168.1.250\n"
	  "Also here: interface (eth0), vlan, wifi." },
	{ "loadBalancer", load_balancer,
	  "Free addresses of the LAN for Services of type LoadBalancer, outside what the router hands out. Without\n"
	  "a pool such Services stay pending.\n"
	  "  loadBalancer:\n"
	  "    pools:\n"
	  "      - {name: lan, range: 192.168.1.65-192.168.1.127}" },
	{ "certManager", NULL,
	  "Certificates from Let's Encrypt, proven by DNS. The token is named here and stays elsewhere; providers\n"
	  "and their keys are listed by `pibuild schema --reference`.\n"
	  "  certManager:\n"
	  "    email: me@my-domain.org\n"
	  "    issuers: [letsencrypt-staging, letsencrypt-production]\n"
	  "    dns01: {provider: digitalocean, accessToken: {env: DO_TOKEN}}\n"
	  "    zones: [home.my-domain.org]" },
	{ "nodes", nodes,
	  "One image for each. Control-plane nodes run the API and also take workloads; the first one starts the\n"
	  "cluster. Without address a node uses DHCP. memory: 4GiB when a board has less than the largest of its kind." },
};

/* Where editors with the YAML language server find what `pibuild schema` prints. It takes an address up to a blank. */
static const char *schema_line(void)
{
	struct err ignored = { 0 };
	const char *path;

	if (data_path("docs/cluster.schema.json", &path, &ignored) < 0 || access(path, R_OK) < 0)
		return NULL;
	return arena_printf("yaml-language-server: $schema=file://%s", percent_encoded(path, "/" UNRESERVED));
}

int init_config_text(const struct init_cluster *c, struct strbuf *out, struct err *e)
{
	_cleanup_strbuf_ struct strbuf comment = { 0 };
	struct yaml_node *head = yaml_map();

	if (!nodes(c))
		return err_class(
			e, CLASS_USAGE,
			"%s has too few free addresses for %u nodes: give a lower --address, a smaller --pool, or another --subnet",
			cidr_text(c->subnet), c->servers + c->workers);
	yaml_set(head, "apiVersion", yaml_str("pibuild/v1"));
	yaml_emit(head, schema_line() ? arena_printf("%s\n%s", schema_line(), heading) : heading, out);
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct section *s = &sections[i];
		struct yaml_node *value = s->value ? s->value(c) : NULL, *map = yaml_map();

		strbuf_addf(&comment, "%s%s", comment.n ? "\n\n" : "", s->comment);
		/* What is not there is a comment before the next one. */
		if (!value)
			continue;
		yaml_set(map, s->key, value);
		strbuf_adds(out, "\n");
		yaml_emit(map, comment.s, out);
		strbuf_done(&comment);
	}
	return 0;
}

/* ---- .gitignore ---- */

static bool init_has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, line, n) == 0 && strcspn(p + n, "\n") == strspn(p + n, " \t\r"))
			return true;
	return false;
}

int init_gitignore(const char *config, struct err *e)
{
	static const char *const lines[] = { "secrets.yaml*", "out/", "*.img" };
	const char *path = path_join(path_dir(config), ".gitignore");
	_cleanup_close_ int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	_cleanup_strbuf_ struct strbuf add = { 0 };
	_cleanup_free_ char *old = NULL;
	size_t n;
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", path);
	r = file_read_fd(fd, path, GITIGNORE_LIMIT, &old, &n, e);
	if (r < 0)
		return r;
	if (n && old[n - 1] != '\n')
		strbuf_adds(&add, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!init_has_line(old, lines[i]))
			strbuf_addf(&add, "%s\n", lines[i]);
	/* A line that has no end yet is no reason to write. */
	if (add.n < 2)
		return 0;
	r = write_all(fd, add.s, add.n);
	return r < 0 ? err_errno(e, r, "cannot write %s", path) : 0;
}
