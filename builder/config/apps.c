/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of values below `apps`: charts, manifests, images. */
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/apps.h"
#include "config/image_ref.h"
#include "config/internal.h"
#include "config/values.h"

#define LABEL "[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?"
#define HOST  "[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?"

/* Helm's releases have 53 characters at most (helm/helm pkg/chart/common/util/validate_name.go). */
const struct kind kind_app_name = {
	.name = "name",
	.pattern = "^" LABEL "$",
	.words = "use 1 to 53 lower-case letters, digits and '-', with a letter or digit at both ends",
};
static const char *check_chart_repo(const char *text)
{
	return ends_with(text, "/index.yaml") ? "this is the list of its charts; leave out index.yaml"
					      : value_port_fault(text);
}
const struct kind kind_chart_repo = {
	.name = "https URL",
	.pattern = "^https://" HOST "(/[A-Za-z0-9._~%/-]*)?$",
	.words =
		"give the https:// address of a repository of charts, without its index.yaml; a chart in a registry goes by oci",
	.check = check_chart_repo,
};
const struct kind kind_chart_oci = {
	.name = "REGISTRY/PATH",
	.pattern = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$",
	.words =
		"give registry and path without oci:// and without a tag, such as ghcr.io/prometheus-community/charts/prometheus",
	.check = value_port_fault,
};
const struct kind kind_chart_name = {
	.name = "name",
	.pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$",
	.words = "give the name of a chart, as `helm search repo` shows it behind the '/'",
};
/* What is moving (1.x, latest) could not be pinned. */
const struct kind kind_chart_version = {
	.name = "version",
	.pattern = "^v?[0-9]+[.][0-9]+[.][0-9]+(-[0-9A-Za-z.-]+)?([+][0-9A-Za-z.-]+)?$",
	.words = "give one exact version of the chart, such as 1.12.0",
};
const struct kind kind_secret_key = {
	.name = "key",
	.pattern = "^[A-Za-z0-9._-]{1,253}$",
	.words = "keys of a Secret have letters, digits, '.', '_' and '-'",
};
const struct kind kind_value_path = {
	.name = "path of a value",
	.pattern = "^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+){0,15}$",
	.words = "give keys of the chart's values with dots between them, such as grafana.adminPassword",
};

/* ---- git ---- */

/* As Flux takes them (fluxcd/source-controller api/v1 gitrepository_types.go: http, https, ssh). */
const struct kind kind_git_url = {
	.name = "https or ssh URL",
	.pattern = "^(https://" HOST "|ssh://[A-Za-z0-9._-]+@" HOST ")/[A-Za-z0-9._~%/+-]+$",
	.words = "give https://HOST/PATH or ssh://git@HOST/PATH, without a password",
	.check = value_port_fault,
};
static const char *check_git_branch(const char *text)
{
	return starts_with(text, "refs/")
		       ? "this is a reference of git; a branch is named by what stands behind refs/heads/"
		       : NULL;
}
const struct kind kind_git_branch = {
	.name = "branch",
	.pattern = "^[A-Za-z0-9]([A-Za-z0-9._/-]{0,250}[A-Za-z0-9])?$",
	.words = "give the name of a branch",
	.check = check_git_branch,
};

static const char *check_git_path(const char *text)
{
	return strstr(text, "..") ? "it leads out of the repository" : NULL;
}

const struct kind kind_git_path = {
	.name = "path",
	.pattern = "^[A-Za-z0-9.][A-Za-z0-9._/-]*$",
	.words = "give a folder of the repository, such as clusters/home",
	.check = check_git_path,
};

/* ---- manifests ---- */

/* "https://github.com/OWNER/NAME/blob/BRANCH/PATH" is a page about the file; the file lies elsewhere. */
static const char *page_fault(const char *url)
{
	static const char host[] = "https://github.com/";
	const char *blob = starts_with(url, host) ? strstr(url, "/blob/") : NULL;

	return blob ? arena_printf(
			      "this is a page about the file; the file is https://raw.githubusercontent.com/%.*s/%s",
			      (int)(blob - url - (ptrdiff_t)strlen(host)), url + strlen(host), blob + strlen("/blob/"))
		    : NULL;
}

static const char *parse_manifest(const struct reading *l, const char *text, void *dst)
{
	struct err e = { 0 };
	const char *path;
	struct stat st;

	if (starts_with(text, "https://")) {
		for (const char *s = text; *s; s++)
			if (*s <= ' ' || *s > '~' || strchr("#@\"'<>\\^`{|}", *s))
				return "this is no address: it has a character that none has, or a user name";
		*(const char **)dst = arena_strdup(text);
		return page_fault(text);
	}
	if (strstr(text, "://"))
		return "only https:// addresses are fetched";
	path = config_expand_path(l->dir, text);
	if (stat(path, &st) < 0) {
		err_errno(&e, -errno, "%s", path);
		return faults_reason(l->faults, &e);
	}
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return arena_printf("%s is neither file nor folder", path);
	*(const char **)dst = path;
	return NULL;
}

const struct kind kind_app_manifest = { .name = "https URL or path", .parse = parse_manifest };

/* ---- images ---- */

static const char *check_image_ref(const char *text)
{
	struct image_ref ref;

	return image_ref_parse(text, &ref);
}

const struct kind kind_image_ref = {
	.name = "image",
	.words = "give an image as a pod names it, such as quay.io/cilium/cilium:v1.20.0",
	.editor_pattern = "^[A-Za-z0-9][A-Za-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$",
	.check = check_image_ref,
};

/* ---- values ---- */

static void values_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	if (n->type != YAML_MAP)
		return schema_fault(l, n, path, "must hold values of the chart (key: value), as its values.yaml does");
	*(const struct yaml_node **)dst = n;
}

static void values_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("object"));
}

const struct kind kind_app_values = { .name = "map of values", .node = values_node, .schema = values_schema };

/* ---- what follows from them ---- */

enum { FOLDER_FILES_MAX = 64 };

const char *app_namespace(const struct app *a)
{
	return a->namespace ? a->namespace : a->chart.version ? a->name : NULL;
}

struct yaml_node *app_chart_values(const struct app *a)
{
	struct yaml_node *values = yaml_map();

	if (a->values_file.values)
		yaml_merge(values, a->values_file.values);
	if (a->values)
		yaml_merge(values, a->values);
	return values;
}

bool app_manifest_is_url(const char *manifest)
{
	return starts_with(manifest, "https://");
}

static bool is_manifest_name(const char *name)
{
	return *name != '.' && (ends_with(name, ".yaml") || ends_with(name, ".yml") || ends_with(name, ".json"));
}

static int folder_manifests(const char *dir, struct text_list *ret, struct err *e)
{
	const char *const *names;
	size_t n;

	if (folder_names(dir, &names, &n, e) < 0)
		return err_blame(e, CLASS_CONFIG);
	for (size_t i = 0; i < n; i++)
		if (is_manifest_name(names[i]))
			*vec_push(ret) = path_join(dir, names[i]);
	if (!ret->n)
		return err_class(e, CLASS_CONFIG, "%s has no manifest: no file that ends in .yaml, .yml or .json", dir);
	if (ret->n > FOLDER_FILES_MAX)
		return err_class(e, CLASS_CONFIG, "%s has more than %d manifests", dir, FOLDER_FILES_MAX);
	return 0;
}

int app_manifest_files(const char *manifest, struct text_list *ret, struct err *e)
{
	struct stat st;

	if (stat(manifest, &st) < 0) {
		err_errno(e, -errno, "cannot read %s", manifest);
		return err_blame(e, CLASS_CONFIG);
	}
	if (S_ISDIR(st.st_mode))
		return folder_manifests(manifest, ret, e);
	*vec_push(ret) = manifest;
	return 0;
}

const char *app_key(const struct config *c, const struct app *a)
{
	return a->flux ? "gitops.flux" : arena_printf("apps[%zu]", (size_t)(a - c->apps.v));
}

/* ---- Flux ---- */

static void flux_secret(const struct flux *flux, struct app *a)
{
	struct app_secret *s;

	if (!flux->token.kind && !flux->ssh_key.kind)
		return;
	s = vec_push(&a->secrets);
	*s = (struct app_secret){ .name = FLUX_NAME };
	if (flux->token.kind) {
		/* Any name will do beside a token of GitHub, GitLab, Gitea. */
		*vec_push(&s->data) = (struct app_secret_value){ .key = "username", .text = "git" };
		*vec_push(&s->data) = (struct app_secret_value){ .key = "password", .secret = flux->token };
		return;
	}
	*vec_push(&s->data) = (struct app_secret_value){ .key = "identity", .secret = flux->ssh_key };
	*vec_push(&s->data) = (struct app_secret_value){
		.key = "known_hosts", .secret = { .kind = SECRET_FILE, .name = flux->known_hosts, .form = SECRET_TEXT }
	};
}

void config_add_flux(struct config *c)
{
	struct app *a;

	if (!c->flux.url || !c->flux.version || (!c->flux.ssh_key.kind && starts_with(c->flux.url, "ssh:")) ||
	    (c->flux.ssh_key.kind && !c->flux.known_hosts))
		return;
	a = vec_push(&c->apps);
	*a = (struct app){ .name = "flux", .namespace = FLUX_NAME, .flux = &c->flux };
	*vec_push(&a->manifests) = arena_printf("https://github.com/fluxcd/flux2/releases/download/%s/install.yaml",
						c->flux.version);
	flux_secret(&c->flux, a);
}
