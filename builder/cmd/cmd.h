/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: one file each, argv already turned into struct cmd_options by main.c's tables. A command returns 0 or a
 * negative errno with the sentence in E; main prints it and ends with the exit code of its class.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include "artifact/artifact.h"
#include "base/err.h"
#include "base/progress.h"
#include "cmd/init.h"
#include "config/config.h"
#include "plan/plan.h"
#include "report/identity.h"

struct cmd_words {
	const char **v;
	size_t n, cap;
};

struct boot_options {
	const char *until, *log, *keep, *disk_size, *append, *rtc;
	unsigned timeout, memory, cpus, ssh_port, api_port; /* 0 = not given */
	bool until_ready, open, poweroff;
	struct cmd_words qemu;
};

struct cmd_options {
	/* common */
	const char *config; /* -c, else $PIBUILD_CONFIG; NULL = ./cluster.yaml, else the shipped default */
	const char *out;    /* -o; default "out" */
	bool out_given;
	const char *lock;    /* --lock; NULL = see lock_load() */
	const char *secrets; /* --secrets; NULL = secrets.yaml beside the config */
	const char *cache;   /* --cache; NULL = see cache_open() */
	bool offline;
	unsigned jobs; /* 0 = default */
	bool json, quiet, verbose;
	enum progress_mode progress;

	/* of some commands */
	struct cmd_words nodes, serials; /* --node, --serial */
	const char *role;		 /* "control-plane", "worker" or NULL */
	const char *matrix;		 /* plan --matrix: "github" or "gitlab" */
	unsigned batch;			 /* plan --batch; 0 = default */
	bool check;			 /* lock --check */
	bool update;			 /* lock --update, flash --update */
	bool dry_run;			 /* lock, boot */
	bool all;			 /* flash --all */
	bool discard;			 /* flash --discard */
	bool show_secrets;		 /* render, secrets show */
	bool reference;			 /* schema --reference */
	bool status;			 /* schema --status */
	bool yes;
	bool force;
	bool generic;	       /* build, plan: one image per role */
	bool brief;	       /* diff --brief */
	bool sha256;	       /* build --sha256: a whole-file digest beside each image */
	const char *compress;  /* build --compress: "xz" or "zst" */
	const char *sign;      /* build --sign: private key */
	const char *reproduce; /* build --reproduce: manifest */
	const char *new_key;   /* sign --new-key */
	const char *key;       /* sign --key: private key; verify --key: public one */
	const char *base;      /* inspect --base, verify --base: the image to compare with */
	struct init_answers init;
	struct boot_options boot;

	struct cmd_words args; /* after the command */
	size_t own_args;       /* of them, those before a "--" */
};

typedef int (*cmd_fn)(const struct cmd_options *o, struct err *e);

int cmd_init(const struct cmd_options *o, struct err *e);
int cmd_reproduce(const struct cmd_options *o, struct err *e); /* of cmd_build() */
int cmd_build(const struct cmd_options *o, struct err *e);
int cmd_check(const struct cmd_options *o, struct err *e);
int cmd_plan(const struct cmd_options *o, struct err *e);
int cmd_render(const struct cmd_options *o, struct err *e);
int cmd_lock(const struct cmd_options *o, struct err *e);
int cmd_fetch(const struct cmd_options *o, struct err *e);
int cmd_secrets(const struct cmd_options *o, struct err *e);
int cmd_kubeconfig(const struct cmd_options *o, struct err *e);
int cmd_inspect(const struct cmd_options *o, struct err *e);
int cmd_verify(const struct cmd_options *o, struct err *e);
int cmd_diff(const struct cmd_options *o, struct err *e);
int cmd_status(const struct cmd_options *o, struct err *e);
int cmd_boot(const struct cmd_options *o, struct err *e);
int cmd_devices(const struct cmd_options *o, struct err *e);
int cmd_flash(const struct cmd_options *o, struct err *e);
int cmd_sign(const struct cmd_options *o, struct err *e);
int cmd_doctor(const struct cmd_options *o, struct err *e);
int cmd_schema(const struct cmd_options *o, struct err *e);

/* Class USAGE unless there are between MIN and MAX arguments. */
int cmd_args(const struct cmd_options *o, size_t min, size_t max, const char *usage, struct err *e);

/* The last line of a run that went well: what to do next, with its command between backticks. None with --json. */
void cmd_next(const struct cmd_options *o, const char *fmt, ...) _printf_(2, 3);

/* A line of an answer on stdin, without blanks at its end; *LINE as in getline(3). Class USAGE at the end of input. */
int cmd_read_line(char **line, size_t *cap, struct err *e);

/* What --node, --role and --generic select. */
struct plan_options cmd_plan_options(const struct cmd_options *o, enum secret_use use);
/* Class USAGE when they contradict each other. */
int cmd_check_selection(const struct cmd_options *o, struct err *e);

/* A valid project, the plan of what SO selects, and a lock that pins all of it. */
int cmd_load_plan(const struct project_options *po, const struct plan_options *so, struct plan **ret, struct err *e);

/* Folder of the project: of -c, else this one when it has a cluster.yaml; NULL = none. */
const char *cmd_project_dir(const struct cmd_options *o);

/* Whose the card in a disk is, read with root's rights if there are any. */
void cmd_identify(const char *disk, struct card_identity *ret);
/* "cp-1 of homelab, written 2026-11-28 15:02", with the time when PROJECT_DIR (NULL = none) has a record of it; "an
 * unfinished card of cp-1"; NULL = nothing of pibuild's. */
const char *cmd_card_text(const struct card_identity *id, const char *serial, const char *project_dir);

/* Path of the secrets file for the config in force. */
const char *cmd_secrets_path(const struct cmd_options *o, const struct config *c);
/* For commands that show or change the secrets of a cluster: class CONFIG when there is neither a cluster.yaml nor a
 * secrets file that a build of the shipped default would have left. */
int cmd_require_cluster(const struct cmd_options *o, struct err *e);

#endif
