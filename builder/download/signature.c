/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detached OpenPGP signature beside a base (URL.sig), checked by gpgv against the user's key. That it was good is
 * kept in the cache, by the digests of image and key: neither can change under its digest.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/proc.h"
#include "crypto/digest.h"
#include "download/signature.h"

static const char folder[] = "signatures";

static int verdict_name(const struct pin *pin, const char *key, const char **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	char sha256[SHA256_HEX];
	size_t n;
	int r = file_read(key, MIB, &text, &n, e);

	if (r < 0)
		return r;
	sha256_bytes(text, n, sha256);
	*ret = arena_printf("%s/%s-%s", folder, pin->sha256, sha256);
	return 0;
}

int signature_known(const struct cache *c, const struct pin *pin, const char *key, bool *ret, struct err *e)
{
	const char *name;
	int r = verdict_name(pin, key, &name, e);

	if (r < 0)
		return r;
	*ret = faccessat(c->fd, name, F_OK, 0) == 0;
	return 0;
}

static int keep(const struct cache *c, const char *name, struct err *e)
{
	_cleanup_close_ int fd = -1;

	if (mkdirat(c->fd, folder, 0700) < 0 && errno != EEXIST)
		return err_errno(e, -errno, "cannot make %s/%s", c->dir, folder);
	fd = openat(c->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 ? err_errno(e, -errno, "cannot make %s/%s", c->dir, name) : 0;
}

int signature_check(const struct cache *c, const struct pin *pin, const char *key, const struct strbuf *signature,
		    struct err *e)
{
	const char *const argv[] = { "gpgv", "--homedir", "/nonexistent", "--keyring", key, "-", PROC_FILE, NULL };
	_cleanup_close_ int object = openat(c->fd, cache_object_name(pin->sha256), O_RDONLY | O_CLOEXEC);
	const struct proc gpgv = {
		.argv = argv,
		.input = str_or(signature->s, ""),
		.input_n = signature->n,
		.file = arena_printf("%s/%s", c->dir, cache_object_name(pin->sha256)),
		.file_fd = object,
	};
	const char *name;
	int r = verdict_name(pin, key, &name, e);

	if (r == 0 && object < 0)
		return err_errno(e, -errno, "cannot open %s", gpgv.file);
	if (r == 0)
		r = proc_run(&gpgv, e);
	if (r < 0 && (e->class == CLASS_HOST || err_is_machines(e) || err_interrupted(e)))
		return r;
	if (r < 0)
		return err_class(e, CLASS_VERIFY, "%s %s: no good signature by os.signatureKey %s: %s", pin->name,
				 pin->version, key, arena_strdup(e->msg));
	return keep(c, name, e);
}
