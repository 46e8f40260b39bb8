/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pibuild flash: an image file, a node, or every node onto cards. Every refusal comes before the first write to any of
 * them; the cards of a round are written side by side.
 */
#include <errno.h>
#include <pthread.h>

#include "base/file.h"
#include "base/log.h"
#include "build/build.h"
#include "cmd/cmd.h"
#include "flash/flash.h"
#include "flash/record.h"

/* One image and the disk it goes to. */
struct card {
	const char *name;  /* node, or what the image file is called */
	const char *image; /* path of the file; NULL = a node's layer and stamp. With NODE: a generic one to stamp */
	const char *disk;  /* as given */
	const struct node_plan *node;
	struct device device;
	struct source source;
	struct flash flash;
	pthread_t thread;
	bool started;
	int code;
	struct err err;
};

struct session {
	const struct cmd_options *o;
	const struct plan *plan; /* NULL for an image file */
	struct cache cache;
	const char *project_dir; /* NULL = none: nothing is recorded */
	VEC(struct card) cards;
	json_t *results;
};

static void session_done(struct session *s)
{
	vec_foreach (c, &s->cards)
		source_close(&c->source);
	cache_close(&s->cache);
	json_decref(s->results);
}

static const char usage[] = "flash IMAGE DISK | flash [IMAGE] --node NAME DISK | flash --all DISK...";

static bool has_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* ---- what goes where ---- */

static struct card *add_card(struct session *s, const char *name, const char *disk)
{
	struct card *c = vec_push(&s->cards);

	*c = (struct card){ .name = name, .disk = disk, .source.fd = -1 };
	return c;
}

/* "out/cp-1.img.xz" is cp-1. */
static const char *name_of_image(const char *path)
{
	char *name = arena_strdup(path_base(path)), *dot = strstr(name, ".img");

	if (dot && dot > name)
		*dot = '\0';
	return name;
}

static int plan_nodes(struct session *s, struct err *e)
{
	const struct cmd_options *o = s->o;
	const struct project_options po = { o->config, o->lock, o->secrets, SECRETS_NEEDED };
	const struct plan_options so = cmd_plan_options(o, SECRET_READ);
	struct plan *plan = NULL;
	int r = cmd_load_plan(&po, &so, &plan, e);

	if (r == 0)
		r = cache_open(o->cache, &s->cache, e);
	if (r < 0)
		return r;
	s->plan = plan;
	s->project_dir = plan->project->config->dir;
	return 0;
}

static int check_usage(const struct cmd_options *o, struct err *e)
{
	if (o->all && o->nodes.n)
		return err_class(e, CLASS_USAGE, "--all means every node: leave out --node");
	if (o->discard && o->update)
		return err_class(e, CLASS_USAGE,
				 "--update keeps what is on the disk, --discard drops it: give one of them");
	if (o->all)
		return cmd_args(o, 1, 64, usage, e);
	if (o->nodes.n > 1)
		return err_class(e, CLASS_USAGE, "one --node at a time; --all takes several disks");
	return cmd_args(o, o->nodes.n ? 1 : 2, 2, usage, e);
}

/* `flash IMAGE --node NAME DISK` */
static int add_stamped(struct session *s, struct err *e)
{
	int r = plan_nodes(s, e);
	struct card *c;

	if (r < 0)
		return r;
	c = add_card(s, s->o->nodes.v[0], s->o->args.v[1]);
	c->image = s->o->args.v[0];
	c->node = s->plan->nodes.v[0];
	return 0;
}

static int add_nodes(struct session *s, struct err *e)
{
	const struct cmd_options *o = s->o;
	size_t i = 0;
	int r = plan_nodes(s, e);

	if (r < 0)
		return r;
	if (o->args.n > s->plan->nodes.n)
		return err_class(e, CLASS_USAGE, "%zu disks for %zu nodes", o->args.n, s->plan->nodes.n);
	if (o->args.n < s->plan->nodes.n && !has_terminal())
		return err_class(e, CLASS_REFUSED,
				 "%zu nodes need %zu disks: there is no terminal to ask for the next card on",
				 s->plan->nodes.n, s->plan->nodes.n);
	vec_foreach (n, &s->plan->nodes)
		add_card(s, (*n)->node->name, o->args.v[i++ % o->args.n])->node = *n;
	return 0;
}

/* Without -c a record is kept only where there is a project. */
static void find_project_dir(struct session *s)
{
	if (s->o->config)
		s->project_dir = path_dir(s->o->config);
	else if (access("cluster.yaml", F_OK) == 0)
		s->project_dir = ".";
}

static int add_cards(struct session *s, struct err *e)
{
	const struct cmd_options *o = s->o;

	if (o->nodes.n && o->args.n == 2)
		return add_stamped(s, e);
	if (o->all || o->nodes.n)
		return add_nodes(s, e);
	find_project_dir(s);
	add_card(s, name_of_image(o->args.v[0]), o->args.v[1])->image = o->args.v[0];
	return 0;
}

static int get_artifacts(const struct session *s, struct err *e)
{
	const struct fetch_options f = { s->plan->project->config, s->o->offline, s->o->jobs };
	const struct build b = { .plan = s->plan, .cache = &s->cache };
	int r = build_check_host(&b, e);

	return r < 0 ? r : fetch_all(&s->cache, s->plan->pins.v, s->plan->pins.n, &s->plan->images, &f, e);
}

/* An image of the node in memory over G. */
static int stamp_generic(const struct build *b, const struct card *c, struct built *ret, struct err *e)
{
	_cleanup_(generic_close) struct generic g = GENERIC_INIT;
	int r = generic_open(c->image, &g, e);

	if (r == 0)
		r = generic_check(&g, b->plan, c->node, e);
	return r < 0 ? r : build_node_onto(b, c->node, &g, ret, e);
}

static int open_source(const struct session *s, struct card *c, struct err *e)
{
	const struct build b = { .plan = s->plan, .cache = &s->cache };
	struct built built;
	int r;

	if (c->image && !c->node)
		return source_open(c->image, &c->source, e);
	r = c->image ? stamp_generic(&b, c, &built, e) : build_node_cow(&b, c->node, &built, e);
	if (r < 0)
		return err_interrupted(e) ? r : err_wrap(e, "%s", c->name);
	return source_cow(built.cow, &c->source, e); /* closed with the session */
}

/* ---- is it the right disk? ---- */

static int find_device(struct card *c, struct err *e)
{
	const struct device *d = NULL;
	struct devices all;
	int r = devices_scan(&host_real, &all, e);

	if (r == 0)
		r = guard_find(&host_real, &all, c->disk, &d, e);
	if (r == 0)
		r = guard_check(d, 0, e);
	if (r == 0)
		c->device = *d;
	return r;
}

static bool is_serial_given(const struct cmd_options *o, const struct device *d)
{
	vec_foreach (s, &o->serials)
		if (streq(*s, d->identity))
			return true;
	return false;
}

static int check_serial(const struct cmd_options *o, const struct device *d, struct err *e)
{
	if (o->serials.n && !is_serial_given(o, d))
		return err_class(e, CLASS_REFUSED, "%s has the serial %s, not %s; nothing was written", d->path,
				 d->identity, o->serials.v[0]);
	if (o->yes && !o->serials.n)
		return err_class(e, CLASS_REFUSED, "--yes wants to know which disk is meant: --serial %s is %s",
				 d->identity, d->path);
	if (!o->yes && !has_terminal())
		return err_class(e, CLASS_REFUSED,
				 "there is no terminal to ask on: if %s is the right disk, give --yes --serial %s",
				 d->path, d->identity);
	return 0;
}

static void show_device(const struct card *c)
{
	const struct device *d = &c->device;
	char size[SIZE_TEXT_MAX];

	fprintf(stderr, "\n%s  %s, %s%s%s, serial %s%s%s\n  becomes %s; what is on it now will be lost.\n", d->path,
		*d->model ? d->model : "unknown model", size_text(d->size, size), *d->bus ? ", " : "", d->bus,
		d->identity, *d->labels ? ", holds " : "", d->labels, c->name);
}

/* A yes for a card; its very serial for what might be a disk of this machine. */
static int ask(const struct card *c, struct err *e)
{
	bool by_identity = guard_wants_identity(&c->device);
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	int r;

	show_device(c);
	if (by_identity)
		fprintf(stderr, "  It is not a removable disk. Type its serial to go on: ");
	else
		fprintf(stderr, "  Type yes to go on: ");
	r = cmd_read_line(&line, &cap, e);
	if (r < 0 && err_interrupted(e))
		return r;
	if (r == 0 && streq(line, by_identity ? c->device.identity : "yes"))
		return 0;
	return err_class(e, CLASS_REFUSED, "not confirmed: nothing was written to %s", c->device.path);
}

static int confirm(const struct session *s, const struct card *c, struct err *e)
{
	int r = check_serial(s->o, &c->device, e);

	if (r == 0)
		r = guard_check(&c->device, c->source.size, e);
	if (r == 0 && !s->o->yes)
		r = ask(c, e);
	return r;
}

/* ---- the work ---- */

static int record(const struct session *s, const struct card *c)
{
	struct err e = { 0 };

	if (s->project_dir && flash_record_add(s->project_dir, c->name, c->image, &c->flash, &e) < 0)
		log_warning("the card is good, but it could not be recorded: %s", e.msg);
	return 0;
}

static void report(const struct session *s, const struct card *c)
{
	const struct flash_result *r = &c->flash.result;
	char written[SIZE_TEXT_MAX], verified[SIZE_TEXT_MAX];

	if (s->o->json)
		json_array_append_new(s->results,
				      json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:i, s:b}", "node",
						c->name, "disk", c->device.path, "serial", c->device.identity, "sha256",
						r->sha256, "written", (json_int_t)r->written, "zeros",
						(json_int_t)r->zeros, "verified", (json_int_t)r->verified,
						"writeSeconds", r->write_seconds, "verifySeconds", r->verify_seconds,
						"rewritten", (int)r->rewritten, "unchanged", r->unchanged));
	else if (r->unchanged)
		printf("%s\t%s: held it already, %s verified\n", c->name, c->device.path,
		       size_text(r->verified, verified));
	else
		printf("%s\t%s: %s written in %.1f s, %s verified in %.1f s\n", c->name, c->device.path,
		       size_text(r->written, written), r->write_seconds, size_text(r->verified, verified),
		       r->verify_seconds);
}

static void *flash_thread(void *arg)
{
	struct card *c = arg;

	c->code = flash_run(&c->flash, &c->err);
	return NULL;
}

static void start(const struct session *s, struct card *c)
{
	c->flash = (struct flash){
		.source = &c->source,
		.device = &c->device,
		.flags = (s->o->update ? FLASH_UPDATE : 0) | (s->o->discard ? FLASH_DISCARD : 0),
	};
	c->started = pthread_create(&c->thread, NULL, flash_thread, c) == 0;
	if (!c->started)
		c->code = err_set(&c->err, -EAGAIN, "cannot start a thread");
}

/* All cards of a round to their end, whatever becomes of one; the first failure is the round's. */
static int flash_round(struct session *s, struct card *cards, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n; i++)
		start(s, &cards[i]);
	for (size_t i = 0; i < n; i++) {
		struct card *c = &cards[i];

		if (c->started)
			pthread_join(c->thread, NULL);
		source_close(&c->source);
		if (c->code == 0) {
			record(s, c);
			report(s, c);
		} else if (r == 0) {
			*e = c->err;
			r = n > 1 && !err_interrupted(e) ? err_wrap(e, "%s", c->name) : c->code;
		} else {
			log_error("%s: %s", c->name, c->err.msg);
		}
	}
	return r;
}

static int wait_for_cards(const struct card *cards, size_t n, struct err *e)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	fprintf(stderr, "\nNow put in the card%s for", n > 1 ? "s" : "");
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "%s %s (%s)", i ? "," : "", cards[i].name, cards[i].disk);
	fputs(" and press Enter: ", stderr);
	return cmd_read_line(&line, &cap, e);
}

static int check_distinct(const struct card *cards, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (cards[i].device.devno == cards[j].device.devno)
				return err_class(e, CLASS_REFUSED, "%s and %s are the same disk", cards[i].disk,
						 cards[j].disk);
	return 0;
}

static int run_round(struct session *s, struct card *cards, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = find_device(&cards[i], e);
	if (r == 0)
		r = check_distinct(cards, n, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = check_serial(s->o, &cards[i].device, e);
	if (r == 0 && s->plan && !cards[0].image)
		r = get_artifacts(s, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = open_source(s, &cards[i], e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = confirm(s, &cards[i], e);
	return r < 0 ? r : flash_round(s, cards, n, e);
}

static int run(struct session *s, struct err *e)
{
	size_t at_once = s->o->all ? s->o->args.n : 1;
	int r = 0;

	for (size_t i = 0; i < s->cards.n && r == 0; i += at_once) {
		size_t n = MIN(at_once, s->cards.n - i);

		if (i)
			r = wait_for_cards(&s->cards.v[i], n, e);
		if (r == 0)
			r = run_round(s, &s->cards.v[i], n, e);
	}
	return r;
}

int cmd_flash(const struct cmd_options *o, struct err *e)
{
	_cleanup_(session_done) struct session s = { .o = o, .cache.fd = -1, .results = json_array() };
	int r = check_usage(o, e);

	if (r == 0)
		r = add_cards(&s, e);
	if (r == 0)
		r = run(&s, e);
	if (o->json && json_array_size(s.results) > 0) { /* also of those that went well before one failed */
		struct err printing = { 0 };
		int p = json_print(json_incref(s.results), &printing);

		if (p < 0 && r == 0) {
			*e = printing;
			r = p;
		}
	}
	return r;
}
