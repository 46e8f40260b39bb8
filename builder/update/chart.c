/* SPDX-License-Identifier: Apache-2.0 */
/* Which image a Helm chart asks for: its own values say so, so no table of ours can be out of date. */
#include "archive/archive.h"
#include "base/file.h"
#include "update/upstream.h"

static const uint64_t max_values = MIB;

/* The bytes of values.yaml, from memory to memory. */
static int read_values(const char *label, const struct strbuf *body, const struct artifact *chart, struct strbuf *ret,
		       struct err *e)
{
	_cleanup_(member_closep) struct member *m = NULL;
	_cleanup_close_ int fd = -1;
	char buf[65536];
	ssize_t n;
	int r = memory_file(str_or(body->s, ""), body->n, &fd, e);

	if (r < 0)
		return r;
	r = member_open(fd, label, arena_printf("%s/values.yaml", chart->checksum.entry), &m, e);
	if (r < 0)
		return r;
	if (member_size(m) > max_values)
		return err_class(e, CLASS_VERIFY, "%s: its values.yaml has more than 1 MiB", label);
	while ((n = member_read(m, buf, sizeof(buf), e)) > 0)
		strbuf_add(ret, buf, (size_t)n);
	return (int)n;
}

int chart_image_tag(const struct lock_entry *locked, const struct strbuf *body, const struct artifact *chart,
		    const struct image *image, const char **ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	const char *label = arena_printf("%s %s", locked->name, locked->version);
	const char *repository, *tag;
	struct yaml_node *values;
	char found[SHA256_HEX];
	int r;

	sha256_bytes(str_or(body->s, ""), body->n, found);
	if (!streq(found, locked->sha256))
		return err_class(e, CLASS_VERIFY, "%s: expected %s, its sha256 is %s", label, locked->sha256, found);
	r = read_values(label, body, chart, &text, e);
	if (r < 0)
		return r;
	r = yaml_parse(arena_printf("%s: values.yaml", label), str_or(text.s, ""), text.n, &values, e);
	if (r < 0)
		return r;
	repository = yaml_text_at(values, arena_printf("%s.repository", image->values));
	tag = yaml_text_at(values, arena_printf("%s.tag", image->values));
	if (!streq(repository, image->name) || !image_tag_valid(tag))
		return err_class(
			e, CLASS_VERIFY,
			"%s asks for the image '%s:%s' at %s of its values, the catalogue for %s; this pibuild does not know how that version is built",
			label, repository, tag, image->values, image->name);
	*ret = tag;
	return 0;
}
