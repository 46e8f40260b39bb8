/* SPDX-License-Identifier: Apache-2.0 */
/* The unit graph of a card: what starts is there, and nothing of ours hangs on a unit that retries. */
#include <sys/stat.h>

#include "base/file.h"
#include "inspect/verify_internal.h"

enum { UNIT_LIMIT = 1024 * 1024, MAX_HOPS = 8 };

/* systemd.unit(5), in the order of precedence, without what is made at run time. */
static const char *const unit_dirs[] = { "/etc/systemd/system", "/usr/local/lib/systemd/system",
					 "/usr/lib/systemd/system", "/lib/systemd/system" };

/* PATH, through its links, is a file of the image; a mask (/dev/null) is none. */
static bool resolves(struct verify_ctx *x, const char *path)
{
	for (int hops = 0; hops < MAX_HOPS; hops++) {
		_cleanup_strbuf_ struct strbuf target = { 0 };
		struct err ignored = { 0 };
		struct fs_stat st;

		if (ext4_stat(x->image.root, path, &st, &ignored) < 0)
			return false;
		if (!S_ISLNK(st.mode))
			return S_ISREG(st.mode);
		if (ext4_readlink(x->image.root, path, &target, &ignored) < 0)
			return false;
		path = path_join(path_dir(path), target.s);
	}
	return false;
}

/* Where systemd would load NAME from, an instance from its template; NULL = nowhere, or masked. */
static const char *verify_unit_file(struct verify_ctx *x, const char *name)
{
	const char *at = strchr(name, '@'), *dot = strrchr(name, '.');
	const char *template = at && dot > at + 1 ? arena_printf("%.*s@%s", (int)(at - name), name, dot) : name;

	for (size_t i = 0; i < ARRAY_SIZE(unit_dirs); i++) {
		const char *own = path_join(unit_dirs[i], name), *shared = path_join(unit_dirs[i], template);

		if (ext4_exists(x->image.root, own))
			return resolves(x, own) ? own : NULL;
		if (ext4_exists(x->image.root, shared))
			return resolves(x, shared) ? shared : NULL;
	}
	return NULL;
}

/* "/etc/systemd/system/multi-user.target.wants/k3s.service" is a link by which a target wants or requires a unit. */
static const char *wanted_unit(const char *path, const char *kind)
{
	const char *s = starts_with(path, UNIT_DIR) ? strstr(path, kind) : NULL;

	return s && !strchr(s + strlen(kind), '/') ? s + strlen(kind) : NULL;
}

/* Packages that were taken away leave links behind, which systemd passes over where they only want: those of the base
 * are none of ours to judge. */
static void verify_unit_links(struct verify_ctx *x)
{
	vec_foreach (file, &x->files.v) {
		const char *wanted = wanted_unit(file->path, ".wants/");
		const char *unit = wanted ? wanted : wanted_unit(file->path, ".requires/");

		if (!unit)
			continue;
		x->line->looked++;
		if ((resolves(x, file->path) && verify_unit_file(x, unit)) ||
		    (wanted && !records_find(&x->records, file->path)))
			continue;
		found(x, file->path, "leads to no unit: %s is not in the image, or masked", unit);
	}
}

static const char *enabled_link(const char *unit)
{
	return arena_printf(UNIT_DIR "multi-user.target.wants/%s", unit);
}

/* Both would fight over one data folder; the manifest says which it is to be. */
static void check_role(struct verify_ctx *x)
{
	static const char *const units[] = { "k3s.service", "k3s-agent.service" };
	const char *role = json_get_text(x->manifest, "role");
	bool wanted[] = { streq(role, "control-plane"), streq(role, "worker") };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const char *link = enabled_link(units[i]);
		bool enabled = listing_find(&x->files, link) != NULL;

		if (wanted[i] && !enabled)
			found(x, link, "is not there: %s does not start on this %s node", units[i], role);
		if (!wanted[i] && enabled)
			found(x, link, "starts %s, which has no place on a %s node", units[i], *role ? role : "?");
	}
}

static void check_step(struct verify_ctx *x, const char *name)
{
	const char *unit = arena_printf("pibuild-%s.service", name), *file = arena_printf(UNIT_DIR "%s", unit);
	const char *link = enabled_link(unit);

	x->line->looked++;
	if (!resolves(x, file))
		found(x, file, "is not there: the step %s of first boot cannot run", name);
	if (!listing_find(&x->files, link))
		found(x, link, "is not there: the step %s of first boot does not start", name);
}

/* The first word of each line of /etc/pibuild/steps is a step; the report is on every card beside them. */
static int check_steps(struct verify_ctx *x, struct err *e)
{
	static const char path[] = "/etc/pibuild/steps";
	_cleanup_strbuf_ struct strbuf b = { 0 };

	check_step(x, "report");
	if (ext4_read(x->image.root, path, UNIT_LIMIT, &b, e) < 0)
		return found_failure(x, path, e);
	text_foreach (line, b.s, "\n") {
		line[strcspn(line, " \t")] = '\0';
		if (*line && *line != '#')
			check_step(x, clean_copy(line));
	}
	return 0;
}

/* ---- systemd issue 18856 ---- */

/* The value of "KEY=value" in a line of a unit, or NULL. */
static const char *setting(const char *line, const char *key)
{
	size_t n = strlen(key);

	return starts_with(line, key) && line[n] == '=' ? line + n + 1 : NULL;
}

/* A oneshot that systemd starts again when it fails. */
static bool retries(struct verify_ctx *x, const char *unit)
{
	const char *path = verify_unit_file(x, unit), *v;
	_cleanup_strbuf_ struct strbuf b = { 0 };
	struct err ignored = { 0 };
	bool oneshot = false, again = false;

	if (!path || ext4_read(x->image.root, path, UNIT_LIMIT, &b, &ignored) < 0)
		return false;
	text_foreach (line, b.s, "\n") {
		if ((v = setting(line, "Type")))
			oneshot = streq(v, "oneshot");
		if ((v = setting(line, "Restart")))
			again = !streq(v, "no");
	}
	return oneshot && again;
}

static void check_needs(struct verify_ctx *x, const char *path, char *units)
{
	text_foreach (unit, units, " \t")
		if (retries(x, unit))
			found(x, path,
			      "requires %s, a oneshot that retries: its first failure would be final for this unit; use Wants= and wait",
			      clean_copy(unit));
}

static void check_unit_text(struct verify_ctx *x, const char *path, char *text)
{
	static const char *const keys[] = { "Requires", "Requisite", "BindsTo" };

	text_foreach (line, text, "\n")
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (setting(line, keys[i]))
				check_needs(x, path, line + strlen(keys[i]) + 1);
}

/* Units and drop-ins that the manifest names, and their .requires folders. */
static int check_requirements(struct verify_ctx *x, struct err *e)
{
	vec_foreach (rec, &x->records.v) {
		_cleanup_strbuf_ struct strbuf b = { 0 };
		const char *unit = wanted_unit(rec->path, ".requires/");
		struct err ignored = { 0 }; /* what is missing, `files` has told */

		if (unit && retries(x, unit))
			found(x, rec->path, "requires a oneshot that retries: its first failure would be final");
		if (!starts_with(rec->path, UNIT_DIR) || rec->kind != ENTRY_FILE ||
		    ext4_read(x->image.root, rec->path, UNIT_LIMIT, &b, &ignored) < 0)
			continue;
		x->line->looked++;
		check_unit_text(x, rec->path, b.s);
	}
	return 0;
}

int check_units(struct verify_ctx *x, struct err *e)
{
	int r;

	x->line->things = "units and links";
	verify_unit_links(x);
	check_role(x);
	r = check_steps(x, e);
	return r < 0 ? r : check_requirements(x, e);
}
