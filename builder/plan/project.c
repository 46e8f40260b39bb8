/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/project.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "plan/birth.h"
#include "plan/flashed.h"

static int project_load_boards(struct project *p, struct err *e)
{
	size_t i = 0;

	p->boards = arena_alloc(p->config->nodes.n * sizeof(*p->boards) + 1);
	vec_foreach (n, &p->config->nodes) {
		int r = board_load(n->board, &p->boards[i++], e);

		if (r < 0)
			return r;
	}
	return 0;
}

/* As a fresh clone has them: encrypted, for it must not have them otherwise, or under a name like theirs. */
static const char *secrets_kept_beside(const char *path)
{
	static const char *const names[] = { "secrets.yaml.age", "secrets.yaml.asc",  "secrets.yaml.gpg",
					     "secrets.yaml.enc", "secrets.yaml.sops", "secrets.yaml.vault",
					     "secrets.age",	 "secrets.enc.yaml",  "secrets.sops.yaml",
					     "secrets.yml",	 "Secrets.yaml" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *beside = path_join(path_dir(path), names[i]);

		if (!file_is_missing(beside))
			return beside;
	}
	return NULL;
}

/* New secrets lock out every card made with the old ones: never by accident. */
static int create_secrets(const struct project *p, const char *path, const char *out, struct err *e)
{
	const char *trace = NULL, *beside = secrets_kept_beside(path);
	int r = birth_traces(p->config, out, &trace, e);

	if (r < 0)
		return r;
	if (beside)
		return err_class(
			e, CLASS_REFUSED,
			"%s is missing, and %s is there: if those are the keys of %s, decrypt or rename them to %s, for other secrets would make cards that the cluster does not let in; if they are not, `pibuild secrets new` makes some",
			path, beside, p->config->cluster.name, path);
	if (trace)
		return err_class(
			e, CLASS_REFUSED,
			"%s is missing, and %s was made with it: other secrets would make cards that %s does not let in; put the file back from your backup, or, when it is lost, start anew: `pibuild secrets new`, then flash every card, the first server's with --start-new-cluster",
			path, trace, p->config->cluster.name);
	r = secrets_create(path, p->config, e);
	if (r < 0)
		return e->class == CLASS_REFUSED ? 0 : r; /* what another build has just made is as good */
	log_info(
		"made %s: the keys and tokens of this cluster; keep it safe and out of git, the same file gives the same images",
		path);
	return 0;
}

/* A build makes what is missing; whoever only looks is told. */
static void note_new_nodes(struct project *p, const struct secrets *s)
{
	vec_foreach (n, &p->config->nodes)
		if (!secrets_node_password(s, n->name))
			note_key(&p->faults, p->config,
				 arena_printf("nodes[%zu].name", (size_t)(n - p->config->nodes.v)),
				 "%s has no password for %s yet: the next `pibuild build` or `flash` makes it", s->path,
				 n->name);
}

/* What a CA may sign for is part of its certificate. */
static void check_issuer_ca(struct project *p, const struct secrets *s)
{
	const struct config *c = p->config;
	const char *fault = secrets_zone_fault(s, c);

	if (fault)
		fault_key(&p->faults, c, "certManager.zones", "%s", fault);
	else if (c->cert_manager.issuers[ISSUER_CA] && !s->issuer_ca.cert)
		note_key(
			&p->faults, c, "certManager.issuers",
			"%s has no CA for the issuer ca yet: the next `pibuild build`, `flash` or `pibuild ca` makes it",
			s->path);
}

static int load_secrets(struct project *p, const struct project_options *o, struct err *e)
{
	const char *path = secrets_path(o->secrets, p->config);
	struct secrets *s;
	int r = 0;

	if (o->policy <= SECRETS_NONE || (o->policy == SECRETS_IF_ANY && !o->secrets && file_is_missing(path)))
		return 0;
	if (o->policy == SECRETS_NEEDED && file_is_missing(path))
		r = create_secrets(p, path, o->out, e);
	if (r == 0)
		r = secrets_load(path, &s, e);
	if (r == 0)
		r = secrets_check_cluster(s, p->config, o->secrets, e);
	if (r == 0 && o->policy == SECRETS_NEEDED)
		r = secrets_complete(s, p->config, e);
	if (r < 0)
		return r;
	note_new_nodes(p, s);
	check_issuer_ca(p, s);
	p->secrets = s;
	p->secrets_real = true;
	return 0;
}

/* Something else than a folder, also a link that leads nowhere. Whoever reads one that cannot be asked about says why
 * not: without it the card would lack what is in it. */
static bool is_no_folder(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT && !file_is_missing(path);
	return !S_ISDIR(st.st_mode);
}

static const char *overlays_beside(const struct config *c)
{
	const char *dir = path_join(c->dir, "overlays");

	return is_no_folder(dir) || file_is_missing(dir) ? NULL : dir;
}

/* A folder meant for overlays, by a name that is not theirs. */
static void check_overlays_name(struct project *p)
{
	static const char *const slips[] = { "overlay", "Overlays", "overlays.d" };
	const char *dir = path_join(p->config->dir, "overlays");
	struct stat st;

	if (is_no_folder(dir))
		fault_at(&p->faults, NULL, "%s is no folder; overlays are folders below it", dir);
	for (size_t i = 0; i < ARRAY_SIZE(slips) && !p->user_overlays; i++) {
		const char *slip = path_join(p->config->dir, slips[i]);

		if (stat(slip, &st) == 0 && S_ISDIR(st.st_mode))
			note_at(&p->faults, NULL, "%s is not read; did you mean overlays?", slip);
	}
}

static int check_overlays(struct project *p, struct err *e)
{
	size_t n = p->config->nodes.n;
	struct node_ctx *nodes = arena_alloc((n + 1) * sizeof(*nodes));

	check_overlays_name(p);
	for (size_t i = 0; i < n; i++)
		nodes[i] = project_node(p, i);
	node_check_named_files(nodes, n, &p->faults);
	return p->user_overlays ? node_check_overlays(p->user_overlays, nodes, n, &p->faults, e) : 0;
}

static void project_check_versions(struct project *p)
{
	const struct cluster_versions v = versions_in_force(&p->set);

	cluster_check(p->config, &v, &p->faults);
}

/* The user's values file is judged against what it goes over, which takes the whole cluster. */
static void check_values(struct project *p)
{
	const struct node_config *first = config_first_server(p->config);

	if (first && p->config->cilium.values) {
		struct node_ctx x = project_node(p, (size_t)(first - p->config->nodes.v));

		cilium_values(&x, &p->faults);
	}
}

static void take_version(struct config *c, const char *key, const char *version)
{
	struct version_pin *pin = NULL;

	vec_foreach (v, &c->versions)
		if (streq(v->name, key))
			pin = v;
	if (!pin)
		pin = vec_push(&c->versions);
	*pin = (struct version_pin){ key, version };
}

static bool is_only_version(const struct lock *l, const struct lock_entry *x)
{
	vec_foreach (other, &l->entries)
		if (streq(other->name, x->name) && !streq(other->version, x->version))
			return false;
	return true;
}

/* The versions of L over those of config and catalogue: of what was BUILT all that it names, of a lock those that it
 * says were chosen, and those of which it has no other. */
static void take_versions(struct config *c, const struct catalogue *cat, const struct lock *l, bool built)
{
	vec_foreach (x, &l->entries) {
		const struct artifact *a = catalogue_find(cat, x->name);

		if (a && (built || is_only_version(l, x)))
			take_version(c, a->version_key, x->version);
	}
	vec_foreach (v, &l->versions)
		if (!built)
			take_version(c, v->name, v->version);
}

static int check_birth(struct project *p, struct err *e)
{
	_cleanup_json_ json_t *cards = NULL;
	int r = flashed_load(p->config->dir, &cards, e);

	if (r < 0)
		return r;
	birth_settle(cards, p->config);
	birth_check(cards, p->config, &p->faults);
	return 0;
}

/* What one image was built by says nothing of keys, and not what an app is made of: those are still the lock's. */
static int take_keys(struct project *p, const struct project_options *o, struct err *e)
{
	struct lock *with_keys = arena_new(struct lock), *lock;
	int r = 0;

	*with_keys = *o->built;
	if (p->config->access.github.n || p->config->apps.n) {
		r = lock_load(o->lock, p->config, &lock, e);
		if (r < 0)
			return r;
		memcpy(&with_keys->keys, &lock->keys, sizeof(lock->keys));
		memcpy(&with_keys->apps, &lock->apps, sizeof(lock->apps));
		memcpy(&with_keys->judged, &lock->judged, sizeof(lock->judged));
	}
	p->set.lock = with_keys;
	return r;
}

/* A build needs them; whoever only looks is told. */
static void note_missing_keys(struct project *p)
{
	vec_foreach (user, &p->config->access.github)
		if (!lock_find_keys(p->set.lock, *user))
			note_key(
				&p->faults, p->config, "access.sshKeys",
				"access.sshKeys: the keys of the GitHub user %s are not in %s; `pibuild lock` fetches them",
				*user, str_or(p->set.lock->path, "the lock"));
}

/* The same of packages, for the first node whose list is not there. A base that cannot be read is told of where it is
 * needed. */
static void note_missing_packages(struct project *p)
{
	struct err ignored = { 0 };
	struct pins pins;

	for (size_t i = 0; i < p->config->nodes.n; i++) {
		const struct node_config *n = &p->config->nodes.v[i];
		const char *key = n->packages.n ? arena_printf("nodes[%zu].packages", i) : "os.packages";

		if (package_pins(&p->set, n, &pins, &ignored) < 0)
			return;
		if (pins.v.n && !pins.v.v[0].sha256) {
			note_key(&p->faults, p->config, key,
				 "%s: what %s needs of it on this base is not in %s; `pibuild lock` has apt choose it",
				 key, n->name, str_or(p->set.lock->path, "the lock"));
			return;
		}
	}
}

static int take_lock(struct project *p, const struct project_options *o, struct err *e)
{
	struct lock *lock;
	int r;

	if (o->built) {
		r = take_keys(p, o, e);
		if (r < 0)
			return r;
		p->epoch = o->built->time;
		take_versions(p->config, p->set.catalogue, o->built, true);
		return 0;
	}
	r = lock_load(o->lock, p->config, &lock, e);
	if (r < 0)
		return r;
	p->set.lock = lock;
	if (o->lock_first)
		take_versions(p->config, p->set.catalogue, lock, false);
	return source_date_epoch(MAX(lock->time, 1), &p->epoch, e); /* ext4 takes 0 for now */
}

struct node_ctx project_node(const struct project *p, size_t i)
{
	return (struct node_ctx){
		.config = p->config,
		.node = &p->config->nodes.v[i],
		.board = p->boards[i],
		.boards = p->boards,
		.set = p->set,
		.secrets = p->secrets,
		.secret_use = SECRET_PROBE,
		.user_overlays = p->user_overlays,
		.epoch = p->epoch,
	};
}

int project_load(const struct project_options *o, struct project **ret, struct err *e)
{
	struct project *p = arena_new(struct project);
	struct catalogue *catalogue = NULL;
	size_t load_errors;
	int r = config_load(o->config, &p->config, &p->faults, e);

	*ret = p;
	if (r == 0 && o->rehearse)
		config_rehearse(p->config, o->base);
	if (r == 0)
		r = config_add_env_mirrors(p->config, e);
	if (r == 0)
		r = catalogue_load(&catalogue, e);
	p->set = (struct release_set){ .catalogue = catalogue, .config = p->config };
	if (r < 0)
		return r;
	r = take_lock(p, o, e);
	if (r < 0)
		return r;
	load_errors = p->faults.errors;
	note_missing_keys(p);
	project_check_versions(p);
	if (o->policy != SECRETS_UNUSED)
		config_check_secrets(p->config, &p->faults);
	/* A values file is judged against the cluster, which has to be readable as one. */
	if (load_errors)
		return 0;
	if (!o->built)
		note_missing_packages(p);
	if (!o->new_cluster) {
		r = check_birth(p, e);
		if (r < 0)
			return r;
	}
	p->user_overlays = overlays_beside(p->config);
	p->secrets = secrets_masked();
	r = project_load_boards(p, e);
	if (r < 0)
		return p->faults.errors ? 0 : r; /* an unknown board is among the faults */
	check_values(p);
	r = p->faults.errors ? 0 : check_overlays(p, e);
	if (r < 0 || p->faults.errors)
		return r;
	r = o->before ? o->before(p->config, o->before_arg, e) : 0;
	return r < 0 ? r : load_secrets(p, o, e);
}

int project_load_valid(const struct project_options *o, struct project **ret, struct err *e)
{
	struct project *p;
	int r = project_load(o, &p, e);

	if (r < 0)
		return r;
	faults_print(&p->faults);
	r = faults_verdict(&p->faults, p->config->path, e);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}
