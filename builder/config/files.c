/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that name files: paths are relative to the file they stand in, and are looked at right away. */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "config/internal.h"
#include "config/values.h"
#include "schema/source.h"

const char *config_expand_path(const char *dir, const char *text)
{
	const char *home = getenv("HOME");
	char cwd[PATH_MAX];

	if (starts_with(text, "~/") && home && *home)
		return path_join(home, text + 2);
	text = path_join(dir, text);
	if (text[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return text;
	return path_join(cwd, starts_with(text, "./") ? text + 2 : text);
}

const char *config_path_hint(const char *path)
{
	return strstr(path, "/~") || strchr(path, '$') || strchr(path, '%')
		       ? "; of what a shell puts into a path only '~/' at its beginning is known here: write it out"
		       : "";
}

const char *config_file_fault(struct faults *f, const char *path)
{
	struct stat st;
	struct err e;

	/* path_join() has made one slash of two. */
	if (strstr(path, "http:/") || strstr(path, "https:/"))
		return "this is an address, and a file is meant: download it, and give the path of that";
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return arena_printf("%s is no regular file", path);
	if (access(path, R_OK) == 0)
		return NULL;
	err_errno(&e, -errno, "%s", path);
	return arena_printf("%s%s", faults_reason(f, &e), config_path_hint(path));
}

/* ---- os.base ---- */

static bool is_path(const char *text)
{
	return strchr(text, '/') || ends_with(text, ".img") || codec_of_name(text) != CODEC_COUNT;
}

static const char *const base_names[] = { "raspios", "raspios-bookworm", "debian" };

bool config_base_named(const char *base)
{
	for (size_t i = 0; i < ARRAY_SIZE(base_names); i++)
		if (streq(base, base_names[i]))
			return true;
	return false;
}

static const char *parse_base(const struct reading *l, const char *text, void *dst)
{
	const char **base = dst, *near;

	if (config_base_named(text) || starts_with(text, "https://")) {
		*base = arena_strdup(text);
		return NULL;
	}
	if (strstr(text, "://"))
		return "only https:// addresses are fetched";
	if (is_path(text)) {
		*base = config_expand_path(l->dir, text);
		return config_file_fault(l->faults, *base);
	}
	near = nearest_word(text, base_names, ARRAY_SIZE(base_names));
	return arena_printf("it must be raspios, raspios-bookworm, debian, a path or an https:// address%s",
			    did_you_mean("; ", near));
}

const struct kind kind_base = {
	.name = "raspios, raspios-bookworm, debian, path or URL",
	.words = "give raspios, raspios-bookworm, debian, the path of an image or an https:// address",
	.editor_pattern = "^(raspios|raspios-bookworm|debian|https://.*|(?!.*://)(.*/.*|.*[.](img|xz|gz|zst)))$",
	.parse = parse_base,
};

/* ---- cilium.valuesFile, mirrors[].caFile ---- */

static const char *read_values_file(const struct reading *l, const char *text, struct app_values *ret)
{
	const char *path = config_expand_path(l->dir, text), *why = config_file_fault(l->faults, path);
	struct yaml_node *values;
	struct err e = { 0 };
	const char *yaml;
	size_t n;

	if (why)
		return why;
	if (yaml_read(path, -1, &yaml, &n, &e) < 0)
		return faults_reason(l->faults, &e);
	source_keep(path, yaml, n);
	if (yaml_parse(path, yaml, n, &values, &e) < 0)
		return arena_strdup(e.msg);
	if (values->type != YAML_MAP)
		return "the file must hold Helm values: a map of keys";
	*ret = (struct app_values){ path, values };
	return NULL;
}

static const char *parse_app_values_file(const struct reading *l, const char *text, void *dst)
{
	return read_values_file(l, text, dst);
}

static const char *parse_values_file(const struct reading *l, const char *text, void *dst)
{
	struct app_values file = { 0 };
	const char *why = read_values_file(l, text, &file);
	struct config *c = l->root;

	if (why)
		return why;
	*(const char **)dst = file.path;
	c->cilium.values = file.values;
	return NULL;
}

static bool is_cut_off(const char *pem)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";

	for (const char *p = pem; (p = strstr(p, begin)); p++) {
		const char *next = strstr(p + 1, begin), *done = strstr(p, end);

		if (!done || (next && next < done))
			return true;
	}
	return false;
}

static const char *parse_ca_file(const struct reading *l, const char *text, void *dst)
{
	const char *path = config_expand_path(l->dir, text), *why = config_file_fault(l->faults, path);
	_cleanup_free_ char *pem = NULL;
	struct err e = { 0 };
	size_t n;

	if (why)
		return why;
	if (file_read(path, 1 * MIB, &pem, &n, &e) < 0)
		return faults_reason(l->faults, &e);
	why = value_encoding_fault(pem, n, path); /* a mark before the first line hides it from OpenSSL */
	if (why)
		return arena_printf("%s %s", path, why);
	if (!strstr(pem, "-----BEGIN CERTIFICATE-----"))
		return "the file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)";
	if (strstr(pem, "PRIVATE KEY-----"))
		return "the file holds a private key, which must not leave your machine; give the certificate alone";
	if (is_cut_off(pem))
		return "a certificate in the file is cut off; copy all of it, from -----BEGIN to -----END CERTIFICATE-----";
	*(const char **)dst = path;
	return NULL;
}

static const char *parse_key_file(const struct reading *l, const char *text, void *dst)
{
	const char *path = config_expand_path(l->dir, text), *why = config_file_fault(l->faults, path);
	_cleanup_free_ char *key = NULL;
	struct err e = { 0 };
	size_t n;

	if (why)
		return why;
	if (file_read(path, 1 * MIB, &key, &n, &e) < 0)
		return faults_reason(l->faults, &e);
	/* Every packet of OpenPGP starts with the highest bit set. */
	if (!n || !((unsigned char)*key & 0x80))
		return "the file holds no OpenPGP key in binary form; `gpg --export KEY >FILE` or `gpg --dearmor FILE` makes one";
	*(const char **)dst = path;
	return NULL;
}

const struct kind kind_app_values_file = { .name = "path", .parse = parse_app_values_file };
const struct kind kind_values_file = { .name = "path", .parse = parse_values_file };
const struct kind kind_key_file = { .name = "path", .parse = parse_key_file };
const struct kind kind_ca_file = { .name = "path", .parse = parse_ca_file };
