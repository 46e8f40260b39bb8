/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress of one run: a few named tasks (a download, a decode, a copy), each with bytes done of bytes
 * expected. Four faces: a bar with rate and ETA on a terminal, plain lines elsewhere, JSON lines for programs,
 * none. A wrong total is clamped, never an error. Thread safe: downloads and decoders report from their own.
 * Each finished task is kept for the timing table of -v.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include "base/util.h"

/*
 * All of a run: who knows what is to come says so, then every face tells "step N of M" and an estimate for the whole.
 * Without a word there is none. A step that nobody spoke of makes M larger, one that does not come smaller.
 *
 *	progress_expect("write", n_cards);	// before the first
 *	... task_begin("write", ...) ...
 *	progress_skip("grow", 1);		// one that does not come
 */
void progress_expect(const char *what, unsigned count);
void progress_skip(const char *what, unsigned count);

enum progress_mode { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE, PROGRESS_MODE_COUNT };
extern const char *const progress_mode_names[PROGRESS_MODE_COUNT];

/* Call once, before any task; AUTO becomes BAR on a terminal, else PLAIN. */
void progress_init(enum progress_mode mode);

struct task; /* owned by this module */

/* TOTAL 0 = unknown. WHAT ("decode base") and NAME ("raspios 2026-09-15") are copied. */
struct task *task_begin(const char *what, const char *name, uint64_t total);
void task_total(struct task *t, uint64_t total);
void task_add(struct task *t, uint64_t bytes);
/* Starts over, e.g. a download begun anew. */
void task_set(struct task *t, uint64_t done);
void task_progress(void *t, uint64_t done); /* the same as a callback */
/* NOTE ("from cache", "failed") may be NULL. The task stays valid for the timing table only. */
void task_end(struct task *t, const char *note);
/* The same for one whose failure ends the run: nothing is estimated any more. */
void task_fail(struct task *t, const char *note);

/* Prints "step  time  bytes  rate" of every finished task to stderr. */
void progress_print_timings(void);

#endif
