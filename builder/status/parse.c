/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a report, and what they cannot say. */
#include "card/card.h"
#include "schema/schema.h"
#include "status/report.h"

const char *const step_state_names[STEP_STATE_COUNT] = { "pending", "waiting", "running", "done", "failed" };
const char *const node_state_names[NODE_STATE_COUNT] = { "working", "done", "failed", "absent" };

enum { NAME_MAX_CHARS = 63, TITLE_MAX = 200, UNIT_MAX = 255, TEXT_MAX = 4096 };
enum { STEPS_MAX = 64, NOTES_MAX = 256, APPS_MAX = 128, NODES_MAX = 1024 };
static const char *const roles[] = { "control-plane", "worker" };
static const char *const versions[] = { "pibuild/v1" };
static const char *const kinds[] = { "Status" };
/* No node is absent to itself. */
static const char *const own_states[NODE_ABSENT] = { "working", "done", "failed" };

/* A label of a host name, or several with dots. */
static const struct kind kind_report_name = {
	.name = "name",
	.pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
	.words = "names have lower-case letters, digits, '-' and '.'",
};

#define AT(member) offsetof(struct report_step, member)
static const struct field step_fields[] = {
	FIELD("name", report_name, AT(name), .flags = REQUIRED, .max = NAME_MAX_CHARS,
	      .help = "A step of /etc/pibuild/steps of its card, in that order"),
	FIELD("title", text, AT(title), .flags = REQUIRED, .max = TITLE_MAX, .help = "The step in words"),
	FIELD("state", choice, AT(state), .flags = REQUIRED, NAMES(step_state_names),
	      .help = "failed: tried for longer than its bound, or hopeless; it is still tried"),
	FIELD("cause", any_text, AT(cause), .flags = REQUIRED, .max = TEXT_MAX, .help = "Why it waits or failed"),
	FIELD("cure", any_text, AT(cure), .flags = REQUIRED, .max = TEXT_MAX, .help = "What a person can do about it"),
	FIELD("attempts", unsigned, AT(attempts), .flags = REQUIRED),
	FIELD("since", time_or_none, AT(since), .flags = REQUIRED,
	      .help = "When it came into this state, by the node's clock; empty: not begun"),
	FIELD("unit", text, AT(unit), .flags = REQUIRED, .max = UNIT_MAX, .help = "The systemd unit to ask for more"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct report_note, member)
static const struct field note_fields[] = {
	FIELD("about", text, AT(about), .flags = REQUIRED, .max = TITLE_MAX),
	FIELD("cause", any_text, AT(cause), .flags = REQUIRED, .max = TEXT_MAX, .help = "What was found"),
	FIELD("cure", any_text, AT(cure), .flags = REQUIRED, .max = TEXT_MAX, .help = "What a person can do about it"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct report_app, member)
static const struct field report_app_fields[] = {
	FIELD("name", report_name, AT(name), .flags = REQUIRED, .max = NAME_MAX_CHARS, .help = "Of cluster.yaml"),
	FIELD("state", choice, AT(state), .flags = REQUIRED, NAMES(step_state_names),
	      .help = "done: installed; failed: it is tried again every few minutes"),
	FIELD("cause", any_text, AT(cause), .flags = REQUIRED, .max = TEXT_MAX, .help = "Why it failed"),
	FIELD("cure", any_text, AT(cure), .flags = REQUIRED, .max = TEXT_MAX, .help = "What a person can do about it"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct report_node, member)
static const struct field node_fields[] = {
	FIELD("name", report_name, AT(name), .flags = REQUIRED, .max = NAME_MAX_CHARS, .help = "Its host name"),
	FIELD("role", word, AT(role), .flags = REQUIRED, NAMES(roles)),
	FIELD("state", choice, AT(state), .flags = REQUIRED, NAMES(node_state_names), .help = "absent: not heard of"),
	FIELD("cause", any_text, AT(cause), .flags = REQUIRED, .max = TEXT_MAX, .help = "Why it is not done"),
	FIELD("time", time_or_none, AT(time), .flags = REQUIRED, .help = "When it was last heard of; empty: never"),
	{ 0 },
};
#undef AT
#define AT(member) offsetof(struct report, member)
static const struct field report_backup_fields[] = {
	FIELD("time", time, AT(backup.time), .flags = REQUIRED, .help = "When it was begun"),
	FIELD("name", text, AT(backup.name), .flags = REQUIRED, .max = TITLE_MAX,
	      .help = "Its file, where backups lie"),
	{ 0 },
};
static const struct field report_fields[] = {
	FIELD("apiVersion", constant, 0, .flags = REQUIRED, NAMES(versions)),
	FIELD("kind", constant, 0, .flags = REQUIRED, NAMES(kinds)),
	FIELD("cluster", report_name, AT(cluster), .flags = REQUIRED, .max = NAME_MAX_CHARS,
	      .help = "Name of the cluster"),
	FIELD("node", report_name, AT(node), .flags = REQUIRED, .max = NAME_MAX_CHARS, .help = "Name of the node"),
	FIELD("role", word, AT(role), .flags = REQUIRED, NAMES(roles)),
	FIELD("state", choice, AT(state), .flags = REQUIRED, NAMES(own_states),
	      .help = "failed when a step failed, done when all are done"),
	FIELD("time", time, AT(time), .flags = REQUIRED, .help = "When this was written, by the node's clock"),
	FIELD("steps", list, AT(steps), .flags = REQUIRED, ITEMS(step_fields, report_step), .max = STEPS_MAX),
	FIELD("notes", list, AT(notes), ITEMS(note_fields, report_note), .max = NOTES_MAX,
	      .help = "Findings that stop nothing"),
	FIELD("apps", list, AT(apps), ITEMS(report_app_fields, report_app), .max = APPS_MAX,
	      .help = "On the first server of a cluster with apps: how far each is; none of them holds up the state"),
	FIELD("certificatesUntil", time, AT(certificates_until),
	      .help = "When the first of K3s's own certificates runs out; the node has them renewed before"),
	FIELD("nodes", list, AT(nodes), ITEMS(node_fields, report_node), .max = NODES_MAX,
	      .help = "On the first server: the cluster's nodes"),
	FIELD("backup", map, 0, .sub = report_backup_fields,
	      .help = "On a server that makes backups: the last one that is complete"),
	{ 0 },
};
#undef AT

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

static void report_check(const struct report *r, struct faults *f)
{
	if (!r->steps.n)
		fault_at(f, NULL, "steps is empty");
	vec_foreach (s, &r->steps)
		for (const struct report_step *t = r->steps.v; t < s; t++)
			if (streq(s->name, t->name))
				fault_at(f, NULL, "steps[%zu].name is there twice", (size_t)(s - r->steps.v));
	if (r->state != state_of_steps(r))
		fault_at(f, NULL, "state is not what its steps say");
}

json_t *report_schema(void)
{
	/* What report_check() asks of the state. */
	static const char rule[] =
		"[{\"if\":{\"properties\":{\"steps\":{\"contains\":{\"properties\":{\"state\":{\"const\":\"failed\"}}}}}},\"then\":{\"properties\":{\"state\":{\"const\":\"failed\"}}},\"else\":{\"if\":{\"properties\":{\"steps\":{\"items\":{\"properties\":{\"state\":{\"const\":\"done\"}}}}}},\"then\":{\"properties\":{\"state\":{\"const\":\"done\"}}},\"else\":{\"properties\":{\"state\":{\"const\":\"working\"}}}}}]";
	json_t *schema = schema_json_file(report_fields, "status", "First-boot report of pibuild",
					  "status.json on the node, " REPORT_JSON " on the boot partition");

	json_object_set_new(schema, "allOf", json_loads(rule, 0, NULL));
	return schema;
}

/* Texts are cleaned where they stand: the JSON is shown too. */
static void report_clean(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach (j, key, value) {
		report_clean(value);
	}
	json_array_foreach (j, i, value) {
		report_clean(value);
	}
	if (json_is_string(j))
		json_string_set(j, clean_copy(json_string_value(j)));
}

int report_parse(const char *text, size_t n, const char *name, struct report *ret, struct err *e)
{
	_cleanup_json_ json_t *json = NULL;
	struct report report = { 0 };
	struct faults f = { 0 };
	struct reading l = { .faults = &f, .typed = true };
	json_error_t why;

	if (n > REPORT_LIMIT)
		return err_class(e, CLASS_VERIFY, "%s: is too long for a report: more than 256 KiB", name);
	json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!json)
		return err_class(
			e, CLASS_VERIFY,
			"%s: is no report, or one cut off by a loss of power (line %d, column %d: %s); power the node on again, it writes a new one",
			name, why.line, why.column, clean_text(why.text));
	report_clean(json);
	schema_read(&l, report_fields, yaml_of_json(json), "", &report);
	if (!f.errors)
		report_check(&report, &f);
	if (f.errors)
		return err_class(e, CLASS_VERIFY, "%s: is no report of this version: %s", name, f.list.v[0].msg);
	*ret = report;
	ret->json = take_ptr(&json);
	return 0;
}

void report_done(struct report *r)
{
	json_decref(r->json);
	r->json = NULL;
}
