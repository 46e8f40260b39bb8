/* SPDX-License-Identifier: Apache-2.0 */
/* How a report and an overview are told people alike. */
#ifndef STATUS_INTERNAL_H
#define STATUS_INTERNAL_H

#include "status/report.h"

enum { DURATION_MAX = 24 };

/* "45 s", "12 min", "3 h", "2 d". "-" when FROM is 0, or when the clock was set in between, which happens to every Pi:
 * it has none of its own. BUF is returned. */
const char *status_duration(int64_t from, int64_t to, char buf[DURATION_MAX]);

/* The step that everything else waits for: a failed one, else the first that is at work, else the first to come; NULL
 * when all are done. */
const struct report_step *report_step_in_the_way(const struct report *r);

#endif
