/* SPDX-License-Identifier: Apache-2.0 */
/* Text a user controls, encoded for the grammar it lands in. Everything else is refused by the schema's parsers. */
#ifndef NODE_ENCODE_H
#define NODE_ENCODE_H

#include "base/util.h"

/* Value of a GKeyFile (NetworkManager connection): backslash escapes of GLib's g_key_file_set_string(). */
void encode_keyfile(struct strbuf *out, const char *value, size_t n);

/* The same for `ssid`, which NetworkManager unescapes once more: "16;17;" as it is would be two bytes to it. */
void encode_ssid(struct strbuf *out, const char *ssid);

/* An UUID (version 8 layout) derived from PARTS, so that it is the same in every build. BUF is returned. */
#define UUID_TEXT 37
char *derive_uuid(char buf[UUID_TEXT], const char *const *parts, size_t n);

#endif
