/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the run: what goes before its end, and patterns that several threads use. */
#include <pthread.h>

#include "base/file.h"
#include "base/util.h"
#include "check.h"
#include "status/report.h"

enum { BIG = 1024 * 1024, THREADS = 8, ROUNDS = 50 };

static const char report_text[] =
	"{\"apiVersion\":\"pibuild/v1\",\"kind\":\"Status\",\"cluster\":\"lab\",\"node\":\"cp-1\",\"role\":\"worker\","
	"\"state\":\"done\",\"time\":\"2026-11-25T16:00:00Z\",\"steps\":[{\"name\":\"join\",\"title\":\"t\",\"state\":\"done\","
	"\"cause\":\"\",\"cure\":\"\",\"attempts\":1,\"since\":\"\",\"unit\":\"u\"}]}";

static void *read_reports(void *arg)
{
	bool *good = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct report r = { 0 };
		struct err e = { 0 };

		*good = report_parse(report_text, strlen(report_text), "test", &r, &e) == 0 && *good;
		report_done(&r);
	}
	return NULL;
}

int main(void)
{
	CASE("what came after a mark goes, what was before stays, and memory is zeroed again")
	{
		char *before = arena_strdup("before"), *small, *again;
		struct arena_mark m = arena_mark();

		small = arena_strdup("a secret");
		memset(arena_alloc(BIG), 'x', BIG);
		arena_release(m);
		CHECK(streq(before, "before"));
		again = arena_alloc(sizeof("a secret"));
		CHECK(again == small && !*again);
		again = arena_alloc(BIG);
		CHECK(is_zero(again, BIG));
	}
	CASE("a mark before all else is the beginning")
	{
		arena_done();
		struct arena_mark m = arena_mark();

		arena_strdup("first");
		arena_release(m);
		CHECK(!arena_mark().chunk);
	}
	CASE("reports are read by several threads at the same time")
	{
		pthread_t threads[THREADS];
		bool good[THREADS];

		for (size_t i = 0; i < THREADS; i++) {
			good[i] = true;
			CHECK(pthread_create(&threads[i], NULL, read_reports, &good[i]) == 0);
		}
		for (size_t i = 0; i < THREADS; i++) {
			pthread_join(threads[i], NULL);
			CHECK(good[i]);
		}
	}
	arena_done();
	return check_done();
}
