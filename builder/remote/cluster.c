/* SPDX-License-Identifier: Apache-2.0 */
#include "remote/cluster.h"

#include <errno.h>

#include "config/values.h"

/* NAME|address|server|member|ready and a line's end for each. */
static const char nodes_path[] =
	"jsonpath={range .items[*]}{.metadata.name}{\"|\"}{.status.addresses[?(@.type==\"InternalIP\")].address}{\"|\"}{.metadata.labels.node-role\\.kubernetes\\.io/control-plane}{\"|\"}{.metadata.labels.node-role\\.kubernetes\\.io/etcd}{\"|\"}{.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";

enum { ASK_SECONDS = 45 };

int cluster_kubectl(const struct live_cluster *l, unsigned seconds, struct strbuf *out, struct err *e,
		    const char *const *words)
{
	VEC(const char *) argv = { 0 };

	*vec_push(&argv) = "k3s";
	*vec_push(&argv) = "kubectl";
	for (; *words; words++)
		*vec_push(&argv) = *words;
	*vec_push(&argv) = NULL;
	return remote_run(&l->server,
			  &(struct remote_call){ .argv = argv.v, .root = true, .timeout = seconds, .output = out }, e);
}

static bool is_true(const char *field)
{
	return field && (streq(field, "true") || streq(field, "True"));
}

/* TEXT is taken apart. What is no such line is left out: it is no node. */
static void read_nodes(char *text, struct live_cluster *ret)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *name = strsep(&line, "|"), *address = strsep(&line, "|");
		const char *server = strsep(&line, "|"), *member = strsep(&line, "|");
		uint32_t ip;

		if (line && *name)
			*vec_push(&ret->nodes) = (struct live_node){
				.name = clean_text(arena_strdup(name)),
				.address = value_ipv4(address, &ip) == 0 ? arena_strdup(address) : "",
				.server = is_true(server),
				.member = is_true(member),
				.ready = is_true(line),
			};
	}
}

static int ask_nodes(struct live_cluster *l, struct err *e)
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

int cluster_find(const struct config *c, const char *except, json_t *cards, struct live_cluster *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf said = { 0 };

	vec_foreach (n, &c->nodes) {
		int r;

		if (n->role != ROLE_CONTROL_PLANE || streq(n->name, str_or(except, "")))
			continue;
		*ret = (struct live_cluster){ .server = remote_of(c, n, cards) };
		r = ask_nodes(ret, e);
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
