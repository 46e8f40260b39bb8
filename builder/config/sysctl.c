/* SPDX-License-Identifier: Apache-2.0 */
#include "config/sysctl.h"

#include <fnmatch.h>

#include "base/util.h"
#include "config/check.h"

/* ---- what somebody else on the card sets ---- */

/* Sources: kubernetes:pkg/kubelet/cm/container_manager_linux.go (setupKernelTunables) with its values in
 * k8s.io/component-helpers/node/util/sysctl; k3s-io/k3s:pkg/agent/syssetup/setup.go; cilium/cilium:
 * pkg/datapath/loader/base.go (enableForwardingSettings) and operator docs of rp_filter. */
static const char forwards[] = "without forwarding no pod reaches another node; K3s and Cilium turn it on",
		  filters[] = "Cilium sets it: with another value the kernel drops packets of pods",
		  kubelets[] = "the kubelet sets it at every start", bridges[] = "K3s sets it at every start";
static const struct owned_sysctl {
	const char *pattern; /* fnmatch(3), "*" takes dots and slashes too; first match wins */
	const char *why;
	const char *same; /* what it is set to: guides write that too, and it does no harm; NULL = none */
} owned_sysctls[] = {
	{ "net.ipv4.ip_forward", forwards, "1" },
	{ "net.ipv[46].conf.*.forwarding", forwards, "1" },
	{ "net.ipv[46].conf.*.mc_forwarding", forwards, NULL },
	{ "net.ipv4.conf.*.rp_filter", filters, "0" },
	{ "net.ipv4.conf.cilium_*", filters, NULL },
	{ "net.ipv6.conf.cilium_*", filters, NULL },
	{ "net.core.bpf_jit_enable", "Cilium sets it: its programs would be too slow without", "1" },
	{ "net.bridge.bridge-nf-call-*", bridges, "1" },
	{ "vm.overcommit_memory", kubelets, "1" },
	{ "vm.panic_on_oom", kubelets, "0" },
	{ "kernel.panic", kubelets, "10" },
	{ "kernel.panic_on_oops", kubelets, "1" },
	{ "kernel.keys.root_maxkeys", kubelets, "1000000" },
	{ "kernel.keys.root_maxbytes", kubelets, "25000000" },
	{ "kernel.hostname", "nodes[].name is the host name", NULL },
	{ "kernel.domainname", "nodes[].name is the host name", NULL },
	{ "kernel.modules_disabled", "Cilium and K3s load modules after it", NULL },
};

static const char *owned_sysctl_fault(const struct owned_sysctl *row, const char *value, const char **ret_note)
{
	if (!row->same || !streq(row->same, value))
		return row->why;
	*ret_note = arena_printf("superfluous: %s", row->why);
	return NULL;
}

/* ---- limits that a node runs into ---- */

/* What the kernel or the card has without it: include/linux/threads.h and systemd's 50-pid-max.conf, fs/file_table.c
 * with systemd's bump_file_max_and_nr_open(), fs/notify/inotify/inotify_user.c, include/linux/mm.h, and
 * etc/sysctl.d/50-pibuild.conf of the overlays. */
static const struct sysctl_limit {
	const char *pattern;
	unsigned long long least; /* below it no node works */
	unsigned long long usual; /* what there is without it, or enough of it: below it is worth a word */
	const char *why;
} sysctl_limits[] = {
	{ "kernel.pid_max", 4096, 32768,
	  "every thread of the node takes one, and K3s, Cilium and some dozens of pods have thousands" },
	{ "kernel.threads-max", 2048, 0, "K3s, Cilium and some dozens of pods have thousands of threads" },
	{ "fs.file-max", 16384, 262144,
	  "it is for all programs of the node together, of which K3s alone may open 1048576 files; the base has no limit" },
	{ "fs.nr_open", 65536, 1048576, "K3s is given 1048576 open files" },
	{ "fs.inotify.max_user_instances", 128, 8192,
	  "each pod and controller that watches files takes some: too many open files; every card has 8192" },
	{ "fs.inotify.max_user_watches", 8192, 524288,
	  "each pod and controller that watches files takes some; every card has 524288" },
	{ "user.max_@(net|mnt|pid|ipc|uts|cgroup)_namespaces", 256, 0,
	  "every pod takes one, and does not start without" },
	{ "net.netfilter.nf_conntrack_max", 1024, 16384, "every connection of the node takes one" },
	{ "vm.max_map_count", 1024, 65530, "databases in pods do not start with less than the kernel's 65530" },
};

static const char *limit_fault(const struct sysctl_limit *row, const char *value, const char **ret_note)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(value, &end, 0);
	if (end == value || *end || errno || *value == '-' || v >= MAX(row->least, row->usual))
		return NULL;
	if (v < row->least)
		return arena_printf("it is too little: %s", row->why);
	*ret_note = arena_printf("it is less than a node has without it: %s; leave it out", row->why);
	return NULL;
}

/* ---- ports ---- */

/* K3s's own end at 10259 (docs.k3s.io installation/requirements), etcd's begin at 2379. */
enum { LAST_PORT_OF_K3S = 10259 };

static const char *port_range_fault(const char *value, const char **ret_note)
{
	unsigned first, last;
	char rest;

	if (sscanf(value, "%u %u %c", &first, &last, &rest) != 2 || first >= last || last > UINT16_MAX)
		return "the kernel takes two numbers, the first and the last port, such as 32768 60999";
	if (first <= LAST_PORT_OF_K3S)
		*ret_note =
			"any connection may be given a port of K3s (2379 to 10259) before K3s starts, which then does not; begin at 32768";
	return NULL;
}

/* ---- one setting ---- */

/* sysctl.d(5): where the first separator is a slash, dots are no separators. */
static const char *dotted_key(const char *key)
{
	char *dotted = arena_strdup(key);
	bool slashes = key[strcspn(key, "./")] == '/';

	for (char *p = dotted; *p; p++) {
		if (slashes && *p == '/')
			*p = '.';
		else if (slashes && *p == '.')
			*p = '/';
	}
	return dotted;
}

const char *sysctl_fault(const char *key, const char *value, const char **ret_note)
{
	const char *name = dotted_key(key);

	*ret_note = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(owned_sysctls); i++)
		if (fnmatch(owned_sysctls[i].pattern, name, 0) == 0)
			return owned_sysctl_fault(&owned_sysctls[i], value, ret_note);
	for (size_t i = 0; i < ARRAY_SIZE(sysctl_limits); i++)
		if (fnmatch(sysctl_limits[i].pattern, name, FNM_EXTMATCH) == 0)
			return limit_fault(&sysctl_limits[i], value, ret_note);
	return streq(name, "net.ipv4.ip_local_port_range") ? port_range_fault(value, ret_note) : NULL;
}

/* ---- os.sysctl ---- */

void check_sysctls(const struct check *x)
{
	const struct yaml_node *map = yaml_find(x->config->doc, "os.sysctl");

	vec_foreach (s, &x->config->os.sysctl) {
		const struct yaml_node *at = map;
		const char *note, *why = sysctl_fault(s->key, s->value, &note);

		for (size_t i = 0; map && map->type == YAML_MAP && i < map->count; i++)
			if (streq(map->keys[i]->text, s->key))
				at = map->keys[i];
		if (why)
			fault_at(x->faults, at, "os.sysctl: %s = %s: %s; leave it out", s->key, s->value, why);
		else if (note)
			note_at(x->faults, at, "os.sysctl: %s = %s: %s", s->key, s->value, note);
	}
}
