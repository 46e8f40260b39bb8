/* SPDX-License-Identifier: Apache-2.0 */
/* What settings of a node leave of its RAM: mem=, total_mem=, huge pages, the GPU's share. */
#ifndef BOARD_MEMORY_H
#define BOARD_MEMORY_H

#include "board/board.h"

struct memory_setting {
	const char *key;  /* "boot.cmdline[0]" */
	const char *text; /* "mem=512M" */
	uint64_t left;	  /* of MEMORY, with this setting alone */
	bool by_gpu;	  /* whose share pibuild's boards have a little of anyway */
};
struct memory_settings {
	VEC(struct memory_setting) list;
};
/* Those of NODE, whose place in the file is KEY ("nodes[0]"), on BOARD with MEMORY bytes. */
struct memory_settings board_memory_settings(const struct config *c, const struct node_config *node, const char *key,
					     const struct board *board, uint64_t memory);

#endif
