/* SPDX-License-Identifier: Apache-2.0 */
#include "status/api.h"

#include <errno.h>

#include "base/json.h"
#include "base/sig.h"
#include "download/http.h"

/* A Node is some 20 KiB, most of it the names of its images. */
enum { MAX_ANSWER = 16 * MIB };

/* ---- one request ---- */

struct api_request {
	const char *host;
	struct source from;
	json_t *answer; /* NULL = none, or no JSON */
	bool done;
	const char *why; /* it failed, or has not been heard of */
};

static void api_on_done(void *arg, const struct http_result *r)
{
	struct api_request *q = arg;

	q->done = true;
	q->why = r->verdict == HTTP_OK ? NULL : arena_strdup(r->why);
	if (!q->why)
		q->answer = json_loadb(r->text, r->text_n, 0, NULL);
}

static const struct http_sink api_sink = { .done = api_on_done };

/* ---- what it says ---- */

/* The text at a PATH of keys. */
static const char *api_text(const json_t *object, const char *const *path)
{
	const char *text;

	for (; path[1]; path++)
		object = json_object_get(object, *path);
	text = json_get_text(object, *path);
	return clean_copy(text);
}
#define API_TEXT(object, ...) api_text(object, (const char *const[]){ __VA_ARGS__, NULL })

/* What the member of LIST whose `type` is TYPE has under KEY. */
static const char *text_of_type(const json_t *list, const char *type, const char *key)
{
	const json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (streq(json_get_text(item, "type"), type))
			return API_TEXT(item, key);
	}
	return "";
}

static bool has_role(const json_t *node, const char *role)
{
	return streq(API_TEXT(node, "metadata", "labels", arena_printf("node-role.kubernetes.io/%s", role)), "true");
}

static void api_read_nodes(const json_t *items, struct live_cluster *live)
{
	const json_t *node;
	size_t i;

	json_array_foreach (items, i, node) {
		const json_t *status = json_object_get(node, "status");

		*vec_push(&live->nodes) = (struct live_node){
			.name = API_TEXT(node, "metadata", "name"),
			.address = text_of_type(json_object_get(status, "addresses"), "InternalIP", "address"),
			.server = has_role(node, "control-plane"),
			.member = has_role(node, "etcd"),
			.ready = streq(text_of_type(json_object_get(status, "conditions"), "Ready", "status"), "True"),
			.cordoned = json_is_true(json_object_get(json_object_get(node, "spec"), "unschedulable")),
			.kubelet = API_TEXT(status, "nodeInfo", "kubeletVersion"),
			.kernel = API_TEXT(status, "nodeInfo", "kernelVersion"),
			.os = API_TEXT(status, "nodeInfo", "osImage"),
			.report = API_TEXT(node, "metadata", "annotations", "pibuild.io/report"),
		};
	}
}

static void api_read_leases(const json_t *items, struct live_cluster *live)
{
	const json_t *lease;
	size_t i;

	json_array_foreach (items, i, lease) {
		cluster_read_lease(live, API_TEXT(lease, "metadata", "namespace"), API_TEXT(lease, "metadata", "name"),
				   API_TEXT(lease, "spec", "holderIdentity"), API_TEXT(lease, "spec", "renewTime"));
	}
}

/* ---- who answers ---- */

static const char *const api_paths[] = { "/api/v1/nodes", "/apis/coordination.k8s.io/v1/leases" };
static void (*const api_readers[])(const json_t *items, struct live_cluster *live) = { api_read_nodes,
										       api_read_leases };

struct api_host {
	const char *name;
	struct api_request asked[ARRAY_SIZE(api_paths)];
};
struct api_hosts {
	VEC(struct api_host) v;
};

static void add_host(struct api_hosts *hosts, const char *name)
{
	vec_foreach (h, &hosts->v)
		if (streq(h->name, name))
			return;
	*vec_push(&hosts->v) = (struct api_host){ .name = name };
}

static int ask_host(struct http *http, struct api_host *h, const struct http_caller *caller, struct err *e)
{
	const struct http_ask ask = { .accept = "application/json", .caller = caller, .keep = MAX_ANSWER };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(api_paths); i++) {
		struct api_request *q = &h->asked[i];

		q->from.url = arena_printf("https://%s:%d%s", h->name, K3S_API_PORT, api_paths[i]);
		q->why = "it does not answer";
		r = http_send(http, &q->from, &ask, &api_sink, q, e);
	}
	return r;
}

/* The first request of H that failed; NULL = none has. */
static const char *host_failure(const struct api_host *h, bool *done)
{
	*done = true;
	for (size_t i = 0; i < ARRAY_SIZE(h->asked); i++) {
		if (h->asked[i].done && h->asked[i].why)
			return h->asked[i].why;
		*done = *done && h->asked[i].done;
	}
	return NULL;
}

/* Until one has answered all, or none will. */
static int await_host(struct http *http, struct api_hosts *hosts, struct api_host **ret, struct err *e)
{
	for (;;) {
		bool pending = false, done;
		int r;

		vec_foreach (h, &hosts->v) {
			if (host_failure(h, &done))
				continue;
			if (done) {
				*ret = h;
				return 0;
			}
			pending = true;
		}
		if (!pending)
			return 0;
		r = http_run(http, 0.1, e);
		if (r == 0)
			r = sig_check(e);
		if (r < 0)
			return r;
	}
}

static const char *read_host(const struct api_host *h, struct live_cluster *live)
{
	*live = (struct live_cluster){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(h->asked); i++) {
		const json_t *items = json_object_get(h->asked[i].answer, "items");

		if (!json_is_array(items))
			return "what it sent is no list of Kubernetes";
		api_readers[i](items, live);
	}
	return live->nodes.n ? NULL : "it tells of no node";
}

static int ask_hosts(struct api_hosts *hosts, const struct http_caller *caller, struct live_cluster *live,
		     const char **host, struct err *e)
{
	_cleanup_strbuf_ struct strbuf said = { 0 };
	struct api_host *answered = NULL;
	struct http *http = NULL;
	const char *why = NULL;
	bool done;
	int r = http_open(&http, e);

	for (size_t i = 0; r == 0 && i < hosts->v.n; i++)
		r = ask_host(http, &hosts->v.v[i], caller, e);
	if (r == 0)
		r = await_host(http, hosts, &answered, e);
	http_close(http);
	if (r < 0)
		return r;
	if (answered) {
		*host = answered->name;
		why = read_host(answered, live);
		return why ? err_set(e, -EPROTO, "%s: %s", answered->name, why) : 0;
	}
	vec_foreach (h, &hosts->v)
		strbuf_addf(&said, "%s%s: %s", said.n ? "; " : "", h->name, str_or(host_failure(h, &done), ""));
	return err_set(e, -EHOSTUNREACH, "%s", str_or(said.s, "there is no server"));
}

int api_ask(const struct config *c, const struct secrets *s, struct live_cluster *live, const char **host,
	    struct err *e)
{
	const struct http_caller caller = { s->admin.cert, s->admin.key, s->server_ca.cert };
	struct api_hosts hosts = { 0 };
	char ip[IPV4_TEXT];
	int r;

	add_host(&hosts, config_api_host(c));
	vec_foreach (n, &c->nodes)
		if (n->role == ROLE_CONTROL_PLANE)
			add_host(&hosts, n->address.set ? arena_strdup(ipv4_text(n->address.addr, ip)) : n->name);
	r = ask_hosts(&hosts, &caller, live, host, e);
	vec_foreach (h, &hosts.v)
		for (size_t i = 0; i < ARRAY_SIZE(h->asked); i++)
			json_decref(h->asked[i].answer);
	return r;
}
