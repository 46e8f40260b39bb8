/* SPDX-License-Identifier: Apache-2.0 */
/* access.sshKeys: lines of keys, files of them, files by a pattern, users of GitHub. */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>

#include "base/file.h"
#include "config/internal.h"
#include "config/values.h"

static const char *add_key(char *line, struct text_list *keys)
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
static int list_key_files(const char *pattern, struct text_list *ret, struct err *e)
{
	const char *const *names;
	size_t n;
	int r = folder_names(path_dir(pattern), &names, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (fnmatch(path_base(pattern), names[i], FNM_PERIOD) == 0)
			*vec_push(ret) = path_join(path_dir(pattern), names[i]);
	return r;
}

struct text_list config_key_files(const char *pattern)
{
	struct text_list files = { 0 };
	struct err ignored;

	list_key_files(pattern, &files, &ignored);
	return files;
}

/* Adds every key of the public key file PATH, one per line, to KEYS; NULL or what is wrong, which faults_reason() has
 * seen. With '*' in its last part ("*.pub") those of all such files that hold keys. */
static const char *read_key_file(struct faults *f, const char *path, struct text_list *keys);

/* Of every file that holds keys alone: certificates of keys (*-cert.pub) end so too. */
static const char *read_key_files(struct faults *f, const char *pattern, struct text_list *keys)
{
	struct text_list files = { 0 };
	size_t before = keys->n;
	struct err e;
	int r = list_key_files(pattern, &files, &e);

	if (r < 0 && r != -ENOENT)
		return faults_reason(f, &e);
	vec_foreach (file, &files) {
		struct text_list of_file = { 0 };
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
	struct text_list others = config_key_files(path_join(path_dir(path), "*.pub"));
	struct text_list ignored = { 0 };

	if (*config_path_hint(path))
		return arena_printf("there is no %s%s", path, config_path_hint(path));
	vec_foreach (file, &others)
		if (!read_key_file(f, *file, &ignored))
			return arena_printf("there is no %s, but %s: name that", path, *file);
	return arena_printf("there is no %s; make a pair of keys with: ssh-keygen -t ed25519", path);
}

static const char *read_key_file(struct faults *f, const char *path, struct text_list *keys)
{
	_cleanup_free_ char *text = NULL;
	size_t n, before = keys->n;
	struct err e = { 0 };
	char *save = NULL;
	const char *why;

	if (strchr(path_base(path), '*'))
		return read_key_files(f, path, keys);
	why = config_file_fault(f, path);
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
	struct text_list files = strchr(path_base(path), '*') ? config_key_files(path) : (struct text_list){ 0 };

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

static void key_item(struct reading *l, const struct yaml_node *n, const char *path, struct text_list *keys)
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
	struct text_list keys = { 0 };

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
