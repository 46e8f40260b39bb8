/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/disk.h"

#include <errno.h>
#include <libfdisk/libfdisk.h>

#include "base/codec.h"
#include "base/file.h"

enum { GPT_PROTECTIVE = 0xee };

struct table {
	const char *name;
	struct fdisk_context *cxt;
	struct strbuf said; /* by libfdisk */
};

static void table_done(struct table *t)
{
	fdisk_unref_context(t->cxt);
	strbuf_done(&t->said);
}

/* There is nobody to answer libfdisk's questions; what it says belongs into our message. */
static int refuse_ask(struct fdisk_context *cxt, struct fdisk_ask *ask, void *arg)
{
	int type = fdisk_ask_get_type(ask);
	bool says = type == FDISK_ASKTYPE_WARN || type == FDISK_ASKTYPE_WARNX || type == FDISK_ASKTYPE_INFO;
	const char *text = says ? fdisk_ask_print_get_mesg(ask) : fdisk_ask_get_query(ask);
	struct strbuf *said = arg;

	if (text && type != FDISK_ASKTYPE_INFO && said->n < 512)
		strbuf_addf(said, "%s%s", said->n ? "; " : "", text);
	return says ? 0 : -ECANCELED;
}

static int table_error(const struct table *t, int r, const char *what, struct err *e)
{
	if (t->said.n)
		return err_set(e, r, "%s: %s: %s", t->name, what, t->said.s);
	return err_errno(e, r, "%s: %s", t->name, what);
}

/* Before libfdisk looks: the chain of logical partitions is where hostile tables loop, and it leaks on them. */
static bool has_extended(const unsigned char sector[SECTOR])
{
	bool found = false;

	for (size_t at = 446 + 4; at < SECTOR - 2; at += 16)
		found |= sector[at] == 0x05 || sector[at] == 0x0f || sector[at] == 0x85;
	return found && sector[SECTOR - 2] == 0x55 && sector[SECTOR - 1] == 0xaa;
}

static bool is_compressed(const unsigned char sector[SECTOR])
{
	return codec_of_head(sector, SECTOR) != CODEC_COUNT;
}

/* The file itself, by the descriptor it is open as: libfdisk would fsync() the whole image when it closes one of its
 * own. */
static int table_assign(struct table *t, const struct cow *image, bool read_only, struct err *e)
{
	t->name = cow_name(image);
	t->cxt = fdisk_new_context();
	if (!t->cxt)
		return err_set(e, -ENOMEM, "cannot start libfdisk");
	fdisk_set_ask(t->cxt, refuse_ask, &t->said);
	return fdisk_assign_device_by_fd(t->cxt, cow_file(image), t->name, read_only);
}

static int table_open(struct table *t, const struct cow *image, bool read_only, struct err *e)
{
	const char *path = cow_name(image);
	unsigned char first[SECTOR];
	int r;

	r = pread_all(cow_file(image), first, sizeof(first), 0);
	if (r == -ENODATA)
		return err_set(e, -EINVAL, "%s: is too short for a disk image", path);
	if (r < 0)
		return err_errno(e, r, "cannot read %s", path);
	if (is_compressed(first))
		return err_set(e, -EINVAL, "%s is compressed: unpack it first, for example with `xz -dk`", path);
	if (has_extended(first))
		return err_set(e, -EINVAL, "%s: has an extended partition; pibuild needs two primary ones", path);
	r = table_assign(t, image, read_only, e);
	if (r < 0) {
		/* Of what stands there nothing was judged yet. */
		table_error(t, r, "cannot read the partition table", e);
		e->machine = r != -EIO;
		return r;
	}
	if (fdisk_get_sector_size(t->cxt) != SECTOR)
		return err_set(e, -EINVAL, "%s: sectors of %lu bytes are not supported, only of 512", path,
			       fdisk_get_sector_size(t->cxt));
	if (fdisk_is_label(t->cxt, GPT))
		return err_set(e, -EINVAL,
			       "%s: has a GPT; Raspberry Pi images, and so pibuild, use an MBR partition table", path);
	if (!fdisk_has_label(t->cxt))
		return err_set(e, -EINVAL, "%s: has no partition table: it is no disk image", path);
	if (!fdisk_is_label(t->cxt, DOS))
		return err_set(e, -EINVAL, "%s: has a partition table of type %s, not an MBR", path,
			       fdisk_label_get_name(fdisk_get_label(t->cxt, NULL)));
	return 0;
}

static int add_partition(const struct table *t, struct fdisk_partition *pa, struct disk *d, struct err *e)
{
	struct partition p = {
		.number = (unsigned)fdisk_partition_get_partno(pa) + 1,
		.start = fdisk_partition_get_start(pa) * SECTOR,
		.size = fdisk_partition_get_size(pa) * SECTOR,
		.type = fdisk_parttype_get_code(fdisk_partition_get_type(pa)),
	};

	if (p.type == GPT_PROTECTIVE)
		return err_set(e, -EINVAL, "%s: has a damaged GPT; pibuild uses an MBR partition table", t->name);
	if (p.start == 0)
		return err_set(e, -EINVAL, "%s: partition %u lies over the partition table", t->name, p.number);
	if (p.start > d->size || p.size > d->size - p.start)
		return err_set(e, -EINVAL,
			       "%s: partition %u ends at byte %llu, but the file has only %llu: it is cut off", t->name,
			       p.number, (unsigned long long)(p.start + p.size), (unsigned long long)d->size);
	for (unsigned i = 0; i < d->n; i++)
		if (p.start < d->parts[i].start + d->parts[i].size && d->parts[i].start < p.start + p.size)
			return err_set(e, -EINVAL, "%s: partitions %u and %u overlap", t->name, d->parts[i].number,
				       p.number);
	d->parts[d->n++] = p;
	return 0;
}

static int table_describe(const struct table *t, struct disk *ret, struct err *e)
{
	struct disk d = { .size = fdisk_get_nsectors(t->cxt) * SECTOR };
	struct fdisk_table *list = NULL;
	struct fdisk_iter *it = fdisk_new_iter(FDISK_ITER_FORWARD);
	struct fdisk_partition *pa;
	char *id = NULL;
	int r = it ? fdisk_get_partitions(t->cxt, &list) : -ENOMEM;

	if (r < 0)
		r = table_error(t, r, "cannot read the partitions", e);
	while (r == 0 && d.n < ARRAY_SIZE(d.parts) && fdisk_table_next_partition(list, it, &pa) == 0)
		r = add_partition(t, pa, &d, e);
	if (r == 0 && d.n == 0)
		r = err_set(e, -EINVAL, "%s: has no partitions", t->name);
	if (r == 0 && fdisk_get_disklabel_id(t->cxt, &id) == 0 && id)
		d.id = (uint32_t)strtoul(id, NULL, 16);
	free(id);
	fdisk_unref_table(list);
	fdisk_free_iter(it);
	if (r < 0)
		return r;
	*ret = d;
	return 0;
}

int disk_read(const struct cow *image, struct disk *ret, struct err *e)
{
	_cleanup_(table_done) struct table t = { 0 };
	int r = table_open(&t, image, true, e);

	return r < 0 ? r : table_describe(&t, ret, e);
}

static const char *wrong_layout(const struct disk *d)
{
	const struct partition *boot = &d->parts[0], *root = &d->parts[1];

	if (boot->number != 1 || (boot->type != 0x0b && boot->type != 0x0c && boot->type != 0x0e))
		return "its first partition is not the FAT that a Raspberry Pi boots from";
	if (d->n < 2)
		return "it has no second partition for the root filesystem";
	if (d->n > 2)
		return "it has more than two partitions; neither pibuild nor Raspberry Pi OS could grow the root";
	if (root->number != 2 || root->type != DISK_LINUX)
		return "its second partition is not of type 83 (Linux)";
	if (root->start < boot->start)
		return "its root partition does not come last, so it cannot grow";
	return NULL;
}

int disk_read_base(const struct cow *image, struct disk *ret, struct err *e)
{
	const char *wrong;
	struct disk d;
	int r = disk_read(image, &d, e);

	if (r < 0)
		return r;
	wrong = wrong_layout(&d);
	if (wrong)
		return err_set(e, -EINVAL, "%s: %s (needed: 1 FAT, 2 ext4, as in Raspberry Pi OS)", cow_name(image),
			       wrong);
	*ret = d;
	return 0;
}

static int table_add(const struct table *t, const struct partition *p, struct err *e)
{
	struct fdisk_partition *pa = fdisk_new_partition();
	struct fdisk_parttype *type = fdisk_label_get_parttype_from_code(fdisk_get_label(t->cxt, NULL), p->type);
	int r = pa && type ? 0 : -ENOMEM;

	if (r == 0)
		r = fdisk_partition_set_type(pa, type);
	if (r == 0)
		r = fdisk_partition_set_partno(pa, p->number - 1);
	if (r == 0)
		r = fdisk_partition_set_start(pa, p->start / SECTOR);
	if (r == 0)
		r = fdisk_partition_size_explicit(pa, 1);
	if (r == 0)
		r = fdisk_partition_set_size(pa, p->size / SECTOR);
	if (r == 0)
		r = fdisk_add_partition(t->cxt, pa, NULL);
	fdisk_unref_partition(pa);
	return r < 0 ? table_error(t, r, "cannot add a partition", e) : 0;
}

int disk_create(struct cow *image, const struct disk *d, struct err *e)
{
	_cleanup_(table_done) struct table t = { 0 };
	char id[16];
	int r = table_assign(&t, image, false, e);

	snprintf(id, sizeof(id), "0x%08x", d->id);
	if (r == 0)
		r = fdisk_create_disklabel(t.cxt, "dos");
	if (r == 0)
		r = fdisk_set_disklabel_id_from_string(t.cxt, id);
	if (r < 0)
		return table_error(&t, r, "cannot make a partition table", e);
	for (unsigned i = 0; r == 0 && i < d->n; i++)
		r = table_add(&t, &d->parts[i], e);
	if (r == 0 && fdisk_write_disklabel(t.cxt) < 0)
		r = table_error(&t, -EIO, "cannot write the partition table", e);
	return r;
}

/* Only the size: start, type, boot flag and disk id are taken over by libfdisk from what is there. */
static int table_resize(const struct table *t, unsigned number, uint64_t size, struct err *e)
{
	struct fdisk_partition *pa = fdisk_new_partition();
	int r = pa ? 0 : -ENOMEM;

	if (r == 0)
		r = fdisk_partition_size_explicit(pa, 1);
	if (r == 0)
		r = fdisk_partition_set_size(pa, size / SECTOR);
	if (r == 0)
		r = fdisk_set_partition(t->cxt, number - 1, pa);
	if (r == 0)
		r = fdisk_write_disklabel(t->cxt);
	fdisk_unref_partition(pa);
	return r < 0 ? table_error(t, r, "cannot change the partition table", e) : 0;
}

int disk_grow_last(struct cow *image, struct disk *d, uint64_t new_size, struct err *e)
{
	_cleanup_(table_done) struct table t = { 0 };
	struct partition *last = &d->parts[0];
	int r;

	for (unsigned i = 1; i < d->n; i++)
		if (d->parts[i].start > last->start)
			last = &d->parts[i];
	if (new_size < last->size || new_size % SECTOR || (last->start + new_size) / SECTOR > UINT32_MAX)
		return err_set(e, -EINVAL, "%s: partition %u cannot get a size of %llu bytes", cow_name(image),
			       last->number, (unsigned long long)new_size);
	r = cow_resize(image, last->start + new_size, e);
	if (r < 0)
		return r;
	r = table_open(&t, image, false, e);
	if (r < 0)
		return r;
	r = table_resize(&t, last->number, new_size, e);
	cow_note(image, 0, SECTOR); /* libfdisk writes to the file itself */
	return r < 0 ? r : table_describe(&t, d, e);
}
