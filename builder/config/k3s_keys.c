/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of the k3s section: keys that K3s itself takes, with the kinds of their values. Which there are is no
 * knowledge of ours: configs/names/k3s-keys.txt, made from K3s's source (k3s-io/k3s pkg/cli/cmds). Which of them would
 * undo what pibuild decides stands here, with what to write instead.
 *
 * A server passes over a key that it does not know, with one line in its log, and an agent does not start
 * (k3s-io/k3s pkg/configfilearg/parser.go), so both are faults here.
 */
#include "config/k3s_keys.h"

#include "config/internal.h"
#include "config/names.h"
#include "config/settings.h"

/* ---- keys that pibuild owns ---- */

static const char is_secret[] = "it is one of the cluster's secrets, and pibuild writes it",
		  is_cilium[] = "Cilium is the cluster's network",
		  finds_cluster[] = "each server finds out at its start",
		  is_one_machine[] = "every node would have the same, and it has to be one machine's",
		  is_local_api[] =
			  "Cilium reaches the API at 127.0.0.1:6444 of every node, everybody else at port 6443",
		  is_whole_server[] = "a server without it does not do what this cluster needs",
		  is_containerd[] = "pibuild's images and mirrors are for K3s's own containerd",
		  is_datastore[] = "the servers keep the cluster's state themselves",
		  is_written[] = "a secret must not be written here, where git and backups keep it";
static const char leave_out[] = "leave it out", see_secrets[] = "it is in secrets.yaml: pibuild secrets show";

static const struct owned_key {
	const char *key;
	const char *value; /* refused with this value alone; NULL = with any */
	const char *why, *instead;
} owned_keys[] = {
	{ "token", NULL, is_secret, see_secrets },
	{ "token-file", NULL, is_secret, see_secrets },
	{ "agent-token", NULL, is_secret, see_secrets },
	{ "agent-token-file", NULL, is_secret, see_secrets },
	{ "server", NULL, finds_cluster, "set cluster.endpoint for an address of your own" },
	{ "cluster-init", NULL, finds_cluster, "set cluster.datastore: etcd" },
	{ "cluster-reset", NULL, "it would forget all other servers at every start", leave_out },
	{ "cluster-reset-restore-path", NULL, "it would bring back an old state at every start", leave_out },
	{ "node-name", NULL, is_one_machine, "set nodes[].name" },
	{ "with-node-id", NULL, "a card that is made anew has to be the node it was", leave_out },
	{ "node-ip", NULL, is_one_machine, "set nodes[].address" },
	{ "node-external-ip", NULL, is_one_machine, leave_out },
	{ "node-internal-dns", NULL, is_one_machine, leave_out },
	{ "node-external-dns", NULL, is_one_machine, leave_out },
	{ "bind-address", NULL, is_one_machine, leave_out },
	{ "advertise-address", NULL, is_one_machine, leave_out },
	{ "advertise-port", NULL, is_local_api, leave_out },
	{ "https-listen-port", NULL, is_local_api, leave_out },
	{ "supervisor-port", NULL, is_local_api, leave_out },
	{ "apiserver-port", NULL, is_local_api, leave_out },
	{ "apiserver-bind-address", NULL, is_local_api, leave_out },
	{ "lb-server-port", NULL, is_local_api, leave_out },
	{ "disable-apiserver-lb", NULL, is_local_api, leave_out },
	{ "cluster-cidr", NULL, "Cilium has to know it too", "set cluster.podCIDR" },
	{ "service-cidr", NULL, "the checks of your networks go by it", "set cluster.serviceCIDR" },
	{ "cluster-domain", NULL, "Hubble and what charts bring count on cluster.local", leave_out },
	{ "egress-selector-mode", "pod", "it finds no pod whose address is Cilium's",
	  "use agent, cluster or disabled" },
	{ "flannel-backend", NULL, is_cilium, leave_out },
	{ "flannel-ipv6-masq", NULL, is_cilium, leave_out },
	{ "flannel-external-ip", NULL, is_cilium, leave_out },
	{ "flannel-iface", NULL, is_cilium, leave_out },
	{ "flannel-conf", NULL, is_cilium, leave_out },
	{ "flannel-cni-conf", NULL, is_cilium, leave_out },
	{ "vpn-auth", NULL, is_cilium, leave_out },
	{ "vpn-auth-file", NULL, is_cilium, leave_out },
	{ "disable-network-policy", NULL, is_cilium, leave_out },
	{ "disable-kube-proxy", NULL, "Cilium does what kube-proxy would", leave_out },
	{ "kube-proxy-arg", NULL, "Cilium does what kube-proxy would", "set values of Cilium: cilium.valuesFile" },
	{ "disable", NULL, "pibuild has a list of its own", "set k3s.disable" },
	{ "secrets-encryption", NULL, "a cluster is born with it", "set k3s.secretsEncryption" },
	{ "disable-agent", NULL, is_whole_server, leave_out },
	{ "disable-apiserver", NULL, is_whole_server, leave_out },
	{ "disable-controller-manager", NULL, is_whole_server, leave_out },
	{ "disable-etcd", NULL, is_whole_server, leave_out },
	{ "disable-scheduler", NULL, is_whole_server, leave_out },
	{ "datastore-endpoint", NULL, is_datastore, "set cluster.datastore" },
	{ "datastore-cafile", NULL, is_datastore, leave_out },
	{ "datastore-certfile", NULL, is_datastore, leave_out },
	{ "datastore-keyfile", NULL, is_datastore, leave_out },
	{ "kine-tls", NULL, is_datastore, leave_out },
	{ "etcd-s3-access-key", NULL, is_written, "put it into a Secret and name that: etcd-s3-config-secret" },
	{ "etcd-s3-secret-key", NULL, is_written, "put it into a Secret and name that: etcd-s3-config-secret" },
	{ "etcd-s3-session-token", NULL, is_written, "put it into a Secret and name that: etcd-s3-config-secret" },
	{ "etcd-snapshot-compress", NULL, "backups are compressed, and read again, as they are without it", leave_out },
	{ "embedded-registry", NULL, "every node needs its side of it", "set registries.share" },
	{ "private-registry", NULL, "pibuild writes that file", "set registries" },
	{ "docker", NULL, is_containerd, leave_out },
	{ "container-runtime-endpoint", NULL, is_containerd, leave_out },
	{ "image-service-endpoint", NULL, is_containerd, leave_out },
	{ "rootless", NULL, "Cilium needs root", leave_out },
	{ "data-dir", NULL, "what pibuild puts on a card lies in /var/lib/rancher/k3s", leave_out },
	{ "config", NULL, "it names the file that this goes into", leave_out },
	{ "log", NULL, "the report tells what K3s complains about, from the journal", leave_out },
	{ "write-kubeconfig", NULL, "the steps of first boot read it where it is",
	  "pibuild kubeconfig writes one for your machine" },
	{ "write-kubeconfig-mode", NULL, "whoever reads it is the cluster's admin, so it is root's alone",
	  "pibuild kubeconfig writes one for your machine" },
	{ "write-kubeconfig-group", NULL, "whoever reads it is the cluster's admin, so it is root's alone",
	  "pibuild kubeconfig writes one for your machine" },
	{ "write-kubeconfig-name", NULL, "the steps of first boot read it as it is",
	  "pibuild kubeconfig writes one for your machine" },
	{ "node-label", NULL, is_one_machine, "set nodes[].labels" },
	{ "node-taint", NULL, is_one_machine, "set nodes[].taints, or cluster.taintServers" },
	{ "resolv-conf", NULL, "pods ask the name servers that the nodes ask", "set network.nameservers" },
};

static const struct owned_key *owned_key(const char *key, const struct yaml_node *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(owned_keys); i++)
		if (streq(owned_keys[i].key, key) &&
		    (!owned_keys[i].value ||
		     (value && value->type == YAML_SCALAR && streq(value->text, owned_keys[i].value))))
			return &owned_keys[i];
	return NULL;
}

/* ---- values ---- */

/* K3s takes a single value for a list of one. */
static struct yaml_node *list_or_one(struct reading *l, const struct yaml_node *n, const char *path)
{
	struct yaml_node *seq;

	if (n->type != YAML_SCALAR)
		return setting_list(l, n, path);
	seq = yaml_seq();
	yaml_append(seq, setting_text(l, n, path));
	return seq;
}

/* By the words of the list. */
static const struct setting_kind {
	const char *name;
	setting_fn read;
	const char *json; /* what an editor is told of it */
} setting_kinds[] = {
	{ "boolean", setting_bool, "{\"type\": \"boolean\"}" },
	{ "number", setting_count, "{\"type\": \"integer\", \"minimum\": 0}" },
	{ "text", setting_text, "{\"type\": [\"string\", \"number\"]}" },
	{ "duration", setting_duration, "{\"type\": \"string\"}" },
	{ "list", list_or_one,
	  "{\"type\": [\"array\", \"string\", \"number\"], \"items\": {\"type\": [\"string\", \"number\"]}}" },
};

/* ---- keys ---- */

/* "server list hidden": who takes it, its kind, and a mark. */
struct k3s_key {
	const char *command;
	const struct setting_kind *kind;
	const char *mark; /* "" = none */
};

static struct k3s_key k3s_key_of(const char *words)
{
	struct k3s_key key = { .mark = "" };
	size_t command = strcspn(words, " "), kind;

	key.command = arena_strndup(words, command);
	words += command + (words[command] == ' ');
	kind = strcspn(words, " ");
	for (size_t i = 0; i < ARRAY_SIZE(setting_kinds); i++)
		if (strlen(setting_kinds[i].name) == kind && starts_with(words, setting_kinds[i].name))
			key.kind = &setting_kinds[i];
	if (words[kind])
		key.mark = arena_strdup(words + kind + 1);
	return key;
}

static bool key_is_for(const struct k3s_key *key, const char *command)
{
	return key->kind && (streq(key->command, command) || streq(key->command, "both"));
}

static const char *nearest_key(const char *text, const char *command)
{
	const struct name *all = NULL;
	struct err ignored = { 0 };
	const char **words;
	size_t n = 0, count = 0;

	if (names_all(NAMES_K3S_KEYS, &all, &n, &ignored) < 0)
		return NULL;
	words = arena_alloc((n + 1) * sizeof(*words));
	for (size_t i = 0; i < n; i++) {
		const struct k3s_key key = k3s_key_of(str_or(all[i].instead, ""));

		if (key_is_for(&key, command) && !owned_key(all[i].name, NULL))
			words[count++] = all[i].name;
	}
	return nearest_word(text, words, count);
}

static void unknown_k3s_key(struct reading *l, const struct yaml_node *key, const char *path, const char *command)
{
	const char *near = nearest_key(key->text, command);

	/* "tls-san+", as K3s writes it for a list that goes on. */
	if (ends_with(key->text, "+"))
		schema_fault(l, key, path, "lists are added to here in any case: write it without the '+'");
	else if (near)
		schema_fault(l, key, path, "`k3s %s` has no such key; did you mean '%s'?", command, near);
	else
		schema_fault(l, key, path, "`k3s %s` has no such key; %s lists those there are", command,
			     names_path(NAMES_K3S_KEYS));
}

/* Of these a card has a list already, which a node's own may go on from. */
static const char *const drop_in_lists[] = { "disable", "node-label", "node-taint", "tls-san" };

const char *k3s_drop_in_fault(const char *key, const struct yaml_node *value, const char *command, struct faults *f)
{
	bool adds = ends_with(key, "+"), list = false;
	const char *name = adds ? arena_strndup(key, strlen(key) - 1) : key;
	const struct owned_key *owned = owned_key(name, value);
	const struct name *found = NULL;
	struct err e = { 0 };
	struct k3s_key k;

	for (size_t i = 0; i < ARRAY_SIZE(drop_in_lists); i++)
		list |= streq(drop_in_lists[i], name);
	if (list)
		return adds ? NULL
			    : arena_printf("it would take the place of the list that pibuild writes; write %s+", name);
	/* What is one machine's alone has no other place than that node's overlay; its name is in many files. */
	if (owned && (owned->why != is_one_machine || streq(name, "node-name")))
		return arena_printf("%s; %s", owned->why, owned->instead);
	if (names_find(NAMES_K3S_KEYS, name, &found, &e) < 0)
		return faults_reason(f, &e);
	k = k3s_key_of(found ? str_or(found->instead, "") : "");
	return found && key_is_for(&k, command) ? NULL : arena_printf("`k3s %s` has no such key; remove it", command);
}

static void read_k3s_key(struct reading *l, const char *command, const struct yaml_node *key, const struct yaml_node *n,
			 const char *path, struct k3s_settings *ret)
{
	const struct owned_key *owned = owned_key(key->text, n);
	const struct name *found = NULL;
	struct err e = { 0 };
	struct k3s_key k;

	if (owned)
		return schema_fault(l, key, path, "cannot be set here: %s; %s", owned->why, owned->instead);
	if (names_find(NAMES_K3S_KEYS, key->text, &found, &e) < 0)
		return schema_fault(l, key, path, "%s", faults_reason(l->faults, &e));
	if (!found)
		return unknown_k3s_key(l, key, path, command);
	k = k3s_key_of(str_or(found->instead, ""));
	if (!key_is_for(&k, command))
		return schema_fault(l, key, path, "only `k3s %s` takes it, so it belongs below k3s.%s", k.command,
				    k.command);
	if (streq(k.mark, "deprecated") || streq(k.mark, "experimental"))
		note_at(l->faults, key, "%s: K3s calls this key %s: a later version may not take it", path, k.mark);
	*vec_push(ret) = (struct k3s_setting){ key->text, k.kind->read(l, n, path) };
}

static void read_k3s_keys(struct reading *l, const char *command, const struct yaml_node *n, const char *path,
			  void *dst)
{
	struct k3s_settings *settings = dst;

	if (schema_is_null(n))
		return;
	if (n->type != YAML_MAP)
		return schema_fault(l, n, path, "must hold keys of K3s (name: value), not %s",
				    n->type == YAML_SEQ ? "a list" : "a single value");
	for (size_t i = 0; i < n->count; i++)
		read_k3s_key(l, command, n->keys[i], n->items[i], schema_path(path, n->keys[i]->text), settings);
}

static void k3s_server_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			    void *dst)
{
	read_k3s_keys(l, "server", n, path, dst);
}

static void k3s_agent_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			   void *dst)
{
	read_k3s_keys(l, "agent", n, path, dst);
}

/* ---- JSON Schema: a pattern of names for each kind ---- */

static const char *names_pattern(const struct name *all, size_t n, const char *command, const struct setting_kind *kind)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct k3s_key key = k3s_key_of(str_or(all[i].instead, ""));

		if (key.kind == kind && key_is_for(&key, command) && !owned_key(all[i].name, NULL))
			strbuf_addf(&b, "%s%s", b.n ? "|" : "", all[i].name);
	}
	return b.n ? arena_printf("^(%s)$", b.s) : NULL;
}

static void k3s_keys_schema(const char *command, json_t *out)
{
	json_t *patterns = json_object();
	const struct name *all = NULL;
	struct err ignored = { 0 };
	size_t n = 0;

	if (names_all(NAMES_K3S_KEYS, &all, &n, &ignored) < 0)
		n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(setting_kinds); i++) {
		const char *pattern = names_pattern(all, n, command, &setting_kinds[i]);

		if (pattern)
			json_object_set_new(patterns, pattern, json_loads(setting_kinds[i].json, 0, NULL));
	}
	json_object_set_new(out, "type", json_pack("[s, s]", "object", "null"));
	json_object_set_new(out, "patternProperties", patterns);
	json_object_set_new(out, "additionalProperties", json_boolean(n == 0));
}

static void k3s_server_schema(const struct field *f, json_t *out)
{
	k3s_keys_schema("server", out);
}

static void k3s_agent_schema(const struct field *f, json_t *out)
{
	k3s_keys_schema("agent", out);
}

const struct kind kind_k3s_server = {
	.name = "K3s's own keys",
	.node = k3s_server_node,
	.schema = k3s_server_schema,
};
const struct kind kind_k3s_agent = { .name = "K3s's own keys", .node = k3s_agent_node, .schema = k3s_agent_schema };
