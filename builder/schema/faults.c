/* SPDX-License-Identifier: Apache-2.0 */
/* Faults are collected while everything is looked at, then printed in the order of the file. */

#include "base/log.h"
#include "base/terminal.h"
#include "schema/faults.h"
#include "schema/source.h"

void fault_add(struct faults *f, const struct yaml_node *where, bool note, const char *fmt, va_list ap)
{
	/* Messages quote what a file says. */
	*vec_push(&f->list) = (struct fault){
		.file = where ? where->file : NULL,
		.line = where ? where->line : 0,
		.col = where ? where->col : 0,
		.note = note,
		.msg = clean_text(arena_vprintf(fmt, ap)),
	};
	f->errors += !note;
}

void fault_at(struct faults *f, const struct yaml_node *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_add(f, where, false, fmt, ap);
	va_end(ap);
}

void note_at(struct faults *f, const struct yaml_node *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_add(f, where, true, fmt, ap);
	va_end(ap);
}

bool faults_key_meant(const struct faults *f, const char *key)
{
	vec_foreach (k, &f->meant_keys)
		if (streq(*k, key))
			return true;
	return false;
}

static int faults_compare(const void *a, const void *b)
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
	qsort(sorted, f->list.n, sizeof(*sorted), faults_compare);
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

/* "file:line:col: error: ", and how many columns that takes. */
static unsigned faults_add_head(struct strbuf *out, const struct fault *x)
{
	const char *where = x->file ? arena_printf("%s:", x->file) : "", *severity = x->note ? "note:" : "error:";

	if (x->line)
		where = arena_printf("%s%u:%u:", where, x->line, x->col);
	strbuf_addf(out, "%s%s", where, *where ? " " : "");
	terminal_ink(out, x->note ? INK_NOTE : INK_ERROR, severity);
	strbuf_adds(out, " ");
	return (unsigned)(strlen(where) + (*where != 0) + strlen(severity) + 1);
}

static bool faults_same_place(const struct fault *a, const struct fault *b)
{
	return b && a->file && b->file && streq(a->file, b->file) && a->line == b->line && a->col == b->col;
}

void faults_print(const struct faults *f)
{
	unsigned columns = terminal_columns();

	for (const struct fault **p = faults_sorted(f); *p; p++) {
		_cleanup_strbuf_ struct strbuf msg = { 0 }, out = { 0 };
		unsigned first = faults_add_head(&out, *p);

		log_cures(&msg, (*p)->msg);
		text_wrap(&out, msg.s, columns, first, 4);
		strbuf_adds(&out, "\n");
		if (!faults_same_place(*p, p[1]))
			source_show(&out, (*p)->file, (*p)->line, (*p)->col, columns);
		fputs(out.s, stderr);
	}
}

void faults_add_failure(struct faults *f, const struct err *e)
{
	const struct yaml_node where = { .file = e->at.file, .line = e->at.line, .col = e->at.col };

	fault_at(f, &where, "%.*s%s", (int)e->at.begin, e->msg, e->msg + e->at.end);
}

bool faults_machine(struct faults *f, const struct err *e)
{
	if (!err_is_machines(e) && !err_interrupted(e) && e->code != -EIO && e->class != CLASS_HOST)
		return false;
	f->machine = *e;
	f->errors++;
	return true;
}

const char *faults_reason(struct faults *f, const struct err *e)
{
	faults_machine(f, e);
	return arena_strdup(e->msg);
}

int faults_failure(const struct faults *f, struct err *e)
{
	if (f->machine.code) {
		*e = f->machine;
		return e->code;
	}
	for (const struct fault **p = faults_sorted(f); *p; p++)
		if (!(*p)->note)
			return err_at(e, (*p)->file, (*p)->line, (*p)->col, "%s", (*p)->msg);
	return 0;
}

void faults_print_source(const struct err *e)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };

	source_show(&out, e->at.file, e->at.line, e->at.col, terminal_columns());
	fputs(str_or(out.s, ""), stderr);
}

const struct fault *faults_first_in(const struct faults *f, const char *file)
{
	const struct fault **sorted = faults_sorted(f);

	for (; *sorted; sorted++)
		if (!(*sorted)->note && streq(str_or((*sorted)->file, ""), file))
			return *sorted;
	return NULL;
}

int faults_verdict(const struct faults *f, const char *path, struct err *e)
{
	if (f->machine.code) {
		*e = f->machine;
		return e->code;
	}
	if (!f->errors)
		return 0;
	return err_class(e, CLASS_CONFIG, "%s: %zu %s, nothing was done", path, f->errors,
			 f->errors == 1 ? "fault" : "faults");
}
