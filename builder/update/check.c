/* SPDX-License-Identifier: Apache-2.0 */
/* Whether pibuild.lock has all that is asked for, as the catalogue has it: nothing is looked up. */
#include "debian/debian.h"
#include "update/apps.h"
#include "update/packages.h"

const char *lock_entry_fault(const struct artifact *a, const struct lock_entry *x, const struct lock *shipped)
{
	const char *url = artifact_url(a, x->version);
	const struct lock_entry *s = lock_find(shipped, x->name, x->version);

	if (streq(x->url, url) || (s && streq(s->url, x->url)))
		return NULL;
	/* The folder of a base may have another date than its file. */
	if (a->base && streq(str_or(artifact_url_version(a, x->url, x->version), ""), x->version))
		return NULL;
	return arena_printf("its url is %s, the catalogue says %s", x->url, url);
}

static void check_artifact(const struct release_set *set, const struct artifact *a, const struct lock *shipped,
			   struct lock_report *ret)
{
	const char *version = artifact_version(set, a->version_key), *why;
	const struct lock_entry *x = lock_find(set->lock, a->name, version);
	struct lock_line line = { .change = LOCK_KEPT, .entry = { .name = a->name, .version = version } };

	if (!x) {
		line.change = LOCK_MISSING;
		line.why = "the lock has no such version";
	} else {
		line.entry = *x;
		why = lock_entry_fault(a, x, shipped);
		if (why) {
			line.change = LOCK_EDITED;
			line.why = why;
		}
	}
	*vec_push(&ret->lines) = line;
}

static void check_image(const struct image_pin *p, struct lock_report *ret)
{
	*vec_push(&ret->lines) = (struct lock_line){
		.change = p->sha256 ? LOCK_KEPT : LOCK_MISSING,
		.what = LOCK_IMAGE,
		.entry = { .name = p->name, .version = str_or(p->tag, "?"), .sha256 = p->sha256 },
		.why = p->sha256 ? NULL : "the lock has no such container image",
	};
}

static int check_catalogue_images(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	vec_foreach (i, &set->catalogue->images) {
		struct image_pin p;
		int r;

		if (!image_in_force(i, set->config))
			continue;
		r = image_pin(set, i, &p, e);
		if (r < 0)
			return r;
		check_image(&p, ret);
	}
	return 0;
}

static int check_app_images(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	struct images images = { 0 };

	vec_foreach (a, &set->config->apps) {
		int r = app_images(set, a, &images, e);

		if (r < 0)
			return r;
	}
	vec_foreach (p, &images.v)
		if (p->tag)
			check_image(p, ret);
	return 0;
}

int lock_check(const struct release_set *set, struct lock_report *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf faults = { 0 };
	struct lock *shipped;
	int r = lock_load_shipped(&shipped, e);

	if (r < 0)
		return r;
	*ret = (struct lock_report){ .file = set->lock->path };
	vec_foreach (a, &set->catalogue->artifacts)
		if (artifact_in_force(a, set->config))
			check_artifact(set, a, shipped, ret);
	r = check_catalogue_images(set, ret, e);
	if (r == 0 && streq(set->config->os.base, DEBIAN_BASE))
		r = debian_check_lock(set, vec_push(&ret->lines), e);
	if (r < 0)
		return r;
	r = packages_check_lock(set, ret, e);
	if (r < 0)
		return r;
	keys_check(set, ret);
	apps_check_lock(set, ret);
	r = apps_check_judged(set, ret, e);
	if (r == 0 && set->config->airgap)
		r = check_app_images(set, ret, e);
	if (r < 0)
		return r;
	vec_foreach (line, &ret->lines)
		if (line->change != LOCK_KEPT)
			strbuf_addf(&faults, "\n  %s %s: %s", line->entry.name, line->entry.version, line->why);
	if (!faults.n)
		return 0;
	return err_class(e, CLASS_VERIFY, "%s is stale; run `pibuild lock`:%s", ret->file, faults.s);
}
