/* SPDX-License-Identifier: Apache-2.0 */
/* libext2fs on an image by handle: an io_manager that reads and writes a struct cow. */
#include "fs/internal.h"

#include <errno.h>

static _Thread_local const struct fs_place *next_open;

void cow_io_prepare(const struct fs_place *at)
{
	next_open = at;
}

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
	struct struct_io_channel *io = xcalloc(1, sizeof(*io));
	struct fs_place *p = xcalloc(1, sizeof(*p));

	*p = *next_open;
	io->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	io->manager = cow_io_manager;
	io->name = xstrdup(name);
	io->block_size = 1024; /* until libext2fs knows better: the size the superblock is read by */
	io->refcount = 1;
	io->private_data = p;
	*ret = io;
	return 0;
}

static errcode_t io_close(io_channel io)
{
	if (--io->refcount > 0)
		return 0;
	free(io->private_data);
	free(io->name);
	free(io);
	return 0;
}

static errcode_t io_set_blksize(io_channel io, int size)
{
	io->block_size = size;
	return 0;
}

/* A negative count is a number of bytes. */
static size_t io_bytes(io_channel io, int count)
{
	return count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)io->block_size;
}

uint64_t cow_io_place(io_channel io, unsigned long long block)
{
	const struct fs_place *p = io->private_data;

	return p->offset + block * (uint64_t)io->block_size;
}

static struct cow *cow_of(io_channel io)
{
	return ((struct fs_place *)io->private_data)->image;
}

static errcode_t result(int r)
{
	return r == -ENODATA ? EXT2_ET_SHORT_READ : (errcode_t)-r;
}

static errcode_t io_read64(io_channel io, unsigned long long block, int count, void *data)
{
	return result(cow_read(cow_of(io), data, io_bytes(io, count), cow_io_place(io, block)));
}

static errcode_t io_write64(io_channel io, unsigned long long block, int count, const void *data)
{
	return result(cow_write(cow_of(io), data, io_bytes(io, count), cow_io_place(io, block)));
}

static errcode_t io_read(io_channel io, unsigned long block, int count, void *data)
{
	return io_read64(io, block, count, data);
}

static errcode_t io_write(io_channel io, unsigned long block, int count, const void *data)
{
	return io_write64(io, block, count, data);
}

static errcode_t io_write_byte(io_channel io, unsigned long offset, int n, const void *data)
{
	const struct fs_place *p = io->private_data;

	return result(cow_write(p->image, data, (size_t)n, p->offset + offset));
}

static errcode_t io_zeroout(io_channel io, unsigned long long block, unsigned long long count)
{
	return result(cow_zero(cow_of(io), count * (uint64_t)io->block_size, cow_io_place(io, block)));
}

/* Nothing is cached, nothing has to be flushed. */
static errcode_t io_flush(io_channel io)
{
	return 0;
}

static errcode_t io_set_option(io_channel io, const char *option, const char *arg)
{
	return 0;
}

static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "pibuild image",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_blksize,
	.read_blk = io_read,
	.write_blk = io_write,
	.flush = io_flush,
	.write_byte = io_write_byte,
	.set_option = io_set_option,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
	.zeroout = io_zeroout,
};
const io_manager cow_io_manager = &manager;
