// SPDX-License-Identifier: GPL-2.0
/*
 * dmabuf-drivers PATH/mmap-gup
 *
 * Buffers of every heap in drivers of the tree: forwarded mappings and PRIME
 * import in vgem, scan-out and writeback in vkms, streaming in vim2m. The
 * frames are looked at, not only counted. And exporters of the tree: vivid,
 * which is declared to map pages, and bochs, whose buffers TTM moves.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/resource.h>

#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>

#include "util.h"

#define BUF_SIZE	(4 * SZ_1M)
#define WIDTH		640
#define HEIGHT		480
#define FRAME_SIZE	(WIDTH * 4 * HEIGHT)
#define FRAMES		12
#define STREAM_BUFS	3

/* A buffer and the CPU's view of it. */
struct buffer {
	int fd;
	size_t len;
	uint32_t *p;
};

static struct buffer buffer_get(int heap, size_t len)
{
	struct buffer b = { .fd = heap_alloc(heap, len), .len = len };

	b.p = require_map(b.fd, len, 0);
	return b;
}

static void fill(uint32_t *p, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len / 4; i++)
		p[i] = (seed + i) * 2654435761u;
}

static void paint(const struct buffer *b, uint32_t seed)
{
	heap_sync(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	fill(b->p, b->len, seed);
	heap_sync(b->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

/* Whether the CPU, which may read @b then, sees that @same holds. */
static bool compare(const struct buffer *a, const struct buffer *b,
		    bool (*same)(const struct buffer *, const struct buffer *))
{
	bool ok;

	heap_sync(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	ok = same(a, b);
	heap_sync(b->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	return ok;
}

/* DRM */

static int open_card(const char *driver)
{
	char path[32], name[32];

	for (int i = 0; i < 16; i++) {
		struct drm_version v = { .name = name, .name_len = 31 };
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR);
		memset(name, 0, sizeof(name));
		if (!ioctl(fd, DRM_IOCTL_VERSION, &v) && !strcmp(name, driver))
			return fd;
		close(fd);
	}
	ksft_print_msg("no %s\n", driver);
	exit(1);
}

static uint32_t prime_import(int card, int fd)
{
	struct drm_prime_handle arg = { .fd = fd };

	REQUIRE(!ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &arg));
	return arg.handle;
}

static int prime_export(int card, uint32_t handle)
{
	struct drm_prime_handle arg = { .handle = handle, .flags = DRM_RDWR };

	REQUIRE(!ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &arg));
	return arg.fd;
}

/* A dumb buffer. Returns where the card's file maps it. */
static uint64_t dumb_create(int card, uint32_t width, uint32_t height,
			    uint32_t *handle)
{
	struct drm_mode_create_dumb create = {
		.width = width, .height = height, .bpp = 32,
	};
	struct drm_mode_map_dumb map = { };

	REQUIRE(!ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &create));
	REQUIRE(create.size == width * 4ULL * height);
	*handle = create.handle;
	map.handle = create.handle;
	REQUIRE(!ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map));
	return map.offset;
}

/*
 * Every GEM object has an offset at which the card's file maps it, and an
 * imported one as well, but DRM tells it for the card's own objects only. The
 * offset is the lowest that is free, though: that of an object of the same
 * size which was there a moment ago.
 */
static uint64_t next_offset(int card, size_t len)
{
	struct drm_gem_close gone = { };
	uint64_t offset = dumb_create(card, len / SZ_4K, SZ_4K / 4, &gone.handle);

	ioctl(card, DRM_IOCTL_GEM_CLOSE, &gone);
	return offset;
}

static void test_vgem(int heap)
{
	const size_t last = BUF_SIZE / 4 - 1;
	const int card = open_card("vgem");
	const struct buffer b = buffer_get(heap, BUF_SIZE);
	const uint64_t offset = next_offset(card, BUF_SIZE);
	const uint32_t handle = prime_import(card, b.fd);
	struct stat st[2];
	uint32_t *q;
	int again;

	paint(&b, 1);
	q = require_map(card, BUF_SIZE, offset);
	CHECK(!memcmp(q, b.p, BUF_SIZE));
	CHECK(vma_has_flag(q, "pf"));
	CHECK(vma_has_flag(q, "de"));
	q[0] = 0x11111111;
	q[last] = 0x22222222;
	CHECK(b.p[0] == 0x11111111);
	CHECK(b.p[last] == 0x22222222);
	/* Not beyond the end, which is where the next object is. */
	CHECK(map_at(card, BUF_SIZE + page_size, offset) == MAP_FAILED);

	/* Exported again, it is the buffer that it always was. */
	again = prime_export(card, handle);
	CHECK(!fstat(b.fd, &st[0]) && !fstat(again, &st[1]));
	CHECK(st[0].st_ino == st[1].st_ino);

	/* The mapping outlives the handle, the card and the fds. */
	close(again);
	close(card);
	munmap(b.p, BUF_SIZE);
	close(b.fd);
	CHECK(q[0] == 0x11111111);
}

/* A display, or vkms's writeback connector in its place. */
struct display {
	int card;
	uint32_t crtc, conn;
	struct drm_mode_modeinfo mode;
};

/* The mode of a connector that has WIDTH and HEIGHT, if there is one. */
static bool find_mode(struct display *d, uint32_t conn, bool writeback)
{
	static struct drm_mode_modeinfo modes[128];
	struct drm_mode_get_connector look = { .connector_id = conn }, c = {
		.connector_id = conn,
		.modes_ptr = (uintptr_t)modes,
		.count_modes = ARRAY_SIZE(modes),
	};

	/* The first call makes the driver look, the second one fetches. */
	if (ioctl(d->card, DRM_IOCTL_MODE_GETCONNECTOR, &look) ||
	    ioctl(d->card, DRM_IOCTL_MODE_GETCONNECTOR, &c) ||
	    writeback != (c.connector_type == DRM_MODE_CONNECTOR_WRITEBACK))
		return false;
	for (size_t i = 0; i < c.count_modes && i < ARRAY_SIZE(modes); i++) {
		d->mode = modes[i];
		if (d->mode.hdisplay == WIDTH && d->mode.vdisplay == HEIGHT)
			return true;
	}
	return false;
}

static void display_get(struct display *d, bool writeback)
{
	uint32_t crtcs[8], conns[8], i = 0;
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)crtcs,
		.connector_id_ptr = (uintptr_t)conns,
		.count_crtcs = ARRAY_SIZE(crtcs),
		.count_connectors = ARRAY_SIZE(conns),
	};

	REQUIRE(!ioctl(d->card, DRM_IOCTL_MODE_GETRESOURCES, &res));
	REQUIRE(res.count_crtcs);
	REQUIRE(res.count_connectors <= ARRAY_SIZE(conns));
	while (i < res.count_connectors && !find_mode(d, conns[i], writeback))
		i++;
	REQUIRE(i < res.count_connectors);
	d->crtc = crtcs[0];
	d->conn = conns[i];
}

/* Returns a frame buffer. */
static uint32_t add_fb(int card, uint32_t handle, uint32_t width, uint32_t height)
{
	struct drm_mode_fb_cmd2 arg = {
		.width = width, .height = height,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.handles = { handle }, .pitches = { width * 4 },
	};

	REQUIRE(!ioctl(card, DRM_IOCTL_MODE_ADDFB2, &arg));
	return arg.fb_id;
}

/* Shows the frame buffer, or nothing if it is 0. */
static void scan_out(struct display *d, uint32_t fb)
{
	struct drm_mode_crtc set = {
		.crtc_id = d->crtc, .fb_id = fb,
		.set_connectors_ptr = (uintptr_t)&d->conn,
		.count_connectors = !!fb,
		.mode = d->mode, .mode_valid = !!fb,
	};

	CHECK(!ioctl(d->card, DRM_IOCTL_MODE_SETCRTC, &set));
}

/* vkms: a frame is composed from one buffer and written to another. */

/* A property of the connector. Its number differs from kernel to kernel. */
static uint32_t prop_id(struct display *d, const char *name)
{
	uint32_t ids[64];
	uint64_t values[64];
	struct drm_mode_obj_get_properties arg = {
		.props_ptr = (uintptr_t)ids,
		.prop_values_ptr = (uintptr_t)values,
		.count_props = ARRAY_SIZE(ids),
		.obj_id = d->conn, .obj_type = DRM_MODE_OBJECT_CONNECTOR,
	};

	REQUIRE(!ioctl(d->card, DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &arg));
	for (size_t i = 0; i < arg.count_props && i < ARRAY_SIZE(ids); i++) {
		struct drm_mode_get_property p = { .prop_id = ids[i] };

		if (!ioctl(d->card, DRM_IOCTL_MODE_GETPROPERTY, &p) &&
		    !strcmp(p.name, name))
			return ids[i];
	}
	ksft_print_msg("no property %s\n", name);
	exit(1);
}

static void wait_for_vblank(struct display *d)
{
	union drm_wait_vblank arg = {
		.request = { .type = _DRM_VBLANK_RELATIVE, .sequence = 1 },
	};

	CHECK(!ioctl(d->card, DRM_IOCTL_WAIT_VBLANK, &arg));
}

/* Has what is shown written to the frame buffer. */
static void write_back(struct display *d, uint32_t fb)
{
	int32_t fence = -1;
	const uint32_t count = 2, props[] = {
		prop_id(d, "WRITEBACK_FB_ID"),
		prop_id(d, "WRITEBACK_OUT_FENCE_PTR"),
	};
	const uint64_t values[] = { fb, (uintptr_t)&fence };
	struct drm_mode_atomic arg = {
		.count_objs = 1,
		.objs_ptr = (uintptr_t)&d->conn,
		.count_props_ptr = (uintptr_t)&count,
		.props_ptr = (uintptr_t)props,
		.prop_values_ptr = (uintptr_t)values,
	};
	struct pollfd pfd = { .events = POLLIN };

	wait_for_vblank(d);
	CHECK(!ioctl(d->card, DRM_IOCTL_MODE_ATOMIC, &arg));
	pfd.fd = fence;
	CHECK(poll(&pfd, 1, 20000) == 1 && pfd.revents & POLLIN);
}

static bool same_picture(const struct buffer *a, const struct buffer *b)
{
	/* The X of XRGB is nobody's. */
	for (size_t i = 0; i < FRAME_SIZE / 4; i++)
		if ((a->p[i] ^ b->p[i]) & 0xffffff)
			return false;
	return true;
}

static void test_vkms(int heap)
{
	struct drm_set_client_cap caps[] = {
		{ DRM_CLIENT_CAP_ATOMIC, 1 },
		{ DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1 },
	};
	struct display d = { .card = open_card("vkms") };
	struct buffer buf[2];
	uint32_t fb[2];

	for (int i = 0; i < 2; i++)
		REQUIRE(!ioctl(d.card, DRM_IOCTL_SET_CLIENT_CAP, &caps[i]));
	display_get(&d, true);
	/*
	 * A vblank while vkms queues a job makes it lose the job, and the buffer
	 * with it; one while it ends vblanks is a deadlock in v6.12. So they are
	 * rare, and both are done just after one.
	 */
	d.mode.clock /= 10;
	for (int i = 0; i < 2; i++) {
		buf[i] = buffer_get(heap, FRAME_SIZE);
		fb[i] = add_fb(d.card, prime_import(d.card, buf[i].fd), WIDTH,
			       HEIGHT);
	}
	for (int i = 0; i < 2; i++) {
		paint(&buf[0], 1000 * i);
		paint(&buf[1], 77);
		CHECK(!same_picture(&buf[0], &buf[1]));
		scan_out(&d, fb[0]);
		write_back(&d, fb[1]);
		CHECK(compare(&buf[0], &buf[1], same_picture));
	}
	wait_for_vblank(&d);
	scan_out(&d, 0);
}

/* V4L2; vim2m: from one queue to the other, upside down. */

static const enum v4l2_buf_type queue[] = {
	V4L2_BUF_TYPE_VIDEO_OUTPUT, V4L2_BUF_TYPE_VIDEO_CAPTURE
};

static void queue_buffer(int dev, enum v4l2_buf_type type, int index,
			 const struct buffer *b, size_t len)
{
	struct v4l2_buffer arg = {
		.index = index, .type = type, .memory = V4L2_MEMORY_DMABUF,
		.field = V4L2_FIELD_NONE, .bytesused = len,
		.length = b->len, .m.fd = b->fd,
	};

	CHECK(!ioctl(dev, VIDIOC_QBUF, &arg));
}

static int dequeue(int dev, enum v4l2_buf_type type)
{
	struct v4l2_buffer arg = { .type = type, .memory = V4L2_MEMORY_DMABUF };
	struct pollfd pfd = {
		.fd = dev,
		.events = V4L2_TYPE_IS_OUTPUT(type) ? POLLOUT : POLLIN,
	};

	REQUIRE(poll(&pfd, 1, 20000) == 1);
	REQUIRE(!ioctl(dev, VIDIOC_DQBUF, &arg));
	REQUIRE(!(arg.flags & V4L2_BUF_FLAG_ERROR));
	return arg.index;
}

static bool upside_down(const struct buffer *a, const struct buffer *b)
{
	const size_t line = 320 * 2;

	for (int y = 0; y < 240; y++)
		if (memcmp((char *)a->p + y * line,
			   (char *)b->p + (239 - y) * line, line))
			return false;
	return true;
}

static void test_vim2m(int heap)
{
	struct v4l2_control flip = { V4L2_CID_VFLIP, 1 };
	struct v4l2_control ms = { V4L2_CID_USER_BASE + 0x1000, 1 };
	struct buffer buf[2][STREAM_BUFS];
	int dev = open_video("vim2m", V4L2_CAP_VIDEO_M2M);
	size_t len[2];

	REQUIRE(!ioctl(dev, VIDIOC_S_CTRL, &flip));
	/* Without it a frame takes 40 ms, which is as well. */
	ioctl(dev, VIDIOC_S_CTRL, &ms);
	for (int k = 0; k < 2; k++) {
		len[k] = set_format(dev, queue[k], V4L2_MEMORY_DMABUF, 320, 240,
				    V4L2_PIX_FMT_RGB565, STREAM_BUFS);
		for (int i = 0; i < STREAM_BUFS; i++) {
			buf[k][i] = buffer_get(heap, (len[k] + page_size - 1) &
						     -page_size);
			paint(&buf[k][i], k ? 0 : 100 + i);
			queue_buffer(dev, queue[k], i, &buf[k][i], len[k]);
		}
		CHECK(!ioctl(dev, VIDIOC_STREAMON, &queue[k]));
	}
	for (int i = 0; i < FRAMES && !failed_checks; i++) {
		const int in = dequeue(dev, queue[0]);
		const int out = dequeue(dev, queue[1]);
		const struct buffer *full = &buf[0][in], *filled = &buf[1][out];

		CHECK(compare(full, filled, upside_down));
		/* The next frame is another one, in every buffer. */
		paint(full, 1000 + i);
		paint(filled, 0);
		queue_buffer(dev, queue[0], in, full, len[0]);
		queue_buffer(dev, queue[1], out, filled, len[1]);
	}
}

/* Whether somebody else gets hold of the page at @p, or fails as is right. */
static bool spliced(void *p, bool want)
{
	int fds[2];

	REQUIRE(!pipe(fds));
	return pin(fds[1], p, 1) ? want : !want && errno == EFAULT;
}

/*
 * An exporter that maps pages, and has said so: mmap() of its dma-buf works, and
 * nothing is said about it.
 */
static void exposes_pages(int fd)
{
	const off_t len = lseek(fd, 0, SEEK_END);
	int kmsg = kmsg_open();
	char *p = require_map(fd, len, 0);

	CHECK(!vma_has_flag(p, "pf"));
	memset(p, 0x5a, len);
	/* This is what "maps pages" means. */
	CHECK(spliced(p, true));
	munmap(p, len);
	CHECK(!kmsg_count(kmsg, "dma-buf: "));
}

/*
 * vivid's buffers come from videobuf2-vmalloc. In the same kernel, an exporter
 * that does not declare what it maps is refused.
 */
static void test_vivid(void)
{
	struct v4l2_requestbuffers req = {
		.count = 1,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};
	struct v4l2_exportbuffer expbuf = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.flags = O_RDWR | O_CLOEXEC,
	};
	int fd, dev = open_video("vivid", V4L2_CAP_VIDEO_CAPTURE);

	REQUIRE(!ioctl(dev, VIDIOC_REQBUFS, &req));
	REQUIRE(!ioctl(dev, VIDIOC_EXPBUF, &expbuf));
	exposes_pages(expbuf.fd);

	fd = exporter_alloc(EXPORTER_INSERT_PAGE, "test-drivers", SZ_64K);
	CHECK(map_at(fd, SZ_64K, 0) == MAP_FAILED && errno == EINVAL);
}

/* bochs: a buffer in system memory, which scan-out moves to the card's own. */

#define MOVE_WIDTH	2048
#define MOVE_HEIGHT	1024
#define MOVE_SIZE	(MOVE_WIDTH * 4 * MOVE_HEIGHT)

/* Whether there was no entry in the page table. */
static bool faults(const volatile uint32_t *p)
{
	struct rusage before, after;

	getrusage(RUSAGE_SELF, &before);
	(void)*p;
	getrusage(RUSAGE_SELF, &after);
	return before.ru_minflt != after.ru_minflt;
}

/*
 * GEM has one address_space for all buffers of a card, and tells them apart by
 * offset: what moves one must find all mappings of it, and no other.
 */
static void test_bochs(const char *mmap_gup)
{
	enum { DMABUF, FORWARDED, CARD, VIEWS };
	struct display d = { .card = open_card("bochs-drm") };
	uint32_t handle, other_handle, fb, *view[VIEWS], *other;
	const uint64_t offset = dumb_create(d.card, MOVE_WIDTH, MOVE_HEIGHT, &handle);
	const size_t last = MOVE_SIZE / 4 - 1;
	int fd, other_fd, imp, i;

	dumb_create(d.card, MOVE_WIDTH, 128, &other_handle);
	fd = prime_export(d.card, handle);
	other_fd = prime_export(d.card, other_handle);
	imp = importer_open(fd);
	view[DMABUF] = require_map(fd, MOVE_SIZE, 0);
	view[FORWARDED] = require_map(imp, MOVE_SIZE, 0);
	view[CARD] = require_map(d.card, MOVE_SIZE, offset);
	other = require_map(other_fd, SZ_1M, 0);

	/* In system memory. */
	fill(view[DMABUF], MOVE_SIZE, 0);
	*other = 42;
	for (i = 0; i < VIEWS; i++) {
		CHECK(!memcmp(view[i], view[DMABUF], MOVE_SIZE));
		CHECK(vma_has_flag(view[i], "pf"));
		CHECK(spliced(view[i], false));
	}
	run_mmap_gup(mmap_gup, fd, -1);
	fill(view[DMABUF], MOVE_SIZE, 0);
	for (i = 0; i < VIEWS; i++) {
		CHECK(!memcmp(view[i], view[DMABUF], MOVE_SIZE));
		CHECK(!faults(view[i]) && !faults(&view[i][last]));
	}
	CHECK(!faults(other));

	/* To where it is scanned out from; mainline's driver copies it there. */
	if (on_mainline())
		return;
	fb = add_fb(d.card, handle, MOVE_WIDTH, MOVE_HEIGHT);
	display_get(&d, false);
	scan_out(&d, fb);
	for (i = 0; i < VIEWS; i++)
		CHECK(faults(view[i]) && faults(&view[i][last]));
	CHECK(!faults(other) && *other == 42);
	for (i = 0; i < MOVE_SIZE / 4 && !failed_checks; i++)
		CHECK(view[DMABUF][i] == i * 2654435761u);
	for (i = 0; i < VIEWS; i++) {
		view[i][last] = i;
		CHECK(view[(i + 1) % VIEWS][last] == (uint32_t)i);
		CHECK(view[i][0] == 0);
		CHECK(spliced(view[i], false));
	}
	run_mmap_gup(mmap_gup, fd, -1);

	/* The mappings outlive everything else. */
	scan_out(&d, 0);
	close(imp);
	close(fd);
	close(other_fd);
	close(d.card);
	view[CARD][1] = 77;
	CHECK(view[DMABUF][1] == 77 && view[FORWARDED][1] == 77);
	CHECK(*other == 42);
}

static const struct {
	const char *name;
	void (*fn)(int heap);
} tests[] = {
	{ "vgem: PRIME import, forwarded mapping", test_vgem },
	{ "vkms: scan-out and writeback", test_vkms },
	{ "vim2m: V4L2_MEMORY_DMABUF streaming", test_vim2m },
};

int main(int argc, char **argv)
{
	ksft_print_header();
	if (argc != 2)
		ksft_exit_fail_msg("usage: %s PATH/mmap-gup\n", argv[0]);
	open_heaps();
	ksft_set_plan(nr_heaps * ARRAY_SIZE(tests) + 3);
	for (int i = 0; i < nr_heaps; i++)
		for (size_t k = 0; k < ARRAY_SIZE(tests); k++)
			TEST(tests[k].fn(heaps[i].fd), "%s: %s\n", heaps[i].name,
			     tests[k].name);
	TEST(test_vivid(), "vivid: mmap of a declared exporter\n");
	/* A GEM object says it in its functions, and DRM passes it on. */
	TEST(exposes_pages(exporter_alloc(EXPORTER_GEM_DECLARED, "",
					  page_size)),
	     "GEM: mmap of a declared exporter\n");
	TEST(test_bochs(argv[1]), "bochs: a buffer that moves while it is mapped\n");
	ksft_finished();
}
