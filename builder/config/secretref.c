/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets by reference: an environment variable, a file, or the output of a program such as a password manager. The
 * program is the user's own, needs the user's environment, and what it prints must not end in a message.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/proc.h"
#include "base/sig.h"
#include "config/internal.h"
#include "config/values.h"

#define MAX_SECRET (64 * KIB)
#define TIMEOUT	   60 /* seconds */

struct secret_text {
	char s[MAX_SECRET + 1];
	size_t n;
};

static void secretref_wipe(struct secret_text **t)
{
	explicit_bzero(*t, sizeof(**t));
	free(*t);
}

/* ---- files ---- */

static int open_file(const char *path, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set(e, -errno, "the secret's file %s cannot be read: %s%s", path, strerror(errno),
			errno == ENOENT ? config_path_hint(path) : "");
		return err_blame(e, CLASS_CONFIG);
	}
	if (!S_ISREG(st.st_mode))
		return err_class(e, CLASS_CONFIG, "the secret's file %s is no regular file", path);
	if (st.st_size > (off_t)MAX_SECRET)
		return err_class(e, CLASS_CONFIG, "the secret's file %s is larger than 64 KiB", path);
	if (st.st_mode & 077)
		log_warning("%s holds a secret and others on this machine can read it: chmod 600 %s", path,
			    shell_word(path));
	*ret_fd = take_fd(&fd);
	return 0;
}

static int read_file(const char *path, struct secret_text *t, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = open_file(path, &fd, e);

	while (r == 0 && t->n < sizeof(t->s)) {
		ssize_t got = read(fd, t->s + t->n, sizeof(t->s) - t->n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err_errno(e, -errno, "the secret's file %s cannot be read", path);
			return err_blame(e, CLASS_CONFIG);
		}
		if (got == 0)
			return 0;
		t->n += (size_t)got;
	}
	return r;
}

/* ---- commands ---- */

static int secretref_start(const char *const *argv, struct spawned *program, int *ret_fd, struct err *e)
{
	_cleanup_close_ int out = -1, in = -1;
	const char *path = strchr(argv[0], '/') ? argv[0] : proc_find(argv[0]);
	struct err why = { 0 };
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	out = fds[0];
	in = fds[1];
	r = !path ? -ENOENT
		  : spawn_start(program,
				&(struct spawn){ .path = path,
						 .argv = argv,
						 .fds = { -1, in, STDERR_FILENO, -1 },
						 .death_signal = SIGTERM },
				&why);
	if (r < 0) {
		err_errno(e, r, "the secret's command %s cannot be started", argv[0]);
		return err_blame(e, CLASS_CONFIG);
	}
	*ret_fd = take_fd(&out);
	return 0;
}

/* 0 at the end of its output. */
static int collect(int fd, const char *name, double deadline, struct secret_text *t, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		double left = deadline - now_seconds();
		ssize_t got;
		int r = sig_check(e);

		if (r < 0)
			return r;
		if (left <= 0)
			return err_class(e, CLASS_CONFIG, "the secret's command %s did not end within %d seconds", name,
					 TIMEOUT);
		if (poll(&p, 1, (int)(left * 1000) + 1) <= 0)
			continue;
		got = read(fd, t->s + t->n, sizeof(t->s) - t->n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		t->n += (size_t)got;
		if (t->n > MAX_SECRET)
			return err_class(e, CLASS_CONFIG, "the secret's command %s prints more than 64 KiB", name);
	}
}

static int secretref_run_command(const char *const *argv, struct secret_text *t, struct err *e)
{
	double deadline = now_seconds() + TIMEOUT;
	_cleanup_(spawn_done) struct spawned program = { 0 };
	_cleanup_close_ int fd = -1;
	int r = secretref_start(argv, &program, &fd, e);

	if (r == 0)
		r = collect(fd, argv[0], deadline, t, e);
	while (r == 0 && !spawn_wait(&program, 0.1)) {
		r = sig_check(e);
		if (r == 0 && now_seconds() > deadline)
			r = err_class(e, CLASS_CONFIG, "the secret's command %s closed its output but did not end",
				      argv[0]);
	}
	if (r < 0)
		return r;
	if (WIFSIGNALED(program.status))
		return err_class(e, CLASS_CONFIG, "the secret's command %s was ended by signal %d", argv[0],
				 WTERMSIG(program.status));
	if (WEXITSTATUS(program.status))
		return err_class(e, CLASS_CONFIG, "the secret's command %s failed with exit code %d", argv[0],
				 WEXITSTATUS(program.status));
	return 0;
}

/* ---- both together ---- */

static int read_secret(const struct secret_ref *ref, struct secret_text *t, struct err *e)
{
	const char *value;

	switch (ref->kind) {
	case SECRET_FILE:
		return read_file(ref->name, t, e);
	case SECRET_COMMAND:
		return secretref_run_command(ref->argv, t, e);
	case SECRET_ENV:
		value = getenv(ref->name);
		if (!value)
			return err_class(e, CLASS_CONFIG,
					 "the environment variable %s is not set; it should hold the secret",
					 ref->name);
		t->n = MIN(strlen(value), sizeof(t->s));
		memcpy(t->s, value, t->n);
		return 0;
	case SECRET_NONE:
		break;
	}
	return err_set(e, -EINVAL, "no secret is referenced");
}

/* As the first words of a message. */
static const char *subject(const struct secret_ref *ref)
{
	static const char *const words[] = { [SECRET_ENV] = "the environment variable",
					     [SECRET_FILE] = "the secret's file",
					     [SECRET_COMMAND] = "the output of the secret's command" };

	return arena_printf("%s %s", words[ref->kind], ref->name);
}

static int check_secret(const struct secret_ref *ref, struct secret_text *t, struct err *e)
{
	const char *why;

	if (t->n > MAX_SECRET)
		return err_class(e, CLASS_CONFIG, "%s is larger than 64 KiB", subject(ref));
	if (t->n && t->s[t->n - 1] == '\n')
		t->s[--t->n] = '\0';
	why = value_secret_fault(ref->form, t->s, t->n, ref->kind == SECRET_FILE ? ref->name : NULL);
	if (why)
		return err_class(e, CLASS_CONFIG, "%s %s", subject(ref), why);
	why = value_secret_doubt(ref->form, t->s, t->n);
	if (why)
		log_warning("%s %s", subject(ref), why);
	return 0;
}

int secret_resolve(const struct secret_ref *ref, enum secret_use use, const char **ret, size_t *ret_n, struct err *e)
{
	_cleanup_(secretref_wipe) struct secret_text *t = xcalloc(1, sizeof(*t));
	bool look = use == SECRET_READ || (use == SECRET_PROBE && ref->kind != SECRET_COMMAND);
	int r = look ? read_secret(ref, t, e) : 0;

	if (r < 0)
		return r;
	r = look ? check_secret(ref, t, e) : 0;
	if (r < 0)
		return r;
	*ret = use == SECRET_READ ? arena_strndup(t->s, t->n) : SECRETS_MASK;
	*ret_n = use == SECRET_READ ? t->n : strlen(SECRETS_MASK);
	return 0;
}
