// SPDX-License-Identifier: GPL-2.0
/*
 * Time the ways to get thousands of chunks out of a CMA area, side by side
 *
 * The module takes the default CMA area over, returns its pages to the buddy
 * allocator while the area's bitmap keeps everyone else out, and lays areas of
 * its own over them. So the size of an area, what is in it and where a search
 * begins are the same for every measurement.
 *
 * Every result is one line in the kernel log:
 *
 * chunk_bench: <scenario> <arm> <chunks asked> <chunks got> <ns> <ns to release>
 *		<steps> <p50 ns> <p99 ns> <max ns> <pages migrated>
 *
 * A step is one call of cma_alloc(), or one of the steps that cma_alloc_bulk()
 * takes between which others get their turn.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cma.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/shmem_fs.h>
#include <linux/sort.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "cma.h"	/* mm/cma.h */

#define ORDER		4U
#define CHUNK_PAGES	(1UL << ORDER)
#define MAX_CHUNKS	9600
#define AREA_PAGES	(340UL << (20 - PAGE_SHIFT))
#define REQUEST		4800
#define SEED		20201117ULL

static struct cma *real_area;
static unsigned long base_pfn, nr_area_pages;
static struct cma area;			/* the one under measurement */
static struct page **chunks;
static u64 *step_ns;
static size_t nr_steps;

/* The pages in the area: movable ones belong to this file, pins are counted. */
static struct file *file;
static struct folio **pins;
static size_t nr_pins;

struct result {
	const char *arm;
	size_t asked, got;
	u64 ns, release_ns;
	unsigned long migrated;
	int ret;
};

static unsigned long pages_migrated(void)
{
	unsigned long *events, nr;

	events = kcalloc(NR_VM_EVENT_ITEMS, sizeof(*events), GFP_KERNEL);
	if (!events)
		return 0;
	all_vm_events(events);
	nr = events[PGMIGRATE_SUCCESS];
	kfree(events);
	return nr;
}

static int cmp_u64(const void *a, const void *b)
{
	const u64 *l = a, *r = b;

	return *l < *r ? -1 : *l > *r;
}

static u64 percentile(u64 *ns, size_t nr, unsigned int percent)
{
	return nr ? ns[(nr - 1) * percent / 100] : 0;
}

static void report(const char *scenario, struct result *r)
{
	sort(step_ns, nr_steps, sizeof(*step_ns), cmp_u64, NULL);
	pr_info("%s %s %zu %zu %llu %llu %zu %llu %llu %llu %lu\n",
		scenario, r->arm, r->asked, r->got, r->ns, r->release_ns,
		nr_steps, percentile(step_ns, nr_steps, 50),
		percentile(step_ns, nr_steps, 99),
		percentile(step_ns, nr_steps, 100), r->migrated);
}

/* Lay an area over the first @nr_pages. */
static int area_init(unsigned long nr_pages)
{
	memset(&area, 0, sizeof(area));
	area.base_pfn = base_pfn;
	area.count = nr_pages;
	spin_lock_init(&area.lock);
	strscpy(area.name, "bench", sizeof(area.name));
	area.bitmap = bitmap_zalloc(nr_pages, GFP_KERNEL);

	return area.bitmap ? 0 : -ENOMEM;
}

static void area_exit(void)
{
	WARN_ON(!bitmap_empty(area.bitmap, area.count));
	bitmap_free(area.bitmap);
}

/*
 * Make the page at @pfn, which the caller has allocated, a page of the file:
 * one on the LRU that migration can move, and that holds a reference more than
 * it accounts for if it is pinned.
 */
static int place(unsigned long pfn, bool pin)
{
	struct folio *folio = pfn_folio(pfn);
	int ret;

	__folio_set_locked(folio);
	ret = filemap_add_folio(file->f_mapping, folio, pfn - base_pfn,
				GFP_KERNEL);
	if (ret) {
		__folio_clear_locked(folio);
		return ret;
	}
	folio_mark_uptodate(folio);
	/* A clean page would be dropped instead of migrated. */
	folio_mark_dirty(folio);
	folio_unlock(folio);
	if (pin)
		pins[nr_pins++] = folio;
	else
		folio_put(folio);
	return 0;
}

/*
 * Let what was set up or left behind take effect now, and not while time is
 * measured. Modules cannot drain the caches, alloc_contig_pages() does.
 */
static void settle(void)
{
	struct page *page;

	page = alloc_contig_pages(1, GFP_KERNEL, first_online_node, NULL);
	if (page)
		__free_page(page);
	rcu_barrier();
	msleep(50);
}

/*
 * Fill the area: pages chosen by @what are placed, the others are freed.
 * Returns the pages as part of the area, but in use.
 */
static int populate(int (*what)(unsigned long offset, void *data), void *data)
{
	unsigned long i, nr = area.count;
	struct page *pages;
	int ret = 0;

	nr_pins = 0;
	file = shmem_kernel_file_setup("chunk_bench", nr << PAGE_SHIFT,
				       VM_NORESERVE);
	if (IS_ERR(file))
		return PTR_ERR(file);

	pages = cma_alloc(&area, nr, 0, false);
	if (!pages)
		return -EBUSY;

	for (i = 0; i < nr; i++) {
		int kind = ret ? 0 : what(i, data);

		if (kind)
			ret = place(base_pfn + i, kind > 1);
		if (!kind || ret)
			__free_page(nth_page(pages, i));
	}
	bitmap_clear(area.bitmap, 0, nr);
	area.next_bit = 0;
	settle();
	return ret;
}

static void depopulate(void)
{
	while (nr_pins)
		folio_put(pins[--nr_pins]);
	/* The last fput() of a task is done on its way to user space only. */
	shmem_truncate_range(file_inode(file), 0, -1);
	fput(file);
	area.next_bit = 0;
	settle();
}

/* The step event of cma_alloc_bulk() marks where others get their turn. */
static u64 last_step;
static struct tracepoint *step_tp;

static void probe_step(void *data, const char *name, unsigned long pfn,
		       size_t nr_tried, size_t nr_allocated)
{
	u64 now = ktime_get_ns();

	if (nr_steps < MAX_CHUNKS)
		step_ns[nr_steps++] = now - last_step;
	last_step = now;
}

static void find_step_tp(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "cma_alloc_bulk_step"))
		step_tp = tp;
}

static void run_loop(struct result *r)
{
	u64 start = ktime_get_ns(), before = start, now;

	while (r->got < r->asked) {
		struct page *page = cma_alloc(&area, CHUNK_PAGES, ORDER, true);

		now = ktime_get_ns();
		step_ns[nr_steps++] = now - before;
		before = now;
		if (!page)
			break;
		chunks[r->got++] = page;
	}
	r->ns = ktime_get_ns() - start;

	start = ktime_get_ns();
	for (size_t i = 0; i < r->got; i++)
		cma_release(&area, chunks[i], CHUNK_PAGES);
	r->release_ns = ktime_get_ns() - start;
}

static void run_one(struct result *r)
{
	u64 start = ktime_get_ns();
	struct page *page = cma_alloc(&area, r->asked * CHUNK_PAGES, ORDER,
				      true);

	r->ns = ktime_get_ns() - start;
	step_ns[nr_steps++] = r->ns;
	if (!page)
		return;
	r->got = r->asked;
	start = ktime_get_ns();
	cma_release(&area, page, r->asked * CHUNK_PAGES);
	r->release_ns = ktime_get_ns() - start;
}

static void run_bulk(struct result *r, enum alloc_contig_mode mode)
{
	u64 start;

	last_step = ktime_get_ns();
	start = last_step;
	r->ret = cma_alloc_bulk_old(&area, 0, mode, ORDER, r->asked, chunks,
				&r->got);
	r->ns = ktime_get_ns() - start;

	start = ktime_get_ns();
	for (size_t i = 0; i < r->got; i++)
		cma_release(&area, chunks[i], CHUNK_PAGES);
	r->release_ns = ktime_get_ns() - start;
}

enum arm { LOOP, ONE, BULK_FAST, BULK_NORMAL, BULK_HARD, NR_ARMS };

static const char * const arm_names[] = {
	"loop", "one", "bulk-fast", "bulk-normal", "bulk-hard",
};

#define ALL_ARMS	(BIT(NR_ARMS) - 1)
#define BULK_ARMS	(BIT(BULK_FAST) | BIT(BULK_NORMAL) | BIT(BULK_HARD))

/* Each arm starts from the same contents. */
static int run(const char *scenario, size_t nr, unsigned long arms,
	       int (*what)(unsigned long offset, void *data), void *data)
{
	for (int arm = 0; arm < NR_ARMS; arm++) {
		struct result r = { .arm = arm_names[arm], .asked = nr };
		int ret;

		if (!(arms & BIT(arm)))
			continue;
		ret = populate(what, data);
		if (ret) {
			pr_err("%s: cannot fill the area: %d\n", scenario, ret);
			return ret;
		}
		nr_steps = 0;
		r.migrated = pages_migrated();
		switch (arm) {
		case LOOP:
			run_loop(&r);
			break;
		case ONE:
			run_one(&r);
			break;
		default:
			run_bulk(&r, ALLOC_CONTIG_FAST + arm - BULK_FAST);
			break;
		}
		r.migrated = pages_migrated() - r.migrated;
		report(scenario, &r);
		depopulate();
	}
	return 0;
}

static int nothing(unsigned long offset, void *data)
{
	return 0;
}

/* A quarter of the pages is movable, spread at random. */
static int quarter(unsigned long offset, void *data)
{
	static struct rnd_state rnd;

	if (!offset)
		prandom_seed_state(&rnd, SEED);
	return !(prandom_u32_state(&rnd) & 3);
}

/*
 * One pinned page in some of the pageblocks: in as many of 170 as @data says,
 * at a random place.
 */
static int pinned(unsigned long offset, void *data)
{
	static struct rnd_state rnd;
	static unsigned long pin;
	unsigned int density = (unsigned long)data;

	if (!offset)
		prandom_seed_state(&rnd, SEED);
	if (!(offset % pageblock_nr_pages)) {
		u32 r = prandom_u32_state(&rnd) % 170;
		u32 at = prandom_u32_state(&rnd) % pageblock_nr_pages;

		pin = r < density ? offset + at : ULONG_MAX;
	}
	return offset == pin ? 2 : 0;
}

/* Both. */
static int loaded_pinned(unsigned long offset, void *data)
{
	int pin = pinned(offset, data);
	int load = quarter(offset, NULL);

	return pin ?: load;
}

/* Two allocators at once, each asks for half of what one asks for otherwise. */
struct rival {
	struct page **chunks;
	size_t got;
	u64 start, end, max_ns, *ns;
	size_t nr;
	bool loop;
	int ret;
	struct completion *go, done;
};

static int rival_fn(void *data)
{
	struct rival *r = data;

	wait_for_completion(r->go);
	r->start = ktime_get_ns();
	if (!r->loop) {
		r->ret = cma_alloc_bulk_old(&area, 0, ALLOC_CONTIG_NORMAL, ORDER,
					REQUEST / 2, r->chunks, &r->got);
	} else {
		for (r->nr = 0; r->nr < 64; r->nr++) {
			u64 before = ktime_get_ns();
			struct page *page = cma_alloc(&area, CHUNK_PAGES, ORDER,
						      true);

			r->ns[r->nr] = ktime_get_ns() - before;
			if (!page) {
				r->ret = -EBUSY;
				break;
			}
			r->chunks[r->got++] = page;
		}
	}
	r->end = ktime_get_ns();
	complete(&r->done);
	return 0;
}

static int run_rivals(const char *scenario, bool loop,
		      int (*what)(unsigned long offset, void *data), void *data)
{
	DECLARE_COMPLETION_ONSTACK(go);
	struct rival rivals[2] = {};
	u64 loop_ns[64];
	int ret;

	ret = populate(what, data);
	if (ret)
		return ret;

	for (int i = 0; i < 2; i++) {
		struct task_struct *task;

		rivals[i].chunks = chunks + i * REQUEST / 2;
		rivals[i].loop = loop && i;
		rivals[i].ns = loop_ns;
		rivals[i].go = &go;
		init_completion(&rivals[i].done);
		task = kthread_create(rival_fn, &rivals[i], "chunk_bench/%d",
				      i);
		if (IS_ERR(task))
			return PTR_ERR(task);
		kthread_bind(task, i % num_online_cpus());
		wake_up_process(task);
	}
	complete_all(&go);
	for (int i = 0; i < 2; i++)
		wait_for_completion(&rivals[i].done);

	for (int i = 0; i < 2; i++) {
		struct rival *r = &rivals[i];
		struct result res = {
			.arm = !i ? "first" : r->loop ? "second-loop" : "second",
			.asked = r->loop ? 64 : REQUEST / 2,
			.got = r->got,
			.ns = r->end - r->start,
		};
		u64 start;

		nr_steps = 0;
		if (r->loop) {
			memcpy(step_ns, r->ns, r->nr * sizeof(*r->ns));
			nr_steps = r->nr;
		} else {
			step_ns[nr_steps++] = res.ns;
		}
		start = ktime_get_ns();
		for (size_t j = 0; j < r->got; j++)
			cma_release(&area, r->chunks[j], CHUNK_PAGES);
		res.release_ns = ktime_get_ns() - start;
		report(scenario, &res);
	}
	depopulate();
	return 0;
}

/* What clearing the memory of the request costs, the yardstick for a heap. */
static void run_clear(void)
{
	struct result r = { .arm = "clear", .asked = REQUEST };
	size_t got = 0;
	u64 start;

	if (!cma_alloc_bulk_old(&area, 0, ALLOC_CONTIG_NORMAL, ORDER, REQUEST,
			    chunks, &got)) {
		start = ktime_get_ns();
		for (size_t i = 0; i < got; i++)
			for (size_t j = 0; j < CHUNK_PAGES; j++)
				clear_highpage(nth_page(chunks[i], j));
		r.ns = ktime_get_ns() - start;
		r.got = got;
	}
	while (got)
		cma_release(&area, chunks[--got], CHUNK_PAGES);
	nr_steps = 0;
	report("clear", &r);
}

static int run_all(void)
{
	static const unsigned int densities[] = { 10, 25, 50, 100, 170 };
	char name[32];
	int ret;

	ret = area_init(AREA_PAGES);
	if (ret)
		return ret;

	run("idle", REQUEST, ALL_ARMS, nothing, NULL);
	run("loaded", REQUEST, ALL_ARMS, quarter, NULL);
	for (int i = 0; i < ARRAY_SIZE(densities); i++) {
		void *density = (void *)(unsigned long)densities[i];

		snprintf(name, sizeof(name), "pinned-%u", densities[i]);
		run(name, REQUEST,
		    densities[i] == 50 ? ALL_ARMS : ALL_ARMS & ~BIT(ONE),
		    pinned, density);
		/* All that is there, and more. */
		snprintf(name, sizeof(name), "short-%u", densities[i]);
		run(name, area.count / CHUNK_PAGES, BULK_ARMS | BIT(LOOP),
		    pinned, density);
	}
	run("loaded-pinned-50", REQUEST, ALL_ARMS & ~BIT(ONE), loaded_pinned,
	    (void *)50UL);
	run_rivals("rivals-idle", false, nothing, NULL);
	run_rivals("rivals-loaded", false, quarter, NULL);
	run_rivals("rivals-loop", true, quarter, NULL);
	run_clear();
	area_exit();

	ret = area_init(nr_area_pages);
	if (ret)
		return ret;
	for (size_t nr = 600; nr <= MAX_CHUNKS; nr *= 2) {
		snprintf(name, sizeof(name), "scale-%zu", nr);
		run(name, nr, BULK_ARMS, nothing, NULL);
		snprintf(name, sizeof(name), "scale-loaded-%zu", nr);
		run(name, nr, BULK_ARMS, quarter, NULL);
	}
	area_exit();
	return 0;
}

static int __init chunk_bench_init(void)
{
	struct page *pages;
	int ret = -ENOMEM;

	real_area = dev_get_cma_area(NULL);
	if (!real_area)
		return -ENODEV;
	nr_area_pages = cma_get_size(real_area) >> PAGE_SHIFT;
	if (nr_area_pages < (MAX_CHUNKS + 1) * CHUNK_PAGES) {
		pr_err("the default CMA area has %lu MB, %lu are needed\n",
		       nr_area_pages >> (20 - PAGE_SHIFT),
		       (MAX_CHUNKS + 1) * CHUNK_PAGES >> (20 - PAGE_SHIFT));
		return -ENOSPC;
	}

	chunks = vcalloc(nr_area_pages / CHUNK_PAGES, sizeof(*chunks));
	step_ns = vcalloc(MAX_CHUNKS, sizeof(*step_ns));
	pins = vcalloc(nr_area_pages / pageblock_nr_pages + 1, sizeof(*pins));
	if (!chunks || !step_ns || !pins)
		goto out;

	/* Take it, empty, and give the pages back but not the bits. */
	pages = cma_alloc(real_area, nr_area_pages, 0, false);
	if (!pages) {
		ret = -EBUSY;
		goto out;
	}
	base_pfn = page_to_pfn(pages);
	free_contig_range(base_pfn, nr_area_pages);

	for_each_kernel_tracepoint(find_step_tp, NULL);
	if (step_tp)
		tracepoint_probe_register(step_tp, probe_step, NULL);
	ret = run_all();
	if (step_tp)
		tracepoint_probe_unregister(step_tp, probe_step, NULL);
	tracepoint_synchronize_unregister();

	pr_info("done\n");
	/* Own the pages again, so that the area can have them back. */
	if (!area_init(nr_area_pages)) {
		pages = cma_alloc(&area, nr_area_pages, 0, false);
		if (pages)
			cma_release(real_area, pages, nr_area_pages);
		bitmap_free(area.bitmap);
	}
out:
	vfree(pins);
	vfree(step_ns);
	vfree(chunks);
	return ret;
}
module_init(chunk_bench_init);

static void __exit chunk_bench_exit(void)
{
}
module_exit(chunk_bench_exit);

MODULE_DESCRIPTION("Benchmark of chunk allocation from CMA");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
