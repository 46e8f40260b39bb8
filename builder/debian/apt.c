/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which packages are needed, asked of apt itself: in a folder of its own, for arm64, from signed archives. For a Debian
 * that is made, nothing is installed; for packages on top of a base, it is what the base's own dpkg says, and the
 * archives and keys are the base's. `apt-get --print-uris install` then names each with its size and digest.
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
	const char *dir;
	const char *ca_file; /* NULL = the system's */
	VEC(struct archive) archives;
	struct text_list wanted; /* what is to be installed */
};

/* One whose archives are those of the recipe. */
struct recipe_apt {
	struct apt apt;
	const struct debian_recipe *recipe;
	const char *mirror, *suite, *snapshot;
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

static void split_version(struct recipe_apt *a, const char *version)
{
	const char *dash = strchr(version, '-');

	a->suite = dash ? arena_strndup(version, (size_t)(dash - version)) : version;
	a->snapshot = dash ? dash + 1 : NULL;
	a->mirror = with_slash(dash ? a->recipe->snapshot : a->recipe->mirror);
}

/* URL, ending in a slash, as the lock has it, and where it is fetched from: a mirror of cluster.yaml, or there. */
static int add_archive(struct apt *a, const struct config *c, const char *url, const char *path, const char **ret_from,
		       struct err *e)
{
	struct sources sources = { 0 };
	int r = url_sources(c, url, &sources, e);

	if (r < 0)
		return r;
	*ret_from = with_slash(sources.list.v[0].url);
	if (sources.list.v[0].ca_file)
		a->ca_file = sources.list.v[0].ca_file;
	*vec_push(&a->archives) = (struct archive){ .from = *ret_from, .path = path };
	return 0;
}

static int add_suites(struct recipe_apt *a, const struct config *c, const char *name, const struct yaml_node *suites,
		      struct err *e)
{
	const char *path = a->snapshot ? arena_printf("%s/%s/", name, a->snapshot) : arena_printf("%s/", name), *from;
	int r = add_archive(&a->apt, c, arena_printf("%s%s", a->mirror, path), path, &from, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < suites->count; i++) {
		/* A snapshot is old on purpose. */
		strbuf_addf(&a->sources, "deb [signed-by=%s%s] %s %s", a->recipe->keyring,
			    a->snapshot ? " check-valid-until=no" : "", from,
			    expand_suite(suites->items[i]->text, a->suite));
		for (size_t k = 0; k < a->recipe->components->count; k++)
			strbuf_addf(&a->sources, " %s", a->recipe->components->items[k]->text);
		strbuf_adds(&a->sources, "\n");
	}
	return 0;
}

/* A private root for apt: the host's lists, caches and installed packages play no part. */
static int apt_make_folder(const struct apt *a, struct err *e)
{
	static const char *const folders[] = { "etc/sources.list.d", "etc/trusted.gpg.d", "keyrings",
					       "state/lists/partial", "cache/archives/partial" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int r = make_dirs(path_join(a->dir, folders[i]), 0700, e);

		if (r < 0)
			return r;
	}
	return file_publish(path_join(a->dir, "apt.conf"), apt_conf, strlen(apt_conf), 0600, e);
}

static void words_add(struct text_list *w, const char *const *words)
{
	for (; *words; words++)
		*vec_push(w) = *words;
}

/* What every call of apt-get begins with: where all it reads and writes lies. */
static void begin_command(const struct apt *a, struct text_list *w)
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
		arena_printf("Dir::Etc::sourceparts=%s/etc/sources.list.d", a->dir),
		"-o",
		arena_printf("Dir::Etc::trustedparts=%s/etc/trusted.gpg.d", a->dir),
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
	struct text_list w = { 0 };
	int r;

	begin_command(a, &w);
	words_add(&w, (const char *const[]){ "-q", "update", NULL });
	*vec_push(&w) = NULL;
	r = proc_run(&(struct proc){ .argv = w.v, .timeout = 900 }, e);
	return r < 0 ? err_wrap(e, "reading the package lists of %s", a->archives.v[0].from) : 0;
}

static int apt_ask(const struct apt *a, struct strbuf *out, struct err *e)
{
	struct text_list w = { 0 };

	begin_command(a, &w);
	words_add(&w, (const char *const[]){ "-y", "--print-uris", "install", NULL });
	vec_foreach (name, &a->wanted)
		*vec_push(&w) = *name;
	*vec_push(&w) = NULL;
	return proc_run(&(struct proc){ .argv = w.v, .output = out }, e);
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

struct package_list {
	VEC(struct debian_package) v;
};

static int apt_parse(const struct apt *a, char *text, struct package_list *ret, struct err *e)
{
	text_foreach (line, text, "\n") {
		struct debian_package p = { 0 };
		int r;

		if (line[0] != '\'')
			continue;
		r = parse_line(a, line, &p, e);
		if (r < 0)
			return r;
		*vec_push(&ret->v) = p;
	}
	vec_sort_by(&ret->v, name);
	return 0;
}

static int apt_install(const struct apt *a, struct package_list *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	int r = apt_ask(a, &out, e);

	return r < 0 || !out.n ? r : apt_parse(a, out.s, ret, e);
}

/* ---- a Debian that is made ---- */

static int resolve_recipe(struct recipe_apt *a, const struct config *c, struct package_list *ret, struct err *e)
{
	const struct yaml_node *archives = a->recipe->archives, *wanted = a->recipe->packages;
	const struct text_list extra = config_packages(c, NULL);
	int r;

	for (size_t i = 0; i < archives->count; i++) {
		r = add_suites(a, c, archives->keys[i]->text, archives->items[i], e);
		if (r < 0)
			return r;
	}
	*vec_push(&a->apt.wanted) = "?essential";
	for (size_t i = 0; i < wanted->count; i++)
		*vec_push(&a->apt.wanted) = wanted->items[i]->text;
	vec_foreach (name, &extra)
		*vec_push(&a->apt.wanted) = *name;
	r = apt_make_folder(&a->apt, e);
	if (r < 0)
		return r;
	r = file_publish(path_join(a->apt.dir, "status"), "", 0, 0600, e);
	if (r < 0)
		return r;
	r = file_publish(path_join(a->apt.dir, "etc/sources.list"), a->sources.s, a->sources.n, 0600, e);
	if (r < 0)
		return r;
	r = apt_update(&a->apt, e);
	return r < 0 ? r : apt_install(&a->apt, ret, e);
}

static const struct yaml_node *extra_yaml(const struct config *c)
{
	const struct text_list extra = config_packages(c, NULL);
	struct yaml_node *list = extra.n ? yaml_seq() : NULL;

	vec_foreach (name, &extra)
		yaml_append(list, yaml_str(*name));
	return list;
}

int debian_resolve(const struct debian_recipe *recipe, const struct config *c, const char *version, int64_t now,
		   struct debian_lock **ret, struct err *e)
{
	struct recipe_apt a = { .recipe = recipe };
	struct debian_lock *l = arena_new(struct debian_lock);
	struct package_list list = { 0 };
	struct err ignored = { 0 };
	int r;

	if (access(recipe->keyring, R_OK) < 0)
		return err_class(
			e, CLASS_HOST,
			"%s, the keys of Debian's archive, is missing; install the package debian-archive-keyring",
			recipe->keyring);
	r = temp_dir("apt", &a.apt.dir, e);
	if (r < 0)
		return r;
	split_version(&a, version);
	r = resolve_recipe(&a, c, &list, e);
	strbuf_done(&a.sources);
	remove_tree(a.apt.dir, &ignored);
	if (r < 0)
		return r;
	if (!list.v.n)
		return err_set(e, -EBADMSG, "apt names no package");
	vec_foreach (p, &list.v)
		*vec_push(&l->packages) = *p;
	l->extra = extra_yaml(c);
	l->version = version;
	l->mirror = a.mirror;
	l->time = now;
	*ret = l;
	return 0;
}

/* ---- packages on top of a base ---- */

#define DPKG_STATUS   "/var/lib/dpkg/status"
#define BASE_KEYRINGS "/usr/share/keyrings"
enum { APT_FILE_LIMIT = 4 * 1024 * 1024, STATUS_LIMIT = 64 * 1024 * 1024 };

/* What the base's files become in apt's folder. */
static const struct base_files {
	const char *from, *to, *suffixes; /* blank-separated */
} base_files[] = {
	{ "/etc/apt/sources.list.d", "etc/sources.list.d", ".list .sources" },
	{ "/etc/apt/trusted.gpg.d", "etc/trusted.gpg.d", ".asc .gpg" },
	{ "/etc/apt/keyrings", "keyrings", ".asc .gpg .pgp" },
	{ BASE_KEYRINGS, "keyrings", ".asc .gpg .pgp" },
};

struct base_copy {
	struct apt *apt;
	const struct config *config;
	struct ext4 *root;
	const struct base_files *files;
};

static bool has_suffix(const char *path, const char *suffixes)
{
	for (; *suffixes; suffixes += strspn(suffixes, " ")) {
		size_t n = strcspn(suffixes, " ");

		if (ends_with(path, arena_strndup(suffixes, n)))
			return true;
		suffixes += n;
	}
	return false;
}

/* Every address in sources, to where it is fetched from; http is https here, whose archives are the same. */
static int add_url(const struct base_copy *b, const char *url, struct strbuf *out, struct err *e)
{
	const char *https = starts_with(url, "http://") ? arena_printf("https://%s", url + strlen("http://")) : url,
		   *from;
	int r = add_archive(b->apt, b->config, with_slash(https), with_slash(https), &from, e);

	if (r < 0)
		return r;
	strbuf_adds(out, from);
	return 0;
}

/* The base's sources with our places for archives and keys. */
static int rewrite_sources(const struct base_copy *b, const char *text, struct strbuf *out, struct err *e)
{
	static const char *const keyrings[] = { BASE_KEYRINGS "/", "/etc/apt/keyrings/" };
	int r;

	while (*text) {
		size_t n = strcspn(text, " \t\n,]"), skip;

		if (starts_with(text, "http://") || starts_with(text, "https://")) {
			r = add_url(b, arena_strndup(text, n), out, e);
			if (r < 0)
				return r;
			text += n;
			continue;
		}
		skip = 0;
		for (size_t i = 0; i < ARRAY_SIZE(keyrings); i++)
			if (starts_with(text, keyrings[i]))
				skip = strlen(keyrings[i]);
		if (skip) {
			strbuf_addf(out, "%s/keyrings/", b->apt->dir);
			text += skip;
			continue;
		}
		strbuf_add(out, text++, 1);
	}
	return 0;
}

static int copy_base_file(const struct base_copy *b, const char *path, const char *to, bool sources, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 }, out = { 0 };
	int r = ext4_read(b->root, path, APT_FILE_LIMIT, &text, e);

	if (r < 0)
		return r;
	if (!sources)
		return file_publish(path_join(b->apt->dir, to), text.s, text.n, 0600, e);
	r = rewrite_sources(b, str_or(text.s, ""), &out, e);
	return r < 0 ? r : file_publish(path_join(b->apt->dir, to), str_or(out.s, ""), out.n, 0600, e);
}

static int copy_listed(void *arg, const char *path, const struct fs_stat *st, struct err *e)
{
	const struct base_copy *b = arg;

	if (!S_ISREG(st->mode) || !has_suffix(path, b->files->suffixes))
		return 0;
	return copy_base_file(b, path, path_join(b->files->to, path_base(path)),
			      strstr(b->files->to, "sources") != NULL, e);
}

static int take_base(struct base_copy *b, struct err *e)
{
	_cleanup_strbuf_ struct strbuf status = { 0 };
	int r = apt_make_folder(b->apt, e);

	if (r < 0)
		return r;
	if (!ext4_exists(b->root, DPKG_STATUS))
		return err_class(e, CLASS_CONFIG,
				 "the base has no " DPKG_STATUS
				 ": packages of Debian go onto a Debian or Raspberry Pi OS only");
	r = ext4_read(b->root, DPKG_STATUS, STATUS_LIMIT, &status, e);
	if (r < 0)
		return r;
	r = file_publish(path_join(b->apt->dir, "status"), status.s, status.n, 0600, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(base_files); i++) {
		b->files = &base_files[i];
		if (!ext4_exists(b->root, b->files->from))
			continue;
		r = ext4_walk(b->root, b->files->from, copy_listed, b, e);
		if (r < 0)
			return r;
	}
	if (ext4_exists(b->root, "/etc/apt/sources.list"))
		return copy_base_file(b, "/etc/apt/sources.list", "etc/sources.list", true, e);
	return 0;
}

/* "systemd-timesyncd": what apt would take away for what is wanted; NULL = nothing. */
static const char *removed_by_apt(const char *text)
{
	static const char title[] = "The following packages will be REMOVED:\n";
	const char *line = strstr(text, title), *names = "";

	if (!line)
		return NULL;
	for (line += strlen(title); starts_with(line, "  "); line += strcspn(line, "\n"), line += *line == '\n')
		names = arena_printf("%s%.*s", names, (int)strcspn(line + 1, "\n"), line + 1);
	return names + (*names == ' ');
}

/* The card's packages are added to the base's, offline: what pibuild set up for a package that went would be for
 * nobody. */
static int ask_additions(const struct apt *a, struct package_list *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };
	int r = apt_ask(a, &out, e);
	const char *removed = r < 0 ? NULL : removed_by_apt(str_or(out.s, ""));

	if (removed)
		return err_class(
			e, CLASS_CONFIG,
			"apt would remove %s from the base for them, and os.packages only adds to it; leave out what is in its place",
			removed);
	return r < 0 || !out.n ? r : apt_parse(a, out.s, ret, e);
}

static int resolve_sets(struct base_copy *b, struct package_set *sets, const struct text_list *wanted, size_t n,
			struct err *e)
{
	int r = take_base(b, e);

	if (r < 0)
		return r;
	if (!b->apt->archives.n)
		return err_class(e, CLASS_CONFIG,
				 "the base names no archive in /etc/apt/sources.list.d that packages could come from");
	r = apt_update(b->apt, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct package_list list = { 0 };

		b->apt->wanted = wanted[i];
		r = ask_additions(b->apt, &list, e);
		if (r < 0)
			return r;
		vec_foreach (p, &list.v)
			*vec_push(&sets[i].list) = (struct locked_package){ .name = p->name,
									    .version = p->version,
									    .url = p->path,
									    .sha256 = p->sha256,
									    .size = p->size };
	}
	return 0;
}

int debian_resolve_sets(struct ext4 *root, const struct config *c, struct package_set *sets,
			const struct text_list *wanted, size_t n, struct err *e)
{
	struct apt a = { 0 };
	struct base_copy b = { .apt = &a, .config = c, .root = root };
	struct err ignored = { 0 };
	int r = temp_dir("apt", &a.dir, e);

	if (r < 0)
		return r;
	r = resolve_sets(&b, sets, wanted, n, e);
	remove_tree(a.dir, &ignored);
	return r;
}
