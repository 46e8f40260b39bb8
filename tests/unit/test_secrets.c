/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets file: private, whole, judged key by key, and changed only where it was asked for. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "check.h"
#include "randomness.h"
#include "secrets/secrets.h"
#include "yaml/yaml.h"

static char dir[] = "/tmp/test_secrets.XXXXXX";
static const char *path;
static struct err e;

/* Every key of the file but those of the head. */
static const char *const all_keys[] = {
	"tokens.server",	"tokens.agent",	      "serviceAccountKey",
	"ca.server.cert",	"ca.server.key",      "ca.client.cert",
	"ca.client.key",	"ca.etcdPeer.cert",   "ca.requestHeader.cert",
	"ca.requestHeader.key", "ca.etcdServer.cert", "ca.etcdServer.key",
	"ca.etcdPeer.key",	"admin.cert",	      "admin.key",
	"nodes.cp-1",		"nodes.w-1",
};

static struct config *cluster(const char *first, const char *second)
{
	struct config *c = arena_new(struct config);

	vec_push(&c->nodes)->name = first;
	if (second)
		vec_push(&c->nodes)->name = second;
	return c;
}

static char *content(const char *file)
{
	char *text = NULL;

	if (file_read(file, MIB, &text, NULL, &e) < 0)
		abort();
	return text;
}

static void replace(const char *text)
{
	if (file_publish(path, text, strlen(text), 0600, &e) < 0)
		abort();
}

static struct yaml_node *parsed(const char *file)
{
	struct yaml_node *doc = NULL;

	if (yaml_load(file, &doc, &e) < 0)
		abort();
	return doc;
}

static void write_doc(const struct yaml_node *doc)
{
	_cleanup_strbuf_ struct strbuf out = { 0 };

	yaml_emit(doc, NULL, &out);
	replace(out.s);
}

static void drop(struct yaml_node *map, const char *key)
{
	for (size_t i = 0; i < map->count; i++)
		if (streq(map->keys[i]->text, key)) {
			map->count--;
			map->keys[i] = map->keys[map->count];
			map->items[i] = map->items[map->count];
			return;
		}
	abort();
}

/* What loading says: "" when it is content. */
static const char *load_fault(void)
{
	struct secrets *s;

	e = (struct err){ 0 };
	return secrets_load(path, &s, &e) < 0 ? e.msg : "";
}

/* What loading says when KEY has VALUE (NULL: is not there), the class with it in e; the file is put back. */
static const char *fault_with(const char *key, const char *value)
{
	_cleanup_free_ char *before = content(path);
	struct yaml_node *doc = parsed(path);
	const char *dot = strrchr(key, '.');
	const char *fault;

	if (value)
		yaml_set_path(doc, key, yaml_str(value));
	else
		drop(dot ? yaml_find(doc, arena_strndup(key, (size_t)(dot - key))) : doc, dot ? dot + 1 : key);
	write_doc(doc);
	fault = arena_strdup(load_fault());
	replace(before);
	return fault;
}

static unsigned mode_of(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 ? st.st_mode & 07777 : 0;
}

static unsigned files_here(void)
{
	_cleanup_free_ char *command = xasprintf("ls -A %s | wc -l", dir);
	FILE *p = popen(command, "r");
	unsigned n = 0;

	if (!p || fscanf(p, "%u", &n) != 1)
		abort();
	pclose(p);
	return n;
}

static void test_create(void)
{
	struct secrets *s = NULL;

	CASE("a new file is private under every umask, and complete")
	{
		umask(0);
		CHECK_ERR(secrets_create(path, cluster("cp-1", "w-1"), &e), 0);
		CHECK_INT(mode_of(path), 0600);
		CHECK_INT(files_here(), 1);
		CHECK_ERR(secrets_load(path, &s, &e), 0);
		CHECK(s && secrets_node_password(s, "cp-1") && secrets_node_password(s, "w-1"));
		CHECK(s && !secrets_node_password(s, "w-2"));
		umask(022);
	}
	if (!s)
		exit(1);
	CASE("the CA hash of both tokens is the SHA-256 of the bytes of the server CA's file")
	{
		char hex[SHA256_HEX];

		sha256_bytes(s->server_ca.cert, strlen(s->server_ca.cert), hex);
		CHECK_STR(s->server_token, arena_printf("K10%s::server:%s", hex, s->server_password));
		CHECK_STR(s->agent_token, arena_printf("K10%s::node:%s", hex, s->agent_password));
		/* K3s hashes bytes only while there is one certificate, and the last newline is one of them. */
		CHECK(!strstr(s->server_ca.cert + 1, "-----BEGIN"));
		CHECK(ends_with(s->server_ca.cert, "-----END CERTIFICATE-----\n"));
	}
	CASE("no two secrets are the same, each of 256 bits")
	{
		const char *passwords[] = { s->server_password, s->agent_password, secrets_node_password(s, "cp-1"),
					    secrets_node_password(s, "w-1") };

		for (size_t i = 0; i < ARRAY_SIZE(passwords); i++) {
			CHECK_INT(strlen(passwords[i]), 64);
			for (size_t k = 0; k < i; k++)
				CHECK(!streq(passwords[i], passwords[k]));
		}
	}
	CASE("CAs begin long before they were made and hold ten years")
	{
		for (size_t i = 0; i < SECRET_CA_COUNT; i++) {
			struct pki_cert c = { 0 };

			CHECK_ERR(pki_read_cert(secrets_pair(s, &secret_certs[i])->cert, &c, &e), 0);
			CHECK(c.valid.from <= s->created - 30 * 86400);
			CHECK(c.valid.to >= s->created + 3700ll * 86400);
			CHECK_STR(c.common_name,
				  arena_printf("%s@%lld", secret_certs[i].common_name, (long long)s->created));
		}
	}
}

static void test_create_again(void)
{
	_cleanup_free_ char *before = content(path);

	CASE("a file that is there is never replaced")
	{
		_cleanup_free_ char *after = NULL;

		CHECK_ERR(secrets_create(path, cluster("cp-1", NULL), &e), EPERM);
		CHECK_INT(e.class, CLASS_REFUSED);
		after = content(path);
		CHECK_STR(after, before);
	}
	CASE("of several that make it at once one wins, and its file stands")
	{
		unsigned won = 0;
		int status;

		unlink(path);
		fflush(stdout);
		for (int i = 0; i < 4; i++)
			if (fork() == 0)
				_exit(secrets_create(path, cluster("cp-1", "w-1"), &e) == 0 ? 1 : 0);
		for (int i = 0; i < 4; i++) {
			CHECK(wait(&status) > 0 && WIFEXITED(status));
			won += (unsigned)WEXITSTATUS(status);
		}
		CHECK_INT(won, 1);
		CHECK_STR(load_fault(), "");
		CHECK_INT(files_here(), 1);
	}
	CASE("without randomness of the kernel no file is made")
	{
		const char *other = arena_printf("%s/other.yaml", dir);

		no_randomness = true;
		CHECK_ERR(secrets_create(other, cluster("cp-1", NULL), &e), ENOSYS);
		no_randomness = false;
		CHECK_INT(files_here(), 1);
	}
	CASE("where nothing can be written no part of a file is left")
	{
		const char *other = arena_printf("%s/other.yaml", dir);
		struct rlimit whole, small;

		getrlimit(RLIMIT_FSIZE, &whole);
		small = whole;
		small.rlim_cur = 1024;
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &small);
		CHECK_ERR(secrets_create(other, cluster("cp-1", NULL), &e), EFBIG);
		setrlimit(RLIMIT_FSIZE, &whole);
		CHECK_INT(files_here(), 1);
	}
}

static void test_private(void)
{
	static const mode_t wide[] = { 0644, 0640, 0604, 0620, 0601 };

	CASE("a file that others can reach is refused, with the cure")
	for (size_t i = 0; i < ARRAY_SIZE(wide); i++) {
		chmod(path, wide[i]);
		CHECK(strstr(load_fault(), arena_printf("chmod 600 %s", path)));
		CHECK_INT(e.class, CLASS_REFUSED);
	}
	chmod(path, 0400);
	CASE("a read-only private file is fine")
	CHECK_STR(load_fault(), "");
	chmod(path, 0600);
	if (geteuid() == 0) {
		CASE("a file of someone else is refused, but of the user behind sudo")
		{
			CHECK(chown(path, 12345, 12345) == 0);
			unsetenv("SUDO_UID");
			CHECK(strstr(load_fault(), "12345"));
			CHECK_INT(e.class, CLASS_REFUSED);
			setenv("SUDO_UID", "1234", 1);
			CHECK(strstr(load_fault(), "12345"));
			setenv("SUDO_UID", "12345", 1);
			CHECK_STR(load_fault(), "");
			unsetenv("SUDO_UID");
			CHECK(chown(path, 0, 0) == 0);
		}
	}
	CASE("a file that is not there is told with the command that makes it")
	{
		struct secrets *s;

		CHECK_ERR(secrets_load("/nonexistent/secrets.yaml", &s, &e), ENOENT);
		CHECK(strstr(e.msg, "/nonexistent/secrets.yaml") && strstr(e.msg, "pibuild secrets new"));
		CHECK_INT(e.class, CLASS_CONFIG);
	}
	CASE("a folder is no file")
	{
		struct secrets *s;

		CHECK(secrets_load(dir, &s, &e) < 0);
		CHECK_INT(e.class, CLASS_CONFIG);
	}
}

/* "tokens.server": "tokens: 'server' is missing" */
static const char *missing_words(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot ? arena_printf("%.*s: '%s' is missing", (int)(dot - key), key, dot + 1)
		   : arena_printf("'%s' is missing", key);
}

static void test_keys(void)
{
	CASE("each key that is missing is named")
	for (size_t i = 0; i < ARRAY_SIZE(all_keys); i++) {
		if (starts_with(all_keys[i], "nodes."))
			continue;
		CHECK(strstr(fault_with(all_keys[i], NULL), missing_words(all_keys[i])));
		CHECK_INT(e.class, CLASS_CONFIG);
	}
	CASE("a missing head is named")
	{
		CHECK(strstr(fault_with("apiVersion", NULL), "'apiVersion' is missing"));
		CHECK(strstr(fault_with("kind", "Secret"), "kind: must be Secrets"));
		CHECK(strstr(fault_with("created", "yesterday"), "created: 'yesterday' cannot be used: give a time"));
		CHECK(strstr(fault_with("nodes", NULL), "'nodes' is missing"));
	}
	CASE("each certificate and key that is damaged is named")
	for (size_t i = 0; i < ARRAY_SIZE(all_keys); i++) {
		const char *key = all_keys[i], *dot = strrchr(key, '.');
		const char *at = dot && !starts_with(key, "nodes") ? arena_strndup(key, (size_t)(dot - key)) : key;

		if (starts_with(key, "nodes.") || starts_with(key, "tokens."))
			continue;
		CHECK(strstr(fault_with(key, "-----BEGIN RUBBISH-----\n"), at));
		CHECK_INT(e.class, CLASS_CONFIG);
	}
	CASE("a key that is not known is named")
	{
		CHECK(strstr(fault_with("tokens.servr", "x"), "tokens: unknown key 'servr'; did you mean 'server'?"));
		CHECK(strstr(fault_with("extra", "x"), "unknown key 'extra'"));
		CHECK(strstr(fault_with("ca.server.chain", "x"), "ca.server: unknown key 'chain'"));
	}
	CASE("the key of another CA does not pass")
	{
		const struct yaml_node *doc = parsed(path);

		CHECK(strstr(fault_with("ca.server.key", yaml_find(doc, "ca.client.key")->text),
			     "ca.server: the private key does not belong to the certificate"));
		CHECK(strstr(fault_with("admin.key", yaml_find(doc, "ca.client.key")->text), "admin: the private key"));
	}
	CASE("an admin of another cluster does not pass")
	{
		struct key_pair ca = { 0 };

		CHECK_ERR(pki_make_ca("k3s-client-ca@1", (struct pki_time){ 0, INT32_MAX }, &ca, &e), 0);
		struct yaml_node *doc = parsed(path);
		_cleanup_free_ char *before = content(path);

		yaml_set_path(doc, "ca.client.cert", yaml_str(ca.cert));
		yaml_set_path(doc, "ca.client.key", yaml_str(ca.key));
		write_doc(doc);
		CHECK(strstr(load_fault(), "admin: the certificate is not signed by"));
		replace(before);
	}
}

static void test_passwords(void)
{
	static const struct {
		const char *value, *fault;
	} bad[] = {
		{ "abcdef.0123456789abcdef", "bootstrap token" }, { "K10abcdefghijklmnopqrstuvwxyz", "without K10" },
		{ "abcdefghijkl::mnopqrstuvwxyz", "'::'" },	  { "abcdefghijklmno", "16 to 256" },
		{ "abcdefghijklmnop qrst", "letters, digits" },	  { "abcdefghijklmnop\nqrst", "letters, digits" },
		{ "abcdefghijklmnop:qrst", "letters, digits" },
	};
	static const char *const good[] = { "abcdefghijklmnop", "abcdef.0123456789abcdeF", "Zm9vYmFyYmF6cXV4cXV1eA==" };
	static const char *const keys[] = { "tokens.server", "tokens.agent", "nodes.w-1" };

	CASE("a password that K3s would take for something else is refused")
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			CHECK(strstr(fault_with(keys[k], bad[i].value), bad[i].fault));
			CHECK(strstr(fault_with(keys[k], bad[i].value), keys[k]));
		}
	CASE("a fault says where, and never the value")
	{
		const char *fault = fault_with("tokens.server", "K10canaryCANARYcanary");

		CHECK(!strstr(fault, "canary"));
		CHECK(starts_with(fault, arena_printf("%s:", path)));
	}
	CASE("other passwords may be set by hand")
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CHECK_STR(fault_with("tokens.server", good[i]), "");
	CASE("the agent token must not be the server token")
	CHECK(strstr(fault_with("tokens.agent", yaml_find(parsed(path), "tokens.server")->text), "tokens.agent"));
}

static void test_clock(void)
{
	CASE("what has run out is a warning: builds do not depend on the clock")
	{
		_cleanup_free_ char *before = content(path), *said = NULL;
		const char *log = arena_printf("%s.err", dir);
		struct secrets *s = NULL;
		struct pki_cert ca = { 0 };
		struct yaml_node *doc = parsed(path);
		int old = dup(2), fd = open(log, O_RDWR | O_CREAT | O_TRUNC, 0600);

		CHECK_ERR(secrets_load(path, &s, &e), 0);
		CHECK_ERR(pki_read_cert(s->client_ca.cert, &ca, &e), 0);
		CHECK_ERR(pki_make_client(&s->client_ca, "system:admin", "system:masters",
					  (struct pki_time){ ca.valid.from, ca.valid.from + 60 }, &s->admin, &e),
			  0);
		yaml_set_path(doc, "admin.cert", yaml_str(s->admin.cert));
		yaml_set_path(doc, "admin.key", yaml_str(s->admin.key));
		write_doc(doc);
		dup2(fd, 2);
		CHECK_STR(load_fault(), "");
		dup2(old, 2);
		said = content(log);
		CHECK(strstr(said, "admin certificate has run out"));
		CHECK(strstr(said, "pibuild secrets rotate admin"));
		close(fd);
		close(old);
		unlink(log);
		replace(before);
	}
}

static void test_complete(void)
{
	struct secrets *one = NULL, *two = NULL;
	_cleanup_free_ char *before = content(path);

	CASE("a file that has all nodes is not written")
	{
		struct stat a, b;

		stat(path, &a);
		CHECK_ERR(secrets_load(path, &one, &e), 0);
		CHECK_ERR(secrets_complete(one, cluster("w-1", "cp-1"), &e), 0);
		stat(path, &b);
		CHECK_INT(a.st_ino, b.st_ino);
	}
	CASE("new nodes get passwords, the rest stays byte for byte")
	{
		_cleanup_free_ char *after = NULL;

		CHECK_ERR(secrets_complete(one, cluster("cp-1", "w-2"), &e), 0);
		CHECK(secrets_node_password(one, "w-2"));
		CHECK_STR(load_fault(), "");
		after = content(path);
		CHECK(starts_with(after, before));
		CHECK_INT(mode_of(path), 0600);
	}
	CASE("what another run has added in between is kept and used")
	{
		CHECK_ERR(secrets_load(path, &one, &e), 0);
		CHECK_ERR(secrets_load(path, &two, &e), 0);
		CHECK_ERR(secrets_complete(one, cluster("w-3", NULL), &e), 0);
		CHECK_ERR(secrets_complete(two, cluster("w-3", "w-4"), &e), 0);
		CHECK_STR(secrets_node_password(two, "w-3"), secrets_node_password(one, "w-3"));
		CHECK_ERR(secrets_load(path, &one, &e), 0);
		CHECK_STR(secrets_node_password(one, "w-4"), secrets_node_password(two, "w-4"));
	}
	replace(before);
}

/* What each kind changes; everything else must stay. */
static const struct {
	const char *kind, *node;
	const char *prefixes[7];
} rotations[] = {
	{ "server-token", NULL, { "tokens.server" } },
	{ "agent-token", NULL, { "tokens.agent" } },
	{ "admin", NULL, { "admin." } },
	{ "node", "w-1", { "nodes.w-1" } },
	{ "issuer-ca", NULL, { "issuerCA." } },
	{ "ca", NULL, { "ca.", "admin.", "serviceAccountKey" } },
	{ "all", NULL, { "tokens.", "nodes.", "ca.", "admin.", "serviceAccountKey", "issuerCA." } },
};

static bool is_changed_by(size_t row, const char *key)
{
	for (const char *const *p = rotations[row].prefixes; *p; p++)
		if (starts_with(key, *p))
			return true;
	return false;
}

static const struct secret_kind *kind_named(const char *name)
{
	for (size_t i = 0; i < secret_kinds_count; i++)
		if (streq(secret_kinds[i].name, name))
			return &secret_kinds[i];
	abort();
}

/* The issuer's CA, which not every file has. */
static void complete_with_ca(void)
{
	struct config *c = cluster("cp-1", "w-1");
	struct secrets *s;

	c->cluster.name = "lab";
	c->cert_manager.issuers[ISSUER_CA] = true;
	*vec_push(&c->cert_manager.zones) = "home.arpa";
	CHECK_ERR(secrets_load(path, &s, &e), 0);
	CHECK_ERR(secrets_complete(s, c, &e), 0);
	CHECK_STR(load_fault(), "");
}

static const char *text_of(struct yaml_node *doc, const char *key)
{
	const struct yaml_node *n = yaml_find(doc, key);

	return n ? n->text : "";
}

static void test_rotate(void)
{
	static const char *const ca_keys[] = { "issuerCA.cert", "issuerCA.key" };

	CASE("each rotation changes its part, keeps the rest and the old file")
	for (size_t i = 0; i < ARRAY_SIZE(rotations); i++) {
		_cleanup_free_ char *before = NULL, *kept = NULL;
		struct yaml_node *old, *new;
		const char *backup = NULL;

		complete_with_ca();
		before = content(path);
		old = parsed(path);
		CHECK_ERR(secrets_rotate(path, kind_named(rotations[i].kind), rotations[i].node, &backup, &e), 0);
		CHECK_STR(load_fault(), "");
		CHECK_INT(mode_of(path), 0600);
		CHECK_INT(mode_of(backup), 0600);
		kept = content(backup);
		CHECK_STR(kept, before);
		new = parsed(path);
		for (size_t k = 0; k < ARRAY_SIZE(all_keys) + ARRAY_SIZE(ca_keys); k++) {
			const char *key = k < ARRAY_SIZE(all_keys) ? all_keys[k] : ca_keys[k - ARRAY_SIZE(all_keys)];

			if (streq(text_of(old, key), text_of(new, key)) == is_changed_by(i, key))
				CHECK_FAILED("%s by %s", key, rotations[i].kind);
		}
	}
	CASE("every kind is tested")
	CHECK_INT(secret_kinds_count, ARRAY_SIZE(rotations));
	CASE("backups of the same second do not replace each other")
	CHECK_INT(files_here(), 1 + ARRAY_SIZE(rotations));
	CASE("a node that is not there is a mistake of the call, and nothing is written")
	{
		const char *backup = NULL;

		CHECK(secrets_rotate(path, kind_named("node"), "w1", &backup, &e) < 0);
		CHECK(strstr(e.msg, "did you mean w-1?"));
		CHECK_INT(e.class, CLASS_USAGE);
		CHECK_INT(files_here(), 1 + ARRAY_SIZE(rotations));
	}
	CASE("behind a symbolic link the file is replaced, not the link")
	{
		const char *link = arena_printf("%s/link.yaml", dir), *backup = NULL;
		_cleanup_free_ char *before = content(path), *after = NULL;
		struct stat st;

		CHECK(symlink(path, link) == 0);
		CHECK_ERR(secrets_rotate(link, kind_named("agent-token"), NULL, &backup, &e), 0);
		CHECK(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
		after = content(path);
		CHECK(!streq(before, after));
	}
	if (geteuid() == 0) {
		CASE("under sudo the file stays its owner's")
		{
			const char *backup = NULL;
			struct stat st;

			CHECK(chown(path, 12345, 12346) == 0);
			setenv("SUDO_UID", "12345", 1);
			CHECK_ERR(secrets_rotate(path, kind_named("agent-token"), NULL, &backup, &e), 0);
			CHECK(stat(path, &st) == 0 && st.st_uid == 12345 && st.st_gid == 12346);
			unsetenv("SUDO_UID");
			CHECK(chown(path, 0, 0) == 0);
		}
	}
}

static void test_masked(void)
{
	const struct secrets *s = secrets_masked();

	CASE("the stand-ins have a value everywhere and say that they are masked")
	{
		CHECK(strstr(secrets_node_password(s, "any"), "masked"));
		CHECK(strstr(s->server_token, "masked") && strstr(s->agent_token, "masked"));
		CHECK(starts_with(s->server_token, "K10") && strstr(s->server_token, "::server:"));
		CHECK(starts_with(s->agent_token, "K10") && strstr(s->agent_token, "::node:"));
		CHECK(strstr(s->service_key, "masked"));
		for (size_t i = 0; i < SECRET_CERT_COUNT; i++) {
			CHECK(strstr(secrets_pair(s, &secret_certs[i])->cert, "masked"));
			CHECK(strstr(secrets_pair(s, &secret_certs[i])->key, "masked"));
		}
	}
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	path = arena_printf("%s/secrets.yaml", dir);
	log_set_level(LOG_WARNING);
	test_create();
	test_create_again();
	test_private();
	test_keys();
	test_passwords();
	test_clock();
	test_complete();
	test_rotate();
	test_masked();
	remove_tree(dir, &e);
	arena_done();
	return check_done();
}
