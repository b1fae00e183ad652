// SPDX-License-Identifier: GPL-2.0
/*
 * heap-tags - memory that has tags, in buffers and outside of them
 *
 * Its plan describes the guest. With CONFIG_KASAN_HW_TAGS, the kernel gives
 * pages a tag when it allocates them, and an address of a page has the tag of
 * that page. What comes from a CMA area is an exception: it may be addressed
 * across the bounds of pages, so its address must fit whatever tag is there.
 * The tags of an application move with its pages.
 */
#define _GNU_SOURCE
#include <sys/auxv.h>

#include "util.h"

#ifdef __aarch64__
#define MATCHES_ALL	0xff
#define BUF_SIZE	(8 * SZ_1M)
#define GRANULE		16
#ifndef PROT_MTE
#define PROT_MTE	0x20
#endif
#ifndef HWCAP2_MTE
#define HWCAP2_MTE	(1 << 18)
#endif
#define TAG_SHIFT	56

static size_t page_size;

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

static bool read_tags(const char *p, size_t size)
{
	for (size_t i = 0; i < size / page_size; i++) {
		const char *page = p + i * page_size;
		const char *end = page + page_size - GRANULE;

		if (*(uint64_t *)page == ~i &&
		    get_tag(page) == tag_of(i, false) &&
		    get_tag(end) == tag_of(i, true))
			continue;
		ksft_print_msg("page %zu: %#lx, tags %u and %u\n", i,
			       *(uint64_t *)page, get_tag(page), get_tag(end));
		return false;
	}
	return true;
}

/* Memory that is new to a process has no data of others, and no tags. */
static bool is_new(char *p, size_t size)
{
	for (size_t i = 0; i < size / page_size; i++) {
		char *page = p + i * page_size;
		const char *end = page + page_size - GRANULE;

		/* Not the page of zeroes that reading gives. */
		((volatile char *)page)[page_size / 2] = 0;
		if (!*(uint64_t *)page && !*(uint64_t *)end &&
		    !get_tag(page) && !get_tag(end))
			continue;
		ksft_print_msg("page %zu: %#lx, tags %u and %u\n", i,
			       *(uint64_t *)page, get_tag(page), get_tag(end));
		return false;
	}
	return true;
}

static char *tagged_memory(size_t size)
{
	char *p = map_new(MAP_PRIVATE, size);

	if (mprotect(p, size, PROT_READ | PROT_WRITE | PROT_MTE))
		ksft_exit_fail_msg("PROT_MTE: %s\n", strerror(errno));
	return p;
}

/* How many pages of a buffer have an address that does not fit all tags; -1. */
static long tagged_pages(int fd, size_t size)
{
	const size_t nr = size / page_size;
	struct importer_page *page = importer_look(fd, nr);
	long n = page ? 0 : -1;

	if (!page)
		ksft_print_msg("importer: %s\n", strerror(errno));
	for (size_t i = 0; page && i < nr; i++)
		n += page[i].tag != MATCHES_ALL;
	free(page);
	return n;
}

static void test_pages(const char *name)
{
	const bool system = !strcmp(name, "system");
	int heap = heap_open(name), fd = heap_alloc(heap, BUF_SIZE);
	long n = tagged_pages(fd, BUF_SIZE);

	ksft_print_msg("%s: %ld pages of %zu have a tag\n", name, n,
		       BUF_SIZE / page_size);
	/* Without it, the others would show nothing. */
	ksft_test_result(fd >= 0 && (system ? n > 0 : !n), "%s: %s\n", name,
			 system ? "the kernel gives pages tags" :
				  "all addresses fit whatever tag is there");
	close(fd);
	close(heap);
}

/*
 * So much memory that a part of the area is in use, and that there is room
 * elsewhere for what is moved out of it: applications get pages of the area
 * when half of what is free is there.
 */
static size_t tagged_size(void)
{
	const size_t cma = meminfo("CmaFree:");

	return (meminfo("MemFree:") - cma - cma / 2) / SZ_1M * SZ_1M;
}

static unsigned long long moved(void)
{
	return read_field("/proc/vmstat", "pgmigrate_success ");
}

static void test_moved(const char *name)
{
	const size_t chunk = heap_chunk_size(name), tagged = tagged_size();
	unsigned long long before;
	size_t size;
	char *p, *buf;
	int heap, fd;

	p = tagged_memory(tagged);
	write_tags(p, tagged);
	before = moved();
	heap = heap_open(name);
	size = cma_free_chunks("reserved", chunk / page_size) * chunk;
	fd = heap_alloc(heap, size);
	before = moved() - before;
	ksft_print_msg("%zu MB with tags, %zu MB of the area, %llu pages moved\n",
		       tagged >> 20, size >> 20, before);
	ksft_test_result(fd >= 0 && before > 0,
			 "a buffer where pages with tags were\n");
	ksft_test_result(read_tags(p, tagged),
			 "pages are moved with their tags\n");

	/* What others see without tags must not have any. */
	buf = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED,
		   fd, 0);
	ksft_test_result(buf == MAP_FAILED && errno == EINVAL,
			 "a mapping of a buffer has no tags\n");

	buf = map_fd(fd, size);
	if (buf == MAP_FAILED)
		ksft_exit_fail_msg("mmap: %s\n", strerror(errno));
	memset(buf, 0x55, size);
	munmap(buf, size);
	munmap(p, tagged);
	close(fd);
	close(heap);

	/* Part of it was the buffer's, and part of it had tags. */
	p = tagged_memory(tagged);
	ksft_test_result(is_new(p, tagged),
			 "pages of a buffer are new to an application\n");
	munmap(p, tagged);
}

int main(void)
{
	const char *chunks = NULL;
	struct heap_list heaps;

	ksft_print_header();
	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE))
		ksft_exit_fail_msg("no memory tags\n");
	page_size = sysconf(_SC_PAGESIZE);
	heap_find(&heaps);
	ksft_set_plan(heaps.nr + 4);
	for (int i = 0; i < heaps.nr; i++) {
		test_pages(heaps.name[i]);
		if (heap_chunk_size(heaps.name[i]))
			chunks = heaps.name[i];
	}
	if (!chunks)
		ksft_exit_fail_msg("no chunk heap\n");
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
