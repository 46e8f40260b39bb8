/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schedule.h"

#include <ctype.h>

#include "base/util.h"

enum { FIELDS = 5, FIELD_TEXT = 200 };

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun",
					   "jul", "aug", "sep", "oct", "nov", "dec" };
static const char *const weekday_names[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* A weekday of 7 is Sunday, as 0 is. */
static const struct schedule_field {
	const char *name;
	unsigned first, last;
	const char *const *names; /* of FIRST and those after it; NULL = numbers only */
	size_t names_count;
	size_t offset;
} schedule_fields[FIELDS] = {
	{ "minute", 0, 59, NULL, 0, offsetof(struct schedule, minutes) },
	{ "hour", 0, 23, NULL, 0, offsetof(struct schedule, hours) },
	{ "day of the month", 1, 31, NULL, 0, offsetof(struct schedule, days) },
	{ "month", 1, 12, month_names, ARRAY_SIZE(month_names), offsetof(struct schedule, months) },
	{ "weekday", 0, 7, weekday_names, ARRAY_SIZE(weekday_names), offsetof(struct schedule, weekdays) },
};

/* ---- text ---- */

/* One number or name at *S, which moves behind it. */
static bool schedule_number(const struct schedule_field *f, const char **s, unsigned *ret)
{
	unsigned v = 0;

	for (size_t i = 0; i < f->names_count; i++) {
		if (strncasecmp(*s, f->names[i], 3) == 0) {
			*s += 3;
			*ret = f->first + (unsigned)i;
			return true;
		}
	}
	if (!isdigit((unsigned char)**s))
		return false;
	for (; isdigit((unsigned char)**s) && v < 1000; (*s)++)
		v = v * 10 + (unsigned)(**s - '0');
	*ret = v;
	return v >= f->first && v <= f->last;
}

/* "*", "5", "1-5", each with "/STEP", at *S. */
static bool schedule_part(const struct schedule_field *f, const char **s, uint64_t *set)
{
	unsigned from = f->first, to = f->last, step = 1;
	bool all = **s == '*';

	if (all)
		(*s)++;
	else if (!schedule_number(f, s, &from))
		return false;
	else
		to = from;
	if (!all && **s == '-') {
		(*s)++;
		if (!schedule_number(f, s, &to) || to < from)
			return false;
	}
	if (**s == '/') {
		static const struct schedule_field steps = { "step", 1, 59, NULL, 0, 0 };

		(*s)++;
		if ((!all && to == from) || !schedule_number(&steps, s, &step))
			return false;
	}
	for (unsigned v = from; v <= to; v += step)
		*set |= UINT64_C(1) << v;
	return true;
}

static bool schedule_field_parse(const struct schedule_field *f, const char *s, uint64_t *set)
{
	do {
		if (!schedule_part(f, &s, set))
			return false;
	} while (*s == ',' && *++s);
	return !*s;
}

static uint64_t schedule_all(const struct schedule_field *f)
{
	uint64_t set = 0;

	for (unsigned v = f->first; v <= f->last; v++)
		set |= UINT64_C(1) << v;
	return set;
}

static const char *schedule_fields_parse(const char *text, struct schedule *s)
{
	static const char words[] =
		"give five fields as cron has them, MINUTE HOUR DAY MONTH WEEKDAY: \"0 3 * * *\" is every night at three";
	const char *rest = text;

	for (size_t i = 0; i < FIELDS; i++) {
		const struct schedule_field *f = &schedule_fields[i];
		size_t n = strcspn(rest, " \t");
		const char *field = arena_strndup(rest, n);

		if (!n || n > FIELD_TEXT)
			return words;
		if (!schedule_field_parse(f, field, (uint64_t *)(void *)((char *)s + f->offset)))
			return arena_printf(
				"'%s' is no %s of %u to %u (*, 5, 1-5, */2, and such with commas between); %s", field,
				f->name, f->first, f->last, words);
		rest += n;
		rest += strspn(rest, " \t");
	}
	return *rest ? words : NULL;
}

const char *schedule_fields_fault(const char *text)
{
	struct schedule s = { 0 };

	return schedule_fields_parse(text, &s);
}

const char *schedule_parse(const char *text, struct schedule *ret)
{
	struct schedule s = { 0 };
	const char *why = schedule_fields_parse(text, &s);

	if (why)
		return why;
	s.weekdays = (s.weekdays | s.weekdays >> 7) & 0x7f;
	if (s.days != schedule_all(&schedule_fields[2]) && s.weekdays != 0x7f)
		return "a day of the month and a weekday at once mean one thing to cron and another to systemd; leave one of them at *";
	if (!schedule_longest_gap(&s))
		return "there is no such day in any year";
	*ret = s;
	return NULL;
}

/* ---- systemd ---- */

/* "03,15", or "*" for all from FIRST to LAST. */
static void schedule_list(struct strbuf *b, uint64_t set, unsigned first, unsigned last)
{
	const char *comma = "";
	bool all = true;

	for (unsigned v = first; v <= last; v++)
		all &= set >> v & 1;
	if (all) {
		strbuf_adds(b, "*");
		return;
	}
	for (unsigned v = first; v <= last; v++) {
		if (!(set >> v & 1))
			continue;
		strbuf_addf(b, "%s%02u", comma, v);
		comma = ",";
	}
}

const char *schedule_calendar(const struct schedule *s)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	for (unsigned v = 0; s->weekdays != 0x7f && v < 7; v++)
		if (s->weekdays >> v & 1)
			strbuf_item(&b, ",", weekday_names[v]);
	strbuf_adds(&b, b.n ? " *-" : "*-");
	schedule_list(&b, s->months, 1, 12);
	strbuf_adds(&b, "-");
	schedule_list(&b, s->days, 1, 31);
	strbuf_adds(&b, " ");
	schedule_list(&b, s->hours, 0, 23);
	strbuf_adds(&b, ":");
	schedule_list(&b, s->minutes, 0, 59);
	strbuf_adds(&b, ":00");
	return arena_strdup(b.s);
}

/* ---- how often ---- */

/* Minute of the day of the run after minute FROM; -1 = none on this day. */
static int schedule_next_minute(const struct schedule *s, int from)
{
	for (int m = from + 1; m < 24 * 60; m++)
		if (s->hours >> m / 60 & 1 && s->minutes >> m % 60 & 1)
			return m;
	return -1;
}

uint32_t schedule_longest_gap(const struct schedule *s)
{
	static const unsigned lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t day = 0, last = -1;
	uint32_t longest = 0, within = 0;
	int first = schedule_next_minute(s, -1), end = first;

	if (first < 0)
		return 0;
	for (int next; (next = schedule_next_minute(s, end)) >= 0; end = next)
		within = MAX(within, (uint32_t)(next - end) * 60);
	/* 28 years from 2024 on, a leap year that began on a Monday: every date on every weekday. */
	for (unsigned year = 0; year < 28; year++) {
		for (unsigned month = 0; month < 12; month++) {
			unsigned n = lengths[month] + (month == 1 && year % 4 == 0);

			for (unsigned d = 1; d <= n; d++, day++) {
				if (!(s->months >> (month + 1) & 1) || !(s->days >> d & 1) ||
				    !(s->weekdays >> (day + 1) % 7 & 1))
					continue;
				if (last >= 0)
					longest = MAX(longest, (uint32_t)((day * 24 * 60 + first - last) * 60));
				last = day * 24 * 60 + end;
			}
		}
	}
	return last < 0 ? 0 : MAX(longest, within);
}
