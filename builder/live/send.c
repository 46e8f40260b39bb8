/* SPDX-License-Identifier: Apache-2.0 */
/* A difference brought to its node: the plan and the files, staged there, then switched to and followed. */
#include <errno.h>
#include <strings.h>

#include "archive/archive.h"
#include "base/log.h"
#include "live/internal.h"

enum { SWITCH_SECONDS = 900, ACT_SECONDS = 900, SECONDS_FOR_ALL = 120, BYTES_A_SECOND = 256 * 1024 };
#define READ_LIMIT (4 * GIB)

int live_ask(const struct remote *r, struct remote_call call, struct err *e)
{
	int code;

	call.root = true;
	code = remote_run(r, &call, e);
	if (code < 0 && strstr(e->msg, "command not found"))
		return err_class(
			e, CLASS_REFUSED,
			"%s has no %s: its card was made by an earlier pibuild, flash it once more, `sudo pibuild flash --node %s DISK`",
			r->node, REMOTE_PROGRAM, r->node);
	return code;
}

int wanted_read(struct wanted *w, const char *path, struct strbuf *out, struct err *e)
{
	int r = image_read(&w->built.image, path, READ_LIMIT, out, e);

	strbuf_add(out, "", 0);
	return r;
}

int wanted_digest(struct wanted *w, const char *path, char sha256[SHA256_HEX], struct err *e)
{
	return image_digest(&w->built.image, path, sha256, e);
}

static void clear_text(struct strbuf *b)
{
	if (b->s)
		explicit_bzero(b->s, b->cap);
	strbuf_done(b);
}

/* ---- the plan: see the head of overlays/common/usr/lib/pibuild/apply ---- */

struct parcel {
	struct strbuf plan;
	VEC(struct tar_file) files; /* of the heap, secrets among them */
	uint64_t size;
};

static void parcel_done(struct parcel *p)
{
	strbuf_done(&p->plan);
	vec_foreach (f, &p->files) {
		explicit_bzero(unconst(f->bytes), f->n);
		free(unconst(f->bytes));
	}
}

/* Takes over the bytes of CONTENT; files of one content go once. */
static const char *parcel_add(struct parcel *p, struct strbuf *content)
{
	char *name = arena_alloc(SHA256_HEX);

	strbuf_add(content, "", 0);
	sha256_bytes(content->s, content->n, name);
	vec_foreach (f, &p->files)
		if (streq(f->name, name)) {
			clear_text(content);
			return name;
		}
	*vec_push(&p->files) = (struct tar_file){ name, content->s, content->n };
	p->size += content->n;
	*content = (struct strbuf){ 0 };
	return name;
}

static void plan_line(struct parcel *p, const char *kind, const struct record *x, const char *digest, const char *path)
{
	if (x)
		strbuf_addf(&p->plan, "%s\t%04o\t%u\t%u\t%s\t%s\n", kind, x->mode, x->uid, x->gid, digest, path);
	else
		strbuf_addf(&p->plan, "%s\t-\t-\t-\t%s\t%s\n", kind, digest, path);
}

static int put_large(const struct remote *r, const char *path, const char *digest, const struct strbuf *content,
		     struct err *e)
{
	char size[SIZE_TEXT_MAX];

	log_info("%s gets %s, %s", r->node, path, size_text(content->n, size));
	return live_ask(r,
			(struct remote_call){
				.argv = (const char *const[]){ REMOTE_PROGRAM, "put", digest, NULL },
				.input = content->s,
				.input_n = content->n,
				.timeout = SECONDS_FOR_ALL + (unsigned)(content->n / BYTES_A_SECOND),
			},
			e);
}

/* Artifacts alone are so large: no digest of a secret is in the words of a command. */
static int add_large(const struct remote *r, struct parcel *p, struct wanted *w, const struct delta_item *i,
		     struct err *e)
{
	_cleanup_(clear_text) struct strbuf content = { 0 };
	char digest[SHA256_HEX];
	int code = wanted_read(w, i->path, &content, e);

	if (code < 0)
		return code;
	sha256_bytes(content.s, content.n, digest);
	plan_line(p, "big", i->wanted, digest, i->path);
	return put_large(r, i->path, digest, &content, e);
}

static int add_content(struct parcel *p, struct wanted *w, const struct delta_item *i, struct err *e)
{
	static const char *const kinds[HOW_COUNT] = {
		[HOW_FILE] = "file", [HOW_LINK] = "link", [HOW_WORDS] = "words", [HOW_BLOCK] = "block"
	};
	_cleanup_(clear_text) struct strbuf content = { 0 };
	int r = 0;

	if (i->how == HOW_LINK)
		strbuf_adds(&content, i->wanted->note);
	else if (i->how != HOW_FILE)
		strbuf_adds(&content, i->text);
	else
		r = wanted_read(w, i->path, &content, e);
	if (r < 0)
		return r;
	plan_line(p, kinds[i->how], i->how == HOW_FILE ? i->wanted : NULL, parcel_add(p, &content), i->path);
	return 0;
}

static int parcel_add_item(const struct remote *r, struct parcel *p, struct wanted *w, const struct delta_item *i,
			   struct err *e)
{
	switch (i->how) {
	case HOW_DIR:
		plan_line(p, "dir", i->wanted, "-", i->path);
		return 0;
	case HOW_GONE:
		return 0;
	case HOW_LARGE:
		return add_large(r, p, w, i, e);
	default:
		return add_content(p, w, i, e);
	}
}

/* What goes first, the deepest before what it is in; the manifest, which speaks of all of it, last. */
static int make_parcel(const struct remote *r, struct parcel *p, struct wanted *w, const struct delta *d, struct err *e)
{
	static const struct record manifest = { .path = MANIFEST_PATH, .mode = 0644 };
	struct strbuf text = { 0 };

	for (size_t i = d->items.n; i; i--)
		if (d->items.v[i - 1].how == HOW_GONE)
			plan_line(p, "gone", NULL, "-", d->items.v[i - 1].path);
	vec_foreach (i, &d->items) {
		int code = parcel_add_item(r, p, w, i, e);

		if (code < 0)
			return code;
	}
	strbuf_adds(&text, d->manifest);
	plan_line(p, "file", &manifest, parcel_add(p, &text), MANIFEST_PATH);
	vec_foreach (x, &d->effects)
		plan_line(p, "effect", NULL, "-", effect_word(*x));
	text = p->plan;
	p->plan = (struct strbuf){ 0 };
	*vec_push(&p->files) = (struct tar_file){ "plan", text.s, text.n };
	return 0;
}

int live_send(const struct remote *r, struct wanted *w, const struct delta *d, struct err *e)
{
	_cleanup_(parcel_done) struct parcel p = { 0 };
	_cleanup_(clear_text) struct strbuf tar = { 0 };
	int code = make_parcel(r, &p, w, d, e);

	if (code == 0)
		code = tar_pack(p.files.v, p.files.n, &tar, e);
	if (code < 0)
		return code;
	return live_ask(r,
			(struct remote_call){
				.argv = (const char *const[]){ REMOTE_PROGRAM, "stage", NULL },
				.input = tar.s,
				.input_n = tar.n,
				.timeout = SECONDS_FOR_ALL + (unsigned)(tar.n / BYTES_A_SECOND),
			},
			e);
}

int live_switch(const struct remote *r, struct err *e)
{
	return live_ask(r,
			(struct remote_call){ .argv = (const char *const[]){ REMOTE_PROGRAM, "switch", NULL },
					      .timeout = SWITCH_SECONDS },
			e);
}

int live_unstage(const struct remote *r, struct err *e)
{
	return live_ask(r, (struct remote_call){ .argv = (const char *const[]){ REMOTE_PROGRAM, "unstage", NULL } }, e);
}

int live_act(const struct remote *r, const struct delta *d, struct err *e)
{
	VEC(const char *) argv = { 0 };
	int code;

	*vec_push(&argv) = REMOTE_PROGRAM;
	*vec_push(&argv) = "act";
	vec_foreach (x, &d->effects)
		*vec_push(&argv) = effect_word(*x);
	*vec_push(&argv) = NULL;
	code = live_ask(r, (struct remote_call){ .argv = argv.v, .timeout = ACT_SECONDS }, e);
	if (code == -EHOSTUNREACH && delta_reboots(d)) {
		*e = (struct err){ 0 };
		return 0;
	}
	return code;
}

int live_drained(const struct remote *r, bool drained, struct err *e)
{
	return live_ask(r,
			(struct remote_call){ .argv = (const char *const[]){ REMOTE_PROGRAM, "drained",
									     drained ? "yes" : "no", NULL } },
			e);
}
