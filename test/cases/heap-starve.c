// SPDX-License-Identifier: GPL-2.0
/*
 * heap-starve - each allocation and each access to user memory of the chunk
 * heap and of what it calls fails once
 *
 * An operation is repeated with its first, second, third, ... fault point
 * failing, until none is left: Documentation/fault-injection, fail-nth. Every
 * time, it must end with the error that stands for the fault, leave nothing
 * behind, and then succeed without a fault. Kernel probes tell where a fault
 * was: as a site counts the return address in the innermost function of the
 * patches, since the functions that these call have been starved by others.
 *
 * heap-starve load MODULE PARAMETERS: the same for the init function of a
 * module. It is loaded in the end.
 *
 * heap-starve full MB COMMAND...: no faults, but next to no memory. A buffer of
 * the system heap, which cannot be moved, leaves so many megabytes outside of
 * the CMA area, while the command runs.
 */
#define _GNU_SOURCE
#include <glob.h>
#include <sys/syscall.h>

#include "util.h"

#define MAX_POINTS	1000	/* fault points of one operation */
#define MAX_SITES	200
#define MAX_FRAMES	64
#define FAR_AWAY	0x200000000000UL

static const struct fault {
	const char *name, *function, *value;
	int error;
} faults[] = {
	{ "failslab", "should_failslab", "s32", -ENOMEM },
	{ "fail_page_alloc", "should_fail_alloc_page", "u8", -ENOMEM },
	{ "fail_usercopy", "should_fail_usercopy", "u8", -EFAULT },
};

/* What the patches add or change. */
static const char * const functions[] = {
	"chunk_heap_", "dma_heap_", "dma_buf_", "alloc_contig_",
	"__alloc_contig_", "cma_", "__cma_",
};

/* Who has something else to fall back on, and the books of debugging. */
static const char * const makeshifts[] = {
	"kmemleak_", "stack_depot_",
	"__kvmalloc_node",	/* vmalloc() */
	"chunk_heap_alloc_array", /* vmalloc() as well */
	"allocate_slab",	/* a slab of a smaller order */
	"alloc_pages_bulk",	/* page by page */
	"radix_tree_node_alloc", /* what idr_preload() has put aside */
	"dma_heap_devnode",	/* the driver core goes without a device node */
};

struct op {
	const char *name;
	size_t len;			/* of the buffer */
	void (*setup)(void);
	/* One system call: what is 0 or -errno, or an ioctl. */
	int (*run)(const struct op *op);
	const int *fd;
	unsigned long cmd;
	void *arg;
	void (*undo)(int ret);
	/* What the function makes of ENOMEM, where it is not ENOMEM. */
	int error;
	/*
	 * At least so many sites that led to an error, in functions that the
	 * compiler may inline one into another: each has spaces around it.
	 */
	struct {
		const char *functions;
		unsigned int nr;
	} need[4];
};

/* The sites that led to an error. */
static char sites[MAX_SITES][160];
static unsigned int nr_sites;
static int fail_nth, trace_pipe, next_fd;
static int buf = -1, imp = -1, result = -1;
static const struct heap *heap;
static size_t len;
static void *mapping;

#define WRITE(path, ...)	REQUIRE(!write_file(path, __VA_ARGS__))

/* A file of a fault's directory. */
#define SET(f, file, ...) do {						\
	char path_[200];						\
	snprintf(path_, sizeof(path_), DEBUGFS "/%s/%s", (f)->name, file); \
	WRITE(path_, __VA_ARGS__);					\
} while (0)

/* Faults of one kind leave out what is below @function, or are only there. */
static void set_filter(const struct fault *f, const char *from, const char *to,
		       const char *function)
{
	unsigned long addr, start = 0, end = 0;
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[500], name[300];

	while (file && !end && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %*c %299s", &addr, name) != 2)
			continue;
		if (!strcmp(name, function))
			start = addr;
		/* They are sorted. */
		if (start && addr > start)
			end = addr;
	}
	REQUIRE(end);
	SET(f, from, "%#lx", start);
	SET(f, to, "%#lx", end);
	SET(f, "stacktrace-depth", "32");
}

/*
 * What the books of debugging options allocate does not fail, where they cannot
 * make up for it: kmemleak complains, DMA_API_DEBUG switches itself off, and the
 * allocator warns of an object without its tag.
 */
static void spare_books(void)
{
	unsigned int nr = 0;
	glob_t g;

	REQUIRE(!glob("/sys/kernel/slab/*/failslab", 0, NULL, &g));
	/* One that was merged cannot be chosen. */
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (!strstr(g.gl_pathv[i], "/kmemleak_"))
			nr += !write_file(g.gl_pathv[i], "1");
	REQUIRE(nr > 1);
	SET(&faults[0], "cache-filter", "Y");
	set_filter(&faults[0], "reject-start", "reject-end",
		   "alloc_slab_obj_exts");
	set_filter(&faults[1], "reject-start", "reject-end", "add_dma_entry");
}

/* Sites are found in the trace: a stack dump in the log would be a splat. */
static void start_tracing(void)
{
	const struct fault *f;

	for (f = faults; f < faults + ARRAY_SIZE(faults); f++) {
		SET(f, "verbose", "0");
		WRITE(TRACING "kprobe_events", "r:starve/%s %s ret=$retval:%s",
		      f->name, f->function, f->value);
	}
	WRITE(TRACING "events/starve/filter", "ret != 0");
	WRITE(TRACING "events/starve/enable", "1");
	SET(&faults[0], "ignore-gfp-wait", "N");
	SET(&faults[1], "ignore-gfp-wait", "N");
	SET(&faults[1], "ignore-gfp-highmem", "N");
	SET(&faults[1], "min-order", "0");
	WRITE(TRACING "trace_options", "stacktrace");
	WRITE(TRACING "trace_options", "sym-offset");
	trace_pipe = trace_open();
}

static void stop_tracing(void)
{
	close(trace_pipe);
	WRITE(TRACING "events/starve/enable", "0");
	WRITE(TRACING "kprobe_events", "-:starve/");
	SET(&faults[0], "cache-filter", "N");
	WRITE(TRACING "trace_options", "nostacktrace");
	WRITE(TRACING "trace_options", "nosym-offset");
}

/* What a process opens is about its own faults. */
static void open_fail_nth(void)
{
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	REQUIRE(fail_nth >= 0);
}

static void arm(unsigned int n)
{
	REQUIRE(dprintf(fail_nth, "%u", n) > 0);
}

/* How many fault points are left before the one that fails. */
static unsigned int disarm(void)
{
	char text[20] = "";

	/* Reading has a fault point itself. */
	if (pread(fail_nth, text, sizeof(text) - 1, 0) < 0)
		return 1;
	/* And so has writing. */
	while (pwrite(fail_nth, "0", 1, 0) != 1)
		;
	return strtoul(text, NULL, 0);
}

static bool starts_with(const char *s, const char * const *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strncmp(s, list[i], strlen(list[i])))
			return true;
	return false;
}

/* One fault, from its stack. Returns how many of the operation's it is. */
static unsigned int account(const struct op *op, const struct fault *fault,
			    char frame[][160], unsigned int nr, int ret)
{
	const char *where = NULL;
	bool makeshift = false;
	unsigned long addr;
	unsigned int i;
	char gone[40];

	/* The one that disarm() ran into. */
	for (i = 0; i < nr; i++)
		if (!strncmp(frame[i], "proc_fail_nth_", 14))
			return 0;

	for (i = 0; i < nr; i++) {
		makeshift |= starts_with(frame[i], makeshifts,
					 ARRAY_SIZE(makeshifts));
		if (!where && starts_with(frame[i], functions,
					  ARRAY_SIZE(functions)))
			where = frame[i];
		/* In a module that is not there any more. */
		if (!where && sscanf(frame[i], "0x%lx", &addr) == 1) {
			snprintf(gone, sizeof(gone), "init+%#lx", addr & 0xfff);
			where = gone;
		}
	}
	if (!where)
		where = "(elsewhere)";
	for (i = 0; i < nr_sites && strcmp(sites[i], where); i++)
		;
	if (ret && i == nr_sites) {
		REQUIRE(nr_sites < MAX_SITES);
		strcpy(sites[nr_sites++], where);
	}

	/* Is this what must come of it? */
	if (ret ? ret == fault->error || ret == op->error : makeshift)
		return 1;
	ksft_print_msg("%s at %s: %s\n", fault->name, where, strerror(-ret));
	for (i = 0; i < nr; i++)
		ksft_print_msg("  %s\n", frame[i]);
	failed_checks++;
	return 1;
}

/* Read what was traced since the last time. Returns the number of faults. */
static unsigned int read_trace(const struct op *op, int ret)
{
	static char text[8 << 20], frame[MAX_FRAMES][160];
	const struct fault *fault = NULL;
	unsigned int i, nr = 0, nr_faults = 0;
	char *line, *save, *p = read_rest(trace_pipe, text, sizeof(text));

	while ((line = strtok_r(p, "\n", &save))) {
		p = NULL;
		if (!strncmp(line, " => ", 4)) {
			if (nr < MAX_FRAMES)
				snprintf(frame[nr++], sizeof(frame[0]), "%s",
					 line + 4);
			continue;
		}
		for (i = 0; i < ARRAY_SIZE(faults); i++) {
			char name[40];

			snprintf(name, sizeof(name), ": %s: (", faults[i].name);
			if (!strstr(line, name))
				continue;
			if (fault)
				nr_faults += account(op, fault, frame, nr, ret);
			fault = &faults[i];
			nr = 0;
		}
	}
	if (fault)
		nr_faults += account(op, fault, frame, nr, ret);
	return nr_faults;
}

/* How many places in @functions had a fault that led to an error. */
static unsigned int nr_failed(const char *functions)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < nr_sites; i++) {
		char name[170];

		snprintf(name, sizeof(name), " %.*s ",
			 (int)strcspn(sites[i], "+."), sites[i]);
		nr += strstr(functions, name) != NULL;
	}
	return nr;
}

/* In the last line that begins so: others are about one buffer each. */
static long long nr_buffers(void)
{
	FILE *f = fopen(DEBUGFS "/dma_buf/bufinfo", "re");
	long long nr = -1;
	char line[500];

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "Total %lld", &nr);
	if (f)
		fclose(f);
	return nr;
}

/* What must be the same before and after. */
struct state {
	long long cma_used, buffers, vm_pages;
};

static struct state get_state(void)
{
	return (struct state) {
		.cma_used = cma_sum("used"),
		.buffers = nr_buffers(),
		.vm_pages = read_number("/proc/self/statm"),
	};
}

static void same_state(struct state before)
{
	const struct state after = get_state();

	CHECK(after.cma_used == before.cma_used);
	CHECK(after.buffers == before.buffers);
	CHECK(after.vm_pages == before.vm_pages);
}

/* The operations: first what prepares them, then the system call itself. */

static void setup_buffer(void)
{
	buf = heap_alloc(heap->fd, len);
	REQUIRE(buf >= 0);
}

/*
 * Chunks that are no neighbours, for mmap. When the page tables for a mapping
 * that is all of one piece cannot be allocated, remap_pfn_range() on x86 warns
 * by itself, for every driver: get_pat_info().
 */
static void setup_scattered(void)
{
	buf = heap_alloc_scattered(heap->fd, heap->chunk, len / heap->chunk);
	REQUIRE(buf >= 0);
}

static void setup_importer(void)
{
	if (buf < 0)
		setup_buffer();
	imp = importer_open(buf);
	REQUIRE(imp >= 0);
}

static void setup_forwarded(void)
{
	setup_scattered();
	setup_importer();
}

static int run_alloc(const struct op *op)
{
	const int fd = heap_alloc(heap->fd, op->len);

	return fd < 0 ? fd : 0;
}

/* The buffer has its descriptor before user space is told about it. */
static void undo_alloc(int ret)
{
	if (!ret || ret == -EFAULT)
		close(next_fd);
}

/* Where there are no page tables yet, and over the end of one of them. */
static int run_mmap(const struct op *op)
{
	const size_t end = page_size / sizeof(uint64_t) * page_size;

	mapping = mmap((void *)(FAR_AWAY + end - len / 2), len,
		       PROT_READ | PROT_WRITE, MAP_SHARED, *op->fd, 0);
	return mapping == MAP_FAILED ? -errno : 0;
}

static void undo_mmap(int ret)
{
	/* An importer whose vma is not as it was has another error. */
	if (!ret)
		munmap(mapping, len);
}

static struct importer_attach attach = { .direction = IMPORTER_BIDIRECTIONAL };
static struct dma_buf_export_sync_file export = { .flags = DMA_BUF_SYNC_RW };
static struct dma_buf_import_sync_file import = {
	.flags = DMA_BUF_SYNC_RW, .fd = -1,
};

static void undo_attach(int ret)
{
	__u32 slot = 0;

	/* The importer has attached before it tells so. */
	if (!ret || ret == -EFAULT)
		ioctl(imp, IMPORTER_DETACH, &slot);
}

static void undo_export(int ret)
{
	if (!ret)
		close(export.fd);
}

static void setup_fence(void)
{
	setup_buffer();
	REQUIRE(!ioctl(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export));
	import.fd = export.fd;
}

static const struct op ops[] = {
	{
		.name = "allocate", .len = SZ_1M, .run = run_alloc, .undo = undo_alloc,
		.need = {
			{ " dma_heap_ioctl ", 2 },
			{ " chunk_heap_allocate ", 1 },
			{ " dma_buf_export dma_buf_getfile ", 2 },
		},
	}, {
		.name = "mmap", .len = SZ_1M, .setup = setup_scattered,
		.run = run_mmap, .fd = &buf, .undo = undo_mmap,
		.need = { { " chunk_heap_mmap ", 1 } },
	}, {
		.name = "forwarded mmap", .len = SZ_1M, .setup = setup_forwarded,
		.run = run_mmap, .fd = &imp, .undo = undo_mmap,
		.need = { { " chunk_heap_mmap ", 1 } },
	}, {
		/* More than one page of a scatterlist. */
		.name = "attach and map", .len = 9 * SZ_1M, .setup = setup_importer,
		.fd = &imp, .cmd = IMPORTER_ATTACH, .arg = &attach,
		.undo = undo_attach,
		.need = {
			{ " dma_buf_dynamic_attach dma_buf_attach ", 1 },
			{ " chunk_heap_map_dma_buf chunk_heap_copy_table ", 3 },
		},
	}, {
		.name = "name", .len = SZ_1M, .setup = setup_buffer,
		.fd = &buf, .cmd = DMA_BUF_SET_NAME_B, .arg = "starved",
		.need = { { " dma_buf_ioctl dma_buf_set_name ", 1 } },
	}, {
		.name = "export a fence", .len = SZ_1M, .setup = setup_buffer,
		.fd = &buf, .cmd = DMA_BUF_IOCTL_EXPORT_SYNC_FILE, .arg = &export,
		.undo = undo_export,
		.need = { { " dma_buf_ioctl dma_buf_export_sync_file ", 2 } },
	}, {
		.name = "import a fence", .len = SZ_1M, .setup = setup_fence,
		.fd = &buf, .cmd = DMA_BUF_IOCTL_IMPORT_SYNC_FILE, .arg = &import,
		.need = { { " dma_buf_ioctl dma_buf_import_sync_file ", 1 } },
	},
};

static int run_op(const struct op *op)
{
	if (op->run)
		return op->run(op);
	return ioctl(*op->fd, op->cmd, op->arg) ? -errno : 0;
}

/* Run @op once, with its @n-th fault point failing. Returns if it had one. */
static bool fail_one(const struct op *op, unsigned int n)
{
	unsigned int left;
	int ret;

	next_fd = lowest_fd();
	arm(n);
	ret = run_op(op);
	left = disarm();
	if (op->undo)
		op->undo(ret);
	CHECK(read_trace(op, ret) == !left);
	if (left)
		CHECK(!ret);
	return !left;
}

static void starve(const struct op *op)
{
	unsigned int n;
	int ret;

	for (n = 1; !failed_checks && n < MAX_POINTS && fail_one(op, n); n++) {
		CHECK(lowest_fd() == next_fd);
		ret = run_op(op);
		if (op->undo)
			op->undo(ret);
		CHECK(!ret);
	}
	ksft_print_msg("%s: %u fault points\n", op->name, n - 1);
	CHECK(n > 1 && n < MAX_POINTS);
}

static bool enough_sites(const struct op *op, bool print)
{
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(op->need) && op->need[i].functions; i++) {
		unsigned int nr = nr_failed(op->need[i].functions);

		if (nr >= op->need[i].nr)
			continue;
		if (print)
			ksft_print_msg("%s: %u sites instead of %u in%s\n",
				       op->name, nr, op->need[i].nr,
				       op->need[i].functions);
		ok = false;
	}
	return ok;
}

static void test(const struct op *op)
{
	struct state before;

	open_fail_nth();
	len = op->len;
	before = get_state();
	if (op->setup)
		op->setup();
	/* The stack depot needs a page at times, which shifts the others. */
	for (int i = 0; !failed_checks && i < 3 && !enough_sites(op, false); i++)
		starve(op);
	close(imp);
	close(import.fd);
	close(buf);
	same_state(before);
	CHECK(enough_sites(op, true));
}

/* The init function of a module, which can be tried until it succeeds. */
static int module = -1;
static const char *parameters = "";

static int run_load(const struct op *op)
{
	(void)op;
	result = syscall(SYS_finit_module, module, parameters, 0) ? -errno : 0;
	return result;
}

static const struct op load = {
	.name = "load", .run = run_load, .error = -ENODEV,
	.need = { { " init ", 3 }, { " dma_heap_add ", 3 } },
};

/* The first fault that is made up for leaves the heap without its node. */
static bool make_nodes(void)
{
	return !system("for d in /sys/class/dma_heap/*; do\n"
		       "	n=" HEAP_DIR "/${d##*/}\n"
		       "	[ -e $n ] || mknod $n c $(tr : ' ' <$d/dev) || exit\n"
		       "done");
}

static unsigned int test_load(const char *path)
{
	const struct fault *f;
	struct state before;
	unsigned int n;

	open_fail_nth();
	module = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(module >= 0);
	/*
	 * Success cannot be undone, so leave out what is made up for, and what
	 * the rest of loading a module does.
	 */
	for (f = faults; f < faults + ARRAY_SIZE(faults); f++)
		set_filter(f, "require-start", "require-end", "do_one_initcall");
	SET(&faults[1], "min-order", "100");
	before = get_state();
	for (n = 1; !failed_checks && result && n < MAX_POINTS; n++)
		fail_one(&load, n);
	same_state(before);
	CHECK(!result && make_nodes());
	CHECK(enough_sites(&load, true));
	for (f = faults; f < faults + ARRAY_SIZE(faults); f++) {
		SET(f, "require-start", "0");
		SET(f, "require-end", "%#lx", -1UL);
	}
	return n - 1;
}

static int run_full(long long leave, char **argv)
{
	int system = heap_open("system"), status, held[100], nr = 0;
	long long size;
	pid_t pid;

	/* What the page allocator keeps for itself may come free meanwhile. */
	while ((size = free_outside() - leave) >= (long long)SZ_1M) {
		REQUIRE(nr < (int)ARRAY_SIZE(held));
		held[nr] = heap_alloc(system, size);
		REQUIRE(held[nr++] >= 0);
	}
	ksft_print_msg("free: %lld MB in the area, %lld MB outside\n",
		       meminfo("CmaFree:") >> 20, free_outside() >> 20);
	fflush(stdout);
	pid = CHILD(CHECK(!execvp(argv[0], argv)));
	REQUIRE(waitpid(pid, &status, 0) == pid);
	while (nr)
		close(held[--nr]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	unsigned int nr;

	if (argc > 3 && !strcmp(argv[1], "full"))
		return run_full(strtoll(argv[2], NULL, 0) << 20, argv + 3);
	ksft_print_header();
	debugfs_mount();
	start_tracing();
	spare_books();
	if (argc > 3 && !strcmp(argv[1], "load")) {
		parameters = argv[3];
		ksft_set_plan(1);
		nr = test_load(argv[2]);
		ksft_test_result(!failed_checks, "%s: %u fault points\n", argv[2], nr);
	} else {
		heap = open_heaps();
		if (!heap)
			ksft_exit_fail_msg("no chunk heap\n");
		ksft_set_plan(ARRAY_SIZE(ops));
		for (size_t k = 0; k < ARRAY_SIZE(ops); k++)
			TEST(test(&ops[k]), "%s\n", ops[k].name);
	}
	stop_tracing();
	ksft_finished();
}
