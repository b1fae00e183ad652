// SPDX-License-Identifier: GPL-2.0
/*
 * heap-tags - memory that has tags, in buffers and outside of them
 *
 * Its plan describes the guest. The kernel gives pages a tag when it allocates
 * them, and an address of a page has the tag of that page. What comes from a CMA
 * area may be addressed across the bounds of pages, so its address must fit
 * whatever tag is there. The tags of an application move with its pages.
 */
#define _GNU_SOURCE
#include <sys/auxv.h>

#include "util.h"

#ifdef __aarch64__
#define MATCHES_ALL	0xff
#define BUF_SIZE	(8 * SZ_1M)
#define GRANULE		16
#define TAG_SHIFT	56

static void set_tag(char *p, unsigned int tag)
{
	const uintptr_t tagged = (uintptr_t)p | (uintptr_t)tag << TAG_SHIFT;

	asm volatile(".arch armv8.5-a+memtag\n\tstg %0, [%0]"
		     : : "r" (tagged) : "memory");
}

static unsigned int get_tag(const char *p)
{
	uintptr_t tagged = (uintptr_t)p;

	asm volatile(".arch armv8.5-a+memtag\n\tldg %0, [%1]"
		     : "+r" (tagged) : "r" (p) : "memory");
	return tagged >> TAG_SHIFT & 0xf;
}

/* The first and the last granule of each page, so that all of it is moved. */
static unsigned int tag_of(size_t page, bool last)
{
	return 1 + (page * 2 + last) % 15;
}

static void write_tags(char *p, size_t size)
{
	for (size_t i = 0; i < size / page_size; i++) {
		char *page = p + i * page_size;

		*(uint64_t *)page = ~i;
		set_tag(page, tag_of(i, false));
		set_tag(page + page_size - GRANULE, tag_of(i, true));
	}
}

/* The first word of a page and its tags; there is nothing else in it. */
static bool page_has(const char *page, uint64_t word, unsigned int first,
		     unsigned int last)
{
	const char *end = page + page_size - GRANULE;

	if (*(uint64_t *)page == word && !*(uint64_t *)end &&
	    get_tag(page) == first && get_tag(end) == last)
		return true;
	ksft_print_msg("%p: %#lx, tags %u and %u\n", page, *(uint64_t *)page,
		       get_tag(page), get_tag(end));
	return false;
}

static bool read_tags(const char *p, size_t size)
{
	for (size_t i = 0; i < size / page_size; i++)
		if (!page_has(p + i * page_size, ~i, tag_of(i, false),
			      tag_of(i, true)))
			return false;
	return true;
}

/* Memory that is new to a process has no data of others, and no tags. */
static bool is_new(char *p, size_t size)
{
	for (char *page = p; page < p + size; page += page_size) {
		/* Not the page of zeroes that reading gives. */
		((volatile char *)page)[page_size / 2] = 0;
		if (!page_has(page, 0, 0, 0))
			return false;
	}
	return true;
}

static char *tagged_memory(size_t size)
{
	char *p = map_new(MAP_PRIVATE, size);

	REQUIRE(!mprotect(p, size, PROT_READ | PROT_WRITE | PROT_MTE));
	return p;
}

static void test_pages(const struct heap *h)
{
	const bool system = !strcmp(h->name, "system");
	const size_t nr = BUF_SIZE / page_size;
	struct importer_page *page = importer_look(heap_alloc(h->fd, BUF_SIZE), nr);
	size_t n = 0;

	REQUIRE(page);
	for (size_t i = 0; i < nr; i++)
		n += page[i].tag != MATCHES_ALL;
	ksft_print_msg("%s: %zu pages of %zu have a tag\n", h->name, n, nr);
	/* Without it, the others would show nothing. */
	CHECK(system ? n > 0 : !n);
}

/*
 * So much memory that a part of the area is in use, and that there is room
 * elsewhere for what is moved out of it: applications get pages of the area
 * when half of what is free is there.
 */
static size_t tagged_size(void)
{
	return (free_outside() - meminfo("CmaFree:") / 2) / SZ_1M * SZ_1M;
}

static void test_moved(const struct heap *h)
{
	const size_t tagged = tagged_size();
	const size_t size = cma_free_chunks("reserved", h->chunk / page_size) *
			    h->chunk;
	long long before, moved;
	char *p, *buf;
	int fd;

	p = tagged_memory(tagged);
	write_tags(p, tagged);
	before = migrated();
	fd = heap_alloc(h->fd, size);
	moved = migrated() - before;
	ksft_print_msg("%zu MB with tags, %zu MB of the area, %lld pages moved\n",
		       tagged >> 20, size >> 20, moved);
	ksft_test_result(fd >= 0 && moved > 0,
			 "a buffer where pages with tags were\n");
	ksft_test_result(read_tags(p, tagged),
			 "pages are moved with their tags\n");

	/* What others see without tags must not have any. */
	buf = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED,
		   fd, 0);
	ksft_test_result(buf == MAP_FAILED && errno == EINVAL,
			 "a mapping of a buffer has no tags\n");

	buf = require_map(fd, size, 0);
	memset(buf, 0x55, size);
	munmap(buf, size);
	munmap(p, tagged);
	close(fd);

	/* Part of it was the buffer's, and part of it had tags. */
	ksft_test_result(is_new(tagged_memory(tagged), tagged),
			 "pages of a buffer are new to an application\n");
}

int main(void)
{
	const struct heap *chunks;

	ksft_print_header();
	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE))
		ksft_exit_fail_msg("no memory tags\n");
	chunks = open_heaps();
	if (!chunks)
		ksft_exit_fail_msg("no chunk heap\n");
	ksft_set_plan(nr_heaps + 4);
	for (const struct heap *h = heaps; h < heaps + nr_heaps; h++)
		TEST(test_pages(h), "%s: %s\n", h->name, strcmp(h->name, "system") ?
		     "all addresses fit whatever tag is there" :
		     "the kernel gives pages tags");
	test_moved(chunks);
	ksft_finished();
}
#else
int main(void)
{
	ksft_print_header();
	ksft_exit_skip("only arm64 has memory tags\n");
}
#endif
