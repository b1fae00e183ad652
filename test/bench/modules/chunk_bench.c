// SPDX-License-Identifier: GPL-2.0
/*
 * Time the ways to get thousands of chunks out of a CMA area, side by side
 *
 * The module takes the default CMA area over, returns its pages to the buddy
 * allocator while the area's bitmap keeps everyone else out, and lays areas of
 * its own over them. So the size of an area, what is in it and where a search
 * begins are the same for every measurement.
 *
 * Every result is one line in the kernel log, for bench.tsv or latency.tsv:
 *
 * chunk_bench: <scenario> <arm> <chunks asked> <chunks got> <ns> <ns to release>
 *		<steps> <p50 ns> <p99 ns> <max ns> <pages migrated>
 *		<pages in the way>
 * chunk_bench: latency <scenario> <arm> <what> <samples> <p50 ns> <p99 ns>
 *		<max ns> <where>
 *
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
#include <linux/vmalloc.h>
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
#define REQUEST		4800
#define SEED		20201117ULL

static struct cma *real_area;
static unsigned long base_pfn, nr_area_pages;
static struct cma area;			/* the one under measurement */
static struct page **chunks;
static u64 *step_ns;
static size_t nr_steps;

/*
 * The pages in the area: movable ones belong to this file, pins are counted,
 * and some wait for a disk that takes so long for each, one after the other.
 */
enum kind { FREE, MOVABLE, PINNED, LOCKED, WRITEBACK };

#define DISK_MS		20

static struct file *file;
static struct folio **pins, *busy[512];
static size_t nr_pins, nr_busy, nr_written;
static struct hrtimer disk;
static unsigned long *placed;

static unsigned long mutex;
module_param(mutex, ulong, 0444);
MODULE_PARM_DESC(mutex, "Address of the cma_mutex, to measure latencies in a second pass; wants PREEMPT_DYNAMIC, and the clock of QEMU's icount");

/* Set in the second pass, which measures latencies. */
static const struct mutex *cma_mutex;

/*
 * These end a loop early. Where there are many pins, it would take hours: it
 * tries all of them again every 100 ms.
 */
static bool enough;
static u64 max_loop_ns = U64_MAX;

/* Memory outside of CMA, allocated to leave only some of it free. */
static LIST_HEAD(hog);

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

static void report(const char *scenario, struct result *r)
{
	sort(step_ns, nr_steps, sizeof(*step_ns), cmp_u64, NULL);
	pr_info("%s %s %zu %zu %llu %llu %zu %llu %llu %llu %lu %lu\n",
		scenario, r->arm, r->asked, r->got, r->ns, r->release_ns,
		nr_steps, percentile(step_ns, nr_steps, 50),
		percentile(step_ns, nr_steps, 99),
		percentile(step_ns, nr_steps, 100), r->migrated, r->in_the_way);
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
static int place(unsigned long pfn, enum kind kind)
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
	if (kind >= LOCKED && nr_busy == ARRAY_SIZE(busy))
		kind = MOVABLE;
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

/* What a page is to be. Random numbers are the same for each filling. */
typedef enum kind contents(unsigned long offset, unsigned int density);

static struct rnd_state rnd_pins, rnd_load;

static void seed_contents(void)
{
	prandom_seed_state(&rnd_pins, SEED);
	prandom_seed_state(&rnd_load, SEED);
}

/*
 * Fill the area: pages chosen by @what are placed, the others are freed.
 * Returns the pages as part of the area, but in use.
 */
static int populate(contents *what, unsigned int density)
{
	unsigned long i, nr = area.count;
	struct page *pages;
	int ret = 0;

	nr_pins = 0;
	bitmap_zero(placed, nr);
	seed_contents();
	file = shmem_kernel_file_setup("chunk_bench", nr << PAGE_SHIFT,
				       NORESERVE);
	if (IS_ERR(file))
		return PTR_ERR(file);

	pages = cma_alloc(&area, nr, 0, false);
	if (!pages)
		return -EBUSY;

	for (i = 0; i < nr; i++) {
		enum kind kind = ret ? FREE : what(i, density);

		if (kind)
			ret = place(base_pfn + i, kind);
		if (kind && !ret)
			__set_bit(i, placed);
		if (!kind || ret)
			__free_page(pfn_to_page(base_pfn + i));
	}
	bitmap_zero(area_range(&area)->bitmap, nr);
	area_count(&area, nr);
	area_range(&area)->busy.start = 0;
	settle();
	return ret;
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

static void run_loop(struct result *r)
{
	u64 start = last_step;

	while (r->got < r->asked && !READ_ONCE(enough) &&
	       last_step - start < max_loop_ns) {
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
		int ret = alloc_contig_range(pfn, end, CONTIG_FAST, GFP_KERNEL);

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

#define ALL_ARMS	(BIT(NR_ARMS) - 1)
#define BULK_ARMS	(BIT(BULK_FAST) | BIT(BULK_NORMAL) | BIT(BULK_HARD))
#define CROWDED_ARMS	(BIT(ONE) | BIT(BULK_FAST) | BIT(BULK_NORMAL))

static void run_arm(struct result *r, int arm)
{
	static const unsigned int efforts[] = {
		EFFORT_FAST, EFFORT_NORMAL, EFFORT_HARD,
	};
	const unsigned long nr_pages = r->asked * CHUNK_PAGES;
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
		one = cma_alloc(&area, nr_pages, ORDER, true);
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

	start = ktime_get_ns();
	WRITE_ONCE(latency_releasing, true);
	if (one)
		cma_release(&area, one, nr_pages);
	else if (BIT(arm) & BULK_ARMS)
		release_bulk(&area, ORDER, r->got, chunks);
	else
		for (size_t i = 0; i < r->got; i++)
			cma_release(&area, chunks[i], CHUNK_PAGES);
	WRITE_ONCE(latency_releasing, false);
	r->release_ns = ktime_get_ns() - start;
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

/* Each arm starts from the same contents. A row that is missing is noticed. */
static void run(const char *scenario, size_t nr, unsigned long arms,
		contents *what, unsigned int density)
{
	for (int arm = 0; arm < NR_ARMS; arm++) {
		struct result r = { .arm = arm_names[arm], .asked = nr };
		int ret;

		if (!(arms & BIT(arm)))
			continue;
		ret = populate(what, density);
		if (ret) {
			pr_err("%s: cannot fill the area: %d\n", scenario, ret);
			return;
		}
		if (cma_mutex) {
			run_latency(scenario, nr, arm);
		} else {
			r.migrated = pages_migrated();
			run_arm(&r, arm);
			r.migrated = pages_migrated() - r.migrated;
			r.in_the_way = pages_in_the_way(&r);
			report(scenario, &r);
		}
		depopulate();
	}
}

static enum kind nothing(unsigned long offset, unsigned int density)
{
	return FREE;
}

/* A quarter of the pages is movable, spread at random. */
static enum kind quarter(unsigned long offset, unsigned int density)
{
	return prandom_u32_state(&rnd_load) & 3 ? FREE : MOVABLE;
}

static enum kind everything(unsigned long offset, unsigned int density)
{
	return MOVABLE;
}

/*
 * One pinned page in some of the pageblocks: in as many of 170 as @density
 * says, at a random place.
 */
static enum kind pinned(unsigned long offset, unsigned int density)
{
	static unsigned long pin;

	if (!(offset % pageblock_nr_pages)) {
		u32 r = prandom_u32_state(&rnd_pins) % 170;
		u32 at = prandom_u32_state(&rnd_pins) % pageblock_nr_pages;

		pin = r < density ? offset + at : ULONG_MAX;
	}
	return offset == pin ? PINNED : FREE;
}

/* Both. */
static enum kind loaded_pinned(unsigned long offset, unsigned int density)
{
	enum kind load = quarter(offset, 0);

	return pinned(offset, density) ?: load;
}

/* One page in a hundred is pinned. */
static enum kind pinned_1pct(unsigned long offset, unsigned int density)
{
	return prandom_u32_state(&rnd_pins) % 100 ? FREE : PINNED;
}

/* One page, at a random place, of every second chunk. */
static enum kind pinned_half(unsigned long offset, unsigned int density)
{
	static unsigned long pin;

	if (!(offset % (2 * CHUNK_PAGES)))
		pin = offset + prandom_u32_state(&rnd_pins) % CHUNK_PAGES;
	return offset == pin ? PINNED : FREE;
}

/* One page in a thousand is locked or under writeback, the others are movable. */
static enum kind disk_busy(unsigned long offset, unsigned int density)
{
	u32 r = prandom_u32_state(&rnd_load) % 2000;

	return !r ? LOCKED : r == 1 ? WRITEBACK : MOVABLE;
}

/* How many chunks of the area have no pinned page */
static size_t unpinned_chunks(contents *what)
{
	size_t nr = 0;

	seed_contents();
	for (unsigned long i = 0; i < area.count; i += CHUNK_PAGES) {
		bool is_pinned = false;

		for (unsigned long j = i; j < i + CHUNK_PAGES; j++)
			is_pinned |= what(j, 0) == PINNED;
		nr += !is_pinned;
	}
	return nr;
}

static unsigned long free_outside(void)
{
	return global_zone_page_state(NR_FREE_PAGES) -
	       global_zone_page_state(NR_FREE_CMA_PAGES);
}

static void release_memory(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &hog, lru)
		__free_pages(page, page_private(page));
	INIT_LIST_HEAD(&hog);
}

/* Leave @nr_pages outside of CMA free, and fill the rest for good. */
static void fill_memory(unsigned long nr_pages)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;

	for (int order = MAX_PAGE_ORDER; order >= 0; order--) {
		while (free_outside() >= nr_pages + (1UL << order)) {
			struct page *page = alloc_pages(gfp, order);

			if (!page)
				break;
			set_page_private(page, order);
			list_add(&page->lru, &hog);
		}
	}
}

/*
 * The page allocator prefers to place movable pages in the area while more than
 * half of the free memory lies there. @mb is what is free elsewhere.
 */
static void run_crowded(const char *scenario, size_t nr, unsigned long mb)
{
	const unsigned long rest = nr_area_pages - AREA_PAGES;
	static struct cma all;
	struct page *pages;

	/* The memory behind the area under measurement is CMA, too. */
	if (area_init(&all, base_pfn + AREA_PAGES, rest))
		return;
	pages = cma_alloc(&all, rest, 0, false);
	if (pages) {
		fill_memory(PAGES(mb));
		settle();
		pr_info("%s: %lu MB free outside of CMA, %lu MB in it, before the area is filled\n",
			scenario, MB(free_outside()),
			MB(global_zone_page_state(NR_FREE_CMA_PAGES)));
		run(scenario, nr, CROWDED_ARMS, quarter, 0);
		release_memory();
		cma_release(&all, pages, rest);
	}
	area_exit(&all);
}

/* Two allocators at once, each asks for half of what one asks for otherwise. */
#define LOOP_REQUESTS	64

struct rival {
	struct result result;
	struct page **chunks;
	u64 ns[LOOP_REQUESTS];		/* of each step */
	bool loop;
	struct completion *go, done;
};

static int rival_fn(void *data)
{
	struct rival *rival = data;
	struct result *r = &rival->result;
	struct page *page;
	u64 start, before;

	wait_for_completion(rival->go);
	start = ktime_get_ns();
	if (!rival->loop)
		alloc_bulk(&area, ORDER, EFFORT_NORMAL, r->asked,
			   rival->chunks, &r->got);
	while (rival->loop && r->got < r->asked) {
		before = ktime_get_ns();
		page = cma_alloc(&area, CHUNK_PAGES, ORDER, true);
		if (!page)
			break;
		rival->ns[r->got] = ktime_get_ns() - before;
		rival->chunks[r->got++] = page;
	}
	r->ns = ktime_get_ns() - start;
	if (!rival->loop)
		rival->ns[0] = r->ns;
	complete(&rival->done);
	return 0;
}

static void run_rivals(const char *scenario, bool loop, contents *what)
{
	static struct rival rivals[2];
	DECLARE_COMPLETION_ONSTACK(go);

	if (populate(what, 0))
		return;
	for (int i = 0; i < 2; i++) {
		struct rival *rival = &rivals[i];
		struct task_struct *task;

		*rival = (struct rival) {
			.result.arm = !i ? "first" : loop ? "second-loop" : "second",
			.result.asked = loop && i ? LOOP_REQUESTS : REQUEST / 2,
			.chunks = chunks + i * REQUEST / 2,
			.loop = loop && i,
			.go = &go,
		};
		init_completion(&rival->done);
		task = kthread_run_on_cpu(rival_fn, rival, i % num_online_cpus(),
					  "chunk_bench/%u");
		if (IS_ERR(task))
			return;
	}
	complete_all(&go);
	for (int i = 0; i < 2; i++)
		wait_for_completion(&rivals[i].done);

	for (int i = 0; i < 2; i++) {
		struct rival *rival = &rivals[i];
		struct result *r = &rival->result;
		u64 start = ktime_get_ns();

		if (!rival->loop)
			release_bulk(&area, ORDER, r->got, rival->chunks);
		for (size_t j = 0; rival->loop && j < r->got; j++)
			cma_release(&area, rival->chunks[j], CHUNK_PAGES);
		r->release_ns = ktime_get_ns() - start;
		nr_steps = rival->loop ? r->got : 1;
		memcpy(step_ns, rival->ns, nr_steps * sizeof(*step_ns));
		report(scenario, r);
	}
	depopulate();
}

/* What clearing the memory of the request costs, the yardstick for a heap. */
static void run_clear(void)
{
	struct result r = { .arm = "clear", .asked = REQUEST };
	size_t got = 0;
	u64 start;

	if (!alloc_bulk(&area, ORDER, EFFORT_NORMAL, REQUEST, chunks, &got)) {
		start = ktime_get_ns();
		for (size_t i = 0; i < got; i++)
			for (size_t j = 0; j < CHUNK_PAGES; j++)
				clear_highpage(pfn_to_page(page_to_pfn(chunks[i]) + j));
		r.ns = ktime_get_ns() - start;
		r.got = got;
	}
	release_bulk(&area, ORDER, got, chunks);
	nr_steps = 0;
	report("clear", &r);
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
	struct completion started, done;
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
	complete(&a->started);
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
	complete(&a->done);
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

struct bystander {
	unsigned long address;
	struct file *file;
	unsigned int page;
	struct samples fault, cache;
};

/* As much memory again, which nobody has touched. */
static int bystander_restart(struct bystander *b)
{
	const unsigned long length = BYSTANDER_PAGES * PAGE_SIZE;

	if (b->address)
		vm_munmap(b->address, length);
	b->address = vm_mmap(NULL, 0, length, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	if (IS_ERR_VALUE(b->address))
		return (int)b->address;
	shmem_truncate_range(file_inode(b->file), 0, -1);
	b->page = 0;
	return 0;
}

static int stand_by(struct bystander *b)
{
	static char buffer[PAGE_SIZE];

	samples_reset(&b->fault);
	samples_reset(&b->cache);
	b->page = BYSTANDER_PAGES;
	wait_for_completion(&allocator.started);
	while (b->cache.nr < BYSTANDER_SAMPLES && !READ_ONCE(allocator.finished)) {
		loff_t at, old;
		u64 start;
		int ret;

		if (b->page == BYSTANDER_PAGES) {
			ret = bystander_restart(b);
			if (ret)
				return ret;
		}
		at = b->page++ * PAGE_SIZE;
		old = at / 2 & PAGE_MASK;
		wait_for_turn();
		start = ktime_get_ns();
		if (put_user(1, (char __user *)b->address + at))
			return -EFAULT;
		samples_add(&b->fault, ktime_get_ns() - start);

		/* A page is written that is new, and one read that is not. */
		wait_for_turn();
		start = ktime_get_ns();
		if (kernel_write(b->file, buffer, PAGE_SIZE, &at) != PAGE_SIZE ||
		    kernel_read(b->file, buffer, PAGE_SIZE, &old) != PAGE_SIZE)
			return -EIO;
		samples_add(&b->cache, ktime_get_ns() - start);
	}
	return 0;
}

static void run_bystanders(const char *scenario, bool again, contents *what)
{
	struct bystander b = {};
	int ret;

	b.file = shmem_kernel_file_setup("bystander",
					 BYSTANDER_PAGES * PAGE_SIZE, NORESERVE);
	if (IS_ERR(b.file))
		return;
	b.fault.ns = latencies[0].ns;
	b.cache.ns = latencies[1].ns;
	set_cpus_allowed_ptr(current, cpumask_of(0));
	for (int arm = 0; arm <= NR_ARMS; arm++) {
		struct task_struct *task;

		ret = populate(what, 0);
		if (ret)
			break;
		allocator = (struct allocator) { .arm = arm, .again = again };
		init_completion(&allocator.started);
		init_completion(&allocator.done);
		WRITE_ONCE(enough, false);
		task = kthread_run_on_cpu(allocate, &allocator,
					  num_online_cpus() - 1, "chunk_bench/%u");
		ret = PTR_ERR_OR_ZERO(task);
		if (!ret) {
			ret = stand_by(&b);
			WRITE_ONCE(enough, true);
			wait_for_completion(&allocator.done);
		}
		WRITE_ONCE(enough, false);
		depopulate();
		if (ret)
			break;
		report_latency(scenario, arm_names[arm], "page-fault", &b.fault);
		report_latency(scenario, arm_names[arm], "page-cache", &b.cache);
	}
	if (ret)
		pr_err("%s: %d\n", scenario, ret);
	if (b.address && !IS_ERR_VALUE(b.address))
		vm_munmap(b.address, BYSTANDER_PAGES * PAGE_SIZE);
	fput(b.file);
	set_cpus_allowed_ptr(current, cpumask_of(num_online_cpus() - 1));
}

static const unsigned int densities[] = { 10, 25, 50, 100, 170 };

static int run_all(void)
{
	char name[32];
	int ret = area_init(&area, base_pfn, AREA_PAGES);

	if (ret)
		return ret;
	run("idle", REQUEST, ALL_ARMS, nothing, 0);
	run("loaded", REQUEST, ALL_ARMS, quarter, 0);
	run("full", REQUEST, BULK_ARMS | BIT(ONE), everything, 0);
	for (int i = 0; i < ARRAY_SIZE(densities); i++) {
		const unsigned int density = densities[i];

		snprintf(name, sizeof(name), "pinned-%u", density);
		run(name, REQUEST, density == 50 ? ALL_ARMS : ALL_ARMS & ~BIT(ONE),
		    pinned, density);
		/* All that is there, and more. */
		snprintf(name, sizeof(name), "short-%u", density);
		run(name, area.count / CHUNK_PAGES, BULK_ARMS | BIT(LOOP),
		    pinned, density);
	}
	run("loaded-pinned-50", REQUEST, ALL_ARMS & ~BIT(ONE), loaded_pinned, 50);
	max_loop_ns = NSEC_PER_SEC;
	run("pinned-1pct", unpinned_chunks(pinned_1pct),
	    BULK_ARMS | BIT(LOOP), pinned_1pct, 0);
	run("pinned-half", unpinned_chunks(pinned_half),
	    BULK_ARMS | BIT(LOOP), pinned_half, 0);
	max_loop_ns = U64_MAX;
	run_rivals("rivals-idle", false, nothing);
	run_rivals("rivals-loaded", false, quarter);
	run_rivals("rivals-loop", true, quarter);
	run_clear();
	area_exit(&area);

	ret = area_init(&area, base_pfn, nr_area_pages);
	if (ret)
		return ret;
	for (size_t nr = 600; nr <= MAX_CHUNKS; nr *= 2) {
		snprintf(name, sizeof(name), "scale-%zu", nr);
		run(name, nr, BULK_ARMS, nothing, 0);
		snprintf(name, sizeof(name), "scale-loaded-%zu", nr);
		run(name, nr, BULK_ARMS, quarter, 0);
	}
	area_exit(&area);

	/* Last, since they leave pageblocks of another type behind. */
	ret = area_init(&area, base_pfn, AREA_PAGES);
	if (ret)
		return ret;
	run_crowded("crowded", REQUEST, 128);
	run_crowded("crowded-short", REQUEST / 6 * 5, 36);
	run("unmovable", REQUEST, CROWDED_ARMS, quarter, 0);
	area_exit(&area);
	return 0;
}

/*
 * Not where memory is short: kswapd runs then, and under -icount the other
 * CPU's time counts as this one's.
 */
static int run_latencies(void)
{
	char name[32];
	int ret = area_init(&area, base_pfn, AREA_PAGES);

	if (ret)
		return ret;
	run("idle", REQUEST, BULK_ARMS | BIT(ONE), nothing, 0);
	run("loaded", REQUEST, BULK_ARMS | BIT(ONE), quarter, 0);
	run("full", REQUEST, BULK_ARMS | BIT(ONE), everything, 0);
	run("pinned-50", REQUEST, BULK_ARMS, pinned, 50);
	for (int i = 0; i < ARRAY_SIZE(densities); i++) {
		snprintf(name, sizeof(name), "short-%u", densities[i]);
		run(name, area.count / CHUNK_PAGES,
		    densities[i] == 50 ? BULK_ARMS : BIT(BULK_HARD),
		    pinned, densities[i]);
	}
	run("disk", area.count / CHUNK_PAGES, BULK_ARMS, disk_busy, 0);
	run_bystanders("bystanders-idle", true, nothing);
	run_bystanders("bystanders-loaded", false, quarter);
	area_exit(&area);
	return 0;
}

/* Modules cannot do it themselves. */
static int set_preempt(const char *how)
{
	char command[64];
	char *argv[] = { "/bin/sh", "-c", command, NULL };
	char *envp[] = { NULL };

	snprintf(command, sizeof(command),
		 "echo %s >/sys/kernel/debug/sched/preempt", how);
	return call_usermodehelper(argv[0], argv, envp, UMH_WAIT_PROC);
}

/* The other CPU has nothing to do but for the rivals and the bystanders. */
static int measure(void)
{
	int ret;

	set_cpus_allowed_ptr(current, cpumask_of(num_online_cpus() - 1));
	ret = run_all();
	if (ret || !mutex)
		return ret;
	cma_mutex = area_mutex(&area, mutex);
	ret = set_preempt("full") ?: run_latencies();
	cma_mutex = NULL;
	return ret ?: set_preempt(PREEMPT_USUAL);
}

static int __init chunk_bench_init(void)
{
	struct page *pages;
	int ret = -ENOMEM;

	real_area = dev_get_cma_area(NULL);
	if (!real_area)
		return -ENODEV;
	nr_area_pages = cma_get_size(real_area) >> PAGE_SHIFT;
	if (nr_area_pages < MIN_PAGES) {
		pr_err("the default CMA area has %lu MB, %lu are needed\n",
		       MB(nr_area_pages), MB(MIN_PAGES));
		return -ENOSPC;
	}

	hrtimer_setup(&disk, write_one, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	chunks = vcalloc(nr_area_pages / CHUNK_PAGES, sizeof(*chunks));
	step_ns = vcalloc(MAX_CHUNKS, sizeof(*step_ns));
	pins = vcalloc(nr_area_pages / CHUNK_PAGES, sizeof(*pins));
	placed = bitmap_zalloc(nr_area_pages, GFP_KERNEL);
	if (!chunks || !step_ns || !pins || !placed || latency_init())
		goto out;

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
		ret = -EBUSY;
		goto out;
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
	if (!area_init(&area, base_pfn, nr_area_pages)) {
		pages = cma_alloc(&area, nr_area_pages, 0, false);
		if (pages)
			cma_release(real_area, pages, nr_area_pages);
		bitmap_free(area_range(&area)->bitmap);
	}
out:
	latency_exit();
	bitmap_free(placed);
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
MODULE_INFO(import_ns, "DMA_BUF_HEAP");
MODULE_INFO(import_ns, "EXPORTED_FOR_KUNIT_TESTING");
