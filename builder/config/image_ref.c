/* SPDX-License-Identifier: Apache-2.0 */
#include "config/image_ref.h"

#include "crypto/digest.h"

static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
enum { REF_MAX = 512, TAG_MAX = 128 };

static bool ref_all_of(const char *s, const char *more)
{
	while (*s && (strchr(lower, *s) || strchr(more, *s)))
		s++;
	return !*s;
}

/* "registry.lan:5000" of a name whose first part has a dot or a port, or is localhost; else NULL. */
static const char *ref_registry(const char *name)
{
	size_t n = strcspn(name, "/");

	return name[n] && (memchr(name, '.', n) || memchr(name, ':', n) || starts_with(name, "localhost/"))
		       ? arena_strndup(name, n)
		       : NULL;
}

static bool ref_tag_valid(const char *tag)
{
	return *tag && strlen(tag) <= TAG_MAX && !strchr(".-", *tag) &&
	       ref_all_of(tag, "_.-ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

const char *image_ref_parse(const char *text, struct image_ref *ret)
{
	static const char algorithm[] = "@sha256:";
	char *name = arena_strdup(text), *at = strchr(name, '@'), *colon;
	const char *registry, *path;
	struct image_ref ref = { 0 };

	if (strlen(text) > REF_MAX)
		return "it is longer than any name of an image";
	if (at) {
		if (!starts_with(at, algorithm) || !sha256_valid(at + strlen(algorithm)))
			return "it has a digest that is none: @sha256: and 64 hexadecimal digits";
		ref.sha256 = at + strlen(algorithm);
		*at = '\0';
	}
	colon = strrchr(name, ':');
	if (colon && !strchr(colon, '/')) {
		ref.tag = colon + 1;
		*colon = '\0';
		if (!ref_tag_valid(ref.tag))
			return "it has a tag that can be none";
	}
	registry = ref_registry(name);
	path = registry ? name + strlen(registry) + 1 : name;
	if (!registry || streq(registry, "index.docker.io"))
		registry = "docker.io";
	if (!ref_all_of(registry, ".-:") || !*path || !ref_all_of(path, "._-/") || strstr(path, "//") ||
	    strstr(path, "..") || strchr("/.-_", *path) || strchr("/.-_", path[strlen(path) - 1]) || strstr(path, "/."))
		return "it is no name of an image such as quay.io/cilium/cilium:v1.20.0";
	ref.name = arena_printf("%s/%s%s", registry,
				streq(registry, "docker.io") && !strchr(path, '/') ? "library/" : "", path);
	if (!ref.tag && !ref.sha256)
		ref.tag = "latest";
	*ret = ref;
	return NULL;
}
