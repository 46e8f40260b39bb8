/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/registry.h"

#include "config/config.h"

int cmd_registry_ref(const char *text, struct image_ref *ret, struct err *e)
{
	const char *why = image_ref_parse(text, ret);

	if (!why)
		return 0;
	return err_class(e, CLASS_USAGE, "%s: %s", text,
			 strstr(text, "://")
				 ? "it begins with a scheme; a place in a registry is written as ghcr.io/me/lab:v1"
				 : arena_printf("%s; a place in a registry is written as ghcr.io/me/lab:v1", why));
}

int cmd_registry_config(const char *ca, const struct config **ret, struct err *e)
{
	static const char everywhere[] = "https://";
	struct config *c = arena_new(struct config);

	if (ca && access(ca, R_OK) < 0)
		return err_errno(e, -errno, "cannot open the CA %s", ca);
	/* A mirror onto itself names another CA and nothing else. */
	if (ca)
		*vec_push(&c->mirrors) = (struct mirror){ everywhere, everywhere, ca };
	*ret = c;
	return 0;
}

const char *cmd_registry_referrers_tag(const char *sha256)
{
	return arena_printf("sha256-%s", sha256);
}
