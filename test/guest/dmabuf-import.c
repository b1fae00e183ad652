// SPDX-License-Identifier: GPL-2.0
/*
 * What an importer in the kernel sees of the buffers of each heap, through
 * test/modules/importer.c.
 *
 * dmabuf-import MMAP-GUP: the argument is the path of that selftest, which is
 * run on buffers whose pages are looked at before and after it.
 *
 * dmabuf-import sync [bounced] [devices]: only what the CPU and a device see of
 * each other's data, in buffers of the chunk heaps, with the other heaps as the
 * reference. "bounced" says that devices are expected to use bounce buffers, as
 * with swiotlb=force; "devices", that each device has its turn, and not the
 * first one only, and that caches are cleaned for those that the device tree
 * says are not coherent.
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
#define TRACING		"/sys/kernel/tracing/"

struct source {
	char name[NAME_MAX + 1];
	size_t chunk;		/* 0: no promise */
	int heap;		/* -1: udmabuf */
	unsigned int memfd_flags;
	bool no_vmap;
};

static const char *mmap_gup;

/*
 * DMA_API_DEBUG does not allow two mappings of the same memory that a device
 * may write to. Without it, all but bounce buffers stand that, and devices are
 * used that way.
 */
static bool one_writer;

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
 * whatever it was mapped for, which DMA_API_DEBUG objects to. So for them, the
 * devices map for both directions, or there is only one device.
 */
static bool test_directions(const struct source *s)
{
	const bool opposite = s->chunk;
	const __u32 to = opposite ? IMPORTER_TO_DEVICE : IMPORTER_BIDIRECTIONAL;
	const __u32 from = opposite ? IMPORTER_FROM_DEVICE :
				      IMPORTER_BIDIRECTIONAL;
	const __u32 reader = opposite || !one_writer ? 0 : 1;
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
	if (reader == 0)
		ok &= CHECK(!attach(imp, 0, to, 0, NULL));
	ok &= CHECK(!attach(imp, 1, from, 0, NULL));
	ok &= CHECK(attach(imp, 1, from, 0, NULL) &&
		    errno == EBUSY);

	ok &= !heap_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	fill(p, BUF_SIZE, 1);
	ok &= !heap_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	ok &= CHECK(!copy(imp, reader, false, 0, b, BUF_SIZE));
	ok &= CHECK(filled(b, BUF_SIZE, 1));

	fill(b, BUF_SIZE, 2);
	ok &= CHECK(!copy(imp, 1, true, 0, b, BUF_SIZE));
	ok &= !heap_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	ok &= CHECK(filled(p, BUF_SIZE, 2));
	ok &= !heap_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);

	/* One more, and the others stay as they are. */
	if (opposite || !one_writer)
		ok &= CHECK(!attach(imp, 2, one_writer ? IMPORTER_TO_DEVICE :
				    IMPORTER_BIDIRECTIONAL, 0, NULL));
	if (reader == 0)
		ok &= CHECK(!detach(imp, 0));
	fill(b, BUF_SIZE, 3);
	ok &= CHECK(!copy(imp, one_writer ? 1 : 2, true, 0, b, BUF_SIZE));
	ok &= CHECK(!copy(imp, 1, false, 0, b, BUF_SIZE));
	ok &= CHECK(filled(b, BUF_SIZE, 3));
	for (dir = IMPORTER_BIDIRECTIONAL; dir <= IMPORTER_FROM_DEVICE;
	     dir++) {
		ok &= CHECK(!ioctl(imp, IMPORTER_BEGIN_CPU, &dir));
		ok &= CHECK(!ioctl(imp, IMPORTER_END_CPU, &dir));
	}
	ok &= CHECK(!detach(imp, 1));
	if (opposite || !one_writer)
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
	const size_t page = sysconf(_SC_PAGESIZE), nr = BUF_SIZE / page;
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
	for (i = 0; ok && i < BUF_SIZE; i += page)
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

/*
 * What the CPU and a device see of each other's data. A device may be behind a
 * bounce buffer, which makes visible what is lost where it would otherwise take
 * caches that are not coherent.
 */
#define MAX_BOUNCE	(256 * 1024UL)	/* a longer entry cannot be bounced */

struct sync_test {
	const struct source *s;
	__u32 slot;		/* of the device */
	__u32 direction;
	int fd, imp;
	char *p;		/* the CPU's mapping */
	char *b;		/* what the device wrote or is asked to write */
	size_t size;		/* of the buffer */
	uint64_t seed;
	int nr_poked;
};

static bool begin(struct sync_test *t, uint64_t access)
{
	return !heap_sync(t->fd, DMA_BUF_SYNC_START | access);
}

static bool end(struct sync_test *t, uint64_t access)
{
	return !heap_sync(t->fd, DMA_BUF_SYNC_END | access);
}

static size_t poke_at(const struct sync_test *t, int i)
{
	const size_t at[] = { 5, t->size / 2 + 77, t->size - 1 };

	return at[i];
}

/*
 * One byte, the next one each time, which differs from what is there. Where a
 * device only writes, the CPU has nothing to write meanwhile.
 */
static void poke(struct sync_test *t)
{
	size_t at;

	if (t->direction == IMPORTER_FROM_DEVICE)
		return;
	at = poke_at(t, t->nr_poked++);
	fill(t->b, t->size, t->seed);
	t->p[at] = ~t->b[at];
}

static bool as_expected(const struct sync_test *t, const char *p)
{
	char *want = malloc(t->size);
	bool ok;
	int i;

	fill(want, t->size, t->seed);
	for (i = 0; i < t->nr_poked; i++)
		want[poke_at(t, i)] = ~want[poke_at(t, i)];
	ok = !memcmp(p, want, t->size);
	free(want);
	return ok;
}

static bool slot_sees(struct sync_test *t, __u32 slot)
{
	const struct source *s = t->s;

	return CHECK(!copy(t->imp, slot, false, 0, t->b, t->size)) &&
	       as_expected(t, t->b);
}

static bool device_sees(struct sync_test *t)
{
	return slot_sees(t, t->slot);
}

static bool cpu_sees(struct sync_test *t)
{
	bool ok;

	ok = begin(t, DMA_BUF_SYNC_READ);
	ok &= as_expected(t, t->p);
	return ok & end(t, DMA_BUF_SYNC_READ);
}

static bool map_device(struct sync_test *t)
{
	return !attach(t->imp, t->slot, t->direction, 0, NULL);
}

/* New data of the device, or if it cannot write, data that it is given. */
static bool device_data(struct sync_test *t)
{
	const struct source *s = t->s;
	bool ok;

	t->seed += 0x1234567;
	t->nr_poked = 0;
	fill(t->b, t->size, t->seed);
	if (t->direction != IMPORTER_TO_DEVICE)
		return CHECK(!copy(t->imp, t->slot, true, 0, t->b, t->size));
	ok = begin(t, DMA_BUF_SYNC_WRITE);
	memcpy(t->p, t->b, t->size);
	return CHECK(ok & end(t, DMA_BUF_SYNC_WRITE));
}

/* Who writes a part of it also reads: the rest is to stay as it is. */
static bool sync_partial(struct sync_test *t)
{
	const struct source *s = t->s;
	bool ok;
	int i;

	ok = CHECK(map_device(t)) & device_data(t);
	for (i = 0; i < 3; i++) {
		ok &= begin(t, DMA_BUF_SYNC_RW);
		poke(t);
		ok &= end(t, DMA_BUF_SYNC_RW);
		ok &= CHECK(device_sees(t));
		ok &= CHECK(cpu_sees(t));
		ok &= CHECK(device_sees(t));
	}
	return ok;
}

/* Nothing says that a device must not write while the CPU reads. */
static bool sync_read(struct sync_test *t)
{
	const struct source *s = t->s;
	bool ok;

	ok = CHECK(map_device(t)) & device_data(t);
	ok &= begin(t, DMA_BUF_SYNC_READ);
	ok &= CHECK(as_expected(t, t->p));
	ok &= device_data(t);
	ok &= end(t, DMA_BUF_SYNC_READ);
	ok &= CHECK(device_sees(t));
	return ok & CHECK(cpu_sees(t));
}

/* Of a process that ends without ending its access, nothing is left. */
static bool sync_died(struct sync_test *t)
{
	const struct source *s = t->s;
	int status = -1, i;
	bool ok;
	pid_t pid;

	ok = CHECK(map_device(t));
	pid = fork();
	if (!pid)
		_exit(!begin(t, DMA_BUF_SYNC_WRITE));
	ok &= CHECK(waitpid(pid, &status, 0) == pid && !status);
	for (i = 0; i < 3; i++) {
		ok &= device_data(t);
		ok &= CHECK(cpu_sees(t));
	}
	/* A device that comes later. */
	ok &= CHECK(!detach(t->imp, t->slot));
	ok &= CHECK(map_device(t)) & device_data(t);
	ok &= CHECK(!detach(t->imp, t->slot));
	ok &= CHECK(as_expected(t, t->p));
	return ok & CHECK(cpu_sees(t));
}

/* As applications do it that nobody has told. */
static bool sync_unpaired(struct sync_test *t)
{
	const struct source *s = t->s;
	bool ok;

	ok = CHECK(map_device(t));
	ok &= begin(t, DMA_BUF_SYNC_RW);
	ok &= end(t, DMA_BUF_SYNC_READ);
	ok &= device_data(t);
	ok &= CHECK(cpu_sees(t));
	ok &= CHECK(end(t, DMA_BUF_SYNC_WRITE));
	ok &= device_data(t);
	ok &= CHECK(cpu_sees(t));
	return ok & CHECK(device_sees(t));
}

static bool sync_unmap(struct sync_test *t)
{
	const struct source *s = t->s;
	bool ok;

	ok = CHECK(map_device(t)) & device_data(t);
	ok &= begin(t, DMA_BUF_SYNC_READ);
	ok &= CHECK(!detach(t->imp, t->slot));
	ok &= CHECK(as_expected(t, t->p));
	ok &= end(t, DMA_BUF_SYNC_READ);
	ok &= CHECK(cpu_sees(t));
	ok &= CHECK(map_device(t));
	return ok & CHECK(device_sees(t));
}

static bool sync_map(struct sync_test *t)
{
	const struct source *s = t->s;
	bool ok;

	t->seed = 42;
	ok = begin(t, DMA_BUF_SYNC_WRITE);
	fill(t->p, t->size, t->seed);
	ok &= CHECK(map_device(t));
	poke(t);
	ok &= end(t, DMA_BUF_SYNC_WRITE);
	ok &= CHECK(device_sees(t));
	return ok & CHECK(cpu_sees(t));
}

/* Each mapping counts, whichever of the devices came first. */
static bool sync_two(struct sync_test *t)
{
	const __u32 other = (t->slot + 1) % IMPORTER_SLOTS;
	const struct source *s = t->s;
	bool ok = true;
	int i;

	for (i = 0; i < 2; i++) {
		if (!i)
			ok &= CHECK(map_device(t));
		/* It only reads: two that write would overwrite each other. */
		ok &= CHECK(!attach(t->imp, other, IMPORTER_TO_DEVICE, 0, NULL));
		if (i)
			ok &= CHECK(map_device(t));
		ok &= device_data(t);
		ok &= CHECK(cpu_sees(t));
		ok &= CHECK(slot_sees(t, other));
		ok &= begin(t, DMA_BUF_SYNC_RW);
		poke(t);
		ok &= end(t, DMA_BUF_SYNC_RW);
		ok &= CHECK(device_sees(t));
		ok &= CHECK(slot_sees(t, other));
		ok &= CHECK(!detach(t->imp, t->slot));
		ok &= CHECK(!detach(t->imp, other));
		ok &= CHECK(as_expected(t, t->p));
	}
	return ok;
}

static bool sync_new(struct sync_test *t)
{
	const struct source *s = t->s;
	bool ok;

	ok = CHECK(map_device(t));
	memset(t->b, 1, t->size);
	ok &= CHECK(!copy(t->imp, t->slot, false, 0, t->b, t->size));
	return ok & CHECK(!t->b[0] && !memcmp(t->b, t->b + 1, t->size - 1));
}

/*
 * Of caches, QEMU has none: whatever the kernel cleans, nothing shows, be it too
 * little or an address at which there is no memory. So kprobes tell what it is.
 */
static const struct {
	const char *name, *function;
} probes[] = {
	{ "cpu", "arch_sync_dma_for_cpu" },
	{ "device", "arch_sync_dma_for_device" },
};

static int trace_pipe = -1;

static bool trace_write(const char *file, const char *text)
{
	char path[100];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), TRACING "%s", file);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) > 0;
	if (!ok)
		ksft_print_msg("%s: %s: %s\n", path, text, strerror(errno));
	close(fd);
	return ok;
}

static void probes_start(void)
{
	char text[100];
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		snprintf(text, sizeof(text),
			 "p:caches/%s %s phys=$arg1 size=$arg2",
			 probes[i].name, probes[i].function);
		ok &= trace_write("kprobe_events", text);
	}
	trace_pipe = open(TRACING "trace_pipe",
			  O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (!ok || trace_pipe < 0)
		ksft_exit_fail_msg("no kprobes\n");
}

static void probes_stop(void)
{
	close(trace_pipe);
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		char text[100];

		snprintf(text, sizeof(text), "-:caches/%s", probes[i].name);
		trace_write("kprobe_events", text);
	}
}

static bool coherent(__u32 slot)
{
	char path[100];

	snprintf(path, sizeof(path),
		 "/proc/device-tree/importers/importer@%u/dma-noncoherent",
		 slot);
	return access(path, F_OK);
}

/* The pages of a buffer, which may be longer than t->size: a chunk. */
struct cleaned_page {
	uint64_t pfn;
	unsigned int seen[ARRAY_SIZE(probes)];
};

static struct cleaned_page *page_of(struct cleaned_page *page, size_t nr,
				    unsigned long long pfn)
{
	for (size_t i = 0; i < nr; i++)
		if (page[i].pfn == pfn)
			return &page[i];
	return NULL;
}

/* Since the last time, all there is to read in the trace. */
static bool read_trace(struct cleaned_page *page, size_t nr)
{
	const size_t size = sysconf(_SC_PAGESIZE);
	unsigned long long phys, len, at;
	static char text[1 << 16];
	char *line, *next;
	size_t used = 0;
	unsigned int i;
	ssize_t n;

	while ((n = read(trace_pipe, text + used,
			 sizeof(text) - 1 - used)) > 0)
		used += n;
	text[used] = '\0';
	for (line = text; (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		for (i = 0; i < ARRAY_SIZE(probes); i++)
			if (strstr(line, probes[i].function))
				break;
		line = strstr(line, "phys=");
		if (i == ARRAY_SIZE(probes) || !line ||
		    sscanf(line, "phys=%llx size=%llx", &phys, &len) != 2) {
			ksft_print_msg("the trace is not understood\n");
			return false;
		}
		for (at = phys; at < phys + len; at += size) {
			struct cleaned_page *p = page_of(page, nr, at / size);

			if (!p || at % size) {
				ksft_print_msg("%s(%#llx, %#llx): not the buffer's\n",
					       probes[i].function, phys, len);
				return false;
			}
			p->seen[i]++;
		}
		line = next;
	}
	return true;
}

/* Was all of the buffer cleaned so many times, for the CPU, for the device? */
static bool cleaned(struct sync_test *t, struct cleaned_page *page, size_t nr,
		    unsigned int cpu, unsigned int device)
{
	const unsigned int want[] = {
		coherent(t->slot) ? 0 : cpu, coherent(t->slot) ? 0 : device,
	};
	bool ok;

	for (size_t i = 0; i < nr; i++)
		memset(page[i].seen, 0, sizeof(page[i].seen));
	ok = read_trace(page, nr);
	for (size_t i = 0; ok && i < nr; i++)
		for (size_t k = 0; k < ARRAY_SIZE(probes); k++) {
			if (page[i].seen[k] == want[k])
				continue;
			ksft_print_msg("%s: page %zu: %u times, not %u\n",
				       probes[k].function, i, page[i].seen[k],
				       want[k]);
			ok = false;
		}
	return ok;
}

static bool sync_caches(struct sync_test *t)
{
	const size_t nr = lseek(t->fd, 0, SEEK_END) / sysconf(_SC_PAGESIZE);
	const struct source *s = t->s;
	struct importer_page *info = calloc(nr, sizeof(*info));
	struct cleaned_page *page = calloc(nr, sizeof(*page));
	bool ok;

	ok = get_pages(s, t->fd, info, nr) &&
	     CHECK(trace_write("events/caches/enable", "1"));
	if (!ok)
		goto out;
	for (size_t i = 0; i < nr; i++)
		page[i].pfn = info[i].pfn;
	/*
	 * The zeroes of a new buffer are written back before a device may only
	 * write, once: an architecture may discard them then.
	 */
	ok &= CHECK(map_device(t));
	ok &= CHECK(cleaned(t, page, nr, 0,
			    t->direction == IMPORTER_FROM_DEVICE ? 2 : 1));
	ok &= CHECK(!detach(t->imp, t->slot));
	ok &= CHECK(cleaned(t, page, nr, 1, 0));
	ok &= CHECK(map_device(t)) & CHECK(cleaned(t, page, nr, 0, 1));
	ok &= begin(t, DMA_BUF_SYNC_READ);
	ok &= CHECK(cleaned(t, page, nr, 1, 0));
	ok &= end(t, DMA_BUF_SYNC_READ);
	ok &= CHECK(cleaned(t, page, nr, 0, 1));
	ok &= begin(t, DMA_BUF_SYNC_WRITE);
	ok &= CHECK(cleaned(t, page, nr, 1, 0));
	ok &= end(t, DMA_BUF_SYNC_WRITE);
	ok &= CHECK(cleaned(t, page, nr, 0, 1));
	ok &= CHECK(!detach(t->imp, t->slot));
	ok &= CHECK(cleaned(t, page, nr, 1, 0));
	/* Without a device, there is nothing to clean for. */
	ok &= begin(t, DMA_BUF_SYNC_RW) & end(t, DMA_BUF_SYNC_RW);
	ok &= CHECK(cleaned(t, page, nr, 0, 0));
	ok &= CHECK(trace_write("events/caches/enable", "0"));
out:
	free(page);
	free(info);
	return ok;
}

/* An IOMMU lets a device do what it is mapped for. */
static bool sync_direction(struct sync_test *t)
{
	static const char * const name[] = {
		[IMPORTER_BIDIRECTIONAL] = "dir=BIDIRECTIONAL",
		[IMPORTER_TO_DEVICE] = "dir=TO_DEVICE",
		[IMPORTER_FROM_DEVICE] = "dir=FROM_DEVICE",
	};
	const struct source *s = t->s;
	static char text[1 << 16];
	char *line = NULL, *next;
	size_t used = 0;
	bool ok = false;
	ssize_t n;
	int fd;

	fd = open(TRACING "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (!CHECK(fd >= 0))
		return false;
	if (CHECK(trace_write("events/dma/dma_map_sg/enable", "1"))) {
		ok = CHECK(map_device(t));
		ok &= CHECK(trace_write("events/dma/dma_map_sg/enable", "0"));
	}
	/* A long list is cut off in the trace: look at what is at its end. */
	while ((n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += n;
	close(fd);
	text[used] = '\0';
	for (next = text; (next = strstr(next, "dma_map_sg:")); next++)
		line = next;
	ok &= CHECK(line && strstr(line, name[t->direction]));
	if (!ok)
		ksft_print_msg("%.200s\n", line ? line : text);
	return ok;
}

static const struct {
	const char *name;
	bool (*fn)(struct sync_test *t);
	bool chunk_only;	/* more than the other heaps promise */
} sync_tests[] = {
	{ "a partial write", sync_partial, false },
	{ "a device that writes during a read", sync_read, false },
	{ "a writer that died", sync_died, false },
	{ "an end that does not match", sync_unpaired, false },
	{ "unmapped during a read", sync_unmap, false },
	{ "mapped during a write", sync_map, false },
	{ "zeroes in a new buffer", sync_new, false },
	{ "beside another device", sync_two, true },
	{ "mapped for no other direction", sync_direction, true },
	/* last, for each device only */
	{ "exactly what is not coherent is cleaned", sync_caches, true },
};

static bool run_sync(const struct source *s, __u32 slot, __u32 direction,
		     bool (*fn)(struct sync_test *t))
{
	struct sync_test t = {
		.s = s, .slot = slot, .direction = direction,
		/* One block of the CMA heap, and it may have to be bounced. */
		.size = s->chunk ? SZ_1M : SZ_64K,
	};
	bool ok;

	t.fd = buffer(s, t.size);
	t.imp = importer(s, t.fd);
	t.p = mmap(NULL, t.size, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd,
		   0);
	t.b = malloc(t.size);
	ok = t.imp >= 0 && CHECK(t.p != MAP_FAILED) && CHECK(t.b) && fn(&t);
	free(t.b);
	if (t.p != MAP_FAILED)
		munmap(t.p, t.size);
	close(t.imp);
	close(t.fd);
	return ok;
}

static bool bounced;
static __u32 sync_slots = 1;
static unsigned int nr_results;
static bool caches;

/* Or all that follows would pass for the wrong reason. */
static bool sync_bounced(struct sync_test *t)
{
	const struct source *s = t->s;

	if (!CHECK(map_device(t)) || !device_data(t))
		return false;
	return CHECK(as_expected(t, t->p) == !bounced);
}

static void run_sync_tests(const struct source *s, __u32 slot, bool run)
{
	static const char * const name[] = {
		[IMPORTER_BIDIRECTIONAL] = "for both directions",
		[IMPORTER_TO_DEVICE] = "to the device",
		[IMPORTER_FROM_DEVICE] = "from the device",
	};
	const unsigned int nr_tests = ARRAY_SIZE(sync_tests) - !caches;
	/* See test_directions(). */
	const __u32 directions = s->chunk || !one_writer ? ARRAY_SIZE(name) : 1;
	unsigned int k;
	__u32 d;

	for (k = 0; k < nr_tests; k++) {
		if (sync_tests[k].chunk_only && !s->chunk)
			continue;
		for (d = 0; d < directions; d++) {
			if (!run) {
				nr_results++;
				continue;
			}
			ksft_test_result(run_sync(s, slot, d, sync_tests[k].fn),
					 "%s: device %u: %s, mapped %s\n",
					 s->name, slot, sync_tests[k].name,
					 name[d]);
		}
	}
}

static int test_sync(struct source *source, int nr)
{
	struct source *s, *end = source + nr;
	__u32 slot;
	int run;

	caches = sync_slots > 1;
	if (caches)
		probes_start();
	for (run = 0; run < 2; run++) {
		if (run)
			ksft_set_plan(nr_results);
		for (s = source; s < end; s++) {
			if (bounced && s->chunk > MAX_BOUNCE)
				continue;
			/*
			 * With CONFIG_DMABUF_DEBUG, the other heaps clean what
			 * is no memory.
			 */
			if (caches && !s->chunk)
				continue;
			for (slot = 0; slot < sync_slots; slot++) {
				nr_results += !run;
				if (run)
					ksft_test_result(run_sync(s, slot,
							IMPORTER_BIDIRECTIONAL,
							sync_bounced),
						"%s: device %u: bounce buffers: %s\n",
						s->name, slot,
						bounced ? "yes" : "no");
				run_sync_tests(s, slot, run);
			}
		}
	}
	if (caches)
		probes_stop();
	ksft_finished();
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

/* Of 2 MB, which need not be the default size. */
#define HUGEPAGES	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

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
	if (argc < 2)
		ksft_exit_fail_msg("usage: %s PATH/mmap-gup|sync [bounced] [devices]\n",
				   argv[0]);
	mmap_gup = argv[1];
	for (i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "bounced"))
			bounced = true;
		else if (!strcmp(argv[i], "devices"))
			sync_slots = IMPORTER_SLOTS;
		else
			ksft_exit_fail_msg("%s?\n", argv[i]);
	}
	debugfs_mount();
	one_writer = !access(DEBUGFS "/dma-api", F_OK);
	heap_find(&heaps);
	for (i = 0; i < heaps.nr; i++, s++) {
		strcpy(s->name, heaps.name[i]);
		s->chunk = heap_chunk_size(s->name);
		s->heap = heap_open(s->name);
		if (s->heap < 0)
			ksft_exit_fail_msg("%s: %s\n", s->name,
					   strerror(errno));
	}
	if (!strcmp(argv[1], "sync"))
		return test_sync(source, heaps.nr);

	/*
	 * udmabuf maps the buffer for a device of its own when the CPU first
	 * accesses it, and keeps that: a second writer.
	 */
	if (one_writer)
		goto run;
	strcpy(s->name, "udmabuf");
	s++->heap = -1;
	strcpy(s->name, "udmabuf-hugetlb");
	s->memfd_flags = MFD_HUGETLB | MFD_HUGE_2MB;
	/*
	 * In v6.12, vmap_udmabuf() takes the first page of a large folio for
	 * each of its pages. That is not this series' to repair.
	 */
	s->no_vmap = true;
	s++->heap = -1;
run:
	nr = s - source;
	hugepages = read_number(HUGEPAGES);
	set_hugepages(hugepages + BUF_SIZE / SZ_2M);

	/* One test is left out for udmabuf-hugetlb. */
	ksft_set_plan(nr * ARRAY_SIZE(tests) - !one_writer);
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
