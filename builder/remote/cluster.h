/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster that runs, by kubectl on one of its servers: `k3s kubectl`, which has the admin's kubeconfig there, as
 * root; what asks and drains by REMOTE_PROGRAM, which sudo always lets pass.
 *
 * Which nodes are members of etcd is their label node-role.kubernetes.io/etcd; a Node that is deleted goes only once
 * K3s has removed its member, which a finalizer holds it for (k3s-io/k3s pkg/etcd/etcd.go,
 * pkg/etcd/member_controller.go).
 */
#ifndef REMOTE_CLUSTER_H
#define REMOTE_CLUSTER_H

#include "remote/remote.h"

struct live_node {
	const char *name;
	const char *address;		   /* on the LAN; "" = it has told none */
	bool server;			   /* runs the API */
	bool member;			   /* of etcd */
	bool ready;			   /* the cluster hears of it, and it can take pods */
	bool cordoned;			   /* ... but is given no new ones */
	const char *kubelet, *kernel, *os; /* versions; "" = it has told none */
	const char *report; /* the step `report` of its card: "done", "working", "failed|CAUSE"; "" = none */
	int64_t heard;	    /* when its kubelet last renewed its lease; 0 = not asked, or never */
};

struct live_cluster {
	struct remote server; /* whom to ask */
	VEC(struct live_node) nodes;
	const char *vip_holder; /* whose machine has cluster.vip; NULL = not asked, or nobody's */
};

/* The first server of C that knows the nodes, but for the one called EXCEPT (NULL = none); CARDS as in remote_of().
 * -EHOSTUNREACH with what each of them said when there is none. */
int cluster_find(const struct config *c, const char *except, json_t *cards, struct live_cluster *ret, struct err *e);

/* The same of L's own server, and no other. */
int cluster_ask(struct live_cluster *l, struct err *e);
/* Afterwards: by the leases that kubelets and kube-vip renew (node/kube_vip.c) when each was heard of, and the holder
 * of the VIP. Ten seconds is how often a kubelet does (kubernetes pkg/kubelet/apis/config/v1beta1/defaults.go). */
int cluster_ask_leases(struct live_cluster *l, struct err *e);

/* One lease, as texts of the API: what it says of a node, or of the VIP. */
void cluster_read_lease(struct live_cluster *l, const char *namespace, const char *name, const char *holder,
			const char *renewed);

const struct live_node *cluster_node(const struct live_cluster *l, const char *name);

/* kubectl WORD... on that server, NULL terminated, for up to SECONDS; OUT as in remote_call. */
int cluster_kubectl(const struct live_cluster *l, unsigned seconds, struct strbuf *out, struct err *e,
		    const char *const *words);

/* Pods of NODE go elsewhere, for up to SECONDS, and no more come; FORCE takes those along that nobody makes again. */
int cluster_drain(const struct live_cluster *l, const char *node, unsigned seconds, bool force, struct err *e);

/* Of M members of etcd those that are ready, without NODE. */
struct members {
	unsigned others, ready;
};
struct members cluster_other_members(const struct live_cluster *l, const char *node);
/* etcd decides by more than half of its members: those others do, once the one is removed. */
static inline bool members_go_on(struct members m)
{
	return m.ready > m.others / 2;
}
/* They do already while the one is down and still a member, so that its removal can be decided. */
static inline bool members_outvote(struct members m)
{
	return m.ready > (m.others + 1) / 2;
}

#endif
