/* SPDX-License-Identifier: Apache-2.0 */
/* backup list | get [NAME]: what the servers have backed up, and one of it here. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "backup/place.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "secrets/secrets.h"

static struct {
	const char *from;
} backup_opt;

static const struct option backup_options[] = {
	CMD_OWN_WORDS("from", OPT_TEXT, &backup_opt.from, "DIR", "a folder with backups, instead of backup.to", "@dir"),
	CMD_OPTION_REPLACE,
};

/* cluster.yaml as far as it says where backups lie. */
static int backup_load(const struct cmd_options *o, struct backup_place *p, struct err *e)
{
	struct config *c;
	int r = config_require_file(o->config, "nothing says where backups lie", e);

	if (r < 0)
		return r;
	r = cmd_load_config(o, &c, e);
	return r < 0 ? r : backup_place_open(p, c, backup_opt.from, e);
}

/* ---- list ---- */

static const char *backup_age(int64_t then)
{
	int64_t hours = ((int64_t)time(NULL) - then) / 3600;

	if (hours < 0)
		return "in the future";
	return hours < 48 ? arena_printf("%lld h ago", (long long)hours)
			  : arena_printf("%lld days ago", (long long)(hours / 24));
}

static int backup_list_json(const struct backup_list *list, struct err *e)
{
	json_t *rows = json_array();

	vec_foreach (b, list)
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "name", b->name, "cluster",
						      b->cluster, "node", b->node, "time", utc_text(b->time), "k3s",
						      b->version, "datastore", b->datastore));
	return json_print(rows, e);
}

static int backup_cmd_list(const struct cmd_options *o, struct backup_place *p, struct err *e)
{
	struct backup_list list = { 0 };
	int r = backup_place_list(p, &list, e);

	if (r < 0)
		return r;
	if (o->json)
		return backup_list_json(&list, e);
	if (!list.n)
		return err_class(
			e, CLASS_FAILED,
			"there is no backup of %s that is complete; a server makes one at once with: sudo systemctl start pibuild-backup",
			p->config->cluster.name);
	vec_foreach (b, &list)
		printf("%s  %-14s %s, K3s %s, %s\n", utc_text(b->time), backup_age(b->time), b->node, b->version,
		       b->name);
	cmd_next(o, "`pibuild backup get` for the newest, `pibuild backup get NAME` for another");
	return 0;
}

/* ---- get ---- */

static int backup_choose(const struct cmd_options *o, struct backup_place *p, const char **ret, struct err *e)
{
	const char *wanted = o->args.n > 1 ? o->args.v[1] : NULL;
	struct backup_list list = { 0 };
	int r = backup_place_list(p, &list, e);

	if (r < 0)
		return r;
	vec_foreach (b, &list)
		if (wanted && streq(b->name, wanted)) {
			*ret = b->name;
			return 0;
		}
	if (wanted || !list.n)
		return err_class(e, CLASS_FAILED,
				 "there is no backup%s%s of %s that is complete; `pibuild backup list` shows all",
				 wanted ? " " : "", str_or(wanted, ""), p->config->cluster.name);
	*ret = list.v[list.n - 1].name;
	return 0;
}

static int backup_get_about(struct backup_place *p, const char *name, struct backup *ret, struct err *e)
{
	const char *about = arena_printf("%s%s", name, BACKUP_DIGEST_SUFFIX);
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t n;
	int r = temp_file(&fd, e);

	if (r < 0)
		return r;
	r = backup_place_get(p, about, fd, e);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, -errno, "cannot read %s", about);
	r = file_read_fd(fd, about, BACKUP_ABOUT_LIMIT, &text, &n, e);
	if (r < 0)
		return r;
	r = backup_about_parse(text, about, ret, e);
	if (r < 0)
		return r;
	if (!streq(ret->is.name, name))
		return err_class(e, CLASS_VERIFY, "%s speaks of %s", about, ret->is.name);
	return 0;
}

/* The same bytes. */
static int is_same_backup(const char *path, const void *wanted, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char sha256[SHA256_HEX];
	int r = fd < 0 ? err_errno(e, -errno, "cannot open %s", path) : sha256_fd(fd, path, sha256, e);

	return r < 0 ? r : streq(sha256, wanted);
}

static int backup_check_output(const struct cmd_options *o, const char *path, const struct backup *b, struct err *e)
{
	const struct cmd_output out = {
		.path = path, .is_own = is_same_backup, .arg = b->sha256, .own = "that backup", .cure = ""
	};

	return cmd_check_output(o, &out, e);
}

/* Under its name once its digest was seen to fit, then what says so. */
static int backup_cmd_get(const struct cmd_options *o, struct backup_place *p, struct err *e)
{
	_cleanup_(outfile_release) struct outfile out = OUTFILE_INIT;
	char sha256[SHA256_HEX], size[SIZE_TEXT_MAX];
	struct backup b = { 0 };
	const char *name = NULL, *path;
	struct stat st;
	int r = backup_choose(o, p, &name, e);

	if (r < 0)
		return r;
	r = backup_get_about(p, name, &b, e);
	if (r < 0)
		return r;
	path = o->out_given ? o->out : name;
	r = backup_check_output(o, path, &b, e);
	if (r < 0)
		return r;
	r = outfile_create(&out, path, 0600, e);
	if (r == 0)
		r = backup_place_get(p, name, out.fd, e);
	if (r == 0)
		r = sha256_fd(out.fd, name, sha256, e);
	if (r == 0 && !streq(sha256, b.sha256))
		r = err_class(e, CLASS_VERIFY,
			      "%s is damaged where it lies: its digest is %s, not %s; take another one", name, sha256,
			      b.sha256);
	if (r == 0 && fstat(out.fd, &st) < 0)
		r = err_errno(e, -errno, "%s", path);
	if (r < 0)
		return r;
	r = outfile_publish(&out, e);
	if (r < 0)
		return r;
	r = file_publish(arena_printf("%s%s", path, BACKUP_DIGEST_SUFFIX), b.about, strlen(b.about), 0600, e);
	if (r < 0)
		return r;
	printf("%s\t%s, of %s\n", path, size_text((uint64_t)st.st_size, size), utc_text(b.is.time));
	log_info("it holds all Secrets of %s: keep it private", p->config->cluster.name);
	secrets_warn_unless_ignored(path, "all Secrets of the cluster");
	cmd_next(o, "`sudo pibuild flash --restore %s --node %s DISK`", shell_word(path),
		 config_first_server(p->config)->name);
	return 0;
}

static int cmd_backup(const struct cmd_options *o, struct err *e)
{
	static const char usage[] = "backup list | backup get [NAME] [-o FILE]";
	_cleanup_(backup_place_close) struct backup_place p = { 0 };
	bool get = o->args.n && streq(o->args.v[0], "get");
	int r = cmd_args(o, 1, get ? 2 : 1, usage, e);

	if (r == 0 && !get && !streq(o->args.v[0], "list"))
		r = err_class(e, CLASS_USAGE, "backup does list or get, not '%s': usage: pibuild %s", o->args.v[0],
			      usage);
	if (r < 0)
		return r;
	r = backup_load(o, &p, e);
	if (r < 0)
		return r;
	return get ? backup_cmd_get(o, &p, e) : backup_cmd_list(o, &p, e);
}

const struct command backup_command = {
	.name = "backup",
	.args = "list | get [NAME]",
	.help = "backups of the cluster's state that the servers made",
	.run = cmd_backup,
	.options = backup_options,
	.n_options = ARRAY_SIZE(backup_options),
	.common = "config out json",
	.words = { "list get", "" },
	.examples = { "pibuild backup list", "pibuild backup get -o homelab.gz" },
};
