/* SPDX-License-Identifier: Apache-2.0 */
/* ca: the certificate of the issuer `ca`, and how devices are told to trust it. It is no secret; its key stays where it
 * is. */
#include "base/file.h"
#include "base/log.h"
#include "base/terminal.h"
#include "cmd/cmd.h"
#include "secrets/secrets.h"

static const struct option ca_options[] = {
	CMD_OPTION_REPLACE,
};

/* Made, when the file has none yet: people trust it before the first boot. */
static int ca_load(const struct cmd_options *o, struct config **ret_c, struct secrets **ret_s, struct err *e)
{
	const char *fault;
	struct secrets *s;
	struct config *c;
	int r = config_require_file(o->config, "no cluster has a CA to print", e);

	if (r < 0)
		return r;
	r = cmd_load_config(o, &c, e);
	if (r < 0)
		return r;
	if (!c->cert_manager.issuers[ISSUER_CA])
		return err_class(
			e, CLASS_CONFIG,
			"%s: the cluster has no CA of its own for certificates; certManager: {issuers: [ca], zones: [home.arpa]} makes one for these zones",
			c->path);
	r = secrets_load(cmd_secrets_path(o, c), &s, e);
	if (r < 0)
		return r;
	r = secrets_complete(s, c, e);
	if (r < 0)
		return r;
	fault = secrets_zone_fault(s, c);
	*ret_c = c;
	*ret_s = s;
	if (fault)
		return err_class(e, CLASS_CONFIG, "%s", fault);
	return 0;
}

/* By system: where a certificate goes, from the pages of their makers. FILE stands for %s. */
static const struct {
	const char *system, *how;
} trust[] = {
	{ "Debian, Ubuntu, Raspberry Pi OS",
	  "sudo cp %1$s /usr/local/share/ca-certificates/%2$s.crt && sudo update-ca-certificates" },
	{ "Fedora, RHEL", "sudo cp %1$s /etc/pki/ca-trust/source/anchors/%2$s.crt && sudo update-ca-trust" },
	{ "Arch", "sudo trust anchor --store %1$s" },
	{ "macOS", "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain %1$s" },
	{ "Windows", "certutil -addstore Root %1$s, in a terminal opened as administrator" },
	{ "Firefox",
	  "Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import; on Windows and macOS it takes what the system trusts" },
	{ "Chrome on Linux", "Settings, Privacy and security, Security, Manage certificates, Custom, Import" },
	{ "Android", "Settings, Security, More, Encryption & credentials, Install a certificate, CA certificate" },
	{ "iOS",
	  "send the file to the device, then Settings, General, VPN & Device Management, install; then General, About, Certificate Trust Settings, switch it on" },
};

static void tell_how(const char *file, const char *name)
{
	log_info("to trust it (%s stands for where the file is on that device):", file);
	for (size_t i = 0; i < ARRAY_SIZE(trust); i++) {
		_cleanup_strbuf_ struct strbuf how = { 0 };

		for (const char *c = trust[i].how; *c; c++) {
			if (starts_with(c, "%1$s") || starts_with(c, "%2$s")) {
				strbuf_adds(&how, c[1] == '1' ? file : name);
				c += strlen("%1$s") - 1;
			} else {
				strbuf_add(&how, c, 1);
			}
		}
		log_info("  %s: %s", trust[i].system, how.s);
	}
}

/* This one, or that of another day. */
static int is_own_ca(const char *path, const void *cluster, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct pki_cert cert = { 0 };
	int r = file_read(path, MIB, &text, NULL, e);

	if (r == 0)
		r = pki_read_cert(text, &cert, e);
	return r < 0 ? r : starts_with(cert.common_name, arena_printf("%s CA ", (const char *)cluster));
}

static int ca_check_output(const struct cmd_options *o, const struct config *c, struct err *e)
{
	const struct cmd_output out = {
		.path = o->out,
		.is_own = is_own_ca,
		.arg = c->cluster.name,
		.own = arena_printf("a CA of the cluster %s", c->cluster.name),
		.cure = "",
	};

	return o->out_given ? cmd_check_output(o, &out, e) : 0;
}

static int cmd_ca(const struct cmd_options *o, struct err *e)
{
	_cleanup_strbuf_ struct strbuf zones = { 0 };
	const char *const *zone;
	struct secrets *s = NULL;
	struct config *c = NULL;
	struct pki_cert cert;
	const char *pem;
	int r = cmd_args(o, 0, 0, "ca [-o FILE]", e);

	if (r < 0)
		return r;
	r = ca_load(o, &c, &s, e);
	if (r < 0)
		return r;
	pem = s->issuer_ca.cert;
	r = pki_read_cert(pem, &cert, e);
	if (r == 0)
		r = pki_read_zones(pem, &zone, e);
	if (r < 0)
		return r;
	r = ca_check_output(o, c, e);
	if (r < 0)
		return r;
	for (; *zone; zone++)
		strbuf_item(&zones, ", ", *zone);
	if (o->out_given)
		r = file_publish(o->out, pem, strlen(pem), 0644, e);
	else
		r = stdout_print(pem, strlen(pem), e);
	if (r < 0)
		return r;
	log_info("'%s' signs for names below %s alone, until %.10s", cert.common_name, zones.s,
		 utc_text(cert.valid.to));
	log_info("SHA-256 fingerprint %s", cert.sha256);
	tell_how(o->out_given ? shell_word(o->out) : "ca.pem", c->cluster.name);
	return 0;
}

const struct command ca_command = {
	.name = "ca",
	.args = "",
	.help = "certificate of the issuer ca, for devices to trust",
	.run = cmd_ca,
	.options = ca_options,
	.n_options = ARRAY_SIZE(ca_options),
	.prints = true,
	.common = "config out secrets",
	.examples = { "pibuild ca >ca.pem", "pibuild ca -o ca.pem" },
};
