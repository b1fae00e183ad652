// SPDX-License-Identifier: GPL-2.0
/*
 * heap-tree - the areas of the device tree, the heaps on them, the log
 *
 * Its plan describes the guest. What an area must be like is read
 * from the tree that the kernel got; what is to be said of those that are bad,
 * and of the devices that import, is below.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <err.h>
#include <sys/klog.h>

#include "util.h"

#define NODES	"/proc/device-tree/reserved-memory/"

static const struct area {
	const char *node;
	const char *heap;
	uint64_t chunk;
} areas[] = {
	{ "linux,cma", "default_cma_region-chunked-64k", 64 << 10 },
	{ "camera", "camera-chunked-1m", 1 << 20 },
	{ "frames@52600000", "frames@52600000-chunked-2m", 2 << 20 },
};

static const struct line {
	const char *text;
	bool heap;		/* one of the heap's own */
} lines[] = {
	{ "chunk_heap: heaps: \"not-reusable:64K\": no such CMA area", true },
	{ "chunk_heap: heaps: \"tiny:64K\": no such CMA area", true },
	{ "chunk_heap: heaps: \"small:4M\": area cannot be divided into such chunks",
	  true },
	{ "slot 0: coherent, no IOMMU", false },
	{ "slot 1: not coherent, no IOMMU", false },
	{ "slot 2: coherent, IOMMU", false },
	{ "slot 3: not coherent, IOMMU", false },
};

#define RESULT(ok, what, of)	ksft_test_result(CHECK(ok), "%s: %s\n", of, what)

/* Pairs of cells; the number of pairs that were there. */
static unsigned int property(const char *node, const char *name, uint64_t *out,
			     unsigned int max)
{
	char path[200];
	unsigned int n;
	FILE *f;

	snprintf(path, sizeof(path), NODES "%s/%s", node, name);
	f = fopen(path, "r");
	if (!f)
		return 0;
	n = fread(out, sizeof(*out), max, f);
	fclose(f);
	for (unsigned int i = 0; i < n; i++)
		out[i] = be64toh(out[i]);
	return n;
}

static uint64_t cma(const char *area, const char *name)
{
	const long long value = cma_number(area, name);

	if (value < 0)
		errx(1, "%s: no %s", area, name);
	return value;
}

static void test_area(const struct area *area)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const uint64_t base = cma(area->node, "base_pfn") * page;
	const uint64_t size = cma(area->node, "count") * page;
	const uint64_t used = cma(area->node, "used") * page;
	uint64_t want[2] = { base }, first, chunks;
	int heap, fd;
	bool ok;

	ok = property(area->node, "reg", want, 2) == 2 ||
	     property(area->node, "size", want + 1, 1) == 1;
	ksft_print_msg("%s: %llu MB at %#llx\n", area->node,
	       (unsigned long long)size >> 20, (unsigned long long)base);
	RESULT(ok && want[0] == base && want[1] == size,
	       "where and as large as the tree says", area->node);

	heap = heap_open(area->heap);
	RESULT(heap >= 0, "there", area->heap);

	errno = 0;
	fd = heap_alloc(heap, 1);
	RESULT(fd >= 0 && cma(area->node, "used") * page - used == area->chunk,
	       "one chunk, from its area", area->heap);
	close(fd);

	/* As many chunks as lie in it at multiples of their size. */
	first = (base + area->chunk - 1) / area->chunk;
	chunks = (base + size) / area->chunk - first;
	/* The kernel takes pages of the default area when it boots. */
	if (used)
		chunks = cma_free_chunks(area->node, area->chunk / page);
	fd = heap_alloc(heap, chunks * area->chunk);
	ksft_print_msg("%llu chunks, %llu bytes in use, %llu of them before\n",
	       (unsigned long long)chunks,
	       (unsigned long long)cma(area->node, "used") * page,
	       (unsigned long long)used);
	RESULT(fd >= 0 && cma(area->node, "used") * page - used ==
	       chunks * area->chunk, "all of its chunks", area->heap);
	RESULT(heap_alloc(heap, 1) == -ENOMEM, "and no more",
	       area->heap);
	close(fd);
	RESULT(cma(area->node, "used") * page == used, "released", area->heap);
	close(heap);
}

/* How often TEXT is in the log, in full up to the end of its line. */
static unsigned int in_log(const char *log, const char *text)
{
	const size_t len = strlen(text);
	unsigned int n = 0;

	while ((log = strstr(log, text))) {
		log += len;
		n += *log == '\n';
	}
	return n;
}

int main(void)
{
	const int size = klogctl(10, NULL, 0);
	char *log = size > 0 ? malloc(size + 1) : NULL, *p;
	unsigned int heap_lines = 0, expected = 0;
	int len;

	if (!log)
		errx(1, "no log");
	len = klogctl(3, log, size);
	if (len < 0)
		err(1, "log");
	log[len] = '\0';

	ksft_print_header();
	ksft_set_plan(6 * ARRAY_SIZE(areas) + ARRAY_SIZE(lines) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++)
		test_area(&areas[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		expected += lines[i].heap;
		RESULT(in_log(log, lines[i].text) == 1, "once in the log",
		       lines[i].text);
	}
	for (p = log; (p = strstr(p, "chunk_heap: ")); p++)
		heap_lines++;
	RESULT(heap_lines == expected, "the heap says nothing else", "log");
	ksft_finished();
}
