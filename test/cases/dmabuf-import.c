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
#include "util.h"

#define BIG_SIZE	(300 * SZ_1M)
#define BUF_SIZE	(8 * SZ_1M)

struct test {
	const struct heap *s;
	size_t size;		/* of the buffer */
	int fd, imp;
	char *p;		/* the CPU's mapping */
	char *b;		/* what a device reads or writes */
	/* of run_steps() */
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

/* A buffer, an importer, and memory of the same size. */
static void get_buffer(struct test *t)
{
	t->fd = heap_alloc(t->s->fd, t->size);
	t->imp = importer_open(t->fd);
	REQUIRE(t->imp >= 0);
	t->p = require_map(t->fd, t->size, 0);
	t->b = malloc(t->size);
	REQUIRE(t->b);
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
		.via = via, .write = write,
		.len = t->size, .ptr = (uintptr_t)t->b,
	};

	return ioctl(t->imp, IMPORTER_COPY, &arg);
}

static void fill(char *p, size_t len, uint64_t seed)
{
	uint64_t *q = (uint64_t *)p;

	for (size_t i = 0; i < len / sizeof(*q); i++)
		q[i] = seed + i;
}

static bool filled(const char *p, size_t len, uint64_t seed)
{
	const uint64_t *q = (const uint64_t *)p;

	for (size_t i = 0; i < len / sizeof(*q); i++)
		if (q[i] != seed + i)
			return false;
	return true;
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
 *   V v	the kernel maps the buffer, and unmaps it
 *   K k	it writes there, and sees what it must
 *   b e	an importer begins CPU access, and ends it
 *   X		a process begins to write, and dies
 *   B		there are bounce buffers, or none, as is expected
 */
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

	fill(want, t->size, t->seed);
	for (int i = 0; i < t->nr_poked; i++)
		want[poke_at(t, i)] = ~want[poke_at(t, i)];
	return !memcmp(p, want, t->size);
}

/* The device behind @via, or the kernel, sees what it must. */
static bool sees(const struct test *t, __u32 via)
{
	memset(t->b, 0, t->size);
	return !copy(t, via, false) && as_expected(t, t->b);
}

static bool new_data(struct test *t, __u32 via)
{
	t->seed += 0x1234567;
	t->nr_poked = 0;
	if (t->direction != IMPORTER_TO_DEVICE) {
		fill(t->b, t->size, t->seed);
		return !copy(t, via, true);
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
	case 'D': case 'K':
		return new_data(t, c == 'D' ? t->slot : IMPORTER_VIA_VMAP);
	case 'd': case 'o':
		return sees(t, c == 'd' ? t->slot : other);
	case 'k':
		return sees(t, IMPORTER_VIA_VMAP);
	case 'V': case 'v':
		return !ioctl(t->imp, c == 'V' ? IMPORTER_VMAP :
						 IMPORTER_VUNMAP);
	case 'b': case 'e':
		return !ioctl(t->imp, c == 'b' ? IMPORTER_BEGIN_CPU :
			      IMPORTER_END_CPU, &t->direction);
	case '0':
		memset(t->b, 1, t->size);
		return !copy(t, t->slot, false) && !t->b[0] &&
		       !memcmp(t->b, t->b + 1, t->size - 1);
	case 'X':
		return ended_well(CHILD(REQUIRE(step(t, '['))));
	case 'B':
		return as_expected(t, t->p) == !bounced;
	}
	return false;
}

static void run_steps(struct test *t, const char *steps)
{
	for (const char *at = steps; *at; at++)
		if (!CHECK(step(t, *at)))
			ksft_print_msg("step %td of %s\n", at - steps + 1, steps);
}

/* The table that a device gets: all of the buffer, in the promised pieces. */
static void test_table(struct test *t)
{
	const size_t chunk = t->s->chunk;
	struct importer_attach a = { .chunk = chunk };

	REQUIRE(!ioctl(t->imp, IMPORTER_ATTACH, &a));
	ksft_print_msg("%s: %zu bytes: %u entries, shortest %llu\n",
		       t->s->name, t->size, a.nents, a.shortest);
	CHECK(a.bytes == t->size);
	if (chunk) {
		CHECK(a.nents == t->size / chunk);
		CHECK(a.orig_nents == t->size / chunk);
		CHECK(a.shortest == chunk);
		CHECK(!a.odd && !a.descending);
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
	__u32 dir;

	t->slot = 1;
	t->direction = opposite ? IMPORTER_FROM_DEVICE : IMPORTER_BIDIRECTIONAL;
	if (two)
		CHECK(!attach(t, 0, to));
	run_steps(t, "M");
	CHECK(attach(t, 1, t->direction) && errno == EBUSY);
	run_steps(t, "[F]");
	CHECK(sees(t, two ? 0 : 1));
	run_steps(t, "Dc");

	/* One more, and the others stay as they are. */
	if (two) {
		CHECK(!attach(t, 2, one_writer ? IMPORTER_TO_DEVICE :
						 IMPORTER_BIDIRECTIONAL));
		CHECK(!detach(t, 0));
	}
	t->slot = one_writer ? 1 : 2;
	run_steps(t, "D");
	CHECK(sees(t, 1));
	for (dir = IMPORTER_BIDIRECTIONAL; dir <= IMPORTER_FROM_DEVICE; dir++) {
		t->direction = dir;
		run_steps(t, "be");
	}
	CHECK(!detach(t, 1));
	if (two)
		CHECK(!detach(t, 2));
	/* After the last device, the CPU's access is still what it was. */
	run_steps(t, "{=}");
}

/* Of any heap's buffer */
#define VMAPS	"grep -q 'heap.*vmap' /proc/vmallocinfo"

static void test_vmap(struct test *t)
{
	/* Nested: the first and the last one are what the exporter sees. */
	run_steps(t, "F VVV");
	CHECK(!system(VMAPS));
	run_steps(t, "Mbk Ke vv k= v");
	CHECK(system(VMAPS));
	CHECK(ioctl(t->imp, IMPORTER_VUNMAP) && errno == EINVAL);
	/* Again, after the last one was gone; close() has to clean up. */
	run_steps(t, "UV");
	CHECK(!attach(t, 3, IMPORTER_FROM_DEVICE));
}

/* mmap() of the importer's file, which dma_buf_mmap() passes on. */
static void test_forwarded(struct test *t)
{
	const size_t off = SZ_64K + page_size, len = 3 * SZ_64K;
	char *q = require_map(t->imp, len, off);

	fill(t->p, t->size, 0);
	CHECK(filled(q, len, off / sizeof(uint64_t)));
	fill(q, len, 99);
	CHECK(filled(t->p + off, len, 99));
	CHECK(vma_has_flag(q, "pf"));
	CHECK(vma_has_flag(q, "de"));
	CHECK(vma_has_flag(q, "dd"));
	CHECK(map_at(t->imp, 2 * page_size, t->size - page_size) ==
	      MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, t->size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		   t->imp, 0) == MAP_FAILED && errno == EINVAL);
	/* The mapping alone keeps the buffer. */
	munmap(t->p, t->size);
	close(t->imp);
	close(t->fd);
	CHECK(filled(q, len, 99));
}

/* Where 2 MB begin that are aligned to their size, in bytes; -1: nowhere. */
static long find_huge(const struct importer_page *page, size_t nr)
{
	const size_t want = SZ_2M / page_size;
	size_t i, k;

	for (i = 0; i + want <= nr; i++) {
		if (page[i].pfn % want)
			continue;
		for (k = 1; k < want && page[i + k].pfn == page[i].pfn + k;)
			k++;
		if (k == want)
			return i * page_size;
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
	const size_t nr = BUF_SIZE / page_size;
	struct importer_page *before = NULL, *after;
	long huge = -1;
	char *p;

	/* Nobody promises 2 MB: look at some, and take one that will do. */
	for (int tries = 0; huge < 0 && tries < 8; tries++) {
		t->fd = heap_alloc(t->s->fd, BUF_SIZE);
		before = importer_look(t->fd, nr);
		REQUIRE(before);
		huge = find_huge(before, nr);
	}
	ksft_print_msg("%s: 2 MB of aligned memory at offset %ld\n",
		       t->s->name, huge);
	/* system: made of 1 MB at most, which may or may not lie together */
	if (strcmp(t->s->name, "system"))
		CHECK(huge >= 0);

	p = require_map(t->fd, BUF_SIZE, 0);
	for (size_t i = 0; i < BUF_SIZE; i += page_size)
		p[i] = 1;
	/* Mapped for user space, and still no one's. */
	after = importer_look(t->fd, nr);
	CHECK(after && !memcmp(before, after, nr * sizeof(*before)));
	run_mmap_gup(mmap_gup, t->fd, huge);
	after = importer_look(t->fd, nr);
	CHECK(after);
	for (size_t i = 0; !failed_checks && i < nr; i++) {
		CHECK(before[i].pfn == after[i].pfn);
		CHECK(before[i].refcount == after[i].refcount);
		/* Mainline's chunks are frozen. */
		CHECK(before[i].refcount > 0 || (t->s->chunk && on_mainline()));
		CHECK(!before[i].mapcount && !after[i].mapcount);
	}
}

/*
 * Of caches, QEMU has none: whatever the kernel cleans, nothing shows, be it too
 * little or an address at which there is no memory. So kprobes tell what it is.
 */
static const char * const probes[] = {
	"arch_sync_dma_for_cpu", "arch_sync_dma_for_device",
};

static int trace_pipe;

static bool coherent(__u32 slot)
{
	char path[100];

	snprintf(path, sizeof(path),
		 "/proc/device-tree/importers/importer@%u/dma-noncoherent",
		 slot);
	return access(path, F_OK);
}

/* How often each probe has seen a page of the buffer, since the last time. */
struct cleaned_page {
	uint64_t pfn;
	unsigned int seen[ARRAY_SIZE(probes)];
};

static bool read_trace(struct cleaned_page *page, size_t nr)
{
	unsigned long long phys, len, at;
	static char text[1 << 16];
	char *line, *next, *args;
	size_t i, k;

	for (i = 0; i < nr; i++)
		memset(page[i].seen, 0, sizeof(page[i].seen));
	line = read_rest(trace_pipe, text, sizeof(text));
	for (; (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		k = !strstr(line, probes[0]);
		args = strstr(line, "phys=");
		if (!strstr(line, probes[k]) || !args ||
		    sscanf(args, "phys=%llx size=%llx", &phys, &len) != 2) {
			ksft_print_msg("the trace is not understood\n");
			return false;
		}
		for (at = phys; at < phys + len; at += page_size) {
			for (i = 0; i < nr && page[i].pfn != at / page_size;)
				i++;
			if (i == nr || at % page_size) {
				ksft_print_msg("%s(%#llx, %#llx): not the buffer's\n",
					       probes[k], phys, len);
				return false;
			}
			page[i].seen[k]++;
		}
	}
	return true;
}

/* Was all of the buffer cleaned so many times, for the CPU, for the device? */
static bool cleaned(struct test *t, struct cleaned_page *page, size_t nr,
		    const unsigned int *times)
{
	bool ok = read_trace(page, nr);

	for (size_t i = 0; ok && i < nr; i++)
		for (size_t k = 0; k < ARRAY_SIZE(probes); k++) {
			const unsigned int want = coherent(t->slot) ? 0 : times[k];

			if (page[i].seen[k] == want)
				continue;
			ksft_print_msg("%s: page %zu: %u times, not %u\n",
				       probes[k], i, page[i].seen[k], want);
			ok = false;
		}
	return ok;
}

static void sync_caches(struct test *t, const char *steps)
{
	/*
	 * After each step. The zeroes of a new buffer are written back before a device may only
	 * write, once: an architecture may discard them then. Without a device,
	 * there is nothing to clean for.
	 */
	const unsigned int times[][ARRAY_SIZE(probes)] = {
		{ 0, t->direction == IMPORTER_FROM_DEVICE ? 2 : 1 },
		{ 1, 0 }, { 0, 1 }, { 1, 0 }, { 0, 1 }, { 1, 0 }, { 0, 1 },
		{ 1, 0 }, { 0, 0 }, { 0, 0 },
	};
	/* The buffer may be longer than t->size: a chunk. */
	const size_t nr = lseek(t->fd, 0, SEEK_END) / page_size;
	struct importer_page *info = importer_look(t->fd, nr);
	struct cleaned_page *page = calloc(nr, sizeof(*page));

	REQUIRE(info && page);
	for (size_t i = 0; i < nr; i++)
		page[i].pfn = info[i].pfn;
	CHECK(!write_file(TRACING "events/caches/enable", "1"));
	for (size_t i = 0; !failed_checks && steps[i]; i++)
		if (!CHECK(step(t, steps[i]) && cleaned(t, page, nr, times[i])))
			ksft_print_msg("step %zu of %s\n", i + 1, steps);
	CHECK(!write_file(TRACING "events/caches/enable", "0"));
}

static const struct {
	const char *name, *trace;
} directions[] = {
	[IMPORTER_BIDIRECTIONAL] = { "for both directions", "dir=BIDIRECTIONAL" },
	[IMPORTER_TO_DEVICE] = { "to the device", "dir=TO_DEVICE" },
	[IMPORTER_FROM_DEVICE] = { "from the device", "dir=FROM_DEVICE" },
};

/* An IOMMU lets a device do what it is mapped for. */
static void sync_direction(struct test *t, const char *steps)
{
	static const char enable[] = TRACING "events/dma/dma_map_sg/enable";
	static char text[1 << 16];
	char *line = NULL, *next;

	CHECK(!write_file(enable, "1"));
	run_steps(t, steps);
	CHECK(!write_file(enable, "0"));
	/* A long list is cut off in the trace: look at what is at its end. */
	next = read_rest(trace_pipe, text, sizeof(text));
	for (; (next = strstr(next, "dma_map_sg:")); next++)
		line = next;
	if (!CHECK(line && strstr(line, directions[t->direction].trace)))
		ksft_print_msg("%.200s\n", line ? line : text);
}

static const struct sync_test {
	const char *name;
	bool chunk_only;	/* more than the other heaps promise */
	void (*fn)(struct test *t, const char *steps);
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
	{ "mapped for no other direction", true, sync_direction, "M" },
	/* last, for each device only */
	{ "exactly what is not coherent is cleaned", true, sync_caches, "MUM()[]U{}" },
};

/* Or all that follows would pass for the wrong reason. */
static const struct sync_test sync_bounced = {
	"bounce buffers", false, run_steps, "MDB"
};

static __u32 sync_slots = 1;

static void run_sync(const struct heap *s, __u32 slot, __u32 direction,
		     const struct sync_test *test)
{
	struct test t = {
		.s = s, .slot = slot, .direction = direction, .seed = 42,
		/* One block of the CMA heap, and it may have to be bounced. */
		.size = s->chunk ? SZ_1M : SZ_64K,
	};

	get_buffer(&t);
	test->fn(&t, test->steps);
}

static void run_sync_tests(const struct heap *s, __u32 slot)
{
	const size_t nr_tests = ARRAY_SIZE(sync_tests) - (sync_slots == 1);
	/* See test_directions(). */
	const __u32 nr = s->chunk || !one_writer ? ARRAY_SIZE(directions) : 1;

	TEST(run_sync(s, slot, 0, &sync_bounced),
	     "%s: device %u: bounce buffers: %s\n", s->name, slot,
	     bounced ? "yes" : "no");
	for (const struct sync_test *test = sync_tests;
	     test < sync_tests + nr_tests; test++)
		for (__u32 d = 0; d < nr; d++)
			if (s->chunk || !test->chunk_only)
				TEST(run_sync(s, slot, d, test),
				     "%s: device %u: %s, mapped %s\n", s->name,
				     slot, test->name, directions[d].name);
}

static void test_sync(void)
{
	const bool caches = sync_slots > 1;

	trace_pipe = trace_open();
	for (size_t i = 0; caches && i < ARRAY_SIZE(probes); i++)
		REQUIRE(!write_file(TRACING "kprobe_events",
				    "p:caches/%s %s phys=$arg1 size=$arg2",
				    probes[i], probes[i]));
	for (struct heap *s = heaps; s < heaps + nr_heaps; s++) {
		/* With CONFIG_DMABUF_DEBUG, others clean what is no memory. */
		if (caches && !s->chunk)
			continue;
		for (__u32 slot = 0; slot < sync_slots; slot++)
			run_sync_tests(s, slot);
	}
	for (size_t i = 0; caches && i < ARRAY_SIZE(probes); i++)
		write_file(TRACING "kprobe_events", "-:caches/%s", probes[i]);
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

static void run_test(const struct heap *s, void (*fn)(struct test *t))
{
	struct test t = { .s = s, .size = BUF_SIZE, .seed = 1 };

	if (fn == test_table && s->chunk && s->chunk <= SZ_1M)
		t.size = BIG_SIZE / s->chunk * s->chunk;
	/* It looks for a buffer itself. */
	if (fn != test_references)
		get_buffer(&t);
	fn(&t);
}

/* Nothing stays allocated when a process ends. */
static void run_and_release(const struct heap *s, void (*fn)(struct test *t))
{
	const long long used = cma_sum("used");

	CHECK(ended_well(CHILD(run_test(s, fn))));
	CHECK(cma_sum("used") == used);
}

int main(int argc, char **argv)
{
	ksft_print_header();
	if (argc < 2)
		ksft_exit_fail_msg("usage: %s PATH/mmap-gup|sync [bounced] [devices]\n",
				   argv[0]);
	mmap_gup = argv[1];
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "bounced"))
			bounced = true;
		else if (!strcmp(argv[i], "devices"))
			sync_slots = IMPORTER_SLOTS;
		else
			ksft_exit_fail_msg("%s?\n", argv[i]);
	}
	debugfs_mount();
	one_writer = !access(DEBUGFS "/dma-api", F_OK);
	open_heaps();
	if (!strcmp(argv[1], "sync"))
		test_sync();

	ksft_set_plan(nr_heaps * ARRAY_SIZE(tests));
	for (int i = 0; i < nr_heaps; i++)
		for (size_t k = 0; k < ARRAY_SIZE(tests); k++)
			TEST(run_and_release(&heaps[i], tests[k].fn),
			     "%s: %s\n", heaps[i].name, tests[k].name);
	ksft_finished();
}
