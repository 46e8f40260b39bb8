/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cluster.yaml must not set with the keys that pass text on to a program of the card, because pibuild, K3s, the
 * kubelet or Cilium need it as it is: by name, with the reason and, where there is one, the key that does it.
 */
#ifndef CONFIG_OWNED_H
#define CONFIG_OWNED_H

/* NULL, or why boot.config must not have LINE, and boot.cmdline WORD. */
const char *owned_config_line(const char *line);
const char *owned_cmdline_word(const char *word);

/* NULL, or why MODULE of the kernel must not be kept away. */
const char *owned_module(const char *module);

#endif
