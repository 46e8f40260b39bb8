/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <sys/mman.h>

#include "check.h"

static const char of_nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/* FIPS 180-2, appendix B.3: a million times 'a'. */
static const char of_million[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void streams(void)
{
	struct sha256 s, copy;
	char hex[SHA256_HEX];

	CASE("bytes have the digests of the standard")
	{
		sha256_bytes("", 0, hex);
		CHECK_STR(hex, of_nothing);
		sha256_bytes("abc", 3, hex);
		CHECK_STR(hex, of_abc);
	}
	CASE("a stream in pieces is the same as in one")
	{
		sha256_init(&s);
		for (unsigned i = 0; i < 100000; i++)
			sha256_update(&s, "aaaaaaaaaa", 10);
		sha256_final(&s, hex);
		CHECK_STR(hex, of_million);
		sha256_done(&s);
	}
	CASE("a copy goes its own way")
	{
		sha256_init(&s);
		sha256_update(&s, "ab", 2);
		sha256_copy(&copy, &s);
		sha256_update(&copy, "x", 1);
		sha256_done(&copy);
		sha256_update(&s, "c", 1);
		sha256_final(&s, hex);
		CHECK_STR(hex, of_abc);
	}
}

static void files(void)
{
	int fd = memfd_create("test", 0);
	char hex[SHA256_HEX];
	struct err e = { 0 };
	struct sha256 s;

	CASE("a file is read from its start, wherever its position is")
	{
		CHECK_INT(write(fd, "abcdef", 6), 6);
		CHECK_INT(ftruncate(fd, 3), 0);
		CHECK_INT(sha256_fd(fd, "test", hex, &e), 0);
		CHECK_STR(hex, of_abc);
		CHECK_INT(lseek(fd, 0, SEEK_CUR), 6);
	}
	CASE("only the bytes asked for are added")
	{
		CHECK_INT(ftruncate(fd, 5000), 0);
		sha256_init(&s);
		CHECK_INT(sha256_add_fd(&s, fd, 3, "test", &e), 0);
		sha256_final(&s, hex);
		CHECK_STR(hex, of_abc);
	}
	CASE("a file that cannot be read is an error with its name")
	{
		close(fd);
		CHECK(sha256_fd(fd, "gone.img", hex, &e) < 0);
		CHECK(strstr(e.msg, "gone.img"));
	}
}

int main(void)
{
	streams();
	files();
	CASE("only 64 lower-case hex digits are a digest")
	{
		char upper[SHA256_HEX];

		CHECK(sha256_valid(of_abc));
		CHECK(!sha256_valid(""));
		CHECK(!sha256_valid(of_abc + 1));
		CHECK(!sha256_valid("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0"));
		memcpy(upper, of_abc, sizeof(upper));
		upper[0] = 'B';
		CHECK(!sha256_valid(upper));
	}
	return check_done();
}
