/* SPDX-License-Identifier: Apache-2.0 */
/* A report held against its rules, which docs/status.schema.json states for others: change both together. */
#include <errno.h>
#include <time.h>

#include "status/report.h"

const char *const step_state_names[STEP_STATE_COUNT] = { "pending", "waiting", "running", "done", "failed" };
const char *const node_state_names[NODE_STATE_COUNT] = { "working", "done", "failed", "absent" };

enum { NAME_MAX_CHARS = 63, TITLE_MAX = 200, UNIT_MAX = 255, TEXT_MAX = 4096, TIME_CHARS = 20 };
enum { STEPS_MAX = 64, NOTES_MAX = 256, NODES_MAX = 1024 };
static const json_int_t attempts_max = 2147483647;
static const char *const roles[] = { "control-plane", "worker" };
static const char *const versions[] = { "pibuild/v1" };
static const char *const kinds[] = { "Status" };

enum rule_kind {
	RULE_NAME,  /* a label of a host name, or several with dots */
	RULE_TEXT,  /* of at most MAX characters, perhaps none */
	RULE_TITLE, /* the same, not empty */
	RULE_WORD,  /* one of NAMES; kept as text */
	RULE_STATE, /* one of NAMES; kept as its number */
	RULE_TIME,  /* of the form 2026-11-25T16:00:00Z */
	RULE_SINCE, /* the same, or empty: 0 */
	RULE_COUNT,
	RULE_LIST, /* looked at by the caller */
};

struct rule {
	const char *key;
	enum rule_kind kind;
	size_t offset;
	size_t max; /* characters; of a list, items */
	const char *const *names;
	size_t n_names;
	bool optional;
};

#define STEP(member) offsetof(struct report_step, member)
static const struct rule step_rules[] = {
	{ "name", RULE_NAME, STEP(name), NAME_MAX_CHARS, NULL, 0, false },
	{ "title", RULE_TITLE, STEP(title), TITLE_MAX, NULL, 0, false },
	{ "state", RULE_STATE, STEP(state), 0, step_state_names, STEP_STATE_COUNT, false },
	{ "cause", RULE_TEXT, STEP(cause), TEXT_MAX, NULL, 0, false },
	{ "cure", RULE_TEXT, STEP(cure), TEXT_MAX, NULL, 0, false },
	{ "attempts", RULE_COUNT, STEP(attempts), 0, NULL, 0, false },
	{ "since", RULE_SINCE, STEP(since), 0, NULL, 0, false },
	{ "unit", RULE_TITLE, STEP(unit), UNIT_MAX, NULL, 0, false },
};
#define NOTE(member) offsetof(struct report_note, member)
static const struct rule note_rules[] = {
	{ "about", RULE_TITLE, NOTE(about), TITLE_MAX, NULL, 0, false },
	{ "cause", RULE_TEXT, NOTE(cause), TEXT_MAX, NULL, 0, false },
	{ "cure", RULE_TEXT, NOTE(cure), TEXT_MAX, NULL, 0, false },
};
#define NODE(member) offsetof(struct report_node, member)
static const struct rule node_rules[] = {
	{ "name", RULE_NAME, NODE(name), NAME_MAX_CHARS, NULL, 0, false },
	{ "role", RULE_WORD, NODE(role), 0, roles, ARRAY_SIZE(roles), false },
	{ "state", RULE_STATE, NODE(state), 0, node_state_names, NODE_STATE_COUNT, false },
	{ "cause", RULE_TEXT, NODE(cause), TEXT_MAX, NULL, 0, false },
	{ "time", RULE_SINCE, NODE(time), 0, NULL, 0, false },
};

/* What is only checked goes nowhere else. */
struct top {
	struct report r;
	const char *version, *kind;
};
#define TOP(member) offsetof(struct top, member)
static const struct rule top_rules[] = {
	{ "apiVersion", RULE_WORD, TOP(version), 0, versions, ARRAY_SIZE(versions), false },
	{ "kind", RULE_WORD, TOP(kind), 0, kinds, ARRAY_SIZE(kinds), false },
	{ "cluster", RULE_NAME, TOP(r.cluster), NAME_MAX_CHARS, NULL, 0, false },
	{ "node", RULE_NAME, TOP(r.node), NAME_MAX_CHARS, NULL, 0, false },
	{ "role", RULE_WORD, TOP(r.role), 0, roles, ARRAY_SIZE(roles), false },
	{ "state", RULE_STATE, TOP(r.state), 0, node_state_names, NODE_ABSENT, false },
	{ "time", RULE_TIME, TOP(r.time), 0, NULL, 0, false },
	{ "steps", RULE_LIST, 0, STEPS_MAX, NULL, 0, false },
	{ "notes", RULE_LIST, 0, NOTES_MAX, NULL, 0, true },
	{ "nodes", RULE_LIST, 0, NODES_MAX, NULL, 0, true },
};

/* ---- values: NULL, or what is wrong ---- */

static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static bool is_name(const char *s)
{
	static const char ends[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t n = strlen(s);

	return n > 0 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n && strchr(ends, s[0]) &&
	       strchr(ends, s[n - 1]);
}

static bool parse_time(const char *s, int64_t *ret)
{
	static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
	char again[TIME_CHARS + 1];
	struct tm tm = { 0 };
	time_t t;

	if (strlen(s) != TIME_CHARS)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
			return false;
	if (!strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return false;
	t = timegm(&tm);
	/* The 30th of February is not the 2nd of March. */
	if (t < 0 || strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0 || !streq(again, s))
		return false;
	*ret = t;
	return true;
}

static const char *read_count(const json_t *v, void *dst)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > attempts_max)
		return "is not a count";
	*(unsigned *)dst = (unsigned)json_integer_value(v);
	return NULL;
}

static const char *read_word(const struct rule *rule, const char *s, void *dst)
{
	for (size_t i = 0; i < rule->n_names; i++) {
		if (!streq(rule->names[i], s))
			continue;
		if (rule->kind == RULE_STATE)
			*(unsigned *)dst = (unsigned)i;
		else
			*(const char **)dst = rule->names[i];
		return NULL;
	}
	return "has a value this pibuild does not know";
}

/* The cleaned text takes the place of the other in the JSON too. */
static const char *report_text(const struct rule *rule, json_t *v, void *dst)
{
	const char *s = json_string_value(v);
	char *text;

	if (!s)
		return "is not a text";
	if (rule->kind == RULE_WORD || rule->kind == RULE_STATE)
		return read_word(rule, s, dst);
	if (rule->kind == RULE_SINCE && !*s)
		return NULL;
	if (rule->kind == RULE_TIME || rule->kind == RULE_SINCE)
		return parse_time(s, dst) ? NULL : "is not a time such as 2026-11-25T16:00:00Z";
	if (characters(s) > rule->max)
		return "is too long";
	if (rule->kind == RULE_NAME && !is_name(s))
		return "is not a name";
	if (rule->kind == RULE_TITLE && !*s)
		return "is empty";
	text = clean_text(arena_strdup(s));
	json_string_set(v, text);
	*(const char **)dst = text;
	return NULL;
}

static const char *read_value(const struct rule *rule, json_t *v, void *dst)
{
	switch (rule->kind) {
	case RULE_COUNT:
		return read_count(v, dst);
	case RULE_LIST:
		if (!json_is_array(v))
			return "is not a list";
		return json_array_size(v) > rule->max ? "has too many items" : NULL;
	default:
		return report_text(rule, v, dst);
	}
}

/* ---- objects ---- */

struct place {
	const char *file;
	const char *path; /* "steps[2]", "" at the top */
};

static int complain(struct place at, const char *key, const char *why, struct err *e)
{
	_cleanup_free_ char *shown = clean_text(xstrdup(key));

	return err_class(e, CLASS_VERIFY, "%s: is no report of this version: %s%s%.60s %s", at.file, at.path,
			 *at.path && *key ? "." : "", shown, why);
}

static int read_object(json_t *object, const struct rule *rules, size_t n, struct place at, void *dst, struct err *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return complain(at, "", "is not an object", e);
	json_object_foreach(object, key, value)
	{
		size_t i = 0;

		while (i < n && !streq(rules[i].key, key))
			i++;
		if (i == n)
			return complain(at, key, "is a key this pibuild does not know", e);
	}
	for (size_t i = 0; i < n; i++) {
		const char *why;

		value = json_object_get(object, rules[i].key);
		if (!value && rules[i].optional)
			continue;
		why = value ? read_value(&rules[i], value, (char *)dst + rules[i].offset) : "is missing";
		if (why)
			return complain(at, rules[i].key, why, e);
	}
	return 0;
}

static struct place item_of(struct place at, const char *list, size_t i)
{
	return (struct place){ at.file, arena_printf("%s[%zu]", list, i) };
}

static int read_lists(json_t *json, struct place at, struct report *r, struct err *e)
{
	json_t *steps = json_object_get(json, "steps"), *notes = json_object_get(json, "notes"),
	       *nodes = json_object_get(json, "nodes");
	int code = 0;

	for (size_t i = 0; i < json_array_size(steps) && code == 0; i++)
		code = read_object(json_array_get(steps, i), step_rules, ARRAY_SIZE(step_rules),
				   item_of(at, "steps", i), vec_push(&r->steps), e);
	for (size_t i = 0; i < json_array_size(notes) && code == 0; i++)
		code = read_object(json_array_get(notes, i), note_rules, ARRAY_SIZE(note_rules),
				   item_of(at, "notes", i), vec_push(&r->notes), e);
	for (size_t i = 0; i < json_array_size(nodes) && code == 0; i++)
		code = read_object(json_array_get(nodes, i), node_rules, ARRAY_SIZE(node_rules),
				   item_of(at, "nodes", i), vec_push(&r->nodes), e);
	return code;
}

/* ---- the whole ---- */

static enum node_state state_of_steps(const struct report *r)
{
	enum node_state state = NODE_DONE;

	vec_foreach (s, &r->steps) {
		if (s->state == STEP_FAILED)
			return NODE_FAILED;
		if (s->state != STEP_DONE)
			state = NODE_WORKING;
	}
	return state;
}

static int check_whole(const struct report *r, struct place at, struct err *e)
{
	if (r->steps.n == 0)
		return complain(at, "steps", "is empty", e);
	for (size_t i = 0; i < r->steps.n; i++)
		for (size_t j = 0; j < i; j++)
			if (streq(r->steps.v[i].name, r->steps.v[j].name))
				return complain(item_of(at, "steps", i), "name", "is there twice", e);
	if (r->state != state_of_steps(r))
		return complain(at, "state", "is not what its steps say", e);
	return 0;
}

int report_parse(const char *text, size_t n, const char *name, struct report *ret, struct err *e)
{
	_cleanup_json_ json_t *json = NULL;
	struct place at = { name, "" };
	struct top top = { 0 };
	json_error_t why;
	int r;

	if (n > REPORT_LIMIT)
		return err_class(e, CLASS_VERIFY, "%s: is too long for a report: more than 256 KiB", name);
	json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!json)
		return err_class(e, CLASS_VERIFY,
				 "%s: is no report, or one cut off by a loss of power (line %d, column %d: %s); "
				 "power the node on again, it writes a new one",
				 name, why.line, why.column, clean_text(why.text));
	r = read_object(json, top_rules, ARRAY_SIZE(top_rules), at, &top, e);
	if (r == 0)
		r = read_lists(json, at, &top.r, e);
	if (r == 0)
		r = check_whole(&top.r, at, e);
	if (r < 0)
		return r;
	*ret = top.r;
	ret->json = json;
	json = NULL;
	return 0;
}

void report_done(struct report *r)
{
	json_decref(r->json);
	r->json = NULL;
}
