/* SPDX-License-Identifier: Apache-2.0 */
/* Block maps, digests of pieces, signatures, and an image whose every companion is damaged byte by byte. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "check.h"
#include "companion/internal.h"

static char dir[] = "/tmp/pibuild-test.XXXXXX";

static const char *in_dir(const char *name)
{
	return path_join(dir, name);
}

static void put(const char *name, const void *data, size_t n)
{
	struct err e = { 0 };

	CHECK_INT(file_publish(in_dir(name), data, n, 0600, &e), 0);
}

/* SIZE bytes, zeros but for a letter at each of OFFSETS. */
static int make_image(const char *name, uint64_t size, const uint64_t *offsets, size_t n)
{
	int fd = open(in_dir(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK_INT(ftruncate(fd, (off_t)size), 0);
	for (size_t i = 0; i < n; i++)
		CHECK_INT(pwrite_all(fd, "x", 1, offsets[i]), 0);
	return fd;
}

static void digests_of(int fd, uint64_t size, struct digests *ret)
{
	struct err e = { 0 };
	struct digester d;

	digester_start(&d, ret);
	CHECK_INT(clone_sparse(fd, NULL, 0, "image", &d.watch, &e), 0);
	digester_end(&d, size);
}

static bool found(const struct findings *f, const char *check, const char *part)
{
	vec_foreach (x, &f->v)
		if (streq(x->check, check) && (strstr(x->text, part) || strstr(x->where, part)))
			return true;
	return false;
}

static void flip(const char *name, uint64_t offset)
{
	int fd = open(in_dir(name), O_RDWR | O_CLOEXEC);
	char c = 0;

	CHECK_INT(pread_all(fd, &c, 1, offset), 0);
	c ^= 4;
	CHECK_INT(pwrite_all(fd, &c, 1, offset), 0);
	close(fd);
}

static void check_digests(void)
{
	const uint64_t size = 5 * MIB + 8192, offsets[] = { 0, MIB + 5, 5 * MIB + 8191 };
	char *piece = calloc(1, MIB), want[SHA256_HEX];
	struct digests d, again, parsed;
	struct err e = { 0 };
	struct cow *c = NULL;
	int fd = make_image("digests", size, offsets, ARRAY_SIZE(offsets));

	CASE("a piece has the digest of its bytes, one of zeros has none, the last one is shorter")
	{
		digests_of(fd, size, &d);
		CHECK_INT(d.n, 6);
		piece[5] = 'x';
		sha256_bytes(piece, MIB, want);
		CHECK_STR(d.v[1].hex, want);
		CHECK_STR(d.v[2].hex, "");
		CHECK_STR(d.v[4].hex, "");
		piece[5] = 0;
		piece[8191] = 'x';
		sha256_bytes(piece, 8192, want);
		CHECK_STR(d.v[5].hex, want);
	}
	CASE("data that the host keeps as zeros instead of holes gives the same digests")
	{
		memset(piece, 0, MIB);
		for (uint64_t at = 2 * MIB; at < 5 * MIB; at += MIB)
			CHECK_INT(pwrite_all(fd, piece, MIB, at), 0);
		digests_of(fd, size, &again);
		CHECK_INT(memcmp(d.v, again.v, d.n * sizeof(*d.v)), 0);
	}
	CASE("changes in memory give new digests to the pieces they touch alone")
	{
		CHECK_INT(cow_open(dup(fd), "image", &c, &e), 0);
		CHECK_INT(cow_write(c, "yy", 2, 3 * MIB - 1), 0);
		CHECK_INT(digests_update(&d, c, &again, &e), 0);
		for (size_t i = 0; i < d.n; i++)
			CHECK_INT(streq(d.v[i].hex, again.v[i].hex), i != 2 && i != 3);
		CHECK(digests_same(&d, &again, 0, 2 * MIB) && digests_same(&d, &again, 4 * MIB, 5 * MIB));
		CHECK(!digests_same(&d, &again, 0, 3 * MIB) && !digests_same(&d, &again, 3 * MIB, 4 * MIB));
		CHECK(!digests_same(&d, &d, 4 * MIB, 5 * MIB + 4096) && !digests_same(&d, &d, 512, MIB));
		CHECK(!digests_same(&d, &d, 5 * MIB, 6 * MIB));
		cow_close(c);
	}
	CASE("a file that grew and was changed in place has the digests of what it is now")
	{
		CHECK_INT(cow_open_direct(fd, "image", &c, &e), 0);
		CHECK_INT(cow_resize(c, 7 * MIB + 512, &e), 0);
		CHECK_INT(cow_write(c, "zz", 2, 7 * MIB + 1), 0);
		CHECK_INT(digests_update(&d, c, &parsed, &e), 0);
		digests_of(fd, 7 * MIB + 512, &again);
		CHECK_INT(parsed.n, 8);
		CHECK_INT(memcmp(parsed.v, again.v, again.n * sizeof(*again.v)), 0);
		CHECK_INT(cow_resize(c, size, &e), 0);
		cow_close(c);
	}
	CASE("pieces that were hashed in any order stand for those that were not hashed again")
	{
		struct digests seen;

		CHECK_INT(cow_open_direct(fd, "image", &c, &e), 0);
		memset(piece, 'p', MIB);
		CHECK_INT(pwrite_all(fd, piece, MIB, 3 * MIB), 0);
		CHECK_INT(pwrite_all(fd, piece, MIB, 2 * MIB), 0);
		digests_init(&seen, size);
		digests_see(&seen, 3, piece);
		digests_see(&seen, 2, piece);
		CHECK_INT(digests_update(&d, c, &parsed, &e), 0);
		digests_take(&parsed, &seen);
		digests_of(fd, size, &again);
		CHECK_INT(memcmp(parsed.v, again.v, again.n * sizeof(*again.v)), 0);
		CHECK_INT(cow_zero(c, 2 * MIB, 2 * MIB), 0);
		cow_close(c);
	}
	CASE("digests come back from JSON; those of another size do not")
	{
		json_t *j = digests_json(&d);

		CHECK_INT(digests_parse(j, size, &parsed), 0);
		CHECK_INT(memcmp(d.v, parsed.v, d.n * sizeof(*d.v)), 0);
		CHECK_INT(digests_parse(j, size + MIB, &parsed), -EINVAL);
		CHECK_INT(digests_parse(NULL, size, &parsed), -EINVAL);
		json_decref(j);
	}
	close(fd);
	free(piece);
}

static void check_map(void)
{
	const uint64_t size = 4 * MIB, offsets[] = { 7, 3 * MIB + 1 };
	int fd = make_image("map", size, offsets, ARRAY_SIZE(offsets));
	struct ranges free_space = { 0 };
	struct strbuf text = { 0 };
	struct digests d;
	struct bmap m = { 0 };
	struct err e = { 0 };

	digests_of(fd, size, &d);
	close(fd);
	CASE("zeros that a filesystem uses are mapped, zeros in free space are not")
	{
		*vec_push(&free_space.v) = (struct range){ 2 * MIB, 2 * MIB + 4096 }; /* neighbours count as one */
		*vec_push(&free_space.v) = (struct range){ 2 * MIB + 4096, 4 * MIB };
		bmap_write(&d, &free_space, &text);
		CHECK_INT(bmap_read(text.s, text.n, &m, &e), 0);
		CHECK_INT(m.size, size);
		CHECK_INT(m.v.n, 3);
		CHECK_INT(m.v.v[1].start, MIB);
		CHECK_INT(m.v.v[2].start, 3 * MIB);
	}
	CASE("a map with any one byte changed is refused")
	{
		for (size_t i = 0; i < text.n; i++) {
			struct bmap bad = { 0 };

			text.s[i] ^= 1;
			if (bmap_read(text.s, text.n, &bad, &e) != -EINVAL)
				CHECK_FAILED("byte %zu", i);
			text.s[i] ^= 1;
		}
	}
	CASE("a map that is cut off anywhere is refused")
	{
		for (size_t n = 0; n < text.n; n++) {
			char *part = strndup(text.s, n);
			struct bmap bad = { 0 };

			if (bmap_read(part, n, &bad, &e) != -EINVAL)
				CHECK_FAILED("%zu bytes", n);
			free(part);
		}
	}
	strbuf_done(&text);
}

static void check_keys(void)
{
	struct sign_key *key = NULL, *pub = NULL, *none = NULL;
	unsigned char sig[SIGNATURE_SIZE];
	struct err e = { 0 };
	struct stat st;

	CASE("a new key is for its owner alone, whatever the umask, and is never overwritten")
	{
		umask(0);
		CHECK_INT(sign_new_key(in_dir("key"), &e), 0);
		umask(022);
		CHECK_INT(stat(in_dir("key"), &st), 0);
		CHECK_INT(st.st_mode & 0777, 0600);
		CHECK(sign_new_key(in_dir("key"), &e) < 0);
		CHECK_INT(e.class, CLASS_REFUSED);
	}
	CASE("what one half signs the other half checks")
	{
		CHECK_INT(sign_key_open(in_dir("key"), &key, &e), 0);
		CHECK_INT(sign_pub_open(in_dir("key.pub"), &pub, &e), 0);
		CHECK_INT(sign_make(key, "text", 4, sig, &e), 0);
		CHECK(sign_valid(pub, "text", 4, sig, sizeof(sig)));
		CHECK(!sign_valid(pub, "texT", 4, sig, sizeof(sig)));
		CHECK(!sign_valid(pub, "text", 4, sig, sizeof(sig) - 1));
		sig[10] ^= 1;
		CHECK(!sign_valid(pub, "text", 4, sig, sizeof(sig)));
		sign_key_free(key);
		sign_key_free(pub);
	}
	CASE("a key that others can read is refused, and what is no key")
	{
		CHECK_INT(chmod(in_dir("key"), 0640), 0);
		CHECK(sign_key_open(in_dir("key"), &none, &e) < 0);
		CHECK_INT(e.class, CLASS_REFUSED);
		CHECK_INT(chmod(in_dir("key"), 0600), 0);
		put("text", "hello\n", 6);
		CHECK(sign_key_open(in_dir("text"), &none, &e) < 0);
		CHECK_INT(e.class, CLASS_CONFIG);
		CHECK(sign_key_open(in_dir("nothing"), &none, &e) < 0);
		CHECK(sign_pub_open(in_dir("key"), &none, &e) < 0);
		CHECK(none == NULL);
	}
}

/* ---- a whole set, made by hand: an image without a filesystem ---- */

static const char *const set[] = { "a.img", "a.manifest.json", "a.bmap", "a.img.sha256", "a.img.sha256.sig" };

static void make_set(void)
{
	const uint64_t size = 3 * MIB, offsets[] = { 510, 511, 2 * MIB };
	int fd = make_image("a.img", size, offsets, ARRAY_SIZE(offsets));
	struct companions c = { .image = in_dir("a.img") };
	struct strbuf sig = { 0 };
	struct ranges free_space = { 0 };
	struct sign_key *key;
	char sha256[SHA256_HEX];
	struct err e = { 0 };
	struct digests d;

	CHECK_INT(pwrite_all(fd, "\x55\xaa", 2, 510), 0);
	digests_of(fd, size, &d);
	*vec_push(&free_space.v) = (struct range){ MIB, 2 * MIB };
	strbuf_adds(&c.v[COMPANION_MANIFEST], "{\n \"node\": \"a\"\n}\n");
	bmap_write(&d, &free_space, &c.v[COMPANION_BMAP]);
	CHECK_INT(sha256_fd(fd, "a.img", sha256, &e), 0);
	sums_of(&c, sha256, &c.v[COMPANION_SUMS]);
	CHECK_INT(sign_key_open(in_dir("key"), &key, &e), 0);
	CHECK_INT(sums_sign(&(struct subject){ .key = key }, &c, &sig, &e), 0);
	c.v[COMPANION_SIGNATURE] = sig;
	CHECK_INT(companions_publish(&c, &e), 0);
	sign_key_free(key);
	companions_done(&c);
	close(fd);
}

static void verify(struct findings *f)
{
	struct err e = { 0 };

	*f = (struct findings){ 0 };
	if (companions_verify(in_dir("a.img"), in_dir("key.pub"), f, &e) < 0)
		CHECK_FAILED("%s", e.msg);
}

static void check_tampering(void)
{
	struct findings f;

	make_set();
	CASE("nothing is found in what nobody touched")
	{
		verify(&f);
		CHECK_INT(f.v.n, 0);
	}
	CASE("a flipped byte of the image is found with its range, in data and in free space")
	{
		flip("a.img", 2 * MIB + 100);
		verify(&f);
		CHECK(found(&f, "bmap", "bytes 2097152 to 3145727"));
		CHECK(found(&f, "sha256", "a.img"));
		flip("a.img", 2 * MIB + 100);
		flip("a.img", MIB + 77);
		verify(&f);
		CHECK(found(&f, "bmap", "byte 1048653"));
		flip("a.img", MIB + 77);
	}
	CASE("any flipped byte of any companion is found, and the companion is named")
	{
		for (size_t k = 1; k < ARRAY_SIZE(set); k++) {
			struct stat st;

			CHECK_INT(stat(in_dir(set[k]), &st), 0);
			for (uint64_t at = 0; at < (uint64_t)st.st_size; at += 1 + (uint64_t)st.st_size / 40) {
				bool named = false;

				flip(set[k], at);
				verify(&f);
				vec_foreach (x, &f.v)
					named |= ends_with(x->where, set[k]) || strstr(x->text, set[k]);
				if (!named)
					CHECK_FAILED("%s, byte %llu", set[k], (unsigned long long)at);
				flip(set[k], at);
			}
		}
		verify(&f);
		CHECK_INT(f.v.n, 0);
	}
	CASE("a cut off or longer image is found")
	{
		CHECK_INT(truncate(in_dir("a.img"), 3 * MIB - 512), 0);
		verify(&f);
		CHECK(found(&f, "bmap", "3145216 bytes"));
		CHECK_INT(truncate(in_dir("a.img"), 3 * MIB), 0);
		CHECK_INT(truncate(in_dir("a.img"), 4 * MIB), 0);
		verify(&f);
		CHECK(found(&f, "bmap", "4194304 bytes"));
		CHECK_INT(truncate(in_dir("a.img"), 3 * MIB), 0);
	}
	CASE("a companion that is not signed for is found")
	{
		put("a.spdx.json", "{}\n", 3);
		verify(&f);
		CHECK(found(&f, "sha256", "a.spdx.json"));
		unlink(in_dir("a.spdx.json"));
	}
	CASE("with a key, a missing signature is found; so is one by another key")
	{
		struct err e = { 0 };

		CHECK_INT(sign_new_key(in_dir("other"), &e), 0);
		f = (struct findings){ 0 };
		CHECK_INT(companions_verify(in_dir("a.img"), in_dir("other.pub"), &f, &e), 0);
		CHECK(found(&f, "signature", "not made by this key"));
		CHECK_INT(unlink(in_dir("a.img.sha256.sig")), 0);
		verify(&f);
		CHECK(found(&f, "signature", "no signature"));
		f = (struct findings){ 0 };
		CHECK_INT(companions_verify(in_dir("a.img"), NULL, &f, &e), 0);
		CHECK_INT(f.v.n, 0);
	}
	CASE("an image alone has nothing to be held against")
	{
		struct err e = { 0 };

		for (size_t k = 1; k < ARRAY_SIZE(set); k++)
			unlink(in_dir(set[k]));
		f = (struct findings){ 0 };
		CHECK_INT(companions_verify(in_dir("a.img"), NULL, &f, &e), 0);
		CHECK_INT(f.v.n, 0);
		CHECK(companions_verify(in_dir("b.img"), NULL, &f, &e) < 0);
	}
}

static void check_names(void)
{
	CASE("companions are found by the image's name, in every form")
	{
		CHECK_STR(image_stem("out/cp-1.img"), "out/cp-1");
		CHECK_STR(image_stem("out/cp-1.img.xz"), "out/cp-1");
		CHECK_STR(image_stem("card.raw"), "card.raw");
		CHECK_STR(companion_path("out/a.img.zst", COMPANION_BMAP), "out/a.bmap");
		CHECK_STR(companion_path("out/a.img.zst", COMPANION_SUMS), "out/a.img.zst.sha256");
	}
	CASE("what spoke of an earlier image goes, and the image in another form; others stay")
	{
		static const char *const gone[] = { "n.img.xz", "n.img.xz.sha256", "n.bmap", "n.img.sha256.sig" };
		struct err e = { 0 };

		for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
			put(gone[i], "x", 1);
		put("n.img", "x", 1);
		put("n2.bmap", "x", 1);
		CHECK_INT(companions_remove(in_dir("n.img"), &e), 0);
		CHECK_INT(access(in_dir("n.img.xz"), F_OK), 0);
		CHECK_INT(image_remove_others(in_dir("n.img"), &e), 0);
		for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
			CHECK(access(in_dir(gone[i]), F_OK) < 0);
		CHECK_INT(access(in_dir("n.img"), F_OK), 0);
		CHECK_INT(access(in_dir("n2.bmap"), F_OK), 0);
	}
}

int main(void)
{
	struct err e = { 0 };

	if (!mkdtemp(dir))
		return 1;
	check_digests();
	check_map();
	check_keys();
	check_tampering();
	check_names();
	remove_tree(dir, &e);
	return check_done();
}
