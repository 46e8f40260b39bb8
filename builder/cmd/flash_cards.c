/* SPDX-License-Identifier: Apache-2.0 */
/* flash: which image or node goes onto which disk, and what is written on it. */
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "build/build.h"
#include "cmd/flash.h"
#include "companion/leftover.h"
#include "config/born.h"

const struct node_config *flash_first_server(const struct flash_session *s)
{
	return config_first_server(s->plan->project->config);
}

bool flash_holds_same(const struct flash_card *c)
{
	return c->holds.state == CARD_NODE && streq(c->holds.node, c->name) && streq(c->holds.cluster, c->cluster);
}

static struct flash_card *add_card(struct flash_session *s, const char *name, const char *disk)
{
	struct flash_card *c = vec_push(&s->cards);

	*c = (struct flash_card){ .name = name,
				  .cluster = s->plan ? s->plan->project->config->cluster.name : "",
				  .disk = disk,
				  .source.fd = -1 };
	return c;
}

/* What is in it says so; one that is compressed or of another kind goes by its file: "out/cp-1.img.xz" is cp-1. */
static void flash_add_image(struct flash_session *s, const char *path, const char *disk)
{
	char *name = arena_strdup(path_base(path)), *dot = strstr(name, ".img");
	const struct config *config = cmd_glimpse_config(s->o->config);
	const char *left = config ? leftover_node(config, path) : NULL;
	struct card_identity id;
	struct flash_card *c;

	if (left)
		log_warning("%s is of %s, which %s has no card for (any more): this one would join %s as %s", path,
			    left, config->path, config->cluster.name, left);
	if (dot && dot > name)
		*dot = '\0';
	card_identify(path, &id);
	c = add_card(s, id.state == CARD_NODE ? id.node : clean_text(name), disk);
	c->cluster = id.cluster;
	c->image = path;
}

/* --start-new-cluster or --restore without the card that it is about. */
static int check_starter(const struct flash_session *s, struct err *e)
{
	if (!s->wish->new_cluster && !s->wish->restore)
		return 0;
	vec_foreach (n, &s->plan->nodes)
		if ((*n)->node == flash_first_server(s))
			return 0;
	return err_class(e, CLASS_USAGE, "a cluster is started by its first server: %s goes with --node %s",
			 s->wish->restore ? "--restore" : "--start-new-cluster", flash_first_server(s)->name);
}

/* Before anything else is made. */
static int check_backup_fits(const struct flash_session *s, struct err *e)
{
	const struct project *p = s->plan->project;

	if (!s->wish->restore)
		return 0;
	return backup_check_fits(&s->backup, p->config, str_or(artifact_version(&p->set, "k3s"), ""),
				 p->secrets->ca_hash, e);
}

static int plan_nodes(struct flash_session *s, struct err *e)
{
	const struct cmd_options *o = s->o;
	struct project_options po = cmd_project_options(o, SECRETS_NEEDED);
	struct plan_options so = cmd_plan_options(o, SECRET_READ);
	struct node_restore restore = { 0 };
	struct plan *plan = NULL;
	int r = s->wish->restore ? backup_open(s->wish->restore, &s->backup, e) : 0;

	po.new_cluster = s->wish->new_cluster;
	restore = (struct node_restore){ s->backup.path, s->backup.size, s->backup.sha256, s->backup.about };
	so.restore = s->wish->restore ? &restore : NULL;
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
	r = flashed_load(s->project_dir, &s->flashed, e);
	if (r < 0)
		return r;
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
static int check_order(const struct cmd_options *o, const struct flash_wishes *w, struct err *e)
{
	const char *disk = o->args.v[0], *image = o->args.n > 1 ? o->args.v[1] : NULL;

	if (w->all || !image || !is_kind(disk, S_IFBLK) || !is_kind(image, S_IFREG))
		return 0;
	return err_class(
		e, CLASS_USAGE,
		"%s is a disk and %s a file: the image comes first: pibuild flash %s%s%s %s; nothing was written", disk,
		image, image, o->nodes.n ? " --node " : "", o->nodes.n ? o->nodes.v[0] : "", disk);
}

/* Before anything is made: a name mistyped, or /dev/sdX as the examples have it. */
static int check_disks_exist(const struct cmd_options *o, const struct flash_wishes *w, struct err *e)
{
	for (size_t i = w->all ? 0 : o->args.n - 1; i < o->args.n; i++)
		if (file_is_missing(o->args.v[i]))
			return err_class(e, CLASS_FAILED, "there is no disk %s: `pibuild devices` lists them",
					 o->args.v[i]);
	return 0;
}

static const char usage[] = "flash IMAGE DISK | flash [IMAGE] --node NAME DISK | flash --all DISK...";

int flash_check_usage(const struct cmd_options *o, const struct flash_wishes *w, struct err *e)
{
	int r;

	if (w->all && o->nodes.n)
		return err_class(e, CLASS_USAGE, "--all means every node: leave out --node");
	if (w->discard && w->update)
		return err_class(e, CLASS_USAGE,
				 "--update keeps what is on the disk, --discard drops it: give one of them");
	if (w->new_cluster && !w->all && !o->nodes.n)
		return err_class(
			e, CLASS_USAGE,
			"--start-new-cluster is for a card that is made from cluster.yaml: pibuild flash --start-new-cluster --node NAME DISK, with the name of the first server");
	if (w->restore && !o->nodes.n)
		return err_class(
			e, CLASS_USAGE,
			"a backup is restored onto one card, which is made from cluster.yaml: pibuild flash --restore FILE --node NAME DISK, with the name of the first server");
	if (!w->all && o->nodes.n > 1)
		return err_class(e, CLASS_USAGE, "one --node at a time; --all takes several disks");
	if (o->args.n < (w->all || o->nodes.n ? 1 : 2))
		return err_class(e, CLASS_USAGE, "which %s? `pibuild devices` lists the disks; usage: pibuild %s",
				 o->args.n ? "disk, or which image" : "disk", usage);
	r = w->all ? cmd_args(o, 1, 64, usage, e) : cmd_args(o, o->nodes.n ? 1 : 2, 2, usage, e);
	if (r == 0)
		r = check_order(o, w, e);
	if (r == 0 && (w->all || o->nodes.n))
		r = config_require_file(o->config, "no card is written for a cluster that nobody described", e);
	return r < 0 ? r : check_disks_exist(o, w, e);
}

/* `flash IMAGE --node NAME DISK` */
static int add_stamped(struct flash_session *s, struct err *e)
{
	int r = plan_nodes(s, e);
	struct flash_card *c;

	if (r < 0)
		return r;
	c = add_card(s, s->o->nodes.v[0], s->o->args.v[1]);
	c->image = s->o->args.v[0];
	c->node = s->plan->nodes.v[0];
	return 0;
}

static int flash_add_nodes(struct flash_session *s, struct err *e)
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

int flash_add_cards(struct flash_session *s, struct err *e)
{
	const struct cmd_options *o = s->o;

	if (o->nodes.n && o->args.n == 2)
		return add_stamped(s, e);
	if (s->wish->all || o->nodes.n)
		return flash_add_nodes(s, e);
	s->project_dir = cmd_project_dir(o);
	flash_add_image(s, o->args.v[0], o->args.v[1]);
	return 0;
}

/* An image of the node in memory over G. */
static int stamp_generic(const struct build *b, const struct flash_card *c, struct built *ret, struct err *e)
{
	_cleanup_(generic_close) struct generic g = { 0 };
	int r = generic_open(c->image, &g, e);

	if (r < 0)
		return r;
	r = generic_check(&g, b->plan, c->node, e);
	return r < 0 ? r : build_node_onto(b, c->node, &g, ret, e);
}

static int open_source(const struct build *b, struct flash_card *c, struct err *e)
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

/* A card that was never booted leaves its right to what takes its place. */
static void decide_birth(const struct flash_session *s, struct flash_card *c)
{
	bool unused = flash_holds_same(c) && c->holds.may_start && !c->holds.booted;

	if (!c->node)
		return;
	plan_node_key(s->plan, c->node, c->made); /* what is added below is of this one card */
	c->right = birth_right(s->flashed, s->plan->project->config, c->node->node);
	if (c->right == BIRTH_JOINS && c->node->node == flash_first_server(s) &&
	    (unused || s->wish->new_cluster || s->wish->restore))
		c->right = BIRTH_STARTS;
	birth_mark(c->node, c->right);
}

/* What is to be written on all CARDS of a round, in memory. */
int flash_open_sources(const struct flash_session *s, struct flash_card *cards, size_t n, struct err *e)
{
	_cleanup_(fetch_end) struct fetching f = { 0 };
	struct build b = { .plan = s->plan, .cache = &s->cache };
	struct fetch_options o = { .offline = s->o->offline, .jobs = s->o->jobs };
	int r = 0;

	if (s->plan && !cards[0].image) {
		o.config = s->plan->project->config;
		r = build_check_host(&b, e);
		if (r == 0)
			r = cmd_check_values(s->plan, &s->cache, &o, e);
		if (r == 0)
			r = build_fetch(&b, &o, &f, e);
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		decide_birth(s, &cards[i]);
		r = open_source(&b, &cards[i], e);
	}
	return r;
}
