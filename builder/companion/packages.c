/* SPDX-License-Identifier: Apache-2.0 */
/* /var/lib/dpkg/status: paragraphs of "Field: value" lines, deb822(5); what we need is never folded. */
#include "companion/internal.h"

#define STATUS "/var/lib/dpkg/status"
static const size_t status_limit = 64 * MIB;

/* Value of FIELD in the paragraph [P, END), on the arena; NULL when it has none. */
static const char *deb_field(const char *p, const char *end, const char *name)
{
	size_t n = strlen(name);

	while (p < end) {
		const char *line_end = memchr(p, '\n', (size_t)(end - p));

		line_end = line_end ? line_end : end;
		if ((size_t)(line_end - p) > n && p[n] == ':' && !memcmp(p, name, n)) {
			p += n + 1;
			while (p < line_end && (*p == ' ' || *p == '\t'))
				p++;
			return clean_text(arena_strndup(p, (size_t)(line_end - p)));
		}
		p = line_end + 1;
	}
	return NULL;
}

static void take_paragraph(const char *p, const char *end, struct packages *ret)
{
	const struct package x = { deb_field(p, end, "Package"), deb_field(p, end, "Version"),
				   deb_field(p, end, "Architecture"), deb_field(p, end, "Maintainer") };
	const char *status = deb_field(p, end, "Status");

	if (x.name && x.version && x.arch && status && ends_with(status, " installed"))
		*vec_push(&ret->v) = x;
}

static int by_package(const void *a, const void *b)
{
	const struct package *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : strcmp(x->arch, y->arch);
}

void packages_parse(const struct strbuf *text, struct packages *ret)
{
	for (const char *p = text->s; p && *p;) {
		const char *end = strstr(p, "\n\n");

		end = end ? end + 1 : text->s + text->n;
		take_paragraph(p, end, ret);
		p = end + strspn(end, "\n");
	}
	vec_sort(&ret->v, by_package);
}

int packages_read(struct disk_image *image, struct packages *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	int r = image_open_fs(image, IMAGE_ROOT, 1, e);

	if (r < 0 || !ext4_exists(image->root, STATUS))
		return r;
	r = ext4_read(image->root, STATUS, status_limit, &text, e);
	if (r == 0)
		packages_parse(&text, ret);
	return r;
}
