/* SPDX-License-Identifier: Apache-2.0 */
/* flash: is it the right disk? What it holds now, what goes with it, and what has to be typed before it does. */
#include <errno.h>
#include <fcntl.h>

#include "base/caller.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/flash.h"

/* Before anything is built, downloaded or asked. */
static int check_right(const struct device *d, struct err *e)
{
	int r;

	caller_raise();
	r = faccessat(AT_FDCWD, d->path, R_OK | W_OK, AT_EACCESS);
	caller_lower();
	return r < 0 ? err_errno(e, -errno, "cannot open %s; run it as root (sudo pibuild flash ...)", d->path) : 0;
}

int flash_find_device(struct flash_card *c, struct err *e)
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
static bool holds_another(const struct flash_card *c)
{
	return c->holds.state == CARD_NODE &&
	       (!streq(c->holds.node, c->name) || (*c->cluster && !streq(c->holds.cluster, c->cluster)));
}

/* The cluster is on it and nowhere else. */
static bool holds_cluster(const struct flash_card *c)
{
	return flash_holds_same(c) && c->holds.booted && c->holds.only_server &&
	       streq(c->holds.role, role_names[ROLE_CONTROL_PLANE]);
}

/* The cluster's name has to be typed: what it is now, or was, goes. */
static bool starts_anew(const struct flash_session *s, const struct flash_card *c)
{
	return (s->wish->new_cluster || s->wish->restore) && c->node->node == flash_first_server(s);
}

static bool is_serial_given(const struct flash_session *s, const struct device *d)
{
	vec_foreach (serial, &s->wish->serials)
		if (streq(*serial, d->identity))
			return true;
	return false;
}

int flash_check_serial(const struct flash_session *s, const struct device *d, struct err *e)
{
	const struct cmd_options *o = s->o;

	if (s->wish->serials.n && !is_serial_given(s, d))
		return err_class(e, CLASS_REFUSED, "%s has the serial %s, not %s; nothing was written", d->path,
				 d->identity, s->wish->serials.v[0]);
	if (o->yes && !s->wish->serials.n)
		return err_class(e, CLASS_REFUSED, "--yes wants to know which disk is meant: --serial %s is %s",
				 d->identity, d->path);
	if (!o->yes && !cmd_has_terminal())
		return err_class(e, CLASS_REFUSED,
				 "there is no terminal to ask on: if %s is the right disk, give --yes --serial %s",
				 d->path, d->identity);
	return 0;
}

static const char *holds_text(const struct flash_session *s, const struct flash_card *c)
{
	return cmd_card_text(&c->holds, c->device.identity, s->project_dir);
}

static void show_device(const struct flash_session *s, const struct flash_card *c)
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
static const char *joins_text(const struct flash_session *s, const struct flash_card *c)
{
	const json_t *card;

	if (c->right != BIRTH_JOINS || c->node->node != flash_first_server(s))
		return NULL;
	card = birth_card(s->flashed, s->plan->project->config);
	return arena_printf(
		"a card of %s that starts %s was written %s: this one joins it through another server; if %s never ran or is gone, flash with --start-new-cluster",
		json_clean(card, "node"), c->cluster, json_clean(card, "time"), c->cluster);
}

/* What is on the data disk is what the node goes on with, whatever the card says. */
static const char *data_disk_text(const struct flash_session *s, const struct flash_card *c)
{
	return starts_anew(s, c) && !s->wish->restore
		       ? arena_printf(
				 "the data disk of %s is not touched, and %s goes on with a cluster that is on it; to start anew it has to be empty or another one",
				 c->name, c->name)
		       : arena_printf("what %s has on its data disk is kept, and it goes on with it", c->name);
}

/* What must be typed: the name of the node that goes, or whose cluster goes, the serial of what might be a disk of this
 * machine, else yes. A node's card is no disk of this machine, so its name is enough. */
static const char *wanted_answer(const struct flash_session *s, const struct flash_card *c)
{
	if ((holds_another(c) && !streq(str_or(c->given_up, ""), c->holds.node)) ||
	    (holds_cluster(c) && !s->wish->restore))
		return c->holds.node;
	return guard_wants_identity(&c->device) ? c->device.identity : "yes";
}

static int flash_ask(const struct flash_session *s, const struct flash_card *c, struct err *e)
{
	const char *wanted = wanted_answer(s, c), *joins = joins_text(s, c);
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
	if (s->wish->restore)
		fprintf(stderr,
			"  It starts %s as it was at %s: what came after is lost, volumes are not in a backup, and cards of other servers have to be flashed again. Type the cluster's name to go on: ",
			c->cluster, utc_text(s->backup.is.time));
	else
		fprintf(stderr,
			"  It starts %s anew: cards of the old one no longer fit. Type the cluster's name to go on: ",
			c->cluster);
	return cmd_answer(c->cluster, kept, e);
}

int flash_confirm(const struct flash_session *s, const struct flash_card *c, struct err *e)
{
	int r = flash_check_serial(s, &c->device, e);

	if (r == 0)
		r = guard_check(&c->device, c->source.size, e);
	if (r < 0 || !s->o->yes)
		return r < 0 ? r : flash_ask(s, c, e);
	if (c->node && config_keeps_state(c->node->node))
		log_info("%s", data_disk_text(s, c));
	/* The serial says which disk is meant; what goes with it is said all the same. */
	if (holds_text(s, c))
		log_info("%s holds %s; it becomes %s", c->device.path, holds_text(s, c), c->name);
	if (s->wish->restore)
		log_info("%s starts as it was at %s, by %s; cards of other servers have to be flashed again",
			 c->cluster, utc_text(s->backup.is.time), path_base(s->wish->restore));
	if (holds_cluster(c))
		log_warning("the cluster %s is on %s and nowhere else: its objects, Secrets and volumes go", c->cluster,
			    c->device.path);
	if (joins_text(s, c))
		log_info("%s", joins_text(s, c));
	return 0;
}
