/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/cluster.h"

#include <errno.h>

#include "config/values.h"

/* What nodes_path has of each node, in this order, with | between them; the last may have one in it. */
enum node_part {
	PART_NAME,
	PART_ADDRESS,
	PART_SERVER,
	PART_MEMBER,
	PART_READY,
	PART_CORDONED,
	PART_KUBELET,
	PART_KERNEL,
	PART_OS,
	PART_REPORT,
	PART_COUNT
};
#define AND "{\"|\"}"
static const char nodes_path[] = "jsonpath={range .items[*]}{.metadata.name}" AND
				 "{.status.addresses[?(@.type==\"InternalIP\")].address}" AND
				 "{.metadata.labels.node-role\\.kubernetes\\.io/control-plane}" AND
				 "{.metadata.labels.node-role\\.kubernetes\\.io/etcd}" AND
				 "{.status.conditions[?(@.type==\"Ready\")].status}" AND "{.spec.unschedulable}" AND
				 "{.status.nodeInfo.kubeletVersion}" AND "{.status.nodeInfo.kernelVersion}" AND
				 "{.status.nodeInfo.osImage}" AND
				 "{.metadata.annotations.pibuild\\.io/report}{\"\\n\"}{end}";
static const char leases_path[] = "jsonpath={range .items[*]}{.metadata.namespace}" AND "{.metadata.name}" AND
				  "{.spec.holderIdentity}" AND "{.spec.renewTime}{\"\\n\"}{end}";

enum { ASK_SECONDS = 45, DRAIN_SLACK_SECONDS = 30 };

int cluster_kubectl(const struct live_cluster *l, unsigned seconds, struct strbuf *out, struct err *e,
		    const char *const *words)
{
	static const char *const asks[] = { "get", "drain", "uncordon" };
	VEC(const char *) argv = { 0 };

	*vec_push(&argv) = "k3s";
	for (size_t i = 0; i < ARRAY_SIZE(asks); i++)
		if (streq(words[0], asks[i]))
			argv.v[0] = REMOTE_PROGRAM;
	*vec_push(&argv) = "kubectl";
	for (; *words; words++)
		*vec_push(&argv) = *words;
	*vec_push(&argv) = NULL;
	return remote_run(&l->server,
			  &(struct remote_call){ .argv = argv.v, .root = true, .timeout = seconds, .output = out }, e);
}

int cluster_drain(const struct live_cluster *l, const char *node, unsigned seconds, bool force, struct err *e)
{
	const char *const words[] = { "drain",
				      node,
				      "--ignore-daemonsets",
				      "--delete-emptydir-data",
				      arena_printf("--timeout=%us", seconds),
				      force ? "--force" : NULL,
				      NULL };

	return cluster_kubectl(l, seconds + DRAIN_SLACK_SECONDS, NULL, e, words);
}

static bool is_true(const char *field)
{
	return field && (streq(field, "true") || streq(field, "True"));
}

/* LINE is taken apart into N parts; those that it lacks are "". */
static void split_line(char *line, const char **part, size_t n)
{
	for (size_t i = 0; i < n; i++)
		part[i] = i + 1 == n && line ? line : str_or(strsep(&line, "|"), "");
}

/* Of a node's addresses, with blanks between: of both families it tells one each. "" = none. */
static const char *lan_address(const char *addresses)
{
	char *rest = arena_strdup(addresses), *one;
	uint32_t ip;

	while ((one = strsep(&rest, " ")))
		if (value_ipv4(one, &ip) == 0)
			return one;
	return "";
}

/* TEXT is taken apart. What is no such line is left out: it is no node. */
static void read_nodes(char *text, struct live_cluster *ret)
{
	text_foreach (line, text, "\n") {
		const char *part[PART_COUNT];

		if (!strchr(line, '|') || *line == '|')
			continue;
		split_line(line, part, PART_COUNT);
		*vec_push(&ret->nodes) = (struct live_node){
			.name = clean_copy(part[PART_NAME]),
			.address = lan_address(part[PART_ADDRESS]),
			.server = is_true(part[PART_SERVER]),
			.member = is_true(part[PART_MEMBER]),
			.ready = is_true(part[PART_READY]),
			.cordoned = is_true(part[PART_CORDONED]),
			.kubelet = clean_copy(part[PART_KUBELET]),
			.kernel = clean_copy(part[PART_KERNEL]),
			.os = clean_copy(part[PART_OS]),
			.report = clean_copy(part[PART_REPORT]),
		};
	}
}

int cluster_ask(struct live_cluster *l, struct err *e)
{
	static const char *const words[] = { "get", "nodes", "--request-timeout=30s", "-o", nodes_path, NULL };
	_cleanup_strbuf_ struct strbuf out = { 0 };
	int r = cluster_kubectl(l, ASK_SECONDS, &out, e, words);

	if (r < 0)
		return r;
	if (out.n)
		read_nodes(out.s, l);
	return l->nodes.n ? 0 : err_set(e, -ENODATA, "%s tells of no node", l->server.node);
}

/* "2026-11-29T16:31:51.123456Z", as Kubernetes writes the times of leases; 0 = none */
static int64_t micro_time(const char *text)
{
	int64_t t;

	return utc_parse(arena_printf("%.*sZ", (int)strcspn(text, ".Z"), text), &t) ? t : 0;
}

void cluster_read_lease(struct live_cluster *l, const char *namespace, const char *name, const char *holder,
			const char *renewed)
{
	if (streq(namespace, "kube-system") && streq(name, "plndr-cp-lock"))
		l->vip_holder = clean_copy(holder);
	vec_foreach (n, &l->nodes)
		if (streq(namespace, "kube-node-lease") && streq(name, n->name))
			n->heard = micro_time(renewed);
}

enum lease_part { LEASE_NAMESPACE, LEASE_NAME, LEASE_HOLDER, LEASE_TIME, LEASE_PART_COUNT };

static void read_leases(char *text, struct live_cluster *l)
{
	text_foreach (line, text, "\n") {
		const char *part[LEASE_PART_COUNT];

		split_line(line, part, LEASE_PART_COUNT);
		cluster_read_lease(l, part[LEASE_NAMESPACE], part[LEASE_NAME], part[LEASE_HOLDER], part[LEASE_TIME]);
	}
}

int cluster_ask_leases(struct live_cluster *l, struct err *e)
{
	static const char *const words[] = {
		"get", "leases.coordination.k8s.io", "--all-namespaces", "--request-timeout=30s", "-o", leases_path,
		NULL
	};
	_cleanup_strbuf_ struct strbuf out = { 0 };
	int r = cluster_kubectl(l, ASK_SECONDS, &out, e, words);

	if (r == 0 && out.n)
		read_leases(out.s, l);
	return r;
}

int cluster_find(const struct config *c, const char *except, json_t *cards, struct live_cluster *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf said = { 0 };

	vec_foreach (n, &c->nodes) {
		int r;

		if (n->role != ROLE_CONTROL_PLANE || streq(n->name, str_or(except, "")))
			continue;
		*ret = (struct live_cluster){ .server = remote_of(c, n, cards) };
		r = cluster_ask(ret, e);
		if (r == 0 || err_interrupted(e) || e->class == CLASS_HOST)
			return r;
		strbuf_addf(&said, "%s%s", said.n ? "; " : "", e->msg);
	}
	return err_set(e, -EHOSTUNREACH, "no server of %s can be asked: %s", c->cluster.name,
		       said.n ? said.s : "cluster.yaml has no other");
}

const struct live_node *cluster_node(const struct live_cluster *l, const char *name)
{
	vec_foreach (n, &l->nodes)
		if (streq(n->name, name))
			return n;
	return NULL;
}

struct members cluster_other_members(const struct live_cluster *l, const char *node)
{
	struct members m = { 0 };

	vec_foreach (n, &l->nodes) {
		bool other = n->member && !streq(n->name, node);

		m.others += other;
		m.ready += other && n->ready;
	}
	return m;
}
