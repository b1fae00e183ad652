// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlbfs, in use, inside of the default CMA area, whose whole
 * is then allocated, by one cma_alloc() and in chunks, while the pool has free
 * huge pages: these are where the ones in use move to, and the old ones then are
 * free pages of the pool, inside of the area.
 *
 * Then the same with free huge pages that cannot be replaced, since there is no
 * memory for others: they cost their own chunks, and none of those around them.
 */
#define _GNU_SOURCE
#include <linux/kernel-page-flags.h>
#include <linux/mman.h>
#include <sched.h>

#include "util.h"

#define NR_KEEP	4	/* in use inside of the area, and free in the pool */
#define NR_MAX	4096
#define NR_GAPS	16	/* for normal pages, each before a free huge page */
#define NR_PIPES 64	/* of which every second page is free */
#define MIN_FREE (4 * SZ_1M)
/*
 * Free memory outside of the area. A per-CPU list may take 8 MB at once, whatever the watermark
 * says, and another CPU then has no way to it but the OOM killer.
 */
#define RESERVE	(24 * (long long)SZ_1M)
/* How large the pool is, as far as there is memory for that. */
#define POOL	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define VM_DIR	"/proc/sys/vm"
#define AREA	"reserved"
#define HEAP	"default_cma_region-chunked-64k"

static const size_t huge_size = SZ_2M;
static int heap;

static void set(const char *path, long long value)
{
	REQUIRE(!write_file(path, "%lld", value));
}

static char *map_huge(void)
{
	char *p = mmap(NULL, huge_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		       MAP_HUGE_2MB | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Returns 0 or an errno. */
static int by_cma_alloc(unsigned long count)
{
	int ret = write_file(CMA_DIR "/" AREA "/alloc", "%lu", count);

	if (!ret)
		set(CMA_DIR "/" AREA "/free", count);
	return -ret;
}

static int by_heap(unsigned long count)
{
	int fd = heap_alloc(heap, count * page_size);

	close(fd);
	return fd < 0 ? -fd : 0;
}

/* Which pages of the area are part of a huge page? Returns how many. */
static unsigned long find_huge(char *is_huge, unsigned long base,
			       unsigned long count)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	unsigned long sum = 0;
	uint64_t flags;

	for (unsigned long i = 0; i < count; i++) {
		REQUIRE(pread(fd, &flags, sizeof(flags),
			      (base + i) * sizeof(flags)) == sizeof(flags));
		is_huge[i] = flags >> KPF_HUGE & 1;
		sum += is_huge[i];
	}
	close(fd);
	return sum;
}

/*
 * Three quarters of the area, from its start, while pages that move are in the way.
 * It does not take more than ALLOC_CONTIG_FAST, and that lets huge pages be: did
 * those in use stay?
 */
static bool huge_pages_stay(char *keep[], int kept, unsigned long base,
			    unsigned long count)
{
	const long long leave =
		RESERVE + (read_number(VM_DIR "/min_free_kbytes") << 10);
	const size_t max = meminfo("MemTotal:");
	char *p = map_new(MAP_PRIVATE | MAP_NORESERVE, max);
	char *is_huge = calloc(count, 1);
	uint64_t pfn[NR_KEEP];
	unsigned long nr = 0;
	size_t size = 0;
	bool stay;

	for (int i = 0; i < kept; i++)
		pfn[i] = pfn_of(keep[i]);
	madvise(p, max, MADV_NOHUGEPAGE);
	for (; free_outside() > leave; size += SZ_1M)
		REQUIRE(!madvise(p + size, SZ_1M, MADV_POPULATE_WRITE));
	/* Memory for them to move to. */
	for (size_t at = 0; at < size && nr < count; at += page_size)
		if (pfn_of(p + at) - base >= count)
			nr += !madvise(p + at, page_size, MADV_DONTNEED);
	stay = CHECK(!by_heap(count / 4 * 3 - find_huge(is_huge, base, count)));
	munmap(p, max);
	free(is_huge);
	for (int i = 0; i < kept; i++)
		stay &= pfn_of(keep[i]) == pfn[i];
	return stay;
}

static void test(const char *how, int (*alloc)(unsigned long))
{
	static char *map[NR_MAX], *keep[NR_KEEP];
	const long long base = cma_number(AREA, "base_pfn");
	const long long count = cma_number(AREA, "count");
	const long long used = cma_number(AREA, "used");
	int kept = 0, same = 1, ret;
	unsigned long leave;
	long nr = 0, want;

	REQUIRE(base >= 0 && count >= 0 && used >= 0);
	/*
	 * So many that the area has some; keep those in use. The kernel needs
	 * memory as well, and outside of the area.
	 */
	leave = 2 * (read_number(VM_DIR "/min_free_kbytes") << 10) +
		count * page_size;
	want = (meminfo("MemFree:") - leave) / huge_size;
	want = want < NR_MAX ? want : NR_MAX;
	set(POOL, want);
	while (nr < want && (map[nr] = map_huge()))
		nr++;
	for (long i = 0; i < nr; i++) {
		const long long pfn = pfn_of(map[i]);

		if (kept < NR_KEEP && pfn >= base && pfn < base + count) {
			memset(map[i], 'a' + kept, huge_size);
			keep[kept++] = map[i];
		} else {
			munmap(map[i], huge_size);
		}
	}
	set(POOL, 2 * NR_KEEP);
	ksft_test_result(CHECK(kept == NR_KEEP),
			 "huge pages in use inside of the area\n");

	if (alloc == by_heap)
		ksft_test_result(huge_pages_stay(keep, kept, base, count),
				 "huge pages are not in the way yet\n");
	ret = alloc(count - used);
	ksft_test_result(!ret, "all of the area %s: %s\n", how, strerror(ret));

	for (int i = 0; i < kept; i++) {
		for (unsigned long j = 0; j < huge_size; j++)
			same &= keep[i][j] == 'a' + i;
		munmap(keep[i], huge_size);
	}
	ksft_test_result(same, "what was in the huge pages\n");

	set(POOL, 0);
}

static void run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	REQUIRE(!sched_setaffinity(0, sizeof(cpus), &cpus));
}

/*
 * Put a page into the list of those that this CPU will make active. Only
 * lru_add_drain_all() gets it out of there, which ALLOC_CONTIG_FAST does not do.
 */
static void access_twice(char *page)
{
	char byte;
	struct iovec iov = { page, 1 }, to = { &byte, 1 };

	for (int i = 0; i < 2; i++)
		REQUIRE(process_vm_readv(getpid(), &to, 1, &iov, 1, 0) == 1);
}

/*
 * Memory that the kernel can use, and that no compaction makes a huge page of:
 * of the pages in some pipes, every second one is freed.
 */
static void scatter(void)
{
	static const char page[SZ_64K];
	int keep[2], drop[NR_PIPES][2];

	for (int i = 0; i < NR_PIPES; i++) {
		REQUIRE(!pipe(keep) && !pipe(drop[i]) &&
			fcntl(keep[1], F_SETPIPE_SZ, SZ_1M) >= 0 &&
			fcntl(drop[i][1], F_SETPIPE_SZ, SZ_1M) >= 0);
		for (size_t at = 0; at < SZ_1M; at += page_size)
			REQUIRE(write(keep[1], page, page_size) >= 0 &&
				write(drop[i][1], page, page_size) >= 0);
	}
	for (int i = 0; i < NR_PIPES; i++) {
		close(drop[i][0]);
		close(drop[i][1]);
	}
	/* It drains the per-CPU lists, where other CPUs do not find them. */
	by_cma_alloc(1);
}

/*
 * A buffer takes all of the area but a few huge pages, and the pool takes all
 * that there is. Of two huge pages of the area next to each other, the first is
 * given back, as a gap for normal pages. Of these, one in the last chunk stays,
 * right before the second huge page, and it takes more than ALLOC_CONTIG_FAST to
 * move it. One in the first chunk is pinned, else compaction could make a huge page
 * of the gap.
 */
static void test_not_replaced(void)
{
	const unsigned long per_chunk = SZ_64K / page_size;
	const unsigned long per_huge = huge_size / page_size;
	const unsigned long count = cma_number(AREA, "count");
	const unsigned long base = cma_number(AREA, "base_pfn");
	const unsigned long first = (base + per_huge - 1) / per_huge * per_huge;
	const unsigned long last_chunk = per_huge - per_chunk;
	const unsigned long nr_blocks = (base + count - first) / per_huge;
	/* Tests before may have left more in pieces than the gaps are: as much as there is. */
	const size_t room = 2 * NR_GAPS * huge_size, size = meminfo("MemTotal:");
	const long long boost = read_number(VM_DIR "/watermark_boost_factor");
	const long long min_free = read_number(VM_DIR "/min_free_kbytes");
	unsigned long nr = 0, nr_gaps = 0, nr_pinned = 0, nr_last = 0;
	long want;
	static struct {
		char **huge, *last;
		bool gap, pinned;
	} block[NR_MAX];
	static char *map[NR_MAX];
	int pins[2], rest, behind = 0;
	bool same = true;
	char *p, *is_huge = calloc(count, 1);
	size_t at, end;

	p = map_new(MAP_PRIVATE | MAP_NORESERVE, size);
	REQUIRE(is_huge && nr_blocks <= NR_MAX && !pipe(pins));
	/* Not every kernel has any to do without. */
	madvise(p, size, MADV_NOHUGEPAGE);
	rest = heap_alloc(heap, cma_free_chunks(AREA, per_chunk) * SZ_64K - room);
	if (rest < 0) {
		ksft_print_msg("no buffer of %s: %s\n", HEAP, strerror(-rest));
		for (int i = 0; i < 3; i++)
			ksft_test_result_fail("huge pages that cannot be replaced\n");
		return;
	}
	/* Both reserve more than all that this leaves. */
	set(VM_DIR "/watermark_boost_factor", 0);
	set(VM_DIR "/min_free_kbytes", MIN_FREE / 1024);
	scatter();
	set(POOL, NR_MAX);
	while (nr < NR_MAX && (map[nr] = map_huge())) {
		const unsigned long pfn = pfn_of(map[nr++]);

		if (pfn >= first && pfn < first + nr_blocks * per_huge)
			block[(pfn - first) / per_huge].huge = &map[nr - 1];
	}
	for (unsigned long i = 0; i + 1 < nr_blocks; i++) {
		if (!block[i].huge || !block[i + 1].huge)
			continue;
		munmap(*block[i].huge, huge_size);
		*block[i].huge = NULL;
		block[i++].gap = true;
		nr_gaps++;
	}
	set(POOL, nr - nr_gaps);
	by_cma_alloc(1);

	/* Gaps come before what lies scattered: all that is left of that stays free. */
	for (end = 0; end < size && nr_pinned + nr_last < 2 * nr_gaps &&
	     free_outside() > RESERVE; end += page_size) {
		unsigned long pfn, i, within;

		/* Only what stays is not 0. */
		p[end] = 0;
		pfn = pfn_of(p + end);
		i = (pfn - first) / per_huge;
		within = (pfn - first) % per_huge;
		if (pfn < first || i >= nr_blocks || !block[i].gap)
			continue;
		if (within < per_chunk && !block[i].pinned) {
			REQUIRE(pin(pins[1], p + end, page_size));
			block[i].pinned = true;
			nr_pinned++;
		} else if (within >= last_chunk && !block[i].last) {
			block[i].last = p + end;
			nr_last++;
		} else {
			continue;
		}
		p[end] = end / page_size % 255 + 1;
	}
	for (at = 0; at < end; at += page_size)
		if (!p[at])
			madvise(p + at, page_size, MADV_DONTNEED);
	/* All of them are the pool's now, and none is in use. */
	for (unsigned long i = 0; i < nr; i++)
		if (map[i])
			munmap(map[i], huge_size);
	set(POOL, NR_MAX);

	find_huge(is_huge, base, count);
	for (unsigned long i = 0; i + 1 < nr_blocks; i++)
		behind += block[i].pinned && block[i].last &&
			  pfn_of(block[i].last) / per_huge ==
				(first + i * per_huge) / per_huge &&
			  is_huge[first + (i + 1) * per_huge - base];
	ksft_print_msg("%lu gaps, %lu pages pinned, %d huge pages behind\n",
		       nr_gaps, nr_pinned, behind);
	ksft_test_result(behind > 1, "huge pages behind pages that move\n");

	run_on(1);
	for (unsigned long i = 0; i + 1 < nr_blocks; i++)
		if (block[i].last)
			access_twice(block[i].last);
	run_on(0);
	/* If one is replaced after all, its chunks are there as well. */
	while ((want = cma_free_chunks(AREA, per_chunk) - nr_pinned -
		       find_huge(is_huge, base, count) / per_chunk) > 0)
		if (heap_alloc(heap, want * SZ_64K) < 0)
			break;
	ksft_test_result(CHECK(!want),
			 "all chunks but those of huge pages that cannot be replaced\n");
	for (at = 0; at < end; at += page_size)
		same &= !p[at] || p[at] == (char)(at / page_size % 255 + 1);
	ksft_test_result(same, "what was in the pages that moved\n");

	set(POOL, 0);
	set(VM_DIR "/watermark_boost_factor", boost);
	set(VM_DIR "/min_free_kbytes", min_free);
}

int main(void)
{
	heap = heap_open(HEAP);
	ksft_print_header();
	ksft_set_plan(10);
	test("in one cma_alloc()", by_cma_alloc);
	test("in chunks", by_heap);
	test_not_replaced();
	ksft_finished();
}
