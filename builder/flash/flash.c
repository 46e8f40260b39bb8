/* SPDX-License-Identifier: Apache-2.0 */
#include "flash/flash.h"

#include "base/log.h"
#include "flash/internal.h"

enum { ROUNDS = 3 }; /* of writing what did not come back right */

static struct piece *head_of(struct work *w)
{
	return &w->pieces.v[0];
}

static size_t count_wanted(const struct work *w, const struct piece **first)
{
	size_t n = 0;

	for (size_t i = 0; i < w->pieces.n; i++)
		if (w->pieces.v[i].wanted && n++ == 0)
			*first = &w->pieces.v[i];
	return n;
}

static int judge_disk(const struct work *w, size_t bad, const struct piece *first, struct err *e)
{
	return err_class(
		e, CLASS_VERIFY,
		"%s does not give back what was written, at byte %llu and %zu more places, also after %d tries: the card or its reader is broken",
		w->target->device->path, (unsigned long long)first->offset, bad - 1, ROUNDS);
}

/* Everything but the first MiB, until it reads back as it should. */
static int write_and_verify(struct work *w, struct err *e)
{
	const struct piece *first = NULL;
	size_t bad = 0;
	int r = 0;

	for (unsigned round = 0; round < ROUNDS && r == 0; round++) {
		r = write_pass(w, e);
		if (r == 0 && round == 0) /* with UPDATE too: all of it */
			pieces_want_all(&w->pieces);
		head_of(w)->wanted = false;
		if (r < 0)
			return r;
		r = verify_pass(w, "verify", e);
		if (r < 0)
			return r;
		bad = count_wanted(w, &first);
		if (!bad)
			return 0;
		w->flash->result.rewritten += (unsigned)bad;
		log_warning("%s: %zu MiB did not come back as written, the first at byte %llu", w->target->device->path,
			    bad, (unsigned long long)first->offset);
	}
	return judge_disk(w, bad, first, e);
}

/* From here on the disk is not bootable until the end. */
static int overwrite(struct work *w, struct err *e)
{
	uint64_t size = w->flash->source->size;
	unsigned *rewritten = &w->flash->result.rewritten;
	int r;

	if (w->flash->begun)
		w->flash->begun(w->flash, w->flash->begun_arg);
	r = target_disarm(w->target, head_of(w)->n, rewritten, e);
	for (size_t i = 0; i < w->pieces.n; i++) /* the probe writes there */
		w->pieces.v[i].wanted |= w->pieces.v[i].tail || i == 0;
	if (r == 0 && w->flash->flags & FLASH_DISCARD)
		r = target_discard(w->target, e);
	if (r < 0)
		return r;
	r = target_probe(w->target, (size + COW_BLOCK - 1) / COW_BLOCK * COW_BLOCK, e);
	if (r == 0)
		r = write_and_verify(w, e);
	if (r == 0)
		r = source_check(w->flash->source, e);
	if (r == 0)
		r = target_arm(w->target, head_of(w)->n, rewritten, e);
	if (r < 0)
		return err_wrap(e, "%s is not finished, flash it again", w->target->device->path);
	w->flash->result.written += head_of(w)->n;
	w->flash->result.verified += head_of(w)->n;
	return 0;
}

/* With UPDATE: what the disk holds already is not wanted. */
static int compare_disk(struct work *w, struct err *e)
{
	const struct piece *first;
	int r = w->flash->source->image ? 0 : hash_pass(w, e);

	if (r < 0)
		return r;
	r = verify_pass(w, "compare", e);
	if (r < 0)
		return r;
	w->flash->result.unchanged = count_wanted(w, &first) == 0;
	w->flash->result.verify_seconds = 0;
	if (!w->flash->result.unchanged) {
		w->flash->result.verified = 0;
		return 0;
	}
	progress_skip("write", 1);
	progress_skip("verify", 1);
	return 0;
}

/* One digest for all that must be on the disk; the same for every disk it is flashed to. */
static void sum_digests(struct work *w)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };

	for (size_t i = 0; i < w->pieces.n; i++) {
		const struct piece *p = &w->pieces.v[i];

		if (!p->tail)
			strbuf_addf(&text, "%llu %u %s\n", (unsigned long long)p->offset, p->n, p->sha256);
	}
	sha256_bytes(text.s, text.n, w->flash->result.sha256);
}

static int flash_work_run(struct work *w, struct err *e)
{
	struct flash *f = w->flash;
	struct ranges ranges;
	int r = source_ranges(f->source, &ranges, e);

	if (r < 0)
		return r;
	pieces_cut(&ranges, f->source->size, f->device->size, &w->pieces);
	pieces_want_all(&w->pieces);
	if (f->flags & FLASH_UPDATE)
		r = compare_disk(w, e);
	if (r == 0 && !f->result.unchanged)
		r = overwrite(w, e);
	if (r < 0)
		return r;
	sum_digests(w);
	return 0;
}

int flash_run(struct flash *f, struct err *e)
{
	_cleanup_(target_close) struct flash_target t = { .fd = -1, .name = f->name };
	struct work w = { .flash = f, .target = &t, .lock = PTHREAD_MUTEX_INITIALIZER };
	int r = guard_check(f->device, f->source->size, e);

	if (r < 0)
		return r;
	r = target_open(&t, f->device, e);
	return r < 0 ? r : flash_work_run(&w, e);
}
