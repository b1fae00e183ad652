// SPDX-License-Identifier: GPL-2.0
/*
 * What an importer in the kernel sees of the buffers of each heap, through
 * test/cases/modules/importer.c.
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
#include <linux/memfd.h>
#include <linux/udmabuf.h>

#include "util.h"

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

struct test {
	const struct source *s;
	size_t size;		/* of the buffer */
	int fd, imp;
	char *p;		/* the CPU's mapping */
	char *b;		/* what a device reads or writes */
	/* of test_sync() */
	const char *steps;
	__u32 slot;		/* of the device */
	__u32 direction;
	uint64_t seed;
	int nr_poked;
};

static const char *mmap_gup;

/*
 * DMA_API_DEBUG does not allow two mappings of the same memory that a device
 * may write to. Without it, all but bounce buffers stand that, and devices are
 * used that way.
 */
static bool one_writer;

static int udmabuf(size_t len, unsigned int flags)
{
	struct udmabuf_create create = { .size = len };
	int dev, memfd, fd = -1;

	dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	memfd = memfd_create("dmabuf-import", flags | MFD_ALLOW_SEALING);
	if (dev >= 0 && memfd >= 0 && !ftruncate(memfd, len) &&
	    !fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		/* See tools/testing/selftests/dmabuf-heaps/mmap-gup.c. */
		munmap(mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_POPULATE, memfd, 0), len);
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

/* A test with a buffer, an importer, and memory of the same size. */
static void run(struct test *t, void (*fn)(struct test *t))
{
	t->fd = buffer(t->s, t->size);
	t->imp = importer_open(t->fd);
	t->p = map_fd(t->fd, t->size);
	t->b = malloc(t->size);
	if (CHECK(t->imp >= 0) && CHECK(t->p != MAP_FAILED) && CHECK(t->b))
		fn(t);
	free(t->b);
	munmap(t->p, t->size);
	close(t->imp);
	close(t->fd);
}

static int attach(const struct test *t, __u32 slot, __u32 direction)
{
	struct importer_attach arg = { .slot = slot, .direction = direction };

	return ioctl(t->imp, IMPORTER_ATTACH, &arg);
}

static int detach(const struct test *t, __u32 slot)
{
	return ioctl(t->imp, IMPORTER_DETACH, &slot);
}

/* All of the buffer, from or to t->b. */
static int copy(const struct test *t, __u32 via, bool write)
{
	struct importer_copy arg = {
		.via = via,
		.write = write,
		.len = t->size,
		.ptr = (uintptr_t)t->b,
	};

	return ioctl(t->imp, IMPORTER_COPY, &arg);
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

/* The device behind @via, or the kernel, sees @seed. */
static void sees(const struct test *t, __u32 via, uint64_t seed)
{
	CHECK(!copy(t, via, false));
	CHECK(filled(t->b, t->size, seed));
}

static void writes(const struct test *t, __u32 via, uint64_t seed)
{
	fill(t->b, t->size, seed);
	CHECK(!copy(t, via, true));
}

/* The table that a device gets: all of the buffer, in the promised pieces. */
static void test_table(struct test *t)
{
	const size_t chunk = t->s->chunk;
	struct importer_attach a = { .chunk = chunk };

	if (!CHECK(!ioctl(t->imp, IMPORTER_ATTACH, &a)))
		return;
	ksft_print_msg("%s: %zu bytes: %u entries, shortest %llu\n",
		       t->s->name, t->size, a.nents, a.shortest);
	CHECK(a.bytes == t->size);
	if (chunk) {
		CHECK(a.nents == t->size / chunk);
		CHECK(a.orig_nents == t->size / chunk);
		CHECK(a.shortest == chunk);
		CHECK(!a.unaligned && !a.odd && !a.descending);
	}
	CHECK(!detach(t, 0));
}

/*
 * Two devices that use the buffer in opposite directions, and the CPU, all at
 * once: each sees what the other wrote, and either may come and go.
 *
 * The heaps of the tree sync a mapping in the direction of the CPU's access,
 * whatever it was mapped for, which DMA_API_DEBUG objects to. So for them, the
 * devices map for both directions, or there is only one device.
 */
static void test_directions(struct test *t)
{
	const bool opposite = t->s->chunk, two = opposite || !one_writer;
	const __u32 to = opposite ? IMPORTER_TO_DEVICE : IMPORTER_BIDIRECTIONAL;
	const __u32 from = opposite ? IMPORTER_FROM_DEVICE :
				      IMPORTER_BIDIRECTIONAL;
	__u32 dir;

	if (two)
		CHECK(!attach(t, 0, to));
	CHECK(!attach(t, 1, from));
	CHECK(attach(t, 1, from) && errno == EBUSY);

	CHECK(!heap_sync(t->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
	fill(t->p, t->size, 1);
	CHECK(!heap_sync(t->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE));
	sees(t, two ? 0 : 1, 1);

	writes(t, 1, 2);
	CHECK(!heap_sync(t->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	CHECK(filled(t->p, t->size, 2));
	CHECK(!heap_sync(t->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));

	/* One more, and the others stay as they are. */
	if (two) {
		CHECK(!attach(t, 2, one_writer ? IMPORTER_TO_DEVICE :
						 IMPORTER_BIDIRECTIONAL));
		CHECK(!detach(t, 0));
	}
	writes(t, one_writer ? 1 : 2, 3);
	sees(t, 1, 3);
	for (dir = IMPORTER_BIDIRECTIONAL; dir <= IMPORTER_FROM_DEVICE; dir++)
		CHECK(!ioctl(t->imp, IMPORTER_BEGIN_CPU, &dir) &&
		      !ioctl(t->imp, IMPORTER_END_CPU, &dir));
	CHECK(!detach(t, 1));
	if (two)
		CHECK(!detach(t, 2));
	/* After the last device, the CPU's access is still what it was. */
	CHECK(!heap_sync(t->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	CHECK(filled(t->p, t->size, 3));
	CHECK(!heap_sync(t->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
}

static void test_vmap(struct test *t)
{
	__u32 dir = IMPORTER_BIDIRECTIONAL;
	int i;

	fill(t->p, t->size, 1);
	/* Nested: the first and the last one are what the exporter sees. */
	for (i = 0; i < 3; i++)
		CHECK(!ioctl(t->imp, IMPORTER_VMAP));
	CHECK(!attach(t, 0, IMPORTER_BIDIRECTIONAL));
	CHECK(!ioctl(t->imp, IMPORTER_BEGIN_CPU, &dir));
	sees(t, IMPORTER_VIA_VMAP, 1);
	writes(t, IMPORTER_VIA_VMAP, 2);
	CHECK(!ioctl(t->imp, IMPORTER_END_CPU, &dir));
	for (i = 0; i < 2; i++)
		CHECK(!ioctl(t->imp, IMPORTER_VUNMAP));
	memset(t->b, 0, t->size);
	sees(t, IMPORTER_VIA_VMAP, 2);
	CHECK(filled(t->p, t->size, 2));
	CHECK(!ioctl(t->imp, IMPORTER_VUNMAP));
	CHECK(ioctl(t->imp, IMPORTER_VUNMAP) && errno == EINVAL);
	CHECK(!detach(t, 0));
	/* Again, after the last one was gone; close() has to clean up. */
	CHECK(!ioctl(t->imp, IMPORTER_VMAP));
	CHECK(!attach(t, 3, IMPORTER_FROM_DEVICE));
}

/* mmap() of the importer's file, which dma_buf_mmap() passes on. */
static void test_forwarded(struct test *t)
{
	const size_t page = sysconf(_SC_PAGESIZE), off = SZ_64K + page;
	const size_t len = 3 * SZ_64K;
	char *q;

	q = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, t->imp, off);
	if (!CHECK(q != MAP_FAILED))
		return;
	fill(t->p, t->size, 0);
	CHECK(filled(q, len, off / sizeof(uint64_t)));
	fill(q, len, 99);
	CHECK(filled(t->p + off, len, 99));
	CHECK(vma_has_flag(q, "pf"));
	CHECK(vma_has_flag(q, "de"));
	CHECK(vma_has_flag(q, "dd"));
	CHECK(mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, t->imp,
		   t->size - page) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, t->size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		   t->imp, 0) == MAP_FAILED && errno == EINVAL);
	/* The mapping alone keeps the buffer. */
	munmap(t->p, t->size);
	close(t->imp);
	close(t->fd);
	t->p = MAP_FAILED;
	t->imp = -1;
	t->fd = -1;
	CHECK(filled(q, len, 99));
	munmap(q, len);
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

/*
 * A page that somebody has got hold of has a reference more; one that is
 * mapped as a page has a map count. Both are looked at with the mappings of
 * all that failed, and of all that worked, gone again.
 */
static void test_references(struct test *t)
{
	const size_t page = sysconf(_SC_PAGESIZE), nr = BUF_SIZE / page;
	struct importer_page *before = NULL, *after[2] = { };
	int tried[8], nr_tried = 0;
	long huge = -1;
	char *p;
	size_t i;

	/* Nobody promises 2 MB: look at some, and take one that will do. */
	do {
		free(before);
		t->fd = buffer(t->s, BUF_SIZE);
		tried[nr_tried++] = t->fd;
		before = importer_look(t->fd, nr);
		huge = CHECK(before) ? find_huge(before, nr) : -1;
	} while (before && huge < 0 && t->s->heap >= 0 &&
		 nr_tried < (int)ARRAY_SIZE(tried));
	ksft_print_msg("%s: 2 MB of aligned memory at offset %ld\n",
		       t->s->name, huge);
	/* system: made of 1 MB at most, which may or may not lie together */
	if (strcmp(t->s->name, "system") && strcmp(t->s->name, "udmabuf"))
		CHECK(huge >= 0);

	p = map_fd(t->fd, BUF_SIZE);
	CHECK(p != MAP_FAILED);
	for (i = 0; p != MAP_FAILED && i < BUF_SIZE; i += page)
		p[i] = 1;
	/* Mapped for user space, and still no one's. */
	after[0] = importer_look(t->fd, nr);
	CHECK(before && after[0] &&
	      !memcmp(before, after[0], nr * sizeof(*before)));
	run_mmap_gup(mmap_gup, t->fd, huge);
	after[1] = importer_look(t->fd, nr);
	CHECK(after[1]);
	for (i = 0; !failed_checks && i < nr; i++) {
		CHECK(before[i].pfn == after[1][i].pfn);
		CHECK(before[i].refcount == after[1][i].refcount);
		/* Mainline's chunks are frozen. */
		CHECK(before[i].refcount > 0 || (t->s->chunk && on_mainline()));
		CHECK(!before[i].mapcount && !after[1][i].mapcount);
	}
	munmap(p, BUF_SIZE);
	while (nr_tried)
		close(tried[--nr_tried]);
	free(before);
	free(after[0]);
	free(after[1]);
}

/*
 * What the CPU and a device see of each other's data. A device may be behind a
 * bounce buffer, which makes visible what is lost where it would otherwise take
 * caches that are not coherent.
 *
 * A test is a list of steps:
 *
 *   ( [ {	the CPU begins to read, to write, to do both, and ) ] } ends
 *   F		the CPU fills the buffer
 *   p		it writes one byte, the next one each time
 *   c		it sees what it must; "=" is without a begin and an end
 *   M U	the device is mapped, and unmapped
 *   D		the device writes or, if it cannot, is given new data
 *   d		it sees what it must; "0" for the zeroes of a new buffer
 *   m u o	the same of another device, which only reads: two that write
 *		would overwrite each other
 *   X		a process begins to write, and dies
 *   B		there are bounce buffers, or none, as is expected
 */
#define MAX_BOUNCE	(256 * 1024UL)	/* a longer entry cannot be bounced */

static bool bounced;

static size_t poke_at(const struct test *t, int i)
{
	const size_t at[] = { 5, t->size / 2 + 77, t->size - 1 };

	return at[i];
}

/*
 * The byte differs from what is there. Where a device only writes, the CPU has
 * nothing to write meanwhile.
 */
static void poke(struct test *t)
{
	size_t at;

	if (t->direction == IMPORTER_FROM_DEVICE)
		return;
	at = poke_at(t, t->nr_poked++);
	fill(t->b, t->size, t->seed);
	t->p[at] = ~t->b[at];
}

static bool as_expected(const struct test *t, const char *p)
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

static bool new_data(struct test *t)
{
	t->seed += 0x1234567;
	t->nr_poked = 0;
	if (t->direction != IMPORTER_TO_DEVICE) {
		fill(t->b, t->size, t->seed);
		return !copy(t, t->slot, true);
	}
	if (heap_sync(t->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		return false;
	fill(t->p, t->size, t->seed);
	return !heap_sync(t->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

static bool step(struct test *t, char c)
{
	static const char begin[] = " ([{", end[] = " )]}";
	const __u32 other = (t->slot + 1) % IMPORTER_SLOTS;
	int status = -1;
	pid_t pid;
	bool ok;

	switch (c) {
	case ' ':
		return true;
	case '(': case '[': case '{':
		return !heap_sync(t->fd, DMA_BUF_SYNC_START |
				  (strchr(begin, c) - begin));
	case ')': case ']': case '}':
		return !heap_sync(t->fd, DMA_BUF_SYNC_END |
				  (strchr(end, c) - end));
	case 'F':
		fill(t->p, t->size, t->seed);
		return true;
	case 'p':
		poke(t);
		return true;
	case 'c':
		ok = step(t, '(');
		ok &= as_expected(t, t->p);
		return step(t, ')') && ok;
	case '=':
		return as_expected(t, t->p);
	case 'M':
		return !attach(t, t->slot, t->direction);
	case 'm':
		return !attach(t, other, IMPORTER_TO_DEVICE);
	case 'U': case 'u':
		return !detach(t, c == 'U' ? t->slot : other);
	case 'D':
		return new_data(t);
	case 'd': case 'o':
		return !copy(t, c == 'd' ? t->slot : other, false) &&
		       as_expected(t, t->b);
	case '0':
		memset(t->b, 1, t->size);
		return !copy(t, t->slot, false) && !t->b[0] &&
		       !memcmp(t->b, t->b + 1, t->size - 1);
	case 'X':
		pid = fork();
		if (!pid)
			_exit(!step(t, '['));
		return waitpid(pid, &status, 0) == pid && !status;
	case 'B':
		return as_expected(t, t->p) == !bounced;
	}
	return false;
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

/* Nobody else can have it open. */
static int trace_pipe = -1;

static void probes_start(void)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		ret |= write_file(TRACING "kprobe_events",
				  "p:caches/%s %s phys=$arg1 size=$arg2",
				  probes[i].name, probes[i].function);
	if (ret)
		ksft_exit_fail_msg("no kprobes\n");
}

static void probes_stop(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		write_file(TRACING "kprobe_events", "-:caches/%s",
			   probes[i].name);
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
	unsigned int i;

	line = read_rest(trace_pipe, text, sizeof(text));
	for (; (next = strchr(line, '\n')); line = next + 1) {
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
static bool cleaned(struct test *t, struct cleaned_page *page, size_t nr,
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

static void sync_caches(struct test *t)
{
	/*
	 * The zeroes of a new buffer are written back before a device may only
	 * write, once: an architecture may discard them then. Without a device,
	 * there is nothing to clean for.
	 */
	const struct {
		char step;
		unsigned int cpu, device;
	} list[] = {
		{ 'M', 0, t->direction == IMPORTER_FROM_DEVICE ? 2 : 1 },
		{ 'U', 1, 0 }, { 'M', 0, 1 }, { '(', 1, 0 }, { ')', 0, 1 },
		{ '[', 1, 0 }, { ']', 0, 1 }, { 'U', 1, 0 }, { '{', 0, 0 },
		{ '}', 0, 0 },
	};
	const size_t nr = lseek(t->fd, 0, SEEK_END) / sysconf(_SC_PAGESIZE);
	struct importer_page *info = importer_look(t->fd, nr);
	struct cleaned_page *page = calloc(nr, sizeof(*page));

	CHECK(info && page);
	CHECK(!write_file(TRACING "events/caches/enable", "1"));
	for (size_t i = 0; !failed_checks && i < nr; i++)
		page[i].pfn = info[i].pfn;
	for (size_t i = 0; !failed_checks && i < ARRAY_SIZE(list); i++)
		if (!CHECK(step(t, list[i].step) &&
			   cleaned(t, page, nr, list[i].cpu, list[i].device)))
			ksft_print_msg("step %zu, %c\n", i + 1, list[i].step);
	CHECK(!write_file(TRACING "events/caches/enable", "0"));
	free(page);
	free(info);
}

/* An IOMMU lets a device do what it is mapped for. */
static void sync_direction(struct test *t)
{
	static const char * const name[] = {
		[IMPORTER_BIDIRECTIONAL] = "dir=BIDIRECTIONAL",
		[IMPORTER_TO_DEVICE] = "dir=TO_DEVICE",
		[IMPORTER_FROM_DEVICE] = "dir=FROM_DEVICE",
	};
	static const char enable[] = TRACING "events/dma/dma_map_sg/enable";
	static char text[1 << 16];
	char *line = NULL, *next;

	CHECK(!write_file(enable, "1"));
	CHECK(step(t, 'M'));
	CHECK(!write_file(enable, "0"));
	/* A long list is cut off in the trace: look at what is at its end. */
	next = read_rest(trace_pipe, text, sizeof(text));
	for (; (next = strstr(next, "dma_map_sg:")); next++)
		line = next;
	if (!CHECK(line && strstr(line, name[t->direction])))
		ksft_print_msg("%.200s\n", line ? line : text);
}

static void run_steps(struct test *t)
{
	for (const char *at = t->steps; *at; at++)
		if (!CHECK(step(t, *at)))
			ksft_print_msg("step %td of %s\n", at - t->steps + 1,
				       t->steps);
}

static const struct sync_test {
	const char *name;
	bool chunk_only;	/* more than the other heaps promise */
	void (*fn)(struct test *t);
	const char *steps;
} sync_tests[] = {
	/* Who writes a part of it also reads: the rest is to stay as it is. */
	{ "a partial write", false, run_steps, "MD {p}dcd {p}dcd {p}dcd" },
	/* Nothing says that a device must not write while the CPU reads. */
	{ "a device that writes during a read", false, run_steps, "MD(=D)dc" },
	/* Nothing is left of it, also for a device that comes later. */
	{ "a writer that died", false, run_steps, "MX DcDcDc UMDU=c" },
	/* As applications do it that nobody has told. */
	{ "an end that does not match", false, run_steps, "M{)Dc ]Dcd" },
	{ "unmapped during a read", false, run_steps, "MD(U=)c Md" },
	{ "mapped during a write", false, run_steps, "[FMp]dc" },
	{ "zeroes in a new buffer", false, run_steps, "M0" },
	/* Each mapping counts, whichever of the devices came first. */
	{ "beside another device", true, run_steps, "MmDco{p}doUu= mMDco{p}doUu=" },
	{ "mapped for no other direction", true, sync_direction, NULL },
	/* last, for each device only */
	{ "exactly what is not coherent is cleaned", true, sync_caches, NULL },
};

/* Or all that follows would pass for the wrong reason. */
static const struct sync_test sync_bounced = {
	"bounce buffers", false, run_steps, "MDB"
};

static __u32 sync_slots = 1;
static bool caches;

static void run_sync(const struct source *s, __u32 slot, __u32 direction,
		     const struct sync_test *test)
{
	struct test t = {
		.s = s, .slot = slot, .direction = direction, .seed = 42,
		/* One block of the CMA heap, and it may have to be bounced. */
		.size = s->chunk ? SZ_1M : SZ_64K,
		.steps = test->steps,
	};

	run(&t, test->fn);
}

static void run_sync_tests(const struct source *s, __u32 slot)
{
	static const char * const name[] = {
		[IMPORTER_BIDIRECTIONAL] = "for both directions",
		[IMPORTER_TO_DEVICE] = "to the device",
		[IMPORTER_FROM_DEVICE] = "from the device",
	};
	const unsigned int nr_tests = ARRAY_SIZE(sync_tests) - !caches;
	/* See test_directions(). */
	const __u32 directions = s->chunk || !one_writer ? ARRAY_SIZE(name) : 1;

	TEST(run_sync(s, slot, 0, &sync_bounced),
	     "%s: device %u: bounce buffers: %s\n", s->name, slot,
	     bounced ? "yes" : "no");
	for (const struct sync_test *test = sync_tests;
	     test < sync_tests + nr_tests; test++)
		for (__u32 d = 0; d < directions; d++)
			if (s->chunk || !test->chunk_only)
				TEST(run_sync(s, slot, d, test),
				     "%s: device %u: %s, mapped %s\n",
				     s->name, slot, test->name, name[d]);
}

static int test_sync(struct source *source, int nr)
{
	caches = sync_slots > 1;
	trace_pipe = open(TRACING "trace_pipe",
			  O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (trace_pipe < 0)
		ksft_exit_fail_msg("trace_pipe: %s\n", strerror(errno));
	if (caches)
		probes_start();
	for (struct source *s = source; s < source + nr; s++) {
		if (bounced && s->chunk > MAX_BOUNCE)
			continue;
		/* With CONFIG_DMABUF_DEBUG, others clean what is no memory. */
		if (caches && !s->chunk)
			continue;
		for (__u32 slot = 0; slot < sync_slots; slot++)
			run_sync_tests(s, slot);
	}
	if (caches)
		probes_stop();
	/* How many depends on the heaps; the plan of the guest knows. */
	ksft_set_plan(ksft_test_num());
	ksft_finished();
}

static const struct {
	const char *name;
	void (*fn)(struct test *t);
} tests[] = {
	{ "sg table", test_table },
	{ "two devices, opposite directions, CPU access", test_directions },
	{ "kernel mapping", test_vmap },
	{ "forwarded mmap", test_forwarded },
	{ "references of pages under mmap-gup", test_references },
};

static void run_test(const struct source *s, void (*fn)(struct test *t))
{
	const long long used = cma_sum("used");
	struct test t = { .s = s, .size = BUF_SIZE };

	if (fn == test_table && s->chunk && s->chunk <= SZ_1M)
		t.size = BIG_SIZE / s->chunk * s->chunk;
	/* It looks for a buffer itself. */
	if (fn == test_references)
		fn(&t);
	else
		run(&t, fn);
	CHECK(cma_sum("used") == used);
}

/* Of 2 MB, which need not be the default size. */
#define HUGEPAGES	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

int main(int argc, char **argv)
{
	static struct source source[MAX_HEAPS + 2];
	struct heap_list heaps;
	struct source *s = source;
	long long hugepages;
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
	if (!one_writer) {
		*s++ = (struct source) { .name = "udmabuf", .heap = -1 };
		/*
		 * In v6.12, vmap_udmabuf() takes the first page of a large folio
		 * for each of its pages. That is not this series' to repair.
		 */
		*s++ = (struct source) {
			.name = "udmabuf-hugetlb", .heap = -1, .no_vmap = true,
			.memfd_flags = MFD_HUGETLB | MFD_HUGE_2MB,
		};
	}
	nr = s - source;
	hugepages = read_number(HUGEPAGES);
	write_file(HUGEPAGES, "%lld", hugepages + BUF_SIZE / SZ_2M);

	/* One test is left out for udmabuf-hugetlb. */
	ksft_set_plan(nr * ARRAY_SIZE(tests) - !one_writer);
	for (s = source; s < source + nr; s++)
		for (k = 0; k < ARRAY_SIZE(tests); k++)
			if (!s->no_vmap || tests[k].fn != test_vmap)
				TEST(run_test(s, tests[k].fn), "%s: %s\n",
				     s->name, tests[k].name);
	write_file(HUGEPAGES, "%lld", hugepages);
	ksft_finished();
}
