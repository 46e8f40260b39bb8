/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pibuild flash: an image file, a node, or every node onto cards. Every refusal comes before the first write to any of
 * them; the cards of a round are written side by side.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/caller.h"
#include "base/file.h"
#include "base/log.h"
#include "backup/backup.h"
#include "build/build.h"
#include "cmd/cmd.h"
#include "flash/flash.h"
#include "config/born.h"
#include "plan/birth.h"
#include "plan/flashed.h"

static struct {
	bool all, update, discard, new_cluster;
	struct cmd_words serials;
	const char *restore;
} flash_opt;

static const struct option flash_options[] = {
	CMD_OPTION_NODE,
	CMD_OWN("all", OPT_FLAG, &flash_opt.all, NULL, "every node: the first on the first DISK, and so on"),
	CMD_OWN("update", OPT_FLAG, &flash_opt.update, NULL, "write only what differs"),
	CMD_OWN("discard", OPT_FLAG, &flash_opt.discard, NULL, "drop all that is on the disk first, free areas too"),
	CMD_OWN("start-new-cluster", OPT_FLAG, &flash_opt.new_cluster, NULL,
		"the first server's card may start the cluster anew"),
	CMD_OWN_WORDS("restore", OPT_TEXT, &flash_opt.restore, "FILE",
		      "the first server's card starts the cluster from this backup", "@file"),
	CMD_OWN_WORDS("serial", OPT_WORDS, &flash_opt.serials, "S", "the disk must have this serial; may be repeated",
		      "@serial"),
	CMD_OPTION_YES("do not ask; needs --serial"),
};

/* One image and the disk it goes to. */
struct card {
	const char *name;    /* node, or what the image file is called */
	const char *cluster; /* "" = not known */
	const char *image;   /* path of the file; NULL = a node's layer and stamp. With NODE: a generic one to stamp */
	const char *disk;    /* as given */
	struct node_plan *node;
	enum birth_right right;
	char made[SHA256_HEX]; /* plan_node_key() of NODE */
	struct device device;
	struct card_identity holds; /* now, before it is written */
	const char *given_up;	    /* node that was named: its card may go; NULL = none */
	struct flash_source source;
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
	json_t *flashed;	 /* what was recorded before */
	json_t *facts;		 /* what the cluster is born with */
	struct backup backup;	 /* of --restore */
	VEC(struct card) cards;
	size_t written; /* of them, from the first on */
	json_t *results;
};

static void session_done(struct session *s)
{
	vec_foreach (c, &s->cards)
		source_close(&c->source);
	cache_close(&s->cache);
	json_decref(s->results);
	json_decref(s->flashed);
	json_decref(s->facts);
}

static const char usage[] = "flash IMAGE DISK | flash [IMAGE] --node NAME DISK | flash --all DISK...";

/* ---- what goes where ---- */

static struct card *add_card(struct session *s, const char *name, const char *disk)
{
	struct card *c = vec_push(&s->cards);

	*c = (struct card){ .name = name,
			    .cluster = s->plan ? s->plan->project->config->cluster.name : "",
			    .disk = disk,
			    .source.fd = -1 };
	return c;
}

/* What is in it says so; one that is compressed or of another kind goes by its file: "out/cp-1.img.xz" is cp-1. */
static void flash_add_image(struct session *s, const char *path, const char *disk)
{
	char *name = arena_strdup(path_base(path)), *dot = strstr(name, ".img");
	struct card_identity id;
	struct card *c;

	if (dot && dot > name)
		*dot = '\0';
	card_identify(path, &id);
	c = add_card(s, id.state == CARD_NODE ? id.node : clean_text(name), disk);
	c->cluster = id.cluster;
	c->image = path;
}

static const struct node_config *first_server(const struct session *s)
{
	return config_first_server(s->plan->project->config);
}

/* --start-new-cluster or --restore without the card that it is about. */
static int check_starter(const struct session *s, struct err *e)
{
	if (!flash_opt.new_cluster && !flash_opt.restore)
		return 0;
	vec_foreach (n, &s->plan->nodes)
		if ((*n)->node == first_server(s))
			return 0;
	return err_class(e, CLASS_USAGE, "a cluster is started by its first server: %s goes with --node %s",
			 flash_opt.restore ? "--restore" : "--start-new-cluster", first_server(s)->name);
}

/* Before anything else is made. */
static int check_backup_fits(const struct session *s, struct err *e)
{
	const struct project *p = s->plan->project;

	if (!flash_opt.restore)
		return 0;
	return backup_check_fits(&s->backup, p->config, str_or(artifact_version(&p->set, "k3s"), ""),
				 p->secrets->ca_hash, e);
}

static int plan_nodes(struct session *s, struct err *e)
{
	const struct cmd_options *o = s->o;
	const struct project_options po = { .config = o->config,
					    .lock = o->lock,
					    .secrets = o->secrets,
					    .policy = SECRETS_NEEDED,
					    .out = o->out,
					    .new_cluster = flash_opt.new_cluster };
	struct plan_options so = cmd_plan_options(o, SECRET_READ);
	struct node_restore restore = { 0 };
	struct plan *plan = NULL;
	int r = flash_opt.restore ? backup_open(flash_opt.restore, &s->backup, e) : 0;

	restore = (struct node_restore){ s->backup.path, s->backup.size, s->backup.sha256, s->backup.about };
	so.restore = flash_opt.restore ? &restore : NULL;
	if (r < 0)
		return r;
	r = cmd_load_plan(&po, &so, &plan, e);
	if (r < 0)
		return r;
	r = cache_open(o->cache, &s->cache, e);
	if (r < 0)
		return r;
	s->plan = plan;
	s->project_dir = plan->project->config->dir;
	s->flashed = flashed_read(s->project_dir);
	s->facts = born_json(plan->project->config);
	r = check_starter(s, e);
	return r < 0 ? r : check_backup_fits(s, e);
}

static bool is_kind(const char *path, mode_t kind)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

/* `flash DISK IMAGE` */
static int check_order(const struct cmd_options *o, struct err *e)
{
	const char *disk = o->args.v[0], *image = o->args.n > 1 ? o->args.v[1] : NULL;

	if (flash_opt.all || !image || !is_kind(disk, S_IFBLK) || !is_kind(image, S_IFREG))
		return 0;
	return err_class(
		e, CLASS_USAGE,
		"%s is a disk and %s a file: the image comes first: pibuild flash %s%s%s %s; nothing was written", disk,
		image, image, o->nodes.n ? " --node " : "", o->nodes.n ? o->nodes.v[0] : "", disk);
}

/* Before anything is made: a name mistyped, or /dev/sdX as the examples have it. */
static int check_disks_exist(const struct cmd_options *o, struct err *e)
{
	for (size_t i = flash_opt.all ? 0 : o->args.n - 1; i < o->args.n; i++)
		if (access(o->args.v[i], F_OK) < 0 && errno == ENOENT)
			return err_class(e, CLASS_FAILED, "there is no disk %s: `pibuild devices` lists them",
					 o->args.v[i]);
	return 0;
}

static int check_usage(const struct cmd_options *o, struct err *e)
{
	int r;

	if (flash_opt.all && o->nodes.n)
		return err_class(e, CLASS_USAGE, "--all means every node: leave out --node");
	if (flash_opt.discard && flash_opt.update)
		return err_class(e, CLASS_USAGE,
				 "--update keeps what is on the disk, --discard drops it: give one of them");
	if (flash_opt.new_cluster && !flash_opt.all && !o->nodes.n)
		return err_class(
			e, CLASS_USAGE,
			"--start-new-cluster is for a card that is made from cluster.yaml: pibuild flash --start-new-cluster --node NAME DISK, with the name of the first server");
	if (flash_opt.restore && !o->nodes.n)
		return err_class(
			e, CLASS_USAGE,
			"a backup is restored onto one card, which is made from cluster.yaml: pibuild flash --restore FILE --node NAME DISK, with the name of the first server");
	if (!flash_opt.all && o->nodes.n > 1)
		return err_class(e, CLASS_USAGE, "one --node at a time; --all takes several disks");
	if (o->args.n < (flash_opt.all || o->nodes.n ? 1 : 2))
		return err_class(e, CLASS_USAGE, "which %s? `pibuild devices` lists the disks; usage: pibuild %s",
				 o->args.n ? "disk, or which image" : "disk", usage);
	r = flash_opt.all ? cmd_args(o, 1, 64, usage, e) : cmd_args(o, o->nodes.n ? 1 : 2, 2, usage, e);
	if (r == 0)
		r = check_order(o, e);
	if (r == 0 && (flash_opt.all || o->nodes.n))
		r = config_require_file(o->config, "no card is written for a cluster that nobody described", e);
	return r < 0 ? r : check_disks_exist(o, e);
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

static int flash_add_nodes(struct session *s, struct err *e)
{
	const struct cmd_options *o = s->o;
	size_t i = 0;
	int r = plan_nodes(s, e);

	if (r < 0)
		return r;
	if (o->args.n > s->plan->nodes.n)
		return err_class(e, CLASS_USAGE, "%zu disks for %zu nodes", o->args.n, s->plan->nodes.n);
	if (o->args.n < s->plan->nodes.n && (o->yes || !cmd_has_terminal()))
		return err_class(
			e, CLASS_REFUSED, "%zu nodes need %zu disks, and there are %zu: %s", s->plan->nodes.n,
			s->plan->nodes.n, o->args.n,
			cmd_has_terminal()
				? "with --yes nobody is asked for the next card; give a disk for each, or go node by node with --node"
				: "there is no terminal to ask for the next card on");
	vec_foreach (n, &s->plan->nodes)
		add_card(s, (*n)->node->name, o->args.v[i++ % o->args.n])->node = *n;
	return 0;
}

static int add_cards(struct session *s, struct err *e)
{
	const struct cmd_options *o = s->o;

	if (o->nodes.n && o->args.n == 2)
		return add_stamped(s, e);
	if (flash_opt.all || o->nodes.n)
		return flash_add_nodes(s, e);
	s->project_dir = cmd_project_dir(o);
	flash_add_image(s, o->args.v[0], o->args.v[1]);
	return 0;
}

/* An image of the node in memory over G. */
static int stamp_generic(const struct build *b, const struct card *c, struct built *ret, struct err *e)
{
	_cleanup_(generic_close) struct generic g = { 0 };
	int r = generic_open(c->image, &g, e);

	if (r < 0)
		return r;
	r = generic_check(&g, b->plan, c->node, e);
	return r < 0 ? r : build_node_onto(b, c->node, &g, ret, e);
}

static int open_source(const struct build *b, struct card *c, struct err *e)
{
	struct built built = { 0 };
	int r;

	if (c->image && !c->node)
		return source_open(c->image, &c->source, e);
	r = c->image ? stamp_generic(b, c, &built, e) : build_node(b, c->node, NULL, &built, e);
	if (r == 0)
		return source_cow(image_take_cow(&built.image), &c->source, e); /* closed with the session */
	image_close(&built.image);
	return err_interrupted(e) || fetching_failed(b->fetching) ? r : err_wrap(e, "%s", c->name);
}

/* ---- is it the right disk? ---- */

/* Before anything is built, downloaded or asked. */
static int check_right(const struct device *d, struct err *e)
{
	int r;

	caller_raise();
	r = faccessat(AT_FDCWD, d->path, R_OK | W_OK, AT_EACCESS);
	caller_lower();
	return r < 0 ? err_errno(e, -errno, "cannot open %s; run it as root (sudo pibuild flash ...)", d->path) : 0;
}

static int find_device(struct card *c, struct err *e)
{
	const struct device *d = NULL;
	struct devices all;
	int r = devices_scan(&host_real, &all, e);

	if (r < 0)
		return r;
	r = guard_find(&host_real, &all, c->disk, &d, e);
	if (r < 0)
		return r;
	r = guard_check(d, 0, e);
	if (r < 0)
		return r;
	r = check_right(d, e);
	if (r < 0)
		return r;
	c->device = *d;
	cmd_identify(d->path, &c->holds);
	return 0;
}

/* A node's card that becomes another's. */
static bool holds_another(const struct card *c)
{
	return c->holds.state == CARD_NODE &&
	       (!streq(c->holds.node, c->name) || (*c->cluster && !streq(c->holds.cluster, c->cluster)));
}

/* A card of this very node. */
static bool holds_same(const struct card *c)
{
	return c->holds.state == CARD_NODE && streq(c->holds.node, c->name) && streq(c->holds.cluster, c->cluster);
}

/* The cluster is on it and nowhere else. */
static bool holds_cluster(const struct card *c)
{
	return holds_same(c) && c->holds.booted && c->holds.only_server &&
	       streq(c->holds.role, role_names[ROLE_CONTROL_PLANE]);
}

/* The cluster's name has to be typed: what it is now, or was, goes. */
static bool starts_anew(const struct session *s, const struct card *c)
{
	return (flash_opt.new_cluster || flash_opt.restore) && c->node->node == first_server(s);
}

/* A card that was never booted leaves its right to what takes its place. */
static void decide_birth(const struct session *s, struct card *c)
{
	bool unused = holds_same(c) && c->holds.may_start && !c->holds.booted;

	if (!c->node)
		return;
	plan_node_key(s->plan, c->node, c->made); /* what is added below is of this one card */
	c->right = birth_right(s->flashed, s->plan->project->config, c->node->node);
	if (c->right == BIRTH_JOINS && c->node->node == first_server(s) &&
	    (unused || flash_opt.new_cluster || flash_opt.restore))
		c->right = BIRTH_STARTS;
	birth_mark(c->node, c->right);
}

static bool is_serial_given(const struct cmd_options *o, const struct device *d)
{
	vec_foreach (s, &flash_opt.serials)
		if (streq(*s, d->identity))
			return true;
	return false;
}

static int check_serial(const struct cmd_options *o, const struct device *d, struct err *e)
{
	if (flash_opt.serials.n && !is_serial_given(o, d))
		return err_class(e, CLASS_REFUSED, "%s has the serial %s, not %s; nothing was written", d->path,
				 d->identity, flash_opt.serials.v[0]);
	if (o->yes && !flash_opt.serials.n)
		return err_class(e, CLASS_REFUSED, "--yes wants to know which disk is meant: --serial %s is %s",
				 d->identity, d->path);
	if (!o->yes && !cmd_has_terminal())
		return err_class(e, CLASS_REFUSED,
				 "there is no terminal to ask on: if %s is the right disk, give --yes --serial %s",
				 d->path, d->identity);
	return 0;
}

static const char *holds_text(const struct session *s, const struct card *c)
{
	return cmd_card_text(&c->holds, c->device.identity, s->project_dir);
}

static void show_device(const struct session *s, const struct card *c)
{
	const struct device *d = &c->device;
	const char *holds = holds_text(s, c);
	char size[SIZE_TEXT_MAX];

	fprintf(stderr, "\n%s  %s, %s%s%s, serial %s\n", d->path, *d->model ? d->model : "unknown model",
		size_text(d->size, size), *d->bus ? ", " : "", d->bus, d->identity);
	if (holds || *d->labels)
		fprintf(stderr, "  holds %s\n", holds ? holds : d->labels);
	fprintf(stderr, "  becomes %s%s%s; what is on it now will be lost.\n", c->name, *c->cluster ? " of " : "",
		c->cluster);
}

/* The first server's card of a cluster that was started: NULL = it is not so. */
static const char *joins_text(const struct session *s, const struct card *c)
{
	const json_t *card;

	if (c->right != BIRTH_JOINS || c->node->node != first_server(s))
		return NULL;
	card = birth_card(s->flashed, s->plan->project->config);
	return arena_printf(
		"a card of %s that starts %s was written %s: this one joins it through another server; if %s never ran or is gone, flash with --start-new-cluster",
		json_clean(card, "node"), c->cluster, json_clean(card, "time"), c->cluster);
}

/* What is on the data disk is what the node goes on with, whatever the card says. */
static const char *data_disk_text(const struct session *s, const struct card *c)
{
	return starts_anew(s, c) && !flash_opt.restore
		       ? arena_printf(
				 "the data disk of %s is not touched, and %s goes on with a cluster that is on it; to start anew it has to be empty or another one",
				 c->name, c->name)
		       : arena_printf("what %s has on its data disk is kept, and it goes on with it", c->name);
}

/* What must be typed: the name of the node that goes, or whose cluster goes, the serial of what might be a disk of this
 * machine, else yes. A node's card is no disk of this machine, so its name is enough. */
static const char *wanted_answer(const struct card *c)
{
	if ((holds_another(c) && !streq(str_or(c->given_up, ""), c->holds.node)) ||
	    (holds_cluster(c) && !flash_opt.restore))
		return c->holds.node;
	return guard_wants_identity(&c->device) ? c->device.identity : "yes";
}

static int flash_ask(const struct session *s, const struct card *c, struct err *e)
{
	const char *wanted = wanted_answer(c), *joins = joins_text(s, c);
	const char *kept = arena_printf("nothing was written to %s", c->device.path);
	int r;

	show_device(s, c);
	if (joins)
		fprintf(stderr, "  Note: %s.\n", joins);
	if (c->node && config_keeps_state(c->node->node))
		fprintf(stderr, "  Note: %s.\n", data_disk_text(s, c));
	if (wanted == c->holds.node && holds_cluster(c))
		fprintf(stderr,
			"  The cluster %s is on it and nowhere else: its objects, Secrets and volumes go. Type %s to go on: ",
			c->cluster, wanted);
	else if (wanted == c->holds.node)
		fprintf(stderr, "  It is the card of another node. Type %s to give it up and go on: ", wanted);
	else if (wanted == c->device.identity)
		fprintf(stderr, "  It is not a removable disk. Type its serial to go on: ");
	else
		fprintf(stderr, "  Type yes to go on: ");
	r = cmd_answer(wanted, kept, e);
	if (r < 0 || !starts_anew(s, c))
		return r;
	if (flash_opt.restore)
		fprintf(stderr,
			"  It starts %s as it was at %s: what came after is lost, volumes are not in a backup, and cards of other servers have to be flashed again. Type the cluster's name to go on: ",
			c->cluster, utc_text(s->backup.is.time));
	else
		fprintf(stderr,
			"  It starts %s anew: cards of the old one no longer fit. Type the cluster's name to go on: ",
			c->cluster);
	return cmd_answer(c->cluster, kept, e);
}

static int confirm(const struct session *s, const struct card *c, struct err *e)
{
	int r = check_serial(s->o, &c->device, e);

	if (r == 0)
		r = guard_check(&c->device, c->source.size, e);
	if (r < 0 || !s->o->yes)
		return r < 0 ? r : flash_ask(s, c, e);
	if (c->node && config_keeps_state(c->node->node))
		log_info("%s", data_disk_text(s, c));
	/* The serial says which disk is meant; what goes with it is said all the same. */
	if (holds_text(s, c))
		log_info("%s holds %s; it becomes %s", c->device.path, holds_text(s, c), c->name);
	if (flash_opt.restore)
		log_info("%s starts as it was at %s, by %s; cards of other servers have to be flashed again",
			 c->cluster, utc_text(s->backup.is.time), path_base(flash_opt.restore));
	if (holds_cluster(c))
		log_warning("the cluster %s is on %s and nowhere else: its objects, Secrets and volumes go", c->cluster,
			    c->device.path);
	if (joins_text(s, c))
		log_info("%s", joins_text(s, c));
	return 0;
}

/* ---- the work ---- */

static struct flashed_line record_of(const struct session *s, const struct card *c)
{
	const struct device *d = &c->device;
	bool starts = c->node && c->node->node == first_server(s) && c->right != BIRTH_JOINS;

	return (struct flashed_line){
		.dir = s->project_dir,
		.node = c->name,
		.image = c->image,
		.held = c->holds.state == CARD_NODE ? c->holds.node : NULL,
		.serial = d->identity,
		.model = d->model,
		.disk = d->path,
		.size = d->size,
		.cluster = c->cluster,
		.born = starts ? s->facts : NULL,
		.planned = c->node != NULL,
		/* What a restored one holds beside that, no plan knows. */
		.made = c->node && !flash_opt.restore ? c->made : NULL,
	};
}

struct begun {
	const struct session *session;
	const struct card *card;
};

static void record_begun(const struct flash *f, void *arg)
{
	const struct begun *b = arg;
	const struct flashed_line x = record_of(b->session, b->card);
	struct err e = { 0 };

	if (x.dir && flashed_add(&x, NULL, &e) < 0)
		log_debug("not recorded: %s", e.msg); /* it is said when the card is done */
}

/* What an image file brought along, as it lies on the card now; NULL = it does not say. The caller's. */
static json_t *born_on_card(const struct card *c)
{
	struct card_identity id;

	card_identify(c->device.path, &id);
	return id.state == CARD_NODE && id.born ? json_loads(id.born, 0, NULL) : NULL;
}

static void record_done(const struct session *s, const struct card *c)
{
	_cleanup_json_ json_t *born = c->node ? NULL : born_on_card(c);
	struct flashed_line x = record_of(s, c);
	struct err e = { 0 };

	if (born)
		x.born = born;

	if (x.dir && flashed_add(&x, c->flash.result.sha256, &e) < 0)
		log_warning("the card is good, but it could not be recorded: %s", e.msg);
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

static void flash_start(const struct session *s, struct card *c)
{
	struct begun *b = arena_new(struct begun);

	*b = (struct begun){ s, c };
	c->flash = (struct flash){
		.source = &c->source,
		.device = &c->device,
		.name = c->name,
		.begun = record_begun,
		.begun_arg = b,
		.flags = (flash_opt.update ? FLASH_UPDATE : 0) | (flash_opt.discard ? FLASH_DISCARD : 0),
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
		flash_start(s, &cards[i]);
	for (size_t i = 0; i < n; i++) {
		struct card *c = &cards[i];

		if (c->started)
			pthread_join(c->thread, NULL);
		source_close(&c->source);
		if (c->code == 0) {
			record_done(s, c);
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

/* Is it still, or again, a card of this run? */
static const struct card *written_before(const struct session *s, const struct card *c)
{
	for (size_t i = s->written; i-- > 0;) {
		const struct card *w = &s->cards.v[i];
		bool same_medium = w->device.devno == c->device.devno && w->device.diskseq &&
				   w->device.diskseq == c->device.diskseq;

		if (same_medium || (c->holds.state == CARD_NODE && streq(c->holds.node, w->name) &&
				    streq(c->holds.cluster, w->cluster)))
			return w;
	}
	return NULL;
}

/* 1 when the card in the disk may be used, 0 when it is to be asked for again: ANSWER is what was typed. */
static int look_at_next(const struct session *s, struct card *c, const char *answer, struct err *e)
{
	const struct card *w;
	int r = find_device(c, e);

	if (r < 0) {
		if (e->class != CLASS_REFUSED)
			return r;
		fprintf(stderr, "  %s\n", e->msg);
		*e = (struct err){ 0 };
		return 0;
	}
	w = written_before(s, c);
	if (!w)
		return 1;
	if (streq(answer, w->name))
		c->given_up = w->name;
	else
		fprintf(stderr,
			"  %s still holds %s, written a moment ago: take it out and put in the next card. To give it up, type %s.\n",
			c->disk, w->name, w->name);
	return c->given_up != NULL;
}

/* A change of cards is seen, not believed: Enter alone overwrites nothing. */
static int wait_for_cards(const struct session *s, struct card *cards, size_t n, struct err *e)
{
	_cleanup_free_ char *line = NULL;
	size_t cap = 0, ready = 0;

	while (ready < n) {
		int r;

		fprintf(stderr, "\nNow put in the card%s for", n - ready > 1 ? "s" : "");
		for (size_t i = ready; i < n; i++)
			fprintf(stderr, "%s %s (%s)", i > ready ? "," : "", cards[i].name, cards[i].disk);
		fputs(" and press Enter: ", stderr);
		r = cmd_read_line(&line, &cap, e);
		if (r < 0 && e->class == CLASS_USAGE)
			return err_class(e, CLASS_USAGE, "there was no answer: %zu of %zu cards are written, %s is not",
					 s->written, s->cards.n, cards[ready].name);
		for (r = r < 0 ? r : 1; ready < n && r > 0; ready += r > 0)
			r = look_at_next(s, &cards[ready], line, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What is to be written on all CARDS of a round, in memory. */
static int open_sources(const struct session *s, struct card *cards, size_t n, struct err *e)
{
	_cleanup_(fetch_end) struct fetching f = { 0 };
	struct build b = { .plan = s->plan, .cache = &s->cache };
	struct fetch_options o = { .offline = s->o->offline, .jobs = s->o->jobs };
	int r = 0;

	if (s->plan && !cards[0].image) {
		o.config = s->plan->project->config;
		r = build_check_host(&b, e);
		if (r == 0)
			r = build_fetch(&b, &o, &f, e);
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		decide_birth(s, &cards[i]);
		r = open_source(&b, &cards[i], e);
	}
	return r;
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
	if (r == 0)
		r = open_sources(s, cards, n, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = confirm(s, &cards[i], e);
	return r < 0 ? r : flash_round(s, cards, n, e);
}

/* What is to come; a card that is not written again after all makes it less. */
static void expect_steps(const struct session *s)
{
	const struct build b = { .plan = s->plan, .cache = &s->cache };
	unsigned n = (unsigned)s->cards.n;

	if (s->plan && !s->cards.v[0].image)
		build_expect(&b, 0);
	else if (s->plan)
		progress_expect("stamp", n);
	progress_expect("compare", flash_opt.update ? n : 0);
	progress_expect("discard", flash_opt.discard ? n : 0);
	progress_expect("write", n);
	progress_expect("verify", n);
}

static int flash_session_run(struct session *s, struct err *e)
{
	size_t at_once = flash_opt.all ? s->o->args.n : 1;
	int r = 0;

	expect_steps(s);

	for (size_t i = 0; i < s->cards.n && r == 0; i += at_once) {
		size_t n = MIN(at_once, s->cards.n - i);

		if (i)
			r = wait_for_cards(s, &s->cards.v[i], n, e);
		if (r == 0)
			r = run_round(s, &s->cards.v[i], n, e);
		s->written = i + n;
	}
	return r;
}

static void flash_next(const struct session *s)
{
	const struct card *first = &s->cards.v[0];
	size_t n = s->cards.n;

	if (!s->o->json)
		log_info("%zu %s written and verified", n, n == 1 ? "card is" : "cards are");
	if (!s->project_dir || !*first->cluster)
		cmd_next(s->o, "power the Pi on; its card says how far it came: `pibuild status %s`",
			 shell_word(first->disk));
	else
		cmd_next(
			s->o,
			"`pibuild kubeconfig -o ~/.kube/%s` for kubectl, power the %s on, and read how far %s came with `pibuild-status` there",
			first->cluster, n == 1 ? "Pi" : "Pis", n == 1 ? "it" : "they");
}

static int cmd_flash(const struct cmd_options *o, struct err *e)
{
	_cleanup_(session_done) struct session s = { .o = o, .cache.fd = -1, .results = json_array() };
	int r = check_usage(o, e);

	if (r == 0)
		r = add_cards(&s, e);
	if (r == 0)
		r = flash_session_run(&s, e);
	if (o->json && json_array_size(s.results) > 0) { /* also of those that went well before one failed */
		struct err printing = { 0 };
		int p = json_print(json_incref(s.results), &printing);

		if (p < 0 && r == 0) {
			*e = printing;
			r = p;
		}
	}
	if (r < 0)
		return r;
	flash_next(&s);
	return 0;
}

const struct command flash_command = {
	.name = "flash",
	.args = "[IMAGE] [--node NAME | --all] DISK...",
	.help = "write and verify cards",
	.run = cmd_flash,
	.options = flash_options,
	.n_options = ARRAY_SIZE(flash_options),
	.common = "config lock secrets cache offline jobs json progress",
	.words = { "@image @disk", "@disk" },
	.examples = { "sudo pibuild flash out/cp-1.img /dev/sdX", "sudo pibuild flash --all /dev/sdX /dev/sdY" },
};
