/* SPDX-License-Identifier: GPL-2.0 */
/* All heaps, open: for heap-abuse and heap-stress. */
#ifndef HEAPS_H
#define HEAPS_H

#include "util.h"

static struct heap_list heaps;
static int heap_fd[MAX_HEAPS];
static size_t heap_chunk[MAX_HEAPS];	/* 0 for what is no chunk heap */

static void open_heaps(void)
{
	int chunk_heaps = 0;

	heap_find(&heaps);
	for (int i = 0; i < heaps.nr; i++) {
		heap_chunk[i] = heap_chunk_size(heaps.name[i]);
		chunk_heaps += heap_chunk[i] != 0;
		heap_fd[i] = heap_open(heaps.name[i]);
		if (heap_fd[i] < 0)
			ksft_exit_fail_msg("%s: %s\n", heaps.name[i],
					   strerror(errno));
	}
	if (!chunk_heaps)
		ksft_exit_fail_msg("no chunk heap\n");
}

#endif
