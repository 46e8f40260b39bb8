/* SPDX-License-Identifier: Apache-2.0 */
#include "backup/place.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/proc.h"

enum {
	LIST_LIMIT = 4 * 1024 * 1024,
	LIST_SECONDS = 120,
	GET_SECONDS = 6 * 3600,
	COPY_BLOCK = 1024 * 1024,
	WORD_LIMIT = 300
};

struct backup_place_ops {
	int (*open)(struct backup_place *p, struct err *e);
	/* All that is there, in whatever form: names are looked for in it. */
	int (*list)(struct backup_place *p, struct strbuf *out, struct err *e);
	int (*get)(struct backup_place *p, const char *name, int fd, struct err *e);
};

/* ---- a folder ---- */

static int folder_list(struct backup_place *p, struct strbuf *out, struct err *e)
{
	const char *const *names;
	size_t n;
	int r = folder_names(p->dir, &names, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		strbuf_addf(out, "%s\n", names[i]);
	return r;
}

static int folder_get(struct backup_place *p, const char *name, int fd, struct err *e)
{
	const char *path = path_join(p->dir, name);
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *block = xmalloc(COPY_BLOCK);
	ssize_t n;

	if (in < 0)
		return file_cannot_open(path, e);
	while ((n = read(in, block, COPY_BLOCK)) > 0) {
		int r = write_all(fd, block, (size_t)n);

		if (r < 0)
			return err_errno(e, r, "cannot write %s", name);
	}
	return n < 0 ? err_errno(e, -errno, "cannot read %s", path) : 0;
}

static const struct backup_place_ops folder_ops = { .list = folder_list, .get = folder_get };

/* ---- S3, by curl ---- */

/* SHA-256 of nothing, which is what these requests send; S3 wants it said. */
static const char empty_sha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static int s3_open(struct backup_place *p, struct err *e)
{
	const typeof(p->config->backup.s3) *s3 = &p->config->backup.s3;
	const char *id, *key;
	size_t id_n, key_n;
	int r = secret_resolve(&s3->access_key, SECRET_READ, &id, &id_n, e);

	if (r < 0)
		return err_wrap(e, "backup.to.s3.accessKey");
	r = secret_resolve(&s3->secret_key, SECRET_READ, &key, &key_n, e);
	if (r < 0)
		return err_wrap(e, "backup.to.s3.secretKey");
	strbuf_adds(&p->keys, "user = \"");
	backup_curl_text(&p->keys, id, id_n);
	strbuf_adds(&p->keys, ":");
	backup_curl_text(&p->keys, key, key_n);
	strbuf_addf(&p->keys, "\"\naws-sigv4 = \"aws:amz:%s:s3\"\nheader = \"x-amz-content-sha256: %s\"\n", s3->region,
		    empty_sha256);
	if (s3->ca_file) {
		strbuf_adds(&p->keys, "cacert = \"");
		backup_curl_text(&p->keys, s3->ca_file, strlen(s3->ca_file));
		strbuf_adds(&p->keys, "\"\n");
	}
	return 0;
}

/* The text of the element NAME of what a service answered; "" without one. */
static const char *s3_word(const char *answer, const char *name)
{
	const char *tag = arena_printf("<%s>", name), *at = strstr(answer, tag);

	at = at ? at + strlen(tag) : "";
	return clean_text(arena_strndup(at, MIN(strcspn(at, "<"), (size_t)WORD_LIMIT)));
}

/* What the service says against a list is more than its status. */
static int s3_failed(const struct backup_place *p, const struct strbuf *out, struct err *e)
{
	const typeof(p->config->backup.s3) *s3 = &p->config->backup.s3;
	const char *code = out && out->n ? s3_word(out->s, "Code") : "";

	if (err_interrupted(e))
		return e->code;
	if (*code)
		err_set(e, e->code, "%s: %s; backup.to.s3 has its keys, its bucket and its region", code,
			s3_word(out->s, "Message"));
	return err_wrap(e, "%s/%s", s3->endpoint, s3->bucket);
}

/* Keys and all go to curl by its standard input. */
static int s3_run(struct backup_place *p, const char *object, int fd, struct strbuf *out, struct err *e)
{
	const typeof(p->config->backup.s3) *s3 = &p->config->backup.s3;
	const char *const argv[] = { "curl",
				     "-q",
				     "-sS",
				     out ? "--fail-with-body" : "--fail",
				     "--connect-timeout",
				     "30",
				     "--speed-limit",
				     "100",
				     "--speed-time",
				     "120",
				     "-K",
				     "-",
				     NULL };
	_cleanup_strbuf_ struct strbuf input = { 0 };
	struct proc run = {
		.argv = argv, .timeout = out ? LIST_SECONDS : GET_SECONDS, .output = out, .output_limit = LIST_LIMIT
	};
	int r;

	strbuf_add(&input, p->keys.s, p->keys.n);
	strbuf_addf(&input, "url = \"%s/%s%s\"\n", s3->endpoint, s3->bucket, object);
	if (!out) {
		strbuf_adds(&input, "output = \"" PROC_FILE "\"\n");
		run.file = object + 1;
		run.file_fd = fd;
	}
	run.input = input.s;
	run.input_n = input.n;
	r = proc_run(&run, e);
	explicit_bzero(input.s, input.n);
	return r < 0 ? s3_failed(p, out, e) : 0;
}

static int s3_list(struct backup_place *p, struct strbuf *out, struct err *e)
{
	/* The query in the order in which it is signed. */
	int r = s3_run(p, arena_printf("?list-type=2&prefix=%s_", p->config->cluster.name), -1, out, e);

	if (r == 0 && out->n && strstr(out->s, "<IsTruncated>true"))
		return err_set(e, -E2BIG, "%s/%s holds more than a thousand files of %s; remove some",
			       p->config->backup.s3.endpoint, p->config->backup.s3.bucket, p->config->cluster.name);
	return r;
}

static int s3_get(struct backup_place *p, const char *name, int fd, struct err *e)
{
	return s3_run(p, arena_printf("/%s", name), fd, NULL, e);
}

static const struct backup_place_ops s3_ops = { s3_open, s3_list, s3_get };

/* ---- SSH, by sftp ---- */

static int ssh_open(struct backup_place *p, struct err *e)
{
	const typeof(p->config->backup.ssh) *ssh = &p->config->backup.ssh;
	_cleanup_free_ char *hosts = NULL;
	const char *key;
	size_t n, hosts_n;
	int r = secret_resolve(&ssh->key, SECRET_READ, &key, &n, e);

	if (r < 0)
		return err_wrap(e, "backup.to.ssh.key");
	r = temp_dir("backup", &p->tmp, e);
	if (r == 0)
		r = file_read(ssh->known_hosts, 1 * MIB, &hosts, &hosts_n, e);
	if (r == 0)
		r = file_publish(path_join(p->tmp, "known_hosts"), hosts, hosts_n, 0600, e);
	/* ssh(1) takes no key whose last line has no end. */
	return r < 0 ? r : file_publish(path_join(p->tmp, "key"), arena_printf("%.*s\n", (int)n, key), n + 1, 0600, e);
}

/* COMMANDS until the first that fails. No host but those of the file is trusted, and no key but this is tried. */
static int ssh_run(struct backup_place *p, const char *commands, int fd, struct strbuf *out, struct err *e)
{
	const typeof(p->config->backup.ssh) *ssh = &p->config->backup.ssh;
	const char *folder = strchr(ssh->to, ':'), *host = arena_strndup(ssh->to, (size_t)(folder - ssh->to));
	const char *text = arena_printf("cd %s\n%s", folder + 1, commands);
	const char *const argv[] = { "sftp", "-q",
				     "-b",   "-",
				     "-P",   arena_printf("%u", ssh->port),
				     "-F",   "/dev/null",
				     "-o",   "BatchMode=yes",
				     "-o",   "StrictHostKeyChecking=yes",
				     "-o",   "IdentitiesOnly=yes",
				     "-o",   arena_printf("UserKnownHostsFile=\"%s/known_hosts\"", p->tmp),
				     "-o",   "GlobalKnownHostsFile=/dev/null",
				     "-o",   arena_printf("IdentityFile=\"%s/key\"", p->tmp),
				     "-o",   "ConnectTimeout=30",
				     "-o",   "ServerAliveInterval=30",
				     host,   NULL };
	const struct proc run = { .argv = argv,
				  .input = text,
				  .input_n = strlen(text),
				  .file = out ? NULL : "the backup",
				  .file_fd = fd,
				  .timeout = out ? LIST_SECONDS : GET_SECONDS,
				  .output = out,
				  .output_limit = LIST_LIMIT };
	int r = proc_run(&run, e);

	return r < 0 && !err_interrupted(e) ? err_wrap(e, "%s", ssh->to) : r;
}

static int ssh_list(struct backup_place *p, struct strbuf *out, struct err *e)
{
	return ssh_run(p, "ls -1\n", -1, out, e);
}

static int ssh_get(struct backup_place *p, const char *name, int fd, struct err *e)
{
	return ssh_run(p, arena_printf("get %s " PROC_FILE "\n", name), fd, NULL, e);
}

static const struct backup_place_ops ssh_ops = { ssh_open, ssh_list, ssh_get };

/* ---- which of them ---- */

int backup_place_open(struct backup_place *p, const struct config *c, const char *dir, struct err *e)
{
	static const struct backup_place_ops *const by_place[BACKUP_PLACE_COUNT] = {
		[BACKUP_S3] = &s3_ops, [BACKUP_SSH] = &ssh_ops
	};
	enum backup_place_kind kind = config_backup_place(c);

	*p = (struct backup_place){ .config = c, .dir = dir, .ops = dir ? &folder_ops : by_place[kind] };
	if (kind == BACKUP_NOWHERE && !dir)
		return err_class(
			e, CLASS_CONFIG,
			"%s: there is no `backup` in it, so nothing says where backups lie; --from DIR names a folder",
			c->path);
	if (!p->ops)
		return err_class(
			e, CLASS_REFUSED,
			"backup.to.%s is mounted by the servers, and to mount it here is for you: then name the folder, --from DIR",
			kind == BACKUP_NFS ? "nfs" : "disk");
	return p->ops->open ? p->ops->open(p, e) : 0;
}

void backup_place_close(struct backup_place *p)
{
	struct err ignored = { 0 };

	if (p->tmp)
		remove_tree(p->tmp, &ignored);
	if (p->keys.s)
		explicit_bzero(p->keys.s, p->keys.n);
	strbuf_done(&p->keys);
}

static int backup_by_time(const void *a, const void *b)
{
	const struct backup_name *x = a, *y = b;

	return x->time != y->time ? (x->time > y->time ? 1 : -1) : strcmp(x->name, y->name);
}

/* Every word of TEXT that is the name of a file of a backup. */
static void backup_find_names(char *text, const char *suffix, struct backup_list *ret)
{
	text_foreach (word, text, "<>/ \t\r\n") {
		struct backup_name b;

		if (!ends_with(word, suffix))
			continue;
		if (backup_name_parse(arena_strndup(word, strlen(word) - strlen(suffix)), &b))
			*vec_push(ret) = b;
	}
}

static bool backup_has(const struct backup_list *l, const char *name)
{
	vec_foreach (b, l)
		if (streq(b->name, name))
			return true;
	return false;
}

int backup_place_list(struct backup_place *p, struct backup_list *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct backup_list copies = { 0 }, digests = { 0 };
	int r = p->ops->list(p, &out, e);

	if (r < 0)
		return r;
	strbuf_adds(&out, "");
	backup_find_names(arena_strdup(out.s), "", &copies);
	backup_find_names(arena_strdup(out.s), BACKUP_DIGEST_SUFFIX, &digests);
	vec_foreach (b, &copies)
		if (streq(b->cluster, p->config->cluster.name) && backup_has(&digests, b->name) &&
		    !backup_has(ret, b->name))
			*vec_push(ret) = *b;
	vec_sort(ret, backup_by_time);
	return 0;
}

int backup_place_get(struct backup_place *p, const char *name, int fd, struct err *e)
{
	return p->ops->get(p, name, fd, e);
}
