/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of values below `backup`: when, how many, and where to. */
#include "base/file.h"
#include "config/internal.h"
#include "config/kinds.h"
#include "config/values.h"

enum { KNOWN_HOSTS_LIMIT = 64 * 1024, KEEP_MAX = 365 };

static const char *parse_schedule(const struct reading *l, const char *text, void *dst)
{
	return schedule_parse(text, dst);
}

const struct kind kind_schedule = {
	.name = "cron schedule",
	.words = "give five fields as cron has them, such as \"0 3 * * *\"",
	.editor_pattern = "^[0-9*/,-]+([ \\t]+[0-9A-Za-z*/,-]+){4}$",
	.parse = parse_schedule,
};

/* ---- numbers ---- */

static const char *backup_number(const char *text, unsigned most, void *dst)
{
	unsigned v;

	if (value_unsigned(text, &v) < 0 || v < 1 || v > most)
		return arena_printf("give a number from 1 to %u", most);
	*(unsigned *)dst = v;
	return NULL;
}

static void backup_number_schema(json_t *out, unsigned most)
{
	json_object_set_new(out, "type", json_string("integer"));
	json_object_set_new(out, "minimum", json_integer(1));
	json_object_set_new(out, "maximum", json_integer(most));
}

static const char *parse_keep(const struct reading *l, const char *text, void *dst)
{
	return backup_number(text, KEEP_MAX, dst);
}

static void keep_schema(const struct field *f, json_t *out)
{
	backup_number_schema(out, KEEP_MAX);
}

static const char *parse_port(const struct reading *l, const char *text, void *dst)
{
	return backup_number(text, UINT16_MAX, dst);
}

static void port_schema(const struct field *f, json_t *out)
{
	backup_number_schema(out, UINT16_MAX);
}

const struct kind kind_keep = { .name = "1 to 365", .parse = parse_keep, .schema = keep_schema, .number = true };
const struct kind kind_port = { .name = "1 to 65535", .parse = parse_port, .schema = port_schema, .number = true };

/* ---- places ---- */

/* Nothing that a shell, a URL, sftp or the kernel's NFS would read as more than a name. */
#define HOST "[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
#define PATH "/[A-Za-z0-9._/+@-]{0,200}"

const struct kind kind_s3_endpoint = {
	.name = "https URL",
	.pattern = "^https://" HOST "(:[0-9]{1,5})?$",
	.words =
		"give the https:// address of the S3 service alone, such as https://s3.eu-central-1.amazonaws.com, without the bucket and without a '/' at its end",
	.check = value_port_fault,
};
const struct kind kind_bucket = {
	.name = "bucket",
	.pattern = "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
	.words = "give the name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.'",
};
const struct kind kind_s3_region = {
	.name = "region",
	.pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
	.words = "give the region that the S3 service goes by, such as us-east-1",
};
static const char *check_nfs(const char *text)
{
	return strstr(text, "://") ? "this is a URL: give HOST:/FOLDER, such as nas.lan:/volume1/backup, without nfs://"
				   : NULL;
}
const struct kind kind_nfs = {
	.name = "HOST:/PATH",
	.pattern = "^" HOST ":" PATH "$",
	.words = "give the server and the folder that it exports, such as nas.lan:/volume1/backup",
	.check = check_nfs,
};
const struct kind kind_ssh_target = {
	.name = "USER@HOST:/PATH",
	.pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}@" HOST ":" PATH "$",
	.words = "give the account, the host and an absolute folder there, such as backup@nas.lan:/srv/backup",
};

static const char *check_disk_label(const char *text)
{
	return streq(text, "rootfs") || streq(text, "bootfs")
		       ? "this is the label of the card itself, which a backup is to outlive; give the disk one of its own"
		       : NULL;
}

const struct kind kind_disk_label = {
	.name = "label",
	.pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,15}$",
	.words =
		"give the label of the disk's file system, as `lsblk -o NAME,LABEL` shows it: up to 16 letters, digits, '.', '_' and '-'",
	.check = check_disk_label,
};

/* ---- known_hosts ---- */

/* "HOST TYPE KEY", a marker before it at most (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
static bool is_host_key(const char *line)
{
	char host[512], type[64], key[16];

	if (*line == '@')
		line += strcspn(line, " \t");
	if (sscanf(line, " %511s %63s %15s", host, type, key) != 3)
		return false;
	return (starts_with(type, "ssh-") || starts_with(type, "ecdsa-") || starts_with(type, "sk-")) &&
	       starts_with(key, "AAAA");
}

static const char *parse_known_hosts(const struct reading *l, const char *text, void *dst)
{
	const char *path = config_expand_path(l->dir, text), *why;
	_cleanup_free_ char *lines = NULL;
	struct err e = { 0 };
	size_t n, keys = 0;

	if (file_read(path, KNOWN_HOSTS_LIMIT, &lines, &n, &e) < 0)
		return faults_reason(l->faults, &e);
	why = value_encoding_fault(lines, n, path);
	if (why)
		return arena_printf("%s %s", path, why);
	text_foreach (line, lines, "\n") {
		line += strspn(line, " \t\r");
		if (!*line || *line == '#')
			continue;
		if (!is_host_key(line))
			return arena_printf("%s: a line is none of known_hosts (HOST TYPE KEY)", path);
		keys++;
	}
	if (!keys)
		return arena_printf(
			"%s holds no host key; `ssh-keyscan HOST` prints those of a host, to be compared with what the host itself shows",
			path);
	*(const char **)dst = path;
	return NULL;
}

const struct kind kind_known_hosts = { .name = "path", .parse = parse_known_hosts };
