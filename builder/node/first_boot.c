/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What first boot of a node consists of, in one table: the steps its card takes, what each needs, and after how long
 * a wait is reported as a failure. The commands lie in overlays/ (usr/lib/pibuild/steps/NAME.sh), what they share and
 * the formats of /etc/pibuild/node and /etc/pibuild/steps in usr/lib/pibuild/lib.sh there.
 *
 * No unit requires another one: a dependency on a unit that retries would fail at its first failure and never be
 * started (systemd issue 18856). Each waits for what it needs itself, and says so.
 */
#include <errno.h>
#include <time.h>

#include "base/json.h"
#include "config/address_plan.h"
#include "node/cluster.h"

static const char origin[] = "generated: first boot";

/* Sizes of the report's files on the boot partition, which are overwritten in place: usr/lib/pibuild/report.awk. */
enum { BOOT_JSON_SIZE = 32768, BOOT_TEXT_SIZE = 16384, STEP_NEEDS = 2 };
/* Networks that a node can propose where the one it is in collides: enough that some are clear of any LAN. */
enum { FREE_NETWORKS = 12 };

static bool on_every_node(const struct node_ctx *x)
{
	return true;
}

static bool joins(const struct node_ctx *x)
{
	return !node_is_first_server(x);
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

static bool has_issuers(const struct node_ctx *x)
{
	return has_cert_manager(x) && cert_manager_issuers(x->config)[0];
}

struct step {
	const char *name, *title;
	const char *needs[STEP_NEEDS]; /* steps that have to be done before; those a node does not have are none */
	unsigned bound;		       /* seconds until not being done is a failure */
	bool (*wanted)(const struct node_ctx *x);
};

/* Bounds: a slow card that pulls its images over a slow line is still no failure. */
static const struct step steps[] = {
	{ "preflight", "This machine can run K3s", { NULL }, 600, on_every_node },
	{ "k3s", "K3s and its API", { "preflight" }, 900, node_is_first_server },
	{ "join", "Member of the cluster", { "preflight" }, 1800, joins },
	{ "gateway-crds", "Definitions of the Gateway API", { "k3s" }, 600, has_gateway },
	{ "cni", "Cilium, the cluster's network, and Hubble", { "k3s", "gateway-crds" }, 1800, node_is_first_server },
	{ "loadbalancer", "Address pools and who answers for them", { "cni" }, 600, has_pools },
	{ "cert-manager", "cert-manager", { "cni" }, 1800, has_cert_manager },
	{ "issuers", "Certificate issuers", { "cert-manager" }, 600, has_issuers },
};

/* What the steps may do: ask the API, write their state and stamps. Nothing of it needs a capability. */
static const char unit_text[] = "[Unit]\n"
				"Description=First boot: %s\n"
				"After=pibuild-preflight.service\n"
				"StartLimitIntervalSec=0\n"
				"\n"
				"[Service]\n"
				"Type=exec\n"
				"RemainAfterExit=yes\n"
				"ExecStart=/usr/lib/pibuild/step %s\n"
				"# It ends only when it is done; this is for what nobody thought of.\n"
				"Restart=on-failure\n"
				"RestartSec=15\n"
				"TimeoutStopSec=20\n"
				"RuntimeDirectory=pibuild\n"
				"RuntimeDirectoryPreserve=yes\n"
				"StateDirectory=pibuild\n"
				"ProtectSystem=strict\n"
				"ReadWritePaths=-/etc/pibuild/secrets\n"
				"ProtectHome=yes\n"
				"PrivateTmp=yes\n"
				"PrivateDevices=yes\n"
				"ProtectClock=yes\n"
				"ProtectHostname=yes\n"
				"ProtectKernelLogs=yes\n"
				"ProtectKernelModules=yes\n"
				"ProtectKernelTunables=yes\n"
				"ProtectControlGroups=yes\n"
				"NoNewPrivileges=yes\n"
				"CapabilityBoundingSet=\n"
				"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
				"RestrictNamespaces=yes\n"
				"RestrictRealtime=yes\n"
				"RestrictSUIDSGID=yes\n"
				"LockPersonality=yes\n"
				"SystemCallArchitectures=native\n"
				"\n"
				"[Install]\n"
				"WantedBy=multi-user.target\n";

static const struct step *step_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (streq(steps[i].name, name))
			return &steps[i];
	return NULL;
}

bool node_step_unit(const struct node_ctx *x, size_t i, const char **ret_unit)
{
	if (i >= ARRAY_SIZE(steps))
		return false;
	*ret_unit = steps[i].wanted(x) ? arena_printf("pibuild-%s.service", steps[i].name) : NULL;
	return true;
}

/* ---- /etc/pibuild/steps and the units ---- */

static char *needs_text(const struct step *s, const struct node_ctx *x)
{
	char *text = arena_strdup("");

	for (size_t i = 0; i < STEP_NEEDS && s->needs[i]; i++)
		if (step_find(s->needs[i])->wanted(x))
			text = arena_printf("%s%s%s", text, *text ? "," : "", s->needs[i]);
	return *text ? text : arena_strdup("-");
}

static void add_unit(const struct step *s, struct tree *t)
{
	const char *path = arena_printf("/etc/systemd/system/pibuild-%s.service", s->name);

	/* Preflight runs before K3s and looks at the machine: its unit is its own, in overlays/. */
	if (!tree_find(t, path))
		tree_add_text(t, path, 0644, origin, arena_printf(unit_text, s->title, s->name));
}

static void add_steps(const struct node_ctx *x, struct tree *t)
{
	_cleanup_strbuf_ struct strbuf table = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const struct step *s = &steps[i];

		if (!s->wanted(x))
			continue;
		strbuf_addf(&table, "%-14s %-16s %5u %s\n", s->name, needs_text(s, x), s->bound, s->title);
		add_unit(s, t);
	}
	tree_add_text(t, "/etc/pibuild/steps", 0644, origin, table.s);
}

/* ---- /etc/pibuild/node ---- */

/* Values are names, numbers and addresses that the schema has checked: no blanks but those between them. */
static void add_facts(const struct node_ctx *x, struct tree *t)
{
	const struct config *c = x->config;
	_cleanup_strbuf_ struct strbuf b = { 0 };
	const char *const *issuers = cert_manager_issuers(c), *const *certificates = cert_manager_certificates(c);
	char first[IPV4_TEXT], last[IPV4_TEXT];

	strbuf_addf(&b, "cluster %s\nnode %s\nrole %s\nfirst %s\ninterface %s\nserver %s:%d\nenvoy %s\nairgap %s\n",
		    c->cluster.name, x->node->name, role_names[x->node->role], node_is_first_server(x) ? "yes" : "no",
		    board_lan_interface(x->board, c), config_api_host(c), K3S_API_PORT,
		    cilium_ingress_on(x) || cilium_gateway_on(x) ? "yes" : "no", c->airgap ? "yes" : "no");
	/* Where the images of K3s and of Cilium and cert-manager come from. */
	strbuf_adds(&b, "registries registry-1.docker.io quay.io\nmembers");
	vec_foreach (n, &c->nodes)
		strbuf_addf(&b, " %s=%s", n->name, role_names[n->role]);
	strbuf_addf(&b, "\naddress %s", x->node->address.set ? ipv4_text(x->node->address.addr, first) : "");
	strbuf_adds(&b, "\npools");
	vec_foreach (p, &c->lb.pools)
		strbuf_addf(&b, " %s-%s", ipv4_text(p->range.first, first), ipv4_text(p->range.last, last));
	strbuf_addf(&b, "\npodcidr %s\nservicecidr %s\nfree", cidr_text(c->cluster.pod_cidr),
		    cidr_text(c->cluster.service_cidr));
	for (size_t i = 0; i < FREE_NETWORKS && config_free_network(c, i).set; i++)
		strbuf_addf(&b, " %s", cidr_text(config_free_network(c, i)));
	strbuf_adds(&b, "\nissuers");
	for (size_t i = 0; issuers[i]; i++)
		strbuf_addf(&b, " %s", issuers[i]);
	for (size_t i = 0; certificates[i]; i++)
		strbuf_addf(&b, "%s %s", i ? "" : "\ncertificates", certificates[i]);
	strbuf_adds(&b, "\n");
	tree_add_text(t, "/etc/pibuild/node", 0644, origin, b.s);
}

/* ---- the report before there is one ---- */

static const char not_booted[] = "This card has not been booted yet", power_on[] = "Put it into its Pi and power it on";

/* As every later one (docs/status.schema.json). The first step says how things are. */
static json_t *first_report(const struct node_ctx *x)
{
	json_t *list = json_array();
	time_t epoch = (time_t)x->epoch;
	char time_text[32];
	struct tm tm;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i].wanted(x))
			json_array_append_new(list,
					      json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s}", "name",
							steps[i].name, "title", steps[i].title, "state", "pending",
							"cause", i == 0 ? not_booted : "", "cure",
							i == 0 ? power_on : "", "attempts", 0, "since", "", "unit",
							arena_printf("pibuild-%s.service", steps[i].name)));
	strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&epoch, &tm));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:[]}", "apiVersion", "pibuild/v1", "kind", "Status",
			 "cluster", x->config->cluster.name, "node", x->node->name, "role", role_names[x->node->role],
			 "state", "working", "time", time_text, "steps", list, "notes");
}

/* TEXT and blanks up to SIZE, so that the file can be overwritten without touching the FAT. */
static void add_boot_file(struct tree *t, const char *name, const char *text, size_t size)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_adds(&b, text);
	while (b.n < size)
		strbuf_adds(&b, b.n % 64 == 63 || b.n == size - 1 ? "\n" : " ");
	tree_add_file(t, arena_printf(BOOT_DIR "/%s", name), 0755, origin, b.s, b.n);
}

static int add_first_report(const struct node_ctx *x, struct tree *t, struct err *e)
{
	_cleanup_json_ json_t *j = first_report(x);
	char *text;

	text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	if (!text)
		return err_set(e, -ENOMEM, "cannot write the first report");
	add_boot_file(t, "pibuild-status.json", text, BOOT_JSON_SIZE);
	add_boot_file(t, "pibuild-status.bak", text, BOOT_JSON_SIZE);
	free(text);
	add_boot_file(t, "pibuild-status.txt",
		      arena_printf("%s, %s of cluster %s\n%s. %s.\n", x->node->name, role_names[x->node->role],
				   x->config->cluster.name, not_booted, power_on),
		      BOOT_TEXT_SIZE);
	return 0;
}

int node_add_first_boot(const struct node_ctx *x, struct tree *t, struct err *e)
{
	tree_add_dir(t, "/etc/pibuild", 0755, origin);
	tree_add_dir(t, "/var/lib/pibuild", 0755, origin);
	add_steps(x, t);
	add_facts(x, t);
	return add_first_report(x, t, e);
}
