/* SPDX-License-Identifier: Apache-2.0 */
/* The report for people. */
#include <errno.h>
#include <time.h>

#include "status/internal.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, LONGEST_DAYS = 366 };

const char *status_duration(int64_t from, int64_t to, char buf[DURATION_MAX])
{
	long long n = (long long)(to - from);

	if (from == 0 || n < 0 || n > LONGEST_DAYS * (long long)DAY)
		return "-";
	if (n < 2 * MINUTE)
		snprintf(buf, DURATION_MAX, "%lld s", n);
	else if (n < 2 * HOUR)
		snprintf(buf, DURATION_MAX, "%lld min", n / MINUTE);
	else if (n < 2 * DAY)
		snprintf(buf, DURATION_MAX, "%lld h", n / HOUR);
	else
		snprintf(buf, DURATION_MAX, "%lld d", n / DAY);
	return buf;
}

/* "2026-11-28 14:02:00" in UTC; "never" for 0. */
static const char *status_clock(int64_t t)
{
	return t ? utc_as("%Y-%m-%d %H:%M:%S", t) : "never";
}

static void print_reason(const char *cause, const char *cure)
{
	if (*cause)
		printf("            why:  %s\n", cause);
	if (*cure)
		printf("            cure: %s\n", cure);
}

static void print_steps(const struct report *r)
{
	char buf[DURATION_MAX];

	vec_foreach (s, &r->steps) {
		printf("  %-8s  %-14s %8s  %s\n", step_state_names[s->state], s->name,
		       status_duration(s->since, r->time, buf), s->title);
		print_reason(s->cause, s->cure);
		if (s->state != STEP_DONE && s->state != STEP_PENDING)
			printf("            tries: %u; more: journalctl -u %s\n", s->attempts, s->unit);
	}
}

static void print_apps(const struct report *r)
{
	printf("\napps\n");
	vec_foreach (a, &r->apps) {
		printf("  %-8s  %s\n", step_state_names[a->state], a->name);
		print_reason(a->cause, a->cure);
	}
}

static void print_nodes(const struct report *r)
{
	printf("\nthe cluster's nodes\n");
	vec_foreach (n, &r->nodes) {
		printf("  %-8s  %-14s %-13s  last heard of: %s\n", node_state_names[n->state], n->name, n->role,
		       status_clock(n->time));
		print_reason(n->cause, "");
	}
}

/* As old as it is now: the card may have been read long after. */
static void print_backup(const struct report_backup *b)
{
	char age[DURATION_MAX];

	printf("\nlast backup: %s UTC, %s old: %s\n", status_clock(b->time), status_duration(b->time, time(NULL), age),
	       b->name);
}

/* The report that pibuild wrote itself: no step was ever begun. */
static bool is_fresh(const struct report *r)
{
	vec_foreach (s, &r->steps)
		if (s->state != STEP_PENDING || s->attempts || s->since)
			return false;
	return true;
}

void report_print(const struct report *r)
{
	if (is_fresh(r)) {
		printf("card of %s of %s, %s, that has not booted yet\nsteps to come\n", r->node, r->cluster, r->role);
		vec_foreach (s, &r->steps)
			printf("  %-14s  %s\n", s->name, s->title);
		return;
	}
	printf("node %s of cluster %s, %s: %s\n", r->node, r->cluster, r->role, node_state_names[r->state]);
	printf("written %s UTC by its own clock\n\n", status_clock(r->time));
	print_steps(r);
	if (r->notes.n)
		printf("\nfound on the way; stops nothing\n");
	vec_foreach (n, &r->notes) {
		printf("  %s\n", n->about);
		print_reason(n->cause, n->cure);
	}
	if (r->apps.n)
		print_apps(r);
	if (r->certificates_until)
		printf("\nK3s's certificates are good until %s UTC; the node has them renewed before\n",
		       status_clock(r->certificates_until));
	if (r->backup.name)
		print_backup(&r->backup);
	if (r->nodes.n)
		print_nodes(r);
}

const struct report_step *report_step_in_the_way(const struct report *r)
{
	const struct report_step *found = NULL;

	vec_foreach (s, &r->steps) {
		if (s->state == STEP_FAILED)
			return s;
		if (s->state == STEP_DONE)
			continue;
		if (!found || (found->state == STEP_PENDING && s->state != STEP_PENDING))
			found = s;
	}
	return found;
}

int report_verdict(const struct report *r, struct err *e)
{
	const struct report_step *s = report_step_in_the_way(r);

	if (r->state == NODE_DONE || !s)
		return 0;
	if (is_fresh(r))
		return err_set(
			e, -EAGAIN,
			"this is the card of %s of %s and has not booted yet: put it in and power the Pi on; when it was powered on already, it did not start: look at its screen",
			r->node, r->cluster);
	return err_set(e, -EAGAIN, "%s %s: step %s (%s) is %s%s%s%s%s", r->node,
		       r->state == NODE_FAILED ? "has failed" : "is not done yet", s->name, s->title,
		       step_state_names[s->state], *s->cause ? ": " : "", s->cause, *s->cure ? "; what to do: " : "",
		       s->cure);
}
