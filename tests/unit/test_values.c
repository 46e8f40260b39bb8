/* SPDX-License-Identifier: Apache-2.0 */
/* Values of secret files: which text of a file is one, and where it turns up. */
#include "check.h"

#include "inspect/secret_values.h"

static bool has(const struct values *v, const char *text)
{
	vec_foreach (x, &v->v)
		if (streq(x->text, text))
			return true;
	return false;
}

static const struct {
	const char *path, *text;
	const char *values[4];
} rows[] = {
	{ "/etc/rancher/k3s/config.yaml",
	  "node-name: a-long-name-of-a-node\ntoken: K10abcdef0123456789::server:0123456789abcdef\nagent-token: "
	  "\"fedcba9876543210\"\n",
	  { "0123456789abcdef", "fedcba9876543210" } },
	{ "/etc/rancher/node/password", "0123456789\n", { "0123456789" } },
	{ "/etc/rancher/node/password", "short\n", { NULL } },
	{ "/etc/pibuild/secrets/dns01.yaml",
	  "kind: Secret\nmetadata: {name: not-this-long-name}\nstringData:\n  token: abcdefghij\n  json: |\n    {\n    "
	  "\"first-line\": 1,\n",
	  { "abcdefghij", "\"first-line\": 1," } },
	{ "/etc/NetworkManager/system-connections/w.nmconnection",
	  "[wifi]\nssid=the-name-of-it\npsk=the-passphrase\n",
	  { "the-passphrase" } },
	{ "/etc/shadow", "root:*:1::::::\npi:$6$salt$abcdefgh:20000:0:99999:7:::\n", { "$6$salt$abcdefgh" } },
	{ "/var/lib/rancher/k3s/server/tls/server-ca.key",
	  "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nshort==\n-----END EC PRIVATE "
	  "KEY-----\n",
	  { "MHcCAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } },
	{ "/etc/of-the-users-own",
	  "-----BEGIN CERTIFICATE-----\nMIIBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n-----END CERTIFICATE-----\n"
	  "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----\n",
	  { "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w" } },
	{ "/etc/rancher/k3s/config.yaml", "token: [not, a, scalar]\n", { NULL } },
	{ "/etc/rancher/k3s/config.yaml", ": {no yaml", { NULL } },
};

int main(void)
{
	CASE("what is secret in a file is taken, what is not stays")
	{
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct values v = { 0 };
			size_t n = 0;

			values_of_file(&v, rows[i].path, rows[i].text, strlen(rows[i].text));
			for (; n < ARRAY_SIZE(rows[i].values) && rows[i].values[n]; n++)
				CHECK(has(&v, rows[i].values[n]));
			CHECK_INT(v.v.n, n);
		}
	}
	CASE("a value is found where it begins, once for each file, and not beyond the end")
	{
		static const char text[] = "..0123456789..0123456789..abcdefghij";
		struct values v = { 0 };
		struct hits h = { 0 }, none = { 0 };

		values_of_file(&v, "/etc/rancher/node/password", "0123456789\nabcdefghij", 21);
		values_search(&v, text, strlen(text), strlen(text), 1000, &h);
		CHECK_INT(h.v.n, 1);
		CHECK_INT(h.v.v[0].at, 1002);
		CHECK_STR(h.v.v[0].from, "/etc/rancher/node/password");
		values_search(&v, text, 2, strlen(text), 0, &none);
		CHECK_INT(none.v.n, 0);
		values_search(&v, text, 11, 11, 0, &none);
		CHECK_INT(none.v.n, 0);
		values_search(&v, text + 26, 1, 10, 0, &none);
		CHECK_INT(none.v.n, 1);
	}
	return check_done();
}
