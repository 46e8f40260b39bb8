/* SPDX-License-Identifier: Apache-2.0 */
#include "backup/backup.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/values.h"

enum { NAME_LIMIT = 250, PARTS = 5 };

/* ---- names ---- */

/* N characters of S, all of them in SET. */
static bool backup_all_of(const char *s, const char *set)
{
	return *s && !s[strspn(s, set)];
}

/* "20261129T030000Z" */
static bool backup_time_parse(const char *s, int64_t *ret)
{
	if (strlen(s) != 16 || !backup_all_of(s, "0123456789TZ"))
		return false;
	return utc_parse(arena_printf("%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s, s + 4, s + 6, s + 9, s + 11, s + 13), ret);
}

/* "v1.36.4-k3s1" as K3s has it, with a '+'; NULL when it is none. */
static const char *backup_version(char *s)
{
	char *k3s = strstr(s, "-k3s");
	struct semver v;

	if (*s != 'v' || !backup_all_of(s, "0123456789abcdefghijklmnopqrstuvwxyz.-") || value_semver(s, &v) < 0)
		return NULL;
	if (k3s)
		*k3s = '+';
	return s;
}

bool backup_name_parse(const char *text, struct backup_name *ret)
{
	static const char label[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	char *parts[PARTS], *rest = arena_strdup(text), *end;
	struct backup_name b = { .name = arena_strdup(text) };

	if (strlen(text) > NAME_LIMIT || !ends_with(text, ".gz"))
		return false;
	rest[strlen(rest) - strlen(".gz")] = '\0';
	for (size_t i = 0; i < PARTS; i++, rest = end) {
		parts[i] = rest;
		end = rest + strcspn(rest, "_");
		if ((*end == '_') != (i + 1 < PARTS))
			return false;
		if (*end)
			*end++ = '\0';
	}
	b.cluster = parts[0];
	b.node = parts[1];
	b.version = backup_version(parts[3]);
	b.datastore = parts[4];
	if (!backup_all_of(b.cluster, label) || !backup_all_of(b.node, label) || !b.version ||
	    !backup_time_parse(parts[2], &b.time) || !(streq(b.datastore, "etcd") || streq(b.datastore, "sqlite")))
		return false;
	*ret = b;
	return true;
}

/* ---- a file and its digest ---- */

int backup_about_parse(const char *text, const char *name, struct backup *ret, struct err *e)
{
	char *copy = arena_strdup(text);
	static const char ca[] = "# ca ";

	ret->ca = "";
	ret->about = arena_strdup(text);
	text_foreach (line, copy, "\n") {
		if (starts_with(line, ca) && sha256_valid(line + strlen(ca)))
			ret->ca = line + strlen(ca);
		if (*line == '#')
			continue;
		if (strlen(line) > SHA256_HEX + 1 && line[SHA256_HEX - 1] == ' ' && line[SHA256_HEX] == ' ') {
			line[SHA256_HEX - 1] = '\0';
			memcpy(ret->sha256, line, SHA256_HEX);
			if (sha256_valid(ret->sha256) && backup_name_parse(line + SHA256_HEX + 1, &ret->is))
				return 0;
		}
		break;
	}
	return err_class(e, CLASS_VERIFY,
			 "%s is no digest of a backup: it says neither what the backup is nor whether it is whole",
			 name);
}

static int backup_read_about(const char *path, struct backup *ret, struct err *e)
{
	const char *about = arena_printf("%s%s", path, BACKUP_DIGEST_SUFFIX);
	_cleanup_free_ char *text = NULL;
	size_t n;

	if (file_is_missing(about))
		return err_class(
			e, CLASS_VERIFY,
			"there is no %s: a backup without its digest was never complete; `pibuild backup get` fetches both",
			about);
	if (file_read(about, BACKUP_ABOUT_LIMIT, &text, &n, e) < 0)
		return e->code;
	return backup_about_parse(text, about, ret, e);
}

int backup_open(const char *file, struct backup *ret, struct err *e)
{
	char real[PATH_MAX], sha256[SHA256_HEX];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	*ret = (struct backup){ .path = arena_strdup(realpath(file, real) ? real : file) };
	fd = open(ret->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return file_cannot_open(file, e);
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_USAGE, "%s is no file: a backup is one, as `pibuild backup get` fetches it",
				 file);
	ret->size = (uint64_t)st.st_size;
	r = backup_read_about(file, ret, e);
	if (r < 0)
		return r;
	r = sha256_fd(fd, file, sha256, e);
	if (r < 0)
		return r;
	if (!streq(sha256, ret->sha256))
		return err_class(
			e, CLASS_VERIFY,
			"%s is damaged: its digest is %s, and %s%s says %s; fetch it again, or take another one", file,
			sha256, file, BACKUP_DIGEST_SUFFIX, ret->sha256);
	return 0;
}

/* ---- does it fit? ---- */

static unsigned backup_k3s_number(const char *version)
{
	const char *k3s = strstr(version, "+k3s");

	return k3s ? (unsigned)strtoul(k3s + strlen("+k3s"), NULL, 10) : 0;
}

/* K3s reads what an older one wrote, not the other way round. */
static bool backup_is_newer(const char *a, const char *b)
{
	struct semver x = { 0 }, y = { 0 };

	if (value_semver(a, &x) < 0 || value_semver(b, &y) < 0)
		return false;
	if (x.major != y.major)
		return x.major > y.major;
	if (x.minor != y.minor)
		return x.minor > y.minor;
	if (x.patch != y.patch)
		return x.patch > y.patch;
	return backup_k3s_number(a) > backup_k3s_number(b);
}

int backup_check_fits(const struct backup *b, const struct config *c, const char *k3s, const char *ca_hash,
		      struct err *e)
{
	const char *has = config_uses_etcd(c) ? "etcd" : "sqlite";

	if (!streq(b->is.cluster, c->cluster.name))
		return err_class(e, CLASS_REFUSED, "%s is a backup of the cluster %s, and this is %s", b->path,
				 b->is.cluster, c->cluster.name);
	if (!streq(b->is.datastore, has))
		return err_class(
			e, CLASS_REFUSED,
			"%s is of a cluster on %s, and %s is on %s: set cluster.datastore: %s, and as many servers as it had then",
			b->path, b->is.datastore, c->cluster.name, has, b->is.datastore);
	if (*b->ca && !streq(b->ca, ca_hash))
		return err_class(
			e, CLASS_REFUSED,
			"%s was made with another CA than that of your secrets: K3s could not open it; put back the secrets.yaml of that time",
			b->path);
	if (backup_is_newer(b->is.version, k3s))
		return err_class(
			e, CLASS_REFUSED,
			"%s was made by K3s %s, and the card would have %s, which cannot read it: set versions.k3s: %s or newer",
			b->path, b->is.version, k3s, b->is.version);
	return 0;
}

void backup_curl_text(struct strbuf *out, const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strbuf_addf(out, "%s%c", value[i] == '"' || value[i] == '\\' ? "\\" : "", value[i]);
}
