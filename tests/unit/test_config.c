/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/data.h"
#include "base/file.h"
#include "config/address_plan.h"
#include "config/compat.h"
#include "config/dns01.h"
#include "config/kinds.h"
#include "config/names.h"
#include "config/values.h"

#include "check.h"

/* ---- single values ---- */

static const char ed25519[] =
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ pi@example";

static const struct {
	const struct kind *kind;
	const char *text;
	bool good;
} kind_rows[] = {
	{ &kind_cluster_name, "homelab", true },
	{ &kind_cluster_name, "a", true },
	{ &kind_cluster_name, "abcdefghijklmnopqrstuvwxyz012345", true },
	{ &kind_cluster_name, "abcdefghijklmnopqrstuvwxyz0123456", false }, /* 33: Cilium's chart refuses it */
	{ &kind_cluster_name, "-a", false },
	{ &kind_cluster_name, "Home", false },
	{ &kind_cluster_name, "home\nlab", false },
	{ &kind_node_name, "cp-1", true },
	{ &kind_node_name, "1", true },
	{ &kind_node_name, "cp-1.lan", false },
	{ &kind_node_name, "cp_1", false },
	{ &kind_node_name, "cp-", false },
	{ &kind_node_name, "worker", false },
	{ &kind_node_name, "localhost", false },
	{ &kind_node_name, "a23456789012345678901234567890123456789012345678901234567890123", true },
	{ &kind_node_name, "a234567890123456789012345678901234567890123456789012345678901234", false },
	{ &kind_host, "api.home.example.com", true },
	{ &kind_host, "192.168.1.10", true },
	{ &kind_host, "192.168.1.300", false },
	{ &kind_host, "https://api", false },
	{ &kind_host, "api:6443", false },
	{ &kind_domain, "home.example.com", true },
	{ &kind_domain, "*.example.com", false },
	{ &kind_domain, "example.com.", false },
	{ &kind_domain, "localdomain", false },
	{ &kind_user, "pi", true },
	{ &kind_user, "_x-1", true },
	{ &kind_user, "root", false },
	{ &kind_user, "www-data", false },
	{ &kind_user, "systemd-network", false },
	{ &kind_user, "sudo", false },
	{ &kind_user, "Pi", false },
	{ &kind_user, "1pi", false },
	{ &kind_user, "pi:x", false },
	{ &kind_timezone, "Europe/Berlin", true },
	{ &kind_timezone, "America/Argentina/Buenos_Aires", true },
	{ &kind_timezone, "UTC", true },
	{ &kind_timezone, "Etc/GMT+5", true },
	{ &kind_timezone, "../../etc/passwd", false },
	{ &kind_locale, "de_DE.UTF-8", true },
	{ &kind_locale, "C.UTF-8", true },
	{ &kind_locale, "de_DE", false },
	{ &kind_keyboard, "de", true },
	{ &kind_keyboard, "de;reboot", false },
	{ &kind_interface, "eth0", true },
	{ &kind_interface, "enx0123456789ab", true },
	{ &kind_interface, "enx0123456789abc", false },
	{ &kind_interface, "lo", false },
	{ &kind_interface, "eth0:1", false },
	{ &kind_interface, "..", false },
	{ &kind_ssid, "Home sweet Home", true },
	{ &kind_ssid, "12345678901234567890123456789012", true },
	{ &kind_ssid, "123456789012345678901234567890123", false },
	{ &kind_ssid, "a\nb", false },
	{ &kind_ssid, "", false },
	{ &kind_country, "DE", true },
	{ &kind_country, "de", false },
	{ &kind_email, "me@my-domain.org", true },
	{ &kind_email, "me@localhost", false },
	{ &kind_email, "me at home", false },
	{ &kind_url_prefix, "https://mirror.lan/github/", true },
	{ &kind_url_prefix, "https://mirror.lan:5001/", true },
	{ &kind_url_prefix, "https://mirror.lan", false }, /* also a prefix of mirror.lan.evil.org */
	{ &kind_url_prefix, "http://mirror.lan/", false },
	{ &kind_url_prefix, "https://user:pw@mirror.lan/", false },
	{ &kind_sha256, "cdf4f3bfac35ae947b46e4e767f935453810549779ac3290e05a6754aee627e5", true },
	{ &kind_sha256, "CDF4F3BFAC35AE947B46E4E767F935453810549779AC3290E05A6754AEE627E5", false },
	{ &kind_sha256, "cdf4", false },
	{ &kind_crypt, "$5$saltsalt$kWL3ECn9Z2G.tGPxMTx8mTz0c96Qp2qGFBUmDCyDgB4", true },
	{ &kind_crypt, "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", true },
	{ &kind_crypt, "$1$salt$qJH7.N4xYta3aEG/dfqo/0", false }, /* MD5 */
	{ &kind_crypt, "raspberry", false },
	{ &kind_crypt, "$6$short", false },
	{ &kind_version_k3s, "v1.36.4+k3s1", true },
	{ &kind_version_k3s, "v1.36.4", false },
	{ &kind_version_k3s, "latest", false },
	{ &kind_version_k3s, "stable", false },
	{ &kind_version_plain, "1.20.0", true },
	{ &kind_version_plain, "1.21.0-pre.0", true },
	{ &kind_version_plain, "v1.20.0", false },
	{ &kind_version_plain, "1.20", false },
	{ &kind_version_plain, "*", false },
	{ &kind_version_v, "v1.6.1", true },
	{ &kind_version_v, "1.6.1", false },
	{ &kind_version_v, "v1.6.x", false },
	{ &kind_version_date, "2026-09-15", true },
	{ &kind_version_date, "latest", false },
};

static void test_kinds(void)
{
	static const char path[] = "a/b";

	for (size_t i = 0; i < ARRAY_SIZE(kind_rows); i++) {
		CASE(arena_printf("%s: row %zu of the table is %s", kind_rows[i].kind->name, i,
				  kind_rows[i].good ? "taken" : "refused"))
		{
			struct reading l = { .dir = path };
			const char *why = kind_text_fault(kind_rows[i].kind, &l, kind_rows[i].text, NULL);

			CHECK_STR(why ? "refused" : "taken", kind_rows[i].good ? "taken" : "refused");
			CHECK(!why || *why);
		}
	}
}

static const struct {
	const char *text;
	bool good;
	uint32_t addr;
} ipv4_rows[] = {
	{ "192.168.1.1", true, 0xc0a80101 },
	{ "0.0.0.0", true, 0 },
	{ "255.255.255.255", true, 0xffffffff },
	{ "256.1.1.1", false, 0 },
	{ "1.2.3", false, 0 },
	{ "1.2.3.4.5", false, 0 },
	{ "01.2.3.4", false, 0 },
	{ " 1.2.3.4", false, 0 },
	{ "1.2.3.4 ", false, 0 },
	{ "1.2.3.-4", false, 0 },
	{ "", false, 0 },
	{ "1..2.3", false, 0 },
	{ "4294967297.1.1.1", false, 0 },
	{ "0x7f.0.0.1", false, 0 },
};

static void test_addresses(void)
{
	uint32_t addr;
	struct cidr c;
	struct ip_range r;

	for (size_t i = 0; i < ARRAY_SIZE(ipv4_rows); i++) {
		CASE(arena_printf("address '%s'", ipv4_rows[i].text))
		{
			addr = 0;
			CHECK_ERR(value_ipv4(ipv4_rows[i].text, &addr), ipv4_rows[i].good ? 0 : EINVAL);
			CHECK_INT(addr, ipv4_rows[i].addr);
		}
	}
	CASE("a network keeps its host bits and knows its ends")
	{
		CHECK_ERR(value_cidr("192.168.1.11/24", &c), 0);
		CHECK_INT(c.addr, 0xc0a8010b);
		CHECK_INT(cidr_first(c), 0xc0a80100);
		CHECK_INT(cidr_last(c), 0xc0a801ff);
		CHECK(cidr_has(c, 0xc0a801fe) && !cidr_has(c, 0xc0a80201));
		CHECK_STR(cidr_text(c), "192.168.1.0/24");
	}
	CASE("networks of /0 and /32 have no undefined shifts")
	{
		CHECK_ERR(value_cidr("10.0.0.0/0", &c), 0);
		CHECK_INT(cidr_last(c), 0xffffffff);
		CHECK_ERR(value_cidr("10.0.0.1/32", &c), 0);
		CHECK_INT(cidr_first(c), cidr_last(c));
	}
	CASE("broken networks are refused")
	{
		CHECK_ERR(value_cidr("10.0.0.0", &c), EINVAL);
		CHECK_ERR(value_cidr("10.0.0.0/33", &c), EINVAL);
		CHECK_ERR(value_cidr("10.0.0.0/", &c), EINVAL);
		CHECK_ERR(value_cidr("10.0.0.0/24x", &c), EINVAL);
	}
	CASE("ranges run upwards")
	{
		CHECK_ERR(value_range("10.0.0.1-10.0.0.9", &r), 0);
		CHECK_INT(r.last - r.first, 8);
		CHECK_ERR(value_range("10.0.0.9-10.0.0.9", &r), 0);
		CHECK_ERR(value_range("10.0.0.9-10.0.0.1", &r), EINVAL);
		CHECK_ERR(value_range("10.0.0.1 - 10.0.0.9", &r), EINVAL);
		CHECK_ERR(value_range("10.0.0.1", &r), EINVAL);
	}
}

static void test_sizes(void)
{
	struct semver v;
	uint64_t n;

	CASE("memory is binary whatever the unit says")
	{
		CHECK_ERR(value_memory("512MiB", &n), 0);
		CHECK_INT(n, 512 * MIB);
		CHECK_ERR(value_memory("8GB", &n), 0);
		CHECK_INT(n, 8 * GIB);
		CHECK_ERR(value_memory("8", &n), EINVAL);
		CHECK_ERR(value_memory("8 GiB", &n), EINVAL);
		CHECK_ERR(value_memory("0GiB", &n), EINVAL);
		CHECK_ERR(value_memory("-8GiB", &n), EINVAL);
		CHECK_ERR(value_memory("99999999999999999999GiB", &n), EINVAL);
	}
	CASE("durations are read as Go reads them")
	{
		CHECK_ERR(value_duration("1m30s", &n), 0);
		CHECK_INT(n, 90000);
		CHECK_ERR(value_duration("2.5s", &n), 0);
		CHECK_INT(n, 2500);
		CHECK_ERR(value_duration("500ms", &n), 0);
		CHECK_INT(n, 500);
		CHECK_ERR(value_duration("15", &n), EINVAL);
		CHECK_ERR(value_duration("", &n), EINVAL);
		CHECK_ERR(value_duration("nans", &n), EINVAL);
		CHECK_ERR(value_duration("-5s", &n), EINVAL);
	}
	CASE("versions give their parts")
	{
		CHECK_ERR(value_semver("v1.36.4+k3s1", &v), 0);
		CHECK(v.major == 1 && v.minor == 36 && v.patch == 4);
		CHECK_ERR(value_semver("1.20", &v), 0);
		CHECK_ERR(value_semver("latest", &v), EINVAL);
		CHECK_ERR(value_semver("1.20.0garbage", &v), EINVAL);
	}
}

static const struct {
	const char *what, *line, *words;
} key_rows[] = {
	{ "an ed25519 key", ed25519, NULL },
	{ "a key without comment", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ",
	  NULL },
	{ "a private key", "-----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key" },
	{ "a key cut off", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII5MzBLcR+y10u4hjZ6hhRD8M307kr0sRpnXvYjS x",
	  "cut off" },
	{ "a key cut inside base64", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII5Mz x", "cut off" },
	{ "a key with more behind it",
	  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQAAAA", "cut off" },
	{ "a type that does not fit", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ",
	  "another type" },
	{ "a DSA key", "ssh-dss AAAAB3NzaC1kc3MAAACBAP x", "DSA" },
	{ "options", "command=\"/bin/sh\" ssh-ed25519 AAAA", "something stands before 'ssh-ed25519': options" },
	{ "an option with blanks", "from=\"10.0.0.0/8\",command=\"ls -l\" ecdsa-sha2-nistp256 AAAA",
	  "the line from 'ecdsa-sha2-nistp256' on" },
	{ "a line of known_hosts", "192.168.1.11 ssh-rsa AAAA", "a host name" },
	{ "a certificate", "ssh-ed25519-cert-v01@openssh.com AAAA", "this is a certificate" },
	{ "a certificate of a security key", "sk-ssh-ed25519-cert-v01@openssh.com AAAA", "this is a certificate" },
	{ "protocol 1", "1024 65537 123456789 me", "protocol 1" },
	{ "the form of RFC 4716", "---- BEGIN SSH2 PUBLIC KEY ----", "ssh-keygen -i -f FILE" },
	{ "PuTTY's private key", "PuTTY-User-Key-File-3: ssh-ed25519", "PuTTY's private key, which must never" },
	{ "a comment with capitals",
	  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ PRIVATE KEY-----", NULL },
	{ "a curve that does not fit",
	  "ecdsa-sha2-nistp256 "
	  "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAzODQAAABBBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	  "AA"
	  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	  "cut off" },
	{ "a fingerprint", "SHA256:abcdef", "as a .pub file holds it" },
	{ "two lines", "ssh-ed25519 AAAA\nssh-ed25519 AAAA", "one line" },
	{ "nothing", "", "expected" },
	{ "a byte order mark before it", "\xef\xbb\xbfssh-ed25519 AAAA", "not ASCII stands at the start" },
	{ "a blank that is none",
	  "ssh-ed25519\xc2\xa0"
	  "AAAA",
	  "not ASCII stands at the start" },
	{ "quotes", "\"ssh-ed25519 AAAA\"", "in quotes; remove them" },
	{ "no type", "AAAAC3NzaC1lZDI1NTE5AAAAI me", "type is missing" },
	{ "only a type", "ssh-ed25519", "cut off" },
};

static void test_keys(void)
{
	CASE("a private key in a .pub file")
	CHECK_STR(value_ssh_file_fault("-----BEGIN OPENSSH PRIVATE KEY-----", "id.pub"),
		  "id.pub is a private key, which must never leave your computer; give the public key that belongs to "
		  "it");
	for (size_t i = 0; i < ARRAY_SIZE(key_rows); i++) {
		CASE(arena_printf("SSH key: %s", key_rows[i].what))
		{
			const char *why = value_ssh_key_fault(key_rows[i].line);

			if (key_rows[i].words)
				CHECK(why && strstr(why, key_rows[i].words));
			else
				CHECK(!why);
		}
	}
}

/* ---- the table ---- */

static bool needs_files(const struct kind *k)
{
	return k == &kind_values_file || k == &kind_ca_file || k == &kind_key_file || k == &kind_ssh_keys ||
	       k == &kind_known_hosts || k == &kind_app_values_file;
}

static struct config scratch;

static const char *value_fault(const struct field *f, const char *text)
{
	static char dst[256] __attribute__((aligned(16)));
	struct faults faults = { 0 };
	struct reading l = { .faults = &faults, .dir = "/", .root = &scratch };
	struct yaml_node *n;
	struct err e = { 0 };

	memset(dst, 0, sizeof(dst));
	if (yaml_parse("example", text, strlen(text), &n, &e) < 0)
		return arena_strdup(e.msg);
	schema_read_value(&l, f, n, f->key, dst);
	return faults.errors ? faults.list.v[0].msg : NULL;
}

static void check_fields(const struct field *table, const char *path)
{
	for (const struct field *f = table; f->key; f++) {
		const char *at = schema_path(path, f->key);

		CASE(arena_printf("%s is documented, and its example and default are valid", at))
		{
			CHECK(f->help && *f->help);
			CHECK(f->sub || f->kind == &kind_dns01 || f->example);
			if (f->example && !needs_files(f->kind))
				CHECK_STR(str_or(value_fault(f, f->example), "taken"), "taken");
			if (f->def)
				CHECK_STR(str_or(value_fault(f, f->def), "taken"), "taken");
		}
		if (f->sub)
			check_fields(f->sub, at);
	}
}

static void test_table(void)
{
	check_fields(config_fields, "");
	for (size_t i = 0; i < dns01_providers_count; i++) {
		const struct dns01_provider *p = &dns01_providers[i];

		CASE(arena_printf("provider %s: every key lands somewhere, and its example is valid", p->name))
		{
			for (const struct dns01_key *k = p->keys; k->key; k++) {
				struct field f = { .key = k->key, .kind = k->text_path ? k->kind : &kind_secret };

				CHECK(k->text_path || k->secret_path);
				CHECK(!k->secret_path == !k->secret_key);
				CHECK(!k->text_path == !k->kind);
				CHECK_STR(str_or(value_fault(&f, k->example), "taken"), "taken");
			}
		}
	}
}

static void test_catalogue_versions(void)
{
	struct yaml_node *doc, *versions;
	const struct field *f = config_fields;
	struct err e = { 0 };
	const char *path;

	CASE("the keys of versions: are those of the catalogue, and its versions are valid pins")
	{
		CHECK_ERR(data_path("configs/catalogue.yaml", &path, &e), 0);
		CHECK_ERR(yaml_load(path, &doc, &e), 0);
		versions = yaml_get(doc, "versions");
		while (!streq(f->key, "versions"))
			f++;
		f = f->sub;
		for (size_t i = 0; i < versions->count; i++, f += f->key != NULL) {
			CHECK_STR(str_or(f->key, "end"), versions->keys[i]->text);
			CHECK(f->key &&
			      !kind_text_fault(f->kind, &(struct reading){ 0 }, versions->items[i]->text, NULL));
		}
		CHECK(!f->key);
	}
}

/* ---- loading ---- */

static char folder[] = "/tmp/pibuild-test.XXXXXX";

static char *write_file(const char *name, const char *text, mode_t mode)
{
	char *path = arena_printf("%s/%s", folder, name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
	close(fd);
	return path;
}

static struct config *load(const char *text, struct faults *f)
{
	char *path = write_file("cluster.yaml", text, 0600);
	struct config *c = NULL;
	struct err e = { 0 };

	CHECK_ERR(config_load(path, &c, f, &e), 0);
	unlink(path);
	return c;
}

#define TOP                                                                                                            \
	"apiVersion: pibuild/v1\n"                                                                                     \
	"cluster: {name: lab}\n"                                                                                       \
	"access:\n"                                                                                                    \
	"  user: pi\n"                                                                                                 \
	"  sshKeys:\n"                                                                                                 \
	"  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPwZTlbrajQbcilge9QGYnV5BLnR4yw7DCggEwX6KseQ\n"
#define NODES                                                                                                          \
	"nodes:\n"                                                                                                     \
	"- {name: cp, role: control-plane, board: rpi5, address: 192.168.1.11/24}\n"                                   \
	"- {name: w, role: worker, board: rpi4, memory: 4GB}\n"

static void test_load(void)
{
	struct faults f = { 0 };
	struct config *c;

	CASE("what is not given has its default")
	{
		c = load(TOP NODES, &f);
		CHECK_INT(f.errors, 0);
		CHECK_STR(cidr_text(c->cluster.pod_cidr), "10.42.0.0/16");
		CHECK_STR(cidr_text(c->cluster.service_cidr), "10.43.0.0/16");
		CHECK_STR(c->os.base, "raspios");
		CHECK(c->os.watchdog);
		CHECK_INT(c->os.network_watchdog, NETWORK_WATCHDOG_AUTO);
		CHECK_INT(c->os.journal.storage, JOURNAL_PERSISTENT);
		CHECK_INT(c->os.journal.max, 64 * MIB);
		CHECK_INT(c->os.swap, SWAP_ZRAM);
		CHECK_STR(c->access.timezone, "UTC");
		CHECK_STR(c->network.interface, "eth0");
		CHECK_INT(c->lb.interfaces.n, 0);
		CHECK(c->cilium.hubble_relay && c->cilium.hubble_ui);
		CHECK_INT(c->cilium.ingress, STATE_AUTO);
		CHECK(!c->cert_manager.enabled && !c->airgap);
		CHECK(!config_uses_etcd(c));
		CHECK_STR(config_api_host(c), "192.168.1.11");
	}
	CASE("the LAN is that of the first static address, memory is binary")
	{
		CHECK_STR(cidr_text(c->network.subnet), "192.168.1.0/24");
		CHECK_INT(c->nodes.v[1].memory, 4 * GIB);
		CHECK_INT(c->nodes.v[1].role, ROLE_WORKER);
		CHECK_STR(config_first_server(c)->name, "cp");
	}
	CASE("lists of maps, pins, issuers and secrets are read")
	{
		c = load(TOP "network: {vlan: 20}\n"
			     "loadBalancer: {pools: [{name: a, range: 192.168.1.65-192.168.1.70}]}\n"
			     "versions: {k3s: v1.35.8+k3s1, cilium: 1.19.6}\n"
			     "certManager:\n"
			     "  dns01: {provider: rfc2136, nameserver: 192.168.1.2, tsigKeyName: k, tsigSecret: "
			     "{command: [pass, x]}}\n" NODES,
			 &f);
		CHECK_INT(f.errors, 0);
		CHECK_STR(c->lb.pools.v[0].name, "a");
		CHECK_INT(c->lb.pools.v[0].range.last & 0xff, 70);
		CHECK_INT(c->versions.n, 2);
		CHECK_STR(c->versions.v[1].name, "cilium");
		CHECK_STR(c->versions.v[1].version, "1.19.6");
		CHECK(c->cert_manager.enabled && c->cert_manager.issuers[ISSUER_STAGING] &&
		      c->cert_manager.issuers[ISSUER_PRODUCTION]);
		CHECK_STR(c->cert_manager.provider, "rfc2136");
		CHECK_INT(c->cert_manager.dns01.n, 4); /* the algorithm's default is there */
		CHECK_STR(c->cert_manager.dns01.v[3].key, "tsigSecret");
		CHECK_INT(c->cert_manager.dns01.v[3].secret.kind, SECRET_COMMAND);
		CHECK_STR(c->cert_manager.dns01.v[3].secret.argv[1], "x");
		CHECK(c->cert_manager.dns01.v[3].secret.argv[2] == NULL);
	}
	CASE("every fault is found in one run, each at its place")
	{
		f = (struct faults){ 0 };
		c = load(TOP "network: {vlan: 9999, gatway: 192.168.1.1}\nairgap: yes\n" NODES, &f);
		CHECK_INT(f.errors, 3);
		const struct fault **s = faults_sorted(&f);

		CHECK_INT(s[0]->line, 7);
		CHECK_INT(s[0]->col, 17);
		CHECK_STR(s[1]->msg, "network: unknown key 'gatway'; did you mean 'gateway'?");
		CHECK_INT(s[2]->line, 8);
		CHECK_STR(s[2]->msg, "airgap: 'yes' is no boolean here; write true or false");
		CHECK(s[3] == NULL);
	}
	CASE("a fault by key stands at the key, or at the nearest parent that is there")
	{
		f = (struct faults){ 0 };
		fault_key(&f, c, "nodes[1].memory", "x");
		fault_key(&f, c, "nodes[0].memory", "x");
		fault_key(&f, c, "nodes[7].memory", "x");
		CHECK_INT(f.list.v[0].line, 11);
		CHECK_INT(f.list.v[0].col, 48);
		CHECK_INT(f.list.v[1].line, 10);
		CHECK_INT(f.list.v[1].col, 3);
		CHECK_INT(f.list.v[2].col, 1);
	}
	CASE("control characters never reach a message")
	{
		f = (struct faults){ 0 };
		load(TOP "\"evil\\e[2Jkey\": 1\n" NODES, &f);
		CHECK_INT(f.errors, 1);
		CHECK(strstr(f.list.v[0].msg, "evil?[2Jkey") != NULL);
	}
}

static void test_mirrors(void)
{
	struct faults f = { 0 };
	struct config *c;
	struct err e = { 0 };

	CASE("mirrors of the environment go before those of the file")
	{
		c = load(TOP "mirrors: [{from: \"https://a/\", to: \"https://b/\"}]\n" NODES, &f);
		setenv("PIBUILD_MIRRORS", "[{from: \"https://c/\", to: \"https://d/\"}]", 1);
		CHECK_ERR(config_add_env_mirrors(c, &e), 0);
		CHECK_INT(c->mirrors.n, 2);
		CHECK_STR(c->mirrors.v[0].from, "https://c/");
		CHECK_STR(c->mirrors.v[1].to, "https://b/");
	}
	CASE("a broken list in the environment is a fault of the configuration")
	{
		setenv("PIBUILD_MIRRORS", "[{from: x}]", 1);
		CHECK_ERR(config_add_env_mirrors(c, &e), EINVAL);
		CHECK_INT(e.class, CLASS_CONFIG);
		CHECK(starts_with(e.msg, "$PIBUILD_MIRRORS:1:"));
	}
	unsetenv("PIBUILD_MIRRORS");
}

/* ---- secrets ---- */

static int resolve(struct secret_ref ref, enum secret_use use, const char **text, struct err *e)
{
	size_t n = 0;
	int r;

	*text = NULL;
	*e = (struct err){ 0 };
	r = secret_resolve(&ref, use, text, &n, e);
	CHECK(r < 0 || strlen(*text) == n);
	return r;
}

static struct secret_ref command(const char *const *argv)
{
	return (struct secret_ref){ SECRET_COMMAND, argv[0], argv, SECRET_ACMEDNS };
}

static void test_secret_sources(void)
{
	const char *text, *path = write_file("secret", "hunter2\n\n", 0600);
	struct err e;

	CASE("a variable gives its value, and its absence is a fault")
	{
		setenv("PIBUILD_TEST", "tok en", 1);
		CHECK_ERR(resolve((struct secret_ref){ SECRET_ENV, "PIBUILD_TEST", NULL, SECRET_ACMEDNS }, SECRET_READ,
				  &text, &e),
			  0);
		CHECK_STR(text, "tok en");
		unsetenv("PIBUILD_TEST");
		CHECK(resolve((struct secret_ref){ SECRET_ENV, "PIBUILD_TEST", NULL, SECRET_ACMEDNS }, SECRET_PROBE,
			      &text, &e) < 0);
		CHECK_INT(e.class, CLASS_CONFIG);
	}
	CASE("a file gives its bytes without one newline at the end")
	{
		CHECK_ERR(
			resolve((struct secret_ref){ SECRET_FILE, path, NULL, SECRET_ACMEDNS }, SECRET_READ, &text, &e),
			0);
		CHECK_STR(text, "hunter2\n");
		CHECK_ERR(resolve((struct secret_ref){ SECRET_FILE, path, NULL, SECRET_ACMEDNS }, SECRET_PROBE, &text,
				  &e),
			  0);
		CHECK_STR(text, SECRETS_MASK);
	}
	CASE("a folder, a device and a missing file are no secrets")
	{
		CHECK(resolve((struct secret_ref){ SECRET_FILE, "/tmp", NULL, SECRET_ACMEDNS }, SECRET_READ, &text,
			      &e) < 0);
		CHECK_STR(e.msg, "the secret's file /tmp is no regular file");
		CHECK(resolve((struct secret_ref){ SECRET_FILE, "/dev/zero", NULL, SECRET_ACMEDNS }, SECRET_READ, &text,
			      &e) < 0);
		CHECK(resolve((struct secret_ref){ SECRET_FILE, "/nonexistent", NULL, SECRET_ACMEDNS }, SECRET_READ,
			      &text, &e) < 0);
	}
	CASE("an empty secret and one that is no text are refused")
	{
		CHECK(resolve((struct secret_ref){ SECRET_FILE, write_file("empty", "\n", 0600), NULL, SECRET_ACMEDNS },
			      SECRET_READ, &text, &e) < 0);
		CHECK(resolve((struct secret_ref){ SECRET_FILE, write_file("latin1", "caf\xe9", 0600), NULL,
						   SECRET_ACMEDNS },
			      SECRET_READ, &text, &e) < 0);
	}
}

static void test_secret_commands(void)
{
	static const char *const echo[] = { "printf", "%s\\n", "s3cret; $HOME `id`", NULL };
	static const char *const fails[] = { "false", NULL };
	static const char *const missing[] = { "/nonexistent/program", NULL };
	static const char *const endless[] = { "yes", NULL };
	const char *text;
	struct err e;

	CASE("a command gives what it prints, and no shell looks at its arguments")
	{
		CHECK_ERR(resolve(command(echo), SECRET_READ, &text, &e), 0);
		CHECK_STR(text, "s3cret; $HOME `id`");
	}
	CASE("checking runs no command")
	{
		CHECK_ERR(resolve(command(fails), SECRET_PROBE, &text, &e), 0);
	}
	CASE("a command that fails or is missing is a fault of the configuration")
	{
		CHECK(resolve(command(fails), SECRET_READ, &text, &e) < 0);
		CHECK_STR(e.msg, "the secret's command false failed with exit code 1");
		CHECK_INT(e.class, CLASS_CONFIG);
		CHECK(resolve(command(missing), SECRET_READ, &text, &e) < 0);
		CHECK_INT(e.class, CLASS_CONFIG);
	}
	CASE("a command that prints without end is stopped")
	{
		CHECK(resolve(command(endless), SECRET_READ, &text, &e) < 0);
		CHECK_STR(e.msg, "the secret's command yes prints more than 64 KiB");
	}
}

/* "key other: untested?" of the first misfit, or "". */
static const char *misfit(const char *k3s, const char *cilium, const char *gateway, const char *cert_manager)
{
	const struct cluster_versions v = { k3s, cilium, gateway, cert_manager };
	const struct misfits found = compat_misfits(&v, true, true);
	const struct misfit *m = found.list.v;

	if (!found.list.n)
		return "";
	return arena_printf("%s %s%s", m->key, str_or(m->other, "-"), m->untested ? " untested" : "");
}

static void test_compat(void)
{
	CASE("Cilium and the Gateway API come in pairs")
	{
		CHECK_STR(misfit(NULL, "1.20.0", "v1.6.1", NULL), "");
		CHECK_STR(misfit(NULL, "1.20.0", "v1.6.2", NULL), "");
		CHECK_STR(misfit(NULL, "1.20.0", "v1.6.0", NULL), "gatewayAPI cilium");
		CHECK_STR(misfit(NULL, "1.20.0", "v1.4.1", NULL), "gatewayAPI cilium");
		CHECK_STR(misfit(NULL, "1.19.6", "v1.4.1", NULL), "");
		CHECK_STR(misfit(NULL, "1.19.6", "v1.5.0", NULL), "gatewayAPI cilium");
		CHECK_STR(misfit("v1.37.0+k3s1", "1.19.6", NULL, NULL), "k3s cilium");
		CHECK_STR(misfit("v1.37.0+k3s1", "1.20.0", NULL, NULL), "k3s cilium untested");
		CHECK_STR(misfit("v1.36.0+k3s1", "1.20.0", NULL, "v1.20.1"), "k3s certManager untested");
		CHECK_STR(misfit("v1.36.0+k3s1", "1.20.0", NULL, "v1.21.1"), "");
		CHECK_STR(misfit("v1.99.0+k3s1", NULL, "v0.0.1", "v1.99.0"), "");
		CHECK_STR(misfit(NULL, NULL, NULL, "v1.14.0"), "certManager -");
		CHECK(compat_cilium("1.16.9") == NULL && compat_cilium("1.21.0-pre.0") == NULL &&
		      compat_cilium("2.20.0") == NULL);
	}
	CASE("what changed with K3s 1.34 and 1.37 is known")
	{
		CHECK(compat_k3s_master_label("v1.33.9+k3s1") && !compat_k3s_master_label("v1.34.0+k3s1"));
		CHECK(!compat_k3s_gateway_crds("v1.36.4+k3s1") && compat_k3s_gateway_crds("v1.37.0+k3s1"));
	}
}

/* ---- free networks ---- */

static void test_free_networks(void)
{
	static const struct {
		const char *name, *text;
		const char *first;
	} rows[] = {
		{ "beside the defaults", "network: {subnet: 192.168.1.0/24}\n", "172.20.0.0/16" },
		{ "10.42 is free once it is not the pods' any more", "cluster: {name: t, podCIDR: 10.99.0.0/16}\n",
		  "10.42.0.0/16" },
		{ "a LAN of all of 10", "network: {subnet: 10.0.0.0/8}\n", "172.20.0.0/16" },
		{ "a name server", "network: {nameservers: [172.20.255.255]}\n", "10.200.0.0/16" },
		{ "a gateway and a DHCP range",
		  "network: {gateway: 172.20.0.1, dhcpRange: 10.199.255.255-10.200.0.0}\n", "100.96.0.0/16" },
		{ "a pool", "loadBalancer: {pools: [{name: a, range: 172.20.0.1-172.20.0.9}]}\n", "10.200.0.0/16" },
		{ "an endpoint", "cluster: {name: t, endpoint: 172.20.0.9}\n", "10.200.0.0/16" },
		{ "a node", "nodes: [{name: a, role: worker, board: rpi5, address: 172.16.0.1/12}]\n",
		  "10.200.0.0/16" },
		{ "services in the way too", "cluster: {name: t, serviceCIDR: 172.16.0.0/12}\n", "10.200.0.0/16" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		CASE(arena_printf("a free network: %s", rows[i].name))
		{
			struct faults f = { 0 };
			struct config *c = load(
				arena_printf("apiVersion: pibuild/v1\n%s%s",
					     starts_with(rows[i].text, "cluster") ? "" : "cluster: {name: t}\n",
					     rows[i].text),
				&f);
			struct cidr nets[500] = { 0 };
			size_t n = config_free_networks(c, nets, ARRAY_SIZE(nets));

			CHECK(n > 0 && n < ARRAY_SIZE(nets));
			CHECK_STR(cidr_text(nets[0]), rows[i].first);
			CHECK(n == 1 || cidr_first(nets[1]) != cidr_first(nets[0]));
			CHECK(!nets[n].set);
		}
	}
}

/* A list is read once, and found again when all that a run had is gone. */
static void test_names_outlive_a_run(void)
{
	const struct name *first = NULL, *again = NULL;
	struct err e = { 0 };

	CASE("a time zone, before and after the arena was emptied")
	{
		CHECK(names_find(NAMES_TIMEZONES, "Europe/Berlin", &first, &e) == 0 && first);
		arena_done();
		CHECK(names_find(NAMES_TIMEZONES, "Europe/Berlin", &again, &e) == 0 && again == first);
		CHECK(ends_with(names_path(NAMES_TIMEZONES), "timezones.txt"));
	}
}

int main(void)
{
	struct err e = { 0 };
	int r;

	setenv("PIBUILD_DATA", ".", 0);
	if (!mkdtemp(folder))
		return 1;
	test_names_outlive_a_run();
	test_kinds();
	test_addresses();
	test_sizes();
	test_keys();
	test_table();
	test_catalogue_versions();
	test_load();
	test_mirrors();
	test_secret_sources();
	test_secret_commands();
	test_compat();
	test_free_networks();
	remove_tree(folder, &e);
	r = check_done();
	arena_done();
	return r;
}
