/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The partition table of an image file, through libfdisk: read, judged, and the root partition grown. The only
 * folder that includes libfdisk. Layout of Raspberry Pi OS (pi-gen export-image/prerun.sh): MBR, p1 FAT, p2 ext4 last.
 */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include "base/cow.h"
#include "base/err.h"
#include "base/util.h"

/* Where the first partition, the FAT, is mounted: the boot partition of a card's paths. */
#define BOOT_DIR "/boot/firmware"
static inline bool path_on_boot(const char *path)
{
	return starts_with(path, BOOT_DIR "/");
}
/* The most that a file of it may have where it is held whole. */
#define BOOT_FILE_LIMIT (128 * MIB)
#define RELEASE_LIMIT	(1 * MIB) /* of what a card says of itself in /etc/pibuild */
/* PATH, which is on it, from the FAT's root. */
static inline const char *path_in_boot(const char *path)
{
	return path + strlen(BOOT_DIR "/");
}

enum { SECTOR = 512 };			     /* of all disks here; flash refuses others */
enum { DISK_LINUX = 0x83, DISK_FAT = 0x0c }; /* MBR types */

struct partition {
	unsigned number;      /* 1-based */
	uint64_t start, size; /* bytes */
	unsigned type;	      /* MBR type */
};

struct disk {
	uint32_t id;   /* MBR disk id: PARTUUIDs are id-01, id-02 */
	uint64_t size; /* of the file, bytes */
	struct partition parts[4];
	unsigned n;
};

/* Of the file itself: changes that IMAGE has in memory do not count, and those made here go into the file. */

/* Reads and describes; refuses a compressed file, GPT, no table, overlapping or out-of-file partitions, each with the
 * reason. */
int disk_read(const struct cow *image, struct disk *ret, struct err *e);

/* As disk_read, and the layout pibuild needs: p1 FAT (0x0b, 0x0c, 0x0e), p2 Linux (0x83) ending last, nothing after
 * it. A third partition is refused because neither growing nor Raspberry Pi OS's own resize could work. */
int disk_read_base(const struct cow *image, struct disk *ret, struct err *e);

/* Gives a file of its full length a new MBR with the disk id and the partitions of D (start, size and type in order).
 */
int disk_create(struct cow *image, const struct disk *d, struct err *e);

/* Makes the file and the last partition end at START + NEW_SIZE (rounded up to 4 MiB by the caller). Keeps the disk id
 * and all else of the table, but for the last entry's CHS hints, which follow its size. */
int disk_grow_last(struct cow *image, struct disk *d, uint64_t new_size, struct err *e);

#endif
