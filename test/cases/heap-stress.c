// SPDX-License-Identifier: GPL-2.0
/*
 * heap-stress SECONDS - all heaps at once, and processes that die
 *
 * Workers of two threads each allocate, map, write, verify and release buffers
 * of random sizes, fork, and are killed at random, half of the times within an
 * allocation. Meanwhile others allocate from CMA through debugfs, fill memory,
 * drop caches and compact the memory.
 *
 * No two live buffers may share a page: each page frame has a word with the id
 * of its buffer, from after the allocation until before the release. The page
 * frames come from test/cases/modules/importer.c: /proc/self/pagemap shows
 * mappings with VM_PFNMAP as holes. Each page of a buffer also has stamps, which
 * whoever has the buffer verifies.
 *
 * What a killed worker had claimed must be cleared before the memory can be
 * allocated again. So each worker has a keeper, which is not killed and shares
 * the worker's file descriptors: when a worker dies its buffers stay, the
 * keeper clears their words and then closes them. One worker in four has
 * descriptors of its own, so that its buffers are released when it dies; these
 * have stamps only.
 *
 * The seed is in the environment, from the kernel's command line. It makes the
 * threads do the same, but not at the same time.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "util.h"

#define NR_KEEPERS	6
#define NR_THREADS	2		/* of a worker */
#define NR_BUFFERS	4		/* of a thread */
#define NR_HOGS		4		/* the first two with tmpfs */
#define MAX_PFN		(1UL << 24)
#define MAX_SYSTEM	SZ_2M		/* a buffer of the system heap */
#define MAX_FDS		256		/* of a worker */
#define TMPFS_SIZE	(16 * SZ_1M)	/* of a hog */
/* What the hogs leave for the other users of memory, the page tables, ... */
#define ROOM		(NR_KEEPERS * NR_THREADS * (NR_BUFFERS + 1) *	\
			 MAX_SYSTEM + 2 * TMPFS_SIZE + 192 * SZ_1M)
#define MAX_HOGS	(1024 * SZ_1M)

enum check { SHARED, CONTENT, ERRNO, MEMORY, NR_CHECKS };

static const char * const check_name[NR_CHECKS] = {
	[SHARED] = "no two live buffers share a page",
	[CONTENT] = "new buffers are zeroed, and buffers keep their content",
	[ERRNO] = "no errors but ENOMEM, no unexpected end of a process",
	[MEMORY] = "files and anonymous memory keep their content",
};

/* For all processes. */
struct shared {
	bool stop;
	uint32_t bad[NR_CHECKS];
	uint64_t max_pfn;
	uint64_t delivered[MAX_HEAPS];
	uint64_t claimed, verified, forks, cma, hogged, in_tmpfs;
	uint64_t kills, kills_in_alloc, compactions, drops;
	size_t leave;			/* of CMA, when the hogs begin */
	uint32_t full;			/* hogs that have begun */
	struct slot {
		uint32_t ids, allocating, actions;
		uint32_t id[MAX_FDS];	/* of the buffer, with its stamps */
	} slot[NR_KEEPERS];
};

struct buffer {
	uint32_t id;
	int fd;
	size_t size;
	char *p;
	struct importer_page *pages;	/* claimed; NULL: has stamps only */
};

struct thread {
	struct slot *slot;
	bool kept;
	uint64_t state;
	struct buffer buffer[NR_BUFFERS];
	unsigned int nr;
};

static struct heap_list areas;
static char largest[NAME_MAX + 1];
static size_t largest_area, hog_size;
static int filler = -1;		/* a buffer, until the hogs have begun */
/* Before the test: pages of all areas, and their largest free ranges. */
static long long used_before, free_before, migrated_before;

static struct shared *sh;
static uint32_t *owner;
static uint64_t seed;

#define ADD(p, n)	__atomic_fetch_add(p, n, __ATOMIC_RELAXED)
#define EXCHANGE(p, from, to)						\
	__atomic_compare_exchange_n(p, from, to, false, __ATOMIC_SEQ_CST, \
				    __ATOMIC_SEQ_CST)

/* The first of each check has a line; the others may follow from it. */
#define REPORT(check, fmt, ...) do {					\
	if (!ADD(&sh->bad[check], 1))					\
		ksft_print_msg(fmt "\n", ##__VA_ARGS__);		\
	STORE(&sh->stop, true);						\
} while (0)

static uint64_t state_for(uint64_t who, uint64_t what)
{
	return rnd_state((seed << 40) ^ (who << 32) ^ what);
}

/* --- pages ---------------------------------------------------------------- */

/* The first and the last word of each page. */
static uint64_t stamp(uint64_t id, size_t page)
{
	return (id << 32 | page) * 0x9e3779b97f4a7c15ULL | 1;
}

static uint64_t *first_word(char *p, size_t page)
{
	return (uint64_t *)(p + page * page_size);
}

static uint64_t *last_word(char *p, size_t page)
{
	return first_word(p, page + 1) - 1;
}

static void write_stamps(char *p, size_t size, uint32_t id)
{
	for (size_t i = 0; i < size / page_size; i++) {
		STORE(first_word(p, i), stamp(id, i));
		STORE(last_word(p, i), ~stamp(id, i));
	}
}

static void verify_stamps(enum check c, char *p, size_t size, uint32_t id)
{
	for (size_t i = 0; i < size / page_size; i++) {
		const uint64_t first = LOAD(first_word(p, i));
		const uint64_t last = LOAD(last_word(p, i));

		if (first == stamp(id, i) && last == ~stamp(id, i))
			continue;
		REPORT(c, "%#x, page %zu of %zu: %#lx, %#lx", id, i,
		       size / page_size, first, last);
		return;
	}
	ADD(&sh->verified, c == CONTENT);
}

static void is_zero(struct thread *t, const struct buffer *b)
{
	const size_t nr = b->size / page_size, whole = rnd(&t->state) % 16;

	for (size_t i = 0; i < nr; i++) {
		const uint64_t *word = first_word(b->p, i);

		if (word[0] || *last_word(b->p, i) ||
		    (i % 16 == whole &&
		     memcmp(word, word + 1, page_size - sizeof(*word))))
			REPORT(CONTENT, "page %zu of %zu of a new buffer is not zeroed",
			       i, nr);
	}
}

/* All pages of a buffer: they belong to @from, and to @to from now on. */
static bool change_owner(const struct buffer *b, uint32_t from, uint32_t to)
{
	for (size_t i = 0; i < b->size / page_size; i++) {
		const uint64_t pfn = b->pages[i].pfn;
		uint64_t max = LOAD(&sh->max_pfn);
		uint32_t old = from;

		if (pfn >= MAX_PFN) {
			REPORT(SHARED, "page frame %#lx is beyond the map", pfn);
			return false;
		}
		while (pfn > max && !EXCHANGE(&sh->max_pfn, &max, pfn))
			;
		if (!EXCHANGE(&owner[pfn], &old, to)) {
			REPORT(SHARED, "page frame %#lx is in buffers %#x and %#x",
			       pfn, old, b->id);
			return false;
		}
	}
	return true;
}

static void unclaim_all(const struct slot *slot)
{
	const uint64_t max = LOAD(&sh->max_pfn);

	for (uint64_t pfn = 0; pfn <= max; pfn++)
		if (LOAD(&owner[pfn]) >> 24 == slot - sh->slot + 1)
			__atomic_store_n(&owner[pfn], 0, __ATOMIC_SEQ_CST);
}

/* --- buffers -------------------------------------------------------------- */

static char *map(int fd, size_t size, int prot)
{
	char *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED && errno != ENOMEM)
		REPORT(ERRNO, "mmap: %s", strerror(errno));
	return p == MAP_FAILED ? NULL : p;
}

static void sync_buffer(int fd, uint64_t flags)
{
	if (heap_sync(fd, flags))
		REPORT(ERRNO, "DMA_BUF_IOCTL_SYNC: %s", strerror(errno));
}

/* Whether the buffer, if it is mapped, has what was written to it. */
static void verify(const struct buffer *b)
{
	if (!b->p)
		return;
	sync_buffer(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	verify_stamps(CONTENT, b->p, b->size, b->id);
	sync_buffer(b->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

/* A buffer whose owner may be gone or release it at any time. */
static void verify_foreign(int fd, uint32_t id)
{
	struct buffer b = { .id = id, .fd = fd, .size = lseek(fd, 0, SEEK_END) };

	b.p = map(fd, b.size, PROT_READ);
	verify(&b);
	munmap(b.p, b.p ? b.size : 0);
}

/* --- workers -------------------------------------------------------------- */

static size_t random_size(struct thread *t, int heap)
{
	const size_t pages = 1UL << rnd(&t->state) % 13;
	size_t size = (pages + rnd(&t->state) % pages) * page_size;

	if (!strcmp(heaps[heap].name, "system"))
		return size < MAX_SYSTEM ? size : MAX_SYSTEM;
	if (rnd(&t->state) % 16 == 0)
		size = rnd(&t->state) % largest_area + 1;
	return size - rnd(&t->state) % page_size;
}

static void set_id(struct slot *slot, int fd, uint32_t id)
{
	if (fd >= MAX_FDS)
		REPORT(ERRNO, "descriptor %d", fd);
	else
		STORE(&slot->id[fd], id);
}

static void allocate(struct thread *t)
{
	const int heap = rnd(&t->state) % nr_heaps;
	const size_t size = random_size(t, heap);
	struct buffer *b = &t->buffer[t->nr];

	memset(b, 0, sizeof(*b));
	ADD(&t->slot->allocating, 1);
	b->fd = heap_alloc(heaps[heap].fd, size);
	ADD(&t->slot->allocating, -1);
	if (b->fd < 0) {
		if (b->fd != -ENOMEM && b->fd != -EINTR)
			REPORT(ERRNO, "%s: %zu bytes: %s", heaps[heap].name,
			       size, strerror(-b->fd));
		return;
	}
	ADD(&sh->delivered[heap], 1);
	/* The number of the slot is in the upper byte. */
	b->id = (t->slot - sh->slot + 1) << 24 |
		(ADD(&t->slot->ids, 1) & 0xffffff);
	b->size = lseek(b->fd, 0, SEEK_END);
	if (b->size < size)
		REPORT(CONTENT, "%s: %zu bytes instead of %zu",
		       heaps[heap].name, b->size, size);
	if (t->kept) {
		b->pages = importer_look(b->fd, b->size / page_size);
		if (!b->pages && errno != ENOMEM)
			REPORT(ERRNO, "importer: %s", strerror(errno));
		if (b->pages && !change_owner(b, 0, b->id))
			return;		/* the test has failed: keep it */
		ADD(&sh->claimed, b->pages != NULL);
	}
	b->p = map(b->fd, b->size, PROT_READ | PROT_WRITE);
	if (b->p) {
		is_zero(t, b);
		sync_buffer(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
		write_stamps(b->p, b->size, b->id);
		sync_buffer(b->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
		set_id(t->slot, b->fd, b->id);
	}
	t->nr++;
}

static void release(struct thread *t, struct buffer *b)
{
	verify(b);
	set_id(t->slot, b->fd, 0);
	if (b->pages)
		change_owner(b, b->id, 0);
	munmap(b->p, b->p ? b->size : 0);
	close(b->fd);
	free(b->pages);
	*b = t->buffer[--t->nr];
}

/* A child has the mapping and the descriptor, maybe for longer than we do. */
static void fork_child(struct thread *t, const struct buffer *b)
{
	const double end = now_ms() + rnd(&t->state) % 50;
	pid_t pid;

	if (!b->p)
		return;
	pid = fork();
	if (pid < 0 && errno != ENOMEM && errno != EAGAIN)
		REPORT(ERRNO, "fork: %s", strerror(errno));
	ADD(&sh->forks, pid > 0);
	if (pid)
		return;
	do {
		verify(b);
		verify_foreign(b->fd, b->id);
		usleep(1000);
	} while (now_ms() < end && !LOAD(&sh->stop));
	_exit(0);
}

static void ended(const char *who, int status, bool may_be_killed)
{
	const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	if (status && !(killed && may_be_killed))
		REPORT(ERRNO, "a %s had status %#x", who, status);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	int status;

	while (!LOAD(&sh->stop)) {
		const unsigned int what = rnd(&t->state) % 16;
		struct buffer *b = t->nr ?
				   &t->buffer[rnd(&t->state) % t->nr] : NULL;

		while (waitpid(-1, &status, WNOHANG) > 0)
			ended("child", status, true);
		if (what < 6 && t->nr < NR_BUFFERS)
			allocate(t);
		else if (!b)
			continue;
		else if (what < 11)
			verify(b);
		else if (what < 13)
			fork_child(t, b);
		else
			release(t, b);
		ADD(&t->slot->actions, 1);
	}
	return NULL;
}

static void worker(struct slot *slot, bool kept, uint64_t generation)
{
	static struct thread thread[NR_THREADS];
	pthread_t unused;

	setpgid(0, 0);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		thread[i].slot = slot;
		thread[i].kept = kept;
		thread[i].state = state_for(slot - sh->slot,
					    generation * NR_THREADS + i);
		if (i && pthread_create(&unused, NULL, run_thread, &thread[i]))
			break;		/* out of memory */
	}
	run_thread(&thread[0]);
	/* The rest is for the keeper, as if we had been killed. */
	_exit(0);
}

/* --- keepers -------------------------------------------------------------- */

/* Half of the times within an allocation, else at any time. */
static void kill_worker(const struct slot *slot, pid_t pid, uint64_t *state)
{
	const double end = now_ms() + 20;

	if (rnd(state) % 2)
		usleep(rnd(state) % 50000);
	else
		while (!LOAD(&slot->allocating) && now_ms() < end)
			sched_yield();
	ADD(&sh->kills_in_alloc, LOAD(&slot->allocating) > 0);
	ADD(&sh->kills, 1);
	/* With its children, or without */
	kill(rnd(state) % 2 ? -pid : pid, SIGKILL);
}

/*
 * A worker is killed when it has done so many actions, however slow the machine
 * is. The keeper itself opens nothing from @first_fd on.
 */
static void keep_one(struct slot *slot, uint64_t generation, uint64_t *state,
		     int first_fd)
{
	const uint32_t actions = 1 + rnd(state) % 12;
	const bool kept = rnd(state) % 4;
	bool killed = false;
	pid_t pid, gone;
	int status;

	STORE(&slot->allocating, 0);
	STORE(&slot->actions, 0);
	pid = syscall(SYS_clone, SIGCHLD | (kept ? CLONE_FILES : 0), NULL, NULL,
		      NULL, NULL);
	if (!pid)
		worker(slot, kept, generation);
	if (pid < 0) {
		if (errno != ENOMEM && errno != EAGAIN)
			REPORT(ERRNO, "clone: %s", strerror(errno));
		return;
	}
	setpgid(pid, pid);
	for (;;) {
		while ((gone = waitpid(-1, &status, WNOHANG)) > 0 &&
		       gone != pid)
			ended("child", status, true);
		if (gone == pid)
			break;
		if (!killed && LOAD(&slot->actions) >= actions) {
			kill_worker(slot, pid, state);
			killed = true;
		}
		usleep(2000);
	}
	ended("worker", status, killed);
	for (int fd = first_fd; fd < MAX_FDS; fd++) {
		if (kept && slot->id[fd])
			verify_foreign(fd, slot->id[fd]);
		slot->id[fd] = 0;
	}
	unclaim_all(slot);
	syscall(SYS_close_range, first_fd, ~0U, 0);
}

static void keeper(unsigned int nr)
{
	const int first_fd = heaps[nr_heaps - 1].fd + 1;
	uint64_t state = state_for(nr, 1ULL << 31);
	int status;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (uint64_t i = 0; !LOAD(&sh->stop); i++)
		keep_one(&sh->slot[nr], i, &state, first_fd);
	/* The children of those that were killed see the end, too. */
	while (waitpid(-1, &status, 0) > 0)
		ended("child", status, true);
}

/* --- the rest of the system ----------------------------------------------- */

/* Returns 0, or -ENOMEM if that may be. */
static int set(const char *path, long long nr, int may_be)
{
	const int ret = write_file(path, "%lld", nr);

	if (ret && ret != may_be)
		REPORT(ERRNO, "%s: %s", path, strerror(-ret));
	return ret;
}

/* cma_alloc() of any number of pages. Nobody knows where the pages are. */
static void cma_user(unsigned int nr)
{
	char alloc[sizeof(CMA_DIR) + NAME_MAX + 10], free[sizeof(alloc)];
	uint64_t state = state_for(64, nr);
	long long held = 0, pages;

	snprintf(alloc, sizeof(alloc), CMA_DIR "/%s/alloc", areas.name[nr]);
	snprintf(free, sizeof(free), CMA_DIR "/%s/free", areas.name[nr]);
	while (!LOAD(&sh->stop)) {
		if (rnd(&state) % 2) {
			pages = 1 + rnd(&state) % (1UL << rnd(&state) % 13);
			if (!set(alloc, pages, -ENOMEM)) {
				held += pages;
				ADD(&sh->cma, 1);
			}
		} else if (held) {
			pages = 1 + rnd(&state) % held;
			set(free, pages, 0);
			held -= pages;
		}
		usleep(rnd(&state) % 10000);
	}
	if (held)
		set(free, held, 0);
}

/*
 * Memory that comes and goes: anonymous, some of it huge, or of tmpfs, and then
 * mapped only while it is looked at.
 */
static void hog(unsigned int nr)
{
	const bool tmpfs = nr < 2;
	const size_t size = tmpfs ? TMPFS_SIZE : hog_size;
	const size_t area = tmpfs ? SZ_2M : 8 * SZ_1M, nr_areas = size / area;
	uint32_t *id = calloc(nr_areas + 1, sizeof(*id)), ids = nr << 24;
	uint64_t state = state_for(65, nr);
	char *p;

	close(filler);
	p = map_new(MAP_NORESERVE | (tmpfs ? MAP_SHARED : MAP_PRIVATE), size);
	REQUIRE(id && nr_areas);
	if (nr % 2)
		madvise(p, size, MADV_HUGEPAGE);
	for (size_t i = 0; i < nr_areas && sh->leave &&
	     meminfo("CmaFree:") > (long long)sh->leave; i++) {
		id[i] = ++ids;
		write_stamps(p + i * area, area, id[i]);
	}
	ADD(&sh->full, 1);
	while (!LOAD(&sh->stop)) {
		const size_t i = rnd(&state) % nr_areas;
		char *at = p + i * area;

		if (!id[i]) {
			id[i] = ++ids;
			write_stamps(at, area, id[i]);
			ADD(tmpfs ? &sh->in_tmpfs : &sh->hogged, 1);
			continue;
		}
		verify_stamps(MEMORY, at, area, id[i]);
		if (rnd(&state) % 4 == 0) {
			madvise(at, area, tmpfs ? MADV_REMOVE : MADV_DONTNEED);
			id[i] = 0;
		} else if (tmpfs) {
			madvise(at, area, MADV_DONTNEED);
		}
		usleep(1000);
	}
}

static void compacter(unsigned int nr)
{
	uint64_t state = state_for(66, nr);

	/* From here on without a line in the log */
	set("/proc/sys/vm/drop_caches", 4, 0);
	while (!LOAD(&sh->stop)) {
		if (rnd(&state) % 2) {
			set("/proc/sys/vm/compact_memory", 1, 0);
			ADD(&sh->compactions, 1);
		} else {
			set("/proc/sys/vm/drop_caches", 1 + rnd(&state) % 3, 0);
			ADD(&sh->drops, 1);
		}
		usleep(rnd(&state) % 100000);
	}
}

/* --- the beginning and the end -------------------------------------------- */

static void all_released(void)
{
	for (uint64_t pfn = 0; pfn <= sh->max_pfn; pfn++)
		if (!CHECK(!owner[pfn])) {
			ksft_print_msg("page frame %#lx still belongs to %#x\n",
				       pfn, owner[pfn]);
			break;
		}
	CHECK(cma_sum("used") == used_before);
}

/* As one block, and as one buffer of each chunk heap. */
static void all_available(void)
{
	CHECK(cma_sum("maxchunk") == free_before);
	/*
	 * The heaps' areas are not known, but the largest is one of them. The
	 * kernel itself may have some of it, as it had at the start.
	 */
	for (const struct heap *h = heaps; h < heaps + nr_heaps; h++) {
		long long size;
		int fd;

		if (!h->chunk)
			continue;
		size = cma_free_chunks(largest, h->chunk / page_size) * h->chunk;
		fd = heap_alloc(h->fd, size);
		if (!CHECK(fd >= 0))
			ksft_print_msg("%s: %lld bytes: %s\n", h->name, size,
				       strerror(-fd));
		close(fd);
	}
}

/*
 * That nothing goes wrong is no news where nothing happens: what has not, the
 * first of it, or NULL.
 */
static const char *missing(void)
{
	const struct {
		const char *what;
		uint64_t nr;
	} counts[] = {
		{ "a buffer whose pages were claimed", LOAD(&sh->claimed) },
		{ "a buffer that was verified", LOAD(&sh->verified) },
		{ "a child", LOAD(&sh->forks) },
		{ "a worker killed", LOAD(&sh->kills) },
		{ "one within an allocation", LOAD(&sh->kills_in_alloc) },
		{ "an allocation through debugfs", LOAD(&sh->cma) },
		{ "a compaction", LOAD(&sh->compactions) },
		{ "caches dropped", LOAD(&sh->drops) },
		{ "anonymous memory again", LOAD(&sh->hogged) },
		{ "memory of tmpfs again", LOAD(&sh->in_tmpfs) },
		{ "a page migrated", migrated() - migrated_before },
	};

	for (int i = 0; i < nr_heaps; i++)
		if (!LOAD(&sh->delivered[i]))
			return heaps[i].name;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (!counts[i].nr)
			return counts[i].what;
	return NULL;
}

static void start(void (*fn)(unsigned int), unsigned int nr)
{
	while (nr--)
		CHILD(fn(nr));
}

/*
 * What the hogs write has to move when buffers are allocated. It goes to the
 * areas while more than half of what is free lies there: a buffer of the system
 * heap takes the rest for so long.
 */
static void fill_areas(void)
{
	const size_t cma = meminfo("CmaFree:");
	const long long rest = free_outside() - cma / 2;
	const double end = now_ms() + 30000;

	if (rest > 0)
		filler = heap_alloc(heap_open("system"), rest - rest % page_size);
	sh->leave = filler < 0 ? 0 : cma / 2;
	start(hog, NR_HOGS);
	while (LOAD(&sh->full) < NR_HOGS && now_ms() < end)
		usleep(10000);
	close(filler);
}

int main(int argc, char **argv)
{
	const long seconds = (argc > 1 ? atol(argv[1]) : 0) *
			     setting(NULL, "slow");	/* SLOW= of make */
	const char *what;
	size_t memory, cma;
	int status;
	double end, last;

	ksft_print_header();
	if (seconds <= 0)
		ksft_exit_fail_msg("usage: %s SECONDS\n", argv[0]);
	seed = setting(NULL, "seed");
	debugfs_mount();
	if (!cma_find(&areas))
		ksft_exit_fail_msg("no CMA area in " CMA_DIR "\n");
	largest_area = cma_largest(largest);
	used_before = cma_sum("used");
	free_before = cma_sum("maxchunk");
	if (!open_heaps())
		ksft_exit_fail_msg("no chunk heap\n");
	sh = map_new(MAP_SHARED | MAP_NORESERVE, sizeof(*sh));
	owner = map_new(MAP_SHARED | MAP_NORESERVE, MAX_PFN * sizeof(*owner));

	/* Buffers may take all of CMA: the others must fit elsewhere. */
	memory = meminfo("MemAvailable:");
	cma = meminfo("CmaFree:") + ROOM;
	hog_size = memory > cma ? memory - cma : 0;
	hog_size = (hog_size < MAX_HOGS ? hog_size : MAX_HOGS) / 2;
	ksft_print_msg("seed %lu, %ld s, %d heaps, anonymous memory 2 x %lu MB\n",
		       seed, seconds, nr_heaps, hog_size / SZ_1M);

	ksft_set_plan(NR_CHECKS + 3);
	fill_areas();
	migrated_before = migrated();
	start(compacter, 1);
	start(cma_user, areas.nr);
	start(keeper, NR_KEEPERS);
	/* A slow machine may need longer until everything has been tried. */
	end = now_ms() + seconds * 1000;
	last = end + 15 * seconds * 1000;
	while (!LOAD(&sh->stop) && (now_ms() < end ||
				    (now_ms() < last && missing())))
		usleep(50000);
	STORE(&sh->stop, true);
	while (wait(&status) > 0)
		ended("process", status, false);

	for (int i = 0; i < NR_CHECKS; i++)
		ksft_test_result(!sh->bad[i], "%s\n", check_name[i]);
	TEST(all_released(), "all memory is released\n");
	TEST(all_available(), "all of CMA is available again\n");
	what = missing();
	if (what)
		ksft_print_msg("not once: %s\n", what);
	ksft_test_result(!what, "everything has been tried\n");
	ksft_finished();
}
