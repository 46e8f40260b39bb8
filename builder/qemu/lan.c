/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/lan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/pool.h"

enum {
	LENGTH_BYTES = 4,
	MAC_BYTES = 6,
	MIN_FRAME = 14,
	MAX_FRAME = 4096 + 65536, /* QEMU's NET_BUFSIZE */
	MAX_PORTS = 256,
	MAX_STATIONS = 1024,
	AGAIN_MS = 20, /* until what the machine could not do is tried again */
};

/* Each direction has room for one frame: what does not fit is lost, as in any switch. */
struct lan_port {
	int fd;
	unsigned char in[LENGTH_BYTES + MAX_FRAME], out[LENGTH_BYTES + MAX_FRAME];
	size_t n_in, n_out, sent;
};

struct station {
	unsigned char mac[MAC_BYTES];
	struct lan_port *port;
};

struct lan {
	pthread_t thread;
	int listener, stop[2]; /* a byte in the pipe ends the thread */
	const char *path;
	struct lan_port *ports[MAX_PORTS];
	size_t n_ports;
	struct station stations[MAX_STATIONS];
	size_t n_stations;
};

/* ---- who is where ---- */

static struct station *station_find(struct lan *l, const unsigned char *mac)
{
	for (size_t i = 0; i < l->n_stations; i++)
		if (memcmp(l->stations[i].mac, mac, MAC_BYTES) == 0)
			return &l->stations[i];
	return NULL;
}

static void station_learn(struct lan *l, const unsigned char *mac, struct lan_port *p)
{
	struct station *s = station_find(l, mac);

	if (!s && l->n_stations < MAX_STATIONS)
		s = &l->stations[l->n_stations++];
	if (!s)
		return; /* unknown ones are flooded */
	memcpy(s->mac, mac, MAC_BYTES);
	s->port = p;
}

static void port_unplug(struct lan *l, size_t at)
{
	struct lan_port *p = l->ports[at];
	size_t kept = 0;

	for (size_t i = 0; i < l->n_stations; i++)
		if (l->stations[i].port != p)
			l->stations[kept++] = l->stations[i];
	l->n_stations = kept;
	close(p->fd);
	free(p);
	l->ports[at] = l->ports[--l->n_ports];
}

/* All that wait: who plugged in before another one spoke hears it. One that cannot be let in for want of the machine's
 * means waits on, and would be told of at once again. */
static void plug_all(struct lan *l)
{
	int fd;

	while ((fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (l->n_ports == MAX_PORTS) {
			close(fd);
			continue;
		}
		l->ports[l->n_ports] = xcalloc(1, sizeof(struct lan_port));
		l->ports[l->n_ports++]->fd = fd;
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		poll(NULL, 0, AGAIN_MS);
}

/* ---- frames ---- */

/* A port that is gone is found by its next read. */
static void port_flush(struct lan_port *p)
{
	ssize_t n = send(p->fd, p->out + p->sent, p->n_out - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		p->sent += (size_t)n;
	if (p->sent == p->n_out)
		p->sent = p->n_out = 0;
}

static void port_send(struct lan_port *p, const unsigned char *frame, size_t n)
{
	if (p->n_out)
		port_flush(p);
	if (p->n_out)
		return;
	memcpy(p->out, frame, n);
	p->n_out = n;
	port_flush(p);
}

/* FRAME with its length in front, N bytes in all. */
static void lan_forward(struct lan *l, struct lan_port *from, const unsigned char *frame, size_t n)
{
	const unsigned char *to = frame + LENGTH_BYTES, *by = to + MAC_BYTES;
	bool to_group = to[0] & 1;
	const struct station *s = to_group ? NULL : station_find(l, to);

	if (!(by[0] & 1))
		station_learn(l, by, from);
	for (size_t i = 0; i < l->n_ports; i++)
		if (l->ports[i] != from && (!s || s->port == l->ports[i]))
			port_send(l->ports[i], frame, n);
}

/* False when the port is gone, or talks no Ethernet. */
static bool port_read(struct lan *l, struct lan_port *p)
{
	ssize_t n = recv(p->fd, p->in + p->n_in, sizeof(p->in) - p->n_in, MSG_DONTWAIT);
	size_t at = 0;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	p->n_in += (size_t)n;
	while (p->n_in - at >= LENGTH_BYTES) {
		const unsigned char *b = p->in + at;
		size_t size = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];

		if (size < MIN_FRAME || size > MAX_FRAME)
			return false;
		if (p->n_in - at < LENGTH_BYTES + size)
			break;
		lan_forward(l, p, b, LENGTH_BYTES + size);
		at += LENGTH_BYTES + size;
	}
	p->n_in -= at;
	memmove(p->in, p->in + at, p->n_in);
	return n > 0;
}

static void *lan_run(void *arg)
{
	struct lan *l = arg;
	struct pollfd fds[2 + MAX_PORTS];

	for (;;) {
		size_t n = l->n_ports;

		fds[0] = (struct pollfd){ .fd = l->stop[0], .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = l->listener, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			fds[2 + i] = (struct pollfd){
				.fd = l->ports[i]->fd,
				.events = (short)(POLLIN | (l->ports[i]->n_out ? POLLOUT : 0)),
			};
		if (poll(fds, 2 + n, -1) < 0) {
			if (errno != EINTR)
				poll(NULL, 0, AGAIN_MS);
			continue;
		}
		if (fds[0].revents)
			return NULL;
		plug_all(l);
		/* From the last on: one that is unplugged has its place taken by one behind it. */
		for (size_t i = n; i-- > 0;) {
			if (fds[2 + i].revents & POLLOUT)
				port_flush(l->ports[i]);
			if (fds[2 + i].revents & ~POLLOUT && !port_read(l, l->ports[i]))
				port_unplug(l, i);
		}
	}
}

/* ---- its life ---- */

const char *lan_socket(const char *dir)
{
	return path_join(dir, "switch");
}

static int lan_listen(struct lan *l, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (strlen(l->path) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "%s is too long a path for a socket: set TMPDIR to a folder with a shorter one",
			       l->path);
	strcpy(at.sun_path, l->path);
	l->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->listener < 0 || bind(l->listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(l->listener, MAX_PORTS) < 0)
		return err_errno(e, -errno, "cannot listen at %s", l->path);
	return 0;
}

static void lan_free(struct lan *l)
{
	while (l->n_ports)
		port_unplug(l, l->n_ports - 1);
	closep(&l->listener);
	closep(&l->stop[0]);
	closep(&l->stop[1]);
	free(l);
}

int lan_open(const char *dir, struct lan **ret, struct err *e)
{
	struct lan *l = xcalloc(1, sizeof(*l));
	int r;

	l->path = lan_socket(dir);
	l->listener = l->stop[0] = l->stop[1] = -1;
	r = lan_listen(l, e);
	if (r == 0 && pipe2(l->stop, O_CLOEXEC) < 0)
		r = err_errno(e, -errno, "cannot make a pipe");
	if (r == 0)
		r = thread_start(&l->thread, lan_run, l, e);
	if (r < 0)
		lan_free(l);
	else
		*ret = l;
	return r;
}

void lan_close(struct lan *l)
{
	if (!l)
		return;
	unlink(l->path);
	closep(&l->stop[1]);
	pthread_join(l->thread, NULL);
	lan_free(l);
}
