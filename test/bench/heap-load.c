// SPDX-License-Identifier: GPL-2.0
/*
 * heap-load - ask a heap for buffers while something else uses the memory
 *
 * heap-load			large ones, beside a load of docs/bench.md
 * heap-load pressure [SEED]	large ones, while applications fill the memory
 * heap-load fit		from the CMA heap, of mixed sizes, beside pins
 *
 * For the first, test/bench/heap-load.sh sets load=, heap=, requests= (of each
 * size) and seed= on the kernel's command line.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdatomic.h>
#include <sys/prctl.h>

#include "util.h"

#define MB		SZ_1M
#define PAGE		SZ_4K
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

static uint64_t state;

/* Of every process, the numbers are its own. */
static void set_seed(unsigned int who)
{
	state = rnd_state(seed << 32 | who);
}

/* From @low to @high, both included. */
static unsigned long between(unsigned long low, unsigned long high)
{
	return low + rnd(&state) % (high - low + 1);
}

static void sleep_ms(unsigned long ms)
{
	usleep(ms * 1000);
}

static void write_pages(char *p, unsigned long nr_pages)
{
	for (unsigned long i = 0; i < nr_pages; i++)
		*(uint64_t *)(p + i * PAGE) = rnd(&state);
}

/* New memory, with something in each page */
static char *pages(unsigned long nr_pages)
{
	char *p = map_new(MAP_PRIVATE, nr_pages * PAGE);

	write_pages(p, nr_pages);
	return p;
}

/* "@name.@nr", until the next call */
static const char *numbered(const char *name, unsigned long nr)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s.%lu", name, nr);
	return path;
}

/* Writes @nr_pages into a new file, in place of one that is there. */
static void new_file(const char *name, unsigned long nr_pages, bool work)
{
	int fd;

	unlink(name);
	fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "%s", name);
	for (; nr_pages; nr_pages--) {
		*(uint64_t *)page = rnd(&state);
		if (write(fd, page, PAGE) != PAGE)
			err(1, "%s", name);
		shared->work += work;
	}
	close(fd);
}

static void run(const char *command)
{
	if (system(command))
		errx(1, "failed: %s", command);
}

#define MAX_PROCESSES	8
static pid_t processes[MAX_PROCESSES];
static unsigned int nr_processes;

static void start(void (*run_it)(void), unsigned int who)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid) {
		processes[nr_processes++] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	set_seed(who);
	run_it();
	_exit(1);
}

static void end_processes(void)
{
	while (nr_processes)
		kill(processes[--nr_processes], SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* --- the loads ------------------------------------------------------------ */

static void waiting_process(void)
{
	pages(WAITING / PAGE);
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
	char *memory = map_new(MAP_PRIVATE, nr_pages * PAGE);

	for (;;) {
		unsigned long nr = between(16, 512);
		char *at = memory + between(0, nr_pages - nr) * PAGE;

		if (between(0, 1)) {
			write_pages(at, nr);
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
	for (;;) {
		const char *name = numbered("/tmp/heap-load", between(1, 128));

		if (between(0, 1))
			new_file(name, between(1, 512), true);
		else
			unlink(name);
		sleep_ms(20);
	}
}

static bool in_area(const char *p)
{
	return pfn_of(p) - base_pfn < nr_area;
}

/*
 * 100 pages of its memory are in a pipe for one to four seconds. The pages
 * between them go back, so that these are spread as data of programs is.
 */
static void pipes(void)
{
	const unsigned long nr_pages = 1024;
	char buf[16 * PAGE];
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) ||
	    fcntl(fds[1], F_SETPIPE_SZ, 128 * PAGE) < 0)
		err(1, "pipe");
	for (;;) {
		char *memory = pages(nr_pages), *kept = memory;
		long held = 0;

		for (int i = 0; i < 100; i++) {
			char *at = memory + (10 * i + between(0, 9)) * PAGE;

			held += in_area(at);
			if (!pin(fds[1], at, PAGE))
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
static void compiler(const char *job)
{
	unsigned int nr;
	int fd;

	if (sscanf(job, "%lu %u", &seed, &nr) != 2)
		errx(1, "%s: no job", job);
	set_seed(0);
	pages(between(256, 2048));
	fd = open(numbered("/tmp/source", between(0, 63)), O_RDONLY);
	if (fd < 0)
		err(1, "/tmp/source");
	while (read(fd, page, PAGE) > 0)
		;
	new_file(numbered("/tmp/object", nr), between(1, 64), false);
}

static void make(void)
{
	const unsigned int me = rnd(&state);
	char job[40];
	int status;

	for (unsigned int i = 0;; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			snprintf(job, sizeof(job), "%lu %u",
				 between(1, UINT32_MAX),
				 me % 97 * 256 + i % 256);
			execl("/proc/self/exe", "heap-load", "compiler", job,
			      NULL);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			errx(1, "compiler: status %#x", status);
		shared->work++;
		rnd(&state);
		sleep_ms(30);
	}
}

static void sources(void)
{
	for (int i = 0; i < 64; i++)
		new_file(numbered("/tmp/source", i), between(1, 64), false);
}

/* Images of 4 MB, the last eight of which are kept */
static void camera(void)
{
	for (unsigned int i = 0;; i++) {
		new_file(numbered(IMAGES "/image", i % 8), IMAGE_PAGES, true);
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
	    "mkdosfs /dev/nullb0 98304 >/dev/null && mkdir " IMAGES " && "
	    "mount -t vfat /dev/nullb0 " IMAGES " && cd /proc/sys/vm && "
	    "echo 8388608 >dirty_background_bytes && "
	    "echo 33554432 >dirty_bytes");
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
	bool full;		/* memory */
	bool refill;		/* before each request */
} loads[] = {
	{ "memory", NULL, { { 4, anonymous }, { 1, files } }, true, false },
	{ "pipes", NULL, { { 6, pipes } }, true, false },
	{ "forks", sources, { { 4, make } }, true, false },
	{ "cache", NULL, { { 0, NULL } }, true, true },
	{ "writeback", slow_disk, { { 1, camera } }, true, true },
	{ "hogs", NULL, { { 4, hog } }, false, false },
};

static void start_load(const struct load *load)
{
	if (load->full) {
		run("mkdir -p /run/disk && mke2fs /dev/ram0 >/dev/null && "
		    "mount -t ext2 /dev/ram0 /run/disk && "
		    "busybox truncate -s 1400M " CACHE_FILE);
		start(waiting_process, 1);
		while (shared->ready < 1)
			sleep_ms(10);
		reading_is_work = !load->processes[0].nr;
		start(reader, 2);
		while (shared->ready < 2)
			sleep_ms(10);
	}
	if (load->prepare)
		load->prepare();
	for (int i = 0; i < 2; i++)
		for (unsigned int j = 0; j < load->processes[i].nr; j++)
			start(load->processes[i].run, 3 + nr_processes);
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

/* --- the requests --------------------------------------------------------- */

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
	const unsigned long moved = migrated(), work = shared->work;
	double cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), t = now_ms();
	int fd = heap_alloc(heap, size);

	t = now_ms() - t;
	f->cpu += (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1e6;
	f->work_busy += shared->work - work;
	f->migrated += migrated() - moved;
	f->busy += t;
	f->ms[f->asked++] = t;
	f->delivered += fd >= 0;
	/* It is used for a while. */
	sleep_ms(20);
	if (fd >= 0)
		close(fd);
}

/* Until there is a file in the memory that the last buffer has left behind */
static void refill(void)
{
	shared->hurry = true;
	for (int i = 0; meminfo("MemFree:") / PAGE > nr_area / 8; i++) {
		if (i == 1000)
			errx(1, "the memory is not full after 10 s");
		sleep_ms(10);
	}
	shared->hurry = false;
}

static void rest(const struct load *load, struct figures *f)
{
	double t = now_ms();
	unsigned long work = shared->work;

	sleep_ms(load->full ? between(100, 300) : between(6, 20));
	if (load->refill)
		refill();
	f->work_rest += shared->work - work;
	f->rest += now_ms() - t;
	f->used += nr_area - meminfo("CmaFree:") / PAGE;
	f->held += load->prepare == slow_disk ? nr_dirty() :
		   (unsigned long)shared->held;
}

static void report(const char *load, const char *heap, unsigned long size,
		   struct figures *f)
{
	int n = f->asked;

	qsort(f->ms, n, sizeof(f->ms[0]), compare);
	ksft_print_msg("result\t%s\t%s\t%lu\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%lu\t%lu\t%lu\n",
	       load, heap, size / MB, n, f->delivered, percentile(f, 50),
	       percentile(f, 99), f->ms[n - 1], f->cpu / n,
	       f->work_busy / f->busy * 1e3, f->work_rest / f->rest * 1e3,
	       f->migrated / n, f->used / n, f->held / n);
}

/* The first of a kind: system, chunk, or cma, which is neither */
static const struct heap *find_heap(const char *kind)
{
	if (!nr_heaps)
		open_heaps();
	for (int i = 0; i < nr_heaps; i++)
		if (!strcmp(kind, heaps[i].chunk ? "chunk" :
			    strcmp(heaps[i].name, "system") ? "cma" : "system"))
			return &heaps[i];
	errx(1, "no heap is called %s", kind);
}

static const struct load *find_load(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
		size_t len = strlen(loads[i].name);

		if (!strncmp(name, loads[i].name, len) &&
		    (!name[len] || !strcmp(name + len, "-preempt")))
			return &loads[i];
	}
	errx(1, "load=%s: no such load", name);
}

static void load(void)
{
	static struct figures f;
	const char *name = getenv("load"), *kind = getenv("heap");
	const unsigned long requests = setting(NULL, "requests");
	const struct load *load;
	const struct heap *heap;

	if (!name || !kind || requests > MAX_REQUESTS)
		errx(1, "load= or heap= is missing, or requests= too many");
	load = find_load(name);
	heap = find_heap(kind);
	seed = setting(NULL, "seed");
	set_seed(0);
	start_load(load);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(&f, 0, sizeof(f));
		while (f.asked < (int)requests &&
		       f.asked - f.delivered < MAX_FAILURES) {
			rest(load, &f);
			request(heap->fd, sizes[i], &f);
			check_load();
		}
		report(name, kind, sizes[i], &f);
	}
	end_processes();
	ksft_test_result_pass("%s, %s\n", name, kind);
}

/* --- pressure ------------------------------------------------------------- */

/*
 * Processes fill most of the memory with anonymous pages and stop, tmpfs takes
 * some more. There is no swap: pages in the CMA area can only move to what is
 * free elsewhere. The sizes are made for the guest of heap-pressure.plan.
 */
#define PROCESS		(190 * MB)
#define MAX_FILE	(4 * MB)
#define FILES		"/tmp/heap-pressure"
#define REQUEST		(200 * MB)
#define NR_REQUESTS	17

static unsigned int nr_files;
static int held;

static void application(void)
{
	close(held);
	pages(PROCESS / PAGE);
	raise(SIGSTOP);
}

/* Files of up to MAX_FILE bytes, until the sum is @size. */
static void make_files(unsigned long size)
{
	unsigned long nr, rest = size / PAGE;

	set_seed(MAX_PROCESSES);
	for (nr_files = 0; rest; rest -= nr) {
		nr = between(1, MAX_FILE / PAGE);
		if (nr > rest)
			nr = rest;
		new_file(numbered(FILES, nr_files++), nr, false);
	}
}

/* @hold is a buffer of the system heap, released once the memory is full. */
static void fill(unsigned long hold, unsigned long files)
{
	int status;

	held = hold ? heap_alloc(find_heap("system")->fd, hold) : -1;
	if (hold && held < 0)
		errx(1, "cannot hold %lu MB", hold / MB);
	while (nr_processes < MAX_PROCESSES)
		start(application, nr_processes);
	make_files(files);
	for (unsigned int i = 0; i < nr_processes; i++)
		if (waitpid(processes[i], &status, WUNTRACED) < 0 ||
		    !WIFSTOPPED(status))
			errx(1, "process %u ended with %#x", i, status);
	close(held);
}

/* Returns how many requests the heap delivered. */
static int request_all(const char *heap, unsigned long hold,
		       unsigned long files)
{
	static struct figures f;

	memset(&f, 0, sizeof(f));
	fill(hold, files);
	while (f.asked < NR_REQUESTS)
		request(find_heap(heap)->fd, REQUEST, &f);
	end_processes();
	while (nr_files)
		unlink(numbered(FILES, --nr_files));
	ksft_print_msg("%s heap: %d of %d requests, %.1f ms on average\n", heap,
		       f.delivered, f.asked, f.busy / f.asked);
	return f.delivered;
}

static void pressure(void)
{
	long killed;
	int got;

	/*
	 * Half of what is free is in the area, and little more than 200 MB are
	 * free at all. First of all, as the boot has left the memory.
	 */
	got = request_all("chunk", 0, 206 * MB);
	ksft_test_result(got == NR_REQUESTS,
			 "short of memory, the chunk heap delivers all\n");
	/*
	 * The area is as full as the rest of the memory, and there is just
	 * enough outside of it for the system heap to deliver all.
	 */
	got = request_all("chunk", 192 * MB, 146 * MB);
	ksft_test_result(got == NR_REQUESTS, "so does it with a full area\n");
	got = request_all("system", 192 * MB, 146 * MB);
	ksft_test_result(got == NR_REQUESTS, "as the system heap does\n");
	/*
	 * The requests are bound to fail. The system heap seems to deliver: its
	 * allocations call the OOM killer. Neither migration nor the list of
	 * its chunks is worth a process to the chunk heap.
	 */
	killed = read_field("/proc/vmstat", "oom_kill ");
	got = request_all("chunk", 0, 316 * MB);
	killed -= read_field("/proc/vmstat", "oom_kill ");
	ksft_test_result(got < NR_REQUESTS && !killed,
			 "with too little, it fails and nobody is killed\n");
}

/* --- fit ------------------------------------------------------------------ */

/*
 * The buffers are those of the CMA heap: one cma_alloc() each, aligned to their
 * size as the DMA API aligns them. So this runs on any kernel, with the series
 * and without it, and each gets the same requests: they depend on their number
 * only. Movable pages fill what is free outside of the area and some of the
 * area itself, and some are replaced all the time. With such lives, the buffers
 * fill most of the area, and about 40 pages in it are pinned.
 */
#define NR_STEPS	100000U
#define LONG_LIFE	28000		/* steps, at most */
#define SPARE		(24 * MB)	/* free outside of the area */
#define MAX_LIVE	4096		/* cma-fit.plan allows no more */

static struct {
	int fd;
	unsigned int end;		/* step to close it at */
} live[MAX_LIVE];
static unsigned int nr_live;

/* Nine of ten are short-lived. Closing @fd releases a buffer, or a pin. */
static void keep(int fd, unsigned int step, uint64_t *random)
{
	const unsigned int life = rnd(random) % 10 ? 100 : LONG_LIFE;

	live[nr_live].fd = fd;
	live[nr_live].end = step + 1 + rnd(random) % life;
	nr_live += fd >= 0;
}

static void release(unsigned int step)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < nr_live; i++)
		if (live[i].end <= step)
			close(live[i].fd);
		else
			live[kept++] = live[i];
	nr_live = kept;
}

/* The end of a pipe that holds one of the pages in the area, or -1 */
static int pinned_page(char *movable, unsigned long nr_movable)
{
	int fds[2];

	for (int i = 0; i < 16; i++) {
		char *p = movable + between(0, nr_movable - 1) * PAGE;

		if (!in_area(p))
			continue;
		if (pipe2(fds, O_CLOEXEC) || !pin(fds[1], p, PAGE))
			err(1, "vmsplice");
		close(fds[1]);
		return fds[0];
	}
	return -1;
}

static void fit(void)
{
	const unsigned long nr_movable = (free_outside() - SPARE) / PAGE;
	char *movable = map_new(MAP_PRIVATE | MAP_POPULATE, nr_movable * PAGE);
	uint64_t requests = rnd_state(1);
	unsigned long failed = 0, largest = 0;

	set_seed(0);
	for (unsigned int step = 0; step < NR_STEPS; step++) {
		const unsigned long most = 1 << rnd(&requests) % 10;
		const unsigned long size = (1 + rnd(&requests) % most) * PAGE;
		int fd;

		release(step);
		if (step % 8 == 0) {
			char *p = movable + between(0, nr_movable - 64) * PAGE;

			madvise(p, 64 * PAGE, MADV_DONTNEED);
			write_pages(p, 64);
		}
		if (step % 32 == 0)
			keep(pinned_page(movable, nr_movable), step, &state);
		fd = heap_alloc(find_heap("cma")->fd, size);
		failed += fd < 0;
		keep(fd, step, &requests);
		if (step % 100 == 0)
			largest += cma_number("reserved", "maxchunk");
		sleep_ms(1);
	}
	ksft_test_result_pass("cma_fit: failed %lu largest %lu\n", failed,
			      largest / (NR_STEPS / 100));
}

int main(int argc, char *argv[])
{
	const char *mode = argc > 1 ? argv[1] : "load";

	shared = map_new(MAP_SHARED, PAGE);
	if (!strcmp(mode, "compiler")) {
		compiler(argv[2]);
		return 0;
	}
	ksft_print_header();
	base_pfn = cma_number("reserved", "base_pfn");
	nr_area = cma_number("reserved", "count");
	ksft_set_plan(strcmp(mode, "pressure") ? 1 : 4);
	if (!strcmp(mode, "pressure")) {
		seed = setting(argv[2], "seed");
		pressure();
	} else if (!strcmp(mode, "fit")) {
		fit();
	} else {
		load();
	}
	ksft_finished();
}
