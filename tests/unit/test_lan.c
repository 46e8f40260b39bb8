/* SPDX-License-Identifier: Apache-2.0 */
/* The switch between machines of QEMU: who gets a frame, and that nobody keeps the others from theirs. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/file.h"
#include "check.h"
#include "qemu/lan.h"

enum { FRAME = 60, PATIENCE_MS = 20000, SILENCE_MS = 50 };

/* In the place of the C library's: with this set the machine has no number left for whoever plugs in. */
static atomic_bool no_more_files;
static atomic_uint refused;
int accept4(int fd, __SOCKADDR_ARG at, socklen_t *restrict n, int flags)
{
	if (!no_more_files)
		return (int)syscall(SYS_accept4, fd, at.__sockaddr__, n, flags);
	refused++;
	errno = EMFILE;
	return -1;
}

static int plug_in(const char *dir)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", lan_socket(dir));
	return connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
}

/* A frame from station FROM to station TO, 0 being all; PIECE bytes at a time. */
static void say_to(int fd, unsigned char from, unsigned char to, size_t piece)
{
	unsigned char f[4 + FRAME] = { 0, 0, 0, FRAME, 2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from };

	if (!to)
		memset(f + 4, 0xff, 6);
	for (size_t at = 0; at < sizeof(f); at += piece)
		CHECK(send(fd, f + at, MIN(piece, sizeof(f) - at), MSG_NOSIGNAL) > 0);
}

/* The station that a frame came from; 0 = none came. */
static int heard_from(int fd, int patience)
{
	unsigned char f[4 + FRAME];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, patience) != 1 || recv(fd, f, sizeof(f), MSG_WAITALL) != sizeof(f))
		return 0;
	return f[15];
}

int main(void)
{
	const char *dir = NULL;
	struct lan *l = NULL;
	struct err e = { 0 };
	int a, b, c;

	CHECK_ERR(temp_dir("lan-test", &dir, &e), 0);
	CHECK_ERR(lan_open(dir, &l, &e), 0);
	a = plug_in(dir);
	b = plug_in(dir);
	c = plug_in(dir);

	CASE("a frame to all comes to all others, whole whatever its pieces were")
	{
		say_to(a, 1, 0, 7);
		CHECK_INT(heard_from(b, PATIENCE_MS), 1);
		CHECK_INT(heard_from(c, PATIENCE_MS), 1);
		CHECK_INT(heard_from(a, SILENCE_MS), 0);
	}
	CASE("one to a station that was heard comes there alone, one to a station that was not to all others")
	{
		say_to(b, 2, 1, 64);
		CHECK_INT(heard_from(a, PATIENCE_MS), 2);
		CHECK_INT(heard_from(c, SILENCE_MS), 0);
		say_to(a, 1, 9, 64);
		CHECK_INT(heard_from(b, PATIENCE_MS), 1);
		CHECK_INT(heard_from(c, PATIENCE_MS), 1);
	}
	CASE("a station that is plugged in elsewhere is found there")
	{
		close(b);
		b = plug_in(dir);
		say_to(b, 2, 0, 64);
		CHECK_INT(heard_from(a, PATIENCE_MS), 2);
		CHECK_INT(heard_from(c, PATIENCE_MS), 2);
		say_to(a, 1, 2, 64);
		CHECK_INT(heard_from(b, PATIENCE_MS), 1);
		CHECK_INT(heard_from(c, SILENCE_MS), 0);
	}
	CASE("who does not read keeps nobody from talking")
	{
		for (int i = 0; i < 20000; i++)
			say_to(a, 1, 2, 64);
		say_to(a, 1, 0, 64);
		CHECK_INT(heard_from(c, PATIENCE_MS), 1);
	}
	CASE("what is no Ethernet is unplugged, the others go on")
	{
		static const unsigned char nonsense[] = { 0x7f, 0xff, 0xff, 0xff, 1, 2, 3 };
		char rest;

		CHECK(send(b, nonsense, sizeof(nonsense), MSG_NOSIGNAL) == sizeof(nonsense));
		while (recv(b, &rest, 1, 0) > 0)
			;
		say_to(a, 1, 0, 64);
		CHECK_INT(heard_from(c, PATIENCE_MS), 1);
	}
	CASE("who cannot be let in for want of files waits, and is let in once there are some")
	{
		no_more_files = true;
		b = plug_in(dir);
		poll(NULL, 0, 200);
		CHECK(refused > 0 && refused < 50); /* not as often as a processor can */
		no_more_files = false;
		say_to(b, 2, 0, 64);
		CHECK_INT(heard_from(c, PATIENCE_MS), 2);
		CHECK_INT(heard_from(a, PATIENCE_MS), 2);
	}
	CASE("at its end all are unplugged, and nothing is left of it")
	{
		char rest;

		lan_close(l);
		CHECK_INT(recv(a, &rest, 1, 0), 0);
		CHECK_INT(access(lan_socket(dir), F_OK), -1);
		CHECK_INT(rmdir(dir), 0);
	}
	CASE("a folder whose path no socket can have is told, with what helps")
	{
		struct lan *none = NULL;
		char path[200];

		memset(path, 'x', sizeof(path));
		path[sizeof(path) - 1] = '\0';
		CHECK_ERR(lan_open(path, &none, &e), ENAMETOOLONG);
		CHECK(strstr(e.msg, "TMPDIR"));
	}
	return check_done();
}
