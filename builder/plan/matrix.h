/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan as the jobs of a CI engine. A job builds a batch of nodes that share one layer, so that no runner makes two;
 * every node is in one batch. The engines' limits are in matrix.c.
 *
 * github: one line of JSON for `strategy.matrix: ${{ fromJSON(...) }}`, {"include": [{name, node, role, board, image,
 * args, layer, cacheKey}, ...]}. node, board, image and args have a word for each node, in the same order; args is
 * "--node A --node B". Node names are DNS labels: no word needs quotes. A generic image stands there by its role, with
 * "--generic --role R".
 *
 * gitlab: a child pipeline in YAML with one job, `parallel: matrix` over PIBUILD_NODES="A B". It extends a job that a
 * file included beside it has to define; PIBUILD_CACHE_KEY is a variable of the pipeline.
 */
#ifndef PLAN_MATRIX_H
#define PLAN_MATRIX_H

#include "plan/plan.h"

/* Writes to stdout. SIZE: nodes per job, 0 = as few as the engine's limits allow. Class USAGE for an unknown engine and
 * for more jobs than it takes. */
int matrix_print(const struct plan *p, const char *engine, size_t size, struct err *e);

#endif
