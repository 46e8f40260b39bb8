/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of values that cluster.yaml alone has, and boards with it: names, addresses, versions, references. */
#ifndef CONFIG_KINDS_H
#define CONFIG_KINDS_H

#include "schema/schema.h"

/* ---- kinds.c ---- */
extern const struct kind kind_cluster_name, kind_node_name, kind_object_label, kind_object_name, kind_host,
	kind_host_name, kind_search_domain, kind_domain, kind_user, kind_package, kind_data_device, kind_timezone,
	kind_locale, kind_keyboard, kind_interface, kind_ssid, kind_country, kind_email, kind_url_prefix, kind_crypt,
	kind_board, kind_no_proxy;
extern const struct kind kind_version_k3s, kind_version_plain, kind_version_v, kind_version_date, kind_version_suite,
	kind_versions;
extern const struct kind kind_memory, kind_journal_size, kind_sysctl_key, kind_sysctl_value, kind_tristate;
/* ---- address_kinds.c ---- */
extern const struct kind kind_network, kind_source, kind_address, kind_ip, kind_range, kind_asn, kind_vlan, kind_mtu,
	kind_subnet6, kind_pods6, kind_services6;
/* ---- files.c, login_keys.c, secret_kinds.c ---- */
extern const struct kind kind_base, kind_values_file, kind_app_values_file, kind_key_file, kind_ca_file;
extern const struct kind kind_ssh_keys;
extern const struct kind kind_secret, kind_passphrase, kind_password, kind_ssh_private_key, kind_tcp_md5,
	kind_amazon_key, kind_secret_text, kind_proxy;
/* ---- boot.c ---- */
extern const struct kind kind_config_line, kind_cmdline_word, kind_switch;
extern const struct kind kind_eeprom, kind_boot_order, kind_eeprom_switch, kind_eeprom_number;
/* ---- registries.c, backup_kinds.c, certs.c ---- */
extern const struct kind kind_registry, kind_registry_or_all, kind_registry_url, kind_account;
extern const struct kind kind_schedule, kind_keep, kind_port, kind_s3_endpoint, kind_bucket, kind_s3_region, kind_nfs,
	kind_ssh_target, kind_disk_label, kind_known_hosts;
extern const struct kind kind_dns01, kind_issuers;
/* ---- k3s_keys.c, kubelet_keys.c, labels.c ---- */
extern const struct kind kind_k3s_server, kind_k3s_agent, kind_kubelet, kind_labels, kind_taint;
/* ---- apps.c ---- */
extern const struct kind kind_app_name, kind_chart_repo, kind_chart_oci, kind_chart_name, kind_chart_version,
	kind_app_manifest, kind_app_values, kind_image_ref, kind_secret_key, kind_git_url, kind_git_branch,
	kind_git_path, kind_value_path;

enum { PACKAGES_MAX = 64 };
enum { APPS_MAX = 64, APP_MANIFESTS_MAX = 64, APP_IMAGES_MAX = 256, APP_SECRETS_MAX = 16 };

extern const struct field config_fields[];
/* foreign_keys.c */
extern const struct foreign_keys config_foreign_keys;

#endif
