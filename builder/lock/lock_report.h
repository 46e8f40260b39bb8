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

/* What a line is about, in the order of the lock's sections. */
enum lock_what {
	LOCK_ARTIFACT,
	LOCK_IMAGE,    /* a container image: version is its tag, sha256 the digest of its index */
	LOCK_KEYS,     /* of a user of GitHub: sha256 stands for them */
	LOCK_DEBIAN,   /* the base of packages: sha256 stands for them all */
	LOCK_PACKAGES, /* what a list of packages comes to: sha256 stands for them all */
	LOCK_APP,      /* a chart or manifest */
	LOCK_JUDGED,   /* an app as a whole: sha256 stands for it */
	LOCK_WHAT_COUNT
};

struct lock_line {
	enum lock_change change;
	enum lock_what what;
	struct lock_entry entry;	 /* all of an artifact, and how any other is shown */
	const char *from;		 /* the version in force before */
	const char *why;		 /* MISSING, EDITED; CHANGED: the digest before. Else NULL */
	union {				 /* NULL in what is MISSING */
		const char *for_version; /* IMAGE: of the chart that asks for it; NULL = the tag is the version */
		const struct lock_keys *keys;
		const struct debian_lock *debian;
		const struct package_set *packages;
		const struct lock_app *app;
		const struct lock_judged *judged;
	};
};
struct lock_report {
	VEC(struct version_line) versions; /* lock_update() alone */
	VEC(struct lock_line) lines;
	const char *file; /* the lock concerned */
	bool changed;	  /* there is something to write */
	bool written;
};

#endif
