/* SPDX-License-Identifier: Apache-2.0 */
#include "base/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/file.h"

enum { SLOTS = 4, ALIGN = 4096 };
static const size_t hole = 64 * KIB; /* zero runs shorter than this are written */

struct slot {
	void *buf;
	size_t n;
	uint64_t offset;
	enum { SLOT_FREE, SLOT_TAKEN, SLOT_READY } state;
};

struct writer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct slot slots[SLOTS];
	unsigned next_in, next_out; /* slots are used in turn, so writes keep their order */
	bool ending;
	int error; /* negative errno of the first failed write */
	int fds[WRITER_MAX_FILES];
	unsigned n_fds;
	writer_fn fn; /* instead of files */
	void *arg;
	void *memory;
};

static void set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT);
}

static int write_range(int fd, const char *buf, size_t n, uint64_t offset)
{
	int r;

	if (n % ALIGN)
		set_direct(fd, false);
	r = pwrite_all(fd, buf, n, offset);
	if (r == -EINVAL) { /* this filesystem takes O_DIRECT at open only to refuse it here */
		set_direct(fd, false);
		r = pwrite_all(fd, buf, n, offset);
	}
	return r;
}

static int write_data(const struct writer *w, const char *buf, size_t n, uint64_t offset)
{
	int r = 0;

	for (unsigned i = 0; i < w->n_fds && r == 0; i++)
		r = write_range(w->fds[i], buf, n, offset);
	return r;
}

/* Runs of data between runs of zeros. */
static int write_slot(const struct writer *w, const struct slot *s)
{
	const char *buf = s->buf;
	size_t start = 0, end;
	int r = 0;

	if (w->fn)
		return w->fn(w->arg, buf, s->n, s->offset);
	while (start < s->n && r == 0) {
		while (start < s->n && is_zero(buf + start, MIN(hole, s->n - start)))
			start += hole;
		for (end = start; end < s->n && !is_zero(buf + end, MIN(hole, s->n - end));)
			end += hole;
		if (start < s->n)
			r = write_data(w, buf + start, MIN(end, s->n) - start, s->offset + start);
		start = end;
	}
	return r;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct slot *s;
	int r;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		s = &w->slots[w->next_out % SLOTS];
		while (s->state != SLOT_READY && !w->ending)
			pthread_cond_wait(&w->changed, &w->lock);
		if (s->state != SLOT_READY)
			break;
		pthread_mutex_unlock(&w->lock);
		r = w->error ? 0 : write_slot(w, s);
		pthread_mutex_lock(&w->lock);
		if (r < 0 && !w->error)
			w->error = r;
		s->state = SLOT_FREE;
		w->next_out++;
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static int start(struct writer **ret, const int *fds, unsigned n, writer_fn fn, void *arg, struct err *e)
{
	struct writer *w = xcalloc(1, sizeof(*w));
	int r;

	w->memory = mmap(NULL, SLOTS * WRITER_BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->memory == MAP_FAILED) {
		free(w);
		return err_errno(e, -errno, "cannot allocate buffers");
	}
	for (unsigned i = 0; i < SLOTS; i++)
		w->slots[i].buf = (char *)w->memory + i * WRITER_BUFFER;
	w->fn = fn;
	w->arg = arg;
	w->n_fds = MIN(n, (unsigned)WRITER_MAX_FILES);
	for (unsigned i = 0; i < w->n_fds; i++) {
		w->fds[i] = fds[i];
		set_direct(fds[i], true);
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	r = -pthread_create(&w->thread, NULL, writer_main, w);
	if (r < 0) {
		munmap(w->memory, SLOTS * WRITER_BUFFER);
		free(w);
		return err_errno(e, r, "cannot start a thread");
	}
	*ret = w;
	return 0;
}

int writer_start(struct writer **ret, const int *fds, unsigned n, struct err *e)
{
	return start(ret, fds, n, NULL, NULL, e);
}

int writer_start_fn(struct writer **ret, writer_fn fn, void *arg, struct err *e)
{
	return start(ret, NULL, 0, fn, arg, e);
}

void *writer_buffer(struct writer *w)
{
	struct slot *s = &w->slots[w->next_in % SLOTS];
	void *buf;

	pthread_mutex_lock(&w->lock);
	while (s->state != SLOT_FREE && !w->error)
		pthread_cond_wait(&w->changed, &w->lock);
	if (!w->error)
		s->state = SLOT_TAKEN;
	buf = w->error ? NULL : s->buf;
	pthread_mutex_unlock(&w->lock);
	return buf;
}

void writer_submit(struct writer *w, void *buf, size_t n, uint64_t offset)
{
	struct slot *s = &w->slots[w->next_in % SLOTS];

	pthread_mutex_lock(&w->lock);
	s->n = n;
	s->offset = offset;
	s->state = SLOT_READY;
	w->next_in++;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

int writer_finish(struct writer *w, uint64_t size, struct err *e)
{
	int r;

	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	r = w->error;
	for (unsigned i = 0; i < w->n_fds; i++) {
		set_direct(w->fds[i], false);
		if (r == 0 && ftruncate(w->fds[i], (off_t)size) < 0)
			r = -errno;
	}
	munmap(w->memory, SLOTS * WRITER_BUFFER);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return r < 0 ? err_errno(e, r, "cannot write the image") : 0;
}
