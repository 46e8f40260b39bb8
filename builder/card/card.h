/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes onto a card, before any image exists: a flat list of entries by absolute path. The boot partition is
 * /boot/firmware. A later entry replaces an earlier one of the same path, so overlays merge by being added last.
 * tree_sort() fixes the order of all work. Entries live on the arena.
 */
#ifndef CARD_CARD_H
#define CARD_CARD_H

#include "base/err.h"
#include "base/util.h"
#include "crypto/digest.h"
#include "disk/disk.h"
#include "lock/pin.h"

enum entry_kind {
	ENTRY_DIR,
	ENTRY_FILE,
	ENTRY_SYMLINK,
	ENTRY_REMOVE, /* whatever the base has there, with all below */
	ENTRY_EDIT,   /* the base's file, changed by a function; made when the base has none */
	ENTRY_UNPACK, /* an archive's sub-tree laid below path */
	ENTRY_KIND_COUNT
};
extern const char *const entry_kind_names[ENTRY_KIND_COUNT];

/* Which cached layer holds it: ROLE is the same for every node of a role and kept in the cache, so it must hold
 * nothing of the user's; NODE is stamped onto a copy. */
enum entry_layer { LAYER_ROLE, LAYER_NODE };

/* Whatever has no bytes, such as a folder or a removal, is of the first. */
enum source_kind { SOURCE_BYTES, SOURCE_HOST_FILE, SOURCE_ARTIFACT, SOURCE_IMAGES };

/* Appends the new content to OUT. OLD (NUL terminated) is NULL when the base has no such file. A file that is there
 * keeps its owner and mode. Returns > 0 to leave everything as it is. */
typedef int (*edit_fn)(const void *arg, const char *old, size_t n, struct strbuf *out, struct err *e);

struct entry {
	const char *path;
	enum entry_kind kind;
	enum entry_layer layer;
	unsigned mode; /* 07777 bits; ignored for symlinks */
	unsigned uid, gid;
	bool if_missing;    /* ENTRY_DIR: one that is there keeps its owner and mode */
	bool secret;	    /* its digest, from which a short one could be guessed, is in no manifest */
	const char *origin; /* "overlay common", "generated: k3s", "artifact: helm v3.22.0", "your overlays/worker" */

	enum source_kind source;
	const char *bytes; /* SOURCE_BYTES; target of a symlink */
	uint64_t size;	   /* of bytes or host file; of an artifact when known, else 0 */
	const char *host_file;
	char sha256[SHA256_HEX];     /* of bytes and host files; of artifacts as files; else "" */
	struct pin pin;		     /* SOURCE_ARTIFACT */
	const struct images *images; /* SOURCE_IMAGES: all of them in one archive, the file */

	edit_fn edit;
	const void *edit_arg;
	const char *edit_what; /* "user pi added", for plan and inspect */
	const char *edit_from; /* base file that stands in when the path itself is missing; NULL = none */
};

/* What the base must have for the tree to work, looked for at the build. */
struct need {
	const char *path;
	const char *word;   /* NULL: PATH is there; else, where it is, one of its lines starts with this word */
	const char *words;  /* the whole message when it is not so */
	const char *suffix; /* of the names beside PATH, of which the nearest is added to the message; NULL = none is */
};

struct tree {
	VEC(const char *) left_out; /* files of the host that an overlay has, but no card gets */
	VEC(const char *) folders;  /* paths of an overlay's folders, those too that hold nothing and are no entry */
	VEC(struct entry) entries;
	VEC(struct need) needs;
	uint32_t disk_id; /* of the card's partition table; 0 = the base's */
};

/* All copy their strings; the returned entry may be adjusted (uid, secret, layer) until the next add. Files and
 * directories are root's; generated entries are LAYER_NODE. */
struct entry *tree_add_file(struct tree *t, const char *path, unsigned mode, const char *origin, const void *bytes,
			    size_t n);
struct entry *tree_add_text(struct tree *t, const char *path, unsigned mode, const char *origin, const char *text);
struct entry *tree_add_dir(struct tree *t, const char *path, unsigned mode, const char *origin);
/* The bytes of HOST_FILE (absolute, no symbolic link), which have to have that size and digest when they are written.
 */
struct entry *tree_add_host_file(struct tree *t, const char *path, unsigned mode, const char *origin,
				 const char *host_file, uint64_t size, const char sha256[SHA256_HEX]);
struct entry *tree_add_symlink(struct tree *t, const char *path, const char *origin, const char *target);
struct entry *tree_add_remove(struct tree *t, const char *path, const char *origin);
struct entry *tree_add_edit(struct tree *t, const char *path, unsigned mode, const char *origin, edit_fn edit,
			    const void *arg, const char *what);
struct entry *tree_add_artifact(struct tree *t, const struct pin *pin);
struct entry *tree_add_images(struct tree *t, const char *path, const struct images *images);

/* Adds the folder DIR of the host below "/": modes 0755 (with an x bit) or 0644, owner root. LAYER as given; in
 * LAYER_NODE (the user's own) files and folders that only their owner may read stay private, what is in such folders or
 * in a place_is_secret() is private too, and folders that the base has keep their modes. A missing DIR is fine. Refuses
 * devices, sockets, setuid files and names with control characters or beyond UTF-8; symbolic links are copied as links.
 * .gitkeep is skipped, and what editors, file managers and git leave behind is only told, in T->left_out. */
int tree_add_overlay(struct tree *t, const char *dir, const char *origin, enum entry_layer layer, struct err *e);

/* Copies its strings; the returned need may be adjusted until the next one. */
struct need *tree_need(struct tree *t, const char *path, const char *word, const char *words);

struct entry *tree_find(const struct tree *t, const char *path);
/* By path bytewise, so parents come before what is in them. */
void tree_sort(struct tree *t);
/* Its bytes come from the cache, so they are not known before it is fetched. */
static inline bool entry_from_cache(const struct entry *n)
{
	return n->source == SOURCE_ARTIFACT || n->source == SOURCE_IMAGES;
}
static inline bool entry_on_boot(const struct entry *n)
{
	return path_on_boot(n->path);
}

/* ---- what a path means on a card (place.c) ---- */

/* Nothing below may be open to all, whoever put it there. */
bool place_is_secret(const char *path);
/* Folders that are root's alone, NULL at the end. */
extern const char *const place_private_dirs[];
/* The report of first boot on the boot partition, in the order in which a node writes them: the second copy first, so
 * that one of the two is whole whenever the power went. Overwritten in place, each keeps its size for ever. A node is
 * told of them by /etc/pibuild/node. */
#define REPORT_NAME "pibuild-status"
#define REPORT_JSON REPORT_NAME ".json"
#define REPORT_COPY REPORT_NAME ".bak"
enum { REPORT_FILE_COUNT = 3 };
extern const struct report_file {
	const char *name;
	unsigned size;
	bool json; /* else the text for people */
} report_files[REPORT_FILE_COUNT];
/* Why a file that a running machine makes for itself has no place in an image ("is a host key: ..."); NULL = it has. */
const char *place_one_machine(const char *path);

#endif
