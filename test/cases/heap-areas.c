// SPDX-License-Identifier: GPL-2.0
/*
 * heap-areas - chunk heaps of two CMA areas do not wait for each other
 *
 * A page of one area is pinned, then one is locked, as while storage or a server
 * does not answer. So a request for all of that area tries hard, and fails after
 * 100 ms or more. Meanwhile, single chunks of the other area can be had. Who
 * asks for a chunk of the same area waits, but can be killed, and not for long
 * each time if the first one asks again and again.
 *
 * Pages of processes that fork and exit all the time are not pinned: all of
 * their area can be had. So it can where the one who asks may only use another
 * node, which is full: the pages in the way are not its own.
 *
 * Its plan describes the guest: it has two chunk heaps, and most of the
 * memory is CMA, so that pages of a process lie in an area.
 */
#define _GNU_SOURCE
#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "util.h"

#define MB		SZ_1M
#define NR_AREAS	2
#define NR_REQUESTS	5	/* that try hard */
#define MIN_RATIO	4	/* chunks of the other area, per such request */
#define NR_NEIGHBOUR	40	/* requests for a chunk of the same area */
#define FORGET		1200000	/* us after which what has failed is tried at once */
#define PATIENCE	1500	/* ms at most for trying hard, on a slow machine */
#define UNLOCK		60	/* seconds after which a test must have ended */
#define NR_FORKING	2	/* processes */
#define SIZE		(64 * MB)	/* of memory, to find pages in areas */
#define FORKING_SIZE	(16 * MB)	/* of each process */
#define NODE1		"/sys/devices/system/node/node1"
#define CPUSET		"/sys/fs/cgroup/node0"
#define NODE_SIZE	(600 * MB)	/* of a process, on node 1 */
#define NODE_LEFT	(90 * MB)	/* on node 0, for who asks */

static struct area {
	const struct heap *heap;
	char name[NAME_MAX + 1];	/* in debugfs */
	size_t nr_pages;
	uint64_t base_pfn;
} areas[NR_AREAS];

static int kmsg;

/* The heaps are called AREA-chunked-SIZE. */
static void find_areas(void)
{
	struct area *area = areas;

	open_heaps();
	for (const struct heap *h = heaps; h < heaps + nr_heaps; h++) {
		if (!h->chunk)
			continue;
		REQUIRE(area < areas + NR_AREAS);
		area->heap = h;
		strcpy(area->name, h->name);
		*strstr(area->name, "-chunked-") = '\0';
		if (!strcmp(area->name, "default_cma_region"))
			strcpy(area->name, "reserved");
		area->base_pfn = cma_number(area->name, "base_pfn");
		area->nr_pages = cma_number(area->name, "count");
		REQUIRE((long)area->nr_pages > 0);
		area++;
	}
	REQUIRE(area == areas + NR_AREAS);
}

/* Which area the page at an address lies in, or -1. */
static int area_of(const char *p)
{
	const uint64_t pfn = pfn_of(p);

	for (int i = 0; i < NR_AREAS; i++)
		if (pfn - areas[i].base_pfn < areas[i].nr_pages)
			return i;
	return -1;
}

/* Memory: how many of its pages lie in each area, and the last of them. */
static char *in_areas(int flags, size_t size, size_t nr[NR_AREAS])
{
	char *p = map_new(flags, size), *page = NULL;

	for (char *at = p; at < p + size; at += page_size) {
		int i;

		*at = 1;
		i = area_of(at);
		if (i >= 0) {
			nr[i]++;
			page = at;
		}
	}
	return page;
}

/* Pins a page that lies in one of the areas, and returns which. */
static int pin_one(int pipes[2])
{
	size_t nr[NR_AREAS] = { };
	char *page = in_areas(MAP_PRIVATE, SIZE, nr);

	REQUIRE(page && !pipe(pipes) && pin(pipes[1], page, page_size));
	return area_of(page);
}

/*
 * Locks a page of tmpfs that lies in one of the areas, and returns which. If
 * nothing else helps, it is unlocked after a minute: who waits for the lock
 * cannot be killed.
 */
static int lock_one(int *importer, pid_t *timer)
{
	size_t nr[NR_AREAS] = { };
	char *page = in_areas(MAP_SHARED, SIZE, nr);
	uint64_t addr = (uintptr_t)page;

	*importer = open("/dev/dmabuf-importer", O_RDWR | O_CLOEXEC);
	REQUIRE(page && !ioctl(*importer, IMPORTER_LOCK, &addr));
	*timer = CHILD((sleep(UNLOCK), ioctl(*importer, IMPORTER_UNLOCK)));
	return area_of(page);
}

/* Allocate and release single chunks for ever, and count them. */
static void take_chunks(const struct area *area, volatile unsigned int *count)
{
	for (;;) {
		int fd = heap_alloc(area->heap->fd, area->heap->chunk);

		REQUIRE(fd >= 0);
		close(fd);
		++*count;
		usleep(1000);
	}
}

/* All of the area */
static int allocate_all(const struct area *area)
{
	return heap_alloc(area->heap->fd, area->nr_pages * page_size);
}

/* The same, which fails. Returns how long that took, in ms. */
static double fail(const struct area *area)
{
	const double began = now_ms();
	const int fd = allocate_all(area);

	CHECK(fd == -ENOMEM);
	close(fd);
	return now_ms() - began;
}

static void keep_failing(const struct area *area, useconds_t pause)
{
	for (;; usleep(pause))
		fail(area);
}

/* Allocate all but one chunk, and release it. */
static bool most(const struct area *area)
{
	const size_t size = area->nr_pages * page_size - area->heap->chunk;
	const int fd = heap_alloc(area->heap->fd, size);

	close(fd);
	return fd >= 0;
}

/*
 * Where a request for all of it fails, again and again, all but one chunk can be
 * had each time: what the one did get is back before the next one has its turn.
 */
static bool most_each_time(const struct area *area)
{
	const double began = now_ms();
	bool ok = true;

	do {
		ok &= most(area);
		usleep(FORGET / 6);
	} while (now_ms() - began < 3 * FORGET / 1000);
	return ok;
}

/* As fail(), but cma_alloc() waits for the page as long as it takes. */
static void by_cma_alloc(const struct area *area)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CMA_DIR "/%s/alloc", area->name);
	if (write_file(path, "%zu", area->nr_pages))
		return;
	snprintf(path, sizeof(path), CMA_DIR "/%s/free", area->name);
	write_file(path, "%zu", area->nr_pages);
}

/*
 * Kill a request that waits for the first one, and see if it ends before that
 * one does.
 */
static bool kill_waiter(const struct area *area, bool cma_alloc, pid_t *first,
			volatile unsigned int *step)
{
	pid_t waiter;
	bool ok;

	usleep(FORGET);
	kmsg_count(kmsg, "");
	*step = 0;
	*first = CHILD((*step = 1, cma_alloc ? by_cma_alloc(area) :
			(void)fail(area), *step = 2));
	while (!*step)
		usleep(1000);
	usleep(20000);
	waiter = CHILD(close(heap_alloc(area->heap->fd, area->heap->chunk)));
	usleep(20000);
	ok = !waitpid(waiter, NULL, WNOHANG);
	end_child(waiter);
	return ok && *step == 1;
}

/* How long a chunk takes, on average, in ms. */
static double neighbour(const struct area *area)
{
	double ms = 0;

	for (int i = 0; i < NR_NEIGHBOUR; i++) {
		const double began = now_ms();
		const int fd = heap_alloc(area->heap->fd, area->heap->chunk);

		REQUIRE(fd >= 0);
		ms += now_ms() - began;
		close(fd);
		usleep(5000);
	}
	return ms / NR_NEIGHBOUR;
}

/* How long a request for all of the area, or its end, takes once it has the chunks. */
static double clear_all(const struct area *area, bool killed)
{
	const pid_t pid = CHILD(CHECK(allocate_all(area) >= 0));
	double began;

	while (cma_number(area->name, "used") < (long long)area->nr_pages &&
	       !waitpid(pid, NULL, WNOHANG))
		;
	began = now_ms();
	if (killed)
		end_child(pid);
	else
		CHECK(ended_well(pid));
	return now_ms() - began;
}

/* Who is killed does not clear the rest of the buffer. */
static void test_clear(const struct area *area)
{
	const double ms = clear_all(area, false);
	double least = ms;

	for (int i = 0; i < 5; i++) {
		const double end = clear_all(area, true);

		least = end < least ? end : least;
	}
	ksft_print_msg("to clear and release takes %.0f ms, %.0f ms if killed\n",
		       ms, least);
	CHECK(2 * least < ms);
}

static void test_log(const struct area *area)
{
	const struct heap *h = area->heap;
	char text[400];

	snprintf(text, sizeof(text), "%s: %lu bytes are more than the area has",
		 h->name, 1UL << 40);
	CHECK(heap_alloc(h->fd, 1UL << 40) == -ENOMEM);
	CHECK(kmsg_count(kmsg, text));
	CHECK(heap_alloc(h->fd, 1) >= 0);
	CHECK(allocate_all(area) == -ENOMEM);
	CHECK(kmsg_count(kmsg, " chunks: the area is in use"));
}

/* Tells how many of its pages lie in each area, and forks for ever. */
static void keep_forking(size_t nr[NR_AREAS])
{
	in_areas(MAP_PRIVATE, FORKING_SIZE, nr);
	raise(SIGSTOP);
	for (;;)
		waitpid(CHILD(), NULL, 0);
}

/* Their pages are about to be freed, or to be copied, at any time. */
static void test_forking(void)
{
	const long factor = setting(NULL, "slow");	/* SLOW= of make */
	size_t sum[NR_AREAS] = { }, (*nr)[NR_AREAS];
	pid_t pid[NR_FORKING];
	int busy, fd = -1;

	nr = map_new(MAP_SHARED, sizeof(*nr) * NR_FORKING);
	for (int i = 0; i < NR_FORKING; i++)
		pid[i] = CHILD(keep_forking(nr[i]));
	for (int i = 0; i < NR_FORKING; i++) {
		waitpid(pid[i], NULL, WUNTRACED);
		for (int j = 0; j < NR_AREAS; j++)
			sum[j] += nr[i][j];
		kill(pid[i], SIGCONT);
	}
	busy = sum[1] > sum[0];
	/* Patience that does not begin anew with each chunk fails in the first. */
	for (int i = 0; i < factor && fd < 0; i++) {
		usleep(FORGET);
		fd = allocate_all(&areas[busy]);
	}
	for (int i = 0; i < NR_FORKING; i++)
		end_child(pid[i]);
	CHECK(sum[busy]);
	CHECK(fd >= 0);
}

/* Pages of a node, until only so much of it is free, or so much is mapped. */
static void fill_node(unsigned long node, size_t left, size_t size)
{
	const unsigned long mask = 1UL << node;
	char path[60], key[30];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%lu/meminfo",
		 node);
	snprintf(key, sizeof(key), "Node %lu MemFree:", node);
	REQUIRE(!syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask)));
	for (size_t n = 0; n < size; n += 16 * MB) {
		if ((size_t)read_field(path, key) * 1024 < left + 16 * MB)
			break;
		memset(map_new(MAP_PRIVATE, 16 * MB), 1, 16 * MB);
	}
	raise(SIGSTOP);
}

/* A process for a node's memory, which it has when this returns. */
static pid_t node_filler(unsigned long node, size_t left, size_t size)
{
	pid_t pid = CHILD(fill_node(node, left, size));

	REQUIRE(waitpid(pid, NULL, WUNTRACED) == pid);
	return pid;
}

/* All of it, for who may use node 0 only. */
static void test_confined(const struct area *area)
{
	REQUIRE(!write_file(CPUSET "/cgroup.procs", "0"));
	CHECK(allocate_all(area) >= 0);
}

static void test_cpuset(const struct area *area)
{
	pid_t pid[2];

	mkdir("/sys/fs/cgroup", 0755);
	REQUIRE(!mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL));
	REQUIRE(!write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset"));
	REQUIRE(!mkdir(CPUSET, 0755));
	REQUIRE(!write_file(CPUSET "/cpuset.mems", "0"));
	pid[0] = node_filler(1, 0, NODE_SIZE);
	pid[1] = node_filler(0, NODE_LEFT, SIZE_MAX);
	CHECK(ended_well(CHILD(test_confined(area))));
	end_child(pid[0]);
	end_child(pid[1]);
}

/* What others have to bear while a page of an area cannot be moved. */
static void test_busy(int busy, const char *what)
{
	volatile unsigned int *count;
	unsigned int before, got = 0;
	double ms = 0, beside, began, limit;
	bool ok;
	pid_t pid;

	count = map_new(MAP_SHARED, page_size);
	pid = CHILD(take_chunks(&areas[!busy], count));
	while (*count < 3 && !waitpid(pid, NULL, WNOHANG))
		usleep(1000);

	usleep(FORGET);
	kmsg_count(kmsg, "");
	fail(&areas[busy]);
	ksft_test_result(kmsg_count(kmsg, "there are pages that cannot be moved"),
			 "%sthe log says why a request fails\n", what);

	for (int i = 0; i < NR_REQUESTS; i++) {
		usleep(FORGET);
		before = *count;
		ms += fail(&areas[busy]);
		got += *count - before;
	}
	ok = !kill(pid, 0) && !waitpid(pid, NULL, WNOHANG);
	end_child(pid);
	ksft_print_msg("%d requests for all of %s, each of which fails, in %.0f ms; meanwhile %u chunks from %s\n",
	       NR_REQUESTS, areas[busy].heap->name, ms, got,
		       areas[!busy].heap->name);
	ksft_test_result(ok && ms >= 100 * NR_REQUESTS &&
			 got >= MIN_RATIO * NR_REQUESTS,
			 "%srequests of one area do not wait for those of the other\n",
			 what);
	ms /= NR_REQUESTS;

	ok = false;
	for (int i = 0; i < 5 && !ok; i++) {
		ok = kill_waiter(&areas[busy], false, &pid, count);
		end_child(pid);
	}
	ksft_test_result(ok && !kmsg_count(kmsg, " chunks: "),
			 "%sa request that waits can be killed, and the log does not ask why it failed\n",
			 what);

	limit = PATIENCE;
	began = now_ms();
	ok = most(&areas[busy]);
	/* The kernel rt unmaps each page that is free, and maps each that is not. */
	if (!access(NODE1, F_OK))
		limit += now_ms() - began;
	pid = CHILD(keep_failing(&areas[busy], 0));
	usleep(FORGET / 2);
	beside = neighbour(&areas[busy]);
	end_child(pid);
	/* While the area is in use, it fails at once, and not so often as to flood the log. */
	pid = CHILD(keep_failing(&areas[busy], FORGET / 2));
	ok &= most_each_time(&areas[busy]);
	end_child(pid);
	ksft_print_msg("one chunk takes %.1f ms beside requests that fail, and one of these %.0f ms, of %.0f\n",
		       beside, ms, limit);
	ksft_test_result(ms < limit && 3 * beside < ms,
			 "%sa hopeless request lets others go ahead\n", what);
	ksft_test_result(ok, "%sand leaves them what it does not get\n", what);
}

int main(void)
{
	const bool nodes = !access(NODE1, F_OK);
	volatile unsigned int *count;
	int busy, pipes[2], importer;
	pid_t timer, pid;
	bool ok;

	ksft_print_header();
	ksft_set_plan(14);
	kmsg = kmsg_open();
	find_areas();

	/* Where pages that move are taken from the area before all else. */
	REQUIRE(!nodes || !syscall(SYS_set_mempolicy, MPOL_PREFERRED,
				   &(unsigned long){ 1UL << 1 },
				   8 * sizeof(long)));
	TEST(test_log(&areas[0]), "the log says why a request fails\n");
	TEST(test_forking(), "pages of processes that fork can be moved\n");
	if (!nodes)
		TEST(test_clear(&areas[0]), "who is killed clears no buffer\n");
	else
		TEST(test_cpuset(&areas[1]),
		     "pages of another node can be moved there\n");

	busy = pin_one(pipes);
	test_busy(busy, "a pinned page: ");
	close(pipes[0]);
	close(pipes[1]);

	busy = lock_one(&importer, &timer);
	test_busy(busy, "a locked page: ");
	count = map_new(MAP_SHARED, page_size);
	ok = kill_waiter(&areas[busy], true, &pid, count);
	REQUIRE(!ioctl(importer, IMPORTER_UNLOCK));
	ksft_test_result(ended_well(pid) && ok,
			 "a request that waits for cma_alloc() can be killed\n");
	end_child(timer);
	ksft_finished();
}
