/* SPDX-License-Identifier: Apache-2.0 */
/* Faults are collected while everything is looked at, then printed in the order of the file. */
#include <stdarg.h>

#include "base/log.h"
#include "config/config.h"

_printf_(5, 0) static void add(struct faults *f, const char *file, const struct yaml_node *where, bool note,
			       const char *fmt, va_list ap)
{
	_cleanup_free_ char *msg = NULL;

	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	/* Messages quote what a file says. */
	*vec_push(&f->list) = (struct fault){
		.file = where && where->file ? where->file : file,
		.line = where ? where->line : 0,
		.col = where ? where->col : 0,
		.note = note,
		.msg = clean_text(arena_strdup(str_or(msg, ""))),
	};
	if (!note)
		f->errors++;
}

void fault_at(struct faults *f, const struct yaml_node *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, NULL, where, false, fmt, ap);
	va_end(ap);
}

void note_at(struct faults *f, const struct yaml_node *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, NULL, where, true, fmt, ap);
	va_end(ap);
}

/* One step of "nodes[1].address" from N; *KEY moves behind it. NULL when it is not there. */
static const struct yaml_node *step(const struct yaml_node *n, const char **key)
{
	size_t len, index;

	if (**key == '[') {
		index = strtoul(*key + 1, NULL, 10);
		*key += strcspn(*key, "]");
		*key += **key == ']';
		return n->type == YAML_SEQ && index < n->count ? n->items[index] : NULL;
	}
	*key += **key == '.';
	len = strcspn(*key, ".[");
	n = yaml_get(n, arena_strndup(*key, len));
	*key += len;
	return n;
}

const struct yaml_node *config_node(const struct config *c, const char *key)
{
	const struct yaml_node *n = c->doc, *next;

	while (n && *key && (next = step(n, &key)))
		n = next;
	return n;
}

void fault_key(struct faults *f, const struct config *c, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, c->path, config_node(c, key), false, fmt, ap);
	va_end(ap);
}

void note_key(struct faults *f, const struct config *c, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, c->path, config_node(c, key), true, fmt, ap);
	va_end(ap);
}

static int compare(const void *a, const void *b)
{
	const struct fault *x = *(const struct fault *const *)a, *y = *(const struct fault *const *)b;
	int r = strcmp(str_or(x->file, ""), str_or(y->file, ""));

	if (r)
		return r;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->col != y->col)
		return x->col < y->col ? -1 : 1;
	return x < y ? -1 : x > y; /* as found */
}

const struct fault **faults_sorted(const struct faults *f)
{
	const struct fault **sorted = arena_alloc((f->list.n + 1) * sizeof(*sorted));

	for (size_t i = 0; i < f->list.n; i++)
		sorted[i] = &f->list.v[i];
	qsort(sorted, f->list.n, sizeof(*sorted), compare);
	return sorted;
}

bool faults_at(const struct faults *f, const struct yaml_node *where, bool notes_too)
{
	vec_foreach (i, &f->list)
		if (i->line == where->line && i->col == where->col && i->file && where->file &&
		    streq(i->file, where->file) && (notes_too || !i->note))
			return true;
	return false;
}

void faults_print(const struct faults *f)
{
	for (const struct fault **p = faults_sorted(f); *p; p++) {
		const struct fault *x = *p;
		_cleanup_strbuf_ struct strbuf msg = { 0 };

		log_cures(&msg, x->msg);
		if (x->file)
			fprintf(stderr, "%s:", x->file);
		if (x->line)
			fprintf(stderr, "%u:%u:", x->line, x->col);
		fprintf(stderr, "%s%s: %s\n", x->file ? " " : "", x->note ? "note" : "error", msg.s);
	}
}

int faults_verdict(const struct faults *f, const char *path, struct err *e)
{
	if (!f->errors)
		return 0;
	return err_class(e, CLASS_CONFIG, "%s: %zu %s, nothing was done", path, f->errors,
			 f->errors == 1 ? "fault" : "faults");
}
