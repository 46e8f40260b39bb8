/* SPDX-License-Identifier: Apache-2.0 */
/* access.sshKeys: {github: USER}: https://github.com/USER.keys, looked up when locking and pinned as it was then. */
#include "config/values.h"
#include "crypto/digest.h"
#include "update/update.h"

enum { KEYS_LIMIT = 64 * KIB };

struct lock_line keys_line(const struct lock_keys *k, enum lock_change change)
{
	char sha256[SHA256_HEX];
	struct sha256 s;

	sha256_init(&s);
	vec_foreach (key, &k->keys)
		sha256_update(&s, *key, strlen(*key) + 1);
	sha256_final(&s, sha256);
	return (struct lock_line){
		.change = change,
		.what = LOCK_KEYS,
		.keys = k,
		.entry = { .name = arena_printf("github:%s", k->user),
			   .version = arena_printf("%zu key%s", k->keys.n, k->keys.n == 1 ? "" : "s"),
			   .url = k->source,
			   .sha256 = arena_strdup(sha256),
			   .source = k->source },
	};
}

/* Lines "TYPE BASE64", as GitHub gives them out; each gets the user's name for a comment. */
static int keys_read(const char *user, const struct text *t, struct lock_keys **ret, struct err *e)
{
	struct lock_keys *k = arena_new(struct lock_keys);
	char *text = arena_strndup(str_or(t->body.s, ""), t->body.n);

	*k = (struct lock_keys){ .user = user, .source = t->url };
	text_foreach (line, text, "\r\n") {
		const char *key = arena_printf("%s %s@github", line, user), *why = value_ssh_key_fault(key);

		if (why)
			return err_class(e, CLASS_VERIFY, "%s: line %zu is no key that may log in: %s", t->url,
					 k->keys.n + 1, why);
		if (k->keys.n == LOCK_KEYS_MOST)
			return err_class(e, CLASS_VERIFY, "%s has more than %d keys", t->url, LOCK_KEYS_MOST);
		*vec_push(&k->keys) = key;
	}
	if (!k->keys.n)
		return err_class(e, CLASS_VERIFY, "%s has no key: nobody could log in by it", t->url);
	*ret = k;
	return 0;
}

static int keys_look_up(const char *user, const struct lock_keys *known, const struct lock_options *o,
			struct lock_line *line, struct err *e)
{
	struct texts texts = { 0 };
	struct lock_keys *found = NULL;
	int r;

	texts_want(&texts, (struct text){ .label = arena_printf("keys of %s", user),
					  .url = arena_printf("https://github.com/%s.keys", user),
					  .limit = KEYS_LIMIT });
	r = texts_fetch(&texts, &o->fetch, e);
	if (r < 0)
		err_wrap(e, "looking up the keys of %s at GitHub", user);
	else
		r = keys_read(user, &texts.list.v[0], &found, e);
	texts_done(&texts);
	if (r < 0)
		return r;
	*line = keys_line(found, LOCK_ADDED);
	if (known && streq(line->entry.sha256, keys_line(known, LOCK_KEPT).entry.sha256))
		line->change = LOCK_CONFIRMED;
	else if (known)
		line->change = LOCK_UPDATED;
	return 0;
}

int keys_update(const struct release_set *old, const struct lock_options *o, bool all, struct lock_report *ret,
		struct err *e)
{
	vec_foreach (user, &old->config->access.github) {
		const struct lock_keys *known = lock_find_keys(old->lock, *user);
		struct lock_line *line = vec_push(&ret->lines);
		int r = 0;

		if (known && !all)
			*line = keys_line(known, LOCK_KEPT);
		else
			r = keys_look_up(*user, known, o, line, e);
		if (r < 0)
			return r;
	}
	return 0;
}

void keys_check(const struct release_set *set, struct lock_report *ret)
{
	vec_foreach (user, &set->config->access.github) {
		const struct lock_keys *known = lock_find_keys(set->lock, *user);
		struct lock_line missing = { .change = LOCK_MISSING,
					     .what = LOCK_KEYS,
					     .entry = { .name = arena_printf("github:%s", *user), .version = "keys" },
					     .why = "the lock has no keys of this user" };

		*vec_push(&ret->lines) = known ? keys_line(known, LOCK_KEPT) : missing;
	}
}
