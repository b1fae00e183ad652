// SPDX-License-Identifier: GPL-2.0
/*
 * heap-areas - chunk heaps of two CMA areas do not wait for each other
 *
 * A page of one area is pinned, so that a request for all of that area tries
 * hard, and fails after 100 ms or more. While one process makes such requests,
 * another one allocates single chunks from the heap of the other area, and must
 * get many of them in the same time. One that asks for a chunk of the same area
 * waits, but can be killed, and does not wait for long each time if the first
 * one asks again and again.
 *
 * test/run/heap-areas.sh boots the guest: it has two chunk heaps, and most of the
 * memory is CMA, so that pages of a process lie in an area.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/dma-heap.h>

#define MB		(1UL << 20)
#define NR_AREAS	2
#define NR_REQUESTS	5	/* that try hard */
#define MIN_RATIO	4	/* chunks of the other area, per such request */
#define NR_NEIGHBOUR	40	/* requests for a chunk of the same area */
#define FORGET		1200000	/* us after which the heap tries hard again */

static struct area {
	char *name;		/* in debugfs */
	char *heap;
	unsigned long chunk;
	uint64_t base_pfn, nr_pages;
	int fd;
} areas[NR_AREAS];

static uint64_t number(const char *area, const char *name)
{
	unsigned long long value;
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/cma/%s/%s", area, name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%llu", &value) != 1)
		err(1, "%s", path);
	fclose(f);
	return value;
}

/* The heaps are called AREA-chunked-SIZE. */
static void find_areas(void)
{
	glob_t g;

	if (glob("/dev/dma_heap/*-chunked-*", 0, NULL, &g) ||
	    g.gl_pathc != NR_AREAS)
		errx(1, "not %d chunk heaps", NR_AREAS);
	for (int i = 0; i < NR_AREAS; i++) {
		struct area *area = &areas[i];
		char *end;

		area->fd = open(g.gl_pathv[i], O_RDWR | O_CLOEXEC);
		if (area->fd < 0)
			err(1, "%s", g.gl_pathv[i]);
		area->heap = strrchr(g.gl_pathv[i], '/') + 1;
		area->name = strndup(area->heap, strstr(area->heap, "-chunked-") -
						 area->heap);
		if (!area->name)
			err(1, "strndup");
		if (!strcmp(area->name, "default_cma_region"))
			strcpy(area->name, "reserved");
		area->chunk = strtoul(strrchr(area->heap, '-') + 1, &end, 10);
		area->chunk *= *end == 'm' ? MB : 1024;
		area->base_pfn = number(area->name, "base_pfn");
		area->nr_pages = number(area->name, "count");
	}
}

/* Returns a buffer, or -1 and errno. */
static int allocate(const struct area *area, uint64_t size)
{
	struct dma_heap_allocation_data data = {
		.len = size, .fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(area->fd, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : (int)data.fd;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

/* Pins a page that lies in one of the areas, and returns which. */
static int pin_one(void)
{
	const size_t page_size = sysconf(_SC_PAGESIZE), size = 64 * MB;
	int pagemap = open("/proc/self/pagemap", O_RDONLY), pipes[2];
	char *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || pagemap < 0 || pipe(pipes))
		err(1, "memory to pin");
	for (size_t at = 0; at < size; at += page_size) {
		struct iovec iov = { p + at, page_size };
		uint64_t entry;

		p[at] = 1;
		if (pread(pagemap, &entry, sizeof(entry),
			  (uintptr_t)(p + at) / page_size * sizeof(entry)) !=
		    sizeof(entry))
			err(1, "pagemap");
		entry &= (1ULL << 55) - 1;
		for (int i = 0; i < NR_AREAS; i++) {
			if (entry < areas[i].base_pfn ||
			    entry >= areas[i].base_pfn + areas[i].nr_pages)
				continue;
			if (vmsplice(pipes[1], &iov, 1, 0) !=
			    (ssize_t)page_size)
				err(1, "vmsplice");
			return i;
		}
	}
	errx(1, "no page of %zu MB lies in an area", size / MB);
}

/* Allocate and release single chunks for ever, and count them. */
__attribute__((noreturn))
static void take_chunks(const struct area *area, volatile unsigned int *count)
{
	for (;;) {
		int fd = allocate(area, area->chunk);

		if (fd < 0)
			err(1, "%s", area->heap);
		close(fd);
		++*count;
		usleep(1000);
	}
}

/* All of the area, which fails. Returns how long that took, in ms. */
static double fail(const struct area *area)
{
	const uint64_t page_size = sysconf(_SC_PAGESIZE);
	double ms = now_ms();
	int fd = allocate(area, area->nr_pages * page_size);

	if (fd >= 0 || errno != ENOMEM)
		err(1, "%s: all of it", area->heap);
	return now_ms() - ms;
}

/* Kill a request that waits, and see if it ends before the one it waits for. */
static bool kill_waiter(const struct area *area, volatile unsigned int *step)
{
	pid_t first, waiter;
	bool ok;

	usleep(FORGET);
	*step = 0;
	first = fork();
	if (!first) {
		*step = 1;
		fail(area);
		*step = 2;
		_exit(0);
	}
	while (!*step)
		usleep(1000);
	usleep(20000);
	waiter = fork();
	if (!waiter) {
		close(allocate(area, area->chunk));
		_exit(0);
	}
	usleep(20000);
	ok = first > 0 && waiter > 0 && !waitpid(waiter, NULL, WNOHANG);
	kill(waiter, SIGKILL);
	waitpid(waiter, NULL, 0);
	ok &= *step == 1;
	waitpid(first, NULL, 0);
	return ok;
}

/* How long a chunk takes, on average, in ms. */
static double neighbour(const struct area *area)
{
	double ms = 0;

	for (int i = 0; i < NR_NEIGHBOUR; i++) {
		double begin = now_ms();
		int fd = allocate(area, area->chunk);

		if (fd < 0)
			err(1, "%s: a chunk", area->heap);
		ms += now_ms() - begin;
		close(fd);
		usleep(5000);
	}
	return ms / NR_NEIGHBOUR;
}

int main(void)
{
	const uint64_t page_size = sysconf(_SC_PAGESIZE);
	volatile unsigned int *count;
	unsigned int before, got;
	double ms = 0, alone, beside;
	bool ok = false;
	int busy;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..5\n");
	find_areas();

	/* Each heap takes the memory of its own area, in its own chunks. */
	for (int i = 0; i < NR_AREAS; i++) {
		struct area *other = &areas[!i];
		uint64_t used = number(areas[i].name, "used");
		uint64_t others = number(other->name, "used");
		int fd = allocate(&areas[i], 1);

		if (fd < 0 ||
		    number(areas[i].name, "used") - used !=
		    areas[i].chunk / page_size ||
		    number(other->name, "used") != others)
			printf("not ");
		printf("ok %d %s: one chunk, from its area\n", i + 1,
		       areas[i].heap);
		close(fd);
	}

	busy = pin_one();
	count = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (count == MAP_FAILED)
		err(1, "mmap");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		take_chunks(&areas[!busy], count);
	while (*count < 3 && !waitpid(pid, NULL, WNOHANG))
		usleep(1000);

	got = 0;
	for (int i = 0; i < NR_REQUESTS; i++) {
		usleep(FORGET);
		before = *count;
		ms += fail(&areas[busy]);
		got += *count - before;
	}
	ok = !kill(pid, 0) && !waitpid(pid, NULL, WNOHANG);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("# %d requests for all of %s, each of which fails, in %.0f ms; meanwhile %u chunks from %s\n",
	       NR_REQUESTS, areas[busy].heap, ms, got, areas[!busy].heap);
	printf("%sok 3 requests of one area do not wait for those of the other\n",
	       ok && ms >= 100 * NR_REQUESTS &&
	       got >= MIN_RATIO * NR_REQUESTS ? "" : "not ");
	ms /= NR_REQUESTS;

	ok = false;
	for (int i = 0; i < 5 && !ok; i++)
		ok = kill_waiter(&areas[busy], count);
	printf("%sok 4 a request that waits can be killed\n", ok ? "" : "not ");

	alone = neighbour(&areas[busy]);
	pid = fork();
	if (!pid)
		for (;;)
			fail(&areas[busy]);
	usleep(FORGET / 2);
	beside = neighbour(&areas[busy]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("# one chunk takes %.1f ms, beside requests that fail %.1f ms, and one of these %.0f ms if it tries hard\n",
	       alone, beside, ms);
	printf("%sok 5 a hopeless request does not try hard each time\n",
	       3 * beside < ms ? "" : "not ");
	return 0;
}
