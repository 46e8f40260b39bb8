/* SPDX-License-Identifier: Apache-2.0 */
/* <image>.sha256 as `sha256sum -c` reads it, and its signature. */
#include "base/file.h"
#include "companion/internal.h"

static void sums_add_line(struct strbuf *out, const char *sha256, const char *path)
{
	strbuf_addf(out, "%s  %s\n", sha256, path_base(path));
}

void sums_of(const struct companions *c, const char *sha256, struct strbuf *out)
{
	char hex[SHA256_HEX];

	sums_add_line(out, sha256, c->image);
	for (size_t i = 0; i < COMPANION_SUMS; i++) {
		if (!c->v[i].s)
			continue;
		text_sha256(&c->v[i], hex);
		sums_add_line(out, hex, companion_path(c->image, (enum companion)i));
	}
}

int sums_write(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	sums_of(c, s->sha256, out);
	return 0;
}

/* The file as it must be, from what is there; then each line that differs is named. */
void sums_check(struct look *l)
{
	_cleanup_strbuf_ struct strbuf want = { 0 };
	const struct strbuf *have = &l->files.v[COMPANION_SUMS];
	size_t found = l->f->v.n;

	sums_of(&l->files, l->sha256, &want);
	if (want.n == have->n && memcmp(want.s, have->s, want.n) == 0)
		return;
	for (const char *line = want.s; *line; line = strchr(line, '\n') + 1) {
		const char *name = arena_strndup(line + SHA256_HEX + 1, strcspn(line + SHA256_HEX + 1, "\n"));
		const char *text = arena_strndup(line, strcspn(line, "\n") + 1), *at = strstr(have->s, text);

		if (at && (at == have->s || at[-1] == '\n'))
			continue;
		finding_add(l->f, companion_rows[COMPANION_SUMS].check, path_join(path_dir(l->image), name),
			    "%s states another digest, or none: one of the two was changed",
			    path_base(companion_path(l->image, COMPANION_SUMS)));
	}
	if (l->f->v.n == found)
		companion_complain(l, COMPANION_SUMS, "it has lines that pibuild did not write");
}

int sums_sign(const struct subject *s, struct companions *c, struct strbuf *out, struct err *e)
{
	const struct strbuf *sums = &c->v[COMPANION_SUMS];
	unsigned char sig[SIGNATURE_SIZE];
	int r = sign_make(s->key, sums->s, sums->n, sig, e);

	if (r < 0)
		return r;
	strbuf_add(out, sig, sizeof(sig));
	return 0;
}

void sums_check_signature(struct look *l)
{
	const struct strbuf *sums = &l->files.v[COMPANION_SUMS], *sig = &l->files.v[COMPANION_SIGNATURE];

	if (!l->key)
		return;
	if (!sig->s)
		companion_complain(l, COMPANION_SIGNATURE,
				   "there is no signature; `pibuild sign --key FILE %s` makes one",
				   shell_word(path_base(l->image)));
	else if (!sums->s)
		companion_complain(l, COMPANION_SIGNATURE, "what it signs, %s, is not there",
				   path_base(companion_path(l->image, COMPANION_SUMS)));
	else if (!sign_valid(l->key, sums->s, sums->n, sig->s, sig->n))
		companion_complain(l, COMPANION_SIGNATURE, "it was not made by this key over %s as it is now",
				   path_base(companion_path(l->image, COMPANION_SUMS)));
}
