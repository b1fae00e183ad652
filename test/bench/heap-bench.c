// SPDX-License-Identifier: GPL-2.0
/*
 * Time 300 MB from the heaps as user space gets them: allocate, map, touch each
 * page, unmap, close. The results go to the kernel log, beside those of
 * chunk-bench.ko. docs/bench.md builds this without the kernel's source.
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

/*
 * The shortest of the rounds counts: the first pays for what is set up on first
 * use, and something else may run in one of them. In each run of one build, that
 * took 1.7 ms.
 */
static void bench(const char *heap)
{
	static const char * const what[] = {
		"alloc", "mmap", "touch", "munmap", "release"
	};
	const size_t page_size = sysconf(_SC_PAGESIZE);
	unsigned long long t[6], shortest[5];
	char text[300];
	int len;

	snprintf(text, sizeof(text), "/dev/dma_heap/%s", heap);
	for (int i = 0; i < ROUNDS; i++) {
		struct dma_heap_allocation_data data = {
			.len = LENGTH, .fd_flags = O_RDWR | O_CLOEXEC,
		};
		int fd = open(text, O_RDWR);
		volatile char *p;

		if (fd < 0)
			err(1, "%s", text);
		/* What the last round freed has settled by then. */
		usleep(50000);

		t[0] = now();
		if (ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data))
			err(1, "%s: %lu bytes", text, LENGTH);
		t[1] = now();
		p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED,
			 data.fd, 0);
		if (p == MAP_FAILED)
			err(1, "%s: mmap", text);
		t[2] = now();
		for (size_t at = 0; at < LENGTH; at += page_size)
			p[at] = 1;
		t[3] = now();
		if (munmap((void *)p, LENGTH))
			err(1, "%s: munmap", text);
		t[4] = now();
		close(data.fd);
		t[5] = now();
		close(fd);
		for (int j = 0; j < 5; j++)
			if (!i || t[j + 1] - t[j] < shortest[j])
				shortest[j] = t[j + 1] - t[j];
	}
	for (int i = 0; i < 5; i++) {
		/* One write is one line; dprintf() wants to seek. */
		len = snprintf(text, sizeof(text), "heap_bench: %s %s %llu\n",
			       heap, what[i], shortest[i]);
		if (write(kmsg, text, len) != len)
			err(1, "/dev/kmsg");
	}
}

int main(void)
{
	DIR *dir = opendir("/dev/dma_heap");
	struct dirent *entry;

	kmsg = open("/dev/kmsg", O_WRONLY);
	if (!dir || kmsg < 0)
		err(1, "no heaps, or no log");
	/* A heap that is missing is a row that is missing. */
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			bench(entry->d_name);
	puts("KTAP version 1\n1..1\nok 1 heap-bench");
	return 0;
}
