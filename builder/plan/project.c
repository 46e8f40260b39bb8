/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/project.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"

static int build_time(const struct lock *l, int64_t *ret, struct err *e)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	char *end;

	if (!text || !*text) {
		/* ext4 has no time 0: it would mean "now". */
		*ret = l->time > 0 ? l->time : 1;
		return 0;
	}
	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (errno || *end || *ret <= 0 || *ret > UINT32_MAX)
		return err_class(
			e, CLASS_USAGE,
			"SOURCE_DATE_EPOCH is '%s': it must be seconds since 1970, from 1 to %u; unset it to use "
			"the lock's time",
			text, UINT32_MAX);
	return 0;
}

static int load_boards(struct project *p, struct err *e)
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

static int load_secrets(struct project *p, const struct project_options *o, struct err *e)
{
	const char *path = o->secrets ? o->secrets : path_join(p->config->dir, "secrets.yaml");
	struct secrets *s;
	int r;

	p->secrets = secrets_masked();
	if (o->policy == SECRETS_NONE || (o->policy == SECRETS_IF_ANY && access(path, F_OK) < 0))
		return 0;
	if (o->policy == SECRETS_NEEDED && access(path, F_OK) < 0 && errno == ENOENT) {
		r = secrets_create(path, p->config, e);
		if (r < 0)
			return r;
		log_info("made %s: the keys and tokens of this cluster; keep it safe and out of git, the same file "
			 "gives the "
			 "same images",
			 path);
	}
	r = secrets_load(path, &s, e);
	if (r == 0 && o->policy == SECRETS_NEEDED)
		r = secrets_complete(s, p->config, e);
	if (r < 0)
		return r;
	p->secrets = s;
	p->secrets_real = true;
	return 0;
}

static const char *overlays_beside(const struct config *c)
{
	const char *dir = path_join(c->dir, "overlays");
	struct stat st;

	return stat(dir, &st) == 0 && S_ISDIR(st.st_mode) ? dir : NULL;
}

int project_load(const struct project_options *o, struct project **ret, struct err *e)
{
	struct project *p = arena_new(struct project);
	int r = config_load(o->config, &p->config, &p->faults, e);

	if (r == 0)
		r = config_add_env_mirrors(p->config, e);
	if (r == 0)
		r = catalogue_load(&p->catalogue, e);
	if (r == 0)
		r = lock_load(o->lock, p->config, &p->lock, e);
	if (r == 0)
		r = build_time(p->lock, &p->epoch, e);
	if (r < 0)
		return r;
	*ret = p;
	/* With faults in the file the rest would only add consequences of them. */
	if (p->faults.errors)
		return 0;
	r = load_boards(p, e);
	if (r == 0)
		r = load_secrets(p, o, e);
	p->user_overlays = overlays_beside(p->config);
	return r;
}

int project_load_valid(const struct project_options *o, struct project **ret, struct err *e)
{
	struct project *p;
	int r = project_load(o, &p, e);

	if (r < 0)
		return r;
	faults_print(&p->faults);
	r = faults_verdict(&p->faults, p->config->path, e);
	if (r == 0)
		*ret = p;
	return r;
}
