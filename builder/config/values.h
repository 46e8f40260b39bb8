/* SPDX-License-Identifier: Apache-2.0 */
/* Text to values, without YAML and without files: 0 or -EINVAL, *RET is set only on success. */
#ifndef CONFIG_VALUES_H
#define CONFIG_VALUES_H

#include "config/config.h"

/* Four decimal parts, no leading zeros, nothing else. */
int value_ipv4(const char *s, uint32_t *ret);
/* "192.168.1.11/24"; host bits are kept. */
int value_cidr(const char *s, struct cidr *ret);
/* "fd00::/64", as inet_pton(3) reads it; host bits have to be zero. */
int value_cidr6(const char *s, struct cidr6 *ret);
/* "192.168.1.65-192.168.1.127"; the first may not be above the last. */
int value_range(const char *s, struct ip_range *ret);
/* "512MiB", "4GiB"; MB and GB mean the same, as RAM is sold. */
int value_memory(const char *s, uint64_t *ret);
int value_unsigned(const char *s, unsigned *ret);
/* "15s", "1m30s", "2.5s", "500ms" as Go reads it, to milliseconds. */
int value_duration(const char *s, uint64_t *ret_ms);
/* "512Mi", "0.5", "500m", "1e3": an amount as Kubernetes writes it (apimachinery pkg/api/resource/quantity.go). */
int value_quantity(const char *s, double *ret);
/* Ports of nodes that Kubernetes gives to Services, unless K3s's service-node-port-range says otherwise. */
enum { NODE_PORT_FIRST = 30000, NODE_PORT_LAST = 32767 };
/* "v1.36.4+k3s1" to major, minor, patch; a missing patch is 0. */
struct semver {
	unsigned major, minor, patch;
};
int value_semver(const char *s, struct semver *ret);

/* NULL for a line of authorized_keys without options, else why it is none. */
const char *value_ssh_key_fault(const char *line);
/* NULL, or why a key without fault is a bad one. */
const char *value_ssh_key_doubt(const char *line);
/* NULL, or which other form of a key TEXT is, the content of PATH (NULL = of no file), and what to do. */
const char *value_ssh_file_fault(const char *text, const char *path);

/* NULL, or what is wrong with the port of TEXT: a URL without a user name, HOST:PORT, HOST. */
const char *value_port_fault(const char *text);
/* NULL for the address of an HTTP proxy, else why it is none, without a part of it. WITH_USER: "NAME:PASSWORD@" may
 * stand in it. */
const char *value_proxy_fault(const char *text, bool with_user);

/* NULL when the N bytes are text in UTF-8 without byte order mark, else what is wrong ("starts with ...") and, for the
 * file PATH (NULL = none), the command that mends it. */
const char *value_encoding_fault(const char *s, size_t n, const char *path);
/* The same for a secret of that form, S without the newline at its end. Never repeats any of it. */
const char *value_secret_fault(enum secret_form form, const char *s, size_t n, const char *path);
/* NULL, or why a secret without fault is most likely not what it is meant to be. */
const char *value_secret_doubt(enum secret_form form, const char *s, size_t n);

#endif
