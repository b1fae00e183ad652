// SPDX-License-Identifier: GPL-2.0
/*
 * tsc-khz - how fast the time stamp counter of this machine counts, in kHz
 *
 * TCG gives it to x86 guests as it is. On a busy machine, what a guest finds out
 * about it at boot may be wrong by a factor of twenty, and so is its clock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <x86intrin.h>

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Both clocks: of some readings, the one with the least in between. */
static void read_clocks(uint64_t *ns, uint64_t *tsc)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 100; i++) {
		const uint64_t begin = now(), counter = __rdtsc();
		const uint64_t took = now() - begin;

		if (took >= least)
			continue;
		least = took;
		*ns = begin;
		*tsc = counter;
	}
}

int main(void)
{
	uint64_t ns[2], tsc[2];

	read_clocks(&ns[0], &tsc[0]);
	usleep(200000);
	read_clocks(&ns[1], &tsc[1]);
	printf("%" PRIu64 "\n", (tsc[1] - tsc[0]) * 1000000 / (ns[1] - ns[0]));
	return 0;
}
