/* SPDX-License-Identifier: Apache-2.0 */
/* Workers beside whoever fills their buffers: all is worked off, and which failure is told is no matter of luck. */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/pool.h"
#include "check.h"

enum { ITEMS = 50, EARLY = 1, LATE = 2 };

struct work_list {
	bool fails; /* EARLY, but after LATE */
	atomic_uint done;
	atomic_bool late_failed;
};

static int work_on(void *arg, char *buf, const struct pool_item *item, struct err *e)
{
	struct work_list *w = arg;

	w->done++;
	if (!w->fails || item->offset > LATE || item->offset < EARLY)
		return 0;
	if (item->offset == LATE) {
		w->late_failed = true;
		return err_set(e, -EIO, "late");
	}
	while (!w->late_failed)
		usleep(1000);
	usleep(20 * 1000); /* until that has arrived */
	return err_set(e, -EBADMSG, "early");
}

static int run_pool(struct work_list *w, struct err *e)
{
	const struct pool_kind kind = { .workers = 3, .slots = 6, .size = 4096, .work = work_on };
	struct worker_pool *p;
	int r = pool_start(&p, &kind, w, e);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < ITEMS && pool_take(p); i++)
		pool_give(p, (struct pool_item){ .offset = i });
	return pool_finish(p, e);
}

int main(void)
{
	struct err e = { 0 };

	CASE("all that was given is worked off")
	{
		struct work_list w = { .fails = false };

		CHECK_ERR(run_pool(&w, &e), 0);
		CHECK_INT(w.done, ITEMS);
	}
	CASE("of two failures the one of the item that was given first is told")
	{
		struct work_list w = { .fails = true };

		CHECK_ERR(run_pool(&w, &e), EBADMSG);
		CHECK_STR(e.msg, "early");
	}
	return check_done();
}
