/* SPDX-License-Identifier: Apache-2.0 */
/* What verify found: how a failure becomes a finding, and the two faces of the report. */
#include "base/terminal.h"
#include "inspect/verify_internal.h"

enum { TEXT_COLUMN = 26 };

int found_failure(struct verify_ctx *x, const char *where, struct err *e)
{
	if (e->class == CLASS_HOST || err_interrupted(e) || err_is_machines(e))
		return e->code;
	found(x, where, "%s", clean_text(e->msg));
	*e = (struct err){ 0 };
	return 0;
}

static const char *state_of(const struct verify_line *l)
{
	return l->findings ? "FAULT" : l->skipped ? "skipped" : "ok";
}

/* Where it ended before there was anything to count, a finding says why. */
static const char *line_text(const struct verify_line *l)
{
	if (l->skipped)
		return arena_printf("%s: %s", l->proves, l->skipped);
	return *l->things ? arena_printf("%s: %zu %s", l->proves, l->looked, l->things) : l->proves;
}

json_t *verify_report_json(const struct verify_report *r)
{
	json_t *list = json_array();

	vec_foreach (l, &r->lines)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:s*}", "name", l->name, "proves",
						      l->proves, "state", l->findings ? "fault" : state_of(l), "looked",
						      (json_int_t)l->looked, "findings", (json_int_t)l->findings, "why",
						      l->skipped));
	return json_pack("{s:s, s:s?, s:s?, s:s?, s:b, s:o, s:o}", "image", r->image, "node", r->node, "cluster",
			 r->cluster, "role", r->role, "clean", !r->findings.v.n, "checks", list, "findings",
			 findings_json(&r->findings));
}

void verify_report_print(const struct verify_report *r)
{
	printf("%s", r->image);
	if (r->role && !r->node)
		printf(": generic, %s", r->role);
	else if (r->node)
		printf(": node %s of cluster %s, %s", r->node, r->cluster, r->role);
	printf("\n\n");
	vec_foreach (l, &r->lines) {
		const char *text = line_text(l);
		_cleanup_strbuf_ struct strbuf b = { 0 };

		text_wrap(&b, text, isatty(STDOUT_FILENO) ? terminal_columns() : 0, TEXT_COLUMN, TEXT_COLUMN);
		printf("  %-8s %-14s %s\n", state_of(l), l->name, b.s);
	}
	if (r->findings.v.n)
		printf("\n");
	findings_print(&r->findings);
}
