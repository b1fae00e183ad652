// SPDX-License-Identifier: GPL-2.0
/*
 * dmabuf-mmap-refuse ATTEMPTS PATH/mmap-gup
 *
 * The rule that a mapping of a dma-buf is VM_PFNMAP, on exporters that keep to
 * it and on exporters that break it, from test/cases/modules/exporters.c. The
 * KUnit suite dma_buf_mmap has more of both, and looks at the vma and at single
 * calls; this is about processes, leaks and the log. For leaks, each violation
 * is attempted that often.
 */
#define _GNU_SOURCE
#include <glob.h>
#include <pthread.h>

#include "util.h"

#define WARM_UP		1000
#define PAGES		4

static size_t len;
static int kmsg, attempts;

static const struct exporter {
	enum exporter_kind kind;
	const char *name;
} compliant[] = {
	{ EXPORTER_PFNMAP, "test-pfnmap" },
	{ EXPORTER_SHARED, "test-shared" },
}, violators[] = {
	{ EXPORTER_INSERT_PAGE, "test-insert-page" },
	{ EXPORTER_NO_OPS, "test-no-ops" },
};

/* mmap() of the dma-buf, and of an importer's file. */
enum { FD, FORWARDED, PATHS };

static const char * const path_name[PATHS] = { "fd", "forwarded" };

/* A buffer and the file that it is mapped through. */
struct buffer {
	int fd, imp, file;
};

static struct buffer buffer_get(enum exporter_kind kind, const char *name,
				int path, size_t size)
{
	struct buffer b = { .fd = exporter_alloc(kind, name, size) };

	b.imp = importer_open(b.fd);
	REQUIRE(b.imp >= 0);
	b.file = path == FD ? b.fd : b.imp;
	return b;
}

/* The buffer was mapped @nr times, and nobody holds on to anything. */
static void undone(const struct exporter_state *before, int fd, unsigned int nr)
{
	const struct exporter_state after = exporter_look(fd);

	CHECK(after.mmaps == before->mmaps + nr);
	CHECK(!memcmp(&after.held, &before->held, sizeof(after.held)));
}

/*
 * How many new lines of the kernel's log report an exporter. The kernel drops
 * some if there are more than LOG_BURST in LOG_SECONDS.
 */
#define LOG_BURST	10
#define LOG_SECONDS	5

static int reported(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "dma-buf: %s", name);
	return kmsg_count(kmsg, text);
}

/* Whether somebody else can get hold of the page at @p. */
static bool page_exposed(const struct buffer *b, char *p)
{
	const uint64_t refs = exporter_look(b->fd).held.page_refs;
	bool exposed;
	int fds[2];

	REQUIRE(!pipe(fds));
	exposed = pin(fds[1], p, page_size);
	if (exposed)
		CHECK(exporter_look(b->fd).held.page_refs == refs + 1);
	else
		CHECK(errno == EFAULT);
	close(fds[0]);
	close(fds[1]);
	return exposed;
}

static void test_compliant(const struct exporter *c, int path)
{
	const struct buffer b = buffer_get(c->kind, c->name, path, len);
	const struct exporter_state before = exporter_look(b.fd);
	char *p = require_map(b.file, len, 0);

	CHECK(vma_has_flag(p, "pf"));
	memset(p, 0x5a, len);
	CHECK(exporter_look(b.fd).held.page_maps == 0);
	CHECK(!page_exposed(&b, p));
	/* A copy in a child, and two parts. */
	CHECK(ended_well(CHILD(CHECK(p[0] == 0x5a))));
	munmap(p, page_size);
	CHECK(exporter_look(b.fd).held.mappings == 1);
	munmap(p + page_size, len - page_size);
	undone(&before, b.fd, 1);
	CHECK(!reported(""));
}

static void test_violator(const struct exporter *v, int path)
{
	const struct buffer b = buffer_get(v->kind, v->name, path, len);
	const struct exporter_state before = exporter_look(b.fd);
	unsigned char vec[PAGES];
	void *hole;

	/* A place that nothing else has. */
	hole = map_new(MAP_PRIVATE, len);
	munmap(hole, len);
	CHECK(mmap(hole, len, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED_NOREPLACE, b.file, 0) == MAP_FAILED &&
	      errno == EINVAL);
	/* Nothing is left where it would have been. */
	CHECK(mincore(hole, len, vec) && errno == ENOMEM);
	CHECK(touch(hole) == SIGSEGV);
	undone(&before, b.fd, 1);
	/* The exporter is reported, by name. */
	CHECK(reported(v->name) == 1);
	/* And neither is the buffer kept by what was refused. */
	close(b.imp);
	CHECK(exporter_look(b.fd).held.file_refs == 1);
}

/*
 * What is freed, but still sits in a list of a cache, or in KASAN's
 * quarantine, is no leak.
 */
static long long slab(void)
{
	glob_t g;

	REQUIRE(!glob("/sys/kernel/slab/*/shrink", 0, NULL, &g));
	for (size_t i = 0; i < g.gl_pathc; i++)
		write_file(g.gl_pathv[i], "1");
	globfree(&g);
	return meminfo("SUnreclaim:");
}

static void attempt(const struct buffer *b, int times)
{
	while (times-- &&
	       CHECK(map_at(b->file, len, 0) == MAP_FAILED && errno == EINVAL))
		;
}

/*
 * The smallest thing that can be lost per attempt is a vma, of some 200 bytes:
 * 10,000 are 2 MB. A page or a page table each would be 40 MB.
 */
static void test_leak(const struct exporter *v, int path)
{
	const struct buffer b = buffer_get(v->kind, v->name, path, len);
	const time_t began = time(NULL);
	struct exporter_state before;
	long long slabs, more, free;

	attempt(&b, WARM_UP);
	before = exporter_look(b.fd);
	slabs = slab();
	free = meminfo("MemFree:");
	attempt(&b, attempts);
	/* Some of what was freed is only given back after a grace period. */
	for (int i = 0; i < 30; i++) {
		more = slab() - slabs;
		if (more < (long long)SZ_1M)
			break;
		usleep(100000);
	}
	undone(&before, b.fd, attempts);
	free -= meminfo("MemFree:");
	ksft_print_msg("%s, %s: %lld bytes, %lld of them in slabs\n",
		       v->name, path_name[path], free, more);
	CHECK(more < (long long)SZ_1M);
	CHECK(free < 16 * (long long)SZ_1M);
	/* That many violations, and few lines. */
	CHECK(reported(v->name) <=
	      LOG_BURST * ((time(NULL) - began) / LOG_SECONDS + 2));
}

/*
 * An exporter that moves a buffer takes it away from all who have it mapped,
 * on whichever path, in whichever process. But it takes away no other buffer,
 * not even if both are in the same address_space, at other offsets.
 */
struct views {
	struct buffer b;
	volatile char *direct, *forwarded;
};

static struct views views_get(enum exporter_kind kind, const char *name)
{
	struct views v = { .b = buffer_get(kind, name, FD, len) };

	v.direct = require_map(v.b.fd, len, 0);
	v.forwarded = require_map(v.b.imp, len, 0);
	return v;
}

static bool views_are(const struct views *v, char first, char last)
{
	return v->direct[0] == first && v->forwarded[0] == first &&
	       v->direct[len - 1] == last && v->forwarded[len - 1] == last;
}

static void views_are_gone(const struct views *v)
{
	CHECK(touch(v->direct) == SIGBUS);
	CHECK(touch(v->forwarded) == SIGBUS);
}

/* A child has both mappings as well, and looks when it is told to. */
static void look_when_told(const struct views *v, int go)
{
	char c;

	REQUIRE(read(go, &c, 1) == 1);
	views_are_gone(v);
}

static void test_unmap(enum exporter_kind kind)
{
	const struct views v = views_get(kind, "test-unmap");
	const struct views other = views_get(kind, "test-other");
	struct exporter_held held;
	int go[2];
	pid_t pid;

	REQUIRE(!pipe(go));
	other.direct[0] = 8;
	other.direct[len - 1] = 9;
	CHECK(views_are(&other, 8, 9));
	v.direct[0] = 1;
	v.direct[len - 1] = 2;
	CHECK(views_are(&v, 1, 2));
	/* It gets the entries of these page tables, too. */
	pid = CHILD(look_when_told(&v, go[0]));

	CHECK(exporter_revoke(v.b.fd, true));
	views_are_gone(&v);
	CHECK(write(go[1], "", 1) == 1);
	CHECK(ended_well(pid));
	/* All of this was of no concern to the other one. */
	CHECK(views_are(&other, 8, 9));
	CHECK(exporter_look(other.b.fd).faults == 4);

	CHECK(exporter_revoke(v.b.fd, false));
	CHECK(!touch(v.direct) && !touch(v.forwarded));
	CHECK(views_are(&v, 1, 2));
	munmap((void *)v.direct, len);
	munmap((void *)v.forwarded, len);
	close(v.b.imp);
	held = exporter_look(v.b.fd).held;
	CHECK(!held.mappings && held.file_refs == 1 && !held.page_maps);
}

/*
 * What the check of the flags cannot do: it comes after ->mmap, and another
 * thread that knows the address gets a page of what ->mmap has inserted, for
 * as long as it likes. If the kernel learns to prevent this, this test and
 * Documentation/driver-api/dma-buf.rst have to change.
 */
struct racer {
	const struct buffer *b;
	char *addr;
	int pipe[2];
	bool got;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	int i;

	/* Until the pages are there, and while ->mmap has not returned. */
	for (i = 0; i < 10000 && !exporter_look(r->b->fd).mmaps; i++)
		usleep(1000);
	r->got = pin(r->pipe[1], r->addr, page_size);
	return NULL;
}

static void test_race(void)
{
	const size_t size = 16 * page_size;
	const struct buffer b = buffer_get(EXPORTER_INSERT_SLOW, "test-slow",
					   FD, size);
	const uint64_t refs = exporter_look(b.fd).held.page_refs;
	struct racer r = { .b = &b, .addr = map_new(MAP_PRIVATE, size) };
	pthread_t thread;
	void *p;

	REQUIRE(!pipe(r.pipe) && !pthread_create(&thread, NULL, race, &r));
	p = mmap(r.addr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 b.fd, 0);
	CHECK(p == MAP_FAILED && errno == EINVAL);
	pthread_join(thread, NULL);
	CHECK(r.got);
	/* Nothing is mapped any more, and the pipe still has a page. */
	CHECK(!exporter_look(b.fd).held.page_maps);
	CHECK(exporter_look(b.fd).held.page_refs > refs);
	close(r.pipe[0]);
	close(r.pipe[1]);
	CHECK(exporter_look(b.fd).held.page_refs == refs);
}

/* For the core, all GEM drivers are "drm": DRM says each time which it is. */
static void test_gem(void)
{
	for (int i = 0; i < 2; i++) {
		const int fd = exporter_alloc(EXPORTER_GEM, "", page_size);

		CHECK(map_at(fd, page_size, 0) == MAP_FAILED && errno == EINVAL);
		CHECK(kmsg_count(kmsg, "[drm] test-gem: ") == 1);
	}
}

#define GUP_SIZE	(8 * SZ_1M)
#define THP	"/sys/kernel/mm/transparent_hugepage/"

static long thp_size(void)
{
	return read_number(THP "hpage_pmd_size");
}

/*
 * Huge entries are special, too: all that fails for a buffer with small ones
 * fails for this one, if they have the 2 MB that mmap-gup maps.
 */
static void test_huge(const char *mmap_gup)
{
	const size_t huge = thp_size(), size = huge < GUP_SIZE ? GUP_SIZE : huge;
	const unsigned int nr = size / huge;
	const struct buffer b = buffer_get(EXPORTER_HUGE, "test-huge", FD,
					   size);
	struct exporter_state st;
	char *p;

	REQUIRE(!write_file(THP "enabled", "always"));
	p = map_new(MAP_PRIVATE | MAP_NORESERVE, size + huge);
	p = (char *)(((uintptr_t)p + huge - 1) & -huge);
	p = mmap(p, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, b.fd,
		 0);
	REQUIRE(p != MAP_FAILED);
	memset(p, 0x5a, size);
	st = exporter_look(b.fd);
	CHECK(st.huge_faults == nr && !st.faults);
	CHECK(!page_exposed(&b, p));
	CHECK(!page_exposed(&b, p + size - page_size));
	/* Taken away, and a part of one. */
	CHECK(exporter_revoke(b.fd, false));
	CHECK(p[0] == 0x5a);
	CHECK(exporter_look(b.fd).huge_faults == nr + 1);
	munmap(p, page_size);
	CHECK(p[huge - 1] == 0x5a);
	st = exporter_look(b.fd);
	CHECK(st.huge_faults == nr + 1 && st.faults == 1);
	munmap(p + page_size, size - page_size);

	run_mmap_gup(mmap_gup, b.fd, 0);
	CHECK(huge != SZ_2M || exporter_look(b.fd).huge_faults > 50);
	CHECK(!exporter_look(b.fd).held.page_maps);
	CHECK(exporter_look(b.fd).held.page_refs == size / page_size);
	CHECK(!write_file(THP "enabled", "madvise"));
	CHECK(!reported("test-huge"));
}

int main(int argc, char **argv)
{
	const struct exporter *e;
	int path;

	ksft_print_header();
	if (argc != 3)
		ksft_exit_fail_msg("usage: %s ATTEMPTS PATH/mmap-gup\n",
				   argv[0]);
	attempts = atoi(argv[1]);
	len = PAGES * page_size;
	kmsg = kmsg_open();

	ksft_set_plan(PATHS * (ARRAY_SIZE(compliant) +
			       2 * ARRAY_SIZE(violators)) + 5);
	for (path = 0; path < PATHS; path++) {
		for (e = compliant; e < compliant + ARRAY_SIZE(compliant); e++)
			TEST(test_compliant(e, path), "%s: %s\n",
			     path_name[path], e->name);
		for (e = violators; e < violators + ARRAY_SIZE(violators); e++)
			TEST(test_violator(e, path), "%s: %s\n",
			     path_name[path], e->name);
	}
	for (path = 0; path < PATHS; path++)
		for (e = violators; e < violators + ARRAY_SIZE(violators); e++)
			TEST(test_leak(e, path), "%s: %s, %d times\n",
			     path_name[path], e->name, attempts);
	TEST(test_unmap(EXPORTER_PFNMAP), "unmap_mapping_range\n");
	TEST(test_unmap(EXPORTER_SHARED),
	     "unmap_mapping_range, one address_space for all\n");
	TEST(test_gem(), "GEM drivers that break the rule\n");
	TEST(test_race(), "known: a page is taken in time\n");
	/* PREEMPT_RT has none, and pages of 64 KiB make it 512 MB. */
	if (access(THP "enabled", F_OK) || thp_size() > 32 * (long)SZ_1M)
		ksft_test_result_skip("huge entries\n");
	else
		TEST(test_huge(argv[2]), "huge entries\n");
	ksft_finished();
}
