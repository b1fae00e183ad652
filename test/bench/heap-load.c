// SPDX-License-Identifier: GPL-2.0
/*
 * heap-load - ask a heap for large buffers while a device does other things
 *
 * One load, one heap, and 50 requests of each size. test/bench/heap-load.sh sets
 * the environment, through the kernel's command line:
 *
 *   load      one of loads[], with "-preempt" behind it for a kernel that
 *             preempts: it is a name here, no more
 *   heap      system, cma or chunk
 *   requests  of each size
 *   seed      of all random numbers
 *
 * Of each size it prints a line with "# result" and tab-separated figures, in
 * the order of report(), and one with the time of each request. docs/bench.md,
 * "Natural load", says what the loads are, and what is counted.
 *
 * heap-load pressure [SEED] - large buffers while applications fill the memory
 *
 * Eight processes fill most of the memory with anonymous pages and tmpfs takes
 * some more, then the processes stop. There is no swap: pages in the CMA area
 * can only move to what is free elsewhere. Then a heap is asked for 200 MB
 * seventeen times, one buffer after the other. What the CMA heap delivers is
 * printed only. test/guest/plans/heap-pressure.plan has the guest that the sizes
 * are made for.
 *
 * heap-load fit mixed|pinned - how well cma_alloc() places what it allocates
 *
 * The buffers are those of the CMA heap: one cma_alloc() each, aligned to their
 * size as the DMA API aligns them. So this runs on any kernel, with the series
 * and without it. All that is random depends on a fixed seed and on the number
 * of the step only: each kernel gets the same requests at the same time.
 *
 *  mixed	Each step of a millisecond asks for a buffer of 1 to 512 pages, and
 *		releases those whose time is over. Movable pages of this program
 *		fill what is free outside of the area and some of the area
 *		itself, some are always being replaced, and up to 50 of those in
 *		the area are pinned, each for 1 ms to 10 s.
 *  pinned	50 pages in the area, at random places, stay pinned. Prints how
 *		long 2400 buffers of 64 KB take without the pins and with them.
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
static void compiler(unsigned int nr)
{
	int fd;

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
		run("mkdir -p /run/disk && mke2fs /dev/ram0 >/dev/null && "
		    "mount -t ext2 /dev/ram0 /run/disk && "
		    "busybox truncate -s 1400M " CACHE_FILE);
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

static unsigned long field(const char *path, const char *key)
{
	const long long n = read_field(path, key);

	if (n < 0)
		errx(1, "%s: no %s", path, key);
	return n;
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

	migrated = field("/proc/vmstat", "pgmigrate_success ");
	work = shared->work;
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	t = now_ms();
	fd = heap_alloc(heap, size);
	t = now_ms() - t;
	cpu = (clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu) / 1e6;
	f->work_busy += shared->work - work;
	f->migrated += field("/proc/vmstat", "pgmigrate_success ") - migrated;
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
	for (int i = 0; field("/proc/meminfo", "MemFree:") / 4 > nr_area / 8; i++) {
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

	sleep_ms(between(load->pause / 3, load->pause));
	if (load->refill)
		refill();
	f->work_rest += shared->work - work;
	f->rest += now_ms() - t;
	f->used += nr_area - field("/proc/meminfo", "CmaFree:") / 4;
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
	return NULL;
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

/* --- pressure ------------------------------------------------------------- */

#define NR_PROCESSES	8
#define PROCESS		(190 * MB)
#define MAX_FILE	(4 * MB)
#define FILES		"/tmp/heap-pressure"
#define REQUEST		(200 * MB)
#define NR_REQUESTS	17

/*
 * full_area: a buffer of the system heap is in use meanwhile, so the CMA area is
 * as full as the rest of the memory. Then the buffer is released. There is just
 * enough memory outside of the area for the system heap to deliver all buffers,
 * and the chunk heap must, too.
 * short_of_memory: half of what is free is in the area, and little more than
 * 200 MB are free at all. The chunk heap must deliver all buffers.
 * too_little: the requests are bound to fail, although the system heap seems to
 * deliver: its allocations call the OOM killer. The chunk heap must not: neither
 * migration nor the list of its chunks is worth a process.
 */
static const struct filling {
	unsigned long held;		/* buffer of the system heap */
	unsigned long files;
} full_area = { 192 * MB, 146 * MB }, short_of_memory = { 0, 206 * MB },
  too_little = { 0, 316 * MB };

static unsigned int nr_files;
static int held = -1;

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

	set_seed(NR_PROCESSES);
	for (nr_files = 0; rest; rest -= nr) {
		nr = between(1, MAX_FILE / PAGE);
		if (nr > rest)
			nr = rest;
		new_file(numbered(FILES, nr_files++), nr, false);
	}
}

static void fill(const struct filling *f)
{
	int status;

	held = f->held ? heap_alloc(find_heap("system")->fd, f->held) : -1;
	if (f->held && held < 0)
		errx(1, "cannot hold %lu MB", f->held / MB);
	for (nr_processes = 0; nr_processes < NR_PROCESSES; nr_processes++)
		processes[nr_processes] = start(application, nr_processes);
	make_files(f->files);
	for (unsigned int i = 0; i < nr_processes; i++)
		if (waitpid(processes[i], &status, WUNTRACED) < 0 ||
		    !WIFSTOPPED(status))
			errx(1, "process %u ended with %#x", i, status);
	close(held);
}

/* Returns how many requests the heap delivered. */
static int request_all(const struct heap *heap, const struct filling *filling)
{
	static struct figures f;

	memset(&f, 0, sizeof(f));
	fill(filling);
	ksft_print_msg("free before the first request: %lld MB, available %lld MB, in the area %lld MB\n",
		       meminfo("MemFree:") >> 20, meminfo("MemAvailable:") >> 20,
		       meminfo("CmaFree:") >> 20);
	ksft_print_msg("seed %lu, %s, ms:", seed, heap->name);
	while (f.asked < NR_REQUESTS)
		request(heap->fd, REQUEST, &f);
	putchar('\n');
	end_load();
	while (nr_files)
		unlink(numbered(FILES, --nr_files));
	ksft_print_msg("%d of %d requests, %.1f ms on average\n", f.delivered,
		       f.asked, f.busy / f.asked);
	return f.delivered;
}

/* The chunk heap comes first: it meets the memory as the boot left it. */
static void pressure(void)
{
	const struct heap *chunk = find_heap("chunk");
	const struct heap *system = find_heap("system");
	const struct heap *cma = find_heap("cma");
	int got, refused;
	long killed;

	if (!chunk || !system)
		errx(1, "no chunk heap, or no system heap");
	ksft_set_plan(4);
	got = request_all(chunk, &short_of_memory);
	ksft_test_result(got == NR_REQUESTS,
			 "short of memory, the chunk heap delivers all buffers\n");
	got = request_all(chunk, &full_area);
	ksft_test_result(request_all(system, &full_area) == NR_REQUESTS,
			 "with a full area, the system heap delivers all buffers\n");
	ksft_test_result(got == NR_REQUESTS, "and so does the chunk heap\n");
	if (cma)
		request_all(cma, &full_area);
	killed = field("/proc/vmstat", "oom_kill ");
	refused = NR_REQUESTS - request_all(chunk, &too_little);
	killed = field("/proc/vmstat", "oom_kill ") - killed;
	ksft_print_msg("with too little memory, %d requests failed and %ld processes were killed\n",
		       refused, killed);
	ksft_test_result(refused && !killed,
			 "with too little memory, the chunk heap fails and nobody is killed\n");
}

/* --- fit ------------------------------------------------------------------ */

#define FIT_SEED	20210121ULL
#define NR_STEPS	100000U
#define MAX_LIVE	8192U
#define MAX_PAGES	512
#define NR_PINS		50U
#define SAMPLE		100		/* steps */
#define RENEW		8		/* steps */
#define RENEW_PAGES	64UL
#define NR_BUFFERS	2400U		/* "pinned" asks for */
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

static char *movable;
static unsigned long nr_movable;

/* From @min to @max: a number twice as large is three quarters as likely. */
static unsigned int log_rnd(uint64_t *state, unsigned int min, unsigned int max)
{
	unsigned int limit = min;

	while (limit * 2 <= max && rnd(state) % 100 < 75)
		limit *= 2;
	return limit + rnd(state) % (limit * 2 > max ? max - limit + 1 : limit);
}

/* All of it but what is to stay free outside of the area */
static void fill_memory(void)
{
	nr_movable = (meminfo("MemFree:") - meminfo("CmaFree:") - RESERVE) / PAGE;
	movable = map_new(MAP_PRIVATE | MAP_POPULATE, nr_movable * PAGE);
}

static unsigned long movable_in_area(void)
{
	unsigned long nr = 0;

	for (unsigned long i = 0; i < nr_movable; i++)
		nr += in_area(movable + i * PAGE);
	return nr;
}

static struct pin {
	int pipe[2];
	unsigned int next;		/* step to pin or to unpin at */
	bool pinned;
	uint64_t random;
} pins[NR_PINS];

static void init_pins(void)
{
	for (unsigned int i = 0; i < NR_PINS; i++) {
		if (pipe2(pins[i].pipe, O_CLOEXEC))
			err(1, "pipe2");
		pins[i].random = FIT_SEED * (i + 2);
	}
}

/* A reference by get_user_pages_fast(), until the pipe is read. */
static void pin_page(struct pin *p, unsigned long nr)
{
	if (!pin(p->pipe[1], movable + nr * PAGE, PAGE))
		err(1, "vmsplice");
	p->pinned = true;
}

/* The times do not depend on whether a page was found. */
static void update_pin(struct pin *p, unsigned int step)
{
	if (step < p->next)
		return;
	if (p->pinned) {
		if (read(p->pipe[0], page, PAGE) != PAGE)
			err(1, "pipe");
		p->pinned = false;
		p->next = step + rnd(&p->random) % 100;
		return;
	}
	for (int i = 0; i < 16; i++) {
		unsigned long nr = rnd(&p->random) % nr_movable;

		if (!p->pinned && in_area(movable + nr * PAGE))
			pin_page(p, nr);
	}
	p->next = step + log_rnd(&p->random, 1, 10000);
}

/* Old pages go, new ones come, as files are read and programs started. */
static void renew_pages(uint64_t *random)
{
	unsigned long first = rnd(random) % (nr_movable - RENEW_PAGES);
	char *p = movable + first * PAGE;

	madvise(p, RENEW_PAGES * PAGE, MADV_DONTNEED);
	for (unsigned long i = 0; i < RENEW_PAGES; i++)
		p[i * PAGE] = 1;
}

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

static void wait_until(double ms)
{
	struct timespec ts = { .tv_sec = ms / 1e3 };

	ts.tv_nsec = (ms - ts.tv_sec * 1e3) * 1e6;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static void mixed(int heap)
{
	uint64_t requests = FIT_SEED, renewals = FIT_SEED + 1;
	unsigned int step = 0;
	double start;

	fill_memory();
	ksft_print_msg("cma_fit: %lu MB movable, %lu MB of them in the area, %lld MB free, %lld MB of that in the area\n",
		       nr_movable * PAGE / MB, movable_in_area() * PAGE / MB,
		       meminfo("MemFree:") >> 20, meminfo("CmaFree:") >> 20);
	init_pins();
	start = now_ms();
	for (unsigned int l = 0; l < NR_LEVELS; l++) {
		unsigned int end = NR_STEPS * (l + 1) / NR_LEVELS;
		unsigned int asked = 0, failed = 0, samples = 0;
		unsigned long used, used_sum = 0, largest_sum = 0;
		double ms = 0;

		for (; step < end; step++) {
			unsigned int size = buffer_size(&requests), life;
			int fd;

			wait_until(start + step);
			used = release_buffers(step);
			for (unsigned int i = 0; i < NR_PINS; i++)
				update_pin(&pins[i], step);
			if (step % RENEW == 0)
				renew_pages(&renewals);

			life = buffer_life(&requests, levels[l].long_life);
			ms -= now_ms();
			fd = nr_live < MAX_LIVE ? heap_alloc(heap, size * PAGE) : -1;
			ms += now_ms();
			asked++;
			failed += fd < 0;
			if (fd >= 0)
				live[nr_live++] = (struct buffer) {
					step + life, size, fd
				};
			if (step % SAMPLE)
				continue;
			largest_sum += cma_number("reserved", "maxchunk");
			used_sum += used;
			samples++;
		}
		ksft_print_msg("cma_fit: mixed-%u asked %u failed %u used-percent %lu largest-mean %lu alloc-ms %.0f\n",
			       levels[l].percent, asked, failed,
			       used_sum / samples * 100 / nr_area,
			       largest_sum / samples, ms);
	}
}

static void loop(int heap, const char *what)
{
	unsigned int got = 0;
	double ms = now_ms();

	while (got < NR_BUFFERS) {
		int fd = heap_alloc(heap, BUFFER_PAGES * PAGE);

		if (fd < 0)
			break;
		live[got++].fd = fd;
	}
	ms = now_ms() - ms;
	ksft_print_msg("cma_fit: %s asked %u failed %u alloc-ms %.0f\n", what,
		       NR_BUFFERS, NR_BUFFERS - got, ms);
	while (got)
		close(live[--got].fd);
}

static void pinned(int heap)
{
	unsigned long first = 0, inside, nr = 0;
	uint64_t random = FIT_SEED;

	loop(heap, "idle");
	fill_memory();
	init_pins();
	/* Each of the pages in the area as likely as the next one */
	inside = movable_in_area();
	for (unsigned long i = 0; i < nr_movable && nr < NR_PINS; i++) {
		if (!in_area(movable + i * PAGE) ||
		    rnd(&random) % inside-- >= NR_PINS - nr)
			continue;
		pin_page(&pins[nr++], i);
		madvise(movable + first * PAGE, (i - first) * PAGE,
			MADV_DONTNEED);
		first = i + 1;
	}
	madvise(movable + first * PAGE, (nr_movable - first) * PAGE,
		MADV_DONTNEED);
	ksft_print_msg("cma_fit: %lu pages in the area are pinned\n", nr);
	loop(heap, "pinned");
}

int main(int argc, char *argv[])
{
	static struct figures f;
	const char *name, *kind;
	const struct heap *heap;
	const struct load *load;
	unsigned long requests;

	shared = map_new(MAP_SHARED, PAGE);
	if (argc == 4 && !strcmp(argv[1], "compiler")) {
		seed = strtoul(argv[3], NULL, 10);
		set_seed(0);
		compiler(strtoul(argv[2], NULL, 10));
		return 0;
	}
	ksft_print_header();
	if (argc > 1 && !strcmp(argv[1], "pressure")) {
		seed = setting(argv[2], "seed");
		pressure();
		ksft_finished();
	}

	base_pfn = cma_number("reserved", "base_pfn");
	nr_area = cma_number("reserved", "count");
	ksft_set_plan(1);
	if (argc == 3 && !strcmp(argv[1], "fit")) {
		heap = find_heap("cma");
		(strcmp(argv[2], "mixed") ? pinned : mixed)(heap->fd);
		ksft_test_result_pass("%s\n", argv[2]);
		ksft_finished();
	}

	name = getenv("load");
	kind = getenv("heap");
	requests = setting(NULL, "requests");
	seed = setting(NULL, "seed");
	if (!name || !kind || !requests || requests > MAX_REQUESTS)
		errx(1, "load=, heap= or requests= is missing, or wrong");
	load = find_load(name);
	heap = find_heap(kind);
	if (!heap)
		errx(1, "heap=%s: none of system, cma, chunk that is there",
		     kind);

	set_seed(0);
	start_load(load);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(&f, 0, sizeof(f));
		ksft_print_msg("%s, %s, %lu MB, ms:", name, kind, sizes[i] / MB);
		while (f.asked < (int)requests &&
		       f.asked - f.delivered < MAX_FAILURES) {
			rest(load, &f);
			request(heap->fd, sizes[i], &f);
			check_load();
		}
		putchar('\n');
		report(name, kind, sizes[i], &f);
	}
	end_load();
	ksft_test_result_pass("%s, %s: %lu requests of each size, or %d failures\n",
			      name, kind, requests, MAX_FAILURES);
	ksft_finished();
}
