// SPDX-License-Identifier: GPL-2.0
/*
 * The parameter "heaps" of the chunk heap: every good entry has its heap, every
 * bad one its line in the log, and neither disturbs the other.
 */
#define _GNU_SOURCE
#include "util.h"

#define PARAMETER	"/sys/module/chunk_heap/parameters/heaps"

static char page_text[40], page_heap[50];

static struct entry {
	const char *text;
	const char *heap;	/* NULL: none */
	const char *reason;	/* in the log, if there is none */
} entries[] = {
	{ "reserve:64K", NULL, "no such CMA area" },
	{ "default_cma_region:0x10000", "default_cma_region-chunked-64k", NULL },
	/* The default area's own name, where the command line made it */
	{ "reserved:64k", NULL, "there is such a heap already" },
	{ "reserved:3000", NULL, "chunk size is less than a page" },
	{ "reserved:0", NULL, "chunk size is less than a page" },
	/* Its name could begin with a comma. */
	{ ",reserved:64K", NULL, "no such CMA area" },
	{ "reserved:1m", "default_cma_region-chunked-1m", NULL },
	{ "reserved:196608", NULL, "chunk size is not a power of two" },
	{ "reserved:64Q", NULL, "chunk size is not a number of bytes" },
	{ "reserved:K", NULL, "chunk size is less than a page" },
	{ "reserved:", NULL, "chunk size is not a number of bytes" },
	{ "reserved:1024K", NULL, "there is such a heap already" },
	{ "reserved:1024G", NULL, "area cannot be divided into such chunks" },
	{ "linux,cma:64K", NULL, "no such CMA area" },
	{ page_text, page_heap, "there is such a heap already" },
	{ "camera", NULL, "chunk size is not a number of bytes" },
};

/* One entry is for chunks of a page. On mainline, a unit alone is no number. */
static void set_expected(void)
{
	sprintf(page_text, "default_cma_region:%zu", page_size);
	sprintf(page_heap, "default_cma_region-chunked-%zuk", page_size / 1024);
	for (struct entry *e = entries; e < entries + ARRAY_SIZE(entries); e++) {
		if (e->heap == page_heap && page_size == SZ_64K)
			e->heap = NULL;
		if (!strcmp(e->text, "reserved:K") && on_mainline())
			e->reason = "chunk size is not a number of bytes";
	}
}

static void given(void)
{
	char want[2048] = "", got[2048] = "";

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		strcat(want, i ? "," : "");
		strcat(want, entries[i].text);
	}
	strcat(want, "\n");
	read_rest(open(PARAMETER, O_RDONLY), got, sizeof(got));
	if (!CHECK(!strcmp(got, want)))
		ksft_print_msg("is %swant %s", got, want);
}

static void test_entry(const struct entry *e)
{
	char text[200];

	if (e->heap) {
		/* One byte becomes one chunk. */
		CHECK(lseek(heap_alloc(heap_open(e->heap), 1), 0, SEEK_END) ==
		      (off_t)heap_chunk_size(e->heap));
		return;
	}
	snprintf(text, sizeof(text), ";chunk_heap: heaps: \"%s%s\": %s",
		 e->text, strchr(e->text, ':') ? "" : ":", e->reason);
	if (!CHECK(kmsg_count_all(text) == 1))
		ksft_print_msg("%s\n", text + 1);
}

int main(void)
{
	int nr_good = 0, nr_chunk = 0;
	const int lines = kmsg_count_all(";chunk_heap: ");

	ksft_print_header();
	set_expected();
	ksft_set_plan(ARRAY_SIZE(entries) + 3);
	TEST(given(), "the parameter is what this test expects\n");
	for (const struct entry *e = entries; e < entries + ARRAY_SIZE(entries); e++) {
		nr_good += !!e->heap;
		TEST(test_entry(e), "%s\n", e->text);
	}

	open_heaps();
	for (int i = 0; i < nr_heaps; i++)
		nr_chunk += !!heaps[i].chunk;
	ksft_test_result(CHECK(nr_chunk == nr_good), "no other chunk heap\n");
	ksft_test_result(CHECK(lines == (int)ARRAY_SIZE(entries) - nr_good),
			 "no other line in the log\n");
	ksft_finished();
}
