/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shell offers when Tab is pressed: from the tables of commands and options, cluster.yaml, boards, disks. The
 * scripts in docs/ hand over the words and take the lines; whatever cannot be read offers nothing.
 */
#include <glob.h>

#include "base/codec.h"
#include "base/log.h"
#include "board/board.h"
#include "cmd/cmd.h"
#include "flash/device.h"
#include "secrets/secrets.h"
#include "update/update.h"

struct complete {
	const struct command *command; /* NULL = not said yet */
	const struct option *option;   /* whose value is wanted; NULL = none */
	const char *config;
	struct text_list args; /* of the command, before the word wanted */
};

static void offer(const char *word, const char *what)
{
	printf("%s\t%s\n", word, what);
}

static const struct option *find_long(const struct option *rows, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* "--node", "-c"; of the command, else of any: it may come later. */
static const struct option *complete_find_option(const struct command *of, const char *word)
{
	const struct option *found = NULL;

	for (size_t i = 0; i < common_options_count; i++)
		if (word[1] != '-' && !word[2] && word[1] == common_options[i].letter)
			return &common_options[i];
	if (!starts_with(word, "--"))
		return NULL;
	if (of)
		found = find_long(of->options, of->n_options, word + 2);
	if (!found)
		found = find_long(common_options, common_options_count, word + 2);
	for (size_t i = 0; commands[i] && !found && !of; i++)
		found = find_long(commands[i]->options, commands[i]->n_options, word + 2);
	return found;
}

/* What the words before the last one say. */
static struct complete read_words(const char *const *words, size_t n)
{
	struct complete c = { 0 };

	for (size_t i = 0; i + 1 < n; i++) {
		const struct option *o = *words[i] == '-' ? complete_find_option(c.command, words[i]) : NULL;

		if (o && o->kind != OPT_FLAG && i + 2 == n)
			c.option = o;
		else if (o && o->kind != OPT_FLAG && streq(o->name, "config"))
			c.config = words[++i];
		else if (o && o->kind != OPT_FLAG)
			i++;
		else if (*words[i] == '-')
			continue;
		else if (!c.command)
			c.command = command_find(words[i]);
		else
			*vec_push(&c.args) = words[i];
	}
	return c;
}

/* ---- what there is ---- */

static void offer_nodes(const struct complete *c, bool external)
{
	const struct config *config = cmd_glimpse_config(c->config ? c->config : getenv("PIBUILD_CONFIG"));

	if (!config)
		return;
	vec_foreach (n, &config->nodes)
		if (n->name && (!external || config_is_external(n)))
			offer(n->name, role_names[n->role]);
}

static void offer_boards(void)
{
	const char *const *names;
	struct err ignored = { 0 };
	size_t n;

	if (board_names(&names, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct board *b;

		if (board_load(names[i], &b, &ignored) == 0)
			offer(b->name, b->title);
	}
}

static void offer_disks(bool serials)
{
	struct err ignored = { 0 };
	struct devices all;
	char size[SIZE_TEXT_MAX];

	if (devices_scan(&host_real, &all, &ignored) < 0)
		return;
	vec_foreach (d, &all.v)
		if (!guard_verdict(d) && (!serials || *d->identity))
			offer(serials ? d->identity : d->path,
			      arena_printf("%s, %s", *d->model ? d->model : "a disk", size_text(d->size, size)));
}

/* Those of builds lie in out/; all others are files like any. */
static void offer_images(const char *word)
{
	glob_t found = { 0 };

	if (!strchr(word, '/')) {
		glob("out/*.img", 0, NULL, &found);
		for (size_t i = 0; i < CODEC_COUNT; i++)
			glob(arena_printf("out/*.img%s", codecs[i].suffix), GLOB_APPEND, NULL, &found);
		glob("*.img", GLOB_APPEND, NULL, &found);
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		offer(found.gl_pathv[i], "image");
	globfree(&found);
	puts("@file");
}

static void offer_artifacts(void)
{
	struct text_list names;
	struct catalogue *cat;
	struct err ignored = { 0 };

	if (catalogue_load(&cat, &ignored) < 0)
		return;
	names = lock_update_names(cat);
	vec_foreach (name, &names)
		offer(*name, "artifact");
}

/* Parts of the secrets file, and behind `node` a node's name. */
static void offer_secrets(const struct complete *c)
{
	const struct secret_kind *kind = c->args.n > 1 ? secrets_find_kind(c->args.v[1]) : NULL;

	if (!c->args.n || !streq(c->args.v[0], "rotate"))
		return;
	if (kind && kind->of_node && c->args.n == 2)
		offer_nodes(c, false);
	for (size_t i = 0; c->args.n == 1 && i < secret_kinds_count; i++)
		offer(secret_kinds[i].name, secret_kinds[i].help);
}

static void offer_commands(void)
{
	for (size_t i = 0; commands[i]; i++)
		offer(commands[i]->name, commands[i]->help);
}

static void offer_kind(const struct complete *c, const char *kind, const char *word)
{
	if (streq(kind, "@node") || streq(kind, "@external"))
		offer_nodes(c, streq(kind, "@external"));
	else if (streq(kind, "@board"))
		offer_boards();
	else if (streq(kind, "@disk") || streq(kind, "@serial"))
		offer_disks(streq(kind, "@serial"));
	else if (streq(kind, "@image"))
		offer_images(word);
	else if (streq(kind, "@artifact"))
		offer_artifacts();
	else if (streq(kind, "@secret"))
		offer_secrets(c);
	else if (streq(kind, "@command"))
		offer_commands();
	else if (*kind == '@')
		puts(kind);
	else
		offer(kind, "");
}

static void offer_kinds(const struct complete *c, const char *kinds, const char *word)
{
	_cleanup_free_ char *copy = xstrdup(str_or(kinds, ""));

	text_foreach (kind, copy, " ")
		offer_kind(c, kind, word);
}

static void offer_options(const struct command *c)
{
	for (size_t i = 0; c && i < c->n_options; i++)
		offer(arena_printf("--%s", c->options[i].name), c->options[i].help);
	for (size_t i = 0; i < common_options_count; i++)
		if (!c || cmd_word_in("quiet verbose", common_options[i].name) ||
		    cmd_word_in(c->common, common_options[i].name))
			offer(arena_printf("--%s", common_options[i].name), common_options[i].help);
	offer("--help", "what it takes");
	if (!c)
		offer("--version", "version, commit and date of the catalogue");
}

void complete_print(const char *const *words, size_t n)
{
	const char *word = n ? words[n - 1] : "", *eq = strchr(word, '=');
	struct complete c = read_words(words, n);
	size_t last = 0;

	log_set_level(LOG_ERROR);
	if (starts_with(word, "--") && eq) { /* --node=cp-1, which bash hands over in pieces */
		c.option = complete_find_option(c.command, arena_strndup(word, (size_t)(eq - word)));
		word = eq + 1;
	}
	if (c.option)
		offer_kinds(&c, c.option->words, word);
	else if (*word == '-')
		offer_options(c.command);
	else if (!c.command)
		offer_commands();
	else {
		while (last < c.args.n && last + 1 < ARRAY_SIZE(c.command->words) && c.command->words[last + 1])
			last++;
		offer_kinds(&c, c.command->words[last], word);
	}
}
