// SPDX-License-Identifier: GPL-2.0
/*
 * heap-abuse CALLS - what user space should not do to heaps and buffers
 *
 * Calls ioctl(), mmap() and what else takes a heap, a buffer or its mapping,
 * with random arguments and with those at which a check may go wrong. Each call
 * must succeed or fail as the table below has it for its kind of arguments.
 * Nothing may be left allocated in CMA, no descriptor be left open, and the
 * kernel must not write to its log, whatever user space does.
 *
 * All mappings are made in one place of the address space, so that other
 * mappings of the process do not suffer. The seed is in the environment, from the
 * kernel's command line; one seed gives the same calls.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/syscall.h>

#include "util.h"

#define NR_BUFFERS	12
#define ARENA		(4 * SZ_1M)
#define MAX_SIZE	(5 * SZ_64K)	/* of most buffers */
#define NR_WHOLE	2		/* requests for a whole CMA area */
#define ARGUMENT	16384		/* the largest that an ioctl can have */

enum kind {
	ALLOC, ALLOC_LARGE, ALLOC_INVALID, ALLOC_FAULT, ALLOC_READONLY,
	ALLOC_SIZES, HEAP_UNKNOWN, HEAP_FILE,
	SYNC, SYNC_INVALID, SYNC_FAULT, NAME, NAME_LONG, NAME_FAULT,
	EXPORT, EXPORT_INVALID, EXPORT_FAULT, IMPORT, IMPORT_INVALID,
	IMPORT_FAULT, BUF_UNKNOWN, BUF_SEEK, BUF_SEEK_INVALID, BUF_FILE,
	BUF_POLL, CLOSED,
	MAP, MAP_NO_ACCESS, MAP_EXEC, MAP_PRIVATELY, MAP_BEYOND, MAP_INVALID,
	MAP_ELSEWHERE,
	UNMAP, UNMAP_INVALID, REMAP, GROW, PROTECT, ADVISE, LOCK, MSYNC,
	NR_KINDS
};

static struct {
	const char *name;
	bool ok;		/* may succeed */
	int errnos[10];		/* or fail with these */
	unsigned long succeeded, failed;
} kinds[NR_KINDS] = {
	[ALLOC] = { "allocate", true, { ENOMEM } },
	[ALLOC_LARGE] = { "allocate more than there is", false, { ENOMEM } },
	[ALLOC_INVALID] = { "allocate, invalid", false, { EINVAL } },
	[ALLOC_FAULT] = { "allocate, bad pointer", false, { EFAULT } },
	[ALLOC_READONLY] = { "allocate, read-only memory", false,
			     { EFAULT, ENOMEM } },
	/* What user space does not pass on is 0, and not returned. */
	[ALLOC_SIZES] = { "allocate, other size or direction", true,
			  { EINVAL, ENOMEM } },
	[HEAP_UNKNOWN] = { "heap: unknown ioctl", false, { EINVAL } },
	[HEAP_FILE] = { "heap: file operations", false,
			{ EINVAL, ESPIPE, ENODEV } },
	[SYNC] = { "sync", true, { } },
	[SYNC_INVALID] = { "sync, invalid flags", false, { EINVAL } },
	[SYNC_FAULT] = { "sync, bad pointer", false, { EFAULT } },
	[NAME] = { "name", true, { } },
	[NAME_LONG] = { "name, too long", false, { EINVAL } },
	[NAME_FAULT] = { "name, bad pointer", false, { EFAULT } },
	/* a sync file */
	[EXPORT] = { "export", true, { } },
	[EXPORT_INVALID] = { "export, invalid flags", false, { EINVAL } },
	[EXPORT_FAULT] = { "export, bad pointer", false, { EFAULT } },
	[IMPORT] = { "import", true, { } },
	[IMPORT_INVALID] = { "import, invalid", false, { EINVAL } },
	[IMPORT_FAULT] = { "import, bad pointer", false, { EFAULT } },
	[BUF_UNKNOWN] = { "unknown ioctl", false, { ENOTTY } },
	[BUF_SEEK] = { "size by lseek", true, { } },
	[BUF_SEEK_INVALID] = { "lseek elsewhere", false, { EINVAL } },
	[BUF_FILE] = { "file operations", false, { EINVAL, EBADF, ENODEV } },
	[BUF_POLL] = { "poll", true, { } },
	[CLOSED] = { "closed descriptor", false, { EBADF } },
	[MAP] = { "map", true, { ENOMEM } },
	[MAP_NO_ACCESS] = { "map, without the access", false, { EACCES } },
	[MAP_EXEC] = { "map, executable", false, { EPERM } },
	/* The system heap has private mappings of one page. */
	[MAP_PRIVATELY] = { "map, private", true, { EINVAL } },
	[MAP_BEYOND] = { "map, beyond the end", false, { EINVAL } },
	[MAP_INVALID] = { "map, invalid", false,
			  { EINVAL, EOVERFLOW, ENOMEM, EOPNOTSUPP } },
	[MAP_ELSEWHERE] = { "map, where the kernel likes", true, { ENOMEM } },
	[UNMAP] = { "unmap a part", true, { } },
	[UNMAP_INVALID] = { "unmap, invalid", false, { EINVAL } },
	[REMAP] = { "mremap", true, { EINVAL, EFAULT, ENOMEM, EAGAIN } },
	[GROW] = { "mremap that grows a mapping", false, { EFAULT } },
	[PROTECT] = { "mprotect", true, { EACCES, EINVAL, EPERM } },
	[ADVISE] = { "madvise", true,
		     { EINVAL, ENOMEM, EBADF, EAGAIN, EACCES, EFAULT,
		       EOPNOTSUPP, EPERM, EBUSY, ENODEV } },
	[LOCK] = { "mlock, munlock", true, { EINVAL, ENOMEM, EAGAIN } },
	[MSYNC] = { "msync", true, { EINVAL, EBUSY, ENOMEM } },
};

struct buffer {
	int fd;
	size_t size;
	int access;		/* O_RDONLY, ... */
	int heap;
};

static struct buffer buffers[NR_BUFFERS];
static int nr_buffers, whole_left = NR_WHOLE;
static size_t largest_area;
static unsigned long call, undocumented, left_open;
static uint64_t random_state;
static char *arena, *readonly, *unmapped, *argument;

#define PICK(array)	((array)[pick(ARRAY_SIZE(array))])

static uint64_t pick(uint64_t n)
{
	return rnd(&random_state) % n;
}

__attribute__((format(printf, 3, 4)))
static void result(enum kind k, long ret, const char *fmt, ...)
{
	const int error = ret < 0 ? errno : 0;
	bool fine = !error && kinds[k].ok;
	char text[200];
	va_list ap;

	call++;
	for (size_t i = 0; error && i < ARRAY_SIZE(kinds[k].errnos); i++)
		fine |= error == kinds[k].errnos[i];
	kinds[k].failed += error != 0;
	kinds[k].succeeded += !error;
	if (fine || undocumented++ >= 10)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ksft_print_msg("call %lu, %s: %s: %s\n", call, kinds[k].name, text,
		       error ? strerror(error) : "success");
}

/* Where there is no memory that the kernel may read. */
static void *bad_pointer(size_t size)
{
	void * const bad[] = {
		NULL, unmapped, (void *)0xffffffff81000000UL, (void *)-1UL,
		unmapped - 1 - pick(size - 1),	/* what begins well */
	};

	return PICK(bad);
}

static void bad_ioctl(enum kind k, int fd, unsigned long cmd, size_t size)
{
	void *bad = bad_pointer(size);

	/* A name of one byte that ends there is not bad. */
	if (k != NAME_FAULT || bad != unmapped - 1)
		result(k, ioctl(fd, cmd, bad), "%p", bad);
}

/* What the kernel may read, and not write. */
static void *in_readonly(const void *arg, size_t size)
{
	mprotect(readonly, page_size, PROT_READ | PROT_WRITE);
	memcpy(readonly, arg, size);
	mprotect(readonly, page_size, PROT_READ);
	return readonly;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Maybe with mappings that stay. */
static void close_buffer(const struct buffer *b)
{
	close(b->fd);
	buffers[b - buffers] = buffers[--nr_buffers];
}

/* The libc's own would refuse some of it. */
static long sys_mmap(void *at, size_t len, int prot, int flags, int fd,
		     size_t off)
{
	return syscall(SYS_mmap, at, len, prot, flags, fd, off);
}

/* --- heaps ---------------------------------------------------------------- */

static uint64_t small_length(int heap)
{
	const size_t chunk = heaps[heap].chunk ? heaps[heap].chunk : page_size;
	const uint64_t lengths[] = {
		1, page_size - 1, page_size, page_size + 1, chunk - 1, chunk,
		chunk + 1, 3 * chunk, pick(MAX_SIZE) + 1,
	};
	uint64_t len = PICK(lengths);

	return len < MAX_SIZE ? len : 1;
}

/* @cmd on what is in *@data, and what became of it. */
static void allocate(enum kind k, int heap, unsigned int cmd,
		     struct dma_heap_allocation_data *data, bool returns_fd)
{
	const struct dma_heap_allocation_data asked = *data;
	const int fd = lowest_fd();
	const long ret = ioctl(heaps[heap].fd, cmd, data);
	off_t size;

	result(k, ret, "%s, cmd %#x, len %#llx, fd %u, fd_flags %#x, heap_flags %#llx",
	       heaps[heap].name, cmd, asked.len, asked.fd, asked.fd_flags,
	       asked.heap_flags);
	if (!is_open(fd)) {
		if (!ret)
			ksft_print_msg("call %lu: no descriptor\n", call);
		undocumented += !ret;
		return;
	}
	/*
	 * The kernel installs the descriptor before it copies its number to
	 * the memory of the process, which is too late to fail.
	 */
	if (ret && k != ALLOC_READONLY) {
		ksft_print_msg("call %lu failed and left a buffer\n", call);
		left_open++;
	}
	size = lseek(fd, 0, SEEK_END);
	if (!ret && returns_fd &&
	    ((int)data->fd != fd || size < (off_t)asked.len)) {
		ksft_print_msg("call %lu: descriptor %u for %d, size %#lx\n",
			       call, data->fd, fd, size);
		undocumented++;
	}
	if (ret || nr_buffers == NR_BUFFERS || size > (off_t)SZ_2M) {
		close(fd);
		return;
	}
	buffers[nr_buffers++] = (struct buffer) {
		.fd = fd, .size = size, .heap = heap,
		.access = fcntl(fd, F_GETFL) & O_ACCMODE,
	};
}

static void abuse_alloc(const struct buffer *unused)
{
	const uint64_t too_large[] = {
		largest_area + 1, 1ULL << 31, (1ULL << 31) + 1, 1ULL << 32,
		(1ULL << 32) + 1, 1ULL << 44, 1ULL << 63, (1ULL << 63) - 1,
		(1ULL << 63) + 1, -2 * page_size, -page_size,
	};
	const uint64_t nothing[] = { 0, -page_size + 1, -2, -1 };
	const int heap = pick(nr_heaps);
	struct dma_heap_allocation_data data = {
		.len = small_length(heap),
		.fd_flags = pick(4) ? O_RDWR : pick(4),
	};
	struct dma_heap_allocation_data *arg = &data;
	unsigned int cmd = DMA_HEAP_IOCTL_ALLOC, dir = 0, size = 0;
	enum kind k = ALLOC_INVALID;

	(void)unused;
	if (pick(2))
		data.fd_flags |= O_CLOEXEC;
	switch (pick(12)) {
	case 0:		/* The system heap would try. */
		data.len = PICK(too_large);
		if (data.len <= largest_area || !strcmp(heaps[heap].name, "system"))
			return;
		k = ALLOC_LARGE;
		break;
	case 1:
		data.len = PICK(nothing);
		break;
	case 2:
		data.fd = pick(2) ? 1U << pick(32) : -1U;
		break;
	case 3:
		data.fd_flags ^= 1U << pick(32);
		if (!(data.fd_flags & ~(O_CLOEXEC | O_ACCMODE)))
			return;
		break;
	case 4:
		data.heap_flags = pick(2) ? 1ULL << pick(64) : -1ULL;
		break;
	case 5:
		bad_ioctl(ALLOC_FAULT, heaps[heap].fd, cmd, sizeof(data));
		return;
	case 6:
		arg = in_readonly(&data, sizeof(data));
		k = ALLOC_READONLY;
		break;
	case 7:
		dir = pick(4);
		size = pick(2) ? pick(2 * sizeof(data)) : pick(ARGUMENT);
		arg = memset(argument, pick(2) ? 0 : 0xff, ARGUMENT);
		memcpy(argument, &data, sizeof(data));
		/* The type is not looked at. */
		cmd = _IOC(dir, pick(2) ? 'H' : 'I', 0, size);
		k = ALLOC_SIZES;
		break;
	case 8:
		if (!heaps[heap].chunk || pick(50) || !whole_left)
			return;
		whole_left--;
		data.len = largest_area - pick(2) * page_size;
		k = ALLOC;
		break;
	default:
		k = ALLOC;
	}
	allocate(k, heap, cmd, arg, k == ALLOC ||
		 (k == ALLOC_SIZES && dir & _IOC_READ && size >=
		  offsetof(struct dma_heap_allocation_data, fd_flags)));
}

static void abuse_heap(const struct buffer *b)
{
	const int fd = heaps[b->heap].fd;
	const unsigned int cmd = _IOC(pick(4), pick(2) ? 'H' : 'I', 1 + pick(255),
				      pick(2) ? 24 : pick(ARGUMENT));
	char c = 0;

	switch (pick(6)) {
	case 0:
		result(HEAP_FILE, sys_mmap(NULL, page_size, PROT_READ,
					   MAP_SHARED, fd, 0), "mmap");
		break;
	case 1:
		result(HEAP_FILE, lseek(fd, pick(2), pick(5)), "lseek");
		break;
	case 2:
		result(HEAP_FILE, pick(2) ? read(fd, &c, 1) : write(fd, &c, 1),
		       "read, write");
		break;
	default:
		result(HEAP_UNKNOWN, ioctl(fd, cmd, pick(2) ? argument :
					   bad_pointer(8)), "cmd %#x", cmd);
	}
}

/* --- buffers -------------------------------------------------------------- */

static void abuse_sync(const struct buffer *b)
{
	struct dma_buf_sync sync = { .flags = pick(8) };

	switch (pick(4)) {
	case 0:
		sync.flags |= pick(2) ? 8ULL << pick(61) : -8ULL;
		result(SYNC_INVALID, ioctl(b->fd, DMA_BUF_IOCTL_SYNC, &sync),
		       "%#llx", sync.flags);
		break;
	case 1:
		bad_ioctl(SYNC_FAULT, b->fd, DMA_BUF_IOCTL_SYNC, sizeof(sync));
		break;
	default:
		result(sync.flags & DMA_BUF_SYNC_RW ? SYNC : SYNC_INVALID,
		       ioctl(b->fd, DMA_BUF_IOCTL_SYNC, &sync), "%#llx",
		       sync.flags);
	}
}

static void abuse_name(const struct buffer *b)
{
	const unsigned long cmd = pick(2) ? DMA_BUF_SET_NAME_A :
					   DMA_BUF_SET_NAME_B;
	const size_t len = pick(3 * DMA_BUF_NAME_LEN);
	char name[3 * DMA_BUF_NAME_LEN] = "";

	if (!pick(3)) {
		bad_ioctl(NAME_FAULT, b->fd, cmd, 2);
		return;
	}
	memset(name, 1 + pick(255), len);
	result(len < DMA_BUF_NAME_LEN ? NAME : NAME_LONG,
	       ioctl(b->fd, cmd, name), "%zu bytes", len);
}

static void abuse_fences(const struct buffer *b)
{
	const unsigned long cmds[] = {
		DMA_BUF_IOCTL_EXPORT_SYNC_FILE, DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
	};
	const int bad_fds[] = { -1, b->fd, heaps[0].fd, 0, 1 << 30, 1023 };
	const bool import = pick(2);
	struct dma_buf_export_sync_file file = {
		.flags = 1 + pick(3), .fd = -1,
	};
	void *bad;
	int fd;

	switch (pick(4)) {
	case 0:
		file.flags = pick(2) ? pick(2) << pick(32) & ~3U : -1U;
		result(import ? IMPORT_INVALID : EXPORT_INVALID,
		       ioctl(b->fd, cmds[import], &file), "%#x", file.flags);
		return;
	case 1:
		/* What is only read may be in read-only memory. */
		bad = import || pick(2) ? bad_pointer(sizeof(file)) :
					  in_readonly(&file, sizeof(file));
		fd = lowest_fd();
		result(import ? IMPORT_FAULT : EXPORT_FAULT,
		       ioctl(b->fd, cmds[import], bad), "%p", bad);
		if (is_open(fd)) {
			left_open++;
			close(fd);
		}
		return;
	case 2:
		file.fd = PICK(bad_fds);
		result(IMPORT_INVALID, ioctl(b->fd, cmds[1], &file), "fd %d",
		       file.fd);
		return;
	default:
		result(EXPORT, ioctl(b->fd, cmds[0], &file), "%#x",
		       file.flags);
		if (file.fd < 0)
			return;
		file.flags = 1 + pick(3);
		result(IMPORT, ioctl(buffers[pick(nr_buffers)].fd, cmds[1],
				     &file), "%#x", file.flags);
		close(file.fd);
	}
}

static void abuse_file(const struct buffer *b)
{
	const unsigned int size = pick(2) ? pick(64) : pick(ARGUMENT);
	const unsigned int cmd = _IOC(pick(4), pick(2) ? 'b' : 'z', pick(256),
				      size);
	struct pollfd pfd = { .fd = b->fd, .events = POLLIN | POLLOUT };
	off_t off;
	int fd;

	switch (pick(12)) {
	case 0:
		off = lseek(b->fd, 0, SEEK_END);
		result(BUF_SEEK, off == (off_t)b->size ? 0 : -1, "SEEK_END");
		break;
	case 1:
		off = pick(2) ? 1 - 2 * (off_t)pick(2) : (off_t)b->size;
		result(BUF_SEEK_INVALID, lseek(b->fd, off, pick(3)), "%ld",
		       off);
		break;
	case 2 ... 3:
		result(BUF_FILE, pick(2) ? read(b->fd, argument, 8) :
					   write(b->fd, argument, 8), "read, write");
		break;
	case 4:
		result(BUF_FILE, ftruncate(b->fd, 0), "ftruncate");
		break;
	case 5:
		result(BUF_FILE, fallocate(b->fd, 0, 0, page_size), "fallocate");
		break;
	case 6:
		result(BUF_POLL, poll(&pfd, 1, 0), "poll");
		break;
	case 7:
		fd = dup(b->fd);
		close(fd);
		result(CLOSED, ioctl(fd, DMA_BUF_IOCTL_SYNC, argument), "%d", fd);
		break;
	default:
		if (cmd == DMA_BUF_IOCTL_SYNC || cmd == DMA_BUF_SET_NAME_A ||
		    cmd == DMA_BUF_SET_NAME_B ||
		    cmd == DMA_BUF_IOCTL_EXPORT_SYNC_FILE ||
		    cmd == DMA_BUF_IOCTL_IMPORT_SYNC_FILE)
			break;
		result(BUF_UNKNOWN, ioctl(b->fd, cmd, pick(2) ? argument :
					  bad_pointer(8)), "cmd %#x", cmd);
	}
}

/* --- mappings ------------------------------------------------------------- */

/* What is not a buffer's in the arena is this, so that nobody else comes. */
static void refill(char *at, size_t len)
{
	if (mmap(at, len, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS |
		 MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		ksft_exit_fail_msg("arena: %s\n", strerror(errno));
}

static char *place(size_t *len)
{
	const size_t at = pick(ARENA / page_size) * page_size;

	*len = (1 + pick(32)) * page_size;
	if (*len > ARENA - at)
		*len = ARENA - at;
	return arena + at;
}

static void abuse_map(const struct buffer *b)
{
	const size_t pages = b->size / page_size, from = pick(pages);
	const int prots[] = {
		PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC,
	};
	const int prot = PICK(prots);
	const int more[] = {
		0, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE, MAP_STACK,
		MAP_NONBLOCK | MAP_POPULATE,
	};
	const int flags = MAP_FIXED | PICK(more);
	size_t len = 1 + pick((pages - from) * page_size), room;
	const bool no_read = b->access == O_WRONLY || b->access == 3;
	const bool no_access = no_read ||
			       (b->access == O_RDONLY && prot & PROT_WRITE);
	char *at = place(&room);
	enum kind k = MAP;
	size_t off = from * page_size;
	long ret;

	if (len > room)
		len = room;
	/* Mainline has nothing to execute on the file system of dma-bufs. */
	if (prot & PROT_EXEC && on_mainline()) {
		ret = sys_mmap(at, len, prot, MAP_SHARED | flags, b->fd, off);
		result(no_access ? MAP_NO_ACCESS : MAP_EXEC, ret,
		       "prot %d, access %d", prot, b->access);
		refill(arena, ARENA);
		return;
	}
	switch (pick(8)) {
	case 0:
		ret = sys_mmap(at, len, prot, MAP_PRIVATE | flags, b->fd, off);
		k = no_read ? MAP_NO_ACCESS : MAP_PRIVATELY;
		/* Of a heap over CMA there is none. */
		if (ret >= 0 && strcmp(heaps[b->heap].name, "system"))
			k = MAP_INVALID;
		result(k, ret, "%s, prot %d", heaps[b->heap].name, prot);
		break;
	case 1:
		if (no_access)
			return;
		len += (pages - from) * page_size;
		if (pick(2))
			off += pages * page_size;
		if (len > ARENA)
			return;
		at = arena;
		ret = sys_mmap(at, len, prot, MAP_SHARED | flags, b->fd, off);
		result(MAP_BEYOND, ret, "len %#zx at %#zx of %#zx", len, off,
		       b->size);
		break;
	case 2: {
		const int fixed = MAP_SHARED | MAP_FIXED;
		const int validate = MAP_FIXED | MAP_SHARED_VALIDATE;
		const struct {
			char *at;
			size_t len, off;
			int flags;
		} invalid[] = {
			{ at, 0, 0, fixed },
			{ at, page_size, 1 + pick(page_size - 1), fixed },
			{ at + 1, page_size, 0, fixed },
			{ at, page_size, -page_size, fixed },
			{ at, page_size, 1UL << 63, fixed },
			{ at, 2 * page_size, -page_size, fixed },
			{ NULL, -page_size, 0, MAP_SHARED },
			{ NULL, -1, 0, MAP_SHARED },
			{ NULL, 1UL << 62, 0, MAP_SHARED },
			{ (char *)-page_size, page_size, 0, fixed },
			{ at, page_size, 0, MAP_FIXED },
			{ at, page_size, 0, validate | MAP_SYNC },
			{ at, page_size, 0, validate | 1 << 24 },
			{ at, page_size, 0, fixed | MAP_GROWSDOWN },
			{ at, page_size, 0, fixed | MAP_HUGETLB },
		};
		const size_t i = pick(ARRAY_SIZE(invalid));

		if (no_read)
			return;
		ret = sys_mmap(invalid[i].at, invalid[i].len, PROT_READ,
			       invalid[i].flags, b->fd, invalid[i].off);
		result(MAP_INVALID, ret, "%p, len %#zx, off %#zx, flags %#x",
		       invalid[i].at, invalid[i].len, invalid[i].off,
		       invalid[i].flags);
		break;
	}
	case 3:
		if (no_access)
			return;
		ret = sys_mmap(pick(2) ? NULL : at, len, prot,
			       pick(2) ? MAP_SHARED : MAP_SHARED_VALIDATE,
			       b->fd, off);
		result(MAP_ELSEWHERE, ret, "prot %d", prot);
		if (ret >= 0)
			munmap((void *)ret, len);
		break;
	default:
		ret = sys_mmap(at, len, prot, MAP_SHARED | flags, b->fd, off);
		result(no_access ? MAP_NO_ACCESS : MAP, ret,
		       "prot %d, flags %#x, access %d", prot, flags,
		       b->access);
		if (ret >= 0 && prot & PROT_READ)
			*(volatile char *)at;
		if (ret >= 0 && prot & PROT_WRITE)
			STORE((char *)at + len - 1, 1);
	}
	/* A failed mapping may have unmapped what was there. */
	if (ret < 0 || k == MAP_PRIVATELY)
		refill(arena, ARENA);
}

static void abuse_mapping(const struct buffer *unused)
{
	const int advices[] = {
		MADV_HWPOISON - 1, -1, INT_MAX, INT_MIN, 42,
	};
	size_t len, new_len;
	char *at = place(&len), *to = place(&new_len);
	int what = pick(26), flags = pick(8);
	long ret;

	(void)unused;
	switch (pick(7)) {
	case 0:
		ret = munmap(at, len);
		result(UNMAP, ret, "%#zx", len);
		refill(at, len);
		break;
	case 1:
		ret = pick(2) ? munmap(at + 1 + pick(page_size - 1), len) :
			       munmap(at, 0);
		result(UNMAP_INVALID, ret, "%#zx", len);
		break;
	case 2:
		if (!pick(4))
			len = 0;
		ret = syscall(SYS_mremap, at, len, new_len, flags, to);
		result(REMAP, ret, "%#zx to %#zx, flags %d", len, new_len,
		       flags);
		if (ret >= 0 && ((char *)ret < arena ||
				 (char *)ret >= arena + ARENA))
			munmap((void *)ret, new_len);
		refill(arena, ARENA);
		break;
	case 3:
		what = pick(8) | (pick(8) ? 0 : 1 << pick(32));
		if (what & (PROT_GROWSDOWN | PROT_GROWSUP))
			break;
		result(PROTECT, mprotect(at, len, what), "%#x", what);
		break;
	case 4:		/* but never to poison pages */
		if (!pick(8))
			what = PICK(advices);
		result(ADVISE, madvise(at, len, what), "%d", what);
		break;
	case 5:
		if (pick(2))
			result(LOCK, mlock2(at, len, pick(3)), "mlock2");
		else
			result(LOCK, munlock(at, len), "munlock");
		break;
	default:
		result(MSYNC, msync(at, len, pick(8)), "msync");
	}
}

/* A mapping must not grow, wherever it could. */
static void abuse_growth(const struct buffer *b)
{
	void *p = map_at(b->fd, page_size, 0);

	if (p == MAP_FAILED)
		return;
	result(GROW, mremap(p, page_size, (2 + pick(99)) * page_size,
			    MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0, "%s",
	       heaps[b->heap].name);
	munmap(p, page_size);
}

/* What is picked, and how often: one in so many places. */
static void (* const abuses[])(const struct buffer *b) = {
	[0 ... 1] = abuse_alloc,
	[2] = abuse_heap,
	[3 ... 6] = abuse_mapping,
	[7] = close_buffer,
	[8 ... 9] = abuse_sync,
	[10] = abuse_name,
	[11] = abuse_fences,
	[12] = abuse_growth,
	[13] = abuse_file,
	[14 ... 15] = abuse_map,
};

/* --- the beginning and the end -------------------------------------------- */

/* Ten lines in five seconds for each of two reasons, and what was left out. */
#define MAX_REASONS	500

static int nr_open(void)
{
	int nr = 0;

	for (int fd = 0; fd < 1024; fd++)
		nr += is_open(fd);
	return nr;
}

/*
 * What the kernel wrote, not user space, above the level of debugging. The chunk
 * heap says why it cannot deliver, but at most so many times in a while. On
 * mainline, so does CMA of any size that it has not, with what is free.
 */
static bool log_is_quiet(int fd)
{
	const int debug = 7, facilities = 8;
	unsigned int reasons = 0;
	char line[8192];
	bool ok = true;

	while (kmsg_next(fd, line, sizeof(line))) {
		const int prefix = atoi(line);

		if (!line[0]) {
			ksft_print_msg("more than the kernel's log can hold\n");
			return false;
		}
		line[strcspn(line, "\n")] = '\0';
		if (prefix / facilities || prefix % facilities >= debug)
			continue;
		if (strstr(line, ";chunk_heap: ") ||
		    strstr(line, ";chunk_heap_alloc")) {
			reasons++;
		} else if (!on_mainline() ||
			   !(strstr(line, ";cma: ") || strstr(line, ";=> ") ||
			     strstr(line, ";__cma_alloc_frozen: "))) {
			if (ok)
				ksft_print_msg("log: %s\n", line);
			ok = false;
		}
	}
	ksft_print_msg("%u lines of the chunk heap\n", reasons);
	return ok && reasons && reasons < MAX_REASONS;
}

/* That nothing goes wrong is no news where nothing was tried. */
static bool all_tried(void)
{
	bool ok = true;

	for (int k = 0; k < NR_KINDS; k++) {
		ksft_print_msg("%s: %lu succeeded, %lu failed\n",
			       kinds[k].name, kinds[k].succeeded,
			       kinds[k].failed);
		if (k == MAP_EXEC && !on_mainline())
			continue;
		ok &= kinds[k].ok ? kinds[k].succeeded > 0 :
				    kinds[k].failed > 0;
	}
	return ok;
}

int main(int argc, char **argv)
{
	const uint64_t seed = setting(NULL, "seed");
	const unsigned long calls = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	/* Until then, the kernel chooses its clock source, and says so. */
	const struct timespec booted = { .tv_sec = 5 };
	const size_t room = (ARGUMENT + page_size - 1) / page_size * page_size;
	long long used;
	int log, fds;

	ksft_print_header();
	if (!calls)
		ksft_exit_fail_msg("usage: %s CALLS\n", argv[0]);
	random_state = rnd_state(seed);
	debugfs_mount();
	if (!open_heaps())
		ksft_exit_fail_msg("no chunk heap\n");
	largest_area = cma_largest(NULL);
	arena = map_new(MAP_SHARED | MAP_NORESERVE, ARENA);
	refill(arena, ARENA);
	argument = map_new(MAP_PRIVATE, room + page_size);
	readonly = map_new(MAP_PRIVATE, page_size);
	mprotect(readonly, page_size, PROT_READ);
	unmapped = argument + room;
	argument = unmapped - ARGUMENT;
	mprotect(unmapped, page_size, PROT_NONE);
	used = cma_sum("used");
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &booted, NULL);
	log = kmsg_open();
	fds = nr_open();
	ksft_print_msg("seed %lu, %lu calls, %d heaps\n", seed, calls,
		       nr_heaps);

	ksft_set_plan(4);
	while (call < calls && !left_open) {
		const int what = nr_buffers ? pick(ARRAY_SIZE(abuses)) : 0;

		abuses[what](&buffers[nr_buffers ? pick(nr_buffers) : 0]);
	}
	while (nr_buffers)
		close_buffer(buffers);
	munmap(arena, ARENA);

	ksft_test_result(!undocumented, "each call ends as documented\n");
	ksft_print_msg("%lld pages of CMA in use, %lld before; %d descriptors, %d before\n",
		       cma_sum("used"), used, nr_open(), fds);
	ksft_test_result(!left_open && cma_sum("used") == used && nr_open() == fds,
			 "nothing is left allocated or open\n");
	ksft_test_result(log_is_quiet(log), "the kernel's log says what it must\n");
	ksft_test_result(all_tried(), "everything has been tried\n");
	ksft_finished();
}
