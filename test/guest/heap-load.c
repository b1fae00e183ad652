// SPDX-License-Identifier: GPL-2.0
/*
 * heap-load - ask a heap for large buffers while a device does other things
 *
 * One load, one heap, and 50 requests of each size. The kernel's command line
 * sets the environment, test/run/heap-load.sh the command line:
 *
 *   load      memory, pipes, forks, cache, writeback, hogs (with "-preempt"
 *             behind it for a kernel that preempts: it is a name here, no more)
 *   heap      system, cma or chunk
 *   requests  of each size
 *   seed      of all random numbers
 *
 * Of each size it prints a line with "# result" and tab-separated figures, in
 * the order of report(), and one with the time of each request.
 *
 * But for the hogs, the memory is full: a process that waits has 800 MB, and
 * the rest is page cache of a file that is read on, here and there. So requests
 * find the area in use, and there is always memory to reclaim. A buffer that is
 * released leaves free memory behind, of which the pauses between requests fill
 * a part only; under cache and writeback, a request waits until the memory is
 * full again.
 *
 * Work is what the load gets done: pages touched or passed through a pipe,
 * programs run, pages read or written, rounds of a loop. It is counted while a
 * request is under way, and in the pauses between requests.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/dma-heap.h>

#define MB		(1UL << 20)
#define PAGE		4096UL
#define MAX_REQUESTS	1000

/* Nobody waits for a heap that fails all the time. */
#define MAX_FAILURES	5

#define WAITING		(800 * MB)	/* of the process that waits */
#define CACHED		(1400 * MB)	/* the file in the page cache */
#define CACHE_FILE	"/run/disk/file"
#define READ_AT_ONCE	(128 * 1024UL)	/* what readahead() reads at most */

#define IMAGES		"/run/usb"
#define IMAGE_PAGES	1024

static const unsigned long sizes[] = { 200 * MB, 64 * MB };

/* What all processes see. */
static struct {
	_Atomic unsigned long work;
	_Atomic long held;	/* pages of the area in pipes */
	_Atomic int ready;
	_Atomic bool hurry;	/* fill the memory */
} *shared;

static uint64_t seed = 1;
static unsigned long base_pfn, nr_area;
static char page[PAGE];

/* xorshift64*, whose state must not be 0 */
static uint64_t state;

static uint64_t rnd(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

/* Of every process, the numbers are its own. */
static void set_seed(unsigned int who)
{
	state = (seed << 32 | who) * 0x9e3779b97f4a7c15ULL | 1;
}

/* From @low to @high, both included. */
static unsigned long between(unsigned long low, unsigned long high)
{
	return low + (rnd() >> 16) % (high - low + 1);
}

static void sleep_ms(unsigned long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts))
		;
}

static double clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static void *map(unsigned long size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static void touch(char *p, unsigned long nr_pages)
{
	for (unsigned long i = 0; i < nr_pages; i++)
		*(uint64_t *)(p + i * PAGE) = rnd();
}

/* Writes @nr_pages into a new file, in place of one that is there. */
static void write_file(const char *name, unsigned long nr_pages, bool work)
{
	int fd;

	unlink(name);
	fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "%s", name);
	for (; nr_pages; nr_pages--) {
		*(uint64_t *)page = rnd();
		if (write(fd, page, PAGE) != PAGE)
			err(1, "%s", name);
		shared->work += work;
	}
	close(fd);
}

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err(1, "%s", path);
	close(fd);
}

static void run(const char *command)
{
	if (system(command))
		errx(1, "failed: %s", command);
}

static pid_t start(void (*run_it)(void), unsigned int who)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	set_seed(who);
	run_it();
	_exit(1);
}

/* --- the loads ------------------------------------------------------------ */

static void waiting_process(void)
{
	touch(map(WAITING), WAITING / PAGE);
	shared->ready++;
	for (;;)
		pause();
}

static bool reading_is_work;

static void reader(void)
{
	int fd = open(CACHE_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", CACHE_FILE);
	for (unsigned long at = 0; at < CACHED; at += READ_AT_ONCE)
		readahead(fd, at, READ_AT_ONCE);
	shared->ready++;
	for (;;) {
		unsigned long at = between(0, CACHED / MB - 1) * MB;

		for (unsigned long end = at + MB; at < end; at += READ_AT_ONCE)
			readahead(fd, at, READ_AT_ONCE);
		if (reading_is_work)
			shared->work += MB / PAGE;
		if (!shared->hurry)
			sleep_ms(20);
	}
}

/* Anonymous memory that is touched and dropped, from 64 KB to 2 MB at a time */
static void anonymous(void)
{
	const unsigned long nr_pages = 192 * MB / PAGE;
	char *memory = map(nr_pages * PAGE);

	for (;;) {
		unsigned long nr = between(16, 512);
		char *at = memory + between(0, nr_pages - nr) * PAGE;

		if (rnd() >> 63) {
			touch(at, nr);
			shared->work += nr;
		} else if (madvise(at, nr * PAGE, MADV_DONTNEED)) {
			err(1, "madvise");
		}
		sleep_ms(20);
	}
}

/* Files of up to 2 MB in tmpfs that come and go */
static void files(void)
{
	char name[64];

	for (;;) {
		snprintf(name, sizeof(name), "/tmp/heap-load.%lu",
			 between(1, 128));
		if (rnd() >> 63)
			write_file(name, between(1, 512), true);
		else
			unlink(name);
		sleep_ms(20);
	}
}

/* How many of @nr pages at @p are in the area? */
static long in_area(int pagemap, const char *p)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry),
		  (uintptr_t)p / PAGE * sizeof(entry)) != sizeof(entry))
		err(1, "pagemap");
	return (entry & ((1ULL << 55) - 1)) - base_pfn < nr_area;
}

/*
 * 100 pages of its memory are in a pipe for one to four seconds. The pages
 * between them go back, so that these are spread as data of programs is.
 */
static void pipes(void)
{
	const unsigned long nr_pages = 1024;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char buf[16 * PAGE];
	int fds[2];

	if (pagemap < 0 || pipe2(fds, O_CLOEXEC) ||
	    fcntl(fds[1], F_SETPIPE_SZ, 128 * PAGE) < 0)
		err(1, "pipe");
	for (;;) {
		char *memory = map(nr_pages * PAGE), *kept = memory;
		long held = 0;

		touch(memory, nr_pages);
		for (int i = 0; i < 100; i++) {
			char *at = memory + (10 * i + between(0, 9)) * PAGE;
			struct iovec iov = { at, PAGE };

			held += in_area(pagemap, at);
			if (vmsplice(fds[1], &iov, 1, 0) != (ssize_t)PAGE)
				err(1, "vmsplice");
			munmap(kept, at - kept);
			kept = at + PAGE;
		}
		shared->held += held;
		sleep_ms(between(1000, 4000));
		for (int i = 0; i < 100; ) {
			ssize_t n = read(fds[0], buf, sizeof(buf));

			if (n <= 0)
				err(1, "pipe");
			i += n / PAGE;
		}
		shared->held -= held;
		shared->work += 100;
		munmap(memory, nr_pages * PAGE);
	}
}

/* What a compiler does, as far as the memory can tell */
static void compiler(unsigned int nr)
{
	unsigned long nr_pages = between(256, 2048);
	char name[64];
	int fd;

	touch(map(nr_pages * PAGE), nr_pages);
	snprintf(name, sizeof(name), "/tmp/source.%lu", between(0, 63));
	fd = open(name, O_RDONLY);
	if (fd < 0)
		err(1, "%s", name);
	while (read(fd, page, PAGE) > 0)
		;
	snprintf(name, sizeof(name), "/tmp/object.%u", nr);
	write_file(name, between(1, 64), false);
}

static void make(void)
{
	const unsigned int me = rnd();
	char job[16], number[24];
	int status;

	for (unsigned int i = 0;; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			snprintf(job, sizeof(job), "%u", me % 97 * 256 + i % 256);
			snprintf(number, sizeof(number), "%lu",
				 between(1, UINT32_MAX));
			execl("/proc/self/exe", "heap-load", "compiler", job,
			      number, NULL);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			errx(1, "compiler: status %#x", status);
		shared->work++;
		rnd();
		sleep_ms(30);
	}
}

static void sources(void)
{
	char name[64];

	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "/tmp/source.%d", i);
		write_file(name, between(1, 64), false);
	}
}

/* Images of 4 MB, the last eight of which are kept */
static void camera(void)
{
	char name[64];

	for (unsigned int i = 0;; i++) {
		snprintf(name, sizeof(name), IMAGES "/image.%u", i % 8);
		write_file(name, IMAGE_PAGES, true);
		sleep_ms(100);
	}
}

/*
 * A USB stick that takes 8 MB a second. Data waits to be written until there
 * are 8 MB of it, and a writer has to wait from 32 MB on: that is what the
 * default ratios come to where 100 to 200 MB are available.
 */
static void slow_disk(void)
{
	run("modprobe null_blk nr_devices=1 gb=1 bs=512 memory_backed=1 "
	    "mbps=8 max_sectors=64 && "
	    "mkdosfs /dev/nullb0 98304 >/dev/null && mkdir " IMAGES);
	if (mount("/dev/nullb0", IMAGES, "vfat", 0, NULL))
		err(1, IMAGES);
	set("/proc/sys/vm/dirty_background_bytes", "8388608");
	set("/proc/sys/vm/dirty_bytes", "33554432");
}

/* Instructions that take guest time, and QEMU next to none */
static void hog(void)
{
	for (;;) {
		for (int i = 0; i < 10; i++)
			__asm__ volatile(".rept 500\n\tnop\n\t.endr");
		shared->work++;
	}
}

static const struct load {
	const char *name;
	void (*prepare)(void);
	struct {
		unsigned int nr;
		void (*run)(void);
	} processes[2];
	unsigned int pause;	/* ms between requests, at most */
	bool full;		/* memory */
	bool refill;		/* before each request */
} loads[] = {
	{ "memory", NULL, { { 4, anonymous }, { 1, files } }, 300, true, false },
	{ "pipes", NULL, { { 6, pipes } }, 300, true, false },
	{ "forks", sources, { { 4, make } }, 300, true, false },
	{ "cache", NULL, { { 0, NULL } }, 300, true, true },
	{ "writeback", slow_disk, { { 1, camera } }, 300, true, true },
	{ "hogs", NULL, { { 4, hog } }, 20, false, false },
};

#define MAX_PROCESSES	8
static pid_t processes[MAX_PROCESSES];
static unsigned int nr_processes;

static void start_load(const struct load *load)
{
	if (load->full) {
		run("mkdir -p /run/disk && mke2fs /dev/ram0 >/dev/null");
		if (mount("/dev/ram0", "/run/disk", "ext2", 0, NULL))
			err(1, "/run/disk");
		run("busybox truncate -s 1400M " CACHE_FILE);
		processes[nr_processes++] = start(waiting_process, 1);
		while (shared->ready < 1)
			sleep_ms(10);
		reading_is_work = !load->processes[0].nr;
		processes[nr_processes++] = start(reader, 2);
		while (shared->ready < 2)
			sleep_ms(10);
	}
	if (load->prepare)
		load->prepare();
	for (int i = 0; i < 2; i++)
		for (unsigned int j = 0; j < load->processes[i].nr; j++) {
			processes[nr_processes] =
				start(load->processes[i].run, 3 + nr_processes);
			nr_processes++;
		}
	/* Until pipes are full, and pages wait to be written */
	sleep_ms(load->full ? 5000 : 100);
}

/* A load that has come to an end would make for fine figures. */
static void check_load(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid)
		errx(1, "a process of the load ended: %#x", status);
}

static void end_load(void)
{
	for (unsigned int i = 0; i < nr_processes; i++)
		kill(processes[i], SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* --- the requests --------------------------------------------------------- */

static unsigned long read_number(const char *path, const char *field)
{
	FILE *f = fopen(path, "re");
	char line[300], *end;
	size_t len = strlen(field);

	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len)) {
			unsigned long n = strtoul(line + len, &end, 10);

			if (end == line + len)
				break;
			fclose(f);
			return n;
		}
	errx(1, "%s: no %s", path, field);
}

/* Pages of files on disk in the area that are dirty or under writeback */
static unsigned long nr_dirty(void)
{
	static uint64_t flags[1 << 17];
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	const uint64_t dirty = 1 << 4 | 1 << 8, swap_backed = 1 << 14;
	unsigned long nr = 0;

	if (fd < 0 || nr_area > sizeof(flags) / sizeof(flags[0]) ||
	    pread(fd, flags, nr_area * 8, base_pfn * 8) != (ssize_t)nr_area * 8)
		err(1, "/proc/kpageflags");
	close(fd);
	for (unsigned long i = 0; i < nr_area; i++)
		nr += (flags[i] & dirty) && !(flags[i] & swap_backed);
	return nr;
}

/* Returns a buffer, or -1. */
static int allocate(int heap, unsigned long size)
{
	struct dma_heap_allocation_data data = {
		.len = size, .fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -1 : (int)data.fd;
}

struct figures {
	int asked, delivered;
	double ms[MAX_REQUESTS], cpu, busy, rest;
	unsigned long work_busy, work_rest, migrated;
	unsigned long used, held;	/* sums of pages of the area */
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The smallest that @percent of the requests did not exceed */
static double percentile(const struct figures *f, int percent)
{
	return f->ms[(f->asked * percent + 99) / 100 - 1];
}

static void request(int heap, unsigned long size, struct figures *f)
{
	double t, cpu;
	unsigned long work, migrated;
	int fd;

	migrated = read_number("/proc/vmstat", "pgmigrate_success ");
	work = shared->work;
	cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID);
	t = clock_ms(CLOCK_MONOTONIC);
	fd = allocate(heap, size);
	t = clock_ms(CLOCK_MONOTONIC) - t;
	cpu = clock_ms(CLOCK_THREAD_CPUTIME_ID) - cpu;
	f->work_busy += shared->work - work;
	f->migrated += read_number("/proc/vmstat", "pgmigrate_success ") -
		       migrated;
	f->busy += t;
	f->cpu += cpu;
	f->ms[f->asked++] = t;
	f->delivered += fd >= 0;
	printf(" %.1f%s", t, fd < 0 ? "-" : "+");
	/* It is used for a while. */
	sleep_ms(20);
	if (fd >= 0)
		close(fd);
}

/* Until there is a file in the memory that the last buffer has left behind */
static void refill(void)
{
	shared->hurry = true;
	for (int i = 0; read_number("/proc/meminfo", "MemFree:") / 4 >
			nr_area / 8; i++) {
		if (i == 1000)
			errx(1, "the memory is not full after 10 s");
		sleep_ms(10);
	}
	shared->hurry = false;
}

static void rest(const struct load *load, struct figures *f)
{
	double t = clock_ms(CLOCK_MONOTONIC);
	unsigned long work = shared->work;

	sleep_ms(between(load->pause / 3, load->pause));
	if (load->refill)
		refill();
	f->work_rest += shared->work - work;
	f->rest += clock_ms(CLOCK_MONOTONIC) - t;
	f->used += nr_area - read_number("/proc/meminfo", "CmaFree:") / 4;
	f->held += load->prepare == slow_disk ? nr_dirty() :
		   (unsigned long)shared->held;
}

static void report(const char *load, const char *heap, unsigned long size,
		   struct figures *f)
{
	int n = f->asked;

	qsort(f->ms, n, sizeof(f->ms[0]), compare);
	printf("# result\t%s\t%s\t%lu\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%lu\t%lu\t%lu\n",
	       load, heap, size / MB, n, f->delivered, percentile(f, 50),
	       percentile(f, 99), f->ms[n - 1], f->cpu / n,
	       f->work_busy / f->busy * 1e3, f->work_rest / f->rest * 1e3,
	       f->migrated / n, f->used / n, f->held / n);
}

static int open_heap(const char *which)
{
	DIR *dir = opendir("/dev/dma_heap");
	struct dirent *entry;
	char path[300];
	int fd;

	if (!dir)
		err(1, "/dev/dma_heap");
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;
		const char *is = !strcmp(name, "system") ? "system" :
				 strstr(name, "-chunked-") ? "chunk" : "cma";

		if (name[0] == '.' || strcmp(is, which))
			continue;
		snprintf(path, sizeof(path), "/dev/dma_heap/%s", name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			err(1, "%s", path);
		closedir(dir);
		return fd;
	}
	errx(1, "heap=%s: none of system, cma, chunk that is there", which);
}

static const struct load *find_load(const char *name)
{
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		size_t len = strlen(loads[i].name);

		if (!strncmp(name, loads[i].name, len) &&
		    (!name[len] || !strcmp(name + len, "-preempt")))
			return &loads[i];
	}
	errx(1, "load=%s: no such load", name);
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	if (!value || !*value)
		errx(1, "%s= is missing", name);
	return value;
}

static unsigned long number(const char *name, unsigned long max)
{
	const char *value = setting(name);
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*end || !n || n > max)
		errx(1, "%s=%s is not a number from 1 to %lu", name, value, max);
	return n;
}

int main(int argc, char *argv[])
{
	static struct figures f;
	const char *name, *heap;
	const struct load *load;
	unsigned long requests;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	if (argc == 4 && !strcmp(argv[1], "compiler")) {
		seed = strtoul(argv[3], NULL, 10);
		set_seed(0);
		compiler(strtoul(argv[2], NULL, 10));
		return 0;
	}

	name = setting("load");
	heap = setting("heap");
	requests = number("requests", MAX_REQUESTS);
	seed = number("seed", UINT32_MAX);
	load = find_load(name);
	fd = open_heap(heap);
	base_pfn = read_number("/sys/kernel/debug/cma/reserved/base_pfn", "");
	nr_area = read_number("/sys/kernel/debug/cma/reserved/count", "");

	printf("TAP version 13\n1..1\n");
	set_seed(0);
	start_load(load);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(&f, 0, sizeof(f));
		printf("# %s, %s, %lu MB, ms:", name, heap, sizes[i] / MB);
		while (f.asked < (int)requests &&
		       f.asked - f.delivered < MAX_FAILURES) {
			rest(load, &f);
			request(fd, sizes[i], &f);
			check_load();
		}
		putchar('\n');
		report(name, heap, sizes[i], &f);
	}
	end_load();
	printf("ok 1 %s, %s: %lu requests of each size, or %d failures\n", name,
	       heap, requests, MAX_FAILURES);
	return 0;
}
