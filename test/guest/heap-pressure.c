// SPDX-License-Identifier: GPL-2.0
/*
 * heap-pressure [SEED] - large buffers while applications fill the memory
 *
 * Eight processes fill most of the memory with anonymous pages and tmpfs takes
 * some more, then the processes stop. There is no swap: pages in the CMA area
 * can only move to what is free elsewhere. Then a heap is asked for 200 MB
 * seventeen times, one buffer after the other.
 *
 * Two ways to fill the memory:
 *  - A buffer of the system heap is in use meanwhile, so the CMA area is as
 *    full as the rest of the memory. Then the buffer is released. There is just
 *    enough memory outside of the area for the system heap to deliver all
 *    buffers, and the chunk heap must, too.
 *  - Half of what is free is in the area, and little more than 200 MB are free
 *    at all. The chunk heap must deliver all buffers.
 *
 * With less memory the requests are bound to fail, although the system heap
 * seems to deliver: its allocations call the OOM killer. The chunk heap must
 * not: neither migration nor the list of its chunks is worth a process.
 * What the CMA heap delivers is printed only.
 *
 * test/run/heap-pressure.sh boots the guest that the sizes are made for. The
 * seed is an argument or, from the kernel's command line, in the environment.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/dma-heap.h>

#define MB		(1UL << 20)
#define PAGE		4096UL
#define NR_PROCESSES	8
#define PROCESS		(190 * MB)
#define MAX_FILE	(4 * MB)
#define REQUEST		(200 * MB)
#define NR_REQUESTS	17

static const struct filling {
	unsigned long held;		/* buffer of the system heap */
	unsigned long files;
} full_area = { 192 * MB, 146 * MB }, short_of_memory = { 0, 206 * MB },
  too_little = { 0, 316 * MB };

static uint64_t seed;
static unsigned int nr_files;
static pid_t processes[NR_PROCESSES];

/* xorshift64*, whose state must not be 0 */
static uint64_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static void fill_page(uint64_t *p, uint64_t *state)
{
	/* Enough to tell it from any other page */
	for (int i = 0; i < 8; i++)
		p[i] = rnd(state);
}

static uint64_t seed_for(unsigned int what)
{
	return (seed << 32 | what) * 0x9e3779b97f4a7c15ULL | 1;
}

__attribute__((noreturn))
static void process(unsigned int nr)
{
	uint64_t state = seed_for(nr);
	char *memory;

	memory = mmap(NULL, PROCESS, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	for (unsigned long at = 0; at < PROCESS; at += PAGE)
		fill_page((uint64_t *)(memory + at), &state);
	raise(SIGSTOP);
	_exit(1);
}

static const char *file_name(unsigned int nr)
{
	static char name[64];

	snprintf(name, sizeof(name), "/tmp/heap-pressure.%u", nr);
	return name;
}

/* Files of up to MAX_FILE bytes, until the sum is @size. */
static void make_files(unsigned long size)
{
	uint64_t state = seed_for(NR_PROCESSES), page[PAGE / sizeof(uint64_t)];
	unsigned long rest = size / PAGE;

	for (nr_files = 0; rest; nr_files++) {
		unsigned long pages = 1 + rnd(&state) % (MAX_FILE / PAGE);
		int fd = open(file_name(nr_files), O_CREAT | O_WRONLY, 0600);

		if (fd < 0)
			err(1, "%s", file_name(nr_files));
		for (; pages && rest; pages--, rest--) {
			fill_page(page, &state);
			if (write(fd, page, PAGE) != PAGE)
				err(1, "%s", file_name(nr_files));
		}
		close(fd);
	}
}

static void print_meminfo(void)
{
	static const char * const fields[] = {
		"MemFree:", "MemAvailable:", "CmaFree:",
	};
	FILE *f = fopen("/proc/meminfo", "r");
	char line[200];

	if (!f)
		err(1, "meminfo");
	printf("# free before the first request:");
	while (fgets(line, sizeof(line), f))
		for (int i = 0; i < 3; i++)
			if (!strncmp(line, fields[i], strlen(fields[i])))
				printf(" %s %lu MB", fields[i],
				       atol(line + strlen(fields[i])) / 1024);
	putchar('\n');
	fclose(f);
}

/* Returns a buffer, or -1. */
static int allocate(const char *heap, unsigned long size)
{
	struct dma_heap_allocation_data data = {
		.len = size, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	char path[300];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", heap);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	ret = ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data);
	close(fd);
	return ret ? -1 : (int)data.fd;
}

static void fill(const struct filling *f)
{
	int status, held = -1;

	if (f->held) {
		held = allocate("system", f->held);
		if (held < 0)
			err(1, "cannot hold %lu MB", f->held / MB);
	}
	for (unsigned int i = 0; i < NR_PROCESSES; i++) {
		processes[i] = fork();
		if (processes[i] < 0)
			err(1, "fork");
		if (!processes[i]) {
			close(held);
			process(i);
		}
	}
	make_files(f->files);
	for (unsigned int i = 0; i < NR_PROCESSES; i++)
		if (waitpid(processes[i], &status, WUNTRACED) < 0 ||
		    !WIFSTOPPED(status))
			errx(1, "process %u ended with %#x", i, status);
	close(held);
}

static void empty(void)
{
	for (unsigned int i = 0; i < NR_PROCESSES; i++) {
		kill(processes[i], SIGKILL);
		waitpid(processes[i], NULL, 0);
	}
	for (unsigned int i = 0; i < nr_files; i++)
		unlink(file_name(i));
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

/* How many processes the OOM killer has killed. */
static unsigned long oom_kills(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	unsigned long nr = -1;
	char line[200];

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "oom_kill %lu", &nr);
	if (!f || nr == -1UL)
		err(1, "vmstat");
	fclose(f);
	return nr;
}

/* Returns how many requests the heap delivered. */
static int request(const char *heap, const struct filling *f)
{
	char pattern[NR_REQUESTS + 1] = "";
	double worst = 0, sum = 0;
	int got = 0;

	fill(f);
	print_meminfo();
	for (int i = 0; i < NR_REQUESTS; i++) {
		double ms = now_ms();
		int fd = allocate(heap, REQUEST);

		ms = now_ms() - ms;
		sum += ms;
		if (ms > worst)
			worst = ms;
		pattern[i] = fd < 0 ? '-' : '+';
		got += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	empty();
	printf("# seed %lu, %s: %d of %d requests (%s), %.1f ms on average, %.1f ms at most\n",
	       (unsigned long)seed, heap, got, NR_REQUESTS, pattern,
	       sum / NR_REQUESTS, worst);
	return got;
}

/* The chunk heap comes first: it meets the memory as the boot left it. */
static int is_chunk(const struct dirent *entry)
{
	return strstr(entry->d_name, "chunk") ||
	       strstr(entry->d_name, "-chunked-");
}

static int is_other(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strcmp(entry->d_name, "system") &&
	       !is_chunk(entry);
}

int main(int argc, char *argv[])
{
	const char *word = argc > 1 ? argv[1] : getenv("seed");
	struct dirent **chunk, **other;
	int got, system, tight, refused;
	unsigned long killed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = word ? strtoul(word, NULL, 0) : 1;
	if (scandir("/dev/dma_heap", &chunk, is_chunk, alphasort) < 1)
		errx(1, "no chunk heap");
	printf("TAP version 13\n1..4\n");
	tight = request(chunk[0]->d_name, &short_of_memory);
	got = request(chunk[0]->d_name, &full_area);
	system = request("system", &full_area);
	if (scandir("/dev/dma_heap", &other, is_other, alphasort) > 0)
		request(other[0]->d_name, &full_area);
	killed = oom_kills();
	refused = NR_REQUESTS - request(chunk[0]->d_name, &too_little);
	killed = oom_kills() - killed;
	printf("%s 1 short of memory, the chunk heap delivers all buffers\n",
	       tight == NR_REQUESTS ? "ok" : "not ok");
	printf("%s 2 with a full area, the system heap delivers all buffers\n",
	       system == NR_REQUESTS ? "ok" : "not ok");
	printf("%s 3 and so does the chunk heap\n",
	       got == NR_REQUESTS ? "ok" : "not ok");
	printf("# with too little memory, %d requests failed and %lu processes were killed\n",
	       refused, killed);
	printf("%s 4 with too little memory, the chunk heap fails and nobody is killed\n",
	       refused && !killed ? "ok" : "not ok");
	return tight != NR_REQUESTS || system != NR_REQUESTS ||
	       got != NR_REQUESTS || !refused || killed;
}
