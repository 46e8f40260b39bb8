/* SPDX-License-Identifier: Apache-2.0 */
#include "node/encode.h"

#include "crypto/digest.h"

void encode_keyfile(struct strbuf *out, const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = value[i];

		/* Leading blanks would be trimmed by the reader. */
		if (c == ' ' && i == 0)
			strbuf_adds(out, "\\s");
		else if (c == '\\')
			strbuf_adds(out, "\\\\");
		else if (c == '\n')
			strbuf_adds(out, "\\n");
		else if (c == '\r')
			strbuf_adds(out, "\\r");
		else if (c == '\t')
			strbuf_adds(out, "\\t");
		else
			strbuf_add(out, &c, 1);
	}
}

void encode_ssid(struct strbuf *out, const char *ssid)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	strbuf_adds(&b, "");
	for (; *ssid; ssid++)
		strbuf_addf(&b, "%s%c", *ssid == ';' ? "\\" : "", *ssid);
	encode_keyfile(out, b.s, b.n);
}

char *derive_uuid(char buf[UUID_TEXT], const char *const *parts, size_t n)
{
	char hex[SHA256_HEX];
	struct sha256 s;

	sha256_init(&s);
	for (size_t i = 0; i < n; i++)
		sha256_update(&s, parts[i], strlen(parts[i]) + 1);
	sha256_final(&s, hex);
	hex[12] = '8';
	hex[16] = "89ab"[(unsigned char)hex[16] % 4];
	snprintf(buf, UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return buf;
}
