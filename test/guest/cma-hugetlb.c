// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlbfs, in use, inside of the default CMA area, whose whole
 * is then allocated, by one cma_alloc() and in chunks, while the pool has free
 * huge pages: these are where the ones in use move to, and the old ones then are
 * free pages of the pool, inside of the area.
 *
 * Then the same with free huge pages that cannot be replaced, since there is no
 * memory for others: they cost their own chunks, and none of those around them.
 *
 * By debugfs and a chunk heap, so it needs CONFIG_CMA_DEBUGFS and root.
 */
#define _GNU_SOURCE
#include <err.h>
#include <linux/kernel-page-flags.h>
#include <linux/mman.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>

#include "dmabuf-heaps/heap-util.h"

#define NR_KEEP	4	/* in use inside of the area, and free in the pool */
#define NR_MAX	4096
#define NR_GAPS	16	/* for normal pages, each before a free huge page */
#define NR_PIPES 64	/* of which every second page is free */
#define MIN_FREE (4 * SZ_1M)
/*
 * kB of free memory. A per-CPU list may take 8 MB at once, whatever the watermark
 * says, and another CPU then has no way to it but the OOM killer.
 */
#define RESERVE	24576
#define HUGE_DIR "/sys/kernel/mm/hugepages/hugepages-2048kB"
#define VM_DIR	"/proc/sys/vm"
#define AREA	"reserved"
#define HEAP	"default_cma_region-chunked-64k"

static unsigned long page_size, huge_size;
static int result;

static void report(bool ok, const char *what)
{
	printf("%sok %d %s\n", ok ? "" : "not ", ++result, what);
}

/* Returns 0, or the errno of the write. */
static int write_number(const char *dir, const char *name, unsigned long value)
{
	char path[200], text[32];
	int fd, len, ret = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		err(1, "%s", path);
	len = snprintf(text, sizeof(text), "%lu", value);
	if (write(fd, text, len) != len)
		ret = errno;
	close(fd);
	return ret;
}

static char *map_huge(void)
{
	char *p = mmap(NULL, huge_size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		       MAP_HUGE_2MB | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static unsigned long pfn_of(const void *p)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (uintptr_t)p / page_size * 8) != sizeof(entry))
		err(1, "/proc/self/pagemap");
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

/* Returns 0 or an errno. */
static int by_cma_alloc(unsigned long count)
{
	int ret = write_number(CMA_DIR "/" AREA, "alloc", count);

	if (!ret)
		write_number(CMA_DIR "/" AREA, "free", count);
	return ret;
}

static int by_heap(unsigned long count)
{
	int heap = heap_open(HEAP), fd;

	if (heap < 0)
		return errno;
	fd = heap_alloc(heap, count * page_size);
	close(heap);
	if (fd < 0)
		return -fd;
	close(fd);
	return 0;
}

static int test(const char *how, int (*alloc)(unsigned long))
{
	static char *map[NR_MAX], *keep[NR_KEEP];
	const long long base = cma_number(AREA, "base_pfn");
	const long long count = cma_number(AREA, "count");
	const long long used = cma_number(AREA, "used");
	int kept = 0, same = 1, ret;
	unsigned long leave;
	char text[64];
	struct sysinfo info;
	long nr = 0, want;

	if (base < 0 || count < 0 || used < 0)
		errx(1, CMA_DIR "/" AREA " has no numbers");
	/*
	 * So many that the area has some; keep those in use. The kernel needs
	 * memory as well, and outside of the area.
	 */
	sysinfo(&info);
	leave = 2 * (read_number(VM_DIR "/min_free_kbytes") << 10) +
		count * page_size;
	want = (info.freeram * info.mem_unit - leave) / huge_size;
	if (want > NR_MAX)
		want = NR_MAX;
	write_number(HUGE_DIR, "nr_hugepages", want);
	while (nr < want) {
		map[nr] = map_huge();
		if (!map[nr])
			break;
		nr++;
	}
	for (long i = 0; i < nr; i++) {
		const long long pfn = pfn_of(map[i]);

		if (kept < NR_KEEP && pfn >= base && pfn < base + count) {
			memset(map[i], 'a' + kept, huge_size);
			keep[kept++] = map[i];
		} else {
			munmap(map[i], huge_size);
		}
	}
	write_number(HUGE_DIR, "nr_hugepages", 2 * NR_KEEP);
	printf("# %ld huge pages, %d of them kept in the area, %lld free\n", nr,
	       kept, read_number(HUGE_DIR "/free_hugepages"));
	report(kept == NR_KEEP, "huge pages in use inside of the area");

	ret = alloc(count - used);
	if (ret)
		printf("# %s\n", strerror(ret));
	snprintf(text, sizeof(text), "all of the area %s", how);
	report(!ret, text);

	for (int i = 0; i < kept; i++) {
		for (unsigned long j = 0; j < huge_size; j++)
			same &= keep[i][j] == 'a' + i;
		munmap(keep[i], huge_size);
	}
	report(same, "what was in the huge pages");

	write_number(HUGE_DIR, "nr_hugepages", 0);
	return ret || !same || kept < NR_KEEP;
}

/* Free memory outside of CMA areas, in kB. */
static long free_memory(void)
{
	long all = 0, cma = 0;
	char line[100];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		sscanf(line, "MemFree: %ld", &all);
		sscanf(line, "CmaFree: %ld", &cma);
	}
	if (f)
		fclose(f);
	return all - cma;
}

static void run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		err(1, "CPU %d", cpu);
}

/*
 * Put a page into the list of those that this CPU will make active. Only
 * lru_add_drain_all() gets it out of there, which ALLOC_CONTIG_FAST does not do.
 */
static void access_twice(char *page)
{
	struct iovec iov = { page, 1 }, to = { (char[1]){}, 1 };

	for (int i = 0; i < 2; i++)
		if (process_vm_readv(getpid(), &to, 1, &iov, 1, 0) != 1)
			err(1, "process_vm_readv");
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
		if (pipe(keep) || pipe(drop[i]) ||
		    fcntl(keep[1], F_SETPIPE_SZ, SZ_1M) < 0 ||
		    fcntl(drop[i][1], F_SETPIPE_SZ, SZ_1M) < 0)
			err(1, "a pipe of 1 MB");
		for (size_t at = 0; at < SZ_1M; at += page_size)
			if (write(keep[1], page, page_size) < 0 ||
			    write(drop[i][1], page, page_size) < 0)
				err(1, "write to a pipe");
	}
	for (int i = 0; i < NR_PIPES; i++) {
		close(drop[i][0]);
		close(drop[i][1]);
	}
	/* It drains the per-CPU lists, where other CPUs do not find them. */
	by_cma_alloc(1);
}

/* Which pages of the area are part of a huge page? Returns how many. */
static unsigned long find_huge(char *is_huge, unsigned long base,
			       unsigned long count)
{
	int fd = open("/proc/kpageflags", O_RDONLY);
	unsigned long sum = 0;
	uint64_t flags;

	for (unsigned long i = 0; i < count; i++) {
		if (pread(fd, &flags, sizeof(flags),
			  (base + i) * sizeof(flags)) != sizeof(flags))
			err(1, "/proc/kpageflags");
		is_huge[i] = flags >> KPF_HUGE & 1;
		sum += is_huge[i];
	}
	close(fd);
	return sum;
}

/*
 * A buffer takes all of the area but a few huge pages, and the pool takes all
 * that there is. Of two huge pages of the area next to each other, the first is
 * given back, as a gap for normal pages. Of these, one in the last chunk stays,
 * right before the second huge page, and it takes more than ALLOC_CONTIG_FAST to
 * move it. One in the first chunk is pinned, else compaction could make a huge page
 * of the gap.
 */
static int test_not_replaced(void)
{
	const unsigned long per_chunk = SZ_64K / page_size;
	const unsigned long per_huge = huge_size / page_size;
	const unsigned long count = cma_number(AREA, "count");
	const unsigned long base = cma_number(AREA, "base_pfn");
	const unsigned long first = (base + per_huge - 1) / per_huge * per_huge;
	const unsigned long last_chunk = per_huge - per_chunk;
	const unsigned long nr_blocks = (base + count - first) / per_huge;
	const size_t room = 2 * NR_GAPS * huge_size, size = 4 * room;
	const long long boost = read_number(VM_DIR "/watermark_boost_factor");
	const long long min_free = read_number(VM_DIR "/min_free_kbytes");
	unsigned long nr = 0, nr_gaps = 0, nr_pinned = 0, nr_last = 0, nr_huge;
	long want;
	static struct {
		char **huge, *last;
		bool gap, pinned;
	} block[NR_MAX];
	static char *map[NR_MAX];
	int heap = heap_open(HEAP), pins[2], rest, fd = 0, behind = 0;
	bool same = true;
	char *p, *is_huge = calloc(count, 1);
	size_t at, end;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED || !is_huge || nr_blocks > NR_MAX || pipe(pins))
		err(1, "memory");
	/* Not every kernel has any to do without. */
	madvise(p, size, MADV_NOHUGEPAGE);
	rest = heap_alloc(heap, cma_free_chunks(AREA, per_chunk) * SZ_64K - room);
	if (rest < 0) {
		printf("# no buffer of %s: %s\n", HEAP, strerror(-rest));
		for (int i = 0; i < 3; i++)
			report(false, "huge pages that cannot be replaced");
		return 1;
	}
	/* Both reserve more than all that this leaves. */
	write_number(VM_DIR, "watermark_boost_factor", 0);
	write_number(VM_DIR, "min_free_kbytes", MIN_FREE / 1024);
	scatter();
	write_number(HUGE_DIR, "nr_hugepages", NR_MAX);
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
	write_number(HUGE_DIR, "nr_hugepages", nr - nr_gaps);
	by_cma_alloc(1);

	/* Gaps come before what lies scattered: all that is left of that stays free. */
	for (end = 0; end < size && nr_pinned + nr_last < 2 * nr_gaps &&
	     free_memory() > RESERVE; end += page_size) {
		struct iovec iov = { p + end, page_size };
		unsigned long pfn, i, within;

		/* Only what stays is not 0. */
		p[end] = 0;
		pfn = pfn_of(p + end);
		i = (pfn - first) / per_huge;
		within = (pfn - first) % per_huge;
		if (pfn < first || i >= nr_blocks || !block[i].gap)
			continue;
		if (within < per_chunk && !block[i].pinned) {
			if (vmsplice(pins[1], &iov, 1, 0) < 0)
				err(1, "vmsplice");
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
	write_number(HUGE_DIR, "nr_hugepages", NR_MAX);

	nr_huge = find_huge(is_huge, base, count);
	for (unsigned long i = 0; i + 1 < nr_blocks; i++)
		behind += block[i].pinned && block[i].last &&
			  pfn_of(block[i].last) / per_huge ==
				(first + i * per_huge) / per_huge &&
			  is_huge[first + (i + 1) * per_huge - base];
	printf("# %lu free huge pages in the area, %lu gaps, %lu pages pinned, %d huge pages behind pages that move\n",
	       nr_huge / per_huge, nr_gaps, nr_pinned, behind);
	report(behind > 1, "huge pages behind pages that move");

	run_on(1);
	for (unsigned long i = 0; i + 1 < nr_blocks; i++)
		if (block[i].last)
			access_twice(block[i].last);
	run_on(0);
	/* If one is replaced after all, its chunks are there as well. */
	while ((want = cma_free_chunks(AREA, per_chunk) - nr_pinned -
		       find_huge(is_huge, base, count) / per_chunk) > 0) {
		fd = heap_alloc(heap, want * SZ_64K);
		if (fd < 0)
			break;
	}
	if (want)
		printf("# %ld chunks: %s\n", want, strerror(-fd));
	printf("# %lu huge pages in the area are left\n",
	       find_huge(is_huge, base, count) / per_huge);
	report(!want, "all chunks but those of huge pages that cannot be replaced");
	for (at = 0; at < end; at += page_size)
		same &= !p[at] || p[at] == (char)(at / page_size % 255 + 1);
	report(same, "what was in the pages that moved");

	write_number(HUGE_DIR, "nr_hugepages", 0);
	write_number(VM_DIR, "watermark_boost_factor", boost);
	write_number(VM_DIR, "min_free_kbytes", min_free);
	return want || !same || behind < 2;
}

int main(void)
{
	int failed;

	page_size = getpagesize();
	huge_size = SZ_2M;
	printf("KTAP version 1\n1..9\n");
	failed = test("in one cma_alloc()", by_cma_alloc);
	failed |= test("in chunks", by_heap);
	failed |= test_not_replaced();
	return failed;
}
