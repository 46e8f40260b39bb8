/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packages make a Debian, asked of apt itself: in a folder of its own, with no package installed, for arm64,
 * from archives signed by Debian's keys. `apt-get --print-uris install` then names each with its size and digest.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/proc.h"
#include "catalogue/url.h"
#include "crypto/digest.h"
#include "debian/debian.h"

/* Read after the host's own apt.conf, whose proxies are welcome and whose hooks and preferences are not. */
static const char apt_conf[] = "#clear APT::Architectures;\n"
			       "#clear APT::Update::Pre-Invoke;\n"
			       "#clear APT::Update::Post-Invoke;\n"
			       "#clear APT::Update::Post-Invoke-Success;\n"
			       "#clear APT::Update::Post-Invoke-Stats;\n"
			       "#clear APT::Default-Release;\n"
			       "APT::Architecture \"arm64\";\n"
			       "APT::Architectures { \"arm64\"; };\n"
			       "APT::Install-Recommends \"false\";\n"
			       "APT::Install-Suggests \"false\";\n"
			       "APT::Sandbox::User \"root\";\n"
			       "APT::Update::Error-Mode \"any\";\n"
			       "Acquire::Languages \"none\";\n"
			       "Acquire::ForceHash \"SHA256\";\n"
			       "Acquire::Retries \"3\";\n";

/* Where an archive is fetched from, and what its address stands for in the lock. */
struct archive {
	const char *from; /* ends with a slash */
	const char *path; /* "debian/", "debian/20261001T000000Z/" */
};

struct apt {
	const struct debian_recipe *recipe;
	const char *dir;
	const char *ca_file; /* NULL = the system's */
	const char *mirror, *suite, *snapshot;
	VEC(struct archive) archives;
	struct strbuf sources; /* sources.list */
};

static const char *with_slash(const char *url)
{
	return ends_with(url, "/") ? url : arena_printf("%s/", url);
}

/* "{suite}-updates" of trixie */
static const char *expand_suite(const char *text, const char *suite)
{
	static const char mark[] = "{suite}";
	const char *at = strstr(text, mark);

	return at ? arena_printf("%.*s%s%s", (int)(at - text), text, suite, at + strlen(mark)) : text;
}

static void split_version(struct apt *a, const char *version)
{
	const char *dash = strchr(version, '-');

	a->suite = dash ? arena_strndup(version, (size_t)(dash - version)) : version;
	a->snapshot = dash ? dash + 1 : NULL;
	a->mirror = with_slash(dash ? a->recipe->snapshot : a->recipe->mirror);
}

static int add_archive(struct apt *a, const struct config *c, const char *name, const struct yaml_node *suites,
		       struct err *e)
{
	struct archive x = { .path = a->snapshot ? arena_printf("%s/%s/", name, a->snapshot)
						 : arena_printf("%s/", name) };
	struct sources sources = { 0 };
	int r = url_sources(c, arena_printf("%s%s", a->mirror, x.path), &sources, e);

	if (r < 0)
		return r;
	x.from = with_slash(sources.list.v[0].url);
	if (sources.list.v[0].ca_file)
		a->ca_file = sources.list.v[0].ca_file;
	for (size_t i = 0; i < suites->count; i++) {
		/* A snapshot is old on purpose. */
		strbuf_addf(&a->sources, "deb [signed-by=%s%s] %s %s", a->recipe->keyring,
			    a->snapshot ? " check-valid-until=no" : "", x.from,
			    expand_suite(suites->items[i]->text, a->suite));
		for (size_t k = 0; k < a->recipe->components->count; k++)
			strbuf_addf(&a->sources, " %s", a->recipe->components->items[k]->text);
		strbuf_adds(&a->sources, "\n");
	}
	*vec_push(&a->archives) = x;
	return 0;
}

/* A private root for apt: the host's lists, caches and installed packages play no part. */
static int apt_make_folder(struct apt *a, struct err *e)
{
	static const char *const folders[] = { "etc", "state/lists/partial", "cache/archives/partial" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++)
		r = make_dirs(path_join(a->dir, folders[i]), 0700, e);
	if (r == 0)
		r = file_publish(path_join(a->dir, "status"), "", 0, 0600, e);
	if (r == 0)
		r = file_publish(path_join(a->dir, "etc/sources.list"), a->sources.s, a->sources.n, 0600, e);
	return r < 0 ? r : file_publish(path_join(a->dir, "apt.conf"), apt_conf, strlen(apt_conf), 0600, e);
}

struct words {
	VEC(const char *) v;
};

static void words_add(struct words *w, const char *const *words)
{
	for (; *words; words++)
		*vec_push(&w->v) = *words;
}

/* What every call of apt-get begins with: where all it reads and writes lies. */
static void begin_command(const struct apt *a, struct words *w)
{
	const char *const words[] = {
		"apt-get",
		"-c",
		path_join(a->dir, "apt.conf"),
		"-o",
		arena_printf("Dir::Etc=%s/etc", a->dir),
		"-o",
		arena_printf("Dir::Etc::sourcelist=%s/etc/sources.list", a->dir),
		"-o",
		"Dir::Etc::sourceparts=/dev/null",
		"-o",
		"Dir::Etc::preferencesparts=/dev/null",
		"-o",
		arena_printf("Dir::State=%s/state", a->dir),
		"-o",
		arena_printf("Dir::State::status=%s/status", a->dir),
		"-o",
		arena_printf("Dir::Cache=%s/cache", a->dir),
		a->ca_file ? "-o" : NULL,
		a->ca_file ? arena_printf("Acquire::https::CaInfo=%s", a->ca_file) : NULL,
		NULL,
	};

	words_add(w, words);
}

static int apt_update(const struct apt *a, struct err *e)
{
	struct words w = { 0 };
	int r;

	begin_command(a, &w);
	words_add(&w, (const char *const[]){ "-q", "update", NULL });
	*vec_push(&w.v) = NULL;
	r = proc_run(&(struct proc){ .argv = w.v.v, .timeout = 900 }, e);
	return r < 0 ? err_wrap(e, "reading the package lists of %s", a->archives.v[0].from) : 0;
}

static int apt_ask(const struct apt *a, struct strbuf *out, struct err *e)
{
	const struct yaml_node *wanted = a->recipe->packages;
	struct words w = { 0 };

	begin_command(a, &w);
	words_add(&w, (const char *const[]){ "-y", "--print-uris", "install", "?essential", NULL });
	for (size_t i = 0; i < wanted->count; i++)
		*vec_push(&w.v) = wanted->items[i]->text;
	*vec_push(&w.v) = NULL;
	return proc_run(&(struct proc){ .argv = w.v.v, .output = out }, e);
}

/* "wpasupplicant_2%3a2.10-24_arm64.deb" */
static bool split_file(const char *file, struct debian_package *p)
{
	const char *first = strchr(file, '_'), *last = strrchr(file, '_'), *colon;

	if (!first || last == first)
		return false;
	p->name = arena_strndup(file, (size_t)(first - file));
	p->version = arena_strndup(first + 1, (size_t)(last - first - 1));
	colon = strstr(p->version, "%3a");
	if (colon)
		p->version = arena_printf("%.*s:%s", (int)(colon - p->version), p->version, colon + 3);
	return true;
}

/* 'URL' FILE SIZE SHA256:HEX */
static int parse_line(const struct apt *a, char *line, struct debian_package *p, struct err *e)
{
	char *save = NULL, *url = strtok_r(line, " ", &save), *file = strtok_r(NULL, " ", &save),
	     *size = strtok_r(NULL, " ", &save), *hash = strtok_r(NULL, " ", &save);
	size_t n = url ? strlen(url) : 0;

	if (!hash || n < 3 || url[n - 1] != '\'' || !split_file(file, p))
		return err_set(e, -EBADMSG, "cannot make sense of apt's line about %s", str_or(file, line));
	url[n - 1] = '\0';
	vec_foreach (x, &a->archives)
		if (starts_with(url + 1, x->from))
			p->path = arena_printf("%s%s", x->path, url + 1 + strlen(x->from));
	if (!p->path || !starts_with(hash, "SHA256:") || !sha256_valid(hash + strlen("SHA256:")))
		return err_class(e, CLASS_VERIFY, "%s %s: apt tells no SHA-256 or another place (%s, %s)", p->name,
				 p->version, url + 1, hash);
	p->sha256 = arena_strdup(hash + strlen("SHA256:"));
	p->size = strtoull(size, NULL, 10);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct debian_package *)a)->name, ((const struct debian_package *)b)->name);
}

static int apt_parse(const struct apt *a, char *text, struct debian_lock *l, struct err *e)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct debian_package p = { 0 };
		int r;

		if (line[0] != '\'')
			continue;
		r = parse_line(a, line, &p, e);
		if (r < 0)
			return r;
		*vec_push(&l->packages) = p;
	}
	if (!l->packages.n)
		return err_set(e, -EBADMSG, "apt names no package");
	qsort(l->packages.v, l->packages.n, sizeof(*l->packages.v), by_name);
	return 0;
}

static int resolve(struct apt *a, const struct config *c, struct debian_lock *l, struct err *e)
{
	const struct yaml_node *archives = a->recipe->archives;
	_cleanup_strbuf_ struct strbuf out = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < archives->count; i++)
		r = add_archive(a, c, archives->keys[i]->text, archives->items[i], e);
	if (r == 0)
		r = apt_make_folder(a, e);
	if (r == 0)
		r = apt_update(a, e);
	if (r == 0)
		r = apt_ask(a, &out, e);
	return r < 0 ? r : apt_parse(a, out.s, l, e);
}

int debian_resolve(const struct debian_recipe *recipe, const struct config *c, const char *version, int64_t now,
		   struct debian_lock **ret, struct err *e)
{
	struct apt a = { .recipe = recipe };
	struct debian_lock *l = arena_new(struct debian_lock);
	struct err ignored = { 0 };
	int r;

	if (access(recipe->keyring, R_OK) < 0)
		return err_class(
			e, CLASS_HOST,
			"%s, the keys of Debian's archive, is missing; install the package debian-archive-keyring",
			recipe->keyring);
	r = temp_dir("apt", &a.dir, e);
	if (r < 0)
		return r;
	split_version(&a, version);
	r = resolve(&a, c, l, e);
	strbuf_done(&a.sources);
	remove_tree(a.dir, &ignored);
	if (r < 0)
		return r;
	l->version = version;
	l->mirror = a.mirror;
	l->time = now;
	*ret = l;
	return 0;
}
