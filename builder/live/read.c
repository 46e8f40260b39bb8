/* SPDX-License-Identifier: Apache-2.0 */
/* Both sides: the tree that a card made now would hold, and what the node tells of itself. */
#include <errno.h>
#include <inttypes.h>

#include "crypto/random.h"
#include "live/internal.h"

enum { NONCE_BYTES = 16, READ_SECONDS = 300 };

/* ---- wanted ---- */

int wanted_make(const struct build *b, const struct node_plan *n, struct wanted *ret, struct err *e)
{
	json_error_t json_error;
	int r;

	*ret = (struct wanted){ .node = n };
	r = build_node(b, n, NULL, &ret->built, e);
	if (r < 0)
		return r;
	r = image_open_fs(&ret->built.image, IMAGE_ROOT | IMAGE_BOOT, b->plan->project->epoch, e);
	if (r < 0)
		return r;
	ret->manifest = json_loads(ret->built.manifest, JSON_REJECT_DUPLICATES, &json_error);
	if (!ret->manifest)
		return err_set(e, -EINVAL, "the manifest of %s: %s", n->name, json_error.text);
	r = records_parse(json_object_get(ret->manifest, "files"), &ret->records, e);
	records_merge(&ret->records);
	return r;
}

void wanted_done(struct wanted *w)
{
	image_close(&w->built.image);
	json_decref(w->manifest);
}

/* ---- what the node tells: lines of fields with tabs between, then its manifest ---- */

static int live_by_path(const void *a, const void *b)
{
	return strcmp(((const struct live_file *)a)->path, ((const struct live_file *)b)->path);
}

struct live_file *live_find(const struct live *l, const char *path)
{
	const struct live_file key = { .path = path };

	return l->files.n ? bsearch(&key, l->files.v, l->files.n, sizeof(*l->files.v), live_by_path) : NULL;
}

/* "f 644 0 0 12 ./etc/hosts TARGET" */
static void add_seen(struct live *l, char *fields)
{
	const char *type = strsep(&fields, "\t"), *mode = strsep(&fields, "\t"), *uid = strsep(&fields, "\t");
	const char *gid = strsep(&fields, "\t"), *size = strsep(&fields, "\t"), *path = strsep(&fields, "\t");

	if (!fields || path[0] != '.' || path[1] != '/')
		return;
	*vec_push(&l->files) = (struct live_file){
		.type = type[0],
		.mode = (unsigned)strtoul(mode, NULL, 8),
		.uid = (unsigned)strtoul(uid, NULL, 10),
		.gid = (unsigned)strtoul(gid, NULL, 10),
		.size = strtoull(size, NULL, 10),
		.path = arena_strdup(path + 1),
		.target = arena_strdup(fields),
	};
}

/* "DIGEST  ./etc/hosts", of a file that was seen */
static void add_sum(struct live *l, const char *text)
{
	const char *path = strstr(text, "  ./");
	struct live_file *f = path ? live_find(l, path + strlen("  .")) : NULL;
	const char *digest = path ? arena_strndup(text, (size_t)(path - text)) : "";

	if (f && sha256_valid(digest))
		memcpy(f->sha256, digest, SHA256_HEX);
}

/* "DIGEST PATH": it was there until a step had taken it into the cluster. */
static void add_taken(struct live *l, const struct wanted *w, char *fields)
{
	const char *digest = strsep(&fields, "\t");
	const struct record *rec = fields ? records_find(&w->records, fields) : NULL;
	struct live_file f;

	if (!rec || !sha256_valid(digest) || live_find(l, rec->path))
		return;
	f = (struct live_file){ 'f', rec->mode, rec->uid, rec->gid, rec->size, rec->path, "", "" };
	memcpy(f.sha256, digest, SHA256_HEX);
	*vec_push(&l->files) = f;
	vec_sort(&l->files, live_by_path);
}

static void read_line(struct live *l, const struct wanted *w, char *line)
{
	const char *word = strsep(&line, "\t");
	static const struct {
		const char *word;
		size_t member;
	} texts[] = {
		{ "boot", offsetof(struct live, boot) },   { "config", offsetof(struct live, config) },
		{ "token", offsetof(struct live, token) }, { "block", offsetof(struct live, block) },
		{ "words", offsetof(struct live, words) },
	};

	for (size_t i = 0; line && i < ARRAY_SIZE(texts); i++)
		if (streq(word, texts[i].word))
			*(const char **)(void *)((char *)l + texts[i].member) = arena_strdup(line);
	if (streq(word, "staged"))
		l->staged = true;
	else if (streq(word, "drained"))
		l->drained = true;
	else if (!line)
		return;
	else if (streq(word, "seen"))
		add_seen(l, line);
	else if (streq(word, "sum"))
		add_sum(l, line);
	else if (streq(word, "taken"))
		add_taken(l, w, line);
	else if (streq(word, "proof"))
		*vec_push(&l->proofs) = arena_strdup(line);
	else if (streq(word, "effect"))
		*vec_push(&l->effects) = clean_copy(line);
}

/* The lines up to MARK; what follows it, NULL when it is not there. Sorted as soon as files were seen: their digests
 * come behind. */
static char *read_lines(struct live *l, const struct wanted *w, char *text, const char *mark)
{
	bool sorted = false;

	while (text) {
		char *line = strsep(&text, "\n");

		if (!starts_with(line, "seen\t") && l->files.n && !sorted) {
			vec_sort(&l->files, live_by_path);
			sorted = true;
		}
		if (sorted &&
		    starts_with(line, "seen\t")) /* no program of ours: what is found by path would be missed */
			return NULL;
		if (streq(line, mark))
			return text;
		read_line(l, w, line);
	}
	return NULL;
}

static json_t *parse_document(const char *text)
{
	return text && *text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

int live_parse(const char *node, const struct wanted *w, char *text, struct live *ret, struct err *e)
{
	static const char hello[] = "pibuild-apply 1\n";
	char *release, *manifest;
	int code;

	if (!text || !starts_with(text, hello))
		return err_set(e, -EPROTO, "%s: what its /usr/lib/pibuild/apply says is not known to this pibuild",
			       node);
	release = read_lines(ret, w, text + strlen(hello), "release");
	manifest = release ? strstr(release, "\nmanifest\n") : NULL;
	if (!manifest)
		return err_set(e, -EPROTO, "%s: its answer ends too early", node);
	*manifest = '\0';
	manifest += strlen("\nmanifest\n");
	ret->release = parse_document(release);
	ret->manifest = parse_document(manifest);
	ret->manifest_text = arena_strdup(manifest);
	if (!ret->manifest)
		return err_set(e, -EPROTO, "%s: its %s is damaged", node, MANIFEST_PATH);
	code = records_parse(json_object_get(ret->manifest, "files"), &ret->records, e);
	records_merge(&ret->records);
	return code < 0 ? err_wrap(e, "%s", node) : 0;
}

/* ---- whose machine it is ---- */

/* Twice, so that a digest that was seen cannot be gone on with. */
static const char *proof_of(const char *password, const char *nonce, const char *key)
{
	char inner[SHA256_HEX], *outer = arena_alloc(SHA256_HEX);
	const char *text = arena_printf("%s\n%s\n%s\n", password, nonce, key);

	sha256_bytes(text, strlen(text), inner);
	text = arena_printf("%s\n%s\n", password, inner);
	sha256_bytes(text, strlen(text), outer);
	return outer;
}

static int check_proofs(const struct remote *r, const struct live *l, const char *password, struct err *e)
{
	struct text_list keys;
	int code = remote_host_keys(r, &keys, e);

	if (code < 0)
		return code;
	vec_foreach (key, &keys) {
		const char *proof = proof_of(password, l->nonce, *key);

		vec_foreach (given, &l->proofs)
			if (streq(*given, proof))
				return 0;
	}
	return err_set(
		e, -EKEYREJECTED,
		"%s (%s) cannot prove that it is %s: it does not have the node's password from %s, so it is another machine, or its card was made with other secrets; nothing was sent to it",
		r->node, r->host, r->node, "secrets.yaml");
}

static int check_identity(const struct remote *r, const struct wanted *w, const struct live *l, struct err *e)
{
	static const char *const keys[] = { "cluster", "node", "role", "board" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *is = json_get_text(l->manifest, keys[i]), *wanted = json_get_text(w->manifest, keys[i]);

		if (!streq(is, wanted))
			return err_class(
				e, CLASS_REFUSED,
				"%s (%s): the card there was made for the %s %s, and cluster.yaml has %s: only a new card changes that, `sudo pibuild flash --node %s DISK`",
				r->node, r->host, keys[i], clean_copy(is), wanted, r->node);
	}
	return 0;
}

/* ---- asking ---- */

/* Is there on every node: asked for last, so that an answer without it is known to end too early. */
static const char last_path[] = "/";

/* No name of a record holds a control character (card/overlay.c). */
static void list_paths(const struct wanted *w, struct strbuf *out)
{
	vec_foreach (x, &w->records.v)
		strbuf_addf(out, "%s\n", x->path);
	strbuf_addf(out, "%s\n", last_path);
}

/* What died over there while it looked must not make a file missing, or good. */
static int check_whole(const struct remote *r, const struct live *l, uint64_t limit, struct err *e)
{
	if (!live_find(l, last_path))
		return err_set(e, -EPROTO, "%s: it did not look at all files: see whether it has memory left", r->node);
	vec_foreach (f, &l->files)
		if (f->type == 'f' && f->size <= limit && !*f->sha256)
			return err_set(e, -EPROTO, "%s: its %s could not be read, or it has no memory left", r->node,
				       clean_copy(f->path));
	return 0;
}

int live_read(const struct remote *r, const struct wanted *w, const char *password, unsigned flags, struct live *ret,
	      struct err *e)
{
	_cleanup_strbuf_ struct strbuf paths = { 0 }, said = { 0 };
	uint64_t limit = flags & LIVE_WHOLE ? 1024 * GIB : LARGE_FILE;
	const char *nonce;
	int code = random_hex(NONCE_BYTES, &nonce, e);

	if (code < 0)
		return code;
	list_paths(w, &paths);
	code = live_ask(r,
			(struct remote_call){
				.argv = (const char *const[]){ REMOTE_PROGRAM, "state", nonce,
							       arena_printf("%" PRIu64, limit), NULL },
				.input = paths.s,
				.input_n = paths.n,
				.output = &said,
				.timeout = READ_SECONDS,
			},
			e);
	if (code < 0)
		return code;
	code = live_parse(r->node, w, said.s, ret, e);
	if (code < 0)
		return code;
	ret->nonce = nonce;
	code = check_proofs(r, ret, password, e);
	if (code == 0)
		code = check_identity(r, w, ret, e);
	return code < 0 ? code : check_whole(r, ret, limit, e);
}

bool live_has_other_token(const struct live *l, const char *password)
{
	char sha256[SHA256_HEX];
	const char *text;

	if (!l->token)
		return false;
	text = arena_printf("%s\n%s\n", l->nonce, password);
	sha256_bytes(text, strlen(text), sha256);
	return !streq(l->token, sha256);
}

void live_done(struct live *l)
{
	json_decref(l->manifest);
	json_decref(l->release);
}
