/* SPDX-License-Identifier: Apache-2.0 */
/* The file pibuild.lock, of what an update found. */
#include "base/file.h"
#include "update/update.h"

static struct yaml_node *image_yaml(const struct lock_line *line)
{
	const struct lock_entry *x = &line->entry;
	struct yaml_node *m = yaml_map();

	yaml_set(m, "name", yaml_str(x->name));
	yaml_set(m, "tag", yaml_str(x->version));
	if (line->for_version)
		yaml_append(yaml_set(m, "for", yaml_seq()), yaml_str(line->for_version));
	yaml_set(m, "digest", yaml_strf("sha256:%s", x->sha256));
	if (x->source)
		yaml_set(m, "source", yaml_str(x->source));
	return m;
}

static struct yaml_node *keys_yaml(const struct lock_line *line)
{
	const struct lock_keys *k = line->keys;
	struct yaml_node *m = yaml_map(), *list;

	yaml_set(m, "github", yaml_str(k->user));
	list = yaml_set(m, "keys", yaml_seq());
	vec_foreach (key, &k->keys)
		yaml_append(list, yaml_str(*key));
	if (k->source)
		yaml_set(m, "source", yaml_str(k->source));
	return m;
}

static struct yaml_node *artifact_yaml(const struct lock_line *line)
{
	const struct lock_entry *x = &line->entry;
	struct yaml_node *m = yaml_map(), *raw;

	yaml_set(m, "name", yaml_str(x->name));
	yaml_set(m, "version", yaml_str(x->version));
	yaml_set(m, "url", yaml_str(x->url));
	yaml_set(m, "sha256", yaml_str(x->sha256));
	if (x->size)
		yaml_set(m, "size", yaml_int((int64_t)x->size));
	if (x->raw_size) {
		raw = yaml_set(m, "raw", yaml_map());
		yaml_set(raw, "size", yaml_int((int64_t)x->raw_size));
		yaml_set(raw, "sha256", yaml_str(x->raw_sha256));
	}
	if (x->source)
		yaml_set(m, "source", yaml_str(x->source));
	return m;
}

static struct yaml_node *packages_yaml(const struct lock_line *line)
{
	return lock_packages_yaml(line->packages);
}

static struct yaml_node *app_yaml(const struct lock_line *line)
{
	return lock_app_yaml(line->app);
}

static struct yaml_node *judged_yaml(const struct lock_line *line)
{
	return lock_judged_yaml(line->judged);
}

/* Lists, a line each; `debian` is one map. */
static const struct {
	const char *name;
	struct yaml_node *(*yaml)(const struct lock_line *line);
} sections[LOCK_WHAT_COUNT] = {
	[LOCK_ARTIFACT] = { "artifacts", artifact_yaml }, [LOCK_IMAGE] = { "images", image_yaml },
	[LOCK_KEYS] = { "sshKeys", keys_yaml },		  [LOCK_DEBIAN] = { DEBIAN_BASE, NULL },
	[LOCK_PACKAGES] = { "packages", packages_yaml },  [LOCK_APP] = { "apps", app_yaml },
	[LOCK_JUDGED] = { "judged", judged_yaml },
};

/* NULL when there is nothing of it; `artifacts` has to be there. */
static struct yaml_node *section_yaml(const struct lock_report *report, enum lock_what what)
{
	struct yaml_node *list = yaml_seq();

	vec_foreach (line, &report->lines)
		if (line->what == what && line->change != LOCK_REMOVED)
			yaml_append(list, sections[what].yaml(line));
	return list->count || what == LOCK_ARTIFACT ? list : NULL;
}

/* What L has is kept for a config that asks for it. */
static struct yaml_node *debian_yaml(const struct lock *l, const struct lock_report *report)
{
	const struct debian_lock *debian = l->debian;

	vec_foreach (line, &report->lines)
		if (line->what == LOCK_DEBIAN)
			debian = line->debian;
	return debian ? lock_debian_yaml(debian) : NULL;
}

int lock_write(const struct lock *l, const struct lock_report *report, const struct lock_options *o, struct err *e)
{
	static const char comment[] =
		"Pins every download by digest. Made by `pibuild lock`; keep it beside cluster.yaml and in version control.\n"
		"  versions  what is used unless cluster.yaml says otherwise; `pibuild lock --update` moves them\n"
		"  source    who states the digest; pibuild verifies every download against it all the same\n"
		"  raw       of a compressed base: size and digest of the decompressed image\n"
		"  sshKeys   of users of GitHub, as they were; `pibuild lock --update sshKeys` looks anew\n"
		"  debian    the packages of os.base: debian, as apt resolved them from Debian's signed archive\n"
		"  packages  what os.packages comes to on this base, as apt resolved it from the base's own archives\n"
		"  apps      charts and manifests of apps; `pibuild lock --update apps` looks them up anew\n"
		"  judged    apps whose values their charts have seen, and the container images they ask for";
	_cleanup_strbuf_ struct strbuf out = { 0 };
	struct yaml_node *doc = yaml_map(), *versions;

	yaml_set(doc, "apiVersion", yaml_str("pibuild/v1"));
	yaml_set(doc, "kind", yaml_str("Lock"));
	yaml_set(doc, "time", yaml_str(utc_text(o->time)));
	versions = yaml_set(doc, "versions", yaml_map());
	vec_foreach (v, &l->versions)
		yaml_set(versions, v->name, yaml_str(v->version));
	for (enum lock_what what = 0; what < LOCK_WHAT_COUNT; what++) {
		struct yaml_node *section = what == LOCK_DEBIAN ? debian_yaml(l, report) : section_yaml(report, what);

		if (section)
			yaml_set(doc, sections[what].name, section);
	}
	yaml_emit(doc, comment, &out);
	return file_publish(o->file, out.s, out.n, 0644, e);
}
