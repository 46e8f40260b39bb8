/* SPDX-License-Identifier: Apache-2.0 */
/* What moves the key of a layer: everything that an entry becomes on the card, and nothing of a node's own. */
#include "check.h"
#include "plan/plan.h"

static struct project project = { .epoch = 1700000000 };
static const struct node_config node = { .role = ROLE_WORKER };

static int write_arg(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e)
{
	strbuf_adds(out, arg);
	return 0;
}

/* One entry of each kind. */
static void fill(struct tree *t)
{
	tree_add_dir(t, "/etc/d", 0755, "o")->layer = LAYER_ROLE;
	tree_add_text(t, "/etc/f", 0644, "o", "text")->layer = LAYER_ROLE;
	tree_add_symlink(t, "/etc/l", "o", "f")->layer = LAYER_ROLE;
	tree_add_remove(t, "/etc/r", "o")->layer = LAYER_ROLE;
	tree_add_edit(t, "/etc/e", 0644, "o", write_arg, "line", "a line added")->layer = LAYER_ROLE;
	tree_add_text(t, "/etc/own", 0600, "o", "of the node")->layer = LAYER_NODE;
}

static const char *key_of(const struct tree *t, const char *base, uint64_t reserve)
{
	struct plan plan = { .project = &project, .base = { .name = "raspios", .version = "1", .sha256 = base } };
	struct node_plan n = { .node = &node, .tree = *t };
	char *key = arena_alloc(SHA256_HEX);

	plan_layer_key(&plan, &n, reserve, key);
	return key;
}

static void set_path(struct entry *x)
{
	x->path = "/etc/other";
}
static void set_mode(struct entry *x)
{
	x->mode ^= 0100;
}
static void set_owner(struct entry *x)
{
	x->uid = 1000;
}
static void set_group(struct entry *x)
{
	x->gid = 1000;
}
static void set_content(struct entry *x)
{
	x->sha256[0] = x->sha256[0] == 'a' ? 'b' : 'a';
}
static void set_target(struct entry *x)
{
	x->bytes = "g";
}
static void set_kind(struct entry *x)
{
	x->kind = ENTRY_REMOVE;
}
static void set_edit(struct entry *x)
{
	x->edit_arg = "another line";
}
static void set_edit_what(struct entry *x)
{
	x->edit_what = "another line added, by a function that gives the same for an empty file";
}

static const struct {
	const char *path, *what;
	void (*change)(struct entry *x);
} moves[] = {
	{ "/etc/d", "its path", set_path },	   { "/etc/d", "its mode", set_mode },
	{ "/etc/f", "its path", set_path },	   { "/etc/f", "its mode", set_mode },
	{ "/etc/f", "its owner", set_owner },	   { "/etc/f", "its group", set_group },
	{ "/etc/f", "its content", set_content },  { "/etc/f", "its kind", set_kind },
	{ "/etc/l", "its target", set_target },	   { "/etc/r", "its path", set_path },
	{ "/etc/e", "what is written", set_edit }, { "/etc/e", "what the edit is for", set_edit_what },
};

static void test_moves(void)
{
	struct tree plain = { 0 };

	fill(&plain);
	CASE("the same entries give the same key")
	{
		struct tree again = { 0 };

		fill(&again);
		CHECK_STR(key_of(&again, "x", 0), key_of(&plain, "x", 0));
	}
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		CASE(arena_printf("the key moves when %s changes %s", moves[i].path, moves[i].what))
		{
			struct tree t = { 0 };

			fill(&t);
			moves[i].change(tree_find(&t, moves[i].path));
			CHECK(!streq(key_of(&t, "x", 0), key_of(&plain, "x", 0)));
		}
	}
	CASE("the key moves with the base, the room that is kept and the build's time")
	{
		const char *key = key_of(&plain, "x", 0);

		CHECK(!streq(key_of(&plain, "y", 0), key));
		CHECK(!streq(key_of(&plain, "x", 1), key));
		project.epoch++;
		CHECK(!streq(key_of(&plain, "x", 0), key));
		project.epoch--;
	}
	CASE("what is stamped does not move it")
	{
		struct tree t = { 0 };

		fill(&t);
		set_content(tree_find(&t, "/etc/own"));
		set_mode(tree_find(&t, "/etc/own"));
		CHECK_STR(key_of(&t, "x", 0), key_of(&plain, "x", 0));
	}
}

int main(void)
{
	test_moves();
	arena_done();
	return check_done();
}
