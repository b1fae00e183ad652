/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long a task keeps its CPU to itself, and others from a mutex: for
 * chunk-bench.ko, see latency.c.
 */
#ifndef _LATENCY_H
#define _LATENCY_H

#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/types.h>

/* The first @nr are kept, the longest in any case. */
#define MAX_SAMPLES	32768

struct samples {
	u64 ns[MAX_SAMPLES];
	size_t nr;
	u64 longest;
	char where[96];
};

enum {
	ALLOC_IRQS_OFF,
	ALLOC_PREEMPTION_OFF,
	RELEASE_IRQS_OFF,
	RELEASE_PREEMPTION_OFF,
	MUTEX_HELD,
	NR_LATENCIES
};

extern struct samples latencies[NR_LATENCIES];
extern bool latency_releasing;	/* and not allocating */

void samples_add(struct samples *s, u64 ns);
void samples_reset(struct samples *s);

void latency_init(void);
int latency_start(const struct mutex *mutex);
void latency_mutex_is_free(void);
void latency_stop(void);

#endif
