// SPDX-License-Identifier: GPL-2.0
/*
 * Time the ways to get thousands of chunks out of a CMA area, side by side
 *
 * The module takes the default CMA area over, returns its pages to the buddy
 * allocator while the area's bitmap keeps everyone else out, and lays areas of
 * its own over them. So the size of an area, what is in it and where a search
 * begins are the same for every measurement.
 *
 * Every result is a line in the kernel log, whose columns log-to-tsv.awk names.
 * docs/bench.md says what the scenarios are, and what is counted. The latencies
 * are measured in a second pass, with preempt=full.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cma.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/shmem_fs.h>
#include <linux/sort.h>
#include <linux/swap.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/umh.h>
#include <linux/vmstat.h>

#include "area.h"
#include "compat.h"
#include "latency.h"

#define ORDER		4U
#define CHUNK_PAGES	(1UL << ORDER)
#define MAX_CHUNKS	9600
#define PAGES(mb)	((mb) << (20 - PAGE_SHIFT))
#define MB(pages)	((pages) >> (20 - PAGE_SHIFT))
#define AREA_PAGES	PAGES(340UL)
#define MIN_PAGES	((MAX_CHUNKS + 1) * CHUNK_PAGES)
#define MAX_PAGES	PAGES(1024UL)
#define REQUEST		4800
#define SEED		20201117ULL

static unsigned long base_pfn, nr_area_pages;
static struct cma area;			/* the one under measurement */
static struct page *chunks[MAX_CHUNKS];
static u64 step_ns[MAX_CHUNKS];
static size_t nr_steps;

/*
 * The pages in the area: movable ones belong to this file, pins are counted,
 * and some wait for a disk that takes so long for each, one after the other.
 */
enum kind { FREE, MOVABLE, PINNED, LOCKED, WRITEBACK };

#define DISK_MS		20

static struct file *file;
static struct folio *pins[MAX_CHUNKS], *busy[MAX_CHUNKS];
static size_t nr_pins, nr_busy, nr_written;
static struct hrtimer disk;
static DECLARE_BITMAP(placed, MAX_PAGES);

static unsigned long mutex;
module_param(mutex, ulong, 0444);
MODULE_PARM_DESC(mutex, "Address of the cma_mutex, to measure latencies in a second pass; wants PREEMPT_DYNAMIC, and the clock of QEMU's icount");

/* Set in the second pass, which measures latencies. */
static const struct mutex *cma_mutex;

static bool enough;		/* ends a loop early */

struct result {
	const char *arm;
	size_t asked, got;
	u64 ns, release_ns;
	unsigned long migrated, in_the_way;
};

static unsigned long pages_migrated(void)
{
	static unsigned long events[NR_VM_EVENT_ITEMS];

	all_vm_events(events);
	return events[PGMIGRATE_SUCCESS];
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

static void report(const char *scenario, struct result *r, u64 *steps,
		   size_t nr)
{
	sort(steps, nr, sizeof(*steps), cmp_u64, NULL);
	pr_info("%s %s %zu %zu %llu %llu %zu %llu %llu %llu %lu %lu\n",
		scenario, r->arm, r->asked, r->got, r->ns, r->release_ns, nr,
		percentile(steps, nr, 50), percentile(steps, nr, 99),
		percentile(steps, nr, 100), r->migrated, r->in_the_way);
}

static void report_latency(const char *scenario, const char *arm,
			   const char *what, struct samples *s)
{
	sort(s->ns, s->nr, sizeof(*s->ns), cmp_u64, NULL);
	pr_info("latency %s %s %s %zu %llu %llu %llu %s\n", scenario, arm, what,
		s->nr, percentile(s->ns, s->nr, 50),
		percentile(s->ns, s->nr, 99), s->longest, s->where);
}

static enum hrtimer_restart write_one(struct hrtimer *t)
{
	struct folio *folio = busy[nr_written++];

	if (folio_test_writeback(folio))
		folio_end_writeback(folio);
	else
		folio_unlock(folio);
	if (nr_written == nr_busy)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(t, ms_to_ktime(DISK_MS));
	return HRTIMER_RESTART;
}

/*
 * Make the page at @pfn, which the caller has allocated, a page of the file:
 * one on the LRU that migration can move, and that holds a reference more than
 * it accounts for if it is pinned.
 */
static void place(unsigned long pfn, enum kind kind)
{
	struct folio *folio = pfn_folio(pfn);

	__folio_set_locked(folio);
	if (WARN_ON(filemap_add_folio(file->f_mapping, folio, pfn - base_pfn,
				      GFP_KERNEL)))
		return;
	folio_mark_uptodate(folio);
	/* A clean page would be dropped instead of migrated. */
	folio_mark_dirty(folio);
	if (kind >= LOCKED)
		busy[nr_busy++] = folio;
	if (kind == WRITEBACK)
		folio_start_writeback(folio);
	if (kind != LOCKED)
		folio_unlock(folio);
	if (kind == PINNED)
		pins[nr_pins++] = folio;
	else
		folio_put(folio);
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

/* What the area is filled with. Each filling has the same random numbers. */
struct contents {
	unsigned int movable;	/* pages of four, spread at random */
	bool waits;		/* for the disk: one page in a thousand */
	/*
	 * In @pins cases of @of, one of the first @room of @block pages is
	 * pinned. Where those are 0, they are a pageblock.
	 */
	unsigned int pins, of, block, room;
};

static struct rnd_state rnd_pins, rnd_load;

static enum kind what_is_at(unsigned long offset, const struct contents *what)
{
	const unsigned int block = what->block ?: pageblock_nr_pages;
	const unsigned int room = what->room ?: block;
	const u32 load = prandom_u32_state(&rnd_load);
	static unsigned long pin;

	if (what->pins && !(offset % block)) {
		struct rnd_state *rnd = &rnd_pins;
		u32 r = what->of > 1 ? prandom_u32_state(rnd) % what->of : 0;
		u32 at = room > 1 ? prandom_u32_state(rnd) % room : 0;

		pin = r < what->pins ? offset + at : ULONG_MAX;
	}
	if (what->pins && offset == pin)
		return PINNED;
	if (what->waits && load % 2000 < 2)
		return load % 2000 ? WRITEBACK : LOCKED;
	return (load & 3) < what->movable ? MOVABLE : FREE;
}

static int take_range(unsigned long pfn, unsigned long nr)
{
	return alloc_contig_range(pfn, pfn + nr, CONTIG(EFFORT_NORMAL),
				  GFP_KERNEL);
}

/* Fill the area: some pages are placed, the others are freed. */
static int populate(const struct contents *what)
{
	const unsigned long nr = area.count;

	nr_pins = 0;
	bitmap_zero(placed, nr);
	prandom_seed_state(&rnd_pins, SEED);
	prandom_seed_state(&rnd_load, SEED);
	file = shmem_kernel_file_setup("chunk_bench", nr << PAGE_SHIFT,
				       NORESERVE);
	if (WARN_ON(IS_ERR(file) || take_range(base_pfn, nr)))
		return -EBUSY;

	for (unsigned long i = 0; i < nr; i++) {
		enum kind kind = what_is_at(i, what);

		if (kind == FREE) {
			__free_page(pfn_to_page(base_pfn + i));
			continue;
		}
		place(base_pfn + i, kind);
		__set_bit(i, placed);
	}
	area_range(&area)->busy.start = 0;
	settle();
	return 0;
}

static void depopulate(void)
{
	hrtimer_cancel(&disk);
	while (nr_written < nr_busy)
		write_one(&disk);
	nr_busy = 0;
	nr_written = 0;
	while (nr_pins)
		folio_put(pins[--nr_pins]);
	/* The last fput() of a task is done on its way to user space only. */
	shmem_truncate_range(file_inode(file), 0, -1);
	fput(file);
	area_range(&area)->busy.start = 0;
	settle();
}

/*
 * The step event of cma_alloc_bulk() marks where others get their turn, and
 * these two where cma_alloc() has released the cma_mutex.
 */
static u64 last_step;

static void end_step(void)
{
	u64 now = ktime_get_ns();

	if (nr_steps < MAX_CHUNKS)
		step_ns[nr_steps++] = now - last_step;
	last_step = now;
}

static void probe_step(void *data, const char *name, unsigned long pfn,
		       size_t nr_tried, size_t nr_allocated)
{
	end_step();
	latency_mutex_is_free();
}

static void probe_retry(void *data, const char *name, unsigned long pfn,
			const struct page *page, unsigned long count,
			unsigned int align)
{
	latency_mutex_is_free();
}

static void probe_finish(void *data, const char *name, unsigned long pfn,
			 const struct page *page, unsigned long count,
			 unsigned int align, int error)
{
	latency_mutex_is_free();
}

static const struct {
	const char *event;
	void *fn;
} probes[] = {
	{ "cma_alloc_bulk_step", probe_step },
	{ "cma_alloc_busy_retry", probe_retry },
	{ "cma_alloc_finish", probe_finish },
};
static size_t nr_probes;

/* Begins or ends the probe of @tp, if it has one. */
static void set_probe(struct tracepoint *tp, void *begin)
{
	for (int i = 0; i < ARRAY_SIZE(probes); i++) {
		if (strcmp(tp->name, probes[i].event))
			continue;
		if (!begin)
			tracepoint_probe_unregister(tp, probes[i].fn, NULL);
		else if (!tracepoint_probe_register(tp, probes[i].fn, NULL))
			nr_probes++;
	}
}

/*
 * It tries pins again every 100 ms. Where there are more than one in each of the
 * 170 pageblocks, it would take hours, and is ended after a second.
 */
static void run_loop(struct result *r)
{
	u64 start = last_step;

	while (r->got < r->asked && !READ_ONCE(enough) &&
	       (nr_pins <= 170 || last_step - start < NSEC_PER_SEC)) {
		struct page *page = cma_alloc(&area, CHUNK_PAGES, ORDER, true);

		end_step();
		if (!page)
			break;
		chunks[r->got++] = page;
	}
}

/* As the postings of 2020: one pageblock after the other, all of it or none */
static void run_pageblocks(struct result *r)
{
	for (unsigned long i = 0; i < area.count && r->got < r->asked;
	     i += pageblock_nr_pages) {
		unsigned long pfn = base_pfn + i, end = pfn + pageblock_nr_pages;
		int ret = alloc_contig_range(pfn, end, CONTIG(EFFORT_FAST),
					     GFP_KERNEL);

		end_step();
		if (ret)
			continue;
		bitmap_set(area_range(&area)->bitmap, i, pageblock_nr_pages);
		area_count(&area, -(long)pageblock_nr_pages);
		for (; pfn < end; pfn += CHUNK_PAGES)
			chunks[r->got++] = pfn_to_page(pfn);
	}
}

static unsigned long pages_in_the_way(const struct result *r)
{
	unsigned long nr = 0;

	for (size_t i = 0; i < r->got; i++) {
		unsigned long offset = page_to_pfn(chunks[i]) - base_pfn;

		for (size_t j = 0; j < CHUNK_PAGES; j++)
			nr += test_bit(offset + j, placed);
	}
	return nr;
}

enum arm {
	LOOP, ONE, BULK_FAST, BULK_NORMAL, BULK_HARD, PAGEBLOCKS, NR_ARMS
};

static const char * const arm_names[] = {
	"loop", "one", "bulk-fast", "bulk-normal", "bulk-hard", "pageblocks",
	"none",
};

/* In groups of so many as were allocated in one piece, or all with one call. */
static void release(struct result *r, struct page **chunks, size_t group)
{
	u64 start = ktime_get_ns();

	WRITE_ONCE(latency_releasing, true);
	if (!group)
		release_bulk(&area, ORDER, r->got, chunks);
	else
		for (size_t i = 0; i < r->got; i += group)
			cma_release(&area, chunks[i], group * CHUNK_PAGES);
	WRITE_ONCE(latency_releasing, false);
	r->release_ns = ktime_get_ns() - start;
}

static void run_arm(struct result *r, int arm)
{
	static const unsigned int efforts[] = {
		EFFORT_FAST, EFFORT_NORMAL, EFFORT_HARD,
	};
	const bool bulk = arm >= BULK_FAST && arm <= BULK_HARD;
	struct page *one = NULL;
	u64 start;

	nr_steps = 0;
	last_step = ktime_get_ns();
	start = last_step;
	switch (arm) {
	case LOOP:
		run_loop(r);
		break;
	case ONE:
		one = cma_alloc(&area, r->asked * CHUNK_PAGES, ORDER, true);
		end_step();
		break;
	case PAGEBLOCKS:
		run_pageblocks(r);
		break;
	default:
		alloc_bulk(&area, ORDER, efforts[arm - BULK_FAST], r->asked,
			   chunks, &r->got);
	}
	r->ns = ktime_get_ns() - start;
	for (; one && r->got < r->asked; r->got++)
		chunks[r->got] = pfn_to_page(page_to_pfn(one) +
					     r->got * CHUNK_PAGES);
	release(r, chunks, bulk ? 0 : one ? r->asked : 1);
}

/*
 * Over and over, for the timer to meet what is over soon. Where pages have to
 * move, they do the first time only. What is left behind by one round, in the
 * per-CPU lists above all, is not the next one's business.
 */
#define LATENCY_ROUNDS	8

static void run_latency(const char *scenario, size_t nr, int arm)
{
	static const char * const names[] = {
		"alloc-irqs-off", "alloc-preemption-off", "release-irqs-off",
		"release-preemption-off", "mutex-held",
	};

	for (int i = 0; i < NR_LATENCIES; i++)
		samples_reset(&latencies[i]);
	for (int i = 0; i < LATENCY_ROUNDS; i++) {
		struct result r = { .asked = nr };

		if (latency_start(cma_mutex))
			return;
		if (nr_written < nr_busy)
			hrtimer_start(&disk, ms_to_ktime(DISK_MS),
				      HRTIMER_MODE_REL);
		run_arm(&r, arm);
		latency_stop();
		settle();
	}
	for (int i = 0; i < NR_LATENCIES; i++)
		report_latency(scenario, arm_names[arm], names[i],
			       &latencies[i]);
}

/* How many chunks of the area have no pinned page */
static size_t unpinned_chunks(void)
{
	size_t nr = area.count / CHUNK_PAGES;
	unsigned long chunk, last = ULONG_MAX;

	for (size_t i = 0; i < nr_pins; i++) {
		chunk = (folio_pfn(pins[i]) - base_pfn) / CHUNK_PAGES;
		nr -= chunk != last;
		last = chunk;
	}
	return nr;
}

struct scenario {
	const char *name;
	size_t nr;			/* of chunks, or UNPINNED */
	unsigned long arms;
	unsigned long latency_arms;	/* of the second pass */
	struct contents what;
};

#define UNPINNED	0

/* Each arm starts from the same contents. A row that is missing is noticed. */
static void run(const struct scenario *s)
{
	const unsigned long arms = cma_mutex ? s->latency_arms : s->arms;

	for (int arm = 0; arm < NR_ARMS; arm++) {
		struct result r = { .arm = arm_names[arm], .asked = s->nr };

		if (!(arms & BIT(arm)))
			continue;
		if (populate(&s->what))
			return;
		if (s->nr == UNPINNED)
			r.asked = unpinned_chunks();
		if (cma_mutex) {
			run_latency(s->name, r.asked, arm);
		} else {
			r.migrated = pages_migrated();
			run_arm(&r, arm);
			r.migrated = pages_migrated() - r.migrated;
			r.in_the_way = pages_in_the_way(&r);
			report(s->name, &r, step_ns, nr_steps);
		}
		depopulate();
	}
}

#define ALL		(AREA_PAGES / CHUNK_PAGES)
#define ALL_ARMS	(BIT(NR_ARMS) - 1)
#define BULK		(BIT(BULK_FAST) | BIT(BULK_NORMAL) | BIT(BULK_HARD))
#define BULK_ONE	(BULK | BIT(ONE))
#define BULK_LOOP	(BULK | BIT(LOOP))
#define NOT_ONE		(ALL_ARMS & ~BIT(ONE))
#define HARD		BIT(BULK_HARD)
#define CROWDED_ARMS	(BIT(ONE) | BIT(BULK_FAST) | BIT(BULK_NORMAL))
#define PINS(nr)	.pins = (nr), .of = 170

/*
 * Latencies are not measured where memory is short: kswapd runs then, and under
 * -icount the other CPU's time counts as this one's.
 */
static const struct scenario scenarios[] = {
	{ "idle", REQUEST, ALL_ARMS, BULK_ONE },
	{ "loaded", REQUEST, ALL_ARMS, BULK_ONE, { .movable = 1 } },
	{ "full", REQUEST, BULK_ONE, BULK_ONE, { .movable = 4 } },
	{ "pinned-10", REQUEST, NOT_ONE, 0, { PINS(10) } },
	{ "short-10", ALL, BULK_LOOP, HARD, { PINS(10) } },
	{ "pinned-25", REQUEST, NOT_ONE, 0, { PINS(25) } },
	{ "short-25", ALL, BULK_LOOP, HARD, { PINS(25) } },
	{ "pinned-50", REQUEST, ALL_ARMS, BULK, { PINS(50) } },
	{ "short-50", ALL, BULK_LOOP, BULK, { PINS(50) } },
	{ "pinned-100", REQUEST, NOT_ONE, 0, { PINS(100) } },
	{ "short-100", ALL, BULK_LOOP, HARD, { PINS(100) } },
	{ "pinned-170", REQUEST, NOT_ONE, 0, { PINS(170) } },
	{ "short-170", ALL, BULK_LOOP, HARD, { PINS(170) } },
	{ "loaded-pinned-50", REQUEST, NOT_ONE, 0, { .movable = 1, PINS(50) } },
	{ "pinned-1pct", UNPINNED, BULK_LOOP, 0,
	  { .pins = 1, .of = 100, .block = 1 } },
	{ "pinned-half", UNPINNED, BULK_LOOP, 0,
	  { .pins = 1, .of = 1, .block = 2 << ORDER, .room = 1 << ORDER } },
	{ "disk", ALL, 0, BULK, { .movable = 4, .waits = true } },
};

static unsigned long free_outside(void)
{
	return global_zone_page_state(NR_FREE_PAGES) -
	       global_zone_page_state(NR_FREE_CMA_PAGES);
}

/* Leave @nr_pages outside of CMA free, and fill the rest. */
static void fill_memory(struct list_head *hog, unsigned long nr_pages)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;

	for (int order = MAX_PAGE_ORDER; order >= 0; order--) {
		while (free_outside() >= nr_pages + (1UL << order)) {
			struct page *page = alloc_pages(gfp, order);

			if (!page)
				break;
			set_page_private(page, order);
			list_add(&page->lru, hog);
		}
	}
}

/*
 * The page allocator prefers to place movable pages in the area while more than
 * half of the free memory lies there. @mb is what is free elsewhere.
 */
static void run_crowded(const struct scenario *s, unsigned long mb)
{
	/* The memory behind the area under measurement is CMA, too. */
	const unsigned long rest = base_pfn + AREA_PAGES;
	const unsigned long nr_rest = nr_area_pages - AREA_PAGES;
	struct page *page, *next;
	LIST_HEAD(hog);

	if (WARN_ON(take_range(rest, nr_rest)))
		return;
	fill_memory(&hog, PAGES(mb));
	settle();
	run(s);
	list_for_each_entry_safe(page, next, &hog, lru)
		__free_pages(page, page_private(page));
	free_contig_range(rest, nr_rest);
}

/* A task on another CPU says here that it has begun, and that it has ended. */
static DECLARE_COMPLETION(other);

static void alloc_half(struct result *r, struct page **half)
{
	u64 start = ktime_get_ns();

	alloc_bulk(&area, ORDER, EFFORT_NORMAL, r->asked, half, &r->got);
	r->ns = ktime_get_ns() - start;
}

static int first_rival(void *data)
{
	complete(&other);
	alloc_half(data, chunks);
	complete(&other);
	return 0;
}

/* Two allocators at once, each asks for half of what one asks for otherwise. */
static void run_rivals(const char *scenario, bool loop, unsigned int movable)
{
	const struct contents what = { .movable = movable };
	static u64 ns[64];
	struct page **half = chunks + REQUEST / 2;
	struct result first = { .arm = "first", .asked = REQUEST / 2 };
	struct result second = {
		.arm = loop ? "second-loop" : "second",
		.asked = loop ? ARRAY_SIZE(ns) : REQUEST / 2,
	};

	if (populate(&what) ||
	    IS_ERR(kthread_run_on_cpu(first_rival, &first, 0, "rival/%u")))
		return;
	wait_for_completion(&other);
	if (!loop)
		alloc_half(&second, half);
	while (loop && second.got < second.asked) {
		u64 start = ktime_get_ns();

		half[second.got] = cma_alloc(&area, CHUNK_PAGES, ORDER, true);
		if (!half[second.got])
			break;
		ns[second.got] = ktime_get_ns() - start;
		second.ns += ns[second.got++];
	}
	wait_for_completion(&other);

	release(&first, chunks, 0);
	report(scenario, &first, &first.ns, 1);
	release(&second, half, loop);
	report(scenario, &second, loop ? ns : &second.ns,
	       loop ? second.got : 1);
	depopulate();
}

/* What clearing the memory of the request costs, the yardstick for a heap. */
static void run_clear(void)
{
	struct result r = { .arm = "clear", .asked = REQUEST };
	u64 start;

	alloc_bulk(&area, ORDER, EFFORT_NORMAL, REQUEST, chunks, &r.got);
	start = ktime_get_ns();
	for (size_t i = 0; i < r.got; i++)
		for (size_t j = 0; j < CHUNK_PAGES; j++)
			clear_highpage(chunks[i] + j);
	r.ns = ktime_get_ns() - start;
	release_bulk(&area, ORDER, r.got, chunks);
	report("clear", &r, NULL, 0);
}

/*
 * Bystanders: under -icount, QEMU runs one CPU at a time, until the next timer
 * expires or the CPU pauses or sets a timer, and time passes for both. So a timer
 * on the second CPU ends its turn, be it in the middle of a critical section. Then
 * the first CPU does one operation and pauses. Waiting for a spinlock is pausing,
 * too: it takes as long as the second CPU holds the lock and then needs to take
 * its interrupt and to set the timer again.
 */
#define BYSTANDER_PAGES		256
#define BYSTANDER_SAMPLES	4000
#define TURN_NS			20000

static struct allocator {
	int arm;
	bool again, finished;
	bool in_timer;			/* whether it has ended its turn there */
} allocator;

static enum hrtimer_restart end_of_turn(struct hrtimer *t)
{
	WRITE_ONCE(allocator.in_timer, true);
	hrtimer_forward_now(t, ns_to_ktime(TURN_NS +
					   get_random_u32_below(TURN_NS / 2)));
	return HRTIMER_RESTART;
}

static int allocate(void *data)
{
	struct allocator *a = data;
	struct hrtimer turn;

	hrtimer_setup_on_stack(&turn, end_of_turn, CLOCK_MONOTONIC,
			       HRTIMER_MODE_REL_PINNED_HARD);
	hrtimer_start(&turn, ns_to_ktime(TURN_NS),
		      HRTIMER_MODE_REL_PINNED_HARD);
	complete(&other);
	do {
		struct result r = { .asked = REQUEST };

		if (a->arm < NR_ARMS)
			run_arm(&r, a->arm);
		else
			while (!READ_ONCE(enough))
				barrier();
	} while (a->again && !READ_ONCE(enough));
	WRITE_ONCE(a->finished, true);
	hrtimer_cancel(&turn);
	destroy_hrtimer_on_stack(&turn);
	complete(&other);
	return 0;
}

/* Until the other CPU is stopped at random. */
static void wait_for_turn(void)
{
	do {
		WRITE_ONCE(allocator.in_timer, false);
		cpu_relax();
	} while (READ_ONCE(allocator.in_timer));
}

/* One operation after the other, each at a random moment of the allocator. */
static int stand_by(struct file *shmem, struct samples *fault,
		    struct samples *cache)
{
	static char buffer[PAGE_SIZE];
	static unsigned long address;

	samples_reset(fault);
	samples_reset(cache);
	for (int i = 0; i < BYSTANDER_SAMPLES; i++) {
		loff_t at = i % BYSTANDER_PAGES * PAGE_SIZE;
		loff_t old = at / 2 & PAGE_MASK;
		u64 start;

		if (READ_ONCE(allocator.finished))
			break;
		/* As much memory again, which nobody has touched. */
		if (!at) {
			address = vm_mmap(NULL, address,
					  BYSTANDER_PAGES * PAGE_SIZE,
					  PROT_READ | PROT_WRITE,
					  MAP_ANONYMOUS | MAP_PRIVATE |
					  (address ? MAP_FIXED : 0), 0);
			shmem_truncate_range(file_inode(shmem), 0, -1);
		}
		wait_for_turn();
		start = ktime_get_ns();
		if (put_user(1, (char __user *)address + at))
			return -EFAULT;
		samples_add(fault, ktime_get_ns() - start);

		/* A page is written that is new, and one read that is not. */
		wait_for_turn();
		start = ktime_get_ns();
		if (kernel_write(shmem, buffer, PAGE_SIZE, &at) != PAGE_SIZE ||
		    kernel_read(shmem, buffer, PAGE_SIZE, &old) != PAGE_SIZE)
			return -EIO;
		samples_add(cache, ktime_get_ns() - start);
	}
	return 0;
}

static void run_bystanders(const char *scenario, bool again,
			   unsigned int movable)
{
	const struct contents what = { .movable = movable };
	const int cpu = num_online_cpus() - 1;
	struct samples *fault = &latencies[0], *cache = &latencies[1];
	struct file *shmem;
	int failed;

	shmem = shmem_kernel_file_setup("bystander",
					BYSTANDER_PAGES * PAGE_SIZE, NORESERVE);
	if (IS_ERR(shmem))
		return;
	set_cpus_allowed_ptr(current, cpumask_of(0));
	for (int arm = 0; arm <= NR_ARMS; arm++) {
		allocator = (struct allocator) { .arm = arm, .again = again };
		if (populate(&what) ||
		    IS_ERR(kthread_run_on_cpu(allocate, &allocator, cpu,
					      "allocator/%u")))
			break;
		wait_for_completion(&other);
		failed = stand_by(shmem, fault, cache);
		WRITE_ONCE(enough, true);
		wait_for_completion(&other);
		WRITE_ONCE(enough, false);
		depopulate();
		if (failed)
			break;
		report_latency(scenario, arm_names[arm], "page-fault", fault);
		report_latency(scenario, arm_names[arm], "page-cache", cache);
	}
	fput(shmem);
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

static void run_all(void)
{
	for (int i = 0; i < ARRAY_SIZE(scenarios); i++)
		run(&scenarios[i]);
	if (cma_mutex) {
		run_bystanders("bystanders-idle", true, 0);
		run_bystanders("bystanders-loaded", false, 1);
		return;
	}
	run_rivals("rivals-idle", false, 0);
	run_rivals("rivals-loaded", false, 1);
	run_rivals("rivals-loop", true, 1);
	run_clear();
}

static void run_scale(void)
{
	char name[32];
	struct scenario s = { .name = name, .arms = BULK };

	for (s.nr = 600; s.nr <= MAX_CHUNKS; s.nr *= 2) {
		snprintf(name, sizeof(name), "scale-%zu", s.nr);
		s.what.movable = 0;
		run(&s);
		snprintf(name, sizeof(name), "scale-loaded-%zu", s.nr);
		s.what.movable = 1;
		run(&s);
	}
}

/* Last, since they leave pageblocks of another type behind. */
static void run_short_of_memory(void)
{
	struct scenario s = {
		.nr = REQUEST, .arms = CROWDED_ARMS, .what.movable = 1,
	};

	s.name = "crowded";
	run_crowded(&s, 128);
	s.name = "crowded-short";
	s.nr = REQUEST / 6 * 5;
	run_crowded(&s, 36);
	s.name = "unmovable";
	s.nr = REQUEST;
	run(&s);
}

static int in_area(unsigned long nr_pages, void (*run_these)(void))
{
	int ret = area_init(&area, base_pfn, nr_pages);

	if (ret)
		return ret;
	run_these();
	area_exit(&area);
	return 0;
}

/* Modules cannot do it themselves. */
static int set_preempt(char *how)
{
	char *command = "echo $0 >/sys/kernel/debug/sched/preempt";
	char *argv[] = { "/bin/sh", "-c", command, how, NULL };
	char *envp[] = { NULL };

	return call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC);
}

/* The other CPU has nothing to do but for the rivals and the bystanders. */
static int measure(void)
{
	int ret;

	set_cpus_allowed_ptr(current, cpumask_of(num_online_cpus() - 1));
	ret = in_area(AREA_PAGES, run_all) ?:
	      in_area(nr_area_pages, run_scale) ?:
	      in_area(AREA_PAGES, run_short_of_memory);
	if (ret || !mutex)
		return ret;
	cma_mutex = area_mutex(&area, mutex);
	ret = set_preempt("full") ?: in_area(AREA_PAGES, run_all);
	cma_mutex = NULL;
	return ret ?: set_preempt(PREEMPT_USUAL);
}

static int __init chunk_bench_init(void)
{
	struct cma *real_area = dev_get_cma_area(NULL);
	struct page *pages;
	int ret;

	if (!real_area)
		return -ENODEV;
	nr_area_pages = cma_get_size(real_area) >> PAGE_SHIFT;
	if (nr_area_pages < MIN_PAGES || nr_area_pages > MAX_PAGES) {
		pr_err("the CMA area has %lu MB, %lu to %lu are needed\n",
		       MB(nr_area_pages), MB(MIN_PAGES), MB(MAX_PAGES));
		return -ENOSPC;
	}
	hrtimer_setup(&disk, write_one, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	latency_init();

	/*
	 * Take it, empty, and give the pages back but not the bits. Where
	 * devices need not be coherent, the kernel has some pages of it, for
	 * atomic DMA allocations: leave out the pageblocks that they are in.
	 */
	do {
		pages = cma_alloc(real_area, nr_area_pages, pageblock_order,
				  true);
	} while (!pages && (nr_area_pages -= pageblock_nr_pages) >= MIN_PAGES);
	if (!pages) {
		pr_err("too much of the default CMA area is in use\n");
		return -EBUSY;
	}
	base_pfn = page_to_pfn(pages);
	free_contig_range(base_pfn, nr_area_pages);

	for_each_kernel_tracepoint(set_probe, &nr_probes);
	ret = nr_probes == ARRAY_SIZE(probes) ? measure() : -ENOENT;
	for_each_kernel_tracepoint(set_probe, NULL);
	tracepoint_synchronize_unregister();
	if (ret)
		pr_err("ended early: %d\n", ret);
	else
		pr_info("done\n");
	/* Own the pages again, so that the area can have them back. */
	if (!take_range(base_pfn, nr_area_pages))
		cma_release(real_area, pages, nr_area_pages);
	return ret;
}
module_init(chunk_bench_init);

static void __exit chunk_bench_exit(void)
{
}
module_exit(chunk_bench_exit);

MODULE_DESCRIPTION("Benchmark of chunk allocation from CMA");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "DMA_BUF_HEAP");
MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
