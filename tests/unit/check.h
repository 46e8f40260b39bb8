/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test program is a list of cases; each prints one TAP line.
 *
 *	CASE("refuses an empty name") {
 *		CHECK(!valid(""));
 *	}
 *	return check_done();
 *
 * A failed check says where and what it got; the case goes on to its end.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned check_cases, check_failed_cases;
static bool check_ok;
static const char *check_name;

static inline void check_finish(void)
{
	if (!check_name)
		return;
	check_cases++;
	check_failed_cases += !check_ok;
	printf("%sok %u - %s\n", check_ok ? "" : "not ", check_cases, check_name);
	check_name = NULL;
}

static inline bool check_begin(const char *name)
{
	check_finish();
	check_name = name;
	check_ok = true;
	return true;
}

static inline int check_done(void)
{
	check_finish();
	printf("1..%u\n", check_cases);
	return check_failed_cases != 0;
}

#define CASE(name) if (check_begin(name))
#define CHECK_FAILED(...)                                                                                              \
	(check_ok = false, printf("# %s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), (void)putchar('\n'))
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			CHECK_FAILED("%s", #cond);                                                                     \
	} while (0)
#define CHECK_INT(got, want)                                                                                           \
	do {                                                                                                           \
		long long g_ = (long long)(got), w_ = (long long)(want);                                               \
		if (g_ != w_)                                                                                          \
			CHECK_FAILED("%s is %lld, expected %lld", #got, g_, w_);                                       \
	} while (0)
#define CHECK_STR(got, want)                                                                                           \
	do {                                                                                                           \
		const char *g_ = (got), *w_ = (want);                                                                  \
		if (!g_ || strcmp(g_, w_) != 0)                                                                        \
			CHECK_FAILED("%s is \"%s\", expected \"%s\"", #got, g_ ? g_ : "NULL", w_);                     \
	} while (0)
/* R is a function's result; ERRNO the positive value expected, 0 for success. */
#define CHECK_ERR(r, errno_value) CHECK_INT(r, -(errno_value))

#endif
