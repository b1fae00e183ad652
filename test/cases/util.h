/* SPDX-License-Identifier: GPL-2.0 */
/* What several of the guest's programs need. Needs _GNU_SOURCE. */
#ifndef UTIL_H
#define UTIL_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <linux/videodev2.h>

#include "kselftest.h"
#include "dmabuf-heaps/heap-util.h"
#include "dmabuf-test.h"

#define TRACING		"/sys/kernel/tracing/"

static unsigned int failed_checks;
static size_t page_size;

__attribute__((constructor))
static void get_page_size(void)
{
	page_size = sysconf(_SC_PAGESIZE);
}

/* Whether something holds, with a line in the log if it does not. */
#define CHECK(cond) ({							\
	bool ok_ = (cond);						\
	if (!ok_)							\
		ksft_print_msg("line %d: %s: errno %d (%s)\n",		\
			       __LINE__, #cond, errno, strerror(errno)); \
	failed_checks += !ok_;						\
	ok_; })

/* What the rest of a process makes no sense without. */
#define REQUIRE(cond) do {						\
	if (!CHECK(cond))						\
		exit(1);						\
} while (0)

/* The pid of a process that ends with 0 if all holds that @call checks. */
#define CHILD(call) ({							\
	pid_t child_ = fork();						\
									\
	if (!child_) {							\
		call;							\
		exit(failed_checks != 0);				\
	}								\
	REQUIRE(child_ > 0);						\
	child_; })

/*
 * A result: whether all holds that @call checks. It has a process of its own, so
 * that nothing is left of it, whatever it has open, mapped or allocated.
 */
#define TEST(call, ...)							\
	ksft_test_result(ended_well(CHILD(call)), __VA_ARGS__)

/* Whether a child has ended with 0, when it has. */
static inline bool ended_well(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		ksft_print_msg("signal %d\n", WTERMSIG(status));
	return !status;
}

static inline void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- numbers -------------------------------------------------------------- */

static inline uint64_t rnd_state(uint64_t seed)
{
	return seed * 0x9e3779b97f4a7c15ULL | 1;
}

/* xorshift64*, whose state must not be 0. The upper 48 bits are the best. */
static inline uint64_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL >> 16;
}

/* An argument or, from the kernel's command line, the environment. */
static inline uint64_t setting(const char *arg, const char *name)
{
	const char *word = arg ? arg : getenv(name);

	return word ? strtoull(word, NULL, 0) : 1;
}

static inline long long clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline double now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1e6;
}

/* --- files ---------------------------------------------------------------- */

/* The number behind @key, where a line begins with that, or -1. */
static inline long long read_field(const char *path, const char *key)
{
	long long n = -1;
	char line[300];
	FILE *f = fopen(path, "re");

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			n = strtoll(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return n;
}

/* In bytes. */
static inline long long meminfo(const char *key)
{
	return read_field("/proc/meminfo", key) * 1024;
}

/* Pages, since the boot. */
static inline long long migrated(void)
{
	return read_field("/proc/vmstat", "pgmigrate_success ");
}

/* What is free, and in no CMA area. */
static inline long long free_outside(void)
{
	return meminfo("MemFree:") - meminfo("CmaFree:");
}

/* Returns 0 or -errno. */
__attribute__((format(printf, 2, 3)))
static inline int write_file(const char *path, const char *fmt, ...)
{
	char text[300];
	int fd, len;
	va_list ap;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	errno = fd < 0 ? errno : 0;
	if (fd >= 0 && write(fd, text, len) != len && !errno)
		errno = EIO;
	if (fd >= 0)
		close(fd);
	return -errno;
}

/* The number that the next descriptor will have. */
static inline int lowest_fd(void)
{
	int fd = dup(STDOUT_FILENO);

	close(fd);
	return fd;
}

/* All that there is to read, as a string. */
static inline char *read_rest(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	return text;
}

/* The base is not v6.12, but what comes with BASE=mainline. */
static inline bool on_mainline(void)
{
	struct utsname name;

	return !uname(&name) && atoi(name.release) >= 7;
}

/* The virtio-serial port that QEMU calls @name, or -1. */
static inline int open_port(const char *name, int flags)
{
	char path[300], is[64];
	struct dirent *de;
	int fd = -1;
	DIR *d = opendir("/sys/class/virtio-ports");

	while (d && fd < 0 && (de = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			 de->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		read_rest(fd, is, sizeof(is));
		close(fd);
		is[strcspn(is, "\n")] = '\0';
		snprintf(path, sizeof(path), "/dev/%s", de->d_name);
		fd = strcmp(is, name) ? -1 : open(path, flags | O_CLOEXEC);
	}
	if (d)
		closedir(d);
	return fd;
}

/* The first video device of a driver that has some capabilities, or -1. */
static inline int open_video(const char *driver, uint32_t caps)
{
	struct v4l2_capability cap;
	char path[32];
	int fd;

	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && !ioctl(fd, VIDIOC_QUERYCAP, &cap) &&
		    !strcmp((char *)cap.driver, driver) &&
		    cap.device_caps & caps)
			return fd;
		close(fd);
	}
	ksft_print_msg("no video device of %s\n", driver);
	return -1;
}

/* In a TEST. Returns the size of a frame, and asks for so many buffers. */
static inline size_t set_format(int fd, enum v4l2_buf_type type,
				enum v4l2_memory memory, uint32_t width,
				uint32_t height, uint32_t pixels, uint32_t nr)
{
	struct v4l2_format f = {
		.type = type,
		.fmt.pix = {
			.width = width, .height = height,
			.pixelformat = pixels, .field = V4L2_FIELD_NONE,
		},
	};
	struct v4l2_requestbuffers req = {
		.count = nr, .type = type, .memory = memory,
	};

	REQUIRE(!ioctl(fd, VIDIOC_S_FMT, &f));
	REQUIRE(f.fmt.pix.width == width && f.fmt.pix.height == height);
	REQUIRE(f.fmt.pix.pixelformat == pixels);
	REQUIRE(!ioctl(fd, VIDIOC_REQBUFS, &req));
	/* A queue may need more than one. */
	REQUIRE(req.count == nr || (nr == 1 && req.count));
	return f.fmt.pix.sizeimage;
}

/* --- the kernel's log ----------------------------------------------------- */

/* Of what is logged from now on. */
static inline int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	REQUIRE(lseek(fd, 0, SEEK_END) >= 0);
	return fd;
}

/* The next record, which is empty where some are lost. */
static inline bool kmsg_next(int fd, char *line, size_t size)
{
	ssize_t n = read(fd, line, size - 1);

	line[n > 0 ? n : 0] = '\0';
	return n > 0 || (n < 0 && errno == EPIPE);
}

/* How many new records have @text. */
static inline int kmsg_count(int fd, const char *text)
{
	char line[8192];
	int nr = 0;

	while (kmsg_next(fd, line, sizeof(line)))
		nr += strstr(line, text) != NULL;
	return nr;
}

/* How many have it since the boot. */
static inline int kmsg_count_all(const char *text)
{
	return kmsg_count(open("/dev/kmsg", O_RDONLY | O_NONBLOCK), text);
}

/* What is traced from now on. Nobody else can have it open. */
static inline int trace_open(void)
{
	int fd = open(TRACING "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	REQUIRE(fd >= 0);
	return fd;
}

/* --- memory --------------------------------------------------------------- */

/* The names of all CMA areas. */
static inline int cma_find(struct heap_list *areas)
{
	struct dirent *de;
	DIR *d = opendir(CMA_DIR);

	areas->nr = 0;
	while (d && areas->nr < MAX_HEAPS && (de = readdir(d)))
		if (de->d_name[0] != '.')
			strcpy(areas->name[areas->nr++], de->d_name);
	if (d)
		closedir(d);
	return areas->nr;
}

/* The sum over all areas, or -1. */
static inline long long cma_sum(const char *what)
{
	struct heap_list areas;
	long long n, sum = 0;

	if (!cma_find(&areas))
		return -1;
	for (int i = 0; i < areas.nr; i++) {
		n = cma_number(areas.name[i], what);
		if (n < 0)
			return -1;
		sum += n;
	}
	return sum;
}

/* The size in bytes of the largest, and which that is. */
static inline size_t cma_largest(char *name)
{
	struct heap_list areas;
	size_t size, largest = 0;

	cma_find(&areas);
	for (int i = 0; i < areas.nr; i++) {
		size = cma_number(areas.name[i], "count") * page_size;
		if (size > largest && name)
			strcpy(name, areas.name[i]);
		largest = size > largest ? size : largest;
	}
	return largest;
}

static inline void *map_at(int fd, size_t len, uint64_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

/* The same, where it must not fail. */
static inline void *require_map(int fd, size_t len, uint64_t offset)
{
	void *p = map_at(fd, len, offset);

	REQUIRE(p != MAP_FAILED);
	return p;
}

/* New memory, with more of mmap's flags. */
static inline void *map_new(int flags, size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       flags | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED);
	return p;
}

/* Where the page at an address is, or 0 where there is none. */
static inline uint64_t pfn_of(const void *p)
{
	static int pagemap = -1;
	static pid_t self;	/* a child's are others */
	uint64_t entry;

	if (self != getpid()) {
		close(pagemap);
		pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
		self = getpid();
	}
	REQUIRE(pread(pagemap, &entry, sizeof(entry), (uintptr_t)p / page_size *
		      sizeof(entry)) == sizeof(entry));
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

/* Somebody else gets hold of the page at @p, until the pipe is read. */
static inline bool pin(int pipe, void *p, size_t len)
{
	struct iovec iov = { p, len };

	return vmsplice(pipe, &iov, 1, 0) == (ssize_t)len;
}

static sigjmp_buf touch_failed;

static inline void touch_signal(int sig)
{
	siglongjmp(touch_failed, sig);
}

/* Returns the signal that an access ends with, or 0. */
static inline int touch(volatile void *p)
{
	volatile char *c = p;
	int sig;

	signal(SIGSEGV, touch_signal);
	signal(SIGBUS, touch_signal);
	sig = sigsetjmp(touch_failed, 1);
	if (!sig)
		*c = *c;
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	return sig;
}

/* --- buffers -------------------------------------------------------------- */

/* All heaps, open. */
static struct heap {
	char name[NAME_MAX + 1];
	size_t chunk;		/* 0 for what is no chunk heap */
	int fd;
} heaps[MAX_HEAPS];
static int nr_heaps;

/* Returns the last of the chunk heaps, or NULL. */
static inline struct heap *open_heaps(void)
{
	struct heap_list list;
	struct heap *h, *chunks = NULL;

	heap_find(&list);
	while (nr_heaps < list.nr) {
		h = &heaps[nr_heaps];
		strcpy(h->name, list.name[nr_heaps++]);
		h->fd = heap_open(h->name);
		if (h->fd < 0)
			ksft_exit_fail_msg("%s: %s\n", h->name, strerror(errno));
		h->chunk = heap_chunk_size(h->name);
		chunks = h->chunk ? h : chunks;
	}
	return chunks;
}

/* An importer that has a buffer, or -1. */
static inline int importer_open(int buf)
{
	int imp = open("/dev/dmabuf-importer", O_RDWR | O_CLOEXEC);

	if (imp < 0 || !ioctl(imp, IMPORTER_IMPORT, &buf))
		return imp;
	close(imp);
	return -1;
}

/* What the importer sees of the pages of a buffer, or NULL. */
static inline struct importer_page *importer_look(int buf, size_t nr)
{
	struct importer_page *page = calloc(nr, sizeof(*page));
	struct importer_pages arg = { .nr = nr, .ptr = (uintptr_t)page };
	int imp = page ? importer_open(buf) : -1;

	if (imp < 0 || ioctl(imp, IMPORTER_PAGES, &arg)) {
		free(page);
		page = NULL;
	}
	if (imp >= 0)
		close(imp);
	return page;
}

static inline int exporter_ioctl(unsigned long cmd, void *arg)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/dmabuf-exporter", O_RDWR | O_CLOEXEC);
	return ioctl(fd, cmd, arg);
}

static inline int exporter_alloc(enum exporter_kind kind, const char *name,
				 size_t size)
{
	struct exporter_create arg = { .kind = kind, .size = size };

	strcpy(arg.name, name);
	REQUIRE(!exporter_ioctl(EXPORTER_CREATE, &arg));
	return arg.fd;
}

static inline struct exporter_state exporter_look(int buf)
{
	struct exporter_state st = { .fd = buf };

	REQUIRE(!exporter_ioctl(EXPORTER_STATE, &st));
	return st;
}

/* Takes the buffer away from all who have it mapped. */
static inline bool exporter_revoke(int buf, bool sigbus)
{
	struct exporter_revoke arg = { .fd = buf, .sigbus = sigbus };

	return !exporter_ioctl(EXPORTER_REVOKE, &arg);
}

/*
 * Runs the selftest on a buffer, with 2 MB of aligned memory at @huge, or -1.
 * What it says is shown if it failed.
 */
static inline void run_mmap_gup(const char *path, int buf, long huge)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "%s %d %ld >/tmp/mmap-gup 2>&1 || "
		 "{ sed '/^ok/d; s/^/# /' /tmp/mmap-gup; false; }",
		 path, buf, huge);
	fcntl(buf, F_SETFD, 0);
	CHECK(!system(line));
}

#endif /* UTIL_H */
