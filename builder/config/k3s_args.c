/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags that K3s hands on to the programs in it ("kubelet-arg: [max-pods=100]"), and what goes with them. K3s lets them
 * go over its own without a word (k3s-io/k3s pkg/util/args.go, GetArgs()), and each of those here is one that the rest
 * of the card goes by.
 */
#include <errno.h>

#include "config/check.h"
#include "config/feature_gates.h"
#include "config/k3s_keys.h"
#include "config/kubelet.h"

static const char is_networks[] = "Cilium and the checks of your networks go by cluster.yaml",
		  is_k3ss_own[] = "K3s sets it by what it made itself",
		  is_nodes_name[] = "the node is known by its name";

static const struct owned_flag {
	const char *key, *flag; /* FLAG may end in *, for all that begin so */
	const char *why, *instead;
} owned_flags[] = {
	{ "kubelet-arg", "hostname-override", is_nodes_name, "set nodes[].name" },
	{ "kubelet-arg", "node-ip", is_networks, "set nodes[].address" },
	{ "kubelet-arg", "node-labels", is_nodes_name, "set nodes[].labels" },
	{ "kubelet-arg", "config", is_k3ss_own, "set k3s.kubelet" },
	{ "kubelet-arg", "config-dir", is_k3ss_own, "set k3s.kubelet" },
	{ "kubelet-arg", "kubeconfig", is_k3ss_own, "leave it out" },
	{ "kubelet-arg", "cert-dir", is_k3ss_own, "leave it out" },
	{ "kubelet-arg", "root-dir", "what pibuild puts on a card lies in /var/lib/rancher/k3s", "leave it out" },
	{ "kube-apiserver-arg", "service-cluster-ip-range", is_networks, "set cluster.serviceCIDR" },
	{ "kube-apiserver-arg", "service-node-port-range", is_networks,
	  "set service-node-port-range below k3s.server" },
	{ "kube-apiserver-arg", "secure-port", "Cilium reaches the API at 127.0.0.1:6444 of every node",
	  "leave it out" },
	{ "kube-apiserver-arg", "bind-address", "Cilium reaches the API at 127.0.0.1:6444 of every node",
	  "leave it out" },
	{ "kube-apiserver-arg", "advertise-address", is_networks, "set nodes[].address" },
	{ "kube-apiserver-arg", "encryption-provider-config", "a cluster is born with it",
	  "set k3s.secretsEncryption" },
	{ "kube-apiserver-arg", "etcd-*", is_k3ss_own, "leave it out" },
	{ "kube-apiserver-arg", "client-ca-file", is_k3ss_own, "leave it out" },
	{ "kube-apiserver-arg", "tls-cert-file", is_k3ss_own, "leave it out" },
	{ "kube-apiserver-arg", "tls-private-key-file", is_k3ss_own, "leave it out" },
	{ "kube-controller-manager-arg", "cluster-cidr", is_networks, "set cluster.podCIDR" },
	{ "kube-controller-manager-arg", "service-cluster-ip-range", is_networks, "set cluster.serviceCIDR" },
	{ "kube-controller-manager-arg", "root-ca-file", is_k3ss_own, "leave it out" },
	{ "kube-controller-manager-arg", "service-account-private-key-file", is_k3ss_own, "leave it out" },
	{ "kube-controller-manager-arg", "cluster-signing-*", is_k3ss_own, "leave it out" },
};

/* Flags at which the program in K3s ends, and K3s with it: an unknown one, and a value that is none of its kind.
 * Removed: kubernetes/kubernetes CHANGELOG-1.24.md to 1.27.md. */
static const char no_seconds[] = "a number of seconds, without a unit";
static const struct removed_flag {
	const char *key, *flag, *since, *instead;
} removed_flags[] = {
	{ "kube-controller-manager-arg", "pod-eviction-timeout", "1.27",
	  "set default-not-ready-toleration-seconds=30 and default-unreachable-toleration-seconds=30 in kube-apiserver-arg" },
	{ "kube-controller-manager-arg", "enable-taint-manager", "1.27", "leave it out" },
	{ "kubelet-arg", "container-runtime", "1.27", "leave it out" },
	{ "kubelet-arg", "network-plugin", "1.24", "leave it out" },
	{ "kubelet-arg", "cni-conf-dir", "1.24", "leave it out" },
	{ "kubelet-arg", "cni-bin-dir", "1.24", "leave it out" },
	{ "kube-apiserver-arg", "insecure-port", "1.24", "leave it out" },
};
static const struct timed_flag {
	const char *key, *flag;
	bool seconds; /* a number, else a time with its unit */
} timed_flags[] = {
	{ "kube-apiserver-arg", "default-not-ready-toleration-seconds", true },
	{ "kube-apiserver-arg", "default-unreachable-toleration-seconds", true },
	{ "kube-apiserver-arg", "min-request-timeout", true },
	{ "kube-apiserver-arg", "event-ttl", false },
	{ "kube-apiserver-arg", "request-timeout", false },
	{ "kube-controller-manager-arg", "node-monitor-period", false },
	{ "kube-controller-manager-arg", "node-monitor-grace-period", false },
	{ "kube-controller-manager-arg", "node-startup-grace-period", false },
	{ "kube-controller-manager-arg", "horizontal-pod-autoscaler-sync-period", false },
};

static const char *removed_fault(const char *key, const char *flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(removed_flags); i++)
		if (streq(removed_flags[i].key, key) && streq(removed_flags[i].flag, flag))
			return arena_printf("is no flag of Kubernetes since %s, and K3s does not start with it; %s",
					    removed_flags[i].since, removed_flags[i].instead);
	return NULL;
}

static const char *time_fault(const char *key, const char *flag, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(timed_flags); i++) {
		uint64_t ms;
		unsigned seconds;

		if (!streq(timed_flags[i].key, key) || !streq(timed_flags[i].flag, flag) || streq(value, "0"))
			continue;
		if (timed_flags[i].seconds ? value_unsigned(value, &seconds) < 0 : value_duration(value, &ms) < 0)
			return arena_printf("cannot be '%s', with which K3s does not start: give %s", value,
					    timed_flags[i].seconds ? no_seconds : "a time such as 30s or 1m");
	}
	return NULL;
}

static const char *admission_fault(const char *flag, const char *value)
{
	return streq(flag, "enable-admission-plugins") && strstr(value, "PodSecurityPolicy")
		       ? "names PodSecurityPolicy, which Kubernetes has no more since 1.25, and K3s does not start with it; remove it: the labels pod-security.kubernetes.io of a namespace do that now"
		       : NULL;
}

/* Numbers that are no times. */
static const struct {
	const char *key, *flag;
} counted_flags[] = {
	{ "etcd-arg", "quota-backend-bytes" },
	{ "etcd-arg", "heartbeat-interval" },
	{ "etcd-arg", "election-timeout" },
	{ "etcd-arg", "snapshot-count" },
	{ "etcd-arg", "max-request-bytes" },
	{ "kube-apiserver-arg", "audit-log-maxage" },
	{ "kube-apiserver-arg", "audit-log-maxsize" },
	{ "kube-apiserver-arg", "audit-log-maxbackup" },
	{ "kube-apiserver-arg", "max-requests-inflight" },
	{ "kube-controller-manager-arg", "terminated-pod-gc-threshold" },
};

static const char *count_fault(const char *key, const char *flag, const char *value)
{
	unsigned long long v;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(counted_flags); i++) {
		if (!streq(counted_flags[i].key, key) || !streq(counted_flags[i].flag, flag))
			continue;
		errno = 0;
		v = strtoull(value, &end, 10);
		if (errno || end == value || *end || (v == 0 && *value != '0'))
			return arena_printf(
				"cannot be '%s', with which K3s does not start: give a whole number, without a unit",
				value);
	}
	return NULL;
}

/* kubernetes staging/src/k8s.io/apiserver/pkg/apis/apiserver/validation, validateURL() */
static const char *issuer_fault(const char *flag, const char *value)
{
	return streq(flag, "oidc-issuer-url") && !starts_with(value, "https://")
		       ? "has to begin with https://, or K3s does not start"
		       : NULL;
}

/* Those that people set; a flag that is none of them, and nearly one, is likely a slip of the pen. */
static const char *const usual_flags[] = {
	"admission-control-config-file",
	"advertise-address",
	"allocate-node-cidrs",
	"anonymous-auth",
	"api-audiences",
	"audit-log-format",
	"audit-log-maxage",
	"audit-log-maxbackup",
	"audit-log-maxsize",
	"audit-log-mode",
	"audit-log-path",
	"audit-policy-file",
	"audit-webhook-config-file",
	"auth-token-ttl",
	"authentication-config",
	"authorization-config",
	"authorization-mode",
	"bind-address",
	"config",
	"default-not-ready-toleration-seconds",
	"default-unreachable-toleration-seconds",
	"disable-admission-plugins",
	"enable-admission-plugins",
	"enable-aggregator-routing",
	"event-ttl",
	"feature-gates",
	"goaway-chance",
	"horizontal-pod-autoscaler-sync-period",
	"kube-api-burst",
	"kube-api-qps",
	"leader-elect",
	"leader-elect-lease-duration",
	"leader-elect-renew-deadline",
	"leader-elect-retry-period",
	"max-mutating-requests-inflight",
	"max-requests-inflight",
	"min-request-timeout",
	"node-cidr-mask-size",
	"node-cidr-mask-size-ipv4",
	"node-cidr-mask-size-ipv6",
	"node-eviction-rate",
	"node-monitor-grace-period",
	"node-monitor-period",
	"node-startup-grace-period",
	"oidc-ca-file",
	"oidc-client-id",
	"oidc-groups-claim",
	"oidc-groups-prefix",
	"oidc-issuer-url",
	"oidc-required-claim",
	"oidc-signing-algs",
	"oidc-username-claim",
	"oidc-username-prefix",
	"profiling",
	"proxy-client-cert-file",
	"proxy-client-key-file",
	"request-timeout",
	"runtime-config",
	"service-account-issuer",
	"service-account-lookup",
	"terminated-pod-gc-threshold",
	"tls-cipher-suites",
	"tls-min-version",
	"tls-sni-cert-key",
	"token-auth-file",
	"unhealthy-zone-threshold",
	"use-service-account-credentials",
	"v",
	"vmodule",
	"watch-cache",
	"watch-cache-sizes",
};

static const char *slip(const char *key, const char *flag)
{
	const char *near;

	if (!streq(key, "kube-apiserver-arg") && !streq(key, "kube-controller-manager-arg"))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(usual_flags); i++)
		if (streq(usual_flags[i], flag))
			return NULL;
	near = nearest_word(flag, usual_flags, ARRAY_SIZE(usual_flags));
	return near ? arena_printf(
			      "pibuild does not know the flag %s, and K3s does not start with one that its programs have not; did you mean %s?",
			      flag, near)
		    : NULL;
}

/* "true" or "false" for what Go's strconv.ParseBool() takes, or NULL. */
static const char *go_bool(const char *text)
{
	static const char *const words[][6] = {
		{ "true", "1", "t", "T", "TRUE", "True" },
		{ "false", "0", "f", "F", "FALSE", "False" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		for (size_t k = 0; k < ARRAY_SIZE(words[i]); k++)
			if (streq(text, words[i][k]))
				return words[i][0];
	return NULL;
}

/* k8s.io/component-base featuregate/feature_gate.go, Set() */
static const char *gates_fault(const char *k3s, const char *flag, const char *value, struct faults *f,
			       const char **ret_note)
{
	char *save = NULL, *all = arena_strdup(value);

	if (!streq(flag, "feature-gates"))
		return NULL;
	for (char *one = strtok_r(all, ",", &save); one; one = strtok_r(NULL, ",", &save)) {
		char *is = strchr(one, '=');
		const char *on = is ? go_bool(is + 1) : NULL, *why, *note;

		if (!on)
			return arena_printf(
				"says '%s', and K3s does not start with it: write feature-gates=NAME=true or NAME=false",
				one);
		*is = '\0';
		why = feature_gate_fault(k3s, one, on, f, &note);
		if (why)
			return arena_printf("sets %s=%s: %s", one, on, why);
		if (note)
			*ret_note = note;
	}
	return NULL;
}

/* "name=value", "--name", "name+=value" (K3s adds to its own): anything else would be a flag that nobody knows. */
static const char *form_fault(const char *arg)
{
	const char *name = starts_with(arg, "--") ? arg + 2 : arg;
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

	if (name[n] == '+')
		n++;
	return n && name[0] != '-' && (!name[n] || name[n] == '=')
		       ? NULL
		       : arena_printf("'%s' is no flag, and K3s would not start with it: write NAME=VALUE, such as v=2",
				      arg);
}

static bool is_flag(const char *pattern, const char *flag)
{
	size_t n = strlen(pattern);

	return n && pattern[n - 1] == '*' ? strncmp(pattern, flag, n - 1) == 0 : streq(pattern, flag);
}

const char *k3s_arg_fault(const struct config *c, const char *k3s, const char *key, const char *arg, struct faults *f,
			  const char **ret_note)
{
	const char *flag = arg + strspn(arg, "-"), *value, *why = form_fault(arg);
	size_t n = strcspn(flag, "=");

	*ret_note = NULL;
	if (why)
		return why;
	value = flag[n] ? flag + n + 1 : "true";
	flag = arena_strndup(flag, n);
	why = streq(key, "kubelet-arg") ? kubelet_flag_fault(c, flag, value, f) : NULL;
	for (size_t i = 0; !why && i < ARRAY_SIZE(owned_flags); i++)
		if (streq(owned_flags[i].key, key) && is_flag(owned_flags[i].flag, flag))
			why = arena_printf("cannot be set here: %s; %s", owned_flags[i].why, owned_flags[i].instead);
	why = why ? why : removed_fault(key, flag);
	why = why ? why : time_fault(key, flag, value);
	why = why ? why : admission_fault(flag, value);
	why = why ? why : gates_fault(k3s, flag, value, f, ret_note);
	why = why ? why : count_fault(key, flag, value);
	why = why ? why : issuer_fault(flag, value);
	if (why)
		return arena_printf("%s %s", flag, why);
	*ret_note = *ret_note ? *ret_note : slip(key, flag);
	return NULL;
}

static void check_arg(const struct check *x, const char *at, const char *key, const char *arg)
{
	const char *note, *why = k3s_arg_fault(x->config, x->versions->k3s, key, arg, x->faults, &note);

	if (why)
		fault_key(x->faults, x->config, at, "%s: %s", at, why);
	else if (note)
		note_key(x->faults, x->config, at, "%s: %s", at, note);
}

static void check_settings(const struct check *x, const char *section, const struct k3s_settings *settings)
{
	vec_foreach (s, settings) {
		const char *at = arena_printf("k3s.%s.%s", section, s->key);

		for (size_t i = 0; s->value->type == YAML_SEQ && ends_with(s->key, "-arg") && i < s->value->count; i++)
			check_arg(x, arena_printf("%s[%zu]", at, i), s->key, str_or(s->value->items[i]->text, ""));
	}
}

void check_k3s_args(const struct check *x)
{
	check_settings(x, "server", &x->config->k3s.server);
	check_settings(x, "agent", &x->config->k3s.agent);
}
