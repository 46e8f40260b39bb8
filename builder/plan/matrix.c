/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/matrix.h"

#include "base/json.h"
#include "base/terminal.h"
#include "yaml/yaml.h"

#define GITLAB_JOB "pibuild"

/* Nodes of one layer: a job each. */
struct batch {
	VEC(const struct node_plan *) nodes;
	size_t text;
};
struct batches {
	VEC(struct batch *) v;
};

/* OF gives a node's. */
static const char *words(const struct batch *b, const char *(*of)(const struct node_plan *))
{
	const char *text = "";

	vec_foreach (n, &b->nodes)
		text = arena_printf("%s%s%s", text, *text ? " " : "", of(*n));
	return text;
}

static const char *matrix_name_of(const struct node_plan *n)
{
	return n->name;
}

static const char *matrix_board_of(const struct node_plan *n)
{
	return n->generic ? "any" : n->board->name;
}

/* Without the folder: where a runner puts it is the runner's business. */
static const char *image_of(const struct node_plan *n)
{
	return arena_printf("%s.img", n->name);
}

static const char *args_of(const struct node_plan *n)
{
	return arena_printf(n->generic ? "--generic --role %s" : "--node %s", n->name);
}

static const char *job_name(const struct batch *b)
{
	const char *first = b->nodes.v[0]->name;

	return b->nodes.n == 1 ? first : arena_printf("%s+%zu", first, b->nodes.n - 1);
}

static int print_github(const struct plan *p, const struct batches *batches, struct err *e)
{
	json_t *include = json_array();
	char cache_key[SHA256_HEX];

	plan_cache_key(p, cache_key);
	vec_foreach (i, &batches->v) {
		const struct batch *b = *i;

		json_array_append_new(include,
				      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", job_name(b), "node",
						words(b, matrix_name_of), "role", role_names[b->nodes.v[0]->node->role],
						"board", words(b, matrix_board_of), "image", words(b, image_of), "args",
						words(b, args_of), "layer", b->nodes.v[0]->layer->key, "cacheKey",
						cache_key));
	}
	return json_print_line(json_pack("{s:o}", "include", include), e);
}

static int print_gitlab(const struct plan *p, const struct batches *batches, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct yaml_node *doc = yaml_map(), *job, *matrix;
	char cache_key[SHA256_HEX];

	plan_cache_key(p, cache_key);
	yaml_set_path(doc, "variables.PIBUILD_CACHE_KEY", yaml_str(cache_key));
	job = yaml_set(doc, GITLAB_JOB, yaml_map());
	yaml_set(job, "extends", yaml_str("." GITLAB_JOB));
	matrix = yaml_set_path(job, "parallel.matrix", yaml_seq());
	vec_foreach (b, &batches->v)
		yaml_set(yaml_append(matrix, yaml_map()), "PIBUILD_NODES", yaml_str(words(*b, matrix_name_of)));
	yaml_emit(doc, "pibuild plan --matrix gitlab: a child pipeline, beside a file that defines ." GITLAB_JOB,
		  &text);
	return stdout_print(text.s, text.n, e);
}

struct engine {
	const char *name;
	size_t max_jobs;
	size_t max_text; /* characters of the node names of a job, with a blank between */
	int (*print)(const struct plan *p, const struct batches *batches, struct err *e);
};

static const struct engine engines[] = {
	/* https://docs.github.com/en/actions/reference/limits, "Job Matrix" */
	{ "github", 256, SIZE_MAX, print_github },
	/* https://docs.gitlab.com/ci/yaml/#parallelmatrix; a job's name, at most 255, is "pibuild: [values]" */
	{ "gitlab", 200, 255 - sizeof(GITLAB_JOB ": []") + 1, print_gitlab },
};

static const struct engine *find_engine(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++)
		if (streq(engines[i].name, name))
			return &engines[i];
	return NULL;
}

static struct batches split(const struct plan *p, const struct engine *engine, size_t size)
{
	struct batches all = { 0 };

	vec_foreach (layer, &p->layers) {
		struct batch *b = NULL;

		vec_foreach (n, &p->nodes) {
			size_t text = strlen((*n)->name) + 1;

			if ((*n)->layer != *layer)
				continue;
			if (!b || b->nodes.n == size || b->text + text - 1 > engine->max_text) {
				b = arena_new(struct batch);
				*vec_push(&all.v) = b;
			}
			*vec_push(&b->nodes) = *n;
			b->text += text;
		}
	}
	return all;
}

/* The smallest batch with which the engine takes the jobs, or 0. */
static size_t smallest(const struct plan *p, const struct engine *engine)
{
	for (size_t size = (p->nodes.n + engine->max_jobs - 1) / engine->max_jobs; size <= p->nodes.n; size++)
		if (split(p, engine, size).v.n <= engine->max_jobs)
			return size;
	return 0;
}

static int make_batches(const struct plan *p, const struct engine *engine, size_t size, struct batches *ret,
			struct err *e)
{
	size_t least = smallest(p, engine);

	if (!least)
		return err_class(
			e, CLASS_USAGE,
			"%zu nodes do not fit into a matrix of %s, which takes %zu jobs; make several, with --role or --node",
			p->nodes.n, engine->name, engine->max_jobs);
	if (size && size < least)
		return err_class(e, CLASS_USAGE,
				 "--batch %zu makes %zu jobs, and a matrix of %s takes %zu; use --batch %zu or more",
				 size, split(p, engine, size).v.n, engine->name, engine->max_jobs, least);
	*ret = split(p, engine, size ? size : least);
	return 0;
}

int matrix_print(const struct plan *p, const char *engine_name, size_t size, struct err *e)
{
	const struct engine *engine = find_engine(engine_name);
	struct batches batches = { 0 };
	int r;

	if (!engine)
		return err_class(e, CLASS_USAGE, "--matrix wants github or gitlab, not '%s'", engine_name);
	r = make_batches(p, engine, size, &batches, e);
	return r < 0 ? r : engine->print(p, &batches, e);
}
