/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pibuild flash: an image file, a node, or every node onto cards. Every refusal comes before the first write to any of
 * them; the cards of a round are written side by side.
 */
#include <pthread.h>

#include "base/log.h"
#include "base/pool.h"
#include "build/build.h"
#include "cmd/flash.h"

static struct flash_wishes flash_opt;

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

static void session_done(struct flash_session *s)
{
	vec_foreach (c, &s->cards)
		source_close(&c->source);
	cache_close(&s->cache);
	json_decref(s->results);
	json_decref(s->flashed);
	json_decref(s->facts);
}

static struct flashed_line record_of(const struct flash_session *s, const struct flash_card *c)
{
	const struct device *d = &c->device;
	bool starts = c->node && c->node->node == flash_first_server(s) && c->right != BIRTH_JOINS;

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
		.made = c->node && !s->wish->restore ? c->made : NULL,
	};
}

struct begun {
	const struct flash_session *session;
	const struct flash_card *card;
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
static json_t *born_on_card(const struct flash_card *c)
{
	struct card_identity id;

	cmd_identify(c->device.path, &id);
	return id.state == CARD_NODE && id.born ? json_loads(id.born, 0, NULL) : NULL;
}

static void record_done(const struct flash_session *s, const struct flash_card *c)
{
	_cleanup_json_ json_t *born = c->node ? NULL : born_on_card(c);
	struct flashed_line x = record_of(s, c);
	struct err e = { 0 };

	if (born)
		x.born = born;
	if (x.dir && flashed_add(&x, c->flash.result.sha256, &e) < 0)
		log_warning("the card is good, but it could not be recorded: %s", e.msg);
}

static void report(const struct flash_session *s, const struct flash_card *c)
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
	struct flash_card *c = arg;

	c->code = flash_run(&c->flash, &c->err);
	return NULL;
}

static void flash_start(const struct flash_session *s, struct flash_card *c)
{
	struct begun *b = arena_new(struct begun);

	*b = (struct begun){ s, c };
	c->flash = (struct flash){
		.source = &c->source,
		.device = &c->device,
		.name = c->name,
		.begun = record_begun,
		.begun_arg = b,
		.flags = (s->wish->update ? FLASH_UPDATE : 0) | (s->wish->discard ? FLASH_DISCARD : 0),
	};
	c->started = thread_start(&c->thread, flash_thread, c, &c->err) == 0;
	if (!c->started)
		c->code = c->err.code;
}

/* All cards of a round to their end, whatever becomes of one; the first failure is the round's. */
static int flash_round(struct flash_session *s, struct flash_card *cards, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n; i++)
		flash_start(s, &cards[i]);
	for (size_t i = 0; i < n; i++) {
		struct flash_card *c = &cards[i];

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
static const struct flash_card *written_before(const struct flash_session *s, const struct flash_card *c)
{
	for (size_t i = s->written; i-- > 0;) {
		const struct flash_card *w = &s->cards.v[i];
		bool same_medium = w->device.devno == c->device.devno && w->device.diskseq &&
				   w->device.diskseq == c->device.diskseq;

		if (same_medium || (c->holds.state == CARD_NODE && streq(c->holds.node, w->name) &&
				    streq(c->holds.cluster, w->cluster)))
			return w;
	}
	return NULL;
}

/* 1 when the card in the disk may be used, 0 when it is to be asked for again: ANSWER is what was typed. */
static int look_at_next(const struct flash_session *s, struct flash_card *c, const char *answer, struct err *e)
{
	const struct flash_card *w;
	int r = flash_find_device(c, e);

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
static int wait_for_cards(const struct flash_session *s, struct flash_card *cards, size_t n, struct err *e)
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
		if (r < 0)
			return r;
		do {
			r = look_at_next(s, &cards[ready], line, e);
			if (r < 0)
				return r;
			ready += (size_t)r;
		} while (r && ready < n);
	}
	return 0;
}

static int check_distinct(const struct flash_card *cards, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (cards[i].device.devno == cards[j].device.devno)
				return err_class(e, CLASS_REFUSED, "%s and %s are the same disk", cards[i].disk,
						 cards[j].disk);
	return 0;
}

static int run_round(struct flash_session *s, struct flash_card *cards, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = flash_find_device(&cards[i], e);
	if (r == 0)
		r = check_distinct(cards, n, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = flash_check_serial(s, &cards[i].device, e);
	if (r == 0)
		r = flash_open_sources(s, cards, n, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = flash_confirm(s, &cards[i], e);
	return r < 0 ? r : flash_round(s, cards, n, e);
}

/* What is to come; a card that is not written again after all makes it less. */
static void expect_steps(const struct flash_session *s)
{
	const struct build b = { .plan = s->plan, .cache = &s->cache };
	unsigned n = (unsigned)s->cards.n;

	if (s->plan && !s->cards.v[0].image)
		build_expect(&b, 0);
	else if (s->plan)
		progress_expect("stamp", n);
	progress_expect("compare", s->wish->update ? n : 0);
	progress_expect("discard", s->wish->discard ? n : 0);
	progress_expect("write", n);
	progress_expect("verify", n);
}

static int flash_session_run(struct flash_session *s, struct err *e)
{
	size_t at_once = s->wish->all ? s->o->args.n : 1;
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

static void flash_next(const struct flash_session *s)
{
	const struct flash_card *first = &s->cards.v[0];
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
	_cleanup_(session_done) struct flash_session s = {
		.o = o, .wish = &flash_opt, .cache.fd = -1, .results = json_array()
	};
	int r = flash_check_usage(o, &flash_opt, e);

	if (r == 0)
		r = flash_add_cards(&s, e);
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
