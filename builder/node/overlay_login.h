/* SPDX-License-Identifier: Apache-2.0 */
/* Files of overlays that say who may log in, and as whom; words as of overlay_settings_fault(). */
#ifndef NODE_OVERLAY_LOGIN_H
#define NODE_OVERLAY_LOGIN_H

#include "node/overlay_lines.h"

const char *overlay_sshd_fault(struct settings_file *f);
const char *overlay_sudo_fault(struct settings_file *f);

#endif
