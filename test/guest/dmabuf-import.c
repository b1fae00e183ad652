// SPDX-License-Identifier: GPL-2.0
/*
 * What an importer in the kernel sees of the buffers of each heap, through
 * test/modules/importer.c.
 *
 * dmabuf-import MMAP-GUP: the argument is the path of that selftest, which is
 * run on buffers whose pages are looked at before and after it.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/memfd.h>
#include <linux/udmabuf.h>

#include "kselftest.h"
#include "dmabuf-heaps/heap-util.h"
#include "dmabuf-test.h"

#define BIG_SIZE	(300 * SZ_1M)
#define BUF_SIZE	(8 * SZ_1M)

struct source {
	char name[NAME_MAX + 1];
	size_t chunk;		/* 0: no promise */
	int heap;		/* -1: udmabuf */
	unsigned int memfd_flags;
	bool no_vmap;
};

static const char *mmap_gup;

#define CHECK(cond) ({							\
	bool ok_ = (cond);						\
	if (!ok_)							\
		ksft_print_msg("%s: line %d: %s: errno %d (%s)\n",	\
			       s->name, __LINE__, #cond, errno,		\
			       strerror(errno));			\
	ok_; })

static int udmabuf(size_t len, unsigned int flags)
{
	struct udmabuf_create create = { .size = len };
	int dev, memfd, fd = -1;
	void *p;

	dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	memfd = memfd_create("dmabuf-import", flags | MFD_ALLOW_SEALING);
	if (dev >= 0 && memfd >= 0 && !ftruncate(memfd, len) &&
	    !fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		/* See tools/testing/selftests/dmabuf-heaps/mmap-gup.c. */
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, memfd, 0);
		if (p != MAP_FAILED)
			munmap(p, len);
		create.memfd = memfd;
		fd = ioctl(dev, UDMABUF_CREATE, &create);
	}
	close(memfd);
	close(dev);
	return fd;
}

static int buffer(const struct source *s, size_t len)
{
	int fd = s->heap >= 0 ? heap_alloc(s->heap, len) :
				udmabuf(len, s->memfd_flags);

	return CHECK(fd >= 0) ? fd : -1;
}

static int importer(const struct source *s, int fd)
{
	int imp = open("/dev/dmabuf-importer", O_RDWR | O_CLOEXEC);

	if (!CHECK(imp >= 0) || !CHECK(!ioctl(imp, IMPORTER_IMPORT, &fd))) {
		close(imp);
		return -1;
	}
	return imp;
}

static int attach(int imp, unsigned int slot, unsigned int direction,
		  size_t chunk, struct importer_attach *out)
{
	struct importer_attach arg = {
		.slot = slot,
		.direction = direction,
		.chunk = chunk,
	};
	int ret;

	ret = ioctl(imp, IMPORTER_ATTACH, &arg);
	if (out)
		*out = arg;
	return ret;
}

static int detach(int imp, __u32 slot)
{
	return ioctl(imp, IMPORTER_DETACH, &slot);
}

static int copy(int imp, __u32 via, bool write, size_t off, void *p,
		size_t len)
{
	struct importer_copy arg = {
		.via = via,
		.write = write,
		.offset = off,
		.len = len,
		.ptr = (uintptr_t)p,
	};

	return ioctl(imp, IMPORTER_COPY, &arg);
}

static void fill(char *p, size_t len, uint64_t seed)
{
	uint64_t *q = (uint64_t *)p;
	size_t i;

	for (i = 0; i < len / sizeof(*q); i++)
		q[i] = seed + i;
}

static bool filled(const char *p, size_t len, uint64_t seed)
{
	const uint64_t *q = (const uint64_t *)p;
	size_t i;

	for (i = 0; i < len / sizeof(*q); i++)
		if (q[i] != seed + i)
			return false;
	return true;
}

static long long cma_used(void)
{
	long long sum = 0, n;
	struct dirent *de;
	DIR *d;

	d = opendir(CMA_DIR);
	while (d && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		n = cma_number(de->d_name, "used");
		if (n > 0)
			sum += n;
	}
	if (d)
		closedir(d);
	return sum;
}

/* The table that a device gets: all of the buffer, in the promised pieces. */
static bool test_table(const struct source *s)
{
	const size_t len = s->chunk && s->chunk <= SZ_1M ?
			   BIG_SIZE / s->chunk * s->chunk : BUF_SIZE;
	struct importer_attach a;
	bool ok = true;
	int fd, imp;

	fd = buffer(s, len);
	imp = importer(s, fd);
	if (imp < 0) {
		close(fd);
		return false;
	}
	if (CHECK(!attach(imp, 0, IMPORTER_BIDIRECTIONAL, s->chunk, &a))) {
		ksft_print_msg("%s: %zu bytes: %u entries, shortest %llu\n",
			       s->name, len, a.nents, a.shortest);
		ok &= CHECK(a.bytes == len);
		if (s->chunk) {
			ok &= CHECK(a.nents == len / s->chunk);
			ok &= CHECK(a.orig_nents == len / s->chunk);
			ok &= CHECK(a.shortest == s->chunk);
			ok &= CHECK(!a.unaligned);
			ok &= CHECK(!a.odd);
			ok &= CHECK(!a.descending);
		}
		ok &= CHECK(!detach(imp, 0));
	} else {
		ok = false;
	}
	close(imp);
	close(fd);
	return ok;
}

/*
 * Two devices that use the buffer in opposite directions, and the CPU, all at
 * once: each sees what the other wrote, and either may come and go.
 *
 * The heaps of the tree sync a mapping in the direction of the CPU's access,
 * whatever it was mapped for, which DMA_API_DEBUG objects to: elsewhere than in
 * the chunk heap, the devices map for both directions.
 */
static bool test_directions(const struct source *s)
{
	const __u32 to = s->chunk ? IMPORTER_TO_DEVICE :
				    IMPORTER_BIDIRECTIONAL;
	const __u32 from = s->chunk ? IMPORTER_FROM_DEVICE :
				      IMPORTER_BIDIRECTIONAL;
	__u32 dir;
	bool ok = true;
	char *p, *b;
	int fd, imp;

	fd = buffer(s, BUF_SIZE);
	imp = importer(s, fd);
	p = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = malloc(BUF_SIZE);
	if (imp < 0 || !CHECK(p != MAP_FAILED) || !CHECK(b)) {
		ok = false;
		goto out;
	}
	ok &= CHECK(!attach(imp, 0, to, 0, NULL));
	ok &= CHECK(!attach(imp, 1, from, 0, NULL));
	ok &= CHECK(attach(imp, 1, from, 0, NULL) &&
		    errno == EBUSY);

	ok &= !heap_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	fill(p, BUF_SIZE, 1);
	ok &= !heap_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	ok &= CHECK(!copy(imp, 0, false, 0, b, BUF_SIZE));
	ok &= CHECK(filled(b, BUF_SIZE, 1));

	fill(b, BUF_SIZE, 2);
	ok &= CHECK(!copy(imp, 1, true, 0, b, BUF_SIZE));
	ok &= !heap_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	ok &= CHECK(filled(p, BUF_SIZE, 2));
	ok &= !heap_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);

	/* One more, and the others stay as they are. */
	ok &= CHECK(!attach(imp, 2, IMPORTER_BIDIRECTIONAL, 0, NULL));
	ok &= CHECK(!detach(imp, 0));
	fill(b, BUF_SIZE, 3);
	ok &= CHECK(!copy(imp, 2, true, 0, b, BUF_SIZE));
	ok &= CHECK(!copy(imp, 1, false, 0, b, BUF_SIZE));
	ok &= CHECK(filled(b, BUF_SIZE, 3));
	for (dir = IMPORTER_BIDIRECTIONAL; dir <= IMPORTER_FROM_DEVICE;
	     dir++) {
		ok &= CHECK(!ioctl(imp, IMPORTER_BEGIN_CPU, &dir));
		ok &= CHECK(!ioctl(imp, IMPORTER_END_CPU, &dir));
	}
	ok &= CHECK(!detach(imp, 1));
	ok &= CHECK(!detach(imp, 2));
	/* After the last device, the CPU's access is still what it was. */
	ok &= !heap_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	ok &= CHECK(filled(p, BUF_SIZE, 3));
	ok &= !heap_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
out:
	free(b);
	if (p != MAP_FAILED)
		munmap(p, BUF_SIZE);
	close(imp);
	close(fd);
	return ok;
}

static bool test_vmap(const struct source *s)
{
	__u32 dir = IMPORTER_BIDIRECTIONAL;
	bool ok = true;
	char *p, *b;
	int fd, imp, i;

	fd = buffer(s, BUF_SIZE);
	imp = importer(s, fd);
	p = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = malloc(BUF_SIZE);
	if (imp < 0 || !CHECK(p != MAP_FAILED) || !CHECK(b)) {
		ok = false;
		goto out;
	}
	fill(p, BUF_SIZE, 1);
	/* Nested: the first and the last one are what the exporter sees. */
	for (i = 0; i < 3; i++)
		ok &= CHECK(!ioctl(imp, IMPORTER_VMAP));
	ok &= CHECK(!attach(imp, 0, IMPORTER_BIDIRECTIONAL, 0, NULL));
	ok &= CHECK(!ioctl(imp, IMPORTER_BEGIN_CPU, &dir));
	ok &= CHECK(!copy(imp, IMPORTER_VIA_VMAP, false, 0, b, BUF_SIZE));
	ok &= CHECK(filled(b, BUF_SIZE, 1));
	fill(b, BUF_SIZE, 2);
	ok &= CHECK(!copy(imp, IMPORTER_VIA_VMAP, true, 0, b, BUF_SIZE));
	ok &= CHECK(!ioctl(imp, IMPORTER_END_CPU, &dir));
	for (i = 0; i < 2; i++)
		ok &= CHECK(!ioctl(imp, IMPORTER_VUNMAP));
	memset(b, 0, BUF_SIZE);
	ok &= CHECK(!copy(imp, IMPORTER_VIA_VMAP, false, 0, b, BUF_SIZE));
	ok &= CHECK(filled(b, BUF_SIZE, 2));
	ok &= CHECK(filled(p, BUF_SIZE, 2));
	ok &= CHECK(!ioctl(imp, IMPORTER_VUNMAP));
	ok &= CHECK(ioctl(imp, IMPORTER_VUNMAP) && errno == EINVAL);
	ok &= CHECK(!detach(imp, 0));
	/* Again, after the last one was gone; close() has to clean up. */
	ok &= CHECK(!ioctl(imp, IMPORTER_VMAP));
	ok &= CHECK(!attach(imp, 3, IMPORTER_FROM_DEVICE, 0, NULL));
out:
	free(b);
	if (p != MAP_FAILED)
		munmap(p, BUF_SIZE);
	close(imp);
	close(fd);
	return ok;
}

/* mmap() of the importer's file, which dma_buf_mmap() passes on. */
static bool test_forwarded(const struct source *s)
{
	const size_t page = sysconf(_SC_PAGESIZE), off = SZ_64K + page;
	bool ok = true;
	char *p, *q;
	int fd, imp;

	fd = buffer(s, BUF_SIZE);
	imp = importer(s, fd);
	p = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, 3 * SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, imp,
		 off);
	if (imp < 0 || !CHECK(p != MAP_FAILED) || !CHECK(q != MAP_FAILED)) {
		ok = false;
		goto out;
	}
	fill(p, BUF_SIZE, 0);
	ok &= CHECK(filled(q, 3 * SZ_64K, off / sizeof(uint64_t)));
	fill(q, 3 * SZ_64K, 99);
	ok &= CHECK(filled(p + off, 3 * SZ_64K, 99));
	ok &= CHECK(vma_has_flag(q, "pf"));
	ok &= CHECK(vma_has_flag(q, "de"));
	ok &= CHECK(vma_has_flag(q, "dd"));
	ok &= CHECK(mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, imp,
			 BUF_SIZE - page) == MAP_FAILED && errno == EINVAL);
	ok &= CHECK(mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			 imp, 0) == MAP_FAILED && errno == EINVAL);
	/* The mapping alone keeps the buffer. */
	munmap(p, BUF_SIZE);
	p = MAP_FAILED;
	close(imp);
	close(fd);
	imp = -1;
	fd = -1;
	ok &= CHECK(filled(q, 3 * SZ_64K, 99));
out:
	if (p != MAP_FAILED)
		munmap(p, BUF_SIZE);
	if (q != MAP_FAILED)
		munmap(q, 3 * SZ_64K);
	close(imp);
	close(fd);
	return ok;
}

static bool get_pages(const struct source *s, int fd,
		      struct importer_page *page, size_t nr)
{
	struct importer_pages arg = { .nr = nr, .ptr = (uintptr_t)page };
	int imp = importer(s, fd);
	bool ok;

	ok = imp >= 0 && CHECK(!ioctl(imp, IMPORTER_PAGES, &arg));
	close(imp);
	return ok;
}

/* Where 2 MB begin that are aligned to their size, in bytes; -1: nowhere. */
static long find_huge(const struct importer_page *page, size_t nr)
{
	const size_t size = sysconf(_SC_PAGESIZE), want = SZ_2M / size;
	size_t i, k;

	for (i = 0; i + want <= nr; i++) {
		if (page[i].pfn % want)
			continue;
		for (k = 1; k < want && page[i + k].pfn == page[i].pfn + k;)
			k++;
		if (k == want)
			return i * size;
	}
	return -1;
}

/* Runs the selftest on the buffer, and shows what it said if it failed. */
static bool run_mmap_gup(const struct source *s, int fd, long huge)
{
	char line[512], fdarg[16], offarg[32];
	int status = -1;
	FILE *out;
	pid_t pid;

	out = tmpfile();
	if (!CHECK(out))
		return false;
	snprintf(fdarg, sizeof(fdarg), "%d", fd);
	snprintf(offarg, sizeof(offarg), "%ld", huge);
	pid = fork();
	if (!pid) {
		dup2(fileno(out), 1);
		dup2(fileno(out), 2);
		fcntl(fd, F_SETFD, 0);
		execl(mmap_gup, mmap_gup, fdarg, huge < 0 ? NULL : offarg,
		      NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	rewind(out);
	while (status && fgets(line, sizeof(line), out))
		if (strncmp(line, "ok", 2))
			ksft_print_msg("%s", line);
	fclose(out);
	return CHECK(!status);
}

/*
 * A page that somebody has got hold of has a reference more; one that is
 * mapped as a page has a map count. Both are looked at with the mappings of
 * all that failed, and of all that worked, gone again.
 */
static bool test_references(const struct source *s)
{
	const size_t nr = BUF_SIZE / sysconf(_SC_PAGESIZE);
	struct importer_page *before, *after;
	bool ok = true;
	long huge = -1;
	char *p = MAP_FAILED;
	int tried[8] = { -1, -1, -1, -1, -1, -1, -1, -1 }, fd = -1;
	size_t i;

	before = calloc(nr, sizeof(*before));
	after = calloc(nr, sizeof(*after));
	/* Nobody promises 2 MB: look at some, and take the first that will do. */
	for (i = 0; i < ARRAY_SIZE(tried) && huge < 0; i++) {
		tried[i] = buffer(s, BUF_SIZE);
		if (!get_pages(s, tried[i], before, nr)) {
			ok = false;
			goto out;
		}
		fd = tried[i];
		huge = find_huge(before, nr);
		if (s->heap < 0)
			break;
	}
	ksft_print_msg("%s: 2 MB of aligned memory at offset %ld\n", s->name,
		       huge);
	/* system: made of 1 MB at most, which may or may not lie together */
	if (strcmp(s->name, "system") && strcmp(s->name, "udmabuf"))
		ok &= CHECK(huge >= 0);

	p = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ok &= CHECK(p != MAP_FAILED);
	for (i = 0; ok && i < BUF_SIZE; i += SZ_4K)
		p[i] = 1;
	/* Mapped for user space, and still no one's. */
	ok &= get_pages(s, fd, after, nr);
	ok &= CHECK(!memcmp(before, after, nr * sizeof(*before)));
	ok &= run_mmap_gup(s, fd, huge);
	ok &= get_pages(s, fd, after, nr);
	for (i = 0; ok && i < nr; i++) {
		ok &= CHECK(before[i].pfn == after[i].pfn);
		ok &= CHECK(before[i].refcount == after[i].refcount);
		ok &= CHECK(before[i].refcount > 0);
		ok &= CHECK(!before[i].mapcount);
		ok &= CHECK(!after[i].mapcount);
	}
	if (p != MAP_FAILED)
		munmap(p, BUF_SIZE);
out:
	for (i = 0; i < ARRAY_SIZE(tried); i++)
		close(tried[i]);
	free(before);
	free(after);
	return ok;
}

static const struct {
	const char *name;
	bool (*fn)(const struct source *s);
} tests[] = {
	{ "sg table", test_table },
	{ "two devices, opposite directions, CPU access", test_directions },
	{ "kernel mapping", test_vmap },
	{ "forwarded mmap", test_forwarded },
	{ "references of pages under mmap-gup", test_references },
};

#define HUGEPAGES	"/proc/sys/vm/nr_hugepages"

static void set_hugepages(long long nr)
{
	FILE *f = fopen(HUGEPAGES, "we");

	if (f) {
		fprintf(f, "%lld\n", nr);
		fclose(f);
	}
}

int main(int argc, char **argv)
{
	static struct source source[MAX_HEAPS + 2];
	struct heap_list heaps;
	struct source *s = source;
	long long hugepages, used;
	unsigned int k;
	int i, nr;

	ksft_print_header();
	if (argc != 2)
		ksft_exit_fail_msg("usage: %s PATH/mmap-gup\n", argv[0]);
	mmap_gup = argv[1];
	debugfs_mount();
	heap_find(&heaps);
	for (i = 0; i < heaps.nr; i++, s++) {
		strcpy(s->name, heaps.name[i]);
		s->chunk = heap_chunk_size(s->name);
		s->heap = heap_open(s->name);
		if (s->heap < 0)
			ksft_exit_fail_msg("%s: %s\n", s->name,
					   strerror(errno));
	}
	strcpy(s->name, "udmabuf");
	s++->heap = -1;
	strcpy(s->name, "udmabuf-hugetlb");
	s->memfd_flags = MFD_HUGETLB;
	/*
	 * In v6.12, vmap_udmabuf() takes the first page of a large folio for
	 * each of its pages. That is not this series' to repair.
	 */
	s->no_vmap = true;
	s++->heap = -1;
	nr = s - source;
	hugepages = read_number(HUGEPAGES);
	set_hugepages(hugepages + BUF_SIZE / SZ_2M);

	/* One is left out of the last source. */
	ksft_set_plan(nr * ARRAY_SIZE(tests) - 1);
	for (s = source; s < source + nr; s++) {
		for (k = 0; k < ARRAY_SIZE(tests); k++) {
			bool ok;

			if (s->no_vmap && tests[k].fn == test_vmap)
				continue;
			used = cma_used();
			ok = tests[k].fn(s);
			ok &= CHECK(cma_used() == used);
			ksft_test_result(ok, "%s: %s\n", s->name,
					 tests[k].name);
		}
	}
	set_hugepages(hugepages);
	ksft_finished();
}
