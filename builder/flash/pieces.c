/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in pieces: which of them an image writes, and the zeros behind it. */
#include "flash/internal.h"

struct cut {
	VEC(struct piece) v;
};

/* No piece crosses a multiple of PIECE. */
static void cut(struct cut *c, uint64_t start, uint64_t end, bool tail)
{
	while (start < end) {
		uint64_t stop = tail ? end : MIN(end, (start / PIECE + 1) * PIECE);

		*vec_push(&c->v) = (struct piece){ .offset = start, .n = (uint32_t)(stop - start), .tail = tail };
		start = stop;
	}
}

void pieces_cut(const struct ranges *ranges, uint64_t image, uint64_t disk, struct pieces *ret)
{
	uint64_t last = disk > PIECE ? (disk - PIECE + COW_BLOCK - 1) / COW_BLOCK * COW_BLOCK : disk;
	uint64_t behind = (image + COW_BLOCK - 1) / COW_BLOCK * COW_BLOCK;
	struct cut c = { 0 };

	vec_foreach (r, &ranges->v)
		cut(&c, r->start, r->end, false);
	cut(&c, MAX(last, behind), disk, true);
	*ret = (struct pieces){ c.v.v, c.v.n };
}

uint64_t pieces_wanted(const struct pieces *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n; i++)
		sum += p->v[i].wanted ? p->v[i].n : 0;
	return sum;
}

void pieces_want_all(struct pieces *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->v[i].wanted = true;
}
