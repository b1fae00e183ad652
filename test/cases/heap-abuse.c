// SPDX-License-Identifier: GPL-2.0
/*
 * heap-abuse CALLS - what user space should not do to heaps and buffers
 *
 * Calls what takes a heap, a buffer or its mapping, with random arguments and
 * with those at which a check may go wrong: each call must end as the table has
 * it for its kind. Nothing may be left allocated or open, and the kernel's log
 * must stay quiet.
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

/* What is called, by what must become of it. */
enum kind {
	/* success */
	SYNC, NAME, EXPORT, IMPORT, BUF_SEEK, BUF_POLL, UNMAP,
	/* EFAULT */
	ALLOC_FAULT, SYNC_FAULT, NAME_FAULT, EXPORT_FAULT, IMPORT_FAULT,
	/* EINVAL */
	ALLOC_INVALID, HEAP_UNKNOWN, SYNC_INVALID, NAME_LONG, EXPORT_INVALID,
	IMPORT_INVALID, BUF_SEEK_INVALID, MAP_NEVER_PRIVATELY, MAP_BEYOND,
	UNMAP_INVALID,
	/* other errors, or no one alone */
	ALLOC, ALLOC_LARGE, ALLOC_READONLY, ALLOC_SIZES, HEAP_FILE, BUF_UNKNOWN,
	BUF_FILE, CLOSED, MAP, MAP_NO_ACCESS, MAP_EXEC, MAP_PRIVATELY,
	MAP_INVALID, MAP_ELSEWHERE, REMAP, PROTECT, ADVISE, LOCK, MSYNC,
	NR_KINDS
};

static const struct {
	bool ok;		/* may succeed */
	int errnos[10];		/* or fail with these */
} kinds[NR_KINDS] = {
	[SYNC ... UNMAP] = { true, { } },
	[ALLOC_FAULT ... IMPORT_FAULT] = { false, { EFAULT } },
	[ALLOC_INVALID ... UNMAP_INVALID] = { false, { EINVAL } },
	[ALLOC] = { true, { ENOMEM } },
	[ALLOC_LARGE] = { false, { ENOMEM } },
	[ALLOC_READONLY] = { false, { EFAULT, ENOMEM } },
	/* What user space does not pass on is 0, and not returned. */
	[ALLOC_SIZES] = { true, { EINVAL, ENOMEM } },
	[HEAP_FILE] = { false, { EINVAL, ESPIPE, ENODEV } },
	[BUF_UNKNOWN] = { false, { ENOTTY } },
	[BUF_FILE] = { false, { EINVAL, EBADF, ENODEV } },
	[CLOSED] = { false, { EBADF } },
	[MAP] = { true, { ENOMEM } },
	[MAP_NO_ACCESS] = { false, { EACCES } },
	[MAP_EXEC] = { false, { EPERM } },
	/* The system heap has private mappings of one page. */
	[MAP_PRIVATELY] = { true, { EINVAL } },
	[MAP_INVALID] = { false, { EINVAL, EOVERFLOW, ENOMEM, EOPNOTSUPP } },
	[MAP_ELSEWHERE] = { true, { ENOMEM } },
	[REMAP] = { true, { EINVAL, EFAULT, ENOMEM, EAGAIN } },
	[PROTECT] = { true, { EACCES, EINVAL, EPERM } },
	[ADVISE] = { true, { EINVAL, ENOMEM, EBADF, EAGAIN, EACCES, EFAULT,
			     EOPNOTSUPP, EPERM, EBUSY, ENODEV } },
	[LOCK] = { true, { EINVAL, ENOMEM, EAGAIN } },
	[MSYNC] = { true, { EINVAL, EBUSY, ENOMEM } },
};

/* How often, where a kind may succeed: with success. */
static unsigned long tried[NR_KINDS];

struct buffer {
	int fd;
	size_t size;
	int access;		/* O_RDONLY, ... */
	int heap;
};

static struct buffer buffers[NR_BUFFERS];
static int nr_buffers, whole_left = NR_WHOLE;
static size_t largest_area;
static unsigned long call, undocumented;
static unsigned long arena, unmapped;
static uint64_t random_state;
static char *readonly, *argument;

#define PICK(array)	((array)[pick(ARRAY_SIZE(array))])

static uint64_t pick(uint64_t n)
{
	return rnd(&random_state) % n;
}

#define COMPLAIN(fmt, ...) do {						\
	ksft_print_msg("call %lu: " fmt "\n", call, ##__VA_ARGS__);	\
	undocumented++;							\
} while (0)

/* Not the libc's own, which would refuse some of it. */
static long try(enum kind k, const char *name, long nr, const long a[6])
{
	const long ret = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	const int error = ret < 0 ? errno : 0;
	bool fine = !error && kinds[k].ok;

	call++;
	for (size_t i = 0; error && i < ARRAY_SIZE(kinds[k].errnos); i++)
		fine |= error == kinds[k].errnos[i];
	tried[k] += kinds[k].ok == !error;
	if (!fine)
		COMPLAIN("kind %d: %s(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx): %s",
			 k, name, a[0], a[1], a[2], a[3], a[4], a[5],
			 strerror(error));
	return ret;
}

/*
 * A system call, which must end as those of its kind do. More arguments than it
 * has are there to be printed.
 */
#define TRY(k, name, ...)						\
	try(k, #name, SYS_##name, (const long [6]) { __VA_ARGS__ })

/* Where there is no memory that the kernel may read. */
static long bad_pointer(size_t size)
{
	const long bad[] = {
		0, unmapped, 0xffffffff81000000UL, -1,
		unmapped - 1 - pick(size - 1),	/* what begins well */
	};

	return PICK(bad);
}

static void bad_ioctl(enum kind k, int fd, unsigned long cmd, size_t size)
{
	const long bad = bad_pointer(size);

	/* A name of one byte that ends there is not bad. */
	if (k != NAME_FAULT || bad != (long)unmapped - 1)
		TRY(k, ioctl, fd, cmd, bad);
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
	const off_t asked = data->len;
	const int fd = lowest_fd();
	const long ret = TRY(k, ioctl, heaps[heap].fd, cmd, (long)data, asked,
			     (long)data->fd_flags << 32 | data->fd,
			     data->heap_flags);
	const off_t size = lseek(fd, 0, SEEK_END);

	/*
	 * The kernel installs the descriptor before it copies its number to
	 * the memory of the process, which is too late to fail.
	 */
	if (k == ALLOC_READONLY)
		close(fd);
	else if (ret && is_open(fd))
		COMPLAIN("failed and left a buffer");
	else if (!ret && (!is_open(fd) || (returns_fd &&
		 ((int)data->fd != fd || size < asked))))
		COMPLAIN("descriptor %u for %d, size %#lx", data->fd, fd, size);
	else if (!ret && (nr_buffers == NR_BUFFERS || size > (off_t)SZ_2M))
		close(fd);
	else if (!ret)
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

	switch (pick(6)) {
	case 0:
		TRY(HEAP_FILE, mmap, 0, 1, PROT_READ, MAP_SHARED, fd, 0);
		break;
	case 1:
		TRY(HEAP_FILE, lseek, fd, pick(2), pick(5));
		break;
	case 2:
		if (pick(2))
			TRY(HEAP_FILE, read, fd, (long)argument, 1);
		else
			TRY(HEAP_FILE, write, fd, (long)argument, 1);
		break;
	default:
		TRY(HEAP_UNKNOWN, ioctl, fd, cmd,
		    pick(2) ? (long)argument : bad_pointer(8));
	}
}

/* --- buffers -------------------------------------------------------------- */

static void abuse_sync(const struct buffer *b)
{
	struct dma_buf_sync sync = { .flags = pick(8) };
	const int what = pick(4);
	enum kind k = sync.flags & DMA_BUF_SYNC_RW ? SYNC : SYNC_INVALID;

	if (what == 0) {
		bad_ioctl(SYNC_FAULT, b->fd, DMA_BUF_IOCTL_SYNC, sizeof(sync));
		return;
	}
	if (what == 1) {
		sync.flags |= pick(2) ? 8ULL << pick(61) : -8ULL;
		k = SYNC_INVALID;
	}
	TRY(k, ioctl, b->fd, DMA_BUF_IOCTL_SYNC, (long)&sync, sync.flags);
}

static void abuse_name(const struct buffer *b)
{
	const unsigned long cmd = pick(2) ? DMA_BUF_SET_NAME_A :
					   DMA_BUF_SET_NAME_B;
	const size_t len = pick(3 * DMA_BUF_NAME_LEN);
	char name[3 * DMA_BUF_NAME_LEN] = "";

	memset(name, 1 + pick(255), len);
	if (pick(3))
		TRY(len < DMA_BUF_NAME_LEN ? NAME : NAME_LONG, ioctl, b->fd,
		    cmd, (long)name, len);
	else
		bad_ioctl(NAME_FAULT, b->fd, cmd, 2);
}

static void abuse_fences(const struct buffer *b)
{
	const unsigned long cmds[] = {
		DMA_BUF_IOCTL_EXPORT_SYNC_FILE, DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
	};
	const int bad_fds[] = { -1, b->fd, heaps[0].fd, 0, 1 << 30, 1023 };
	const int next = lowest_fd();
	const bool import = pick(2);
	struct dma_buf_export_sync_file file = {
		.flags = 1 + pick(3), .fd = -1,
	};
	long bad;

	switch (pick(4)) {
	case 0:
		file.flags = pick(2) ? pick(2) << pick(32) & ~3U : -1U;
		TRY(import ? IMPORT_INVALID : EXPORT_INVALID, ioctl, b->fd,
		    cmds[import], (long)&file, file.flags);
		break;
	case 1:
		/* What is only read may be in read-only memory. */
		bad = import || pick(2) ? bad_pointer(sizeof(file)) :
					  (long)in_readonly(&file, sizeof(file));
		TRY(import ? IMPORT_FAULT : EXPORT_FAULT, ioctl, b->fd,
		    cmds[import], bad);
		break;
	case 2:
		file.fd = PICK(bad_fds);
		TRY(IMPORT_INVALID, ioctl, b->fd, cmds[1], (long)&file,
		    file.fd);
		break;
	default:
		if (TRY(EXPORT, ioctl, b->fd, cmds[0], (long)&file, file.flags))
			break;
		file.flags = 1 + pick(3);
		TRY(IMPORT, ioctl, buffers[pick(nr_buffers)].fd, cmds[1],
		    (long)&file, file.flags);
		close(file.fd);
	}
	if (is_open(next))
		COMPLAIN("left a descriptor");
}

static void abuse_file(const struct buffer *b)
{
	const unsigned int size = pick(2) ? pick(64) : pick(ARGUMENT);
	const unsigned int cmd = _IOC(pick(4), pick(2) ? 'b' : 'z', pick(256),
				      size);
	struct pollfd pfd = { .fd = b->fd, .events = POLLIN | POLLOUT };
	struct timespec now = { };
	int fd;

	switch (pick(12)) {
	case 0:
		if (TRY(BUF_SEEK, lseek, b->fd, 0, SEEK_END) != (off_t)b->size)
			COMPLAIN("not the size");
		break;
	case 1:
		TRY(BUF_SEEK_INVALID, lseek, b->fd,
		    pick(2) ? 1 - 2 * (off_t)pick(2) : (off_t)b->size, pick(3));
		break;
	case 2:
		TRY(BUF_FILE, read, b->fd, (long)argument, 8);
		break;
	case 3:
		TRY(BUF_FILE, write, b->fd, (long)argument, 8);
		break;
	case 4:
		TRY(BUF_FILE, ftruncate, b->fd, 0);
		break;
	case 5:
		TRY(BUF_FILE, fallocate, b->fd, 0, 0, page_size);
		break;
	case 6:
		TRY(BUF_POLL, ppoll, (long)&pfd, 1, (long)&now, 0);
		break;
	case 7:
		fd = dup(b->fd);
		close(fd);
		TRY(CLOSED, ioctl, fd, DMA_BUF_IOCTL_SYNC, (long)argument);
		break;
	default:
		if (cmd == DMA_BUF_IOCTL_SYNC || cmd == DMA_BUF_SET_NAME_A ||
		    cmd == DMA_BUF_SET_NAME_B ||
		    cmd == DMA_BUF_IOCTL_EXPORT_SYNC_FILE ||
		    cmd == DMA_BUF_IOCTL_IMPORT_SYNC_FILE)
			break;
		TRY(BUF_UNKNOWN, ioctl, b->fd, cmd,
		    pick(2) ? (long)argument : bad_pointer(8));
	}
}

/* --- mappings ------------------------------------------------------------- */

/* What is not a buffer's in the arena is this, so that nobody else comes. */
static void refill(unsigned long at, size_t len)
{
	if (mmap((void *)at, len, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS |
		 MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		ksft_exit_fail_msg("arena: %s\n", strerror(errno));
}

static unsigned long place(size_t *len)
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
	const int more[] = {
		0, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE, MAP_STACK,
		MAP_NONBLOCK | MAP_POPULATE,
	};
	const int fixed = MAP_SHARED | MAP_FIXED;
	const int validate = MAP_FIXED | MAP_SHARED_VALIDATE;
	const bool no_read = b->access == O_WRONLY || b->access == 3;
	size_t len = 1 + pick((pages - from) * page_size), room;
	unsigned long at = place(&room), off = from * page_size;
	int prot = PICK(prots), flags = fixed | PICK(more);
	bool no_access = no_read ||
			 (b->access == O_RDONLY && prot & PROT_WRITE);
	enum kind k = MAP;
	long ret;

	if (len > room)
		len = room;
	/* Mainline has nothing to execute on the file system of dma-bufs. */
	if (prot & PROT_EXEC && on_mainline())
		k = MAP_EXEC;
	switch (k == MAP ? pick(8) : NR_KINDS) {
	case 0:
		flags ^= MAP_SHARED | MAP_PRIVATE;
		no_access = no_read;
		/* Of a heap over CMA there is none. */
		k = strcmp(heaps[b->heap].name, "system") ?
		    MAP_NEVER_PRIVATELY : MAP_PRIVATELY;
		break;
	case 1:
		len += (pages - from) * page_size;
		if (pick(2))
			off += pages * page_size;
		if (len > ARENA)
			return;
		at = arena;
		k = MAP_BEYOND;
		break;
	case 2: {
		const struct {
			unsigned long at, len, off;
			int flags;
		} invalid[] = {
			{ at, 0, 0, fixed },
			{ at, page_size, 1 + pick(page_size - 1), fixed },
			{ at + 1, page_size, 0, fixed },
			{ at, page_size, -page_size, fixed },
			{ at, page_size, 1UL << 63, fixed },
			{ at, 2 * page_size, -page_size, fixed },
			{ 0, -page_size, 0, MAP_SHARED },
			{ 0, -1, 0, MAP_SHARED },
			{ 0, 1UL << 62, 0, MAP_SHARED },
			{ -page_size, page_size, 0, fixed },
			{ at, page_size, 0, MAP_FIXED },
			{ at, page_size, 0, validate | MAP_SYNC },
			{ at, page_size, 0, validate | 1 << 24 },
			{ at, page_size, 0, fixed | MAP_GROWSDOWN },
			{ at, page_size, 0, fixed | MAP_HUGETLB },
		}, *i = &PICK(invalid);

		if (no_read)
			return;
		at = i->at;
		len = i->len;
		off = i->off;
		prot = PROT_READ;
		flags = i->flags;
		no_access = false;
		k = MAP_INVALID;
		break;
	}
	case 3:
		at = pick(2) ? 0 : at;
		flags = pick(2) ? MAP_SHARED : MAP_SHARED_VALIDATE;
		k = MAP_ELSEWHERE;
	}
	ret = TRY(no_access ? MAP_NO_ACCESS : k, mmap, at, len, prot, flags,
		  b->fd, off);
	if (ret >= 0 && k == MAP && prot & PROT_READ)
		LOAD((char *)at);
	if (ret >= 0 && k == MAP && prot & PROT_WRITE)
		STORE((char *)at + len - 1, 1);
	if (ret >= 0 && k == MAP_ELSEWHERE)
		munmap((void *)ret, len);
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
	unsigned long at = place(&len), to = place(&new_len);
	int what;
	long ret;

	(void)unused;
	switch (pick(8)) {
	case 0:
		TRY(UNMAP, munmap, at, len);
		refill(at, len);
		break;
	case 1:
		if (pick(2))
			at += 1 + pick(page_size - 1);
		else
			len = 0;
		TRY(UNMAP_INVALID, munmap, at, len);
		break;
	case 2:
		ret = TRY(REMAP, mremap, at, pick(4) ? len : 0, new_len,
			  pick(8), to);
		if (ret >= 0 && ret - arena >= ARENA)
			munmap((void *)ret, new_len);
		refill(arena, ARENA);
		break;
	case 3:
		what = pick(8) | (pick(8) ? 0 : 1 << pick(32));
		if (!(what & (PROT_GROWSDOWN | PROT_GROWSUP)))
			TRY(PROTECT, mprotect, at, len, what);
		break;
	case 4:		/* but never to poison pages */
		what = pick(26);
		TRY(ADVISE, madvise, at, len, pick(8) ? what : PICK(advices));
		break;
	case 5:
		TRY(LOCK, mlock2, at, len, pick(3));
		break;
	case 6:
		TRY(LOCK, munlock, at, len);
		break;
	default:
		TRY(MSYNC, msync, at, len, pick(8));
	}
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
	[12 ... 13] = abuse_file,
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

		/* or there was more than the log can hold */
		ok &= CHECK(line[0]);
		if (prefix / facilities || prefix % facilities >= debug)
			continue;
		if (strstr(line, ";chunk_heap: ") ||
		    strstr(line, ";chunk_heap_alloc")) {
			reasons++;
		} else if (!on_mainline() ||
			   !(strstr(line, ";cma: ") || strstr(line, ";=> ") ||
			     strstr(line, ";__cma_alloc_frozen: "))) {
			ksft_print_msg("log: %s", line);
			ok = false;
		}
	}
	return CHECK(reasons && reasons < MAX_REASONS) && ok;
}

/* That nothing goes wrong is no news where nothing was tried. */
static bool all_tried(void)
{
	bool ok = true;

	for (int k = 0; k < NR_KINDS; k++) {
		if (tried[k] || (k == MAP_EXEC && !on_mainline()))
			continue;
		ksft_print_msg("not once: kind %d\n", k);
		ok = false;
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
	arena = (unsigned long)map_new(MAP_SHARED | MAP_NORESERVE, ARENA);
	refill(arena, ARENA);
	argument = map_new(MAP_PRIVATE, room + page_size) + room - ARGUMENT;
	unmapped = (unsigned long)argument + ARGUMENT;
	mprotect((void *)unmapped, page_size, PROT_NONE);
	readonly = map_new(MAP_PRIVATE, page_size);
	used = cma_sum("used");
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &booted, NULL);
	log = kmsg_open();
	fds = nr_open();
	ksft_print_msg("seed %lu, %lu calls\n", seed, calls);

	ksft_set_plan(4);
	while (call < calls && undocumented < 10) {
		const int what = nr_buffers ? pick(ARRAY_SIZE(abuses)) : 0;

		abuses[what](&buffers[nr_buffers ? pick(nr_buffers) : 0]);
	}
	while (nr_buffers)
		close_buffer(buffers);
	munmap((void *)arena, ARENA);

	ksft_test_result(!undocumented, "each call ends as documented\n");
	ksft_test_result(CHECK(nr_open() == fds) & CHECK(cma_sum("used") == used),
			 "nothing is left allocated or open\n");
	ksft_test_result(log_is_quiet(log), "the kernel's log says what it must\n");
	ksft_test_result(all_tried(), "everything has been tried\n");
	ksft_finished();
}
