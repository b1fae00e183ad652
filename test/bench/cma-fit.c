// SPDX-License-Identifier: GPL-2.0
/*
 * cma-fit mixed|pinned - how well cma_alloc() places what it allocates
 *
 * The buffers are those of the CMA heap: one cma_alloc() each, aligned to their
 * size as the DMA API aligns them. So this runs on any kernel, with the series
 * and without it. All that is random depends on a fixed seed and on the number
 * of the step only: each kernel gets the same requests at the same time.
 *
 *  mixed	100,000 steps of a millisecond at three fill levels. Each asks
 *		for a buffer of 1 to 512 pages, most of them small, and releases
 *		those whose time is over: most are short-lived, some live for
 *		many seconds. Movable pages of this program fill what is free
 *		outside of the area and some of the area itself; a part of them
 *		is always being replaced. At any time up to 50 of those in the
 *		area are pinned, each for 1 ms to 10 s. Prints for each fill
 *		level how many requests failed, and the largest free range of
 *		the area, which is sampled every 100 steps.
 *  pinned	50 pages in the area, at random places, stay pinned. Prints how
 *		long it takes to allocate 2400 buffers of 64 KB without the pins
 *		and with them.
 *
 * test/bench/cma-fit.sh runs both on both kernels, and compares.
 */
#define _GNU_SOURCE
#include <err.h>
#include <sys/klog.h>
#include <sys/resource.h>

#include "util.h"

#define MB		SZ_1M
#define PAGE		SZ_4K
#define SEED		20210121ULL

#define NR_STEPS	100000U
#define MAX_LIVE	8192U
#define MAX_PAGES	512
#define NR_PINS		50U
#define SAMPLE		100		/* steps */
#define RENEW		8		/* steps */
#define RENEW_PAGES	64UL

/* In the mode "pinned" */
#define NR_BUFFERS	2400U
#define BUFFER_PAGES	16

/* What stays free outside of the area when the movable pages are there */
#define RESERVE		(24 * MB)

static const struct level {
	unsigned int percent;		/* of the area, more or less */
	unsigned int long_life;		/* steps, on average */
} levels[] = {
	{ 50, 7000 }, { 70, 10000 }, { 85, 12300 },
};

#define NR_LEVELS	ARRAY_SIZE(levels)

static int heap;
static unsigned long area_start, area_pages;
static struct heap_list areas;

/* From @min to @max: a number twice as large is three quarters as likely. */
static unsigned int log_rnd(uint64_t *state, unsigned int min, unsigned int max)
{
	unsigned int limit = min;

	while (limit * 2 <= max && rnd(state) % 100 < 75)
		limit *= 2;
	return limit + rnd(state) % (limit * 2 > max ? max - limit + 1 : limit);
}

/* In seconds */
static double now(void)
{
	return now_ms() / 1e3;
}

static void find_area(void)
{
	if (cma_find(&areas) != 1)
		errx(1, "not one CMA area");
	area_start = cma_number(areas.name[0], "base_pfn");
	area_pages = cma_number(areas.name[0], "count");
	/* The CMA heap has the name of the area. */
	heap = heap_open(areas.name[0]);
	if (heap < 0)
		err(1, "%s", areas.name[0]);
}

/* --- movable pages, and pins --------------------------------------------- */

static char *memory;
static unsigned long nr_pages;

/* All of it but what is to stay free outside of the area */
static void fill_memory(void)
{
	const unsigned long size = meminfo("MemFree:") - meminfo("CmaFree:") -
				   RESERVE;

	nr_pages = size / PAGE;
	memory = map_new(MAP_PRIVATE | MAP_POPULATE, size);
}

static bool in_area(unsigned long page)
{
	return pfn_of(memory + page * PAGE) - area_start < area_pages;
}

static unsigned long count_in_area(void)
{
	unsigned long nr = 0;

	for (unsigned long i = 0; i < nr_pages; i++)
		nr += in_area(i);
	return nr;
}

static struct pin {
	int pipe[2];
	unsigned int next;		/* step to pin or to unpin at */
	unsigned long page;
	bool pinned;
	uint64_t random;
} pins[NR_PINS];
static unsigned long nr_pinned;

/* A reference by get_user_pages_fast(), until the pipe is read. */
static void pin_page(struct pin *p, unsigned long page)
{
	if (!pin(p->pipe[1], memory + page * PAGE, PAGE))
		err(1, "vmsplice");
	p->page = page;
	p->pinned = true;
	nr_pinned++;
}

static void unpin(struct pin *p)
{
	char buf[PAGE];

	if (read(p->pipe[0], buf, PAGE) != PAGE)
		err(1, "pipe");
	p->pinned = false;
}

static void init_pins(void)
{
	for (unsigned int i = 0; i < NR_PINS; i++) {
		if (pipe2(pins[i].pipe, O_CLOEXEC))
			err(1, "pipe2");
		pins[i].random = SEED * (i + 2);
	}
}

/* The times do not depend on whether a page was found. */
static void update_pin(struct pin *p, unsigned int step)
{
	bool found = false;

	if (step < p->next)
		return;
	if (p->pinned) {
		unpin(p);
		p->next = step + rnd(&p->random) % 100;
		return;
	}
	for (int i = 0; i < 16; i++) {
		unsigned long page = rnd(&p->random) % nr_pages;

		if (!found && in_area(page)) {
			pin_page(p, page);
			found = true;
		}
	}
	p->next = step + log_rnd(&p->random, 1, 10000);
}

/* Old pages go, new ones come, as files are read and programs started. */
static void renew_pages(uint64_t *random)
{
	unsigned long first = rnd(random) % (nr_pages - RENEW_PAGES);
	char *p = memory + first * PAGE;

	madvise(p, RENEW_PAGES * PAGE, MADV_DONTNEED);
	for (unsigned long i = 0; i < RENEW_PAGES; i++)
		p[i * PAGE] = 1;
}

/* --- mixed --------------------------------------------------------------- */

static struct buffer {
	unsigned int end;		/* step to release it at */
	unsigned int pages;
	int fd;
} live[MAX_LIVE];
static unsigned int nr_live;

static unsigned int buffer_size(uint64_t *random)
{
	unsigned int kind = rnd(random) % 10;

	if (kind < 6)
		return 1 + rnd(random) % 16;
	if (kind < 9)
		return 17 + rnd(random) % 112;
	return 129 + rnd(random) % (MAX_PAGES - 128);
}

/* In steps: nine of ten are short-lived. */
static unsigned int buffer_life(uint64_t *random, unsigned int long_life)
{
	if (rnd(random) % 10)
		return 1 + rnd(random) % 100;
	return 1 + rnd(random) % (2 * long_life);
}

/* Release what is due. Returns how many pages are left. */
static unsigned long release_buffers(unsigned int step)
{
	unsigned int keep = 0;
	unsigned long used = 0;

	for (unsigned int i = 0; i < nr_live; i++) {
		if (live[i].end <= step) {
			close(live[i].fd);
			continue;
		}
		used += live[i].pages;
		live[keep++] = live[i];
	}
	nr_live = keep;
	return used;
}

static void wait_until(double t)
{
	struct timespec ts = { .tv_sec = t };

	ts.tv_nsec = (t - ts.tv_sec) * 1e9;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void mixed(void)
{
	uint64_t requests = SEED, pages = SEED + 1;
	unsigned int step = 0;
	double start;

	fill_memory();
	ksft_print_msg("cma_fit: %lu MB movable, %lu MB of them in the area, %lld MB free, %lld MB of that in the area\n",
	       nr_pages * PAGE / MB, count_in_area() * PAGE / MB,
	       meminfo("MemFree:") >> 20, meminfo("CmaFree:") >> 20);
	init_pins();
	start = now();
	for (unsigned int l = 0; l < NR_LEVELS; l++) {
		unsigned int end = NR_STEPS * (l + 1) / NR_LEVELS;
		unsigned int asked = 0, failed = 0, samples = 0;
		unsigned long used, used_sum = 0, largest_sum = 0;
		double busy = 0;

		for (; step < end; step++) {
			unsigned int size = buffer_size(&requests), life;
			double t;
			int fd;

			wait_until(start + step / 1e3);
			used = release_buffers(step);
			for (unsigned int i = 0; i < NR_PINS; i++)
				update_pin(&pins[i], step);
			if (step % RENEW == 0)
				renew_pages(&pages);

			life = buffer_life(&requests, levels[l].long_life);
			t = now();
			fd = nr_live < MAX_LIVE ? heap_alloc(heap, size * PAGE) : -1;
			busy += now() - t;
			asked++;
			failed += fd < 0;
			if (fd >= 0)
				live[nr_live++] = (struct buffer) {
					step + life, size, fd
				};
			if (step % SAMPLE)
				continue;
			largest_sum += cma_number(areas.name[0], "maxchunk");
			used_sum += used;
			samples++;
		}
		ksft_print_msg("cma_fit: mixed-%u asked %u failed %u used-percent %lu largest-mean %lu alloc-ms %.0f\n",
			       levels[l].percent, asked, failed,
			       used_sum / samples * 100 / area_pages,
			       largest_sum / samples, busy * 1e3);
	}
}

/* --- pinned -------------------------------------------------------------- */

static void loop(const char *what)
{
	unsigned int got = 0;
	double ms = now();

	while (got < NR_BUFFERS) {
		int fd = heap_alloc(heap, BUFFER_PAGES * PAGE);

		if (fd < 0)
			break;
		live[got++].fd = fd;
	}
	ms = (now() - ms) * 1e3;
	ksft_print_msg("cma_fit: %s asked %u failed %u alloc-ms %.0f\n", what, NR_BUFFERS,
	       NR_BUFFERS - got, ms);
	while (got)
		close(live[--got].fd);
}

static void pinned(void)
{
	unsigned long first = 0, inside;
	uint64_t random = SEED;

	loop("idle");
	fill_memory();
	init_pins();
	/* Each of the pages in the area as likely as the next one */
	inside = count_in_area();
	for (unsigned long i = 0; i < nr_pages && nr_pinned < NR_PINS; i++) {
		if (!in_area(i) || rnd(&random) % inside-- >=
				   NR_PINS - nr_pinned)
			continue;
		pin_page(&pins[nr_pinned], i);
		madvise(memory + first * PAGE, (i - first) * PAGE,
			MADV_DONTNEED);
		first = i + 1;
	}
	madvise(memory + first * PAGE, (nr_pages - first) * PAGE,
		MADV_DONTNEED);
	ksft_print_msg("cma_fit: %lu pages in the area are pinned\n", nr_pinned);
	loop("pinned");
}

/* cma_alloc() logs the bitmap with each failure: not to the console. */
static void quiet(bool on)
{
	if (write_file("/sys/module/printk/parameters/ignore_loglevel",
		       on ? "N" : "Y") || klogctl(8, NULL, on ? 6 : 8) < 0)
		err(1, "console");
}

int main(int argc, char *argv[])
{
	const struct rlimit limit = { MAX_LIVE * 2, MAX_LIVE * 2 };
	const char *mode = argc == 2 ? argv[1] : "";

	ksft_print_header();
	ksft_set_plan(1);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		err(1, "setrlimit");
	find_area();
	quiet(true);
	if (!strcmp(mode, "mixed"))
		mixed();
	else if (!strcmp(mode, "pinned"))
		pinned();
	else
		errx(2, "usage: cma-fit mixed|pinned");
	quiet(false);
	ksft_test_result_pass("%s\n", mode);
	ksft_finished();
}
