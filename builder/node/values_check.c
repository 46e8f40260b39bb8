/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's values file against the chart and against this cluster. Cilium's chart takes unknown keys in silence, so
 * they are looked up in a list. Rules on single values are in values_rules.c, those that need no board in
 * config/check_cilium.c, those on several together in contradictions.c.
 */
#include "config/api_values.h"
#include "config/values.h"
#include "node/contradictions.h"
#include "node/values_judge.h"

/* ---- every key: known, of the right type, and what it overrides ---- */

/* What is no key of values at all, but was copied along. */
static const char *copied_along(const char *path)
{
	static const char manifest[] =
		"this is of a manifest, and the file holds values alone: what a HelmChartConfig has in valuesContent";
	static const struct {
		const char *key, *why;
	} whole[] = {
		{ "cilium",
		  "the file holds Cilium's values alone: take this line away, and move what stands below it to the left" },
		{ "apiVersion", manifest },
		{ "kind", manifest },
		{ "metadata", manifest },
		{ "spec", manifest },
	};

	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (streq(whole[i].key, path))
			return whole[i].why;
	return NULL;
}

/* "hubble.enabled", of --set: "hubble: {enabled: ...}" */
static const char *nested(const char *key)
{
	const char *dot = strchr(key, '.');

	return dot ? arena_printf("%.*s: {%s}", (int)(dot - key), key, nested(dot + 1)) : arena_printf("%s: ...", key);
}

static void values_unknown_key(struct judge *j, const struct yaml_node *key, const char *parent, const char *path)
{
	const char *version = cluster_version(j->x, "cilium"), *near = chart_keys_near(&j->keys, parent, key->text);

	if (copied_along(path))
		fault_at(j->faults, key, "%s: %s", path, copied_along(path));
	else if (!j->keys.covered)
		note_at(j->faults, key,
			"%s: pibuild does not know this key, nor all keys of Cilium %s; see that it is spelled right",
			path, version);
	else if (near)
		fault_at(
			j->faults, key,
			"%s: the chart of Cilium %s has no such key and would ignore it without a word; did you mean '%s'?",
			path, version, near);
	else
		fault_at(j->faults, key,
			 "%s: the chart of Cilium %s has no such key and would ignore it without a word; remove it",
			 path, version);
}

static void note_override(struct judge *j, const struct yaml_node *n, const char *path)
{
	const struct yaml_node *mine = yaml_find(j->generated, path);

	if (mine && mine->type == YAML_SCALAR && !yaml_is(n, yaml_word(mine)) && !faults_at(j->faults, n, true))
		note_at(j->faults, n, "%s: goes over pibuild's own value, which is %s", path, mine->text);
}

/* What stands there to whoever expected something else: "1.10 is the number 1.1 to YAML". */
static const char *read_as(const struct yaml_node *n, const struct chart_key *known)
{
	enum yaml_kind kind = yaml_value(n).kind;

	if (n->type != YAML_SCALAR || (kind == YAML_NULL && strchr(known->types, 'o')))
		return "; was the indentation lost?";
	if (kind == YAML_NULL)
		return "; without a value the key is taken away from the chart";
	if (kind == YAML_INT || kind == YAML_FLOAT)
		return arena_printf("; %s is the number %s to YAML", n->text, yaml_word(n));
	if (kind == YAML_BOOL)
		return arena_printf("; %s is %s to YAML", n->text, yaml_word(n));
	return arena_printf("; '%s' is text", n->text);
}

static void values_walk(struct judge *j, const struct yaml_node *map, const char *parent)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct yaml_node *key = map->keys[i], *value = map->items[i];
		const char *path = *parent ? arena_printf("%s.%s", parent, key->text) : key->text, *wanted;
		const struct chart_key *known = chart_keys_find(&j->keys, path);

		if (faults_at(j->faults, key, false) || (!known && faults_at(j->faults, value, false)))
			continue;
		if (strchr(key->text, '.')) {
			fault_at(
				j->faults, key,
				"%s: in a file this is one key of that name, which the chart does not have; dots join keys behind --set alone: write %s",
				path, nested(key->text));
			continue;
		}
		if (!known) {
			values_unknown_key(j, key, parent, path);
			continue;
		}
		wanted = chart_key_fault(known, value);
		if (wanted && !faults_at(j->faults, value, false))
			fault_at(j->faults, value, "%s: the chart wants %s here and refuses to install%s", path, wanted,
				 read_as(value, known));
		else if (value->type == YAML_MAP && !known->open && !strchr(known->types, '*'))
			values_walk(j, value, path);
		else
			note_override(j, value, path);
	}
}

/* ---- all of it ---- */

static void told_of_api(void *arg, const struct yaml_node *n, const char *path, const char *why)
{
	struct judge *j = arg;

	if (!faults_at(j->faults, n, false))
		fault_at(j->faults, n, "%s: %s, so that Helm installs no Cilium and no node gets Ready", path, why);
}

/* Helm makes JSON of the file first. */
static void check_json(struct judge *j, const struct yaml_node *n)
{
	if (n->type == YAML_SCALAR && yaml_value(n).kind == YAML_NO_JSON)
		fault_at(j->faults, n, "%s: Helm refuses a file with this number; put it in quotes if it is text",
			 n->text);
	for (size_t i = 0; n->type != YAML_SCALAR && i < n->count; i++)
		check_json(j, n->items[i]);
}

void values_check(const struct node_ctx *x, const struct yaml_node *user, const struct yaml_node *generated,
		  const struct yaml_node *merged, struct faults *f)
{
	struct judge j = { .x = x, .user = user, .generated = generated, .merged = merged, .faults = f };
	struct semver version = { 0 };
	struct err e = { 0 };

	if (chart_keys_load(cluster_version(x, "cilium"), &j.keys, &e) < 0) {
		err_wrap(&e, "cannot be checked");
		fault_key_failed(f, x->config, "cilium.valuesFile", &e);
		return;
	}
	check_json(&j, user);
	values_judge_rules(&j);
	value_semver(cluster_version(x, "cilium"), &version);
	contradictions_check(
		&(struct contradictory){ .config = x->config, .minor = version.minor, .user = user, .merged = merged },
		f);
	values_judge_anywhere(&j);
	api_values_check(user, told_of_api, &j);
	values_walk(&j, user, "");
}
