/* SPDX-License-Identifier: Apache-2.0 */
/* What an update or a check of the lock says, entry by entry. */
#ifndef LOCK_LOCK_REPORT_H
#define LOCK_LOCK_REPORT_H

#include "lock/lock.h"

enum version_state {
	VERSION_KEPT,	 /* not asked about */
	VERSION_PINNED,	 /* by the config, whatever upstream has */
	VERSION_CURRENT, /* upstream has nothing newer for us */
	VERSION_UPDATED,
	VERSION_HELD, /* something newer does not fit the rest */
	VERSION_STATE_COUNT
};
extern const char *const version_state_names[VERSION_STATE_COUNT];

struct version_line {
	const char *key; /* of versions: */
	enum version_state state;
	const char *from, *to; /* in force before, and now */
	const char *newest;    /* of the stable channel; NULL = not asked */
	const char *held;      /* why NEWEST is not TO; else NULL */
	const char *source;    /* URL of the channel; NULL = not asked */
};

enum lock_change {
	LOCK_KEPT,
	LOCK_ADDED,	/* was in no lock */
	LOCK_CHANGED,	/* upstream states another digest than the lock did */
	LOCK_CONFIRMED, /* looked up again: the same */
	LOCK_UPDATED,	/* another version than before */
	LOCK_REMOVED,	/* no longer asked for */
	LOCK_MISSING,	/* check: asked for and not there */
	LOCK_EDITED,	/* check: not what the catalogue says */
	LOCK_CHANGE_COUNT
};
extern const char *const lock_change_names[LOCK_CHANGE_COUNT];

struct lock_line {
	enum lock_change change;
	bool image; /* a container image: version is its tag, sha256 the digest of its index */
	struct lock_entry entry;
	const char *from;		  /* the version in force before */
	const char *for_version;	  /* of the chart that asks for this image; NULL = the tag is the version */
	const struct lock_keys *keys;	  /* of a user of GitHub: sha256 stands for them; else NULL */
	const struct debian_lock *debian; /* the base of packages: sha256 stands for them all; else NULL */
	const struct lock_app *app;	  /* a chart or manifest; else NULL */
	const struct lock_judged *judged; /* an app as a whole: sha256 stands for it; else NULL */
	const struct package_set
		*packages; /* what a list of packages comes to: sha256 stands for them all; else NULL */
	const char *why;   /* MISSING, EDITED; CHANGED: the digest before. Else NULL */
};
struct lock_report {
	VEC(struct version_line) versions; /* lock_update() alone */
	VEC(struct lock_line) lines;
	const char *file; /* the lock concerned */
	bool changed;	  /* there is something to write */
	bool written;
};

#endif
