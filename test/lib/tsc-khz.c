// SPDX-License-Identifier: GPL-2.0
/*
 * tsc-khz - how fast the time stamp counter of this machine counts, in kHz
 *
 * TCG gives it to x86 guests as it is. On a busy machine, what a guest finds out
 * about it at boot may be wrong by a factor of twenty, and so is its clock.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <x86intrin.h>

struct sample {
	uint64_t ns, tsc, took;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Of some, the one with the least in between of the two clocks. */
static struct sample sample(void)
{
	struct sample best = { .took = UINT64_MAX };

	for (int i = 0; i < 100; i++) {
		struct sample s;

		s.ns = now();
		s.tsc = __rdtsc();
		s.took = now() - s.ns;
		if (s.took < best.took)
			best = s;
	}
	return best;
}

int main(void)
{
	const struct sample begin = sample();
	struct sample end;

	usleep(200000);
	end = sample();
	printf("%llu\n", (unsigned long long)(end.tsc - begin.tsc) * 1000000 /
			 (end.ns - begin.ns));
	return 0;
}
