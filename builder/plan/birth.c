/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/birth.h"

#include <errno.h>

#include "base/file.h"
#include "card/records.h"
#include "config/born.h"
#include "plan/flashed.h"

static const char origin[] = "generated: birth";

static bool is_alone(const struct config *c)
{
	return config_count_role(c, ROLE_CONTROL_PLANE) == 1;
}

/* ---- which cards ---- */

static bool is_done(const json_t *line)
{
	return streq(json_get_text(line, "state"), "done");
}

/* Lines that do not say are of image files, which carry no mark, and of before there was one. */
static bool may_have_started(const json_t *line, const struct config *c)
{
	const char *cluster = json_get_text(line, "cluster");
	const json_t *starts = json_object_get(line, "starts");
	const struct node_config *first = config_first_server(c);

	if (!is_done(line) || (*cluster && !streq(cluster, c->cluster.name)))
		return false;
	return starts ? json_is_true(starts) : first && streq(json_get_text(line, "node"), first->name);
}

const json_t *birth_card(const json_t *cards, const struct config *c)
{
	for (size_t i = json_array_size(cards); i-- > 0;)
		if (may_have_started(json_array_get(cards, i), c))
			return json_array_get(cards, i);
	return NULL;
}

enum birth_right birth_right(const json_t *cards, const struct config *c, const struct node_config *n)
{
	if (n->role != ROLE_CONTROL_PLANE || is_alone(c))
		return BIRTH_NONE;
	return n == config_first_server(c) && !birth_card(cards, c) ? BIRTH_STARTS : BIRTH_JOINS;
}

void birth_mark(struct node_plan *n, enum birth_right right)
{
	if (right == BIRTH_NONE)
		return;
	tree_add_text(&n->tree, "/etc/pibuild/birth", 0644, origin, right == BIRTH_STARTS ? "yes\n" : "no\n");
	tree_sort(&n->tree);
}

/* ---- what a cluster is born with ---- */

/* What CARD, of which there is one, says of fact I; "" = nothing. */
static const char *fact_of_card(const json_t *card, size_t i)
{
	const char *was = json_clean_or(json_object_get(card, "born"), born_facts[i].key, "");

	return *was ? was : str_or(born_facts[i].before, "");
}

void birth_settle(const json_t *cards, struct config *c)
{
	const json_t *card = birth_card(cards, c);

	for (size_t i = 0; card && i < born_facts_count; i++)
		if (streq(born_facts[i].key, BORN_ENCRYPTION) && !yaml_find(c->doc, BORN_ENCRYPTION))
			c->k3s.secrets_encryption = streq(fact_of_card(card, i), "true");
}

/* It starts a cluster wherever it holds none, so with another name, or as another node, it leaves the one that is there
 * behind. A starter that was removed, or whose card became another's, is no surprise. */
static void check_only_server(json_t *cards, const struct config *c, struct faults *f)
{
	const struct node_config *only = config_first_server(c);
	const json_t *card = birth_card(cards, c);
	const char *starter = card ? json_clean_or(card, "node", "") : "";
	const struct node_config *still = config_find_node(c, starter);

	if (!*starter || !only || !only->name || !is_alone(c) || streq(starter, only->name) ||
	    !flashed_card(cards, starter))
		return;
	note_key(
		f, c, arena_printf("nodes[%zu].name", (size_t)(only - c->nodes.v)),
		"nodes[%zu]: %s is the only server now, and %s was started by %s (card of %s), which %s: a card of %s starts a cluster of its own, and what is in %s (objects, Secrets, volumes) stays behind; keep %s as the server, or take a backup and write the new card with `pibuild flash --restore`",
		(size_t)(only - c->nodes.v), only->name, c->cluster.name, starter, json_clean_or(card, "time", ""),
		still ? "is a worker now" : "is no node of this file any more", only->name, c->cluster.name, starter);
}

void birth_check(json_t *cards, const struct config *c, struct faults *f)
{
	const json_t *card = birth_card(cards, c);
	const struct node_config *first = config_first_server(c);

	check_only_server(cards, c, f);
	for (size_t i = 0; first && card && i < born_facts_count; i++) {
		const char *was = fact_of_card(card, i), *now = born_facts[i].value(c);

		if (!*was || streq(was, now))
			continue;
		fault_key(
			f, c, born_facts[i].key,
			"%s: %s was started with %s (card of %s, %s), and a running cluster cannot change to %s: %s, or start anew and lose what is in it: `pibuild flash --start-new-cluster --node %s DISK`, then the cards of all other nodes",
			born_facts[i].key, c->cluster.name, was, json_clean_or(card, "node", ""),
			json_clean_or(card, "time", ""), now,
			streq(was, BORN_NO_IPV6) ? "remove network.ipv6" : arena_printf("write %s again", was),
			first->name);
	}
}

/* ---- what speaks of secrets that are gone ---- */

static int card_trace(const struct config *c, const char **ret, struct err *e)
{
	_cleanup_json_ json_t *cards = NULL;
	int r = flashed_load(c->dir, &cards, e);

	for (size_t i = json_array_size(cards); i-- > 0;) {
		const json_t *j = json_array_get(cards, i);
		const char *cluster = json_get_text(j, "cluster");

		if (is_done(j) && (*cluster ? streq(cluster, c->cluster.name)
					    : config_find_node(c, json_get_text(j, "node")) != NULL)) {
			*ret = arena_printf("the card of %s, written %s (%s)", json_clean_or(j, "node", ""),
					    json_clean_or(j, "time", ""), path_join(c->dir, FLASHED_FILE));
			break;
		}
	}
	return r;
}

static int manifest_trace(const struct config *c, const char *out, const char **ret, struct err *e)
{
	vec_foreach (n, &c->nodes) {
		const char *path = path_join(out, arena_printf("%s" MANIFEST_SUFFIX, n->name));
		_cleanup_free_ char *text = NULL;
		_cleanup_json_ json_t *j = NULL;
		struct err none = { 0 };
		int r = file_read(path, MANIFEST_LIMIT, &text, NULL, &none);

		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		if (r < 0)
			return err_set(e, r, "%s; it says whether there are images of the secrets that are missing",
				       none.msg);
		j = json_loads(text, 0, NULL);
		if (streq(json_get_text(j, "cluster"), c->cluster.name)) {
			*ret = arena_printf("the image of %s (%s)", n->name, path);
			break;
		}
	}
	return 0;
}

int birth_traces(const struct config *c, const char *out, const char **ret, struct err *e)
{
	int r = card_trace(c, ret, e);

	return r < 0 || *ret || !out ? r : manifest_trace(c, out, ret, e);
}
