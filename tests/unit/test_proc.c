/* SPDX-License-Identifier: Apache-2.0 */
/* Programs run by proc_run(): stand-in tools in a folder of its own at the front of PATH. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/sig.h"
#include "check.h"

static char dir[] = "/tmp/test_proc.XXXXXX";

/* In the place of the C library's: with this set, what has come cannot be read. */
static int reading_fails; /* errno */
ssize_t read(int fd, void *buf, size_t n)
{
	ssize_t got = syscall(SYS_read, fd, buf, n);

	if (!reading_fails || got <= 0)
		return got;
	errno = reading_fails;
	return -1;
}

/* Makes "gpgv" of the table a shell script. */
static void tool(const char *script)
{
	struct err e = { 0 };
	_cleanup_free_ char *path = xasprintf("%s/gpgv", dir);
	_cleanup_free_ char *text = xasprintf("#!/bin/sh\n%s\n", script);

	if (file_publish(path, text, strlen(text), 0755, &e) < 0)
		abort();
}

static int run(const char *script, struct proc p, struct err *e)
{
	static const char *const argv[] = { "gpgv", "one", "two words", NULL };

	tool(script);
	p.argv = argv;
	*e = (struct err){ 0 };
	return proc_run(&p, e);
}

static void test_results(void)
{
	struct err e;

	CASE("output that cannot be read is a failure, not a short output")
	{
		_cleanup_strbuf_ struct strbuf out = { 0 };

		reading_fails = EIO;
		CHECK_ERR(run("echo some", (struct proc){ .output = &out }, &e), EIO);
		reading_fails = 0;
		CHECK(strstr(e.msg, "cannot read what gpgv prints"));
	}
	CASE("gives the output and the arguments as they are")
	{
		_cleanup_strbuf_ struct strbuf out = { 0 };

		CHECK_ERR(run("printf '%s|' \"$@\"", (struct proc){ .output = &out }, &e), 0);
		CHECK_STR(out.s, "one|two words|");
	}
	CASE("feeds more input than a pipe holds")
	{
		_cleanup_strbuf_ struct strbuf out = { 0 };
		size_t n = 3 * MIB;
		_cleanup_free_ char *big = xcalloc(n, 1);

		CHECK_ERR(run("wc -c", (struct proc){ .input = big, .input_n = n, .output = &out }, &e), 0);
		CHECK_INT(atoll(out.s), n);
	}
	CASE("a program that reads nothing is no failure")
	{
		size_t n = 3 * MIB;
		_cleanup_free_ char *big = xcalloc(n, 1);

		CHECK_ERR(run("exit 0", (struct proc){ .input = big, .input_n = n }, &e), 0);
	}
	CASE("stdin is empty when there is no input")
	{
		CHECK_ERR(run("test -z \"$(cat)\"", (struct proc){ 0 }, &e), 0);
	}
	CASE("an exit code is a failure with the program's words on one line")
	{
		CHECK_ERR(run("echo first >&2; echo '	second' >&2; exit 7", (struct proc){ 0 }, &e), EIO);
		CHECK_STR(e.msg, "gpgv failed with exit code 7: first second");
	}
	CASE("exit codes named fine are fine")
	{
		int code = -1;

		CHECK_ERR(run("exit 7", (struct proc){ .ok_codes = 1 << 7, .exit_code = &code }, &e), 0);
		CHECK_INT(code, 7);
	}
	CASE("a death by signal is told apart")
	{
		CHECK_ERR(run("kill -9 $$", (struct proc){ 0 }, &e), EIO);
		CHECK_STR(e.msg, "gpgv was killed by SIGKILL");
		CHECK(err_is_machines(&e));
	}
}

static void test_environment(void)
{
	struct err e;

	CASE("the environment is fixed, nothing of ours leaks")
	{
		_cleanup_strbuf_ struct strbuf out = { 0 };

		setenv("DO_TOKEN", "canary", 1);
		setenv("LANG", "de_DE.UTF-8", 1);
		CHECK_ERR(run("env", (struct proc){ .epoch = 1700000000, .output = &out }, &e), 0);
		CHECK(!strstr(out.s, "canary") && !strstr(out.s, "LANG="));
		CHECK(strstr(out.s, "LC_ALL=C\n") && strstr(out.s, "TZ=UTC\n"));
		CHECK(strstr(out.s, "SOURCE_DATE_EPOCH=1700000000\n"));
		CHECK(strstr(out.s, "E2FSPROGS_FAKE_TIME=1700000000\n"));
	}
	CASE("the file is given as a descriptor, whatever its name")
	{
		_cleanup_strbuf_ struct strbuf out = { 0 };
		_cleanup_free_ char *path = xasprintf("%s/-odd @@1?offset=2", dir);
		_cleanup_close_ int fd = -1;

		CHECK_ERR(file_publish(path, "hello", 5, 0600, &e), 0);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		CHECK_ERR(run("cat " PROC_FILE "; printf ' world' >>" PROC_FILE,
			      (struct proc){ .file = path, .file_fd = fd, .output = &out }, &e),
			  0);
		CHECK_STR(out.s, "hello");
		CHECK_ERR(run("echo bad " PROC_FILE " >&2; exit 1", (struct proc){ .file = path, .file_fd = fd }, &e),
			  EIO);
		CHECK(strstr(e.msg, "bad /tmp/") && strstr(e.msg, "-odd @@1?offset=2"));
	}
	CASE("no other descriptor is inherited")
	{
		_cleanup_strbuf_ struct strbuf out = { 0 };
		_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		CHECK(fd >= 3);
		CHECK_ERR(run("for f in 3 4 5 6 7 8 9; do test -e /proc/self/fd/$f && echo $f; done; true",
			      (struct proc){ .output = &out }, &e),
			  0);
		CHECK_INT(out.n, 0);
	}
}

static void test_limits(void)
{
	struct err e;

	CASE("a program outside the table is refused")
	{
		const char *const argv[] = { "sh", "-c", "true", NULL };

		CHECK_ERR(proc_run(&(struct proc){ .argv = argv }, &e), EINVAL);
	}
	CASE("a missing program is class HOST and names the package")
	{
		const char *const argv[] = { "gpgv", NULL };
		_cleanup_free_ char *path = xasprintf("%s/gpgv", dir), *old = xstrdup(getenv("PATH"));

		unlink(path);
		setenv("PATH", dir, 1);
		if (!proc_find("gpgv")) { /* it may stand in /usr/sbin or /sbin */
			CHECK(proc_run(&(struct proc){ .argv = argv }, &e) < 0);
			CHECK_INT(e.class, CLASS_HOST);
			CHECK(strstr(e.msg, "install the package gpgv") != NULL);
		}
		setenv("PATH", old, 1);
	}
	CASE("a program starts where there are few numbers for files")
	{
		struct rlimit all, few;

		CHECK_INT(getrlimit(RLIMIT_NOFILE, &all), 0);
		few = (struct rlimit){ 32, all.rlim_max };
		CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
		CHECK_ERR(run("exit 0", (struct proc){ 0 }, &e), 0);
		CHECK_INT(setrlimit(RLIMIT_NOFILE, &all), 0);
	}
	CASE("a folder that cannot be entered is not taken for a program that is missing")
	{
		CHECK(run("exit 0", (struct proc){ .dir = "/no/such/place" }, &e) < 0);
		CHECK(strstr(e.msg, "cannot enter the folder /no/such/place: No such file"));
	}
	CASE("a program that hangs is stopped")
	{
		double start = now_seconds();

		CHECK_ERR(run("exec sleep 30", (struct proc){ .timeout = 1 }, &e), ETIMEDOUT);
		CHECK(now_seconds() - start < 5);
	}
	CASE("a program that closes its outputs and hangs is stopped too")
	{
		CHECK_ERR(run("exec sleep 30 >&- 2>&-", (struct proc){ .timeout = 1 }, &e), ETIMEDOUT);
	}
	CASE("a child left behind with the pipes does not hold us")
	{
		double start = now_seconds();

		CHECK_ERR(run("sleep 5 & exit 0", (struct proc){ 0 }, &e), 0);
		CHECK(now_seconds() - start < 2);
	}
	CASE("endless output is refused")
	{
		_cleanup_strbuf_ struct strbuf out = { 0 };

		CHECK_ERR(run("exec cat /dev/zero", (struct proc){ .output = &out }, &e), E2BIG);
	}
	CASE("endless words on stderr keep only their tail")
	{
		CHECK_ERR(run("head -c 40000000 /dev/zero >&2; echo end >&2; exit 1", (struct proc){ 0 }, &e), EIO);
		CHECK(ends_with(e.msg, "end"));
	}
	CASE("an interruption ends the program")
	{
		sig_install();
		CHECK_ERR(run("kill -INT $PPID; exec sleep 30", (struct proc){ 0 }, &e), EINTR);
		CHECK(err_interrupted(&e));
	}
}

int main(void)
{
	struct err e;
	_cleanup_free_ char *path = NULL;

	if (!mkdtemp(dir))
		return 1;
	path = xasprintf("%s:%s", dir, getenv("PATH"));
	setenv("PATH", path, 1);
	signal(SIGPIPE, SIG_IGN);
	test_results();
	test_environment();
	test_limits();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
