// SPDX-License-Identifier: GPL-2.0
/*
 * Time 300 MB from the heaps as user space gets them: allocate, map, touch each
 * page, unmap, close. The results go to the kernel log, beside those of chunk-bench.ko:
 *
 * heap_bench: <heap> <what> <ns>
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-heap.h>

#define LENGTH	(4800UL * 64 * 1024)
#define ROUNDS	3

static int kmsg;

static unsigned long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void report(const char *heap, const char *what, unsigned long long ns)
{
	char line[300];
	int len;

	/* One write is one line; dprintf() wants a file that can seek. */
	len = snprintf(line, sizeof(line), "heap_bench: %s %s %llu\n", heap,
		       what, ns);
	if (write(kmsg, line, len) != len)
		err(1, "/dev/kmsg");
}

/* The first round pays for what is set up on first use, the last one counts. */
static void bench(const char *heap)
{
	unsigned long long alloc = 0, map = 0, touch = 0, unmap = 0;
	unsigned long long release = 0, t;
	const size_t page_size = sysconf(_SC_PAGESIZE);
	char path[300];

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", heap);
	for (int i = 0; i < ROUNDS; i++) {
		struct dma_heap_allocation_data data = {
			.len = LENGTH, .fd_flags = O_RDWR | O_CLOEXEC,
		};
		int fd = open(path, O_RDWR);
		volatile char *p;

		if (fd < 0)
			err(1, "%s", path);
		/* What the last round freed has settled by then. */
		usleep(50000);

		t = now();
		if (ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data))
			err(1, "%s: %lu bytes", path, LENGTH);
		alloc = now() - t;

		t = now();
		p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED,
			 data.fd, 0);
		if (p == MAP_FAILED)
			err(1, "%s: mmap", path);
		map = now() - t;

		t = now();
		for (size_t at = 0; at < LENGTH; at += page_size)
			p[at] = 1;
		touch = now() - t;

		t = now();
		if (munmap((void *)p, LENGTH))
			err(1, "%s: munmap", path);
		unmap = now() - t;

		t = now();
		close(data.fd);
		release = now() - t;
		close(fd);
	}
	report(heap, "alloc", alloc);
	report(heap, "mmap", map);
	report(heap, "touch", touch);
	report(heap, "munmap", unmap);
	report(heap, "release", release);
}

int main(void)
{
	DIR *dir = opendir("/dev/dma_heap");
	struct dirent *entry;
	int heaps = 0;

	kmsg = open("/dev/kmsg", O_WRONLY);
	if (!dir || kmsg < 0)
		err(1, "no heaps, or no log");
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		bench(entry->d_name);
		heaps++;
	}
	if (!heaps)
		errx(1, "no heaps");
	printf("KTAP version 1\n1..1\nok 1 %d heaps\n", heaps);
	return 0;
}
