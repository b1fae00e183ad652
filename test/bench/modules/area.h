/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is laid over a part of memory to be a CMA area of its own, and its
 * chunks: in v6.12, and in mainline, where an area has several ranges, and a
 * chunk no reference.
 */
#ifndef AREA_H
#define AREA_H

#include <linux/bitmap.h>
#include <linux/version.h>

#include "cma.h"	/* mm/cma.h */

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define area_range(cma)	(cma)
#define area_mutex(cma, cma_mutex)	((struct mutex *)(cma_mutex))
#define EFFORT_FAST	ALLOC_CONTIG_FAST
#define EFFORT_NORMAL	ALLOC_CONTIG_NORMAL
#define EFFORT_HARD	ALLOC_CONTIG_HARD
#define CONTIG(effort)	MIGRATE_CMA, effort
#define alloc_bulk	cma_alloc_bulk
#define PREEMPT_USUAL	"none"

/* How many pages the area says that it has free. */
static inline void area_count(struct cma *cma, long nr_pages)
{
}

static inline void release_bulk(struct cma *cma, unsigned int order, size_t nr,
				struct page **chunks)
{
	for (size_t i = 0; i < nr; i++)
		cma_release(cma, chunks[i], 1UL << order);
}
#else
#define area_range(cma)	(&(cma)->ranges[0])
#define area_mutex(cma, cma_mutex)	(&(cma)->alloc_mutex)
#define EFFORT_FAST	ACR_FLAGS_FAST
#define EFFORT_NORMAL	ACR_FLAGS_NONE
#define EFFORT_HARD	ACR_FLAGS_HARD
#define CONTIG(effort)	(ACR_FLAGS_CMA | (effort))
#define alloc_bulk	cma_alloc_frozen_bulk
#define release_bulk	cma_release_frozen_bulk
#define PREEMPT_USUAL	"lazy"

static inline void area_count(struct cma *cma, long nr_pages)
{
	cma->available_count += nr_pages;
}
#endif

/* Lay an area over @nr_pages. */
static inline int area_init(struct cma *cma, unsigned long base_pfn,
			    unsigned long nr_pages)
{
	memset(cma, 0, sizeof(*cma));
	cma->count = nr_pages;
	spin_lock_init(&cma->lock);
	strscpy(cma->name, "bench", sizeof(cma->name));
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	cma->available_count = nr_pages;
	mutex_init(&cma->alloc_mutex);
	cma->nranges = 1;
	cma->nid = NUMA_NO_NODE;
	__set_bit(CMA_ZONES_VALID, &cma->flags);
	__set_bit(CMA_ACTIVATED, &cma->flags);
#endif
	area_range(cma)->base_pfn = base_pfn;
	area_range(cma)->count = nr_pages;
	area_range(cma)->bitmap = bitmap_zalloc(nr_pages, GFP_KERNEL);
	return area_range(cma)->bitmap ? 0 : -ENOMEM;
}

static inline void area_exit(struct cma *cma)
{
	WARN_ON(!bitmap_empty(area_range(cma)->bitmap, cma->count));
	bitmap_free(area_range(cma)->bitmap);
}

#endif
