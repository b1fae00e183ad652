// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the test guest: runs the plan, and passes on what the tests say and
 * how they ended. The host judges: test/guest/results.awk.
 *
 * What the tests say goes to a virtio-serial port of its own, where no kernel
 * message can cut a line in two, and to the console for whoever reads the log.
 * A second port hears of the end; the host takes silence there for a failure.
 * The plan has the lines that test/guest/plan.awk makes of test/guest/plans.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <poll.h>
#include <sys/reboot.h>

#include "util.h"

#define MAX_TESTS	256
#define MAX_LINE	4096
#define HEARTBEAT_MS	10000

/* A module of ours is out of tree, a KUnit suite marks the kernel too. */
#define TAINT_OOT_MODULE	(1UL << 12)
#define TAINT_TEST		(1UL << 18)

struct test {
	char *name, *kind, *args;
	int seconds;
};

/* How a test ended, as far as it does not say so itself. */
struct outcome {
	bool runner_ok;		/* the runner's own result line */
	char why[256];		/* first reason to fail, empty: none */
};

static struct test tests[MAX_TESTS];
static int nr_tests;
static int ktap_fd = -1;
static FILE *kmsg;
static long long cma_used_at_start;

/* --- helpers ------------------------------------------------------------ */

/*
 * A line for the log: one record, so that kernel messages come before or after
 * it. It is complete in @fd, if there is one.
 */
__attribute__((format(printf, 3, 4)))
static void say(const char *tag, int fd, const char *fmt, ...)
{
	char line[MAX_LINE + 64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(kmsg ?: stderr, "<5>%s: %.880s\n", tag, line);
	fflush(kmsg);
	if (fd >= 0)
		dprintf(fd, "%s\n", line);
}

#define note(...)	say("harness", -1, __VA_ARGS__)
#define ktap(...)	say("ktap", ktap_fd, __VA_ARGS__)

__attribute__((format(printf, 2, 3)))
static void fail(struct outcome *t, const char *fmt, ...)
{
	va_list ap;

	if (t->why[0])
		return;
	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
}

__attribute__((noreturn)) static void power_off(void)
{
	sync();
	reboot(RB_AUTOBOOT);	/* QEMU's -no-reboot makes it the end */
	for (;;)
		pause();
}

/* Without a verdict, the host knows that this is not a test failure. */
#define give_up(fmt, ...) do {						\
	note("cannot run the tests: " fmt, ##__VA_ARGS__);		\
	power_off();							\
} while (0)

static void mount_all(void)
{
	static const struct {
		const char *dir, *type;
	} fs[] = {
		{ "/proc", "proc" },
		{ "/sys", "sysfs" },
		{ "/dev", "devtmpfs" },
		{ "/dev/shm", "tmpfs" },
		{ "/sys/kernel/debug", "debugfs" },
		{ "/sys/kernel/tracing", "tracefs" },
		{ "/tmp", "tmpfs" },
		{ "/run", "tmpfs" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fs); i++) {
		mkdir(fs[i].dir, 0755);
		if (mount(fs[i].type, fs[i].dir, fs[i].type, 0, NULL))
			give_up("mount %s on %s: %s", fs[i].type, fs[i].dir,
				strerror(errno));
	}
	if (symlink("/proc/self/fd/1", "/dev/stdout"))
		give_up("/dev/stdout: %s", strerror(errno));
	/* arm64 tells of no process that a fault ends, unless it is asked. */
	write_file("/proc/sys/debug/exception-trace", "1");
}

/*
 * Take what is free of the CMA areas from their heaps; returns how many. Chunk
 * heaps log what they cannot deliver, so they are asked where no other heap is:
 * for the areas of nodes.
 */
static int hold_cma(int *fds, int max)
{
	int nr = 0;

	open_heaps();
	for (struct heap *h = heaps; h < heaps + nr_heaps; h++) {
		if (!strcmp(h->name, "system") ||
		    (h->chunk && strncmp(h->name, "numa", 4)))
			continue;
		for (uint64_t len = 2UL << 30; len >= SZ_64K && nr < max;) {
			fds[nr] = heap_alloc(h->fd, len);
			if (fds[nr] < 0)
				len /= 2;
			else
				nr++;
		}
	}
	return nr;
}

/*
 * Direct I/O needs a file system on a disk, if the kernel has both. It keeps
 * some of its pages while it is mounted, and they must not be in a CMA area.
 */
static void mount_disk(void)
{
	int fds[64], nr;

	if (access("/dev/ram1", F_OK))
		return;
	nr = hold_cma(fds, 64);
	mkdir("/var", 0755);
	mkdir("/var/tmp", 01777);
	if (system("mke2fs /dev/ram1 >/dev/null") ||
	    (mount("/dev/ram1", "/var/tmp", "ext2", 0, NULL) &&
	     errno != ENODEV))
		give_up("no file system on /dev/ram1: %s", strerror(errno));
	while (nr)
		close(fds[--nr]);
}

/* --- the plan ----------------------------------------------------------- */

static int slow = 1;		/* all limits so many times as long */

static void read_plan(void)
{
	FILE *f = fopen("/plan", "re");
	char *line = NULL;
	size_t size = 0;

	if (getenv("slow"))
		slow = atoi(getenv("slow"));
	if (!f)
		give_up("no plan in the initramfs");
	for (; getline(&line, &size, f) > 0; line = NULL) {
		struct test *t = &tests[nr_tests];

		if (nr_tests++ == MAX_TESTS)
			give_up("more than %d tests in the plan", MAX_TESTS);
		line[strcspn(line, "\n")] = '\0';
		t->name = strsep(&line, " ");
		strsep(&line, " ");	/* how many results: the host counts */
		t->seconds = atoi(strsep(&line, " ")) * slow;
		t->kind = strsep(&line, " ");
		t->args = line ?: "";
	}
}

/* --- what tests say ----------------------------------------------------- */

/* One line of a test's own output. */
static void report_line(struct outcome *t, const char *line)
{
	(void)t;
	ktap("    %s", line);
}

/*
 * The runner prefixes what the test says with "# " and gives one result line
 * of its own, which also knows of time-outs and exit codes.
 */
static void report_runner_line(struct outcome *t, const char *line)
{
	if (!strncmp(line, "# ", 2)) {
		report_line(t, line + 2);
	} else if (!strncmp(line, "ok 1 ", 5) && !strstr(line, "# SKIP")) {
		t->runner_ok = true;
	} else if (!strncmp(line, "ok 1 ", 5)) {
		fail(t, "skipped");
	} else if (!strncmp(line, "not ok 1 ", 9)) {
		const char *why = strstr(line, "# ");

		fail(t, "runner: %s", why ? why + 2 : line);
	} else if (strncmp(line, "TAP version ", 12) && strcmp(line, "1..1") &&
		   strcmp(line, "#")) {
		ktap("    # %s", line);
	}
}

/* /sys/kernel/debug/kunit/<suite>/results: the suite is at depth one. */
static void report_kunit_line(struct outcome *t, const char *line)
{
	if (!strncmp(line, "    ", 4)) {
		report_line(t, line + 4);
	} else if (!strncmp(line, "ok 1 ", 5)) {
		t->runner_ok = true;
	} else if (!strncmp(line, "not ok 1 ", 9)) {
		fail(t, "the suite failed");
	}
}

/* --- running a command -------------------------------------------------- */

struct lines {
	void (*report)(struct outcome *t, const char *line);
	char buf[MAX_LINE];
	size_t len;
};

static void feed(struct lines *l, struct outcome *t, const char *s, size_t n)
{
	for (; n; s++, n--) {
		if (*s != '\n' && l->len < sizeof(l->buf) - 1) {
			/* a NUL or an escape sequence is not worth a parser */
			l->buf[l->len++] = isprint((unsigned char)*s) ||
					   *s == '\t' ? *s : '?';
			continue;
		}
		l->buf[l->len] = '\0';
		l->len = 0;
		l->report(t, l->buf);
	}
}

/*
 * Runs @argv, feeds its output to @report line by line, and ends it with all
 * that it started when the time of the test has passed.
 */
static void run_command(const struct test *test, struct outcome *t,
			char *const argv[],
			void (*report)(struct outcome *, const char *))
{
	struct lines l = { .report = report };
	double start = now_ms(), beat = start + HEARTBEAT_MS;
	double deadline = start + test->seconds * 1000., drain = 0;
	int fds[2], status = 0;
	bool exited = false, eof = false;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		give_up("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		give_up("fork: %s", strerror(errno));
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		setsid();
		dup2(null, 0);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		if (chdir("/test"))
			_exit(127);
		execvp(argv[0], argv);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(fds[1]);

	while (!exited || !eof) {
		struct pollfd pfd = { .fd = fds[0], .events = POLLIN };
		char buf[4096];
		double now;

		if (poll(&pfd, !eof, eof ? 10 : 100) > 0) {
			ssize_t n = read(fds[0], buf, sizeof(buf));

			if (n > 0)
				feed(&l, t, buf, n);
			else if (n == 0)
				eof = true;
		}
		now = now_ms();
		if (!exited && waitpid(pid, &status, WNOHANG) == pid) {
			exited = true;
			/* what it left behind must not hold the pipe open */
			kill(-pid, SIGKILL);
			drain = now + 2000;
		}
		if (exited && !eof && now > drain)
			break;
		if (!exited && now > deadline) {
			if (!drain) {
				fail(t, "no end after %d s", test->seconds);
				kill(-pid, SIGKILL);
				drain = now + 10000;
			} else if (now > drain) {
				fail(t, "cannot be killed");
				break;
			}
		}
		if (now > beat) {
			note("%s has been running for %.0f s", test->name,
			     (now - start) / 1000);
			beat = now + HEARTBEAT_MS;
		}
	}
	close(fds[0]);
	if (l.len)
		feed(&l, t, "\n", 1);
	/* children of children that lost their parent are ours now */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (!exited)
		return;
	if (WIFSIGNALED(status))
		fail(t, "killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 4)
		fail(t, "skipped");
	else if (WEXITSTATUS(status))
		fail(t, "exit code %d", WEXITSTATUS(status));
}

__attribute__((format(printf, 3, 4)))
static void run_shell_command(const struct test *test, struct outcome *t,
			      const char *fmt, ...)
{
	char command[MAX_LINE], *argv[] = { "sh", "-c", command, NULL };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	run_command(test, t, argv, report_line);
}

/* --- the kinds of tests ------------------------------------------------- */

static void run_kunit(const struct test *test, struct outcome *t)
{
	char path[300], *argv[] = { "cat", path, NULL };

	snprintf(path, sizeof(path), "/sys/kernel/debug/kunit/%s/results",
		 test->name);
	if (access(path, R_OK) && *test->args) {
		struct outcome loading = { 0 };

		run_shell_command(test, &loading, "modprobe %s", test->args);
		if (loading.why[0])
			fail(t, "modprobe %s: %s", test->args, loading.why);
	}
	if (access(path, R_OK)) {
		fail(t, "the kernel has no such suite");
		return;
	}
	run_command(test, t, argv, report_kunit_line);
	if (!t->runner_ok)
		fail(t, "no result of the suite");
}

static void run_kselftest(const struct test *test, struct outcome *t)
{
	char seconds[12], *argv[] = {
		"/kselftest/run_kselftest.sh", "-t", test->name, NULL, seconds,
		NULL
	};

	/* The limit of the tree's own is not for slow machines. */
	if (slow > 1) {
		snprintf(seconds, sizeof(seconds), "%d", test->seconds);
		argv[3] = "-o";
	}
	run_command(test, t, argv, report_runner_line);
	if (!t->runner_ok)
		fail(t, "no result of the runner");
}

/* --- checks of our own -------------------------------------------------- */

static void check_cma(struct outcome *t, long want_mb)
{
	const long long total = meminfo("CmaTotal:") >> 20;
	const long long pages = cma_sum("count");

	if (total < want_mb)
		fail(t, "CmaTotal is %lld MB, want %ld", total, want_mb);
	if (pages * (long long)page_size >> 20 < want_mb)
		fail(t, "debugfs knows %lld pages of CMA, want %ld MB", pages,
		     want_mb);
}

static void check_kmemleak(struct outcome *t)
{
	static const char path[] = "/sys/kernel/debug/kmemleak";
	FILE *f = fopen(path, "re");
	char line[1024];

	/*
	 * An object counts from its fifth second on, and one that was on its
	 * way from one list to another is found again by the second scan.
	 */
	for (int i = 0; i < 2; i++) {
		sleep(6);
		note("kmemleak: scan %d of 2", i + 1);
		if (write_file(path, "scan"))
			fail(t, "scan: %s", strerror(errno));
	}
	while (f && fgets(line, sizeof(line), f)) {
		note("kmemleak: %s", strtok(line, "\n"));
		fail(t, "unreferenced objects");
	}
	if (!f || ferror(f) || fclose(f))
		fail(t, "%s: %s", path, strerror(errno));
}

static void run_check(const struct test *test, struct outcome *t)
{
	char *args = test->args;
	const char *what = strsep(&args, " ");

	if (!strcmp(what, "cma")) {
		check_cma(t, args ? atol(args) : 0);
	} else if (!strcmp(what, "cma-used")) {
		const long long used = cma_sum("used");

		if (used < 0 || used != cma_used_at_start)
			fail(t, "%lld pages of CMA in use, %lld at the start",
			     used, cma_used_at_start);
	} else if (!strcmp(what, "taint")) {
		unsigned long bad = read_number("/proc/sys/kernel/tainted") &
				    ~(TAINT_OOT_MODULE | TAINT_TEST);

		if (bad)
			fail(t, "taint %#lx", bad);
	} else if (!strcmp(what, "kmemleak")) {
		check_kmemleak(t);
	} else if (!strcmp(what, "load")) {
		run_shell_command(test, t, "modprobe %s", args);
	} else {
		fail(t, "the plan has an unknown check, %s", what);
	}
}

/* --- main --------------------------------------------------------------- */

static void run_test(const struct test *test, int num)
{
	struct outcome t = { 0 };
	double start = now_ms();

	note("begin %s", test->name);
	if (!strcmp(test->kind, "kunit"))
		run_kunit(test, &t);
	else if (!strcmp(test->kind, "kselftest"))
		run_kselftest(test, &t);
	else if (!strcmp(test->kind, "run"))
		run_shell_command(test, &t, "%s", test->args);
	else if (!strcmp(test->kind, "check"))
		run_check(test, &t);
	else
		fail(&t, "the plan has an unknown kind, %s", test->kind);

	ktap("# %.0f ms", now_ms() - start);
	if (t.why[0])
		ktap("not ok %d %s # %s", num, test->name, t.why);
	else
		ktap("ok %d %s", num, test->name);
	note("end %s", test->name);
}

int main(void)
{
	const char *mode = getenv("harness");
	int verdict_fd;

	setenv("PATH", "/test:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/", 1);
	mount_all();
	kmsg = fopen("/dev/kmsg", "we");
	if (system("/bin/busybox --install -s"))
		give_up("busybox --install failed");
	mount_disk();
	if (mode && !strcmp(mode, "shell")) {
		note("the shell has ended: %#x",
		     system("cd /test && exec setsid cttyhack sh -l"));
		power_off();
	}

	ktap_fd = open_port("ktap", O_WRONLY);
	verdict_fd = open_port("verdict", O_WRONLY);
	if (ktap_fd < 0 || verdict_fd < 0)
		give_up("no virtio-serial ports for the results");
	read_plan();
	cma_used_at_start = cma_sum("used");
	note("start, %d tests", nr_tests);
	ktap("KTAP version 1");
	ktap("1..%d", nr_tests);
	for (int i = 0; i < nr_tests; i++)
		run_test(&tests[i], i + 1);
	note("done");
	dprintf(verdict_fd, "done\n");
	power_off();
}
