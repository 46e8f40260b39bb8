/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With Helm on this machine a chart is rendered as first boot will have it, without a cluster: Helm holds the values
 * against the chart's schema, and images are those of what comes out. Without it the values of the chart and of its
 * sub-charts are looked into as most charts write them: a map with `repository`, and `registry`, `tag`, `digest`
 * beside.
 */
#include "update/app_judge.h"

#include "archive/archive.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "config/apps.h"
#include "config/image_ref.h"
#include "yaml/yaml.h"

enum { CHART_FILES_MAX = 256, RENDER_SECONDS = 120, IMAGES_MAX = 512 };
static const uint64_t max_chart_file = 4 * MIB;

/* ---- images in text ---- */

static void add_ref(const char *text, struct app_found *ret)
{
	struct image_ref ref;
	const char *full;

	if (image_ref_parse(text, &ref) || ret->images.n >= IMAGES_MAX)
		return;
	full = arena_printf("%s%s%s%s%s", ref.name, ref.tag && !ref.sha256 ? ":" : "", ref.sha256 ? "" : ref.tag,
			    ref.sha256 ? "@sha256:" : "", str_or(ref.sha256, ""));
	vec_foreach (have, &ret->images)
		if (streq(*have, full))
			return;
	*vec_push(&ret->images) = full;
}

/* "longhornio/longhorn-engine:v1.12.0", "quay.io/a/b@sha256:...": a path and a tag that is no port. */
static bool is_surely_image(const char *word)
{
	const char *colon = strrchr(word, ':'), *digest = strstr(word, "@sha256:");

	if (strstr(word, "://") || !strchr(word, '/') || strchr("/.-", *word))
		return false;
	if (digest)
		return true;
	return colon && !strchr(colon, '/') && strpbrk(colon, "0123456789") &&
	       strspn(colon + 1, "0123456789") != strlen(colon + 1);
}

static void scan_line(char *line, struct app_found *ret)
{
	static const char between[] = " \t\"'=,[](){}|;<>`";
	char *text = line + strspn(line, " \t"), *end;

	if (*text == '#')
		return;
	text += starts_with(text, "- ") ? strspn(text + 1, " ") + 1 : 0;
	if (starts_with(text, "image:")) {
		text += strlen("image:");
		text += strspn(text, " \"'");
		end = text + strcspn(text, " \"'#\r");
		if (end > text && *text != '{' && *text != '&')
			add_ref(arena_strndup(text, (size_t)(end - text)), ret);
		return;
	}
	text_foreach (word, text, between)
		if (is_surely_image(word))
			add_ref(word, ret);
}

/* Every reference in TEXT, which is YAML for Kubernetes: values of `image`, and words that can be nothing else (images
 * that a controller is told by its arguments or environment). Added to RET. */
static void app_scan_images(const char *text, size_t n, struct app_found *ret)
{
	_cleanup_free_ char *copy = xmalloc(n + 1);

	memcpy(copy, text, n);
	copy[n] = '\0';
	text_foreach (line, copy, "\n")
		scan_line(line, ret);
}

/* ---- images that are asked for at every start of a pod ---- */

/* Without a policy of its own a container of the tag `latest` has Always (kubernetes/kubernetes pkg/apis/core/v1,
 * SetDefaults_Container). A digest is no tag. */
static bool is_always_pulled(const struct yaml_node *container, const char *image)
{
	const char *policy = yaml_text_at(container, "imagePullPolicy");
	struct image_ref ref;

	if (*policy)
		return streq(policy, "Always");
	return image_ref_parse(image, &ref) == NULL && !ref.sha256 && streq(str_or(ref.tag, ""), "latest");
}

static const char *always_pulled_of(const struct yaml_node *n)
{
	const char *found = NULL, *image;

	if (n->type == YAML_MAP) {
		image = yaml_text_at(n, "image");
		if (*image && is_always_pulled(n, image))
			return image;
	}
	for (size_t i = 0; !found && n->type != YAML_SCALAR && i < n->count; i++)
		found = always_pulled_of(n->items[i]);
	return found;
}

/* The first of TEXT, of which each document is looked at by itself: definitions are long, and one that cannot be read
 * says nothing of the others. */
static void find_always_pulled(const char *text, size_t n, struct app_found *ret)
{
	const char *end = text + n, *next;

	for (; !ret->always_pulled && text < end; text = next) {
		struct yaml_node **docs = NULL;
		struct err ignored = { 0 };
		size_t count = 0;

		next = memmem(text, (size_t)(end - text), "\n---", 4);
		next = next ? next + 1 : end;
		if (yaml_parse_all("", text, (size_t)(next - text), &docs, &count, &ignored) < 0)
			continue;
		for (size_t i = 0; !ret->always_pulled && i < count; i++)
			ret->always_pulled = always_pulled_of(docs[i]);
	}
}

/* ---- a chart ---- */

struct chart_file {
	const char *path; /* "values.yaml", "charts/redis/values.yaml" */
	const char *text;
	size_t n;
};
struct chart {
	VEC(struct chart_file) files;
};

static const struct chart_file *chart_find(const struct chart *c, const char *path)
{
	vec_foreach (f, &c->files)
		if (streq(f->path, path))
			return f;
	return NULL;
}

static bool chart_wants(const char *path)
{
	static const char *const names[] = { "values.yaml", "Chart.yaml", "values.schema.json" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(path, names[i]) ||
		    (starts_with(path, "charts/") && ends_with(path, arena_printf("/%s", names[i]))))
			return true;
	return false;
}

static int chart_take(void *arg, const struct unpack_entry *u, struct member *m, struct err *e)
{
	struct chart *c = arg;
	_cleanup_strbuf_ struct strbuf b = { 0 };
	char buf[16384];
	ssize_t n;

	if (u->dir || u->symlink || !chart_wants(u->path) || c->files.n >= CHART_FILES_MAX)
		return 0;
	if (u->size > max_chart_file)
		return err_class(e, CLASS_VERIFY, "its %s has more than 4 MiB", u->path);
	while ((n = member_read(m, buf, sizeof(buf), e)) > 0)
		strbuf_add(&b, buf, (size_t)n);
	if (n < 0)
		return (int)n;
	*vec_push(&c->files) = (struct chart_file){ arena_strdup(u->path), arena_strndup(str_or(b.s, ""), b.n), b.n };
	return 0;
}

static int chart_read(const struct app *a, const struct app_text *t, struct chart *ret, struct err *e)
{
	const char *name = a->chart.oci ? strrchr(a->chart.oci, '/') + 1 : a->chart.name;
	_cleanup_close_ int fd = -1;
	char sha256[SHA256_HEX];
	int r = memory_file(t->bytes, t->n, &fd, e);

	if (r == 0)
		r = unpack_walk(fd, t->label, name, chart_take, ret, sha256, e);
	if (r == 0 && !chart_find(ret, "Chart.yaml"))
		r = err_class(e, CLASS_VERIFY, "%s: is no chart of the name %s", t->label, name);
	return r;
}

/* NULL when it is none that this parser takes: charts may hold what it refuses. */
static struct yaml_node *chart_yaml(const struct chart *c, const char *path)
{
	const struct chart_file *f = chart_find(c, path);
	struct err ignored = { 0 };
	struct yaml_node *doc;

	return f && yaml_parse(path, f->text, f->n, &doc, &ignored) == 0 && doc->type == YAML_MAP ? doc : NULL;
}

/* ---- keys of the first level ---- */

/* Keys that values.yaml shows, those in comments too ("# key: ..."). */
static void keys_of_text(const struct chart_file *f, struct text_list *ret)
{
	char *copy = arena_strndup(f->text, f->n);

	text_foreach (line, copy, "\n") {
		size_t n;

		line += *line == '#' ? 1 + (line[1] == ' ') : 0;
		n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
		if (n && line[n] == ':')
			*vec_push(ret) = arena_strndup(line, n);
	}
}

static json_t *chart_schema(const struct chart *c)
{
	const struct chart_file *f = chart_find(c, "values.schema.json");

	return f ? json_loadb(f->text, f->n, 0, NULL) : NULL;
}

static struct text_list known_keys(const struct chart *c, const json_t *schema)
{
	static const char *const always[] = { "global", "tags", "enabled", "nameOverride", "fullnameOverride" };
	const struct chart_file *values = chart_find(c, "values.yaml");
	const struct yaml_node *meta = chart_yaml(c, "Chart.yaml"),
			       *subs = meta ? yaml_get(meta, "dependencies") : NULL;
	struct text_list known = { 0 };
	const char *key;
	json_t *ignored;

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		*vec_push(&known) = always[i];
	if (values)
		keys_of_text(values, &known);
	json_object_foreach (json_object_get(schema, "properties"), key, ignored) {
		*vec_push(&known) = arena_strdup(key);
	}
	for (size_t i = 0; subs && subs->type == YAML_SEQ && i < subs->count; i++) {
		const struct yaml_node *alias = yaml_find(subs->items[i], "alias"),
				       *name = yaml_find(subs->items[i], "name");

		if (alias || name)
			*vec_push(&known) = (alias ? alias : name)->text;
	}
	return known;
}

/* Below the first level many maps take any key, so only what looks like a slip of the pen is named: VALUES and SHOWN
 * are the maps at PATH of the user's values and of the chart's. */
static void name_slips(const struct app *a, const char *path, const struct yaml_node *values,
		       const struct yaml_node *shown)
{
	struct text_list known = { 0 };

	for (size_t i = 0; i < shown->count; i++)
		*vec_push(&known) = shown->keys[i]->text;
	for (size_t i = 0; i < values->count; i++) {
		const char *key = values->keys[i]->text, *at = arena_printf("%s.%s", path, key), *near;
		const struct yaml_node *there = yaml_get(shown, key);

		if (there && there->type == YAML_MAP && values->items[i]->type == YAML_MAP)
			name_slips(a, at, values->items[i], there);
		else if (!there && (near = nearest_word(key, known.v, known.n)))
			log_warning("apps: %s: its chart shows no value '%s'; did you mean %s?", a->name, at, near);
	}
}

static int judge_keys(const struct app *a, const struct chart *c, const struct yaml_node *values, struct err *e)
{
	_cleanup_json_ json_t *schema = chart_schema(c);
	const struct text_list known = known_keys(c, schema);
	const struct yaml_node *shown = chart_yaml(c, "values.yaml");
	bool closed = json_is_false(json_object_get(schema, "additionalProperties"));

	for (size_t i = 0; i < values->count; i++) {
		const char *key = values->keys[i]->text, *near;
		const struct yaml_node *there = shown ? yaml_get(shown, key) : NULL;
		bool found = false;

		vec_foreach (k, &known)
			found |= streq(*k, key);
		if (there && there->type == YAML_MAP && values->items[i]->type == YAML_MAP)
			name_slips(a, key, values->items[i], there);
		if (found)
			continue;
		near = nearest_word(key, known.v, known.n);
		if (closed)
			return err_class(e, CLASS_CONFIG, "apps: %s: its chart takes no value '%s'%s", a->name, key,
					 did_you_mean("; ", near));
		log_warning("apps: %s: its chart shows no value '%s'%s", a->name, key, did_you_mean("; ", near));
	}
	return 0;
}

/* ---- images without Helm ---- */

static const char *text_of(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *v = yaml_get(map, key);

	return v && v->type == YAML_SCALAR && !(v->plain && schema_is_null(v)) ? v->text : "";
}

static void image_of_map(const struct yaml_node *map, const char *version, struct app_found *ret)
{
	const char *repository = text_of(map, "repository"), *registry = text_of(map, "registry"),
		   *tag = text_of(map, "tag");
	const char *digest = *text_of(map, "digest") ? text_of(map, "digest") : text_of(map, "sha");

	if (!*repository || strstr(repository, "://"))
		return;
	if (*registry)
		repository = arena_printf("%s/%s", registry, repository);
	tag = *tag ? tag : version;
	if (*digest)
		add_ref(arena_printf("%s@%s%s", repository, starts_with(digest, "sha256:") ? "" : "sha256:", digest),
			ret);
	else if (*tag)
		add_ref(arena_printf("%s:%s", repository, tag), ret);
}

static void images_of_values(const struct yaml_node *n, const char *version, struct app_found *ret)
{
	if (n->type == YAML_SCALAR) {
		if (is_surely_image(n->text))
			add_ref(n->text, ret);
		return;
	}
	if (n->type == YAML_MAP)
		image_of_map(n, version, ret);
	for (size_t i = 0; i < n->count; i++)
		images_of_values(n->items[i], version, ret);
}

static void images_of_chart(const struct chart *c, const struct yaml_node *values, struct app_found *ret)
{
	vec_foreach (f, &c->files) {
		const char *dir = arena_strndup(f->path, strlen(f->path) - strlen(path_base(f->path)));
		const struct yaml_node *meta = chart_yaml(c, arena_printf("%sChart.yaml", dir));
		struct yaml_node *all;

		if (!streq(path_base(f->path), "values.yaml"))
			continue;
		all = chart_yaml(c, f->path);
		if (!all) {
			app_scan_images(f->text, f->n, ret);
			continue;
		}
		if (!*dir)
			yaml_merge(all, values);
		images_of_values(all, meta ? text_of(meta, "appVersion") : "", ret);
	}
}

/* ---- by Helm ---- */

/* "v1.36.4" of "v1.36.4+k3s1". */
static const char *kube_version(const char *k3s)
{
	return arena_strndup(k3s, strcspn(k3s, "+"));
}

/* What a chart may ask for (.Capabilities.APIVersions) beside what Kubernetes has itself: what is installed before
 * apps. Where boards decide on the Gateway API it counts as there, so that all its images are found. */
static const char *api_versions(const struct config *c)
{
#define GATEWAY "gateway.networking.k8s.io/v1"
#define CERTS	"cert-manager.io/v1"
	return arena_printf("cilium.io/v2,cilium.io/v2/CiliumNetworkPolicy%s%s",
			    c->cilium.gateway_api != STATE_OFF ? "," GATEWAY "," GATEWAY "/Gateway," GATEWAY
								 "/GatewayClass," GATEWAY "/HTTPRoute"
							       : "",
			    c->cert_manager.enabled ? "," CERTS "," CERTS "/Certificate," CERTS "/ClusterIssuer," CERTS
						      "/Issuer"
						    : "");
#undef GATEWAY
#undef CERTS
}

static int render(const struct app *a, const struct app_text *t, const char *values, const struct release_set *set,
		  struct strbuf *out, struct err *e)
{
	const char *const argv[] = { "helm",
				     "template",
				     a->name,
				     PROC_FILE,
				     "--namespace",
				     app_namespace(a),
				     "--values",
				     "-",
				     "--include-crds",
				     "--kube-version",
				     kube_version(artifact_version(set, "k3s")),
				     "--api-versions",
				     api_versions(set->config),
				     NULL };
	const char *said = NULL;
	_cleanup_close_ int fd = -1;
	struct err why = { 0 };
	int code = 0, r = memory_file(t->bytes, t->n, &fd, e);
	const struct proc p = { .argv = argv,
				.input = values,
				.input_n = strlen(values),
				.file = a->name,
				.file_fd = fd,
				.timeout = RENDER_SECONDS,
				.output = out,
				.exit_code = &code,
				.said = &said };

	if (r < 0)
		return r;
	r = proc_run(&p, &why);
	if (r < 0 && code)
		return err_class(e, CLASS_CONFIG, "apps: %s: Helm does not take its chart with these values: %s",
				 a->name, said);
	if (r < 0)
		*e = why;
	return r;
}

static int judge_chart(const struct app *a, const struct app_text *t, const struct release_set *set,
		       struct app_found *ret, struct err *e)
{
	struct yaml_node *values = app_chart_values(a);
	_cleanup_strbuf_ struct strbuf text = { 0 }, out = { 0 };
	struct chart c = { 0 };
	int r = chart_read(a, t, &c, e);

	vec_foreach (v, &a->secret_values)
		yaml_set_path(values, v->key, yaml_str("secret"));
	if (r == 0)
		r = judge_keys(a, &c, values, e);
	if (r < 0)
		return r;
	if (!proc_find("helm")) {
		images_of_chart(&c, values, ret);
		return 0;
	}
	yaml_emit(values, NULL, &text);
	r = render(a, t, text.s, set, &out, e);
	if (r < 0)
		return r;
	ret->rendered = true;
	app_scan_images(str_or(out.s, ""), out.n, ret);
	find_always_pulled(str_or(out.s, ""), out.n, ret);
	return 0;
}

int app_judge(const struct app *a, const struct app_text *texts, size_t n, const struct release_set *set,
	      struct app_found *ret, struct err *e)
{
	int r = 0;

	*ret = (struct app_found){ 0 };
	if (a->chart.version)
		r = judge_chart(a, &texts[0], set, ret, e);
	for (size_t i = 0; !a->chart.version && i < n; i++) {
		app_scan_images(texts[i].bytes, texts[i].n, ret);
		find_always_pulled(texts[i].bytes, texts[i].n, ret);
	}
	vec_sort(&ret->images, text_order);
	return r;
}
