/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull: generic images out of a registry. Documents are read by digest, files go through the cache, which takes nothing
 * of another digest; then all of it stands in a folder beside the results, is held against each other as `verify` does,
 * and only then gets its names.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/sig.h"
#include "cmd/cmd.h"
#include "cmd/registry.h"
#include "companion/companion.h"
#include "oci/artefact.h"

static struct {
	const char *ca, *key;
} pull_opt;

static const struct option pull_options[] = {
	CMD_OWN_WORDS("key", OPT_TEXT, &pull_opt.key, "FILE", "public key that must have signed all of it", "@file"),
	CMD_OPTION_CA(&pull_opt.ca),
};

static const char usage[] = "pull REF [-o DIR] [--key FILE] [--ca FILE] [--json]";
/* Of the folder where all of it stands until it is proved. */
static const char unproved[] = ".pibuild-pull";

struct pull {
	const struct cmd_options *o;
	struct image_ref ref;
	const char *label; /* the reference as it was given */
	const struct config *config;
	struct registry registry;
	struct cache cache;
	char sha256[SHA256_HEX]; /* of the manifest */
	struct artefact_files images, signatures[ARTEFACT_MAX_SIGNATURES];
	size_t n_signatures, signature; /* the one that is taken; n = none */
	const char *dir;		/* see UNPROVED */
	int lock;			/* on it */
};

/* ---- documents ---- */

static const char *pull_reference(const char *sha256)
{
	return arena_printf("sha256:%s", sha256);
}

static int get_manifest(struct pull *p, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = registry_get(&p->registry, "manifests", p->ref.sha256 ? pull_reference(p->ref.sha256) : p->ref.tag,
			     &text, e);

	if (r < 0)
		return r;
	sha256_bytes(str_or(text.s, ""), text.n, p->sha256);
	return artefact_parse(p->label, ARTEFACT_IMAGES, str_or(text.s, ""), text.n, NULL, &p->images, e);
}

/* Who keeps no list of what refers to what answers 404, or with whatever he has for paths that he does not know. */
static int get_referrers(struct pull *p, struct artefact_referrers *ret, struct err *e)
{
	const char *name = arena_printf("what refers to %s", p->label);
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = registry_get(&p->registry, "referrers", pull_reference(p->sha256), &text, e);

	if (r == 0 && artefact_parse_referrers(name, str_or(text.s, ""), text.n, ret, e) == 0)
		return 0;
	if (r < 0 && r != -ENOENT && r != -EPROTO)
		return r;
	*ret = (struct artefact_referrers){ 0 };
	text.n = 0;
	r = registry_get(&p->registry, "manifests", cmd_registry_referrers_tag(p->sha256), &text, e);
	if (r == -ENOENT) {
		*e = (struct err){ 0 };
		return 0;
	}
	return r < 0 ? r : artefact_parse_referrers(name, str_or(text.s, ""), text.n, ret, e);
}

static int get_signature(struct pull *p, const struct artefact_referrer *x, struct err *e)
{
	const struct oci_blob subject = { .sha256 = p->sha256 };
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct artefact_files files = { 0 };
	int r = registry_get(&p->registry, "manifests", pull_reference(x->blob.sha256), &text, e);

	if (r < 0)
		return r;
	r = artefact_parse(arena_printf("the signature of %s", p->label), ARTEFACT_SIGNATURE, str_or(text.s, ""),
			   text.n, &subject, &files, e);
	if (r == 0)
		p->signatures[p->n_signatures++] = files;
	return x->stated ? r : 0; /* it may be anything */
}

static int get_signatures(struct pull *p, struct err *e)
{
	struct artefact_referrers list = { 0 };
	int r = get_referrers(p, &list, e);

	if (r < 0)
		return r;
	vec_foreach (x, &list.v) {
		r = get_signature(p, x, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- files ---- */

static void want_files(const struct pull *p, const struct artefact_files *files, struct pins *pins)
{
	vec_foreach (f, &files->v)
		*vec_push(&pins->v) = (struct pin){
			.kind = PIN_OBJECT,
			.name = p->label,
			.version = f->name,
			.url = image_url(p->ref.name, "blobs", pull_reference(f->blob.sha256)),
			.sha256 = f->blob.sha256,
			.size = f->blob.size,
			.repository = image_repository(p->ref.name),
		};
}

static int get_files(struct pull *p, struct err *e)
{
	const struct fetch_options how = { .config = p->config, .jobs = p->o->jobs, .logins = true };
	struct pins pins = { 0 };

	want_files(p, &p->images, &pins);
	for (size_t i = 0; i < p->n_signatures; i++)
		want_files(p, &p->signatures[i], &pins);
	return fetch_all(&p->cache, pins.v.v, pins.v.n, NULL, &how, e);
}

/* From the cache, hashed on its way. */
static int copy_object(const struct pull *p, const struct artefact_file *f, int to, const char *path, struct err *e)
{
	const struct pin object = { .sha256 = f->blob.sha256 };
	_cleanup_(sha256_done) struct sha256 sum = { 0 };
	_cleanup_free_ char *buf = xmalloc(MIB);
	_cleanup_close_ int fd = -1;
	char sha256[SHA256_HEX];
	int r = cache_object(&p->cache, &object, &fd, e);

	sha256_init(&sum);
	for (uint64_t at = 0; r == 0 && at < f->blob.size; at += MIB) {
		size_t n = (size_t)MIN(MIB, f->blob.size - at);

		r = pread_all(fd, buf, n, at);
		if (r < 0)
			return err_errno(e, r, "cannot read %s from the cache", f->blob.sha256);
		sha256_update(&sum, buf, n);
		if (!is_zero(buf, n))
			r = pwrite_all(to, buf, n, at);
		if (r < 0)
			return err_errno(e, r, "cannot write %s", path);
		r = sig_check(e);
	}
	if (r < 0)
		return r;
	if (ftruncate(to, (off_t)f->blob.size) < 0)
		return err_errno(e, -errno, "cannot write %s", path);
	sha256_final(&sum, sha256);
	if (streq(sha256, f->blob.sha256))
		return 0;
	cache_evict(&p->cache, &object);
	return err_class(e, CLASS_VERIFY, "%s was damaged in the cache and thrown away: run the same command again",
			 f->name);
}

static int stand_files(const struct pull *p, const struct artefact_files *files, struct err *e)
{
	int r = 0;

	vec_foreach (f, &files->v) {
		_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
		const char *path = path_join(p->dir, f->name);

		r = outfile_create(&out, path, 0644, e);
		if (r == 0)
			r = copy_object(p, f, out.fd, path, e);
		if (r == 0)
			r = outfile_publish(&out, e);
		if (r < 0)
			break;
	}
	return r;
}

/* The folder is nobody else's as long as it is locked; what a killed run left in it goes. */
static int pull_make_room(struct pull *p, struct err *e)
{
	int r = make_dirs(p->o->out, 0777, e);

	p->dir = path_join(p->o->out, unproved);
	if (r == 0 && mkdir(p->dir, 0700) < 0 && errno != EEXIST)
		r = err_errno(e, -errno, "cannot make a folder in %s (choose another with -o)", p->o->out);
	if (r < 0)
		return r;
	p->lock = open(p->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (p->lock < 0)
		return err_errno(e, -errno, "cannot open %s", p->dir);
	if (flock(p->lock, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		closep(&p->lock);
		if (r != -EWOULDBLOCK)
			return err_errno(e, r, "cannot lock %s (choose another folder with -o)", p->dir);
		return err_set(e, -EBUSY,
			       "another pibuild pulls into %s: wait for it, or choose another folder with -o",
			       p->o->out);
	}
	return 0;
}

static void drop_room(struct pull *p)
{
	struct err ignored;

	if (p->lock >= 0)
		remove_tree(p->dir, &ignored);
	closep(&p->lock);
}

/* ---- proved, then named ---- */

/* Of several signatures the first that KEY made over every image; without a key the newest. */
static int choose_signature(struct pull *p, struct err *e)
{
	_cleanup_(sign_key_freep) struct sign_key *key = NULL;
	int r = pull_opt.key && p->n_signatures ? sign_pub_open(pull_opt.key, &key, e) : 0;

	for (size_t i = 0; r == 0 && key && i < p->n_signatures; i++) {
		bool all = true;

		vec_foreach (f, &p->signatures[i].v) {
			const struct pin object = { .sha256 = f->blob.sha256 };
			const char *sums = arena_strndup(f->name, strlen(f->name) - strlen(".sig"));
			_cleanup_free_ char *text = NULL, *sig = NULL;
			_cleanup_close_ int fd = -1;
			size_t n, sig_n;
			struct err why;

			all = all && file_read(path_join(p->dir, sums), 256 * MIB, &text, &n, &why) == 0 &&
			      cache_object(&p->cache, &object, &fd, &why) == 0 &&
			      file_read_fd(fd, f->name, 2 * SIGNATURE_SIZE, &sig, &sig_n, &why) == 0 &&
			      sign_valid(key, text, n, sig, sig_n);
		}
		if (all) {
			p->signature = i;
			return 0;
		}
	}
	return r;
}

static int prove(struct pull *p, struct err *e)
{
	int r = stand_files(p, &p->images, e);

	if (r == 0)
		r = choose_signature(p, e);
	if (r == 0 && p->n_signatures)
		r = stand_files(p, &p->signatures[p->signature], e);
	vec_foreach (f, &p->images.v)
		if (r == 0 && artefact_is_image(f->name)) {
			r = companions_prove(path_join(p->dir, f->name), pull_opt.key, "taken", e);
			err_rename(e, p->dir, p->label);
		}
	return r;
}

static int give_name(const struct pull *p, const char *name, struct err *e)
{
	const char *to = path_join(p->o->out, name);

	if (rename(path_join(p->dir, name), to) < 0)
		return err_errno(e, -errno, "cannot put %s in place", to);
	return 0;
}

static int give_names_of(const struct pull *p, const char *image, struct err *e)
{
	const char *to = path_join(p->o->out, image);
	int r = companions_remove(to, e);

	if (r == 0)
		r = give_name(p, image, e);
	if (r == 0)
		r = image_remove_others(to, e);
	for (size_t i = 0; r == 0 && i < COMPANION_COUNT; i++) {
		const char *name = path_base(companion_path(image, (enum companion)i));

		if (!file_is_missing(path_join(p->dir, name)))
			r = give_name(p, name, e);
	}
	return r;
}

static int give_names(const struct pull *p, struct err *e)
{
	_cleanup_close_ int out = open(p->o->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	vec_foreach (f, &p->images.v)
		if (r == 0 && artefact_is_image(f->name))
			r = give_names_of(p, f->name, e);
	if (r == 0 && (out < 0 || fsync(out) < 0))
		return err_errno(e, -errno, "cannot write the folder %s", p->o->out);
	return r;
}

static int pull_tell(const struct pull *p, struct err *e)
{
	const struct cmd_options *o = p->o;
	const char *digest = arena_printf("%s@sha256:%s", p->ref.name, p->sha256), *first = NULL;
	json_t *images = json_array();

	vec_foreach (f, &p->images.v) {
		const char *path = path_join(o->out, f->name);

		if (!artefact_is_image(f->name))
			continue;
		first = first ? first : path;
		json_array_append_new(images, json_string(path));
		if (!o->json)
			printf("%s\n", path);
	}
	if (o->json)
		return json_print(json_pack("{s:s, s:s, s:o, s:b}", "name", p->ref.name, "digest",
					    pull_reference(p->sha256), "images", images, "signed", p->n_signatures > 0),
				  e);
	json_decref(images);
	log_info("pulled %s%s", digest,
		 pull_opt.key	   ? "; the signature is good"
		 : p->n_signatures ? "; it is signed: `pibuild verify --key FILE` tells by whom"
				   : "; it is not signed");
	cmd_next(o, "`pibuild devices` finds the card, `sudo pibuild flash %s --node NAME DISK` writes it",
		 shell_word(first));
	return 0;
}

static int pull_documents(struct pull *p, struct err *e)
{
	int r = registry_open(&p->registry, p->config, p->ref.name, NULL, e);

	if (r == 0)
		r = get_manifest(p, e);
	if (r == 0)
		r = get_signatures(p, e);
	registry_close(&p->registry);
	return r;
}

static int pull(struct pull *p, struct err *e)
{
	int r = cmd_registry_ref(p->o->args.v[0], &p->ref, e);

	p->label = p->o->args.v[0];
	if (r == 0)
		r = cmd_registry_config(pull_opt.ca, &p->config, e);
	if (r == 0)
		r = pull_make_room(p, e);
	if (r == 0)
		r = cache_open(p->o->cache, &p->cache, e);
	if (r == 0)
		r = pull_documents(p, e);
	if (r == 0)
		r = get_files(p, e);
	if (r == 0)
		r = prove(p, e);
	if (r == 0)
		r = give_names(p, e);
	return r < 0 ? r : pull_tell(p, e);
}

static int cmd_pull(const struct cmd_options *o, struct err *e)
{
	struct pull p = { .o = o, .cache = { .fd = -1 }, .lock = -1 };
	int r = cmd_args(o, 1, 1, usage, e);

	if (r == 0)
		r = pull(&p, e);
	drop_room(&p);
	cache_close(&p.cache);
	return r;
}

const struct command pull_command = {
	.name = "pull",
	.args = "REF",
	.help = "generic images out of a container registry, proved",
	.run = cmd_pull,
	.options = pull_options,
	.n_options = ARRAY_SIZE(pull_options),
	.common = "out cache jobs json progress",
	.words = { "" },
	.examples = { "pibuild pull ghcr.io/me/lab:v1 -o images",
		      "pibuild pull ghcr.io/me/lab:v1 --key release.key.pub" },
};
