/* SPDX-License-Identifier: Apache-2.0 */
/* The overview for people: a column that says nothing of any node is left out. */
#include "status/internal.h"
#include "status/overview.h"

static const char *kept_duration(int64_t from, int64_t to)
{
	char buf[DURATION_MAX];

	return arena_strdup(status_duration(from, to, buf));
}

static const char *name_cell(const struct overview *o, const struct overview_node *n)
{
	return n->holds_vip ? arena_printf("%s*", n->name) : n->name;
}

static const char *state_cell(const struct overview *o, const struct overview_node *n)
{
	return node_state_names[n->state];
}

static const char *steps_cell(const struct overview *o, const struct overview_node *n)
{
	return n->steps ? arena_printf("%u/%u", n->steps_done, n->steps) : "";
}

static const char *k3s_cell(const struct overview *o, const struct overview_node *n)
{
	return n->k3s;
}

static const char *os_cell(const struct overview *o, const struct overview_node *n)
{
	return n->os;
}

static const char *certificates_cell(const struct overview *o, const struct overview_node *n)
{
	if (!n->certificates_until)
		return "";
	return n->certificates_until <= o->time ? "ran out" : kept_duration(o->time, n->certificates_until);
}

static const char *backup_cell(const struct overview *o, const struct overview_node *n)
{
	return n->backup ? kept_duration(n->backup, o->time) : "";
}

static const char *card_cell(const struct overview *o, const struct overview_node *n)
{
	switch (n->card) {
	case CARD_SAME:
		return "as cluster.yaml";
	case CARD_DIFFERS:
		return arena_printf("%u path%s differ%s", n->differs, n->differs == 1 ? "" : "s",
				    n->differs == 1 ? "s" : "");
	case CARD_UNKNOWN:
	case NODE_CARD_COUNT:
		break;
	}
	return "";
}

static const char *heard_cell(const struct overview *o, const struct overview_node *n)
{
	switch (n->heard) {
	case HEARD_SSH:
		return "now, over SSH";
	case HEARD_API:
		return "by the API alone";
	case HEARD_NOT:
	case NODE_HEARD_COUNT:
		break;
	}
	return n->seen ? arena_printf("silent for %s", kept_duration(n->seen, o->time)) : "silent";
}

static const struct column {
	const char *heading;
	const char *(*cell)(const struct overview *o, const struct overview_node *n);
} columns[] = {
	{ "node", name_cell },
	{ "state", state_cell },
	{ "steps", steps_cell },
	{ "K3s", k3s_cell },
	{ "system", os_cell },
	{ "certificates for", certificates_cell },
	{ "backup before", backup_cell },
	{ "card", card_cell },
	{ "heard of", heard_cell },
};

struct layout {
	size_t width[ARRAY_SIZE(columns)]; /* 0 = left out */
};

static struct layout overview_layout(const struct overview *o)
{
	struct layout l = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		vec_foreach (n, &o->nodes)
			l.width[i] = MAX(l.width[i], strlen(columns[i].cell(o, n)));
		if (l.width[i])
			l.width[i] = MAX(l.width[i], strlen(columns[i].heading));
	}
	return l;
}

/* N NULL: the headings. */
static void overview_print_row(const struct overview *o, const struct layout *l, const struct overview_node *n)
{
	_cleanup_strbuf_ struct strbuf row = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (l->width[i])
			strbuf_addf(&row, "  %-*s", (int)l->width[i], n ? columns[i].cell(o, n) : columns[i].heading);
	while (row.n && row.s[row.n - 1] == ' ')
		row.s[--row.n] = '\0';
	printf("%s\n", row.s);
}

static void overview_print_node(const struct overview *o, const struct layout *l, const struct overview_node *n)
{
	overview_print_row(o, l, n);
	if (*n->step)
		printf("      at:   %s\n", n->step);
	if (*n->cause)
		printf("      why:  %s\n", n->cause);
	if (*n->cure)
		printf("      cure: %s\n", n->cure);
	if (n->cordoned)
		printf("      note: it takes no new pods: `pibuild apply` ends that where an apply was cut off, else `kubectl uncordon %s`\n",
		       n->name);
}

/* Once for all nodes where it is the same. */
static void print_doubts(const struct overview *o)
{
	const char *last = "";

	vec_foreach (n, &o->nodes) {
		if (n->heard != HEARD_SSH || n->card != CARD_UNKNOWN || streq(n->doubt, last))
			continue;
		printf("\ncards are not compared with cluster.yaml: %s\n", n->doubt);
		last = n->doubt;
	}
}

void overview_print(const struct overview *o)
{
	struct layout l = overview_layout(o);
	unsigned done = 0;

	vec_foreach (n, &o->nodes)
		done += n->state == NODE_DONE;
	printf("cluster %s: %u of %zu nodes done\n\n", o->cluster, done, o->nodes.n);
	overview_print_row(o, &l, NULL);
	vec_foreach (n, &o->nodes)
		overview_print_node(o, &l, n);
	vec_foreach (n, &o->nodes) {
		char ip[IPV4_TEXT];

		if (n->holds_vip)
			printf("  * has %s, cluster.vip\n", ipv4_text(o->config->cluster.vip, ip));
	}
	if (*o->no_api)
		printf("\nthe API could not be asked: %s\n", o->no_api);
	print_doubts(o);
	printf("\n");
	vec_foreach (u, &o->urls)
		printf("%-10s %s%s%s%s\n", u->name, u->url, *u->how ? "  (while `" : "", u->how,
		       *u->how ? "` runs)" : "");
}
