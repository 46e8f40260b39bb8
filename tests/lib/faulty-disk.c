/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk with one fault at a time, as a plugin of nbdkit: nbdkit -> nbdfuse -> losetup makes a block device of it. Its
 * bytes are those of `store`, a file that can be looked into. The fault stands in `control`, one line, read at each
 * request: "GENERATION KIND AT PID". A new generation fills the disk with its own byte under a valid boot sector and
 * starts to count anew. What was done is appended to `log`.
 *
 *	flip AT, torn AT, stale AT, drop AT, shift AT	the AT-th write (from 0) is stored wrong, once
 *	rflip AT		one bit of the AT-th read is wrong
 *	stuck AT		every write over byte AT stores one bit wrong
 *	ewrite AT, eread AT	every write (read) over byte AT is an error
 *	eflush AT		the AT-th flush is an error
 *	die AT			the disk is pulled out at the AT-th request
 *	kill AT			PID is killed when AT bytes were written
 *	wrap, limbo		only half the size is there: addresses wrap, or writes vanish
 *	keep			a new generation that leaves the bytes as they are
 *
 * With `record`, a file, every write is appended to it as { uint64_t offset, n; char bytes[n]; }, and a flush as one of
 * no bytes.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

static const char *store, *control, *log_path;
static int record = -1;
static unsigned char *map;
static int64_t size;
static struct {
	long generation;
	char kind[16];
	uint64_t at;
	int pid;
} now = { .generation = -1 };
static uint64_t writes, reads, flushes, written;

static int config(const char *key, const char *value)
{
	if (!strcmp(key, "store"))
		store = nbdkit_absolute_path(value);
	else if (!strcmp(key, "control"))
		control = nbdkit_absolute_path(value);
	else if (!strcmp(key, "log"))
		log_path = nbdkit_absolute_path(value);
	else if (!strcmp(key, "record"))
		record = open(value, O_WRONLY | O_APPEND | O_CLOEXEC);
	else
		return -1;
	return 0;
}

static int get_ready(void)
{
	int fd = open(store, O_RDWR);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	size = st.st_size;
	map = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? -1 : 0;
}

static void say(const char *what, uint64_t offset)
{
	FILE *f = fopen(log_path, "a");

	if (f) {
		fprintf(f, "%ld %s %s %llu writes=%llu reads=%llu flushes=%llu\n", now.generation, now.kind, what,
			(unsigned long long)offset, (unsigned long long)writes, (unsigned long long)reads,
			(unsigned long long)flushes);
		fclose(f);
	}
}

static void look(void)
{
	FILE *f = fopen(control, "r");
	unsigned long long at = 0;
	long generation = now.generation;
	char kind[16] = "none";
	int pid = 0;

	if (!f)
		return;
	if (fscanf(f, "%ld %15s %llu %d", &generation, kind, &at, &pid) < 2)
		generation = now.generation;
	fclose(f);
	if (generation == now.generation)
		return;
	now.generation = generation;
	strcpy(now.kind, kind);
	now.at = at;
	now.pid = pid;
	writes = reads = flushes = written = 0;
	if (!strcmp(kind, "keep") || pid < 0)
		return;
	memset(map, (int)(generation % 255 + 1), (size_t)size);
	map[510] = 0x55;
	map[511] = 0xaa;
}

static int is(const char *kind)
{
	return !strcmp(now.kind, kind);
}

static int covers(uint64_t offset, uint32_t n)
{
	return now.at >= offset && now.at < offset + n;
}

static void note(uint64_t offset, const void *bytes, uint64_t n)
{
	const uint64_t head[] = { offset, n };

	if (record >= 0 && (write(record, head, sizeof(head)) < 0 || write(record, bytes, n) < 0))
		_exit(1);
}

static void *open_disk(int readonly)
{
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t get_size(void *handle)
{
	return size;
}

static void maybe_die(void)
{
	if (is("die") && writes + reads + flushes == now.at) {
		say("died", 0);
		_exit(1);
	}
}

static int pread_disk(void *handle, void *buf, uint32_t n, uint64_t offset, uint32_t flags)
{
	look();
	maybe_die();
	if (is("eread") && covers(offset, n)) {
		nbdkit_set_error(EIO);
		return -1;
	}
	for (uint32_t i = 0; i < n; i += 512)
		memcpy((char *)buf + i, map + (is("wrap") ? (offset + i) % ((uint64_t)size / 2) : offset + i),
		       n - i < 512 ? n - i : 512);
	if (is("rflip") && reads == now.at) {
		((unsigned char *)buf)[(now.at * 7919) % n] ^= 1u << (now.at % 8);
		say("done", offset);
	}
	reads++;
	return 0;
}

/* One write, with the fault that is in force. */
static void save(const unsigned char *buf, uint32_t n, uint64_t offset)
{
	int hit = writes == now.at;
	uint64_t odd = now.at * 2654435761u;

	if (hit && is("drop"))
		return;
	if (hit && is("shift")) {
		uint64_t to = (offset + 512 * (1 + odd % 1000)) % ((uint64_t)size - n) / 512 * 512;

		memmove(map + to, buf, n);
		return;
	}
	for (uint32_t i = 0; i < n; i += 512) {
		uint64_t to = offset + i;

		if (is("wrap"))
			to %= (uint64_t)size / 2;
		if ((is("limbo") && to >= (uint64_t)size / 2) || (hit && is("torn") && i >= n / 2) ||
		    (hit && is("stale") && i / 512 == odd % ((n + 511) / 512)))
			continue;
		memcpy(map + to, buf + i, n - i < 512 ? n - i : 512);
	}
	if (hit && is("flip"))
		map[offset + odd % n] ^= 1u << (odd % 8);
	if (is("stuck") && covers(offset, n))
		map[now.at] ^= 1;
}

static int pwrite_disk(void *handle, const void *buf, uint32_t n, uint64_t offset, uint32_t flags)
{
	look();
	maybe_die();
	if (is("ewrite") && covers(offset, n)) {
		nbdkit_set_error(EIO);
		return -1;
	}
	save(buf, n, offset);
	note(offset, buf, n);
	if (!is("wrap") && !is("limbo") && memcmp(map + offset, buf, n) != 0)
		say("done", offset);
	writes++;
	written += n;
	if (is("kill") && now.pid && written >= now.at) {
		kill(now.pid < 0 ? -now.pid : now.pid, SIGKILL);
		say("killed", offset);
		now.pid = 0;
	}
	return 0;
}

static int flush_disk(void *handle, uint32_t flags)
{
	look();
	maybe_die();
	if (is("eflush") && flushes++ == now.at) {
		say("done", 0);
		nbdkit_set_error(EIO);
		return -1;
	}
	flushes += !is("eflush");
	note(0, "", 0);
	say("flushed", 0);
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "faulty",
	.config = config,
	.get_ready = get_ready,
	.open = open_disk,
	.get_size = get_size,
	.pread = pread_disk,
	.pwrite = pwrite_disk,
	.flush = flush_disk,
};
NBDKIT_REGISTER_PLUGIN(plugin)
