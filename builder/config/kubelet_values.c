/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the right kind that the kubelet does not take all the same: it ends, and K3s with it, at every start of
 * every node. One row per field. Sources, of kubernetes/kubernetes pkg/kubelet and cmd/kubelet:
 *
 * - numbers, words: apis/config/validation/validation.go, its defaults in apis/config/v1beta1/defaults.go;
 *   cm/cpumanager/cpu_manager.go, cm/memorymanager/memory_manager.go, kubelet.go
 * - amounts: eviction/helpers.go, parseResourceList() in cmd/kubelet/app/server.go,
 *   logs/container_log_manager.go
 * - together: all of them
 */
#include "config/check.h"
#include "config/feature_gates.h"
#include "config/kubelet.h"
#include "schema/schema.h"

#define ENDS "with %s it ends, and K3s with it, at every start"

/* ---- one value ---- */

static const struct kubelet_range {
	const char *field;
	int least, most;
} ranges[] = {
	{ "containerLogMaxFiles", 2, INT32_MAX },
	{ "containerLogMaxWorkers", 1, INT32_MAX },
	{ "eventBurst", 0, INT32_MAX },
	{ "eventRecordQPS", 0, INT32_MAX },
	{ "healthzPort", 0, 65535 },
	{ "imageGCHighThresholdPercent", 0, 100 },
	{ "imageGCLowThresholdPercent", 0, 100 },
	{ "iptablesDropBit", 0, 31 },
	{ "iptablesMasqueradeBit", 0, 31 },
	{ "kubeAPIBurst", 0, INT32_MAX },
	{ "kubeAPIQPS", 0, INT32_MAX },
	{ "logging.verbosity", 0, INT32_MAX },
	{ "maxOpenFiles", 0, INT32_MAX },
	{ "maxParallelImagePulls", 1, INT32_MAX },
	{ "maxPods", 0, INT32_MAX },
	{ "nodeLeaseDurationSeconds", 0, INT32_MAX },
	{ "nodeStatusMaxImages", -1, INT32_MAX },
	{ "oomScoreAdj", -1000, 1000 },
	{ "podsPerCore", 0, INT32_MAX },
	{ "readOnlyPort", 0, 65535 },
	{ "registryBurst", 0, INT32_MAX },
	{ "registryPullQPS", 0, INT32_MAX },
};

static const struct kubelet_words {
	const char *field;
	const char *words[5];
} words[] = {
	{ "configMapAndSecretChangeDetectionStrategy", { "Get", "Cache", "Watch" } },
	{ "cpuManagerPolicy", { "none", "static" } },
	{ "hairpinMode", { "promiscuous-bridge", "hairpin-veth", "none" } },
	{ "imagePullCredentialsVerificationPolicy",
	  { "NeverVerify", "NeverVerifyPreloadedImages", "NeverVerifyAllowlistedImages", "AlwaysVerify" } },
	{ "logging.format", { "text", "json" } },
	{ "memoryManagerPolicy", { "None", "Static" } },
	{ "memorySwap.swapBehavior", { "NoSwap", "LimitedSwap" } },
	{ "runOnce", { "false" } },
	{ "tlsMinVersion", { "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13" } },
	{ "topologyManagerPolicy", { "none", "best-effort", "restricted", "single-numa-node" } },
	{ "topologyManagerScope", { "container", "pod" } },
};

static const char *kubelet_range_fault(const struct kubelet_range *r, const struct yaml_node *n)
{
	const struct yaml_value v = yaml_value(n);
	const char *want = r->most == INT32_MAX ? arena_printf("a whole number from %d on", r->least)
						: arena_printf("a whole number from %d to %d", r->least, r->most);
	double value = v.negative ? -(double)v.number : (double)v.number;

	if (v.kind == YAML_INT && v.exact && value >= r->least && value <= r->most)
		return NULL;
	return arena_printf("the kubelet takes %s, and " ENDS, want, yaml_word(n));
}

static const char *kubelet_word_fault(const struct kubelet_words *w, const char *text)
{
	_cleanup_strbuf_ struct strbuf all = { 0 };
	const char *near;
	size_t n = 0;

	if (!*text)
		return NULL; /* its default */
	for (; n < ARRAY_SIZE(w->words) && w->words[n]; n++) {
		if (streq(w->words[n], text))
			return NULL;
		strbuf_item(&all, ", ", w->words[n]);
	}
	near = nearest_word(text, w->words, n);
	return arena_printf("the kubelet takes %s, and " ENDS "%s", all.s, text, did_you_mean("; ", near));
}

const char *kubelet_value_fault(const char *field, const struct yaml_node *n)
{
	if (n->type != YAML_SCALAR)
		return NULL; /* its kind is told before */
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (streq(ranges[i].field, field))
			return kubelet_range_fault(&ranges[i], n);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (streq(words[i].field, field))
			return kubelet_word_fault(&words[i], yaml_word(n));
	return NULL;
}

/* ---- amounts by name ---- */

static bool threshold(const char *text)
{
	double v;
	char *end;

	if (!ends_with(text, "%"))
		return value_quantity(text, &v) == 0 && v > 0;
	v = strtod(text, &end);
	return end != text && streq(end, "%") && v >= 0 && v <= 100;
}

static bool reclaim(const char *text)
{
	double v;

	return streq(text, "0") || (threshold(text) && !(ends_with(text, "%") && strtod(text, NULL) <= 0)) ||
	       (value_quantity(text, &v) == 0 && v >= 0);
}

static bool grace(const char *text)
{
	uint64_t ms;

	return value_duration(text, &ms) == 0;
}

static bool amount(const char *text)
{
	double v;

	return value_quantity(text, &v) == 0 && v >= 0;
}

static const char *const signals[] = { "memory.available",	 "nodefs.available",   "nodefs.inodesFree",
				       "imagefs.available",	 "imagefs.inodesFree", "containerfs.available",
				       "containerfs.inodesFree", "pid.available",      NULL };
static const char *const resources[] = { "cpu", "memory", "ephemeral-storage", "pid", NULL };
static const char amounts_like[] = "an amount such as 100Mi or 0.5";

static const struct kubelet_amounts {
	const char *field, *const *names;
	bool (*takes)(const char *text);
	const char *like;
} amounts[] = {
	{ "evictionHard", signals, threshold, "100Mi or 10%, more than nothing" },
	{ "evictionSoft", signals, threshold, "100Mi or 10%, more than nothing" },
	{ "evictionSoftGracePeriod", signals, grace, "a time such as 1m30s" },
	{ "evictionMinimumReclaim", signals, reclaim, "100Mi or 10%" },
	{ "systemReserved", resources, amount, amounts_like },
	{ "kubeReserved", resources, amount, amounts_like },
};

static size_t count_names(const char *const *names)
{
	size_t n = 0;

	while (names[n])
		n++;
	return n;
}

/* NULL, or why NAME: TEXT is none of A. */
static const char *amount_fault(const struct kubelet_amounts *a, const char *name, const char *text, bool *ret_name)
{
	_cleanup_strbuf_ struct strbuf all = { 0 };
	const char *near;

	*ret_name = false;
	for (size_t i = 0; a->names[i]; i++) {
		strbuf_item(&all, ", ", a->names[i]);
		if (streq(a->names[i], name))
			return a->takes(text) ? NULL : arena_printf("the kubelet takes %s, and " ENDS, a->like, text);
	}
	*ret_name = true;
	near = nearest_word(name, a->names, count_names(a->names));
	return arena_printf("the kubelet knows %s, and " ENDS "%s", all.s, name, did_you_mean("; ", near));
}

static void check_amount(const struct check *x, const struct kubelet_amounts *a, const struct yaml_node *key,
			 const struct yaml_node *value)
{
	bool of_name;
	const char *why = value->type == YAML_SCALAR ? amount_fault(a, key->text, value->text, &of_name) : NULL;

	if (why)
		fault_at(x->faults, of_name ? key : value, "k3s.kubelet.%s.%s: %s", a->field, key->text, why);
}

const char *kubelet_amounts_fault(const char *field, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++) {
		char *all = arena_strdup(text);

		if (!streq(amounts[i].field, field))
			continue;
		text_foreach (one, all, ",") {
			size_t n = strcspn(one, "=<");
			bool of_name;
			const char *why;

			if (!one[n])
				return arena_printf("'%s' has no amount", one);
			why = amount_fault(&amounts[i], arena_strndup(one, n), one + n + 1, &of_name);
			if (why)
				return why;
		}
	}
	return NULL;
}

static void check_amounts(const struct check *x, const struct kubelet_amounts *a)
{
	const struct yaml_node *map = yaml_find(x->config->doc, arena_printf("k3s.kubelet.%s", a->field));

	for (size_t i = 0; map && map->type == YAML_MAP && i < map->count; i++)
		check_amount(x, a, map->keys[i], map->items[i]);
}

/* ---- values together ---- */

#define KUBELET_FAULT(x, field, fmt, ...)                                                                              \
	fault_key((x)->faults, (x)->config, "k3s.kubelet." field, "k3s.kubelet." field ": " fmt, ##__VA_ARGS__)

static bool kubelet_says(const struct check *x, const char *field, const char *word)
{
	return yaml_is(yaml_find(x->config->k3s.kubelet, field), word);
}

static bool kubelet_has(const struct check *x, const char *field)
{
	const struct yaml_node *n = yaml_find(x->config->k3s.kubelet, field);

	return n && !(n->type == YAML_SCALAR && !*n->text);
}

/* What is of another kind has its own fault, and stands in the configuration as nothing. */
static bool kubelet_is_told(const struct check *x, const char *field)
{
	const struct yaml_node *n = yaml_find(x->config->doc, arena_printf("k3s.kubelet.%s", field));

	return n && faults_at(x->faults, n, false);
}

/* What the file says, else the kubelet's own. */
static unsigned kubelet_count(const struct check *x, const char *field, unsigned fallback)
{
	const struct yaml_node *n = yaml_get(x->config->k3s.kubelet, field);
	unsigned v;

	return n && value_unsigned(yaml_word(n), &v) == 0 ? v : fallback;
}

static uint64_t kubelet_time(const struct check *x, const char *field, uint64_t fallback)
{
	const struct yaml_node *n = yaml_get(x->config->k3s.kubelet, field);
	uint64_t ms;

	return n && value_duration(n->text, &ms) == 0 ? ms : fallback;
}

static void check_image_gc(const struct check *x)
{
	unsigned low = kubelet_count(x, "imageGCLowThresholdPercent", 80),
		 high = kubelet_count(x, "imageGCHighThresholdPercent", 85);
	uint64_t least = kubelet_time(x, "imageMinimumGCAge", 120000), most = kubelet_time(x, "imageMaximumGCAge", 0);
	bool low_given = kubelet_has(x, "imageGCLowThresholdPercent");

	if (low >= high && !kubelet_is_told(x, "imageGCLowThresholdPercent") &&
	    !kubelet_is_told(x, "imageGCHighThresholdPercent"))
		fault_key(
			x->faults, x->config,
			low_given ? "k3s.kubelet.imageGCLowThresholdPercent"
				  : "k3s.kubelet.imageGCHighThresholdPercent",
			"k3s.kubelet: imageGCLowThresholdPercent is %u%s and has to be less than imageGCHighThresholdPercent, %u%s, or the kubelet ends, and K3s with it, at every start",
			low, low_given ? "" : " by default", high,
			kubelet_has(x, "imageGCHighThresholdPercent") ? "" : " by default");
	if (most && most <= least)
		KUBELET_FAULT(
			x, "imageMaximumGCAge",
			"has to be more than imageMinimumGCAge (2m by default), or the kubelet ends, and K3s with it, at every start");
}

static void check_reserved_cpus(const struct check *x)
{
	if (kubelet_says(x, "cpuManagerPolicy", "static") && !kubelet_has(x, "systemReserved.cpu") &&
	    !kubelet_has(x, "kubeReserved.cpu") && !kubelet_has(x, "reservedSystemCPUs"))
		KUBELET_FAULT(
			x, "cpuManagerPolicy",
			"static leaves pods processors of their own, and the kubelet ends when none is kept for the system; add systemReserved: {cpu: 500m}");
	if (kubelet_says(x, "memoryManagerPolicy", "Static") && !kubelet_has(x, "reservedMemory"))
		KUBELET_FAULT(
			x, "memoryManagerPolicy",
			"with Static the kubelet ends when reservedMemory does not say what each NUMA node keeps; add it, or write None");
}

static void check_soft_eviction(const struct check *x)
{
	const struct yaml_node *soft = yaml_find(x->config->doc, "k3s.kubelet.evictionSoft"),
			       *periods = yaml_find(x->config->doc, "k3s.kubelet.evictionSoftGracePeriod");

	for (size_t i = 0; soft && soft->type == YAML_MAP && i < soft->count; i++)
		if (!periods || periods->type != YAML_MAP || !yaml_get(periods, soft->keys[i]->text))
			fault_at(
				x->faults, soft->keys[i],
				"k3s.kubelet.evictionSoft: %s has no time in evictionSoftGracePeriod, and without one the kubelet ends, and K3s with it, at every start; add evictionSoftGracePeriod: {%s: 1m30s}",
				soft->keys[i]->text, soft->keys[i]->text);
}

static void check_enforcement(const struct check *x)
{
	static const struct {
		const char *word, *cgroup;
	} known[] = { { "pods", NULL },
		      { "none", NULL },
		      { "system-reserved", "systemReservedCgroup" },
		      { "system-reserved-compressible", "systemReservedCgroup" },
		      { "kube-reserved", "kubeReservedCgroup" },
		      { "kube-reserved-compressible", "kubeReservedCgroup" } };
	const struct yaml_node *list = yaml_find(x->config->doc, "k3s.kubelet.enforceNodeAllocatable");

	for (size_t i = 0; list && list->type == YAML_SEQ && i < list->count; i++) {
		const char *text = str_or(list->items[i]->text, "");
		size_t k = 0;

		while (k < ARRAY_SIZE(known) && !streq(known[k].word, text))
			k++;
		if (k == ARRAY_SIZE(known))
			fault_at(
				x->faults, list->items[i],
				"k3s.kubelet.enforceNodeAllocatable: the kubelet takes pods, none, system-reserved and kube-reserved, and " ENDS,
				text);
		else if (known[k].cgroup && !kubelet_has(x, known[k].cgroup))
			fault_at(
				x->faults, list->items[i],
				"k3s.kubelet.enforceNodeAllocatable: with %s the kubelet wants to know %s, and ends without, K3s with it; leave pods alone, or add it",
				text, known[k].cgroup);
	}
}

static void check_times(const struct check *x)
{
	if (kubelet_time(x, "containerLogMonitorInterval", 10000) < 3000)
		KUBELET_FAULT(x, "containerLogMonitorInterval",
			      "the kubelet takes 3s or more, and ends with less, K3s with it");
	for (size_t i = 0; i < 2; i++) {
		const char *field = i ? "shutdownGracePeriodCriticalPods" : "shutdownGracePeriod";
		uint64_t ms = kubelet_time(x, field, 0);

		if (ms && ms < 1000)
			fault_key(
				x->faults, x->config, arena_printf("k3s.kubelet.%s", field),
				"k3s.kubelet.%s: the kubelet takes 0s, or 1s and more, and ends with less, K3s with it",
				field);
	}
}

static void check_pulls(const struct check *x)
{
	if (kubelet_says(x, "serializeImagePulls", "true") && kubelet_count(x, "maxParallelImagePulls", 1) > 1)
		KUBELET_FAULT(
			x, "maxParallelImagePulls",
			"more than one at a time, and serializeImagePulls: true says one after the other: the kubelet ends, and K3s with it; remove one of the two");
}

static void check_log_size(const struct check *x)
{
	const struct yaml_node *n = yaml_get(x->config->k3s.kubelet, "containerLogMaxSize");
	double v;

	if (n && value_quantity(n->text, &v) < 0)
		KUBELET_FAULT(x, "containerLogMaxSize", "the kubelet takes an amount such as 10Mi, and " ENDS, n->text);
}

static void check_gates(const struct check *x)
{
	const struct yaml_node *gates = yaml_find(x->config->doc, "k3s.kubelet.featureGates");

	for (size_t i = 0; gates && gates->type == YAML_MAP && i < gates->count; i++) {
		const char *gate = gates->keys[i]->text, *value = yaml_word(gates->items[i]), *note,
			   *why = feature_gate_fault(x->versions->k3s, gate, value, x->faults, &note);

		if (why)
			fault_at(x->faults, gates->keys[i], "k3s.kubelet.featureGates.%s: %s", gate, why);
		else if (note)
			note_at(x->faults, gates->keys[i], "k3s.kubelet.featureGates.%s: %s", gate, note);
	}
}

void check_kubelet_values(const struct check *x)
{
	const struct yaml_node *fields = x->config->k3s.kubelet;

	for (size_t i = 0; i < ARRAY_SIZE(ranges) + ARRAY_SIZE(words); i++) {
		const char *field = i < ARRAY_SIZE(ranges) ? ranges[i].field : words[i - ARRAY_SIZE(ranges)].field;
		const struct yaml_node *n = yaml_find(fields, field);
		const char *why = n && !kubelet_is_told(x, field) ? kubelet_value_fault(field, n) : NULL;

		if (why)
			fault_key(x->faults, x->config, arena_printf("k3s.kubelet.%s", field), "k3s.kubelet.%s: %s",
				  field, why);
	}
	for (size_t i = 0; i < ARRAY_SIZE(amounts); i++)
		check_amounts(x, &amounts[i]);
	check_image_gc(x);
	check_reserved_cpus(x);
	check_soft_eviction(x);
	check_enforcement(x);
	check_times(x);
	check_pulls(x);
	check_log_size(x);
	check_gates(x);
}
