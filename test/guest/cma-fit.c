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
 * test/run/cma-fit.sh runs both on both kernels, and compares.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <linux/dma-heap.h>

#define MB		(1UL << 20)
#define PAGE		4096UL
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

#define NR_LEVELS	(sizeof(levels) / sizeof(*levels))

static int heap;
static unsigned long area_start, area_pages;
static char maxchunk[300];

static uint64_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL >> 16;
}

/* From @min to @max: a number twice as large is three quarters as likely. */
static unsigned int log_rnd(uint64_t *state, unsigned int min, unsigned int max)
{
	unsigned int limit = min;

	while (limit * 2 <= max && rnd(state) % 100 < 75)
		limit *= 2;
	return limit + rnd(state) % (limit * 2 > max ? max - limit + 1 : limit);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static unsigned long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	unsigned long n;

	if (!f || fscanf(f, "%lu", &n) != 1)
		err(1, "%s", path);
	fclose(f);
	return n;
}

static unsigned long meminfo(const char *field)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long kb = 0;
	char line[200];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kb = atol(line + strlen(field));
	if (!kb)
		errx(1, "no %s", field);
	fclose(f);
	return kb << 10;
}

static void find_area(void)
{
	char path[300];
	glob_t g;

	if (glob("/sys/kernel/debug/cma/*", 0, NULL, &g) || g.gl_pathc != 1)
		errx(1, "not one CMA area");
	snprintf(path, sizeof(path), "%s/base_pfn", g.gl_pathv[0]);
	area_start = read_number(path);
	snprintf(path, sizeof(path), "%s/count", g.gl_pathv[0]);
	area_pages = read_number(path);
	snprintf(maxchunk, sizeof(maxchunk), "%s/maxchunk", g.gl_pathv[0]);
	/* The CMA heap has the name of the area. */
	snprintf(path, sizeof(path), "/dev/dma_heap/%s",
		 strrchr(g.gl_pathv[0], '/') + 1);
	heap = open(path, O_RDWR | O_CLOEXEC);
	if (heap < 0)
		err(1, "%s", path);
	globfree(&g);
}

/* Returns a buffer, or -1. */
static int allocate(unsigned long pages)
{
	struct dma_heap_allocation_data data = {
		.len = pages * PAGE, .fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : (int)data.fd;
}

/* --- movable pages, and pins --------------------------------------------- */

static char *memory;
static unsigned long nr_pages;
static int pagemap;

static void fill_memory(unsigned long size)
{
	nr_pages = size / PAGE;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (memory == MAP_FAILED || pagemap < 0)
		err(1, "memory");
}

static bool in_area(unsigned long page)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry),
		  ((uintptr_t)memory / PAGE + page) * sizeof(entry)) !=
	    sizeof(entry))
		err(1, "pagemap");
	return entry >> 63 &&
	       (entry & ((1ULL << 55) - 1)) - area_start < area_pages;
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
static void pin(struct pin *p, unsigned long page)
{
	struct iovec iov = {
		.iov_base = memory + page * PAGE, .iov_len = PAGE,
	};

	if (vmsplice(p->pipe[1], &iov, 1, 0) != PAGE)
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
			pin(p, page);
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
	double start, began = now();

	fill_memory(meminfo("MemFree:") - meminfo("CmaFree:") - RESERVE);
	printf("# cma_fit: %lu MB movable, %lu MB of them in the area, %lu MB free, %lu MB of that in the area\n",
	       nr_pages * PAGE / MB, count_in_area() * PAGE / MB,
	       meminfo("MemFree:") / MB, meminfo("CmaFree:") / MB);
	init_pins();
	start = now();
	for (unsigned int l = 0; l < NR_LEVELS; l++) {
		unsigned int end = NR_STEPS * (l + 1) / NR_LEVELS;
		unsigned long asked = 0, failed = 0, failed_pages = 0;
		unsigned long largest, used, used_sum = 0;
		unsigned long pinned_before = nr_pinned;
		unsigned long min = ~0UL, sum = 0, samples = 0;
		double busy = 0, level_start = now();

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

			life = buffer_life(&requests,
					   levels[l].long_life);
			t = now();
			fd = nr_live < MAX_LIVE ? allocate(size) : -1;
			busy += now() - t;
			asked++;
			if (fd < 0) {
				failed++;
				failed_pages += size;
			} else {
				live[nr_live++] = (struct buffer) {
					step + life, size, fd
				};
			}
			if (step % SAMPLE)
				continue;
			largest = read_number(maxchunk);
			sum += largest;
			used_sum += used;
			samples++;
			if (largest < min)
				min = largest;
		}
		printf("# cma_fit: mixed-%u asked %lu failed %lu failed-pages %lu used-percent %lu pins %lu largest-min %lu largest-mean %lu alloc-ms %.0f level-ms %.0f\n",
		       levels[l].percent, asked, failed, failed_pages,
		       used_sum / samples * 100 / area_pages,
		       nr_pinned - pinned_before, min, sum / samples,
		       busy * 1e3, (now() - level_start) * 1e3);
	}
	printf("# cma_fit: mixed-total %.0f ms\n", (now() - began) * 1e3);
}

/* --- pinned -------------------------------------------------------------- */

static void loop(const char *what)
{
	unsigned int got = 0;
	double ms = now();

	while (got < NR_BUFFERS) {
		int fd = allocate(BUFFER_PAGES);

		if (fd < 0)
			break;
		live[got++].fd = fd;
	}
	ms = (now() - ms) * 1e3;
	printf("# cma_fit: %s asked %u failed %u alloc-ms %.0f\n", what, NR_BUFFERS,
	       NR_BUFFERS - got, ms);
	while (got)
		close(live[--got].fd);
}

static void pinned(void)
{
	unsigned long first = 0, inside = 0;
	uint64_t random = SEED;

	loop("idle");
	fill_memory(meminfo("MemFree:") - meminfo("CmaFree:") - RESERVE);
	init_pins();
	/* Each of the pages in the area as likely as the next one */
	for (unsigned long i = 0; i < nr_pages; i++)
		inside += in_area(i);
	for (unsigned long i = 0; i < nr_pages && nr_pinned < NR_PINS; i++) {
		if (!in_area(i) || rnd(&random) % inside-- >=
				   NR_PINS - nr_pinned)
			continue;
		pin(&pins[nr_pinned], i);
		madvise(memory + first * PAGE, (i - first) * PAGE,
			MADV_DONTNEED);
		first = i + 1;
	}
	madvise(memory + first * PAGE, (nr_pages - first) * PAGE,
		MADV_DONTNEED);
	printf("# cma_fit: %lu pages in the area are pinned\n", nr_pinned);
	loop("pinned");
}

/* cma_alloc() logs the bitmap with each failure: not to the console. */
static void quiet(bool on)
{
	static const char path[] = "/sys/module/printk/parameters/ignore_loglevel";
	FILE *f = fopen(path, "w");

	if (!f || fputs(on ? "N" : "Y", f) < 0 || fclose(f) ||
	    klogctl(8, NULL, on ? 6 : 8) < 0)
		err(1, "console");
}

int main(int argc, char *argv[])
{
	const struct rlimit limit = { MAX_LIVE * 2, MAX_LIVE * 2 };
	const char *mode = argc == 2 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
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
	printf("TAP version 13\n1..1\nok 1 %s\n", mode);
	return 0;
}
