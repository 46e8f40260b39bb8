/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <pthread.h>
#include <sys/ioctl.h>

#include "base/json.h"
#include "base/log.h"

const char *const progress_mode_names[PROGRESS_MODE_COUNT] = { "auto", "bar", "plain", "json", "none" };

enum { MAX_BARS = 6 };
static const double redraw_every = 0.1, line_every = 5.0;

struct task {
	const char *what, *name;
	uint64_t total, done;
	double start, end; /* end 0 = running */
	double last_line;
	char note[32];
};

static struct {
	enum progress_mode mode;
	pthread_mutex_t lock;
	VEC(struct task *) tasks;
	double last_draw;
	unsigned drawn; /* lines on the screen to be wiped */
} P = { .mode = PROGRESS_NONE, .lock = PTHREAD_MUTEX_INITIALIZER };

static void wipe(void)
{
	for (; P.drawn; P.drawn--)
		fputs("\033[1A\033[2K", stderr);
}

static double rate_of(const struct task *t, double now)
{
	double seconds = (t->end > 0 ? t->end : now) - t->start;

	return seconds > 0.05 ? (double)t->done / seconds : 0;
}

static void draw_task(const struct task *t, double now, unsigned columns)
{
	enum { BAR = 24 };
	char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX], bar[BAR + 1], line[256], eta[24] = "";
	double per_second = rate_of(t, now);
	unsigned filled;

	if (!t->total) {
		snprintf(line, sizeof(line), "  %-10s %-26.26s %s", t->what, t->name, size_text(t->done, done));
	} else {
		filled = (unsigned)((double)t->done / (double)t->total * BAR);
		for (unsigned i = 0; i < BAR; i++)
			bar[i] = i < filled ? '#' : '-';
		bar[BAR] = '\0';
		if (per_second > 0)
			snprintf(eta, sizeof(eta), " ETA %.0fs", (double)(t->total - t->done) / per_second);
		snprintf(line, sizeof(line), "  %-10s %-26.26s [%s] %s/%s %s/s%s", t->what, t->name, bar,
			 size_text(t->done, done), size_text(t->total, total), size_text((uint64_t)per_second, rate),
			 eta);
	}
	fprintf(stderr, "%.*s\n", (int)columns, line);
	P.drawn++;
}

static unsigned terminal_columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col - 1u : 79;
}

static void draw(void)
{
	double now = now_seconds();
	unsigned columns = terminal_columns();

	wipe();
	vec_foreach (t, &P.tasks)
		if ((*t)->end <= 0 && P.drawn < MAX_BARS)
			draw_task(*t, now, columns);
	fflush(stderr);
	P.last_draw = now;
}

static void print_line(struct task *t, double now)
{
	char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX], speed[SIZE_TEXT_MAX + 8] = "";

	if (rate_of(t, now) > 0) /* too short a time tells no speed */
		snprintf(speed, sizeof(speed), " (%s/s)", size_text((uint64_t)rate_of(t, now), rate));
	if (t->end > 0 && t->done)
		fprintf(stderr, "pibuild: %s %s: %s in %.1f s%s%s%s\n", t->what, t->name, size_text(t->done, done),
			t->end - t->start, speed, *t->note ? ", " : "", t->note);
	else if (t->end > 0)
		fprintf(stderr, "pibuild: %s %s: %.1f s%s%s\n", t->what, t->name, t->end - t->start,
			*t->note ? ", " : "", t->note);
	else if (t->total)
		fprintf(stderr, "pibuild: %s %s: %s of %s (%.0f %%)\n", t->what, t->name, size_text(t->done, done),
			size_text(t->total, total), 100.0 * (double)t->done / (double)t->total);
	t->last_line = now;
}

static void print_json(const struct task *t, const char *event)
{
	_cleanup_json_ json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f}", "event", event, "step", t->what, "name",
					     t->name, "done", (json_int_t)t->done, "total", (json_int_t)t->total,
					     "seconds", (t->end > 0 ? t->end : now_seconds()) - t->start);

	if (j && *t->note)
		json_object_set_new(j, "note", json_string(t->note));
	if (j && json_dumpf(j, stderr, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0)
		fputc('\n', stderr);
}

/* With the lock held. EVENT is "begin", "progress" or "end". */
static void show(struct task *t, const char *event)
{
	double now = now_seconds();

	if (P.mode == PROGRESS_BAR && (t->end > 0 || now - P.last_draw >= redraw_every)) {
		draw();
	} else if (P.mode == PROGRESS_PLAIN && (t->end > 0 || now - t->last_line >= line_every)) {
		print_line(t, now);
	} else if (P.mode == PROGRESS_JSON && (!streq(event, "progress") || now - t->last_line >= 1.0)) {
		print_json(t, event);
		t->last_line = now;
	}
}

void progress_init(enum progress_mode mode)
{
	if (mode == PROGRESS_AUTO)
		mode = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_PLAIN;
	P.mode = mode;
	if (mode == PROGRESS_BAR)
		log_set_hooks(wipe, draw);
}

struct task *task_begin(const char *what, const char *name, uint64_t total)
{
	struct task *t = arena_new(struct task);

	t->what = arena_strdup(what);
	t->name = arena_strdup(name);
	t->total = total;
	t->start = t->last_line = now_seconds();
	pthread_mutex_lock(&P.lock);
	*vec_push(&P.tasks) = t;
	show(t, "begin");
	pthread_mutex_unlock(&P.lock);
	return t;
}

static void update(struct task *t, uint64_t done)
{
	t->done = t->total ? MIN(done, t->total) : done;
	show(t, "progress");
}

void task_total(struct task *t, uint64_t total)
{
	pthread_mutex_lock(&P.lock);
	t->total = total;
	update(t, t->done);
	pthread_mutex_unlock(&P.lock);
}

void task_add(struct task *t, uint64_t bytes)
{
	pthread_mutex_lock(&P.lock);
	update(t, t->done + bytes);
	pthread_mutex_unlock(&P.lock);
}

void task_set(struct task *t, uint64_t done)
{
	pthread_mutex_lock(&P.lock);
	update(t, done);
	pthread_mutex_unlock(&P.lock);
}

void task_progress(void *t, uint64_t done)
{
	task_set(t, done);
}

void task_end(struct task *t, const char *note)
{
	pthread_mutex_lock(&P.lock);
	t->end = now_seconds();
	if (note)
		snprintf(t->note, sizeof(t->note), "%s", note);
	show(t, "end");
	pthread_mutex_unlock(&P.lock);
}

void progress_print_timings(void)
{
	char size[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX];
	double first = 0, last = 0;

	if (!P.tasks.n)
		return;
	if (P.mode == PROGRESS_BAR)
		wipe();
	fprintf(stderr, "%-12s %-32s %9s %11s %13s\n", "step", "", "seconds", "bytes", "rate");
	vec_foreach (p, &P.tasks) {
		const struct task *t = *p;
		double seconds = t->end > 0 ? t->end - t->start : 0;

		fprintf(stderr, "%-12s %-32.32s %9.2f %11s %11s/s %s\n", t->what, t->name, seconds,
			size_text(t->done, size),
			size_text(seconds > 0.001 ? (uint64_t)((double)t->done / seconds) : 0, rate), t->note);
		first = first > 0 ? MIN(first, t->start) : t->start;
		last = MAX(last, t->end);
	}
	fprintf(stderr, "%-12s %-32s %9.2f\n", "all", "", last - first);
}
