/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/secret_values.h"

#include <errno.h>

#include "base/file.h"
#include "base/sig.h"
#include "yaml/yaml.h"

enum { VALUE_MIN = 8, VALUE_MAX = 4096, PEM_LINE_MIN = 32, PIECE = 1024 * 1024 };

static unsigned pair_of(const char *p)
{
	return (unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8;
}

static void add_value(struct values *v, const char *from, const char *text, size_t n)
{
	unsigned pair;

	if (n < VALUE_MIN)
		return;
	n = MIN(n, (size_t)VALUE_MAX);
	pair = pair_of(text);
	v->starts[pair / 8] |= (unsigned char)(1 << pair % 8);
	v->longest = MAX(v->longest, n);
	*vec_push(&v->v) = (struct value){ arena_strndup(text, n), n, from };
}

/* ---- kinds of files ---- */

typedef void (*line_fn)(struct values *v, const char *from, const char *line, size_t n);

static void each_line(struct values *v, const char *from, const char *text, size_t n, line_fn fn)
{
	const char *end = text + n;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text)), *stop = nl ? nl : end;

		fn(v, from, text, (size_t)(stop - text));
		text = stop + 1;
	}
}

/* "K10<digest of the CA>::server:password": the password alone is secret. */
static void add_token(struct values *v, const char *from, const char *text, size_t n)
{
	const char *colon = memrchr(text, ':', n);
	size_t skip = colon ? (size_t)(colon - text) + 1 : 0;

	add_value(v, from, text + skip, n - skip);
}

static void from_k3s(struct values *v, const char *from, const char *text, size_t n)
{
	static const char *const keys[] = { "token", "agent-token" };
	struct err ignored = { 0 };
	struct yaml_node *doc;

	if (yaml_parse(from, text, n, &doc, &ignored) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct yaml_node *x = yaml_get(doc, keys[i]);

		if (x && x->type == YAML_SCALAR)
			add_token(v, from, x->text, x->n);
	}
}

/* configs.HOST.auth.password of registries.yaml; the account's name is no secret. */
static void from_registries(struct values *v, const char *from, const char *text, size_t n)
{
	const struct yaml_node *configs;
	struct err ignored = { 0 };
	struct yaml_node *doc;

	if (yaml_parse(from, text, n, &doc, &ignored) < 0)
		return;
	configs = yaml_get(doc, "configs");
	for (size_t i = 0; configs && configs->type == YAML_MAP && i < configs->count; i++) {
		const struct yaml_node *password = yaml_find(configs->items[i], "auth.password");

		if (password && password->type == YAML_SCALAR)
			add_value(v, from, password->text, password->n);
	}
}

static void from_pem(struct values *v, const char *from, const char *text, size_t n);

/* A Kubernetes Secret; in one for TLS a certificate stands beside the key. */
static void add_scalar(struct values *v, const char *from, const struct yaml_node *n)
{
	if (starts_with(n->text, "-----BEGIN "))
		from_pem(v, from, n->text, n->n);
	else
		each_line(v, from, n->text, n->n, add_value);
}

/* Every scalar of N. */
static void add_scalars(struct values *v, const char *from, const struct yaml_node *n)
{
	if (n->type == YAML_SCALAR)
		return add_scalar(v, from, n);
	for (size_t i = 0; i < n->count; i++)
		add_scalars(v, from, n->items[i]);
}

/* Secrets of Kubernetes, several in one file; without a kind it holds values of a chart. */
static void from_secret(struct values *v, const char *from, const char *text, size_t n)
{
	static const char *const maps[] = { "stringData", "data" };
	struct err ignored = { 0 };
	struct yaml_node **docs;
	size_t n_docs;

	if (yaml_parse_all(from, text, n, &docs, &n_docs, &ignored) < 0)
		return;
	for (size_t d = 0; d < n_docs; d++) {
		bool object = docs[d]->type == YAML_MAP && yaml_get(docs[d], "kind");

		if (!object)
			add_scalars(v, from, docs[d]);
		for (size_t i = 0; object && i < ARRAY_SIZE(maps); i++) {
			const struct yaml_node *map = yaml_get(docs[d], maps[i]);

			if (map)
				add_scalars(v, from, map);
		}
	}
}

static void from_text(struct values *v, const char *from, const char *text, size_t n)
{
	each_line(v, from, text, n, add_value);
}

static void add_keyfile_line(struct values *v, const char *from, const char *line, size_t n)
{
	static const char *const keys[] = { "psk=", "password=" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (n > strlen(keys[i]) && !strncmp(line, keys[i], strlen(keys[i])))
			add_value(v, from, line + strlen(keys[i]), n - strlen(keys[i]));
}

static void from_keyfile(struct values *v, const char *from, const char *text, size_t n)
{
	each_line(v, from, text, n, add_keyfile_line);
}

/* "pi:$6$salt$hash:20000:..." */
static void add_shadow_line(struct values *v, const char *from, const char *line, size_t n)
{
	const char *hash = memchr(line, ':', n), *end;

	if (!hash || hash[1] != '$')
		return;
	hash++;
	end = memchr(hash, ':', (size_t)(line + n - hash));
	if (end)
		add_value(v, from, hash, (size_t)(end - hash));
}

static void from_shadow(struct values *v, const char *from, const char *text, size_t n)
{
	each_line(v, from, text, n, add_shadow_line);
}

/* Body lines of private keys; certificates beside them are for all to see. */
static void from_pem(struct values *v, const char *from, const char *text, size_t n)
{
	const char *end = text + n;
	bool inside = false;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text)), *stop = nl ? nl : end;
		size_t len = (size_t)(stop - text);

		if (len > 5 && !strncmp(text, "-----", 5))
			inside = !strncmp(text, "-----BEGIN ", 11) && memmem(text, len, "PRIVATE KEY", 11);
		else if (inside && len >= PEM_LINE_MIN)
			add_value(v, from, text, len);
		text = stop + 1;
	}
}

static const struct {
	const char *prefix, *suffix;
	void (*take)(struct values *v, const char *from, const char *text, size_t n);
} kinds[] = {
	{ "/etc/rancher/k3s/config.yaml", "", from_k3s },
	{ "/etc/rancher/k3s/registries.yaml", "", from_registries },
	{ "/etc/rancher/node/password", "", from_text },
	{ "/var/lib/rancher/k3s/server/tls/", ".key", from_pem },
	{ "/etc/pibuild/secrets/", ".yaml", from_secret },
	{ "/etc/pibuild/secrets/", ".key", from_pem },
	{ "/etc/NetworkManager/system-connections/", "", from_keyfile },
	{ "/etc/shadow", "", from_shadow },
};

bool values_known(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (starts_with(path, kinds[i].prefix) && ends_with(path, kinds[i].suffix))
			return true;
	return false;
}

void values_of_file(struct values *v, const char *path, const char *text, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (starts_with(path, kinds[i].prefix) && ends_with(path, kinds[i].suffix)) {
			kinds[i].take(v, path, text, n);
			return;
		}
	from_pem(v, path, text, n);
}

/* ---- search ---- */

static void add_hit(struct hits *h, const char *from, uint64_t at)
{
	vec_foreach (x, &h->v)
		if (streq(x->from, from))
			return;
	*vec_push(&h->v) = (struct hit){ from, at };
}

void values_search(const struct values *v, const char *p, size_t n, size_t total, uint64_t offset, struct hits *h)
{
	for (size_t i = 0; i < n && i + VALUE_MIN <= total; i++) {
		unsigned pair = pair_of(p + i);

		if (!(v->starts[pair / 8] >> pair % 8 & 1))
			continue;
		vec_foreach (x, &v->v)
			if (x->n <= total - i && !memcmp(x->text, p + i, x->n))
				add_hit(h, x->from, offset + i);
	}
}

int values_search_part(const struct values *v, const struct fs_place *at, struct hits *h, struct err *e)
{
	_cleanup_free_ char *buf = xmalloc(PIECE + v->longest);
	uint64_t end = at->offset + at->length, from, to = at->offset;
	int r, fd = cow_file(at->image);

	while ((r = file_next_data(fd, to, end, &from, &to)) == 0) {
		for (size_t n; from < to && r == 0; from += n) {
			size_t total = (size_t)MIN(end - from, (uint64_t)PIECE + v->longest);

			n = (size_t)MIN(to - from, (uint64_t)PIECE);
			r = pread_all(fd, buf, total, from);
			if (r < 0)
				return err_errno(e, r, "cannot read byte %llu", (unsigned long long)from);
			if (!is_zero(buf, n))
				values_search(v, buf, n, total, from, h);
			r = sig_check(e);
		}
		if (r < 0)
			return r;
	}
	return r == -ENXIO ? 0 : err_errno(e, r, "cannot find the data of %s", cow_name(at->image));
}
