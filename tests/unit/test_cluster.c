/* SPDX-License-Identifier: Apache-2.0 */
/* What K3s, Cilium and cert-manager get on a card: who may hold what, what topology and boards decide. */
#include "base/file.h"
#include "board/board.h"
#include "check.h"
#include "config/dns01.h"
#include "config/kinds.h"
#include "config/values.h"
#include "node/cluster.h"
#include "node/encode.h"

/* ---- a cluster from a few lines ---- */

#define HEAD                                                                                                           \
	"apiVersion: pibuild/v1\n"                                                                                     \
	"cluster: {name: t}\n"                                                                                         \
	"access: {user: pi, sshKeys: [ssh-ed25519 "                                                                    \
	"AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ t]}\n"
#define LAN                                                                                                            \
	"network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1]}\n"                        \
	"loadBalancer:\n  pools: [{name: lan, range: 192.168.1.65-192.168.1.127}]\n"
#define NODE(name, role, board, last)                                                                                  \
	"  - {name: " name ", role: " role ", board: " board ", address: 192.168.1." last "/24}\n"
#define CP_1   NODE("cp-1", "control-plane", "rpi5", "11")
#define CP_2   NODE("cp-2", "control-plane", "rpi5", "12")
#define CP_3   NODE("cp-3", "control-plane", "rpi5", "13")
#define W_1    NODE("w-1", "worker", "rpi5", "21")
#define W_2    NODE("w-2", "worker", "rpi5", "22")
#define NODES  "nodes:\n"
#define THREE  HEAD LAN NODES CP_1 CP_2 CP_3 W_1 W_2
#define SINGLE HEAD LAN NODES CP_1

static struct err error;
static struct faults faults;

static struct secrets canaries = {
	.path = "secrets.yaml",
	.server_ca = { "CERT-server-ca\n", "CANARY-server-ca\n" },
	.client_ca = { "CERT-client-ca\n", "CANARY-client-ca\n" },
	.request_header_ca = { "CERT-request-header-ca\n", "CANARY-request-header-ca\n" },
	.etcd_server_ca = { "CERT-etcd-server-ca\n", "CANARY-etcd-server-ca\n" },
	.etcd_peer_ca = { "CERT-etcd-peer-ca\n", "CANARY-etcd-peer-ca\n" },
	.service_key = "CANARY-service\n",
	.admin = { "CERT-admin\n", "CANARY-admin\n" },
	.server_password = "CANARY-server-password",
	.agent_password = "CANARY-agent-password",
	.server_token = "K10abc::server:CANARY-server-password",
	.agent_token = "K10abc::node:CANARY-agent-password",
};

static struct config *config_of(const char *text)
{
	const char *dir = getenv("TMPDIR");
	const char *path = arena_printf("%s/cluster-%d.yaml", dir ? dir : "/tmp", (int)getpid());
	struct config *c = NULL;

	memset(&faults, 0, sizeof(faults));
	if (file_publish(path, text, strlen(text), 0600, &error) < 0 || config_load(path, &c, &faults, &error) < 0)
		CHECK_FAILED("%s", error.msg);
	unlink(path);
	vec_foreach (f, &faults.list)
		CHECK_FAILED("%u:%u: %s", f->line, f->col, f->msg);
	return c;
}

static struct node_ctx *ctx_of(const char *text, size_t index)
{
	struct node_ctx *x = arena_new(struct node_ctx);
	struct config *c = config_of(text);
	const struct board **boards = arena_alloc(c->nodes.n * sizeof(*boards));
	struct catalogue *cat;
	struct lock *lock = NULL;

	for (size_t i = 0; i < c->nodes.n; i++) {
		if (board_load(c->nodes.v[i].board, &boards[i], &error) < 0)
			CHECK_FAILED("%s", error.msg);
		*vec_push(&canaries.nodes) = (struct node_password){
			c->nodes.v[i].name,
			arena_printf("CANARY-password-of-%s.", c->nodes.v[i].name),
		};
	}
	if (catalogue_load(&cat, &error) < 0 || lock_load("configs/pibuild.lock", c, &lock, &error) < 0)
		CHECK_FAILED("%s", error.msg);
	*x = (struct node_ctx){
		.config = c,
		.node = &c->nodes.v[index],
		.board = boards[index],
		.boards = boards,
		.set = { cat, lock, c },
		.secrets = &canaries,
		.secret_use = SECRET_READ,
		.epoch = 1700000000,
	};
	return x;
}

static struct tree *tree_of(const struct node_ctx *x)
{
	struct tree *t = arena_new(struct tree);

	if (node_render(x, t, &error) < 0)
		CHECK_FAILED("%s", error.msg);
	return t;
}

static const char *text_of(const struct tree *t, const char *path)
{
	const struct entry *n = tree_find(t, path);

	return n && n->kind == ENTRY_FILE && n->source == SOURCE_BYTES ? n->bytes : "";
}

static const char *file_of(const char *cluster, size_t index, const char *path)
{
	return text_of(tree_of(ctx_of(cluster, index)), path);
}

static struct yaml_node *yaml_of(const char *text)
{
	struct yaml_node *doc = yaml_map();

	if (yaml_parse("test", text, strlen(text), &doc, &error) < 0)
		CHECK_FAILED("%s", error.msg);
	return doc;
}

static const char *value_of(const struct yaml_node *doc, const char *path)
{
	const struct yaml_node *n = yaml_find(doc, path);

	return n && n->type == YAML_SCALAR ? n->text : NULL;
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

/* Path of the first file that holds WORD, or "". Host files are not generated and hold nothing. */
static const char *holder(const struct tree *t, const char *word)
{
	vec_foreach (n, &t->entries)
		if (n->kind == ENTRY_FILE && n->source == SOURCE_BYTES && memmem(n->bytes, n->size, word, strlen(word)))
			return n->path;
	return "";
}

#define CONFIG_YAML "/etc/rancher/k3s/config.yaml"
#define SERVERS	    "/etc/pibuild/servers"
#define ADMIN_KEY   "/etc/pibuild/secrets/admin.key"
#define VALUES	    "/etc/pibuild/cilium-values.yaml"
#define POOLS	    "/etc/pibuild/manifests/pools.yaml"
#define POLICY	    "/etc/pibuild/manifests/l2-policy.yaml"
#define ISSUERS	    "/etc/pibuild/manifests/issuers.yaml"
#define DNS01	    "/etc/pibuild/secrets/dns01.yaml"

/* ---- who holds what ---- */

static const char *const server_only[] = {
	"CANARY-server-ca",	 "CANARY-client-ca",	"CANARY-request-header-ca",
	"CANARY-etcd-server-ca", "CANARY-etcd-peer-ca", "CANARY-service",
	"CANARY-admin",
};

static void secrets_cases(void)
{
	CASE("a worker holds no server token, no CA key, no admin key and no DNS token")
	{
		struct tree *t;

		setenv("TEST_TOKEN", "CANARY-dns-token", 1);
		t = tree_of(ctx_of(THREE "certManager: {email: a@b.org, dns01: {provider: digitalocean, accessToken: "
					 "{env: TEST_TOKEN}}}\n",
				   3));
		for (size_t i = 0; i < ARRAY_SIZE(server_only); i++)
			CHECK_STR(holder(t, server_only[i]), "");
		CHECK_STR(holder(t, "CANARY-server-password"), "");
		CHECK_STR(holder(t, "CANARY-dns-token"), "");
		CHECK_STR(holder(t, "CERT-"), "");
		CHECK_STR(holder(t, "CANARY-agent-password"), CONFIG_YAML);
	}
	CASE("a further server holds the server token, the admin key that it is worth, and no key of the cluster's")
	{
		struct tree *t = tree_of(ctx_of(THREE, 1));

		for (size_t i = 0; i < ARRAY_SIZE(server_only); i++)
			CHECK_STR(holder(t, server_only[i]), streq(server_only[i], "CANARY-admin") ? ADMIN_KEY : "");
		CHECK_STR(holder(t, "K10abc::server:CANARY-server-password"), CONFIG_YAML);
	}
	CASE("no node holds another node's password, and only servers that may have to come back the admin key")
	{
		for (size_t i = 0; i < 5; i++) {
			struct node_ctx *x = ctx_of(THREE, i);
			struct tree *t = tree_of(x);

			CHECK_STR(holder(t, "CANARY-admin"), i < 3 ? ADMIN_KEY : "");
			vec_foreach (n, &x->config->nodes)
				CHECK_STR(holder(t, arena_printf("CANARY-password-of-%s.", n->name)),
					  n == x->node ? "/etc/rancher/node/password" : "");
		}
	}
	CASE("the first server gets the whole CA set, keys 0600 in folders 0700")
	{
		static const char *const keys[] = { "server-ca", "client-ca", "request-header-ca", "etcd/server-ca",
						    "etcd/peer-ca" };
		struct tree *t = tree_of(ctx_of(THREE, 0));
		const struct entry *n;

		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			n = tree_find(t, arena_printf("/var/lib/rancher/k3s/server/tls/%s.key", keys[i]));
			CHECK(n && n->mode == 0600 && n->secret && starts_with(n->bytes, "CANARY-"));
			n = tree_find(t, arena_printf("/var/lib/rancher/k3s/server/tls/%s.crt", keys[i]));
			CHECK(n && starts_with(n->bytes, "CERT-"));
		}
		n = tree_find(t, "/var/lib/rancher/k3s/server/tls/service.key");
		CHECK(n && n->mode == 0600 && n->secret);
		n = tree_find(t, "/var/lib/rancher/k3s/server/tls/etcd");
		CHECK(n && n->kind == ENTRY_DIR && n->mode == 0700);
		n = tree_find(t, "/var/lib/rancher/k3s/server");
		CHECK(n && n->kind == ENTRY_DIR && n->mode == 0700);
	}
	CASE("whatever holds a secret is 0600, root's, masked when shown and no part of the shared layer")
	{
		struct tree *t;

		setenv("TEST_TOKEN", "CANARY-dns-token", 1);
		for (size_t i = 0; i < 5; i++) {
			t = tree_of(ctx_of(THREE "certManager: {dns01: {provider: cloudflare, apiToken: {env: "
						 "TEST_TOKEN}}}\n",
					   i));
			vec_foreach (n, &t->entries) {
				if (n->kind != ENTRY_FILE || n->source != SOURCE_BYTES ||
				    !memmem(n->bytes, n->size, "CANARY", 6))
					continue;
				CHECK_INT(n->mode, 0600);
				CHECK(n->secret && n->uid == 0 && n->gid == 0 && n->layer == LAYER_NODE);
				CHECK(!entry_on_boot(n));
			}
		}
	}
	CASE("a node without a password in the secrets file is an error that names it")
	{
		struct node_ctx *x = ctx_of(SINGLE, 0);
		struct secrets none = canaries;
		struct tree t = { 0 };

		memset(&none.nodes, 0, sizeof(none.nodes));
		x->secrets = &none;
		CHECK(node_add_k3s(x, &t, &error) < 0);
		CHECK(error.class == CLASS_CONFIG && has(error.msg, "cp-1"));
	}
}

/* ---- K3s ---- */

static void without(struct yaml_node *map, const char *const *keys)
{
	for (; *keys; keys++)
		yaml_set(map, *keys, yaml_str(""));
}

static void k3s_cases(void)
{
	CASE("servers agree on everything K3s compares")
	{
		static const char *const own[] = { "node-name", "node-ip", "node-label", NULL };
		const char *text[3];

		for (size_t i = 0; i < 3; i++) {
			struct yaml_node *doc = yaml_of(file_of(THREE, i, CONFIG_YAML)), *same = yaml_map();
			struct strbuf b = { 0 };

			without(doc, own);
			for (size_t k = 0; k < doc->count; k++)
				if (doc->items[k]->type != YAML_SCALAR || doc->items[k]->n)
					yaml_set(same, doc->keys[k]->text, doc->items[k]);
			yaml_emit(same, NULL, &b);
			text[i] = arena_strdup(b.s);
			strbuf_done(&b);
		}
		CHECK(has(text[0], "cluster-cidr"));
		CHECK_STR(text[1], text[0]);
		CHECK_STR(text[2], text[0]);
	}
	CASE("no file says that a node starts a cluster or joins a server: that is found on the card")
	{
		for (size_t i = 0; i < 4; i++) {
			struct yaml_node *doc = yaml_of(file_of(THREE, i, CONFIG_YAML));

			CHECK(!yaml_get(doc, "cluster-init") && !yaml_get(doc, "server"));
			CHECK_STR(file_of(THREE, i, SERVERS),
				  "cp-1 192.168.1.11\ncp-2 192.168.1.12\ncp-3 192.168.1.13\n");
		}
		CHECK(*file_of(THREE, 1, ADMIN_KEY));
		CHECK(!*file_of(THREE, 3, ADMIN_KEY));
	}
	CASE("a single server keeps SQLite and has nothing to find, unless etcd is asked for")
	{
		CHECK(!*file_of(SINGLE, 0, SERVERS));
		CHECK(!*file_of(SINGLE, 0, ADMIN_KEY));
		CHECK_STR(file_of("apiVersion: pibuild/v1\ncluster: {name: t, datastore: etcd}\n"
				  "access: {user: pi}\n" NODES CP_1,
				  0, SERVERS),
			  "cp-1 192.168.1.11\n");
	}
	CASE("flannel, kube-proxy, the network policy controller, servicelb and traefik are off")
	{
		struct yaml_node *doc = yaml_of(file_of(SINGLE, 0, CONFIG_YAML)), *off = yaml_get(doc, "disable");

		CHECK_STR(value_of(doc, "flannel-backend"), "none");
		CHECK_STR(value_of(doc, "disable-kube-proxy"), "true");
		CHECK_STR(value_of(doc, "disable-network-policy"), "true");
		CHECK(off && off->count == 2);
		CHECK_STR(off->items[0]->text, "servicelb");
		CHECK_STR(off->items[1]->text, "traefik");
	}
	CASE("a server has the agent token bare, a worker in its full form")
	{
		CHECK_STR(value_of(yaml_of(file_of(THREE, 0, CONFIG_YAML)), "agent-token"), "CANARY-agent-password");
		CHECK_STR(value_of(yaml_of(file_of(THREE, 3, CONFIG_YAML)), "token"),
			  "K10abc::node:CANARY-agent-password");
	}
	CASE("a worker sets nothing that only servers may set")
	{
		struct yaml_node *doc = yaml_of(file_of(THREE, 3, CONFIG_YAML));
		static const char *const known[] = { "node-name", "node-ip", "node-label", "resolv-conf", "token" };

		for (size_t i = 0; i < doc->count; i++) {
			size_t k;

			for (k = 0; k < ARRAY_SIZE(known) && !streq(known[k], doc->keys[i]->text); k++)
				;
			CHECK(k < ARRAY_SIZE(known));
		}
	}
	CASE("an endpoint that is no server leads to one too, and its name is in the certificate, once")
	{
		static const char cluster[] = "apiVersion: pibuild/v1\ncluster: {name: t, endpoint: cp-1}\n"
					      "access: {user: pi}\n" LAN NODES CP_1 W_1;
		struct yaml_node *names = yaml_get(yaml_of(file_of(cluster, 0, CONFIG_YAML)), "tls-san");

		CHECK_STR(file_of(cluster, 1, SERVERS), "cp-1 192.168.1.11\n- cp-1\n");
		CHECK(names && names->count == 2);
		CHECK_STR(names->items[0]->text, "cp-1");
		CHECK_STR(names->items[1]->text, "192.168.1.11");
	}
	CASE("a node gives itself no role label")
	{
		CHECK(!has(file_of(THREE, 3, CONFIG_YAML), "node-role"));
		CHECK(has(file_of(THREE, 3, CONFIG_YAML), "node-label:\n- pibuild/board=rpi5\n"));
	}
	CASE("a server has k3s.service only, a worker k3s-agent.service only")
	{
		struct tree *server = tree_of(ctx_of(THREE, 0)), *worker = tree_of(ctx_of(THREE, 3));

		CHECK(tree_find(server, "/etc/systemd/system/k3s.service"));
		CHECK(!tree_find(server, "/etc/systemd/system/k3s-agent.service"));
		CHECK(tree_find(worker, "/etc/systemd/system/k3s-agent.service"));
		CHECK(!tree_find(worker, "/etc/systemd/system/k3s.service"));
	}
	CASE("kubectl, crictl and ctr are k3s")
	{
		const struct entry *n = tree_find(tree_of(ctx_of(SINGLE, 0)), "/usr/local/bin/kubectl");

		CHECK(n && n->kind == ENTRY_SYMLINK);
		CHECK_STR(n ? n->bytes : "", "k3s");
	}
}

/* ---- Cilium ---- */

static const char *value(const char *cluster, const char *path)
{
	return value_of(yaml_of(file_of(cluster, 0, VALUES)), path);
}

static void cilium_cases(void)
{
	CASE("every node reaches the API at 127.0.0.1:6444, without kube-proxy")
	{
		CHECK_STR(value(SINGLE, "k8sServiceHost"), "127.0.0.1");
		CHECK_STR(value(SINGLE, "k8sServicePort"), "6444");
		CHECK_STR(value(SINGLE, "kubeProxyReplacement"), "true");
		CHECK_STR(value(SINGLE, "kubeProxyReplacementHealthzBindAddr"), "0.0.0.0:10256");
	}
	CASE("one operator on one server, two on three, and no taint keeps it off")
	{
		struct yaml_node *all = yaml_find(yaml_of(file_of(SINGLE, 0, VALUES)), "operator.tolerations");

		CHECK_STR(value(SINGLE, "operator.replicas"), "1");
		CHECK_STR(value(THREE, "operator.replicas"), "2");
		CHECK(all && all->count == 1 && all->items[0]->count == 1);
	}
	CASE("the operator is bound to the label that K3s sets, its value text")
	{
		CHECK(has(file_of(SINGLE, 0, VALUES), "node-role.kubernetes.io/control-plane: \"true\""));
		CHECK(!has(file_of(SINGLE, 0, VALUES), "master"));
	}
	CASE("pods get the cluster's own network in K3s and in Cilium")
	{
		static const char cluster[] = "apiVersion: pibuild/v1\ncluster: {name: t, podCIDR: 172.20.0.0/16}\n"
					      "access: {user: pi}\n" NODES CP_1;
		struct yaml_node *list = yaml_find(yaml_of(file_of(cluster, 0, VALUES)),
						   "ipam.operator.clusterPoolIPv4PodCIDRList");

		CHECK(list && list->count == 1);
		CHECK_STR(list ? list->items[0]->text : "", "172.20.0.0/16");
		CHECK_STR(value_of(yaml_of(file_of(cluster, 0, CONFIG_YAML)), "cluster-cidr"), "172.20.0.0/16");
	}
	CASE("one board that cannot run Envoy keeps it off everywhere, and all that needs it")
	{
		static const char mixed[] = HEAD LAN NODES CP_1 NODE("w-1", "worker", "rpi4", "21");

		CHECK_STR(value(mixed, "l7Proxy"), "false");
		CHECK_STR(value(mixed, "envoy.enabled"), "false");
		CHECK_STR(value(mixed, "ingressController.enabled"), "false");
		CHECK_STR(value(mixed, "gatewayAPI.enabled"), "false");
		CHECK_STR(value(SINGLE, "l7Proxy"), "true");
		CHECK_STR(value(SINGLE, "ingressController.enabled"), "true");
		CHECK_STR(value(SINGLE, "gatewayAPI.gatewayClass.create"), "true");
	}
	CASE("the same boards run Envoy on a Debian kernel")
	{
		static const char debian[] = HEAD LAN
			"os: {base: debian}\n" NODES NODE("a", "control-plane", "rpi4", "11");

		CHECK_STR(value_of(cilium_values(ctx_of(debian, 0), NULL), "l7Proxy"), "true");
	}
	CASE("cards of Debian have a disk id each, the same in every build; Raspberry Pi OS makes one at its first "
	     "boot")
	{
		static const char debian[] = HEAD LAN
			"os: {base: debian}\n" NODES NODE("a", "control-plane", "rpi4", "11")
				NODE("b", "worker", "rpi4", "12");
		static const char fstab[] = "PARTUUID=aabbccdd-01  /boot/firmware  vfat\n"
					    "PARTUUID=aabbccdd-02  /  ext4\nUUID=aabbccdd-02 PARTUUID=12\n";
		static const char *const files[] = { "/etc/fstab", "/etc/default/raspi-firmware",
						     "/boot/firmware/cmdline.txt" };
		const struct tree *a = tree_of(ctx_of(debian, 0)), *b = tree_of(ctx_of(debian, 1));

		CHECK(a->disk_id && b->disk_id && a->disk_id != b->disk_id);
		CHECK_INT(tree_of(ctx_of(debian, 0))->disk_id, a->disk_id);
		CHECK_INT(tree_of(ctx_of(SINGLE, 0))->disk_id, 0);
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			const struct entry *n = tree_find(a, files[i]);
			_cleanup_strbuf_ struct strbuf out = { 0 };

			CHECK(n && n->layer == LAYER_NODE);
			CHECK(n && n->edit(n->edit_arg, fstab, strlen(fstab), &out, &error) == 0);
			CHECK(strstr(str_or(out.s, ""), arena_printf("PARTUUID=%08x-01 ", a->disk_id)));
			if (i < 2) {
				CHECK(strstr(out.s, arena_printf("PARTUUID=%08x-02 ", a->disk_id)));
				CHECK(strstr(out.s, "\nUUID=aabbccdd-02 PARTUUID=12\n"));
			}
		}
		CHECK(!tree_find(tree_of(ctx_of(SINGLE, 0)), "/etc/fstab"));
	}
	CASE("images of an air-gapped cluster are named by tag, others by digest")
	{
		static const char closed[] = SINGLE "airgap: true\n";
		static const char *const images[] = {
			"image",
			"operator.image",
			"envoy.image",
			"hubble.relay.image",
			"hubble.ui.backend.image",
			"hubble.ui.frontend.image",
			"certgen.image",
		};

		for (size_t i = 0; i < ARRAY_SIZE(images); i++)
			CHECK_STR(value(closed, arena_printf("%s.useDigest", images[i])), "false");
		CHECK(!has(file_of(SINGLE, 0, VALUES), "useDigest"));
	}
	CASE("without pools nothing is announced")
	{
		struct tree *t = tree_of(ctx_of(HEAD NODES CP_1, 0));

		CHECK(!tree_find(t, POOLS) && !tree_find(t, POLICY));
		CHECK(!has(text_of(t, VALUES), "l2announcements"));
	}
	CASE("the pool's API version is the one the Cilium version serves")
	{
		CHECK(has(file_of(SINGLE, 0, POOLS), "apiVersion: cilium.io/v2\n"));
		CHECK(has(file_of(SINGLE "versions: {cilium: 1.17.18}\n", 0, POOLS),
			  "apiVersion: cilium.io/v2alpha1\n"));
		CHECK(has(file_of(SINGLE "versions: {cilium: 1.18.12}\n", 0, POOLS), "apiVersion: cilium.io/v2\n"));
	}
	CASE("only the first server holds what is installed into the cluster")
	{
		for (size_t i = 1; i < 5; i++)
			CHECK(!tree_find(tree_of(ctx_of(THREE, i)), VALUES) &&
			      !tree_find(tree_of(ctx_of(THREE, i)), POOLS));
	}
	CASE("Gateway API CRDs are on the card unless nobody uses them, also where K3s brings them late")
	{
		static const char path[] = "/etc/pibuild/manifests/gateway-api.yaml";

		CHECK(tree_find(tree_of(ctx_of(SINGLE, 0)), path));
		CHECK(!tree_find(tree_of(ctx_of(SINGLE "cilium: {gatewayAPI: false}\n", 0)), path));
		CHECK(tree_find(tree_of(ctx_of(SINGLE "versions: {k3s: v1.37.1+k3s1}\n", 0)), path));
		CHECK(!tree_find(tree_of(ctx_of(HEAD NODES NODE("a", "control-plane", "rpi4", "11"), 0)), path));
	}
}

/* "NAME: NODES on INTERFACE" of one policy. */
static const char *policy_text(const struct yaml_node *doc)
{
	const struct yaml_node *list = yaml_find(doc, "spec.nodeSelector.matchExpressions");
	const struct yaml_node *interfaces = yaml_find(doc, "spec.interfaces");
	const struct yaml_node *names = list ? yaml_get(list->items[0], "values") : NULL;
	const char *nodes = "all";

	CHECK_STR(value_of(doc, "spec.loadBalancerIPs"), "true");
	CHECK_INT(interfaces->count, 1);
	if (list)
		nodes = arena_printf("%s %s", strchr(value_of(list->items[0], "key"), '/') + 1,
				     value_of(list->items[0], "operator"));
	for (size_t i = 0; names && i < names->count; i++)
		nodes = arena_printf("%s %s", nodes, names->items[i]->text);
	return arena_printf("%s: %s on %s", value_of(doc, "metadata.name"), nodes, interfaces->items[0]->text);
}

static const char *policies_text(const char *yaml)
{
	const char *text = "", *end;

	for (const char *at = yaml; at; at = end ? end + strlen("\n---\n") : NULL) {
		end = strstr(at, "\n---\n");
		text = arena_printf("%s%s%s", text, *text ? "; " : "",
				    policy_text(yaml_of(end ? arena_strndup(at, end - at + 1) : at)));
	}
	return text;
}

#define WIFI_LAN(more)                                                                                                 \
	"network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1]" more                      \
	", wifi: {ssid: x, passphrase: {env: TEST_TOKEN}, country: DE}}\n"                                             \
	"loadBalancer:\n  pools: [{name: lan, range: 192.168.1.65-192.168.1.70}]\n"
#define W_WIFI	     NODE("z-1", "worker", "zero2w", "31")
#define ONLY_WORKERS "control-plane DoesNotExist"

static void policy_cases(void)
{
	static const struct {
		const char *name, *cluster, *policies;
		const char *promiscuous; /* nodes, in their order */
	} rows[] = {
		{ "one node", SINGLE, "lan: all on ^eth0$", "" },
		{ "servers only", HEAD LAN NODES CP_1 CP_2 CP_3, "lan: all on ^eth0$", "" },
		{ "servers and workers", THREE, "lan: " ONLY_WORKERS " on ^eth0$", "" },
		{ "all asked for", HEAD LAN "  announce: {nodes: all}\n" NODES CP_1 W_1, "lan: all on ^eth0$", "" },
		{ "workers asked for", HEAD LAN "  announce: {nodes: workers}\n" NODES CP_1 W_1,
		  "lan: " ONLY_WORKERS " on ^eth0$", "" },
		{ "a VLAN",
		  HEAD "network: {subnet: 192.168.1.0/24, gateway: 192.168.1.1, nameservers: [192.168.1.1], vlan: "
		       "10}\nloadBalancer: {pools: [{name: lan, range: 192.168.1.65-192.168.1.70}]}\n" NODES CP_1,
		  "lan: all on ^eth0\\.10$", "" },
		{ "an interface that nobody has", HEAD LAN "  announce: {interfaces: [eth0, end0]}\n" NODES CP_1,
		  "lan: all on ^eth0$", "" },
		{ "a Wi-Fi worker among wired ones", HEAD WIFI_LAN("") NODES CP_1 W_1 W_WIFI,
		  "lan: hostname In w-1 on ^eth0$", "" },
		{ "only Wi-Fi workers: a wired server goes before them", HEAD WIFI_LAN("") NODES CP_1 W_WIFI,
		  "lan: control-plane Exists on ^eth0$", "" },
		{ "wired ones of all nodes", HEAD WIFI_LAN("") "  announce: {nodes: all}\n" NODES CP_1 W_1 W_WIFI,
		  "lan: hostname In cp-1 w-1 on ^eth0$", "" },
		{ "Wi-Fi workers asked for", HEAD WIFI_LAN("") "  announce: {nodes: workers}\n" NODES CP_1 W_WIFI,
		  "lan: " ONLY_WORKERS " on ^wlan0$", "z-1" },
		{ "both interfaces asked for",
		  HEAD WIFI_LAN("") "  announce: {interfaces: [wlan0, eth0]}\n" NODES CP_1 W_1 W_WIFI,
		  "lan: hostname In w-1 on ^eth0$; lan-wlan0: hostname In z-1 on ^wlan0$", "z-1" },
		{ "Wi-Fi asked for beside Ethernet",
		  HEAD WIFI_LAN("") "  announce: {interfaces: [wlan0], nodes: all}\n" NODES CP_1 W_1 W_WIFI,
		  "lan: hostname In z-1 on ^wlan0$", "z-1" },
		{ "everything on Wi-Fi", HEAD WIFI_LAN(", interface: wlan0") NODES CP_1 W_1 W_WIFI,
		  "lan: " ONLY_WORKERS " on ^wlan0$", "w-1 z-1" },
		{ "one node on Wi-Fi", HEAD WIFI_LAN(", interface: wlan0") NODES CP_1, "lan: all on ^wlan0$", "cp-1" },
		{ "a Wi-Fi worker beside a VLAN", HEAD WIFI_LAN(", vlan: 20") NODES CP_1 W_1 W_WIFI,
		  "lan: hostname In w-1 on ^eth0\\.20$", "" },
	};

	setenv("TEST_TOKEN", "12345678", 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CASE(arena_printf("announcements: %s", rows[i].name))
		{
			struct node_ctx *x = ctx_of(rows[i].cluster, 0);
			const char *promiscuous = "";

			CHECK_STR(policies_text(text_of(tree_of(x), POLICY)), rows[i].policies);
			for (size_t n = 0; n < x->config->nodes.n; n++)
				if (tree_find(tree_of(ctx_of(rows[i].cluster, n)),
					      "/etc/udev/rules.d/70-pibuild-promiscuous.rules"))
					promiscuous = arena_printf("%s%s%s", promiscuous, *promiscuous ? " " : "",
								   x->config->nodes.v[n].name);
			CHECK_STR(promiscuous, rows[i].promiscuous);
		}
	}
}

/* ---- cert-manager ---- */

/* A certManager section that gives every key of P, secrets from $TEST_TOKEN. */
static const char *section_of(const struct dns01_provider *p)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_addf(&b, "certManager:\n  email: a@b.org\n  zones: [home.b.org]\n  dns01:\n    provider: %s\n", p->name);
	for (const struct dns01_key *k = p->keys; k->key; k++)
		strbuf_addf(&b, "    %s: %s\n", k->key, k->secret_path ? "{env: TEST_TOKEN}" : k->example);
	return arena_strdup(b.s);
}

static bool has_secret(const struct dns01_provider *p)
{
	for (const struct dns01_key *k = p->keys; k->key; k++)
		if (k->secret_path)
			return true;
	return false;
}

static void provider_case(const struct dns01_provider *p)
{
	const char *cluster = arena_printf("%s%s", SINGLE, section_of(p));
	struct tree *t = tree_of(ctx_of(cluster, 0));
	struct yaml_node **docs, *solver, *secret = has_secret(p) ? yaml_of(text_of(t, DNS01)) : NULL;
	const char *path = arena_printf("/tmp/issuers-%d.yaml", (int)getpid()), *text = text_of(t, ISSUERS);
	size_t n = 0;

	if (file_publish(path, text, strlen(text), 0600, &error) < 0 || yaml_load_all(path, MIB, &docs, &n, &error) < 0)
		CHECK_FAILED("%s", error.msg);
	unlink(path);
	CHECK_INT(n, 2);
	if (n != 2)
		return;
	solver = yaml_find(docs[0], "spec.acme.solvers")->items[0];
	CHECK_STR(yaml_find(solver, "selector.dnsZones")->items[0]->text, "home.b.org");
	if (secret)
		CHECK_STR(value_of(secret, "metadata.namespace"), "cert-manager");
	for (const struct dns01_key *k = p->keys; k->key; k++) {
		const char *at = arena_printf("dns01.%s.%s", p->solver, k->secret_path ? k->secret_path : k->text_path);
		/* "key.json" holds a dot: no path. */
		const struct yaml_node *data = k->secret_path ? yaml_get(yaml_get(secret, "stringData"), k->secret_key)
							      : NULL;

		if (k->kind == &kind_app_values) {
			CHECK(yaml_find(solver, at) && yaml_find(solver, at)->type == YAML_MAP);
			continue;
		}
		if (!k->secret_path) {
			CHECK_STR(value_of(solver, at), k->example);
			continue;
		}
		CHECK_STR(value_of(solver, arena_printf("%s.name", at)), value_of(secret, "metadata.name"));
		CHECK_STR(value_of(solver, arena_printf("%s.key", at)), k->secret_key);
		CHECK_STR(data ? data->text : NULL, "tok:\"en\"#1");
	}
}

static void cert_manager_cases(void)
{
	setenv("TEST_TOKEN", "tok:\"en\"#1", 1);
	for (size_t i = 0; i < dns01_providers_count; i++)
		CASE(arena_printf("%s: every key lands in the solver or, by reference, in the Secret",
				  dns01_providers[i].name))
	provider_case(&dns01_providers[i]);
	CASE("without certManager nothing of it is on the card")
	{
		struct tree *t = tree_of(ctx_of(SINGLE, 0));

		CHECK_STR(holder(t, "cert-manager.io"), "");
		CHECK(!tree_find(t, "/etc/pibuild/cert-manager-values.yaml"));
		CHECK(!tree_find(t, "/usr/share/pibuild/charts/cert-manager.tgz"));
	}
	CASE("issuers are the ones asked for")
	{
		const char *one = file_of(SINGLE "certManager: {issuers: [letsencrypt-staging], dns01: {provider: "
						 "cloudflare, apiToken: {env: TEST_TOKEN}}}\n",
					  0, ISSUERS);

		CHECK(has(one, "name: letsencrypt-staging") && has(one, "acme-staging-v02"));
		CHECK(!has(one, "letsencrypt-production"));
	}
	CASE("a wildcard certificate per zone comes from the production issuer")
	{
		const char *text = file_of(SINGLE
					   "certManager: {zones: [a.org, b.org], wildcard: true, dns01: {provider: "
					   "cloudflare, apiToken: {env: TEST_TOKEN}}}\n",
					   0, ISSUERS);

		CHECK(has(text, "secretName: wildcard-a.org") && has(text, "\"*.b.org\""));
	}
	CASE("the key of the Gateway API switch is the one the chart's version knows")
	{
		static const char path[] = "/etc/pibuild/cert-manager-values.yaml";
		static const char on[] = SINGLE "certManager: {}\n";

		CHECK_STR(value_of(yaml_of(file_of(on, 0, path)), "config.gatewayAPI.enabled"), "true");
		CHECK_STR(value_of(yaml_of(file_of(SINGLE "certManager: {}\nversions: {certManager: v1.19.6}\n", 0,
						   path)),
				   "config.enableGatewayAPI"),
			  "true");
		CHECK(!has(file_of(SINGLE "certManager: {}\ncilium: {gatewayAPI: false}\n", 0, path), "ateway"));
	}
	CASE("while secrets are only probed nothing of them is read")
	{
		struct node_ctx *x = ctx_of(SINGLE "certManager: {dns01: {provider: cloudflare, apiToken: {env: "
						   "TEST_TOKEN}}}\n",
					    0);

		x->secret_use = SECRET_PROBE;
		CHECK_STR(holder(tree_of(x), "tok: "), "");
		CHECK(has(text_of(tree_of(x), DNS01), SECRETS_MASK));
	}
}

/* ---- the user's values file ---- */

/* All messages about VALUES over CLUSTER, one per line, notes marked. */
static const char *judged(const char *cluster, const char *values)
{
	struct node_ctx *x = ctx_of(cluster, 0);
	struct config *c = unconst(x->config);
	struct strbuf all = { 0 };
	const char *text;

	c->cilium.values = yaml_of(values);
	memset(&faults, 0, sizeof(faults));
	cilium_values(x, &faults);
	vec_foreach (f, &faults.list)
		strbuf_addf(&all, "%s%s:%u: %s\n", f->note ? "note " : "", f->file, f->line, f->msg);
	text = arena_strdup(str_or(all.s, ""));
	strbuf_done(&all);
	return text;
}

static void values_cases(void)
{
	static const char pi4[] = HEAD LAN NODES NODE("a", "control-plane", "rpi4", "11");
	static const char closed[] = SINGLE "airgap: true\n";
	static const struct {
		const char *name, *cluster, *values, *message;
	} bad[] = {
		{ "a mistyped key", SINGLE, "ipam:\n  operator:\n    clusterPoolIPv4PodCIDRLists: []\n",
		  "test:3: ipam.operator.clusterPoolIPv4PodCIDRLists: the chart of Cilium 1.20.0 has no such key" },
		{ "the nearest key is named", SINGLE, "rollOutCiliumPod: true\n", "did you mean 'rollOutCiliumPods'?" },
		{ "a key that lost its indentation", SINGLE, "leaseDuration: 15s\n",
		  "did you mean 'l2announcements.leaseDuration'?" },
		{ "a key of a later minor version", SINGLE "versions: {cilium: 1.19.6}\n",
		  "operator: {hostUsers: true}\n", "the chart of Cilium 1.19.6 has no such key" },
		{ "text where the chart wants a number", SINGLE, "operator: {replicas: \"2\"}\n",
		  "operator.replicas: the chart wants a whole number" },
		{ "nothing where the chart wants a map", SINGLE, "bandwidthManager:\n",
		  "bandwidthManager: the chart wants a map of keys" },
		{ "another API address", SINGLE, "k8sServiceHost: 192.168.1.11\n", "must be 127.0.0.1" },
		{ "an API address from a ConfigMap", SINGLE, "k8sServiceHostRef: {name: a, key: b}\n",
		  "refuses it beside k8sServiceHost" },
		{ "the kubelet's port for health checks", SINGLE,
		  "kubeProxyReplacementHealthzBindAddr: \"0.0.0.0:10250\"\n", "belongs to the kubelet" },
		{ "a port of K3s for health checks", SINGLE, "kubeProxyReplacementHealthzBindAddr: \"0.0.0.0:10259\"\n",
		  "belongs to the scheduler" },
		{ "certificates that are never renewed", SINGLE, "hubble: {tls: {auto: {method: helm}}}\n",
		  "stops after 365 days" },
		{ "an operator that a taint keeps off", SINGLE,
		  "operator:\n  tolerations:\n    - {key: node-role.kubernetes.io/control-plane, operator: Exists}\n",
		  "add {operator: Exists}" },
		{ "devices without the node's interface", SINGLE, "devices: [end0]\n", "leaves out eth0" },
		{ "devices that exclude the node's interface", SINGLE, "devices: ['!eth0']\n", "leaves out eth0" },
		{ "Envoy on a 39-bit kernel", pi4, "envoy: {enabled: true}\n", "39 address bits" },
		{ "the L7 proxy on a 39-bit kernel", pi4, "l7Proxy: true\n", "39 address bits" },
		{ "ingress without the L7 proxy", SINGLE, "l7Proxy: false\n", "refuses ingress and Gateway API" },
		{ "no GatewayClass", SINGLE, "gatewayAPI: {gatewayClass: {create: \"false\"}}\n",
		  "no Gateway is ever served" },
		{ "too few requests for the pool", SINGLE, "k8sClientRateLimit: {qps: 5, burst: 10}\n",
		  "up to 13 leases a second" },
		{ "native routing alone", SINGLE, "routingMode: native\n", "set ipv4NativeRoutingCIDR: 10.42.0.0/16" },
		{ "IPv6", SINGLE, "ipv6: {enabled: true}\n", "must be false" },
		{ "no operator", SINGLE, "operator: {enabled: false}\n", "must be true" },
		{ "a label value that is no text", SINGLE, "hubble: {relay: {nodeSelector: {a/b: true}}}\n",
		  "must be text: put it in quotes" },
		{ "an empty role label", SINGLE,
		  "operator: {nodeSelector: {node-role.kubernetes.io/control-plane: \"\"}}\n",
		  "nothing would match ''" },
		{ "a ServiceMonitor before its CRD", SINGLE, "prometheus: {serviceMonitor: {enabled: true}}\n",
		  "without the ServiceMonitor CRD" },
		{ "a digest on a closed network", closed, "envoy: {image: {useDigest: true}}\n", "would be pulled" },
		{ "another image on a closed network", closed, "operator: {image: {tag: v1.19.0}}\n",
		  "holds the images of the chart" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CASE(arena_printf("values file, refused: %s", bad[i].name))
		{
			const char *text = judged(bad[i].cluster, bad[i].values);

			CHECK(faults.errors > 0);
			if (!has(text, bad[i].message))
				CHECK_FAILED("got: %s", text);
		}
	}
}

static void good_values_cases(void)
{
	static const char *const clusters[] = {
		SINGLE,
		THREE,
		SINGLE "airgap: true\n",
		SINGLE "versions: {cilium: 1.19.6}\n",
		SINGLE "versions: {cilium: 1.18.12}\n",
		HEAD LAN NODES NODE("a", "control-plane", "rpi4", "11"),
		SINGLE "cilium: {hubble: {relay: false, ui: false}, ingress: false, gatewayAPI: false}\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(clusters); i++)
		CASE(arena_printf("generated values %zu are all known to the chart, of its types, and pass every rule",
				  i))
		{
			CHECK_STR(judged(clusters[i], file_of(clusters[i], 0, VALUES)), "");
			CHECK_INT(faults.list.n, 0);
		}
	CASE("values of the user's own are taken")
	{
		CHECK_STR(judged(SINGLE,
				 "bandwidthManager: {enabled: true}\nMTU: 1400\npodLabels: {a: b}\n"
				 "extraConfig: {x-y: \"1\"}\noperator: {resources: {limits: {memory: 128Mi}}}\n"),
			  "");
	}
	CASE("devices that have the interface of every node are taken")
	{
		CHECK(!has(judged(THREE, "devices: eth+ wlan0\n"), "leaves out"));
		CHECK(!has(judged(THREE, "devices: ['!docker0']\n"), "leaves out"));
	}
	CASE("what goes over a generated value is noted with both places")
	{
		CHECK_STR(judged(SINGLE, "\nrollOutCiliumPods: false\n"),
			  "note test:2: rollOutCiliumPods: goes over pibuild's own value, which is true\n");
	}
	CASE("a key unknown to a list that does not cover the version is a note, no fault")
	{
		const char *text = judged(SINGLE "versions: {cilium: 1.17.18}\n", "someNewThing: 1\n");

		CHECK(has(text, "note test:1: someNewThing: pibuild does not know this key"));
		CHECK_INT(faults.errors, 0);
	}
	CASE("the user's values are merged deep, and win")
	{
		struct node_ctx *x = ctx_of(SINGLE, 0);
		struct yaml_node *v;

		((struct config *)unconst(x->config))->cilium.values = yaml_of(
			"operator: {rollOutPods: false}\nMTU: 1400\n");
		v = cilium_values(x, NULL);
		CHECK_STR(value_of(v, "operator.rollOutPods"), "false");
		CHECK_STR(value_of(v, "operator.replicas"), "1");
		CHECK_STR(value_of(v, "MTU"), "1400");
	}
}

/* NetworkManager takes "16;17;" for two bytes and \; for a semicolon (ssid_parser in nm-keyfile.c). */
static void ssid_cases(void)
{
	static const struct {
		const char *ssid, *line;
	} rows[] = {
		{ "Home #1", "ssid=Home #1" },
		{ "16;17;", "ssid=16\\\\;17\\\\;" },
		{ "a\\;b", "ssid=a\\\\\\\\;b" },
		{ " x", "ssid=\\sx" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CASE(arena_printf("SSID %s", rows[i].ssid))
		{
			struct strbuf b = { 0 };

			strbuf_adds(&b, "ssid=");
			encode_ssid(&b, rows[i].ssid);
			CHECK_STR(b.s, rows[i].line);
			strbuf_done(&b);
		}
	}
}

/* ---- backups ---- */

static bool backup_needs(const char *cluster, const char *path)
{
	struct tree t = { 0 };

	if (node_add_backup(ctx_of(cluster, 0), &t, &error) < 0)
		CHECK_FAILED("%s", error.msg);
	vec_foreach (n, &t.needs)
		if (streq(n->path, path))
			return true;
	return false;
}

static void backup_cases(void)
{
	CASE("SQLite is backed up by python3, which the base has or os.packages brings; etcd by K3s")
	{
		static const char disk[] = "backup: {to: {disk: BACKUP}}\n";

		CHECK(backup_needs(arena_printf(SINGLE "%s", disk), "/usr/bin/python3"));
		CHECK(!backup_needs(arena_printf(SINGLE "%sos: {packages: [python3]}\n", disk), "/usr/bin/python3"));
		CHECK(!backup_needs(arena_printf(THREE "%s", disk), "/usr/bin/python3"));
	}
}

int main(void)
{
	setenv("PIBUILD_DATA", ".", 0);
	secrets_cases();
	k3s_cases();
	cilium_cases();
	policy_cases();
	cert_manager_cases();
	values_cases();
	good_values_cases();
	ssid_cases();
	backup_cases();
	return check_done();
}
