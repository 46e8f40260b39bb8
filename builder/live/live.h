/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that runs against what its card would hold if it were made now, and the way from the one to the other.
 *
 *	wanted_make(build, node, &w, e);		what a card made now holds, byte for byte
 *	live_read(&remote, &w, password, flags, &l, e);	what is there, and the manifest it was made by
 *	live_delta(config, &w, &l, &d, e);		asks nobody: which files differ, and what each costs
 *	live_send(&remote, &w, &d, e);			staged there, whole and checked; nothing has changed yet
 *	live_switch(), live_act()			renamed into place; what follows from it
 *
 * The other side is overlays/common/usr/lib/pibuild/apply, whose head says how a change survives a power cut.
 *
 * A node's host key is vouched for by its password (secrets.yaml), which nobody else has: live_read() takes no other
 * key than such a one, so nothing secret ever reaches a stranger who answered at first contact (remote/remote.h).
 */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

#include "build/build.h"
#include "card/records.h"
#include "remote/remote.h"

/* ---- what a path costs (effects.c) ---- */

/* In the order in which they are carried out. */
enum effect_kind {
	EFFECT_NONE,
	EFFECT_KEEP,   /* a running system changes it: what is there stays */
	EFFECT_CANNOT, /* only a new card can */
	EFFECT_RELOAD, /* of systemd's units and settings */
	EFFECT_STOP,   /* NAME is a unit, as of the two below */
	EFFECT_SYSCTL,
	EFFECT_LOCALE,
	EFFECT_RESTART,
	EFFECT_START,
	EFFECT_K3S,
	EFFECT_STEP, /* NAME is a step of first boot: taken again, which its stamp decides */
	EFFECT_REBOOT,
	EFFECT_KIND_COUNT
};
struct effect {
	enum effect_kind kind;
	const char *name; /* of RESTART, START, STOP and STEP */
	const char *why;  /* of CANNOT: what to do instead */
};
/* Of a file at PATH that is new, other, or (GONE) not there any more. */
struct effect effect_of(const char *path, bool gone);
/* No row of the table speaks of it: a file of the user's own. */
bool effect_unknown(const char *path);
/* Its file is read again only with a reload of systemd. */
bool effect_needs_reload(const char *path);
/* "restart of ssh.service" */
const char *effect_text(struct effect x);
/* The word that the node takes for it; NULL = nothing is to be done there. */
const char *effect_word(struct effect x);

/* ---- both sides ---- */

struct wanted {
	const struct node_plan *node;
	struct built built; /* both filesystems open for reading */
	json_t *manifest;
	struct records records;
};
int wanted_make(const struct build *b, const struct node_plan *n, struct wanted *ret, struct err *e);
void wanted_done(struct wanted *w);

struct live_file {
	char type; /* as find's %y: f, d, l */
	unsigned mode, uid, gid;
	uint64_t size;
	const char *path, *target;
	char sha256[SHA256_HEX]; /* "" = not looked at: a large one */
};
struct live {
	VEC(struct live_file) files; /* by path; those of the wanted records that are there */
	const char *boot;	     /* id of its running system */
	bool staged;		     /* a change was cut off: live_switch() takes it up */
	bool drained;		     /* live_drained() said so, and nobody has said otherwise since */
	VEC(const char *) effects;   /* words of what files changed earlier have still to be followed by */
	const char *config;	     /* digest of K3s's configuration without what counts at registration alone */
	const char *block;	     /* of pibuild's lines of config.txt */
	const char *words;	     /* the command line of the kernel */
	const char *nonce, *token;   /* a digest of both that it made; NULL = it runs no server of K3s */
	struct text_list proofs;     /* vouch for host keys: digests that only the node's password makes */
	const char *manifest_text;
	json_t *manifest;
	json_t *release; /* of the card; NULL = none */
	struct records records;
};
/* Files larger than this are taken for what the manifest says when their size is right, but for WHOLE, and go over one
 * by one. */
enum { LARGE_FILE = 16 * 1024 * 1024 };
enum { LIVE_WHOLE = 1 << 0 };
/* -EKEYREJECTED when nobody vouches for the host key; class REFUSED for another node's or cluster's machine. */
int live_read(const struct remote *r, const struct wanted *w, const char *password, unsigned flags, struct live *ret,
	      struct err *e);
void live_done(struct live *l);
/* K3s there encrypts its datastore with another server token than the one with this PASSWORD: it would not start with
 * that. */
bool live_has_other_token(const struct live *l, const char *password);

/* ---- the difference ---- */

enum delta_kind { DELTA_ADDED, DELTA_CHANGED, DELTA_REMOVED };
enum delta_how { HOW_FILE, HOW_LARGE, HOW_LINK, HOW_DIR, HOW_GONE, HOW_WORDS, HOW_BLOCK, HOW_COUNT };

struct delta_item {
	enum delta_kind kind;
	enum delta_how how;
	const char *path;
	const struct record *wanted; /* NULL = it goes */
	const char *text;	     /* of words and blocks, what is sent */
	struct effect effect;
	bool by_hand; /* it is not as the node's own manifest says, and cluster.yaml did not change it */
};
struct delta {
	VEC(struct delta_item) items; /* by path */
	VEC(struct effect) effects;   /* each once, in order; those the node still owes too */
	VEC(const char *) versions;   /* "k3s v1.36.3+k3s1 -> v1.36.4+k3s1" */
	const char *manifest;	      /* text of the one to be there */
	bool manifest_only;	      /* nothing differs but it */
	const char *base; /* "raspios 2026-09-15 -> 2026-10-01": the base stays, which is apt's; NULL = same */
	const char *skew; /* versions that may not follow on each other, and the way; NULL = they may */
	bool restarts;	  /* K3s, or all of it */
};
/* Reads from the image of W, which is why that is not const and why it may fail. */
int live_delta(const struct config *c, struct wanted *w, const struct live *l, struct delta *ret, struct err *e);
static inline bool delta_empty(const struct delta *d)
{
	return !d->items.n && !d->effects.n && !d->manifest_only;
}
static inline bool delta_reboots(const struct delta *d)
{
	return d->effects.n && d->effects.v[d->effects.n - 1].kind == EFFECT_REBOOT;
}
/* Version of ARTIFACT in a manifest; NULL = it has none. */
const char *manifest_version(const json_t *manifest, const char *artifact);
/* NULL, or why FROM may not be followed by TO. */
const char *skew_k3s(const char *from, const char *to);
const char *skew_cilium(const char *from, const char *to);

json_t *delta_json(const struct delta *d);
void delta_print(const struct delta *d);

/* ---- there (send.c) ---- */

int live_send(const struct remote *r, struct wanted *w, const struct delta *d, struct err *e);
int live_switch(const struct remote *r, struct err *e);
/* What was sent is not switched to, at its next start neither. */
int live_unstage(const struct remote *r, struct err *e);
/* For a reboot the answer is the end of the connection. */
int live_act(const struct remote *r, const struct delta *d, struct err *e);
/* Kept there, so that a run that was cut off does not leave it without pods: LIVE.drained of the next live_read(). */
int live_drained(const struct remote *r, bool drained, struct err *e);

#endif
