/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that name files or secrets: paths are relative to the file they stand in, and are looked at right away. */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "config/internal.h"
#include "schema/source.h"
#include "config/values.h"

const char *config_expand_path(const char *dir, const char *text)
{
	const char *home = getenv("HOME");
	char cwd[PATH_MAX];

	if (starts_with(text, "~/") && home && *home)
		return path_join(home, text + 2);
	text = path_join(dir, text);
	if (text[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return text;
	return path_join(cwd, starts_with(text, "./") ? text + 2 : text);
}

const char *config_path_hint(const char *path)
{
	return strstr(path, "/~") || strchr(path, '$') || strchr(path, '%')
		       ? "; of what a shell puts into a path only '~/' at its beginning is known here: write it out"
		       : "";
}

/* NULL, or why PATH cannot be read as a file. */
static const char *file_fault(struct faults *f, const char *path)
{
	struct stat st;
	struct err e;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return arena_printf("%s is no regular file", path);
	if (access(path, R_OK) == 0)
		return NULL;
	err_errno(&e, -errno, "%s", path);
	return arena_printf("%s%s", faults_reason(f, &e), config_path_hint(path));
}

/* ---- os.base ---- */

static bool is_path(const char *text)
{
	return strchr(text, '/') || ends_with(text, ".img") || codec_of_name(text) != CODEC_COUNT;
}

static const char *const base_names[] = { "raspios", "raspios-bookworm", "debian" };

bool config_base_named(const char *base)
{
	for (size_t i = 0; i < ARRAY_SIZE(base_names); i++)
		if (streq(base, base_names[i]))
			return true;
	return false;
}

static const char *parse_base(const struct reading *l, const char *text, void *dst)
{
	const char **base = dst, *near;

	if (config_base_named(text))
		return *base = arena_strdup(text), NULL;
	if (starts_with(text, "https://"))
		return *base = arena_strdup(text), NULL;
	if (strstr(text, "://"))
		return "only https:// addresses are fetched";
	if (is_path(text)) {
		*base = config_expand_path(l->dir, text);
		return file_fault(l->faults, *base);
	}
	near = nearest_word(text, base_names, ARRAY_SIZE(base_names));
	return arena_printf("it must be raspios, raspios-bookworm, debian, a path or an https:// address%s%s%s",
			    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

const struct kind kind_base = {
	.name = "raspios, raspios-bookworm, debian, path or URL",
	.words = "give raspios, raspios-bookworm, debian, the path of an image or an https:// address",
	.editor_pattern = "^(raspios|raspios-bookworm|debian|https://.*|(?!.*://)(.*/.*|.*[.](img|xz|gz|zst)))$",
	.parse = parse_base,
};

/* ---- cilium.valuesFile, mirrors[].caFile ---- */

static const char *read_values_file(const struct reading *l, const char *text, struct app_values *ret)
{
	const char *path = config_expand_path(l->dir, text), *why = file_fault(l->faults, path);
	struct yaml_node *values;
	struct err e = { 0 };
	const char *yaml;
	size_t n;

	if (why)
		return why;
	if (yaml_read(path, -1, &yaml, &n, &e) < 0)
		return faults_reason(l->faults, &e);
	source_keep(path, yaml, n);
	if (yaml_parse(path, yaml, n, &values, &e) < 0)
		return arena_strdup(e.msg);
	if (values->type != YAML_MAP)
		return "the file must hold Helm values: a map of keys";
	*ret = (struct app_values){ path, values };
	return NULL;
}

static const char *parse_app_values_file(const struct reading *l, const char *text, void *dst)
{
	return read_values_file(l, text, dst);
}

static const char *parse_values_file(const struct reading *l, const char *text, void *dst)
{
	struct app_values file = { 0 };
	const char *why = read_values_file(l, text, &file);
	struct config *c = l->root;

	if (why)
		return why;
	*(const char **)dst = file.path;
	c->cilium.values = file.values;
	return NULL;
}

static const char *parse_ca_file(const struct reading *l, const char *text, void *dst)
{
	const char *path = config_expand_path(l->dir, text), *why = file_fault(l->faults, path);
	_cleanup_free_ char *pem = NULL;
	struct err e = { 0 };
	size_t n;

	if (why)
		return why;
	if (file_read(path, 1 * MIB, &pem, &n, &e) < 0)
		return faults_reason(l->faults, &e);
	why = value_encoding_fault(pem, n, path); /* a mark before the first line hides it from OpenSSL */
	if (why)
		return arena_printf("%s %s", path, why);
	if (!strstr(pem, "-----BEGIN CERTIFICATE-----"))
		return "the file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)";
	*(const char **)dst = path;
	return NULL;
}

static const char *parse_key_file(const struct reading *l, const char *text, void *dst)
{
	const char *path = config_expand_path(l->dir, text), *why = file_fault(l->faults, path);
	_cleanup_free_ char *key = NULL;
	struct err e = { 0 };
	size_t n;

	if (why)
		return why;
	if (file_read(path, 1 * MIB, &key, &n, &e) < 0)
		return faults_reason(l->faults, &e);
	/* Every packet of OpenPGP starts with the highest bit set. */
	if (!n || !((unsigned char)*key & 0x80))
		return "the file holds no OpenPGP key in binary form; `gpg --export KEY >FILE` or `gpg --dearmor FILE` makes one";
	*(const char **)dst = path;
	return NULL;
}

const struct kind kind_app_values_file = { .name = "path", .parse = parse_app_values_file };
const struct kind kind_values_file = { .name = "path", .parse = parse_values_file };
const struct kind kind_key_file = { .name = "path", .parse = parse_key_file };
const struct kind kind_ca_file = { .name = "path", .parse = parse_ca_file };

/* ---- access.sshKeys ---- */

static const char *add_key(char *line, struct key_list *keys)
{
	const char *why;
	size_t n;

	line += strspn(line, " \t");
	n = strlen(line);
	while (n && isspace((unsigned char)line[n - 1]))
		line[--n] = '\0';
	why = value_ssh_key_fault(line);
	if (!why)
		*vec_push(keys) = arena_strdup(line);
	return why;
}

/* Some of them for all would leave people out: -ENOENT or that the folder cannot be read. */
static int list_key_files(const char *pattern, struct key_list *ret, struct err *e)
{
	const char *const *names;
	size_t n;
	int r = folder_names(path_dir(pattern), &names, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (fnmatch(path_base(pattern), names[i], FNM_PERIOD) == 0)
			*vec_push(ret) = path_join(path_dir(pattern), names[i]);
	return r;
}

struct key_list config_key_files(const char *pattern)
{
	struct key_list files = { 0 };
	struct err ignored;

	list_key_files(pattern, &files, &ignored);
	return files;
}

/* Adds every key of the public key file PATH, one per line, to KEYS; NULL or what is wrong, which faults_reason() has
 * seen. With '*' in its last part ("*.pub") those of all such files that hold keys. */
static const char *read_key_file(struct faults *f, const char *path, struct key_list *keys);

/* Of every file that holds keys alone: certificates of keys (*-cert.pub) end so too. */
static const char *read_key_files(struct faults *f, const char *pattern, struct key_list *keys)
{
	struct key_list files = { 0 };
	size_t before = keys->n;
	struct err e;
	int r = list_key_files(pattern, &files, &e);

	if (r < 0 && r != -ENOENT)
		return faults_reason(f, &e);
	vec_foreach (file, &files) {
		struct key_list of_file = { 0 };
		const char *why = read_key_file(f, *file, &of_file);

		if (f->machine.code) /* the next run would find more keys */
			return why;
		if (!why)
			vec_foreach (k, &of_file)
				*vec_push(keys) = *k;
	}
	return keys->n > before
		       ? NULL
		       : arena_printf(
				 "no file %s holds a public key; make one with `ssh-keygen -t ed25519`, or answer `pibuild init`, which offers to",
				 pattern);
}

static const char *missing_key(struct faults *f, const char *path)
{
	struct key_list others = config_key_files(path_join(path_dir(path), "*.pub"));
	struct key_list ignored = { 0 };

	if (*config_path_hint(path))
		return arena_printf("there is no %s%s", path, config_path_hint(path));
	vec_foreach (file, &others)
		if (!read_key_file(f, *file, &ignored))
			return arena_printf("there is no %s, but %s: name that", path, *file);
	return arena_printf("there is no %s; make a pair of keys with: ssh-keygen -t ed25519", path);
}

static const char *read_key_file(struct faults *f, const char *path, struct key_list *keys)
{
	_cleanup_free_ char *text = NULL;
	size_t n, before = keys->n;
	struct err e = { 0 };
	char *save = NULL;
	const char *why;

	if (strchr(path_base(path), '*'))
		return read_key_files(f, path, keys);
	why = file_fault(f, path);
	if (why)
		return file_is_missing(path) ? missing_key(f, path) : why;
	if (file_read(path, 64 * KIB, &text, &n, &e) < 0)
		return faults_reason(f, &e);
	why = value_encoding_fault(text, n, path);
	if (why)
		return arena_printf("%s %s", path, why);
	why = value_ssh_file_fault(text, path);
	if (why)
		return why;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t\r");
		if (!*line || *line == '#')
			continue;
		why = add_key(line, keys);
		if (why)
			return arena_printf("%s: %s", path, why);
	}
	return keys->n == before
		       ? arena_printf("%s holds no key; make a pair of keys with: ssh-keygen -t ed25519", path)
		       : NULL;
}

static void keep_key_files(struct config *c, const char *path)
{
	struct key_list files = strchr(path_base(path), '*') ? config_key_files(path) : (struct key_list){ 0 };

	vec_foreach (f, &files)
		*vec_push(&c->access.key_files) = *f;
	if (!files.n)
		*vec_push(&c->access.key_files) = path;
}

/* A user of GitHub: letters, digits and single '-' between them, at most 39 (GitHub's own rule for new accounts). */
static const struct kind kind_github_user = {
	.name = "GitHub user",
	.pattern = "^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}$",
	.words = "give the name of a GitHub account, without @ and without https://github.com/",
};

/* Nothing is fetched here: `pibuild lock` does. */
static const char *add_github_user(struct reading *l, const struct yaml_node *user)
{
	struct config *c = l->root;
	const char *name, *why = NULL;

	if (user->type != YAML_SCALAR)
		return kind_github_user.words;
	why = kind_text_fault(&kind_github_user, l, user->text, &name);
	if (!why)
		*vec_push(&c->access.github) = name;
	return why;
}

static void key_item(struct reading *l, const struct yaml_node *n, const char *path, struct key_list *keys)
{
	const struct yaml_node *file = yaml_get(n, "file"), *github = yaml_get(n, "github");
	static const char *const names[] = { "file", "github" };
	const char *why;
	size_t before = keys->n;

	if (n->type == YAML_SCALAR) {
		why = add_key(arena_strdup(n->text), keys);
	} else if (github && !file && l->root) {
		schema_unknown_keys(l, n, path, names, ARRAY_SIZE(names));
		why = add_github_user(l, github);
	} else if (file && !github && file->type == YAML_SCALAR && file->n) {
		schema_unknown_keys(l, n, path, names, ARRAY_SIZE(names));
		why = read_key_file(l->faults, config_expand_path(l->dir, file->text), keys);
		if (!why && l->root) /* init reads answers, of no config yet */
			keep_key_files(l->root, config_expand_path(l->dir, file->text));
	} else {
		why = "give a line of a .pub file, or {file: ~/.ssh/id_ed25519.pub}, or {github: USER}";
	}
	/* No text of the entry in the message: it may be a private key. */
	if (why)
		schema_fault(l, n, path, "%s", why);
	for (size_t i = before; i < keys->n; i++) {
		why = value_ssh_key_doubt(keys->v[i]);
		if (why)
			note_at(l->faults, n, "%s: %s", path, why);
	}
}

static void ssh_keys_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			  void *dst)
{
	struct key_list keys = { 0 };

	if (n->type != YAML_SEQ) {
		bool is_path = n->type == YAML_SCALAR && ends_with(n->text, ".pub") && !strchr(n->text, ' ');

		schema_fault(l, n, path, "must be a list, such as [ {file: %s} ]",
			     is_path ? n->text : "~/.ssh/id_ed25519.pub");
		return;
	}
	for (size_t i = 0; i < n->count; i++)
		key_item(l, n->items[i], arena_printf("%s[%zu]", path, i), &keys);
	memcpy(dst, &keys, sizeof(keys));
}

static void ssh_keys_schema(const struct field *f, json_t *out)
{
	json_object_set_new(out, "type", json_string("array"));
	json_object_set_new(
		out, "items",
		json_pack(
			"{s:[{s:s, s:s, s:s}, {s:s, s:{s:{s:s, s:i}}, s:[s], s:b}, {s:s, s:{s:{s:s, s:s, s:s}}, s:[s], s:b}]}",
			"anyOf", "type", "string", "pattern", "^(ssh-(ed25519|rsa)|ecdsa-|sk-)[^ ]* +AAAA[A-Za-z0-9+/]",
			"patternErrorMessage",
			"give a line of a .pub file, or {file: ~/.ssh/id_ed25519.pub}, or {github: USER}", "type",
			"object", "properties", "file", "type", "string", "minLength", 1, "required", "file",
			"additionalProperties", 0, "type", "object", "properties", "github", "type", "string",
			"pattern", kind_github_user.pattern, "patternErrorMessage", kind_github_user.words, "required",
			"github", "additionalProperties", 0));
}

const struct kind kind_ssh_keys = { .name = "list of keys", .node = ssh_keys_node, .schema = ssh_keys_schema };

/* ---- secrets ---- */

#define SECRET_FORMS "{env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}"

static const char *secret_env(const struct reading *l, const struct yaml_node *n, struct secret_ref *ref)
{
	if (n->type != YAML_SCALAR || !n->n ||
	    strspn(n->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != n->n ||
	    isdigit((unsigned char)n->text[0]))
		return "env takes the name of an environment variable, such as DO_TOKEN";
	ref->kind = SECRET_ENV;
	ref->name = n->text;
	return NULL;
}

static const char *secret_file(const struct reading *l, const struct yaml_node *n, struct secret_ref *ref)
{
	if (n->type != YAML_SCALAR || !n->n)
		return "file takes the path of a file that holds nothing but the secret";
	ref->kind = SECRET_FILE;
	ref->name = config_expand_path(l->dir, n->text);
	return NULL;
}

static const char *secret_command(const struct reading *l, const struct yaml_node *n, struct secret_ref *ref)
{
	VEC(const char *) argv = { 0 };
	bool ok = n->type == YAML_SEQ && n->count > 0;

	for (size_t i = 0; ok && i < n->count; i++) {
		ok = n->items[i]->type == YAML_SCALAR && (i > 0 || n->items[i]->n);
		if (ok)
			*vec_push(&argv) = n->items[i]->text;
	}
	if (!ok)
		return "command takes a list: the program and its arguments, such as [pass, show, dns/token]; no shell runs";
	if (strchr(argv.v[0], '/'))
		argv.v[0] = config_expand_path(l->dir, argv.v[0]);
	*vec_push(&argv) = NULL;
	ref->kind = SECRET_COMMAND;
	ref->name = argv.v[0];
	ref->argv = argv.v;
	return NULL;
}

static void secret_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	static const struct {
		const char *key;
		const char *(*read)(const struct reading *l, const struct yaml_node *n, struct secret_ref *ref);
	} forms[] = { { "env", secret_env }, { "file", secret_file }, { "command", secret_command } };
	struct secret_ref ref = { 0 };
	const char *why = NULL;

	if (n->type != YAML_MAP) {
		schema_fault(l, n, path,
			     "a secret must not be written here, where git and backups keep it; use " SECRET_FORMS);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct yaml_node *v = yaml_get(n, forms[i].key);

		if (v && !why)
			why = forms[i].read(l, v, &ref);
	}
	if (why)
		schema_fault(l, n, path, "%s", why);
	else if (n->count != 1 || !ref.kind)
		schema_fault(l, n, path, "give exactly one of " SECRET_FORMS);
	else
		*(struct secret_ref *)dst = ref;
}

static void secret_schema(const struct field *f, json_t *out)
{
	json_t *forms = json_array();

	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "env", "file", "command" };
		json_t *type = i < 2 ? json_pack("{s:s}", "type", "string")
				     : json_pack("{s:s, s:i, s:{s:s}}", "type", "array", "minItems", 1, "items", "type",
						 "string");

		json_array_append_new(forms,
				      json_pack("{s:s, s:{s:o}, s:[s], s:b}", "type", "object", "properties", names[i],
						type, "required", names[i], "additionalProperties", 0));
	}
	json_object_set_new(out, "oneOf", forms);
}

const struct kind kind_secret = { .name = "secret", .node = secret_node, .schema = secret_schema, .secret = true };

static void passphrase_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			    void *dst)
{
	secret_node(l, f, n, path, dst);
	((struct secret_ref *)dst)->form = SECRET_PASSPHRASE;
}

/* What a Kubernetes Secret may hold: keys and files of several lines too. */
static void secret_text_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			     void *dst)
{
	secret_node(l, f, n, path, dst);
	((struct secret_ref *)dst)->form = SECRET_TEXT;
}

static void ssh_private_key_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
				 void *dst)
{
	secret_node(l, f, n, path, dst);
	((struct secret_ref *)dst)->form = SECRET_SSH_KEY;
}

const struct kind kind_ssh_private_key = {
	.name = "secret",
	.node = ssh_private_key_node,
	.schema = secret_schema,
	.secret = true,
};

static void password_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			  void *dst)
{
	secret_node(l, f, n, path, dst);
	((struct secret_ref *)dst)->form = SECRET_PASSWORD;
}

static void tcp_md5_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			 void *dst)
{
	secret_node(l, f, n, path, dst);
	((struct secret_ref *)dst)->form = SECRET_TCP_MD5;
}

const struct kind kind_secret_text = {
	.name = "secret",
	.node = secret_text_node,
	.schema = secret_schema,
	.secret = true,
};
const struct kind kind_password = {
	.name = "secret",
	.node = password_node,
	.schema = secret_schema,
	.secret = true,
};
const struct kind kind_tcp_md5 = {
	.name = "secret",
	.node = tcp_md5_node,
	.schema = secret_schema,
	.secret = true,
};
const struct kind kind_passphrase = {
	.name = "secret",
	.node = passphrase_node,
	.schema = secret_schema,
	.secret = true,
};

static const char *check_proxy_text(const char *text)
{
	return value_proxy_fault(text, false);
}

/* Never repeated: people write passwords into it. */
static const struct kind kind_proxy_text = {
	.name = "address of a proxy",
	.words = "give the address of a proxy such as http://proxy.home.example.com:3128, or a secret",
	.editor_pattern = "^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$",
	.check = check_proxy_text,
	.secret = true,
};

static void proxy_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path, void *dst)
{
	static const struct field text = { .kind = &kind_proxy_text };
	struct proxy_address *p = dst;

	if (n->type == YAML_MAP)
		secret_node(l, f, n, path, &p->secret);
	else
		schema_read_value(l, &text, n, path, &p->text);
	p->secret.form = SECRET_PROXY;
}

static void proxy_schema(const struct field *f, json_t *out)
{
	static const struct field text = { .kind = &kind_proxy_text };
	json_t *plain = json_object(), *secret = json_object();

	schema_json_value(&text, plain);
	secret_schema(f, secret);
	json_object_set_new(out, "anyOf", json_pack("[o, o]", plain, secret));
}

const struct kind kind_proxy = { .name = "address or secret", .node = proxy_node, .schema = proxy_schema };
