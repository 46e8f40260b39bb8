/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server needs to back the cluster's state up: where to, when, and the keys for it, which lie below
 * /etc/pibuild/secrets and nowhere else. The program and its unit are the same on every server:
 * overlays/control-plane/usr/lib/pibuild/backup, which says what the lines of /etc/pibuild/backup mean.
 */
#include "backup/backup.h"
#include "base/file.h"
#include "node/node.h"

static const char origin[] = "generated: backup";

#define SECRETS_DIR "/etc/pibuild/secrets"
enum { PUBLIC_FILE_LIMIT = 1024 * 1024 };

/* Servers go one after the other, in the order of the file: each looks whether those before it have made one. */
static unsigned backup_order(const struct node_ctx *x)
{
	unsigned n = 0;

	vec_foreach (other, &x->config->nodes) {
		if (other == x->node)
			break;
		n += other->role == ROLE_CONTROL_PLANE;
	}
	return n;
}

/* ---- the place ---- */

static int backup_secret(const struct node_ctx *x, const char *key, const struct secret_ref *ref, const char **ret,
			 size_t *ret_n, struct err *e)
{
	int r = secret_resolve(ref, x->secret_use, ret, ret_n, e);

	return r < 0 ? err_wrap(e, "backup.to.%s", key) : 0;
}

/* FILE of this machine, which holds nothing secret, at PATH of the card. */
static int add_public_file(struct tree *t, const char *path, const char *file, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read(file, PUBLIC_FILE_LIMIT, &text, &n, e);

	if (r < 0)
		return r;
	tree_add_file(t, path, 0644, origin, text, n);
	return 0;
}

/* PROGRAM, unless PACKAGE brings it before K3s starts. */
static void backup_need(const struct node_ctx *x, struct tree *t, const char *program, const char *package,
			const char *what_for)
{
	struct text_list packages = config_packages(x->config, x->node);

	vec_foreach (p, &packages)
		if (streq(*p, package))
			return;
	tree_need(t, program, NULL,
		  arena_printf("backup: the base has no %s, %s; add %s to os.packages", program, what_for, package));
}

/* What curl(1) reads with -K: no key is ever an argument. */
static int add_s3(const struct node_ctx *x, struct tree *t, struct strbuf *conf, struct err *e)
{
	const typeof(x->config->backup.s3) *s3 = &x->config->backup.s3;
	_cleanup_strbuf_ struct strbuf keys = { 0 };
	const char *id, *key;
	size_t id_n, key_n;
	int r = backup_secret(x, "s3.accessKey", &s3->access_key, &id, &id_n, e);

	if (r == 0)
		r = backup_secret(x, "s3.secretKey", &s3->secret_key, &key, &key_n, e);
	if (r == 0 && memchr(id, ':', id_n))
		r = err_class(e, CLASS_CONFIG,
			      "backup.to.s3.accessKey: the id of a key has no ':'; the key itself goes to secretKey");
	if (r == 0 && s3->ca_file)
		r = add_public_file(t, "/etc/pibuild/backup-ca.pem", s3->ca_file, e);
	if (r < 0)
		return r;
	strbuf_adds(&keys, "user = \"");
	backup_curl_text(&keys, id, id_n);
	strbuf_adds(&keys, ":");
	backup_curl_text(&keys, key, key_n);
	strbuf_adds(&keys, "\"\n");
	tree_add_text(t, SECRETS_DIR "/backup.curl", 0600, origin, keys.s)->secret = true;
	explicit_bzero(keys.s, keys.n);
	strbuf_addf(conf, "place s3\nendpoint %s\nbucket %s\nregion %s\n", s3->endpoint, s3->bucket, s3->region);
	backup_need(x, t, "/usr/bin/curl", "curl", "which backups go to S3 by");
	return 0;
}

static int add_ssh(const struct node_ctx *x, struct tree *t, struct strbuf *conf, struct err *e)
{
	const typeof(x->config->backup.ssh) *ssh = &x->config->backup.ssh;
	const char *key, *folder = strchr(ssh->to, ':');
	size_t n;
	int r = backup_secret(x, "ssh.key", &ssh->key, &key, &n, e);

	if (r < 0)
		return r;
	r = add_public_file(t, "/etc/pibuild/backup-known_hosts", ssh->known_hosts, e);
	if (r < 0)
		return r;
	/* ssh(1) takes no key whose last line has no end. */
	tree_add_text(t, SECRETS_DIR "/backup.key", 0600, origin, arena_printf("%.*s\n", (int)n, key))->secret = true;
	strbuf_addf(conf, "place ssh\nhost %.*s\nport %u\nfolder %s\n", (int)(folder - ssh->to), ssh->to, ssh->port,
		    folder + 1);
	backup_need(x, t, "/usr/bin/sftp", "openssh-client", "which backups go over SSH by");
	return 0;
}

static int add_place(const struct node_ctx *x, struct tree *t, struct strbuf *conf, struct err *e)
{
	const struct config *c = x->config;

	switch (config_backup_place(c)) {
	case BACKUP_S3:
		return add_s3(x, t, conf, e);
	case BACKUP_SSH:
		return add_ssh(x, t, conf, e);
	case BACKUP_NFS:
		strbuf_addf(conf, "place nfs\nsource %s\n", c->backup.nfs);
		return 0;
	default:
		strbuf_addf(conf, "place disk\nsource LABEL=%s\n", c->backup.disk);
		return 0;
	}
}

/* ---- the card ---- */

static void add_timer(const struct node_ctx *x, struct tree *t)
{
	tree_add_text(t, "/etc/systemd/system/" BACKUP_TIMER, 0644, origin,
		      arena_printf("# By backup.schedule of cluster.yaml.\n"
				   "[Unit]\nDescription=When the cluster's state is backed up\n\n"
				   "[Timer]\nOnCalendar=%s\nAccuracySec=1min\n"
				   "# One that was missed is made up for at the next start.\nPersistent=yes\n\n"
				   "[Install]\nWantedBy=timers.target\n",
				   schedule_calendar(&x->config->backup.schedule)));
}

int node_add_backup(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct config *c = x->config;
	_cleanup_strbuf_ struct strbuf conf = { 0 };
	bool etcd = config_uses_etcd(c);
	int r;

	if (!c->backup.enabled || x->node->role != ROLE_CONTROL_PLANE)
		return 0;
	strbuf_addf(&conf, "cluster %s\nca %s\ndatastore %s\norder %u\nkeep %u\nperiod %u\n", c->cluster.name,
		    x->secrets->ca_hash, etcd ? "etcd" : "sqlite", backup_order(x), c->backup.keep,
		    schedule_longest_gap(&c->backup.schedule));
	tree_add_dir(t, "/etc/pibuild", 0755, origin);
	tree_add_dir(t, SECRETS_DIR, 0700, origin);
	r = add_place(x, t, &conf, e);
	if (r < 0)
		return r;
	tree_add_text(t, "/etc/pibuild/backup", 0644, origin, conf.s);
	add_timer(x, t);
	if (!etcd)
		backup_need(x, t, "/usr/bin/python3", "python3", "which copies SQLite while K3s writes to it");
	return 0;
}

/* ---- a card that starts from a backup ---- */

/* What the step does with it: overlays/control-plane/usr/lib/pibuild/steps/restore.sh. */
int node_add_restore(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct node_restore *restore = x->restore;

	if (!restore || !node_is_first_server(x))
		return 0;
	tree_add_dir(t, "/var/lib/pibuild", 0755, origin);
	tree_add_dir(t, RESTORE_DIR, 0700, origin);
	tree_add_host_file(t, RESTORE_DIR "/backup.gz", 0600, origin, restore->path, restore->size, restore->sha256)
		->secret = true;
	tree_add_text(t, RESTORE_DIR "/about", 0600, origin, restore->about);
	return 0;
}
