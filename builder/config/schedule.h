/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The five fields of a cron line, "MINUTE HOUR DAY MONTH WEEKDAY", as sets of numbers: what crontab(5) takes, but for
 * a day and a weekday at once, which cron joins by "or" and systemd by "and".
 */
#ifndef CONFIG_SCHEDULE_H
#define CONFIG_SCHEDULE_H

#include <stdint.h>

struct schedule {
	uint64_t minutes;  /* bits 0..59 */
	uint64_t hours;	   /* bits 0..23 */
	uint64_t days;	   /* bits 1..31 */
	uint64_t months;   /* bits 1..12 */
	uint64_t weekdays; /* bits 0..6; 0 = Sunday */
};

/* NULL, or why TEXT is not five fields that a program of cron's kind could read. */
const char *schedule_fields_fault(const char *text);
/* NULL, or why TEXT is none; RET is set only on success. */
const char *schedule_parse(const char *text, struct schedule *ret);
/* As systemd.time(7) wants it for OnCalendar=: "Mon *-*-* 03:00:00"; on the arena. */
const char *schedule_calendar(const struct schedule *s);
/* The longest time between two runs, in seconds; 0 = it never comes. */
uint32_t schedule_longest_gap(const struct schedule *s);

#endif
