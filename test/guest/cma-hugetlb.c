// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlbfs, in use, inside of a CMA area whose whole is then
 * allocated by one cma_alloc(), while the pool has free huge pages: these are
 * where the ones in use move to, and the old ones then are free pages of the
 * pool, inside of the area.
 *
 * cma-hugetlb [AREA]: by debugfs, so it needs CONFIG_CMA_DEBUGFS and root.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define NR_KEEP	4	/* in use inside of the area, and free in the pool */
#define NR_MAX	4096
#define LEAVE	(300UL << 20)
#define HUGE_DIR "/sys/kernel/mm/hugepages/hugepages-2048kB"

static unsigned long page_size, huge_size;

static unsigned long read_number(const char *dir, const char *name)
{
	char path[200], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		err(1, "%s", path);
	close(fd);
	return strtoul(text, NULL, 0);
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

int main(int argc, char **argv)
{
	static char *map[NR_MAX], *keep[NR_KEEP];
	unsigned long base, count, used;
	struct sysinfo info;
	long nr = 0, want;
	int kept = 0, same = 1, ret;
	char dir[100];

	page_size = getpagesize();
	huge_size = 2UL << 20;
	snprintf(dir, sizeof(dir), "/sys/kernel/debug/cma/%s",
		 argc > 1 ? argv[1] : "reserved");
	base = read_number(dir, "base_pfn");
	count = read_number(dir, "count");
	used = read_number(dir, "used");

	printf("KTAP version 1\n1..3\n");

	/* So many that the area has some; keep those in use. */
	sysinfo(&info);
	want = (info.freeram * info.mem_unit - LEAVE) / huge_size;
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
		unsigned long pfn = pfn_of(map[i]);

		if (kept < NR_KEEP && pfn >= base && pfn < base + count) {
			memset(map[i], 'a' + kept, huge_size);
			keep[kept++] = map[i];
		} else {
			munmap(map[i], huge_size);
		}
	}
	write_number(HUGE_DIR, "nr_hugepages", 2 * NR_KEEP);
	printf("# %ld huge pages, %d of them kept in the area, %lu free\n", nr,
	       kept, read_number(HUGE_DIR, "free_hugepages"));
	printf("%sok 1 huge pages in use inside of the area\n",
	       kept == NR_KEEP ? "" : "not ");

	ret = write_number(dir, "alloc", count - used);
	if (!ret)
		write_number(dir, "free", count - used);
	else
		printf("# cma_alloc: %s\n", strerror(ret));
	printf("%sok 2 all of the area in one cma_alloc()\n",
	       ret ? "not " : "");

	for (int i = 0; i < kept; i++)
		for (unsigned long j = 0; j < huge_size; j++)
			same &= keep[i][j] == 'a' + i;
	printf("%sok 3 what was in the huge pages\n", same ? "" : "not ");

	write_number(HUGE_DIR, "nr_hugepages", 0);
	return ret || !same || kept < NR_KEEP;
}
