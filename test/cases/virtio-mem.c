// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-mem idle|pinned|stuck|config - plug memory, fill it, have it unplugged
 * virtio-mem during COMMAND [ARGUMENT] - plug and unplug it while that runs
 *
 * The device is told what to do through QEMU's monitor, which is at the other
 * end of the virtio-serial port "monitor": so the guest decides when. Its plan
 * describes the guest. All of the plugged memory is ZONE_MOVABLE, and full of
 * this program's pages or of COMMAND's.
 *
 *  idle	Nothing is in the way: all of it must go.
 *  pinned	In each of the subblocks that the driver unplugs, eight pages
 *		are the buffers of an application that does direct I/O: at any
 *		time four of them are pinned, each for 20 ms in turn. Looks at
 *		how much is unplugged when the driver has been through all of
 *		it once.
 *  stuck	A page in one subblock of sixteen stays pinned. All others must
 *		go.
 *  config	Pages of each subblock stay pinned. In the middle of the
 *		unplugging the device wants all of it plugged again. Looks at
 *		how long the driver takes to notice.
 */
#define _GNU_SOURCE
#include <err.h>
#include <glob.h>
#include <pthread.h>

#include "util.h"

#define MB		SZ_1M
#define PAGE		SZ_4K
#define SUBBLOCK	(2 * MB)	/* a pageblock, QEMU's block-size= */
#define PLUGGED		(256 * MB)
/* More than fits, because the zone's watermarks keep some of it free. */
#define FILL		(PLUGGED + 16 * MB)
#define NR_PAGES	(FILL / PAGE)
#define NR_SUBBLOCKS	(PLUGGED / SUBBLOCK)

/* Of each subblock */
#define NR_BUFFERS	8
#define QUEUE_DEPTH	4
#define STEP_MS		5
/* Of the plugged memory; the rest is what bad luck may cost. */
#define MIN_UNPLUGGED	90
/* One subblock of how many has a page that stays pinned */
#define STUCK_DISTANCE	16
/*
 * ALLOC_CONTIG_HARD ends 100 ms after the first attempt that failed, give or
 * take the last of its sleeps, 16 ms. Before, between and after come attempts
 * to migrate the pages of one subblock, and the drains.
 */
#define MAX_REACTION_MS	150
#define NR_REACTIONS	10
/* How long memory stays plugged while COMMAND runs, and how often at least */
#define DURING_MS	300
#define MIN_DURING	3
/*
 * What stays plugged meanwhile: part of the last memory block of 128 MB, or the
 * driver removes the memory map of the block. /proc/sys/vm/compact_memory looks
 * at it without a lock, with the series or without.
 */
#define DURING_PLUGGED	(PLUGGED / 2 + SUBBLOCK)

#define DEVICE		"/machine/peripheral/vmem0"

/*
 * With icount, idle time passes in an instant, and all that happens outside of
 * the guest would be late: the monitor's answers, and the interrupts.
 */
static void *never_idle(void *unused)
{
	REQUIRE(nice(19) == 19);
	for (;;)
		asm volatile("");
	return unused;
}

/* --- the monitor --------------------------------------------------------- */

static FILE *monitor_in;
static int monitor = -1;

/* Returns the number that the command returns, if it does. */
__attribute__((format(printf, 1, 2)))
static unsigned long qmp(const char *fmt, ...)
{
	static char *line;
	static size_t size;
	unsigned long value;
	va_list ap;

	va_start(ap, fmt);
	vdprintf(monitor, fmt, ap);
	va_end(ap);
	do {
		REQUIRE(getline(&line, &size, monitor_in) >= 0);
		if (strstr(line, "\"error\"") &&
		    !strstr(line, "Capabilities negotiation is already"))
			errx(1, "monitor: %s", line);
		/* Events and the greeting come in between. */
	} while (!strstr(line, "\"return\"") && !strstr(line, "\"error\""));
	return sscanf(line, "{\"return\": %lu", &value) == 1 ? value : 0;
}

static void monitor_open(void)
{
	monitor = open_port("monitor", O_RDWR);
	monitor_in = fdopen(dup(monitor), "r");
	REQUIRE(monitor_in);
	qmp("{\"execute\": \"qmp_capabilities\"}\n");
}

static void device_request(unsigned long size)
{
	qmp("{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"" DEVICE
	    "\", \"property\": \"requested-size\", \"value\": %lu}}\n", size);
}

/* What the device has plugged, in its own opinion. */
static unsigned long device_size(void)
{
	return qmp("{\"execute\": \"qom-get\", \"arguments\": {\"path\": \""
		   DEVICE "\", \"property\": \"size\"}}\n");
}

/* --- what the driver does ------------------------------------------------ */

static struct {
	int attempts;			/* to migrate */
	double last_attempt;
	double interrupt;		/* the first: the config has changed */
	double attempt_before;		/* the last one before that */
	double refreshed;		/* the driver has read it */
} seen;
static char irq_name[32], attempt[64];	/* as the trace has them */
static int trace_pipe;

/* In seconds */
static double now(void)
{
	return now_ms() / 1e3;
}

static void start_tracing(void)
{
	const char *migrate = on_mainline() ?
			      "mm_compaction_isolate_migratepages" :
			      "mm_alloc_contig_migrate_range_info";
	glob_t g;

	REQUIRE(!glob("/sys/bus/virtio/drivers/virtio_mem/virtio*", 0, NULL,
		      &g));
	snprintf(irq_name, sizeof(irq_name), "name=%s",
		 strrchr(g.gl_pathv[0], '/') + 1);
	/* The clock of now() */
	REQUIRE(!write_file(TRACING "trace_clock", "mono"));
	snprintf(attempt, sizeof(attempt), ": %s:", migrate);
	REQUIRE(!write_file(TRACING "set_event", "%s", migrate));
	REQUIRE(!write_file(TRACING "set_event", "irq:irq_handler_entry"));
	REQUIRE(!write_file(TRACING "set_event", "printk:console"));
	trace_pipe = trace_open();
}

/* "COMM-PID [CPU] FLAGS TIME: EVENT: ..." */
static bool trace_match(const char *line, const char *event, const char *what,
			double *time)
{
	const char *p = strstr(line, event);

	if (!p || !strstr(p, what))
		return false;
	while (p > line && p[-1] != ' ')
		p--;
	*time = strtod(p, NULL);
	return true;
}

/*
 * Mainline tells of each step that is isolated. What does not go on where the
 * last one ended is another attempt.
 */
static bool goes_on(const char *line)
{
	static unsigned long last;
	unsigned long start, was = last;

	return on_mainline() &&
	       sscanf(strstr(line, "range="), "range=(%lx ~ %lx)", &start, &last) == 2 &&
	       start == was;
}

static void trace_line(const char *line)
{
	double time;

	if (trace_match(line, attempt, "", &time)) {
		seen.attempts += !goes_on(line);
		seen.last_attempt = time;
	}
	if (!seen.interrupt &&
	    trace_match(line, ": irq_handler_entry:", irq_name,
			&seen.interrupt))
		seen.attempt_before = seen.last_attempt;
	trace_match(line, ": console:", "requested size:", &seen.refreshed);
}

static void trace_read(void)
{
	static char text[1 << 20];
	char *line;

	while (*read_rest(trace_pipe, text, sizeof(text)))
		for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			trace_line(line);
}

static void trace_forget(void)
{
	trace_read();
	memset(&seen, 0, sizeof(seen));
}

/* --- what fills the memory ----------------------------------------------- */

static char *memory;
static struct subblock {
	unsigned int buffers[NR_BUFFERS];	/* pages of ours, to be pinned */
	unsigned int nr_buffers;
	unsigned int next;
	int pipe[2];
} subblocks[NR_SUBBLOCKS];

/*
 * ZONE_MOVABLE is the device's memory and nothing else: its first page, and how
 * many are online.
 */
static unsigned long zone_movable(unsigned long *managed)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	unsigned long start = 0;
	bool movable = false;
	char line[200];

	*managed = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Node ", 5))
			movable = strstr(line, "Movable");
		if (!movable)
			continue;
		sscanf(line, " managed %lu", managed);
		sscanf(line, " start_pfn: %lu", &start);
	}
	if (f)
		fclose(f);
	return start;
}

/* Returns the first page frame. */
static unsigned long plug(void)
{
	double limit = now() + 30;
	unsigned long start, managed;

	device_request(PLUGGED);
	do {
		REQUIRE(now() < limit);
		usleep(50000);
		start = zone_movable(&managed);
	} while (managed != PLUGGED / PAGE);
	return start;
}

static void fill(unsigned long start)
{
	unsigned long inside = 0;

	memory = map_new(MAP_PRIVATE, FILL);
	for (unsigned long i = 0; i < NR_PAGES; i++)
		*(unsigned long *)(memory + i * PAGE) = i;
	for (unsigned long i = 0; i < NR_PAGES; i++) {
		unsigned long pfn = pfn_of(memory + i * PAGE);
		unsigned long nr = (pfn - start) * PAGE / SUBBLOCK;
		struct subblock *s = &subblocks[nr];

		if (pfn < start)
			continue;
		inside++;
		REQUIRE(nr < NR_SUBBLOCKS);
		/* Any of its pages, and nearly always enough of them. */
		if (s->nr_buffers < NR_BUFFERS && rand() % 32 == 0)
			s->buffers[s->nr_buffers++] = i;
	}
	REQUIRE(inside * PAGE >= PLUGGED / 100 * 95);
}

static bool intact(void)
{
	for (unsigned long i = 0; i < NR_PAGES; i++)
		if (*(unsigned long *)(memory + i * PAGE) != i)
			return false;
	return true;
}

/* A reference by get_user_pages_fast(), until the pipe is read. */
static void pin_next(struct subblock *s)
{
	unsigned int page = s->buffers[s->next++ % NR_BUFFERS];

	REQUIRE(pin(s->pipe[1], memory + page * PAGE, PAGE));
}

/*
 * Fill the queues, of one subblock in so many. One with next to no page of ours
 * gets no pins.
 */
static void pin_pages(unsigned int distance, int depth)
{
	unsigned int used = 0;

	for (unsigned int i = distance / 2; i < NR_SUBBLOCKS; i += distance) {
		struct subblock *s = &subblocks[i];

		if (s->nr_buffers < NR_BUFFERS)
			continue;
		REQUIRE(!pipe2(s->pipe, O_CLOEXEC));
		for (int n = 0; n < depth; n++)
			pin_next(s);
		used++;
	}
	REQUIRE(used >= NR_SUBBLOCKS / distance * 9 / 10);
}

/* The oldest pin of each queue goes and a new one comes, every STEP_MS. */
static void *keep_pinning(void *unused)
{
	double next = now_ms(), left;
	char buf[PAGE];

	for (unsigned int tick = 0;; tick++) {
		/* Not all of them at the same time. */
		for (unsigned int i = tick % STEP_MS; i < NR_SUBBLOCKS;
		     i += STEP_MS) {
			struct subblock *s = &subblocks[i];

			if (s->nr_buffers < NR_BUFFERS)
				continue;
			REQUIRE(read(s->pipe[0], buf, PAGE) == PAGE);
			pin_next(s);
		}
		left = ++next - now_ms();
		if (left > 0)
			usleep(left * 1000);
	}
	return unused;
}

/* --- the tests ----------------------------------------------------------- */

/*
 * Until all is unplugged, or the driver has given up: it goes on for longer
 * than a second only if it finds something to migrate, and after its first
 * pass does not try again before 50 seconds are over.
 */
static void unplug(unsigned int percent)
{
	const long factor = setting(NULL, "slow");	/* SLOW= of make */
	unsigned long size, unplugged;
	double began;

	trace_forget();
	began = now();
	device_request(0);
	do {
		usleep(100000);
		size = device_size();
		trace_read();
	} while (size && now() - began < 45 * factor &&
		 (!seen.attempts || now() - seen.last_attempt < 2 * factor));
	unplugged = PLUGGED - size;
	ksft_print_msg("the first pass unplugged %lu of %lu MB in %.0f ms, %d attempts to migrate\n",
	       unplugged / MB, PLUGGED / MB,
	       (seen.last_attempt - seen.interrupt) * 1000, seen.attempts);
	ksft_test_result(unplugged >= PLUGGED / 100 * percent,
			 "%u percent are unplugged\n", percent);
}

static void change_config(void)
{
	double max = 0;
	bool noticed = true;
	int nr = 0;

	for (; nr < NR_REACTIONS && noticed && max <= MAX_REACTION_MS; nr++) {
		double limit = now() + 45, reaction;

		trace_forget();
		device_request(0);
		while (seen.attempts < 3 + 2 * nr && now() < limit) {
			usleep(1000);
			trace_read();
		}
		seen.interrupt = 0;
		device_request(PLUGGED);
		do {
			usleep(1000);
			trace_read();
			noticed = seen.interrupt &&
				  seen.refreshed >= seen.interrupt;
		} while (!noticed && now() < limit);
		/* The driver was in the middle of it. */
		REQUIRE(!noticed || seen.interrupt - seen.attempt_before <= 0.2);
		reaction = (seen.refreshed - seen.interrupt) * 1000;
		if (reaction > max)
			max = reaction;
	}
	ksft_test_result(noticed,
			 "each of %d changes of the config is noticed\n",
			 NR_REACTIONS);
	ksft_print_msg("after %.0f ms at most\n", max);
	ksft_test_result(noticed && max <= MAX_REACTION_MS, "within %d ms\n",
			 MAX_REACTION_MS);
	ksft_test_result(device_size() == PLUGGED,
			 "what is pinned is still plugged\n");
}

/* What COMMAND reports are comments here. */
static void plug_during(const char *command, const char *argument)
{
	char line[PATH_MAX];
	unsigned long sum = 0;
	int nr = 0, status = -1;
	pid_t pid;

	snprintf(line, sizeof(line), "set -o pipefail; %s %s 2>&1 | sed 's/^/# /'",
		 command, argument);
	pid = CHILD(REQUIRE(!system(line)));
	do {
		double limit;

		plug();
		usleep(DURING_MS * 1000);
		device_request(DURING_PLUGGED);
		limit = now() + DURING_MS / 1000.0;
		while (device_size() > DURING_PLUGGED && now() < limit)
			usleep(1000);
		sum += PLUGGED - device_size();
		nr++;
	} while (!waitpid(pid, &status, WNOHANG));
	ksft_print_msg("%d times, %lu MB on average were unplugged within %d ms\n",
		       nr, sum / nr / MB, DURING_MS);
	ksft_test_result(!status, "%s\n", command);
	ksft_test_result(nr >= MIN_DURING && sum >= PLUGGED / 2,
			 "meanwhile, memory came and went\n");
}

static const struct mode {
	const char *name;
	/* One subblock in so many has so many pins, which come and go or stay. */
	unsigned int distance;
	int depth;
	bool come_and_go;
	unsigned int percent;		/* unplugged; 0: change_config() */
} modes[] = {
	{ "idle", 1, 0, false, 100 },
	{ "pinned", 1, QUEUE_DEPTH, true, MIN_UNPLUGGED },
	{ "stuck", STUCK_DISTANCE, 1, false, 100 - 100 / STUCK_DISTANCE - 1 },
	{ "config", 1, QUEUE_DEPTH, false, 0 },
};

int main(int argc, char *argv[])
{
	const bool during = argc > 2 && !strcmp(argv[1], "during");
	const struct mode *mode = NULL;
	pthread_t thread;

	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(modes); i++)
		if (!strcmp(argv[1], modes[i].name))
			mode = &modes[i];
	if (!mode && !during)
		errx(2, "usage: see the plan virtio-mem");
	ksft_print_header();
	ksft_set_plan(during || mode->percent ? 2 : 4);
	srand(1);
	REQUIRE(!pthread_create(&thread, NULL, never_idle, NULL));
	monitor_open();
	if (during) {
		plug_during(argv[2], argc > 3 ? argv[3] : "");
		ksft_finished();
	}
	start_tracing();
	fill(plug());
	if (mode->depth)
		pin_pages(mode->distance, mode->depth);
	if (mode->come_and_go)
		REQUIRE(!pthread_create(&thread, NULL, keep_pinning, NULL));
	if (mode->percent)
		unplug(mode->percent);
	else
		change_config();
	ksft_test_result(intact(), "no page has changed\n");
	ksft_finished();
}
