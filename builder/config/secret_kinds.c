/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of secrets: where one is to be found, which secretref.c reads. */
#include <ctype.h>

#include "config/internal.h"
#include "config/values.h"

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

static enum secret_form form_of(const struct kind *kind)
{
	if (kind == &kind_passphrase)
		return SECRET_PASSPHRASE;
	if (kind == &kind_password)
		return SECRET_PASSWORD;
	if (kind == &kind_ssh_private_key)
		return SECRET_SSH_KEY;
	if (kind == &kind_tcp_md5)
		return SECRET_TCP_MD5;
	if (kind == &kind_amazon_key)
		return SECRET_AMAZON;
	return kind == &kind_secret_text ? SECRET_TEXT : SECRET_TOKEN;
}

static void secret_node(struct reading *l, const struct field *f, const struct yaml_node *n, const char *path,
			void *dst)
{
	static const struct {
		const char *key;
		const char *(*read)(const struct reading *l, const struct yaml_node *n, struct secret_ref *ref);
	} forms[] = { { "env", secret_env }, { "file", secret_file }, { "command", secret_command } };
	struct secret_ref ref = { .form = form_of(f->kind) };
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

#define SECRET_KIND .name = "secret", .node = secret_node, .schema = secret_schema, .secret = true
const struct kind kind_secret = { SECRET_KIND };
const struct kind kind_passphrase = { SECRET_KIND };
const struct kind kind_password = { SECRET_KIND };
const struct kind kind_ssh_private_key = { SECRET_KIND };
const struct kind kind_tcp_md5 = { SECRET_KIND };
const struct kind kind_amazon_key = { SECRET_KIND };
const struct kind kind_secret_text = { SECRET_KIND };

/* ---- address of a proxy, or a secret ---- */

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
