/* SPDX-License-Identifier: Apache-2.0 */
#include "base/growing.h"

#include <errno.h>

void growing_init(struct growing *g)
{
	*g = (struct growing){ .fd = -1 };
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
}

void growing_open(struct growing *g, int fd, uint64_t n)
{
	pthread_mutex_lock(&g->lock);
	g->fd = fd;
	pthread_mutex_unlock(&g->lock);
	if (fd < 0)
		growing_end(g, false);
	else
		growing_to(g, n);
}

void growing_to(struct growing *g, uint64_t n)
{
	pthread_mutex_lock(&g->lock);
	g->n = n;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

void growing_end(struct growing *g, bool whole)
{
	pthread_mutex_lock(&g->lock);
	g->broken |= !g->ended && (!whole || g->fd < 0);
	g->ended = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

int growing_wait(struct growing *g, uint64_t at)
{
	int r;

	pthread_mutex_lock(&g->lock);
	while (!g->ended && g->n <= at)
		pthread_cond_wait(&g->changed, &g->lock);
	r = g->broken ? -ESTALE : g->n > at;
	pthread_mutex_unlock(&g->lock);
	return r;
}

void growing_done(struct growing *g)
{
	closep(&g->fd);
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
}
