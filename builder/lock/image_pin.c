/* SPDX-License-Identifier: Apache-2.0 */
/* Which container image, under which tag, by which digest: catalogue and versions, looked up in the lock. */
#include "catalogue/url.h"
#include "lock/pin.h"

const char *image_ref(const struct image_pin *p)
{
	if (p->tag)
		return arena_printf("%s:%s", p->name, p->tag);
	return p->sha256 ? arena_printf("%s@sha256:%s", p->name, p->sha256) : p->name;
}

const char *image_repository(const char *name)
{
	return strchr(name, '/') + 1;
}

const char *image_url(const char *name, const char *kind, const char *reference)
{
	/* Docker's registry has another host than its name (distribution/reference, normalize.go; docker.io has a web
	 * page). */
	const char *host = starts_with(name, "docker.io/") ? "registry-1.docker.io"
							   : arena_strndup(name, strcspn(name, "/"));

	return arena_printf("https://%s/v2/%s/%s/%s", host, image_repository(name), kind, reference);
}

const char *image_location(const struct image_pin *p)
{
	return image_url(p->name, "manifests",
			 p->sha256 ? arena_printf("sha256:%s", p->sha256) : str_or(p->tag, "latest"));
}

const char *image_purl(const struct image_pin *p)
{
	const char *version = p->sha256 ? arena_printf("sha256%%3A%s", p->sha256) : p->tag;

	return arena_printf("pkg:docker/%s%s%s?repository_url=%.*s%s%s", image_repository(p->name), version ? "@" : "",
			    str_or(version, ""), (int)strcspn(p->name, "/"), p->name,
			    p->sha256 && p->tag ? "&tag=" : "", p->sha256 ? str_or(p->tag, "") : "");
}

static bool is_for(const struct lock_image *x, const char *version)
{
	for (size_t k = 0; x->for_versions && k < x->for_versions->count; k++)
		if (streq(x->for_versions->items[k]->text, version))
			return true;
	return false;
}

const char *image_tag(const struct lock *l, const struct image *i, const char *version)
{
	vec_foreach (x, &l->images)
		if (streq(x->name, i->name) && (l->built || (!i->tag && is_for(x, version))))
			return x->tag;
	return i->tag ? expand_version(i->tag, version, false) : NULL;
}

int image_pin(const struct release_set *set, const struct image *i, struct image_pin *ret, struct err *e)
{
	const char *version = artifact_version(set, i->version_key), *tag = image_tag(set->lock, i, version);
	const struct lock_image *x = tag ? lock_find_image(set->lock, i->name, tag) : NULL;

	if (tag && !image_tag_valid(tag))
		return err_class(e, CLASS_CONFIG, "versions.%s: '%s' cannot be the tag of %s", i->version_key, tag,
				 i->name);
	*ret = (struct image_pin){ i->name, tag, x ? x->sha256 : NULL, image_in_force(i, set->config) };
	return 0;
}

int images_check_locked(const struct images *images, struct err *e)
{
	_cleanup_strbuf_ struct strbuf missing = { 0 };

	for (size_t i = 0; images && i < images->v.n; i++)
		if (images->v.v[i].by_digest && !images->v.v[i].sha256)
			strbuf_item(&missing, ", ", image_ref(&images->v.v[i]));
	if (!missing.n)
		return 0;
	return err_class(
		e, CLASS_VERIFY,
		"the lock does not pin the container images %s: run `pibuild lock`, which asks their registries for the digests",
		missing.s);
}
