/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/unfinished.h"

#include "base/util.h"

static const char begin[] = "pibuild: unfinished card of ", end[] = "; flash it again\n";

void unfinished_write(const char *name, char buf[UNFINISHED_MAX])
{
	int room = UNFINISHED_MAX - (int)(sizeof(begin) + sizeof(end));

	memset(buf, 0, UNFINISHED_MAX);
	snprintf(buf, UNFINISHED_MAX, "%s%.*s%s", begin, room, name, end);
}

bool unfinished_read(const char buf[UNFINISHED_MAX], char name[UNFINISHED_MAX])
{
	const char *stop;

	if (memcmp(buf, begin, sizeof(begin) - 1) != 0)
		return false;
	stop = memmem(buf, UNFINISHED_MAX, end, sizeof(end) - 1);
	if (!stop)
		return false;
	snprintf(name, UNFINISHED_MAX, "%.*s", (int)(stop - buf - (sizeof(begin) - 1)), buf + sizeof(begin) - 1);
	return true;
}
