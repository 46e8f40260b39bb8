/* SPDX-License-Identifier: Apache-2.0 */
#include "base/codec.h"

const struct codec_row codecs[CODEC_COUNT] = {
	[CODEC_XZ] = { "xz", ".xz", "\xfd\x37\x7a\x58\x5a\x00", 6 },
	[CODEC_ZSTD] = { "zstd", ".zst", "\x28\xb5\x2f\xfd", 4 },
	[CODEC_GZIP] = { "gzip", ".gz", "\x1f\x8b", 2 },
};

const char *codec_suffixes(void)
{
	const char *all = codecs[0].suffix;

	for (size_t i = 1; i < CODEC_COUNT; i++)
		all = arena_printf("%s %s", all, codecs[i].suffix);
	return all;
}

enum codec codec_of_head(const void *head, size_t n)
{
	for (size_t i = 0; i < CODEC_COUNT; i++)
		if (n >= codecs[i].magic_n && memcmp(head, codecs[i].magic, codecs[i].magic_n) == 0)
			return (enum codec)i;
	return CODEC_COUNT;
}

enum codec codec_of_name(const char *name)
{
	for (size_t i = 0; i < CODEC_COUNT; i++)
		if (ends_with(name, codecs[i].suffix))
			return (enum codec)i;
	return CODEC_COUNT;
}
