/* SPDX-License-Identifier: Apache-2.0 */
#include "base/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/sig.h"
#include "base/util.h"

#ifdef SYS_setresuid32 /* 32-bit machines: plain setresuid is the one with 16 bits */
#define SETRESUID SYS_setresuid32
#else
#define SETRESUID SYS_setresuid
#endif

enum { MAX_GROUPS = 256 };
static const uid_t same = (uid_t)-1;

/* sudo(8), "ENVIRONMENT"; doas(1); pkexec(1). */
static const struct {
	const char *variable;
	bool by_name;
} callers[] = { { "SUDO_UID", false }, { "DOAS_USER", true }, { "PKEXEC_UID", false } };

struct caller {
	uid_t uid;
	gid_t gid;
	const char *name, *home; /* home NULL = none known */
};
static struct caller caller; /* name NULL = nobody's work is done for them */

static bool caller_read_number(const char *text, unsigned *ret)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(str_or(text, ""), &end, 10);
	if (errno || !text || *text < '0' || *text > '9' || *end || n >= UINT_MAX)
		return false;
	*ret = (unsigned)n;
	return true;
}

/* The account that VALUE names; NULL when there is none, with E set when nobody could look. */
static const struct passwd *caller_account(const char *value, bool by_name, unsigned id, struct err *e)
{
	const struct passwd *p;

	errno = 0;
	p = by_name ? getpwnam(value) : getpwuid(id);
	/* What else errno may say of an account that is not there, getpwnam(3) has a list of. */
	if (!p && (errno == EIO || errno == EINTR || errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		err_errno(e, -errno, "cannot look up the account of %s, whom this run is for", value);
	return p;
}

/* 1, 0 when there is none or it is root, negative when that cannot be told. */
static int caller_find(struct caller *ret, struct err *e)
{
	const struct passwd *p = NULL;
	unsigned id = 0, gid;

	e->code = 0;
	for (size_t i = 0; i < ARRAY_SIZE(callers) && !p && !id && e->code == 0; i++) {
		const char *value = getenv(callers[i].variable);

		if (value && (callers[i].by_name || caller_read_number(value, &id)))
			p = caller_account(value, callers[i].by_name, id, e);
	}
	if (e->code)
		return e->code;
	if (p) {
		*ret = (struct caller){ p->pw_uid, p->pw_gid, arena_strdup(p->pw_name), arena_strdup(p->pw_dir) };
	} else {
		/* Somebody without an account here, as in a container. */
		*ret = (struct caller){ id, caller_read_number(getenv("SUDO_GID"), &gid) ? gid : id,
					arena_printf("%u", id), NULL };
	}
	return ret->uid != 0;
}

/* One that is the caller's own was kept, or given, on purpose. */
static void take_home(const struct caller *c)
{
	const char *home = getenv("HOME");
	struct stat st;

	setenv("USER", c->name, 1);
	setenv("LOGNAME", c->name, 1);
	if (home && stat(home, &st) == 0 && st.st_uid == c->uid)
		return;
	if (c->home)
		setenv("HOME", c->home, 1);
	else
		unsetenv("HOME");
}

static bool may_enter_folder(void)
{
	char here[PATH_MAX];

	return getcwd(here, sizeof(here)) && faccessat(AT_FDCWD, here, X_OK, AT_EACCESS) == 0;
}

static bool take_groups(const struct caller *c)
{
	return (c->home ? initgroups(c->name, c->gid) : setgroups(1, &c->gid)) == 0 && setegid(c->gid) == 0;
}

/* Half of another's rights are no rights to go on with. */
static _Noreturn void die_between(void)
{
	sig_die("cannot change between root and who called sudo, doas or pkexec, and goes on with the rights of neither; run it again, or in a root shell: ",
		strerrordesc_np(errno));
}

int caller_become(struct err *e)
{
	gid_t groups[MAX_GROUPS], gid = getegid();
	int n = getgroups(MAX_GROUPS, groups), r, code;
	struct caller c;

	if (geteuid() != 0 || n < 0)
		return 0;
	r = caller_find(&c, e);
	if (r <= 0)
		return r;
	code = take_groups(&c) && seteuid(c.uid) == 0 ? 0 : errno;
	if (code == 0 && may_enter_folder()) {
		if (setresgid(c.gid, c.gid, c.gid) < 0 || setresuid(c.uid, c.uid, 0) < 0)
			die_between();
		take_home(&c);
		caller = c;
		return 0;
	}
	if (seteuid(0) < 0 || setegid(gid) < 0 || setgroups((size_t)n, groups) < 0)
		die_between();
	/* Root of a container may have no other users. */
	return code == 0 || code == EPERM || code == EINVAL ? 0 : err_errno(e, -code, "cannot work as %s", c.name);
}

bool caller_asked(uid_t uid)
{
	struct err ignored = { 0 };
	struct caller c;

	return geteuid() == 0 && caller_find(&c, &ignored) > 0 && c.uid == uid;
}

const char *caller_name(void)
{
	return caller.name;
}

/* The system call itself changes this thread; glibc's function would change all of them, and one card's thread would
 * take the rights away while another's is at it. */
static void set_effective(uid_t uid)
{
	if (caller.name && syscall(SETRESUID, same, uid, same) < 0)
		die_between();
}

void caller_raise(void)
{
	set_effective(0);
}

void caller_lower(void)
{
	int code = errno;

	set_effective(caller.uid);
	errno = code;
}
