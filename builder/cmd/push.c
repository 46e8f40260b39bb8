/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push: generic images into a registry. Everything is looked at before the first byte is sent; blobs go first, then the
 * manifest that names them, then what refers to it: who pulls meanwhile sees all of an artefact, or none.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "build/build.h"
#include "cmd/cmd.h"
#include "cmd/registry.h"
#include "companion/companion.h"
#include "oci/artefact.h"

static struct {
	const char *ca;
} push_opt;

static const struct option push_options[] = {
	CMD_OPTION_CA(&push_opt.ca),
};

static const char usage[] = "push REF [IMAGE]... [-o DIR] [--ca FILE] [--json]";
static const uint64_t largest_blob = 4 * GIB;

struct push {
	struct artefact_files images, signatures; /* the first with what stands beside them */
	struct image_ref ref;
	struct registry registry;
	struct registry_text manifest;
	size_t files, sent;
	uint64_t sent_bytes;
};

/* ---- what goes along ---- */

/* Only what lies on the image itself is believed. */
static int check_generic(const char *image, struct err *e)
{
	_cleanup_(generic_close) struct generic g = { 0 };
	int r = generic_read(image, &g, e);

	if (r < 0)
		return r;
	if (*g.node)
		return err_class(
			e, CLASS_REFUSED,
			"%s is the image of the node %s and holds its keys, tokens and passwords, which must not get into a registry; only generic images hold none: `pibuild build --generic --compress xz`",
			image, g.node);
	if (!streq(path_base(image_stem(image)), g.role))
		return err_class(
			e, CLASS_USAGE,
			"%s is the generic image of the role %s, and has to be called %s.img again, raw or compressed",
			image, g.role, g.role);
	return 0;
}

static int push_hash(const char *path, struct oci_blob *ret, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *sha256 = arena_alloc(SHA256_HEX);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return file_cannot_open(path, e);
	if ((uint64_t)st.st_size > largest_blob)
		return err_class(e, CLASS_USAGE, "%s has more than 4 GiB: build it with --compress xz", path);
	r = sha256_fd(fd, path, sha256, e);
	*ret = (struct oci_blob){ sha256, artefact_media_type(path_base(path)), (uint64_t)st.st_size };
	return r;
}

static int add_path(struct push *p, const char *path, struct err *e)
{
	bool signature = artefact_is_signature(path_base(path));
	struct artefact_file f = { .name = path };
	int r = push_hash(path, &f.blob, e);

	if (r == 0)
		*vec_push(signature ? &p->signatures.v : &p->images.v) = f;
	return r;
}

static int add_image(struct push *p, const char *image, struct err *e)
{
	int r = check_generic(image, e);

	if (r == 0)
		r = companions_prove(image, NULL, "pushed", e);
	if (r == 0)
		r = add_path(p, image, e);
	for (size_t i = 0; r == 0 && i < COMPANION_COUNT; i++) {
		const char *path = companion_path(image, (enum companion)i);

		if (!file_is_missing(path))
			r = add_path(p, path, e);
	}
	return r;
}

static int push_find_images(struct push *p, const struct cmd_options *o, struct err *e)
{
	int r = 0;

	for (size_t i = 1; r == 0 && i < o->args.n; i++)
		r = add_image(p, o->args.v[i], e);
	for (size_t i = 0; r == 0 && o->args.n == 1 && i < ROLE_COUNT; i++) {
		const char *image = image_find(path_join(o->out, role_names[i]));

		if (image)
			r = add_image(p, image, e);
	}
	if (r == 0 && !p->images.v.n)
		return err_class(
			e, CLASS_USAGE,
			"there is no generic image in %s: make them with `pibuild build --generic --compress xz`",
			o->out);
	return r;
}

/* ---- sending it ---- */

static int put_blob(struct push *p, struct registry_blob *b, const char *sha256, struct err *e)
{
	bool sent;
	int r;

	memcpy(b->sha256, sha256, SHA256_HEX);
	r = registry_put_blob(&p->registry, b, &sent, e);
	if (r < 0)
		return r;
	p->files++;
	p->sent += sent;
	p->sent_bytes += sent ? b->size : 0;
	return 0;
}

static int push_files(struct push *p, struct artefact_files *files, struct err *e)
{
	int r = 0;

	vec_foreach (f, &files->v) {
		_cleanup_close_ int fd = open(f->name, O_RDONLY | O_CLOEXEC);
		struct registry_blob b = { .label = path_base(f->name), .fd = fd, .size = f->blob.size };

		if (fd < 0)
			return file_cannot_open(f->name, e);
		r = put_blob(p, &b, f->blob.sha256, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static void describe_text(struct registry_text *t, const char *type)
{
	t->media_type = type;
	sha256_bytes(t->text.s, t->text.n, t->sha256);
}

/* The files under their own names, which is how they are called there. */
static int write_artefact(const char *type, const struct artefact_files *files, const struct oci_blob *subject,
			  struct registry_text *ret, struct err *e)
{
	struct artefact_files named = { 0 };
	int r;

	vec_foreach (f, &files->v)
		*vec_push(&named.v) = (struct artefact_file){ path_base(f->name), f->blob };
	r = artefact_write(type, &named, subject, &ret->text, e);
	if (r == 0)
		describe_text(ret, oci_manifest_types[0]);
	return r;
}

static struct oci_blob described(const struct registry_text *t)
{
	return (struct oci_blob){ t->sha256, t->media_type, t->text.n };
}

/* A registry that knows nothing of subjects finds what refers to them by a tag. */
static int list_referrer(struct push *p, const struct registry_text *signature, struct err *e)
{
	const char *tag = cmd_registry_referrers_tag(p->manifest.sha256);
	const struct oci_blob b = described(signature);
	_cleanup_strbuf_ struct strbuf old = { 0 };
	_cleanup_(registry_text_done) struct registry_text index = { 0 };
	int r = registry_get(&p->registry, "manifests", tag, &old, e);

	if (r < 0 && r != -ENOENT)
		return r;
	r = artefact_add_referrer(arena_printf("%s:%s", p->ref.name, tag), old.s, r < 0 ? 0 : old.n, &b, &index.text,
				  e);
	if (r < 0 || !index.text.n)
		return r;
	describe_text(&index, oci_index_types[0]);
	return registry_put_manifest(&p->registry, tag, &index, NULL, e);
}

static int push_signatures(struct push *p, struct err *e)
{
	_cleanup_(registry_text_done) struct registry_text t = { 0 };
	const struct oci_blob subject = described(&p->manifest);
	bool listed = false;
	int r = p->signatures.v.n ? push_files(p, &p->signatures, e) : 0;

	if (r < 0 || !p->signatures.v.n)
		return r;
	r = write_artefact(ARTEFACT_SIGNATURE, &p->signatures, &subject, &t, e);
	if (r == 0)
		r = registry_put_manifest(&p->registry, NULL, &t, &listed, e);
	return r < 0 || listed ? r : list_referrer(p, &t, e);
}

/* The signatures before the tag: who pulls by it finds them. */
static int push_all(struct push *p, struct err *e)
{
	struct registry_blob config = {
		.label = "config", .bytes = ARTEFACT_CONFIG, .fd = -1, .size = strlen(ARTEFACT_CONFIG)
	};
	char sha256[SHA256_HEX];
	int r;

	sha256_bytes(config.bytes, config.size, sha256);
	progress_expect("upload", (unsigned)(p->images.v.n + p->signatures.v.n + 1));
	r = put_blob(p, &config, sha256, e);
	if (r == 0)
		r = push_files(p, &p->images, e);
	if (r == 0)
		r = write_artefact(ARTEFACT_IMAGES, &p->images, NULL, &p->manifest, e);
	if (r == 0 && p->signatures.v.n)
		r = registry_put_manifest(&p->registry, NULL, &p->manifest, NULL, e);
	if (r == 0)
		r = push_signatures(p, e);
	progress_skip("upload", (unsigned)(p->images.v.n + p->signatures.v.n + 1)); /* those that were there */
	return r < 0 ? r : registry_put_manifest(&p->registry, p->ref.tag, &p->manifest, NULL, e);
}

static int push_tell(const struct cmd_options *o, const struct push *p, struct err *e)
{
	const char *by_digest = arena_printf("%s@sha256:%s", p->ref.name, p->manifest.sha256);
	char size[SIZE_TEXT_MAX];

	if (o->json)
		return json_print(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "name", p->ref.name, "tag",
					    p->ref.tag, "digest", arena_printf("sha256:%s", p->manifest.sha256),
					    "files", (json_int_t)p->files, "sent", (json_int_t)p->sent, "bytes",
					    (json_int_t)p->sent_bytes, "signed", p->signatures.v.n > 0),
				  e);
	printf("%s\n", by_digest);
	log_info("%s:%s is there: %zu of %zu files were sent, %s; the others it had%s", p->ref.name, p->ref.tag,
		 p->sent, p->files, size_text(p->sent_bytes, size), p->signatures.v.n ? "" : "; there is no signature");
	cmd_next(o, "`pibuild pull %s` fetches it, and no other", by_digest);
	return 0;
}

static int push(const struct cmd_options *o, struct push *p, const struct config *config, struct err *e)
{
	int r = push_find_images(p, o, e);

	if (r == 0)
		r = registry_open(&p->registry, config, p->ref.name, "pull,push", e);
	if (r == 0)
		r = push_all(p, e);
	registry_close(&p->registry);
	if (r < 0)
		return err_interrupted(e) ? r : err_wrap(e, "%s:%s is not pushed", p->ref.name, p->ref.tag);
	return push_tell(o, p, e);
}

static int cmd_push(const struct cmd_options *o, struct err *e)
{
	const struct config *config;
	struct push p = { 0 };
	int r = cmd_args(o, 1, 1 + ROLE_COUNT, usage, e);

	if (r == 0)
		r = cmd_registry_ref(o->args.v[0], &p.ref, e);
	if (r == 0 && p.ref.sha256)
		r = err_class(
			e, CLASS_USAGE,
			"%s: what is pushed gets a tag, and the digest that it has; give NAME:TAG without @sha256",
			o->args.v[0]);
	if (r == 0)
		r = cmd_registry_config(push_opt.ca, &config, e);
	if (r == 0)
		r = push(o, &p, config, e);
	registry_text_done(&p.manifest);
	return r;
}

const struct command push_command = {
	.name = "push",
	.args = "REF [IMAGE]...",
	.help = "generic images and what proves them into a container registry",
	.run = cmd_push,
	.options = push_options,
	.n_options = ARRAY_SIZE(push_options),
	.common = "out json progress",
	.words = { "", "@image" },
	.examples = { "pibuild push ghcr.io/me/lab:v1",
		      "pibuild push zot.lan:5000/lab:v1 out/worker.img.xz --ca lan.pem" },
};
