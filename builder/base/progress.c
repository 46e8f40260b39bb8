/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <pthread.h>

#include "base/json.h"
#include "base/log.h"
#include "base/terminal.h"

const char *const progress_mode_names[PROGRESS_MODE_COUNT] = { "auto", "bar", "plain", "json", "none" };

enum { MAX_BARS = 6 };
static const double redraw_every = 0.1, line_every = 5.0;

/* About how long a step of a kind takes, in relation to the others: seconds for a card of usual size. */
static const struct {
	const char *what;
	double weight;
} weights[] = {
	{ "download", 8 }, { "upload", 8 }, { "decode", 20 }, { "clone", 2 },	  { "grow", 2 },
	{ "payload", 8 },  { "stamp", 1 },  { "hash", 3 },    { "compress", 40 }, { "measure", 10 },
	{ "read", 10 },	   { "write", 60 }, { "verify", 30 }, { "compare", 30 },
};
static const double other_weight = 3;

struct task {
	const char *what, *name;
	unsigned number; /* among all, from 1 */
	uint64_t total, done;
	double start, end; /* end 0 = running */
	double last_line;
	char note[32];
};

struct expected {
	const char *what;
	unsigned left;
};

static struct {
	enum progress_mode mode;
	pthread_mutex_t lock;
	VEC(struct task *) tasks;
	VEC(struct expected) expected;
	unsigned running;
	double first; /* when the first task began */
	double since,
		active; /* work goes on since then; and went on before that for so long: people are not waited for */
	double last_draw;
	unsigned drawn; /* lines on the screen to be wiped */
	bool failed;	/* the run does not come to its end, so there is no telling when */
} P = { .mode = PROGRESS_NONE, .lock = PTHREAD_MUTEX_INITIALIZER };

static void progress_wipe(void)
{
	for (; P.drawn; P.drawn--)
		fputs("\033[1A\033[2K", stderr);
}

static double rate_of(const struct task *t, double now)
{
	double seconds = (t->end > 0 ? t->end : now) - t->start;

	return seconds > 0.05 ? (double)t->done / seconds : 0;
}

static double weight_of(const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(weights); i++)
		if (streq(weights[i].what, what))
			return weights[i].weight;
	return other_weight;
}

static double fraction_of(const struct task *t)
{
	if (t->end > 0)
		return 1;
	return t->total ? (double)t->done / (double)t->total : 0;
}

/* The whole run. */
struct overall {
	unsigned steps;	 /* 0 = nobody said what is to come */
	double fraction; /* 0 to 1 */
	double left;	 /* seconds; negative = no telling yet */
};

static struct overall overall(double now)
{
	struct overall o = { .steps = (unsigned)P.tasks.n, .left = -1 };
	double done = 0, all = 0, spent = P.active + (P.running ? now - P.since : 0);

	if (!P.expected.n)
		return (struct overall){ .left = -1 };
	vec_foreach (t, &P.tasks) {
		all += weight_of((*t)->what);
		done += weight_of((*t)->what) * fraction_of(*t);
	}
	vec_foreach (x, &P.expected) {
		o.steps += x->left;
		all += weight_of(x->what) * x->left;
	}
	o.fraction = all > 0 ? done / all : 0;
	if (o.fraction > 0.02 && spent > 1 && !P.failed)
		o.left = spent * (1 - o.fraction) / o.fraction;
	return o;
}

/* Seconds that T will go on; negative = no telling. */
static double left_of(const struct task *t, double now)
{
	double per_second = rate_of(t, now);

	return t->total && per_second > 0 && t->end <= 0 ? (double)(t->total - t->done) / per_second : -1;
}

enum { LEFT_MAX = 32 };

/* ", 12 s left", ", 4 min left"; "" when there is no telling, or less than a second. ABOUT is put before the number. */
static const char *left_text(double seconds, const char *about, char buf[LEFT_MAX])
{
	buf[0] = '\0';
	if (seconds >= 90)
		snprintf(buf, LEFT_MAX, ", %s%.0f min left", about, seconds / 60);
	else if (seconds >= 1)
		snprintf(buf, LEFT_MAX, ", %s%.0f s left", about, seconds);
	return buf;
}

enum { BAR = 16, WIDE = 110 };

static const char *bar_text(double fraction, char buf[BAR + 1])
{
	for (unsigned i = 0; i < BAR; i++)
		buf[i] = i < (unsigned)(fraction * BAR) ? '#' : '-';
	buf[BAR] = '\0';
	return buf;
}

/* Nothing is cut at 80 columns; with more, bytes are told too. */
static void draw_task(const struct task *t, double now, unsigned columns)
{
	char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX], bar[BAR + 1], left[LEFT_MAX], line[256];
	char bytes[2 * SIZE_TEXT_MAX + 8] = "", speed[SIZE_TEXT_MAX + 4] = "";

	if (rate_of(t, now) > 0)
		snprintf(speed, sizeof(speed), "%s %s/s", columns >= WIDE ? "," : "",
			 size_text((uint64_t)rate_of(t, now), rate));
	if (columns >= WIDE)
		snprintf(bytes, sizeof(bytes), " %s of %s", size_text(t->done, done), size_text(t->total, total));
	if (!t->total)
		snprintf(line, sizeof(line), "  %-8s %-22.22s %s", t->what, t->name,
			 t->done ? size_text(t->done, done) : "");
	else
		snprintf(line, sizeof(line), "  %-8s %-22.22s [%s]%s%s%s", t->what, t->name,
			 bar_text(fraction_of(t), bar), bytes, speed, left_text(left_of(t, now), "", left));
	fprintf(stderr, "%.*s\n", (int)columns, line);
	P.drawn++;
}

static void draw_overall(double now, unsigned columns)
{
	const struct overall o = overall(now);
	char bar[BAR + 1], left[LEFT_MAX], line[256], step[32];

	if (!o.steps || !P.running)
		return;
	snprintf(step, sizeof(step), "step %zu of %u", P.tasks.n, o.steps);
	snprintf(line, sizeof(line), "  %-31s [%s] %.0f %%%s", step, bar_text(o.fraction, bar), 100 * o.fraction,
		 left_text(o.left, "about ", left));
	fprintf(stderr, "%.*s\n", (int)columns, line);
	P.drawn++;
}

static void draw(void)
{
	double now = now_seconds();
	unsigned columns = terminal_columns() ? terminal_columns() - 1 : 79; /* asked for where nobody knows */

	progress_wipe();
	vec_foreach (t, &P.tasks)
		if ((*t)->end <= 0 && P.drawn < MAX_BARS)
			draw_task(*t, now, columns);
	draw_overall(now, columns);
	fflush(stderr);
	P.last_draw = now;
}

static void progress_print_line(struct task *t, double now)
{
	char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX], speed[SIZE_TEXT_MAX + 8] = "";
	char left[LEFT_MAX], step[LEFT_MAX + 32] = "";
	const struct overall o = overall(now);

	if (o.steps)
		snprintf(step, sizeof(step), "; step %u of %u%s", t->number, o.steps,
			 left_text(o.left, "about ", left));
	if (rate_of(t, now) > 0) /* too short a time tells no speed */
		snprintf(speed, sizeof(speed), " (%s/s)", size_text((uint64_t)rate_of(t, now), rate));
	if (t->end > 0 && t->done)
		fprintf(stderr, "pibuild: %s %s: %s in %.1f s%s%s%s%s\n", t->what, t->name, size_text(t->done, done),
			t->end - t->start, speed, *t->note ? ", " : "", t->note, step);
	else if (t->end > 0)
		fprintf(stderr, "pibuild: %s %s: %.1f s%s%s%s\n", t->what, t->name, t->end - t->start,
			*t->note ? ", " : "", t->note, step);
	else if (t->total)
		fprintf(stderr, "pibuild: %s %s: %s of %s (%.0f %%)%s%s\n", t->what, t->name, size_text(t->done, done),
			size_text(t->total, total), 100 * fraction_of(t), left_text(left_of(t, now), "", left), step);
	t->last_line = now;
}

static void set_eta(json_t *j, double seconds)
{
	if (seconds >= 0)
		json_object_set_new(j, "eta", json_real(seconds));
}

/* "eta" and "overall.eta" are seconds, and missing while there is no telling. */
static json_t *event_json(const struct task *t, const char *event, double now)
{
	const struct overall o = overall(now);
	json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:I}", "event", event, "step", t->what, "name",
			      t->name, "done", (json_int_t)t->done, "total", (json_int_t)t->total, "seconds",
			      (t->end > 0 ? t->end : now) - t->start, "elapsed", now - P.first, "rate",
			      (json_int_t)rate_of(t, now));
	json_t *all;

	if (!j)
		return NULL;
	set_eta(j, left_of(t, now));
	if (*t->note)
		json_object_set_new(j, "note", json_string(t->note));
	if (!o.steps)
		return j;
	all = json_pack("{s:i, s:i, s:f}", "step", (int)t->number, "steps", (int)o.steps, "fraction", o.fraction);
	set_eta(all, o.left);
	json_object_set_new(j, "overall", all);
	return j;
}

static void progress_print_json(const struct task *t, const char *event)
{
	_cleanup_json_ json_t *j = event_json(t, event, now_seconds());

	if (j && json_dumpf(j, stderr, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0)
		fputc('\n', stderr);
}

/* With the lock held. EVENT is "begin", "progress" or "end". */
static void progress_show(struct task *t, const char *event)
{
	double now = now_seconds();

	if (P.mode == PROGRESS_BAR && (t->end > 0 || now - P.last_draw >= redraw_every)) {
		draw();
	} else if (P.mode == PROGRESS_PLAIN && (t->end > 0 || now - t->last_line >= line_every)) {
		progress_print_line(t, now);
	} else if (P.mode == PROGRESS_JSON && (!streq(event, "progress") || now - t->last_line >= 1.0)) {
		progress_print_json(t, event);
		t->last_line = now;
	}
}

void progress_init(enum progress_mode mode)
{
	if (mode == PROGRESS_AUTO)
		mode = terminal_columns() ? PROGRESS_BAR : PROGRESS_PLAIN;
	P.mode = mode;
	if (mode == PROGRESS_BAR)
		log_set_hooks(progress_wipe, draw);
}

static struct expected *find_expected(const char *what)
{
	vec_foreach (x, &P.expected)
		if (streq(x->what, what))
			return x;
	return NULL;
}

void progress_expect(const char *what, unsigned count)
{
	struct expected *x;

	pthread_mutex_lock(&P.lock);
	x = find_expected(what);
	if (!x) {
		x = vec_push(&P.expected);
		*x = (struct expected){ .what = arena_strdup(what) };
	}
	x->left += count;
	pthread_mutex_unlock(&P.lock);
}

void progress_skip(const char *what, unsigned count)
{
	struct expected *x;

	pthread_mutex_lock(&P.lock);
	x = find_expected(what);
	if (x)
		x->left -= MIN(count, x->left);
	pthread_mutex_unlock(&P.lock);
}

/* With the lock held. */
static void count_begin(struct task *t)
{
	struct expected *x = find_expected(t->what);

	if (x && x->left)
		x->left--;
	*vec_push(&P.tasks) = t;
	t->number = (unsigned)P.tasks.n;
	P.first = P.first > 0 ? P.first : t->start;
	if (P.running++ == 0)
		P.since = t->start;
}

static void count_end(const struct task *t)
{
	if (--P.running == 0)
		P.active += t->end - P.since;
}

struct task *task_begin(const char *what, const char *name, uint64_t total)
{
	struct task *t = arena_new(struct task);

	t->what = arena_strdup(what);
	t->name = arena_strdup(name);
	t->total = total;
	t->start = t->last_line = now_seconds();
	pthread_mutex_lock(&P.lock);
	count_begin(t);
	progress_show(t, "begin");
	pthread_mutex_unlock(&P.lock);
	return t;
}

static void progress_update(struct task *t, uint64_t done)
{
	t->done = t->total ? MIN(done, t->total) : done;
	progress_show(t, "progress");
}

void task_total(struct task *t, uint64_t total)
{
	pthread_mutex_lock(&P.lock);
	t->total = total;
	progress_update(t, t->done);
	pthread_mutex_unlock(&P.lock);
}

void task_add(struct task *t, uint64_t bytes)
{
	pthread_mutex_lock(&P.lock);
	progress_update(t, t->done + bytes);
	pthread_mutex_unlock(&P.lock);
}

void task_set(struct task *t, uint64_t done)
{
	pthread_mutex_lock(&P.lock);
	progress_update(t, done);
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
	count_end(t);
	progress_show(t, "end");
	pthread_mutex_unlock(&P.lock);
}

void task_fail(struct task *t, const char *note)
{
	pthread_mutex_lock(&P.lock);
	P.failed = true;
	pthread_mutex_unlock(&P.lock);
	task_end(t, note);
}

void progress_print_timings(void)
{
	char size[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX];
	double first = 0, last = 0;

	if (!P.tasks.n)
		return;
	if (P.mode == PROGRESS_BAR)
		progress_wipe();
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
