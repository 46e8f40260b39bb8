/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the kernel that K3s, the kubelet or Cilium need as they are, or not too small. */
#ifndef CONFIG_SYSCTL_H
#define CONFIG_SYSCTL_H

/* NULL, or why KEY of sysctl.d(5) must not be set to VALUE, "" = nobody says to what. *RET_NOTE is what is worth a word
 * of a value that does no harm, else NULL. */
const char *sysctl_fault(const char *key, const char *value, const char **ret_note);

#endif
