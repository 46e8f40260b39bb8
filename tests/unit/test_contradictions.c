/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that contradict each other: each row of the table is found, and gone when its cure is taken.
 * `test_contradictions DIR` writes what it tries to DIR/NNN-{bad,chart,cured}.yaml, for the real chart: NNN-chart.yaml
 * is what the chart itself refuses.
 */
#include "node/contradictions.h"

#include "base/file.h"
#include "check.h"

static const char *const minors[] = { "1.18", "1.19", "1.20" };

/* A word that fits, or NULL to leave the key out. */
static const char *word_for(const char *is)
{
	if (*is == '*')
		return "*";
	if (*is == '<' || *is == '>')
		return arena_printf("%lld", atoll(is + 1) + (*is == '<' ? -1 : 1));
	if (*is == '!')
		return is[1] == '|' ? "12" : NULL;
	return *is && *is != '|' ? arena_strndup(is, strcspn(is, "|")) : NULL;
}

static struct yaml_node *in_file(struct yaml_node *n)
{
	static unsigned line;

	n->file = "values.yaml";
	n->line = ++line;
	return n;
}

static void set(struct yaml_node *values, const char *key, const char *value)
{
	struct yaml_node *n = in_file(yaml_str(value));

	n->plain = true;
	yaml_set_path(values, key, n);
}

static struct yaml_node *situation(const struct contradiction *c)
{
	struct yaml_node *values = yaml_map();

	for (size_t i = 0; i < ARRAY_SIZE(c->all) && c->all[i].key; i++) {
		const char *word = word_for(c->all[i].is);

		if (word && streq(word, "*"))
			yaml_append(yaml_set_path(values, c->all[i].key, in_file(yaml_seq())), yaml_str("eth0"));
		else if (word)
			set(values, c->all[i].key, word);
	}
	return values;
}

static void take_cure(struct yaml_node *values, const struct contradiction *c)
{
	if (!c->value)
		set(values, c->key, "");
	else if (streq(c->value, CONTRADICTION_POD_CIDR))
		set(values, c->key, "10.42.0.0/16");
	else
		set(values, c->key, streq(c->value, CONTRADICTION_POD_CIDR6) ? "fd00:42::/56" : c->value);
}

static struct config *two_nodes(bool airgap)
{
	struct config *c = arena_new(struct config);

	c->airgap = airgap;
	c->cluster.pod_cidr = (struct cidr){ .addr = 10u << 24 | 42u << 16, .prefix = 16, .set = true };
	vec_push(&c->nodes);
	vec_push(&c->nodes);
	return c;
}

static unsigned minor_for(const struct contradiction *c)
{
	return c->since ? c->since : c->until ? c->until : 20;
}

static struct contradictory judged(const struct contradiction *c, const struct yaml_node *values)
{
	return (struct contradictory){
		.config = two_nodes(c->airgap), .minor = minor_for(c), .user = values, .merged = values
	};
}

/* What is still wrong after the cure is cured as its own row says, as a person would. */
static bool cured_in(struct yaml_node *values, const struct contradiction *c, unsigned steps)
{
	const struct contradiction *rows;
	size_t n;

	rows = contradictions(&n);
	for (size_t i = 0; i < n; i++) {
		struct contradictory x = judged(c, values);

		if (!contradiction_applies(&x, &rows[i]))
			continue;
		if (!steps)
			return false;
		take_cure(values, &rows[i]);
		return cured_in(values, c, steps - 1);
	}
	return true;
}

static void write_values(const char *dir, size_t i, const char *what, const struct contradiction *c,
			 const struct yaml_node *values)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	FILE *f = fopen(arena_printf("%s/%03zu-%s.yaml", dir, i, what), "we");

	yaml_emit(values, arena_printf("%s: %s", minors[minor_for(c) - 18], c->key), &text);
	if (f) {
		fputs(text.s, f);
		fclose(f);
	}
}

int main(int argc, char **argv)
{
	const struct contradiction *rows;
	size_t n;
	int r;

	rows = contradictions(&n);
	CASE("each row is found where the user wrote it, and gone with its cure")
	{
		CHECK(n > 80);
		for (size_t i = 0; i < n; i++) {
			const struct contradiction *c = &rows[i];
			struct yaml_node *values = situation(c);
			struct contradictory x = judged(c, values);
			bool chart = c->why && strstr(c->why, "Cilium's chart");
			struct faults f = { 0 };

			if (!contradiction_applies(&x, c))
				CHECK_STR(arena_printf("%s does not apply", c->key), "");
			contradictions_check(&x, &f);
			CHECK(f.list.n > 0);
			if (!c->note)
				CHECK(f.errors > 0);
			if (argc > 1)
				write_values(argv[1], i, chart ? "chart" : "bad", c, values);
			if (!cured_in(values, c, 4))
				CHECK_STR(arena_printf("%s: the cure leads in circles", c->key), "");
			if (contradiction_applies(&x, c))
				CHECK_STR(arena_printf("%s is not cured", c->key), "");
			if (argc > 1)
				write_values(argv[1], i, "cured", c, values);
		}
	}
	CASE("what pibuild sets itself is nobody's fault, but stands in the message of what does not go with it")
	{
		struct yaml_node *user = yaml_map(), *merged = yaml_map();
		struct contradictory x = { .config = two_nodes(false), .minor = 20, .user = user, .merged = merged };
		struct faults f = { 0 };

		set(merged, "routingMode", "tunnel");
		set(merged, "tunnelProtocol", "vxlan");
		set(merged, "loadBalancer.mode", "dsr");
		contradictions_check(&x, &f);
		CHECK_INT(f.list.n, 0);
		set(user, "loadBalancer.mode", "dsr");
		contradictions_check(&x, &f);
		CHECK_INT(f.list.n, 1);
		CHECK_STR(
			f.list.v[0].msg,
			"loadBalancer.mode: dsr with routingMode: tunnel (pibuild's own), tunnelProtocol: vxlan "
			"(pibuild's own): the agent ends: DSR needs native routing, or geneve as dispatch and tunnel; "
			"set loadBalancer.mode: snat");
	}
	CASE("a row is for its versions, and a spelling of YAML for its word")
	{
		struct yaml_node *values = yaml_map();
		struct contradictory x = { .config = two_nodes(false), .minor = 18, .user = values, .merged = values };
		struct faults f = { 0 };

		set(values, "standaloneDnsProxy.enabled", "yes");
		contradictions_check(&x, &f);
		CHECK_INT(f.list.n, 0);
		x.minor = 19;
		contradictions_check(&x, &f);
		CHECK_INT(f.list.n, 1);
	}
	CASE("images that no card holds are asked for in vain with airgap alone")
	{
		struct yaml_node *values = yaml_map();
		struct contradictory x = { .config = two_nodes(false), .minor = 20, .user = values, .merged = values };
		struct faults f = { 0 };

		set(values, "nodeinit.enabled", "on");
		contradictions_check(&x, &f);
		CHECK_INT(f.list.n, 0);
		x.config = two_nodes(true);
		contradictions_check(&x, &f);
		CHECK_INT(f.errors, 1);
	}
	r = check_done();
	arena_done();
	return r;
}
