// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlbfs, in use, inside of the default CMA area, whose whole
 * is then allocated, by one cma_alloc() and in chunks, while the pool has free
 * huge pages: these are where the ones in use move to, and the old ones then are
 * free pages of the pool, inside of the area.
 *
 * By debugfs and a chunk heap, so it needs CONFIG_CMA_DEBUGFS and root.
 */
#include <err.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "dmabuf-heaps/heap-util.h"

#define NR_KEEP	4	/* in use inside of the area, and free in the pool */
#define NR_MAX	4096
#define HUGE_DIR "/sys/kernel/mm/hugepages/hugepages-2048kB"
#define AREA	"reserved"
#define HEAP	"default_cma_region-contiguous-64k"

static unsigned long page_size, huge_size;

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
	static int result;
	int kept = 0, same = 1, ret;
	unsigned long leave;
	struct sysinfo info;
	long nr = 0, want;

	if (base < 0 || count < 0 || used < 0)
		errx(1, CMA_DIR "/" AREA " has no numbers");
	/*
	 * So many that the area has some; keep those in use. The kernel needs
	 * memory as well, and outside of the area.
	 */
	sysinfo(&info);
	leave = 2 * (read_number("/proc/sys/vm/min_free_kbytes") << 10) +
		count * page_size;
	want = (info.freeram * info.mem_unit - leave) / huge_size;
	if (want > NR_MAX)
		want = NR_MAX;
	write_number(HUGE_DIR, "nr_hugepages", want);
	while (nr < want) {
		char *p = mmap(NULL, huge_size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
			       MAP_HUGE_2MB | MAP_POPULATE, -1, 0);

		if (p == MAP_FAILED)
			break;
		map[nr++] = p;
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
	printf("%sok %d huge pages in use inside of the area\n",
	       kept == NR_KEEP ? "" : "not ", ++result);

	ret = alloc(count - used);
	if (ret)
		printf("# %s\n", strerror(ret));
	printf("%sok %d all of the area %s\n", ret ? "not " : "", ++result,
	       how);

	for (int i = 0; i < kept; i++) {
		for (unsigned long j = 0; j < huge_size; j++)
			same &= keep[i][j] == 'a' + i;
		munmap(keep[i], huge_size);
	}
	printf("%sok %d what was in the huge pages\n", same ? "" : "not ",
	       ++result);

	write_number(HUGE_DIR, "nr_hugepages", 0);
	return ret || !same || kept < NR_KEEP;
}

int main(void)
{
	int failed;

	page_size = getpagesize();
	huge_size = SZ_2M;
	printf("KTAP version 1\n1..6\n");
	failed = test("in one cma_alloc()", by_cma_alloc);
	failed |= test("in chunks", by_heap);
	return failed;
}
