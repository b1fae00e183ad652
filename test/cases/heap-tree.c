// SPDX-License-Identifier: GPL-2.0
/*
 * heap-tree - the areas of the device tree, the heaps on them, the log
 *
 * Its plan describes the guest. What an area must be like is read from the tree.
 */
#define _GNU_SOURCE
#include <endian.h>

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

/* Those of the heap first, which says nothing else. */
#define HEAP_LINES	3
static const char * const lines[] = {
	"chunk_heap: heaps: \"not-reusable:64K\": no such CMA area",
	"chunk_heap: heaps: \"tiny:64K\": no such CMA area",
	"chunk_heap: heaps: \"small:4M\": area cannot be divided into such chunks",
	"slot 0: coherent, no IOMMU",
	"slot 1: not coherent, no IOMMU",
	"slot 2: coherent, IOMMU",
	"slot 3: not coherent, IOMMU",
};

#define RESULT(ok, what, of)	ksft_test_result(CHECK(ok), "%s: %s\n", of, what)

/* Pairs of cells; whether all are there. */
static bool property(const char *node, const char *name, uint64_t *out, size_t nr)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), NODES "%s/%s", node, name);
	f = fopen(path, "r");
	if (!f || fread(out, sizeof(*out), nr, f) != nr)
		return false;
	for (size_t i = 0; i < nr; i++)
		out[i] = be64toh(out[i]);
	return true;
}

static void test_area(const struct area *area)
{
	const char *node = area->node, *name = area->heap;
	const uint64_t base = cma_number(node, "base_pfn") * page_size;
	const uint64_t size = cma_number(node, "count") * page_size;
	const uint64_t used = cma_number(node, "used") * page_size;
	uint64_t want[2] = { base }, chunks;
	int heap, fd;
	bool ok;

	ok = property(node, "reg", want, 2) || property(node, "size", want + 1, 1);
	ksft_print_msg("%s: %lu MB at %#lx\n", node, size >> 20, base);
	RESULT(ok && want[0] == base && want[1] == size,
	       "where and as large as the tree says", node);

	heap = heap_open(name);
	RESULT(heap >= 0, "there", name);

	errno = 0;
	fd = heap_alloc(heap, 1);
	RESULT(fd >= 0 &&
	       cma_number(node, "used") * page_size - used == area->chunk,
	       "one chunk, from its area", name);
	close(fd);

	/* As many chunks as lie in it at multiples of their size. */
	chunks = (base + size) / area->chunk -
		 (base + area->chunk - 1) / area->chunk;
	/* The kernel takes pages of the default area when it boots. */
	if (used)
		chunks = cma_free_chunks(node, area->chunk / page_size);
	fd = heap_alloc(heap, chunks * area->chunk);
	ksft_print_msg("%lu chunks, %llu pages in use, %lu bytes before\n", chunks,
		       cma_number(node, "used"), used);
	RESULT(fd >= 0 && cma_number(node, "used") * page_size - used ==
	       chunks * area->chunk, "all of its chunks", name);
	RESULT(heap_alloc(heap, 1) == -ENOMEM, "and no more", name);
	close(fd);
	RESULT(cma_number(node, "used") * page_size == used, "released", name);
}

int main(void)
{
	/* What fails below is logged as well. */
	const int heap_lines = kmsg_count_all(";chunk_heap: ");
	char line[200];

	ksft_print_header();
	ksft_set_plan(6 * ARRAY_SIZE(areas) + ARRAY_SIZE(lines) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++)
		test_area(&areas[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		snprintf(line, sizeof(line), "%s\n", lines[i]);
		RESULT(kmsg_count_all(line) == 1, "once in the log", lines[i]);
	}
	RESULT(heap_lines == HEAP_LINES, "the heap says nothing else", "log");
	ksft_finished();
}
