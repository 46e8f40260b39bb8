/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that runs, asked over SSH: the ssh program of this machine, as access.user, with the keys of access.sshKeys,
 * those that ssh would take by itself, and the agent ($SSH_AUTH_SOCK). Nothing is asked for: a key that wants its
 * passphrase has to be in the agent. The user's own ~/.ssh/config counts for what is not set here (a ProxyJump, a
 * port).
 *
 *	struct remote r = remote_of(config, node, cards);
 *	const char *const argv[] = { "systemctl", "is-active", "k3s", NULL };
 *	code = remote_run(&r, &(struct remote_call){ .argv = argv, .root = true }, e);
 *
 * Host keys are made by each card at its first boot (Raspberry Pi OS: regenerate_ssh_host_keys; else our
 * pibuild-ssh-keys), so nobody knows them in advance. The first one that a card shows is kept in `known_hosts` beside
 * cluster.yaml, and no other is taken of that card. A card is known by its node and the time of its writing in
 * flashed.jsonl: a card that was made anew may show another key, the same card may not. What a stranger who was there
 * first could do is to lie: no secret goes over in argv, a key that logs in is not given away by logging in, and what
 * sends secrets has the key vouched for first (live/live.h).
 *
 * Root is sudo without a password; with access.passwordHash it lets REMOTE_PROGRAM alone pass (node/access.c).
 */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "base/json.h"
#include "base/util.h"
#include "config/config.h"

#define KNOWN_HOSTS_FILE "known_hosts"
/* What a node does for this machine as root: overlays/common/usr/lib/pibuild/apply. */
#define REMOTE_PROGRAM "/usr/lib/pibuild/apply"

/* Everything lives on the arena. */
struct remote {
	const char *node; /* its name, for messages */
	const char *host; /* its address, else its name */
	unsigned port;	  /* 0 = ssh's own */
	const char *user;
	const char *dir;	 /* the project's folder, with the file of pins */
	const char *pin;	 /* what its key is kept under there */
	const char *const *keys; /* as ssh's settings, NULL terminated */
};
/* The node NAME at HOST. CARDS as flashed_read() gives them. */
struct remote remote_at(const struct config *c, const char *name, const char *host, json_t *cards);
/* At its address, else by its name. */
struct remote remote_of(const struct config *c, const struct node_config *n, json_t *cards);

struct remote_call {
	const char *const *argv; /* words, each kept whole by the shell over there; NULL terminated; never a secret */
	bool root;
	const void *input; /* on its stdin, a secret too; NULL = nothing */
	size_t input_n;
	unsigned timeout;      /* seconds for all of it; 0 = 60 */
	struct strbuf *output; /* its stdout, up to 16 MiB; NULL = kept for messages only */
	int *exit_code;	       /* of the command; -1 = it was not run; may be NULL */
};
/* Runs it to the end. Codes: -EHOSTUNREACH nobody answers, -EACCES no key or no sudo, -EKEYREJECTED another host key
 * than before, -ETIMEDOUT, -EIO the command ended with another code than 0; class HOST without ssh. The message names
 * the node, what was wrong and the cure. */
int remote_run(const struct remote *r, const struct remote_call *call, struct err *e);

/* ssh's command line for a person at a terminal: the same user, address, keys and pins, and it may ask. WORDS, NULL
 * terminated, are the command as ssh takes it, to be read by the shell over there; none = a shell. On the arena. */
const char *const *remote_login_argv(const struct remote *r, const char *const *words);

/* The host keys that are kept for it, "TYPE BASE64" each: after a call those that it has shown. None where there is no
 * such file yet. */
int remote_host_keys(const struct remote *r, struct text_list *ret, struct err *e);

/* The manifest of its card, which everybody may read; the caller's. */
int remote_manifest(const struct remote *r, json_t **ret, struct err *e);

#endif
