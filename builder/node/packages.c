/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packages of Debian on the card: the files, a list for the step that installs them
 * (overlays/common/usr/lib/pibuild/steps/packages.sh), and what some of them need that they do not bring.
 */
#include "crypto/digest.h"
#include "node/node.h"

static const char origin[] = "generated: packages";

/* open-iscsi's own is made at random when it is installed; one that moves with every card makes the targets of
 * Longhorn and NAS refuse their node (longhorn/longhorn issue 2319). The prefix is Debian's (open-iscsi.postinst). */
static const char *initiator_name(const struct node_ctx *x)
{
	const char *both = arena_printf("%s %s", x->config->cluster.name, x->node->name);
	char hex[SHA256_HEX];

	sha256_bytes(both, strlen(both), hex);
	return arena_printf("InitiatorName=iqn.1993-08.org.debian:01:%.12s\n", hex);
}

static const char *iscsi_modules(const struct node_ctx *x)
{
	return "iscsi_tcp\n";
}

static const char *crypt_modules(const struct node_ctx *x)
{
	return "dm_crypt\n";
}

/* Longhorn's volumes are sdX disks that multipathd would take (longhorn.io, kb/troubleshooting-volume-with-multipath).
 */
static const char *multipath_blacklist(const struct node_ctx *x)
{
	return "blacklist {\n\tdevnode \"^sd[a-z0-9]+\"\n}\n";
}

static const struct package_file {
	const char *package, *path;
	unsigned mode;
	const char *(*text)(const struct node_ctx *x);
} package_files[] = {
	{ "open-iscsi", "/etc/iscsi/initiatorname.iscsi", 0600, initiator_name },
	{ "open-iscsi", "/etc/modules-load.d/pibuild-iscsi.conf", 0644, iscsi_modules },
	{ "cryptsetup", "/etc/modules-load.d/pibuild-crypt.conf", 0644, crypt_modules },
	{ "multipath-tools", "/etc/multipath/conf.d/pibuild.conf", 0644, multipath_blacklist },
};

static bool package_is_wanted(const struct text_list *wanted, const char *name)
{
	vec_foreach (w, wanted)
		if (streq(*w, name))
			return true;
	return false;
}

bool node_has_packages(const struct node_ctx *x)
{
	return config_packages(x->config, x->node).n && !streq(x->config->os.base, DEBIAN_BASE);
}

int node_add_packages(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct text_list wanted = config_packages(x->config, x->node);
	_cleanup_strbuf_ struct strbuf list = { 0 };
	struct pins pins;
	int r = package_pins(&x->set, x->node, &pins, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(package_files); i++) {
		const struct package_file *f = &package_files[i];

		if (package_is_wanted(&wanted, f->package))
			tree_add_text(t, f->path, f->mode, origin, f->text(x));
	}
	if (!node_has_packages(x))
		return 0;
	vec_foreach (p, &pins.v) {
		tree_add_artifact(t, p);
		strbuf_addf(&list, "%s %s\n", p->name, p->version);
	}
	tree_add_text(t, "/etc/pibuild/packages", 0644, origin, str_or(list.s, ""));
	return 0;
}
