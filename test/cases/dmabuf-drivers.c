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

/* A buffer and the CPU's view of it, or zeroes for none. */
struct buffer {
	int fd;
	size_t len;
	uint32_t *p;
};

static bool buffer_get(struct buffer *b, int heap, size_t len)
{
	b->len = len;
	b->fd = heap_alloc(heap, len);
	b->p = map_fd(b->fd, len);
	return CHECK(b->fd >= 0) && CHECK(b->p != MAP_FAILED);
}

static void buffer_put(struct buffer *b)
{
	if (b->len) {
		munmap(b->p, b->len);
		close(b->fd);
	}
}

static void paint(struct buffer *b, uint32_t seed)
{
	size_t i;

	heap_sync(b->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	for (i = 0; i < b->len / 4; i++)
		b->p[i] = (seed + i) * 2654435761u;
	heap_sync(b->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

/* DRM */

static int open_card(const char *driver)
{
	char path[32], name[32];
	int i, fd;

	for (i = 0; i < 16; i++) {
		struct drm_version v = { .name = name, .name_len = 31 };

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(name, 0, sizeof(name));
		if (!ioctl(fd, DRM_IOCTL_VERSION, &v) && !strcmp(name, driver))
			return fd;
		close(fd);
	}
	return -1;
}

static bool prime_import(int card, int fd, uint32_t *handle)
{
	struct drm_prime_handle arg = { .fd = fd };

	if (!CHECK(!ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &arg)))
		return false;
	*handle = arg.handle;
	return true;
}

static void gem_close(int card, uint32_t handle)
{
	struct drm_gem_close arg = { .handle = handle };

	ioctl(card, DRM_IOCTL_GEM_CLOSE, &arg);
}

/* A dumb buffer, and where the card's file maps it. */
static bool dumb_create(int card, uint32_t width, uint32_t height,
			uint32_t *handle, uint64_t *offset)
{
	struct drm_mode_create_dumb create = {
		.width = width, .height = height, .bpp = 32,
	};
	struct drm_mode_map_dumb map = { };

	if (!CHECK(!ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &create)))
		return false;
	map.handle = create.handle;
	*handle = create.handle;
	if (!CHECK(create.size == width * 4ULL * height) ||
	    !CHECK(!ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map)))
		return false;
	*offset = map.offset;
	return true;
}

/*
 * Every GEM object has an offset at which the card's file maps it, and an
 * imported one as well, but DRM tells it for the card's own objects only. The
 * offset is the lowest that is free, though: that of an object of the same
 * size which was there a moment ago.
 */
static bool next_offset(int card, size_t len, uint64_t *offset)
{
	uint32_t handle = 0;
	bool ok = dumb_create(card, len / SZ_4K, SZ_4K / 4, &handle, offset);

	gem_close(card, handle);
	return ok;
}

static void test_vgem(int heap)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	int card = open_card("vgem");
	struct drm_prime_handle export = { .flags = DRM_RDWR };
	struct buffer b = { };
	uint32_t handle, *q;
	uint64_t offset;
	struct stat st[2];

	if (!CHECK(card >= 0) || !buffer_get(&b, heap, BUF_SIZE) ||
	    !next_offset(card, BUF_SIZE, &offset) ||
	    !prime_import(card, b.fd, &handle)) {
		close(card);
		buffer_put(&b);
		return;
	}
	paint(&b, 1);
	q = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, card,
		 offset);
	if (CHECK(q != MAP_FAILED)) {
		CHECK(!memcmp(q, b.p, BUF_SIZE));
		CHECK(vma_has_flag(q, "pf"));
		CHECK(vma_has_flag(q, "de"));
		q[0] = 0x11111111;
		q[BUF_SIZE / 4 - 1] = 0x22222222;
		CHECK(b.p[0] == 0x11111111);
		CHECK(b.p[BUF_SIZE / 4 - 1] == 0x22222222);
		/* Not beyond the end, which is where the next object is. */
		CHECK(mmap(NULL, BUF_SIZE + page, PROT_READ, MAP_SHARED,
			   card, offset) == MAP_FAILED);
	}

	/* Exported again, it is the buffer that it always was. */
	export.handle = handle;
	if (CHECK(!ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export))) {
		CHECK(!fstat(b.fd, &st[0]) && !fstat(export.fd, &st[1]));
		CHECK(st[0].st_ino == st[1].st_ino);
		close(export.fd);
	}

	/* The mapping outlives the handle, the card and the fd. */
	close(card);
	buffer_put(&b);
	if (q != MAP_FAILED) {
		CHECK(q[0] == 0x11111111);
		munmap(q, BUF_SIZE);
	}
}

/* unmap_mapping_range() of an exporter, with a mapping through vgem. */
static void test_vgem_unmap(void)
{
	const int card = open_card("vgem");
	const int fd = exporter_alloc(EXPORTER_PFNMAP, "test-vgem", SZ_64K, 0);
	struct exporter_state st;
	uint32_t handle, *direct, *q;
	uint64_t offset, faults;

	if (!CHECK(card >= 0) || !CHECK(fd >= 0) ||
	    !next_offset(card, SZ_64K, &offset) ||
	    !prime_import(card, fd, &handle))
		return;
	direct = map_fd(fd, SZ_64K);
	q = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, card,
		 offset);
	if (!CHECK(direct != MAP_FAILED) || !CHECK(q != MAP_FAILED))
		return;
	*direct = 42;
	CHECK(*q == 42);
	CHECK(vma_has_flag(q, "pf"));

	CHECK(exporter_revoke(fd, true));
	CHECK(touch(direct) == SIGBUS);
	CHECK(touch(q) == SIGBUS);
	CHECK(exporter_revoke(fd, false));
	faults = exporter_look(fd).faults;
	CHECK(!touch(direct) && *direct == 42);
	CHECK(!touch(q) && *q == 42);
	CHECK(exporter_look(fd).faults == faults + 2);

	munmap(q, SZ_64K);
	munmap(direct, SZ_64K);
	close(card);
	st = exporter_look(fd);
	CHECK(st.mmaps == 2 && st.closes == st.opens + 2);
	CHECK(st.file_refs == 1);
	close(fd);
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
	uint32_t encoders[8], props[64];
	uint64_t values[64];
	struct drm_mode_get_connector c = {
		.connector_id = conn,
		.modes_ptr = (uintptr_t)modes,
		.encoders_ptr = (uintptr_t)encoders,
		.props_ptr = (uintptr_t)props,
		.prop_values_ptr = (uintptr_t)values,
	};

	/* The first call makes the driver look, the second one fetches. */
	if (ioctl(d->card, DRM_IOCTL_MODE_GETCONNECTOR, &c))
		return false;
	c.count_modes = ARRAY_SIZE(modes);
	c.count_encoders = ARRAY_SIZE(encoders);
	c.count_props = ARRAY_SIZE(props);
	if (ioctl(d->card, DRM_IOCTL_MODE_GETCONNECTOR, &c) || writeback !=
	    (c.connector_type == DRM_MODE_CONNECTOR_WRITEBACK))
		return false;
	for (size_t i = 0; i < c.count_modes && i < ARRAY_SIZE(modes); i++) {
		d->mode = modes[i];
		if (d->mode.hdisplay == WIDTH && d->mode.vdisplay == HEIGHT)
			return true;
	}
	return false;
}

static bool display_get(struct display *d, bool writeback)
{
	uint32_t crtcs[8], conns[8], encoders[8], i = 0;
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)crtcs,
		.connector_id_ptr = (uintptr_t)conns,
		.encoder_id_ptr = (uintptr_t)encoders,
		.count_crtcs = ARRAY_SIZE(crtcs),
		.count_connectors = ARRAY_SIZE(conns),
		.count_encoders = ARRAY_SIZE(encoders),
	};

	if (!CHECK(!ioctl(d->card, DRM_IOCTL_MODE_GETRESOURCES, &res)) ||
	    !CHECK(res.count_crtcs) ||
	    !CHECK(res.count_connectors <= ARRAY_SIZE(conns)))
		return false;
	while (i < res.count_connectors && !find_mode(d, conns[i], writeback))
		i++;
	d->crtc = crtcs[0];
	d->conn = conns[i % ARRAY_SIZE(conns)];
	return CHECK(i < res.count_connectors);
}

/* Returns a frame buffer, or 0. */
static uint32_t add_fb(int card, uint32_t handle, uint32_t width,
		       uint32_t height)
{
	struct drm_mode_fb_cmd2 arg = {
		.width = width,
		.height = height,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.handles = { handle },
		.pitches = { width * 4 },
	};

	return CHECK(!ioctl(card, DRM_IOCTL_MODE_ADDFB2, &arg)) ? arg.fb_id : 0;
}

/* Shows the frame buffer, or nothing if it is 0. */
static void scan_out(struct display *d, uint32_t fb)
{
	struct drm_mode_crtc set = { .crtc_id = d->crtc, .fb_id = fb };

	if (fb) {
		set.set_connectors_ptr = (uintptr_t)&d->conn;
		set.count_connectors = 1;
		set.mode = d->mode;
		set.mode_valid = 1;
	}
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
		.obj_id = d->conn,
		.obj_type = DRM_MODE_OBJECT_CONNECTOR,
	};

	if (ioctl(d->card, DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &arg))
		return 0;
	for (size_t i = 0; i < arg.count_props && i < ARRAY_SIZE(ids); i++) {
		struct drm_mode_get_property p = { .prop_id = ids[i] };

		if (!ioctl(d->card, DRM_IOCTL_MODE_GETPROPERTY, &p) &&
		    !strcmp(p.name, name))
			return ids[i];
	}
	return 0;
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

	CHECK(props[0] && props[1]);
	CHECK(!ioctl(d->card, DRM_IOCTL_MODE_ATOMIC, &arg));
	pfd.fd = fence;
	CHECK(poll(&pfd, 1, 20000) == 1 && pfd.revents & POLLIN);
	close(fence);
}

static bool same_picture(const struct buffer *a, const struct buffer *b)
{
	size_t i;

	/* The X of XRGB is nobody's. */
	for (i = 0; i < FRAME_SIZE / 4; i++)
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
	struct buffer buf[2] = { };
	uint32_t handle, fb[2];
	int i;

	CHECK(d.card >= 0);
	for (i = 0; i < 2; i++)
		CHECK(!ioctl(d.card, DRM_IOCTL_SET_CLIENT_CAP, &caps[i]));
	if (failed_checks || !display_get(&d, true))
		goto out;
	for (i = 0; i < 2; i++) {
		if (!buffer_get(&buf[i], heap, FRAME_SIZE) ||
		    !prime_import(d.card, buf[i].fd, &handle))
			goto out;
		fb[i] = add_fb(d.card, handle, WIDTH, HEIGHT);
	}
	for (i = 0; i < 2; i++) {
		paint(&buf[0], 1000 * i);
		paint(&buf[1], 77);
		CHECK(!same_picture(&buf[0], &buf[1]));
		scan_out(&d, fb[0]);
		write_back(&d, fb[1]);
		heap_sync(buf[1].fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		CHECK(same_picture(&buf[0], &buf[1]));
		heap_sync(buf[1].fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	}
	scan_out(&d, 0);
out:
	close(d.card);
	buffer_put(&buf[0]);
	buffer_put(&buf[1]);
}

/* V4L2; vim2m: from one queue to the other, upside down. */

static const enum v4l2_buf_type queue[] = {
	V4L2_BUF_TYPE_VIDEO_OUTPUT, V4L2_BUF_TYPE_VIDEO_CAPTURE
};

static bool set_format(int dev, enum v4l2_buf_type type, size_t *len)
{
	struct v4l2_format f = {
		.type = type,
		.fmt.pix = {
			.width = 320,
			.height = 240,
			.pixelformat = V4L2_PIX_FMT_RGB565,
			.field = V4L2_FIELD_NONE,
		},
	};
	struct v4l2_requestbuffers req = {
		.count = STREAM_BUFS,
		.type = type,
		.memory = V4L2_MEMORY_DMABUF,
	};

	if (!CHECK(!ioctl(dev, VIDIOC_S_FMT, &f)) ||
	    !CHECK(f.fmt.pix.width == 320 && f.fmt.pix.height == 240) ||
	    !CHECK(f.fmt.pix.pixelformat == V4L2_PIX_FMT_RGB565))
		return false;
	*len = f.fmt.pix.sizeimage;
	return CHECK(!ioctl(dev, VIDIOC_REQBUFS, &req)) &
	       CHECK(req.count == STREAM_BUFS);
}

static void queue_buffer(int dev, enum v4l2_buf_type type, int index,
			 const struct buffer *b, size_t len)
{
	struct v4l2_buffer arg = {
		.index = index,
		.type = type,
		.memory = V4L2_MEMORY_DMABUF,
		.field = V4L2_FIELD_NONE,
		.bytesused = len,
		.length = b->len,
		.m.fd = b->fd,
	};

	CHECK(!ioctl(dev, VIDIOC_QBUF, &arg));
}

static int dequeue(int dev, enum v4l2_buf_type type)
{
	struct v4l2_buffer arg = {
		.type = type,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct pollfd pfd = {
		.fd = dev,
		.events = V4L2_TYPE_IS_OUTPUT(type) ? POLLOUT : POLLIN,
	};

	if (!CHECK(poll(&pfd, 1, 20000) == 1) ||
	    !CHECK(!ioctl(dev, VIDIOC_DQBUF, &arg)) ||
	    !CHECK(!(arg.flags & V4L2_BUF_FLAG_ERROR)))
		return -1;
	return arg.index;
}

static bool upside_down(const struct buffer *a, const struct buffer *b)
{
	const size_t line = 320 * 2;
	int y;

	for (y = 0; y < 240; y++)
		if (memcmp((char *)a->p + y * line,
			   (char *)b->p + (239 - y) * line, line))
			return false;
	return true;
}

static void test_vim2m(int heap)
{
	struct v4l2_control flip = { .id = V4L2_CID_VFLIP, .value = 1 };
	struct v4l2_control ms = { .id = V4L2_CID_USER_BASE + 0x1000,
				   .value = 1 };
	struct buffer buf[2][STREAM_BUFS] = { };
	int dev = open_video("vim2m", V4L2_CAP_VIDEO_M2M);
	const size_t page = sysconf(_SC_PAGESIZE);
	size_t len[2] = { };
	int i, k, full, filled;

	if (!CHECK(dev >= 0) || !CHECK(!ioctl(dev, VIDIOC_S_CTRL, &flip)))
		return;
	/* Without it a frame takes 40 ms, which is as well. */
	ioctl(dev, VIDIOC_S_CTRL, &ms);
	for (k = 0; k < 2; k++) {
		if (!set_format(dev, queue[k], &len[k]))
			goto out;
		for (i = 0; i < STREAM_BUFS; i++) {
			struct buffer *b = &buf[k][i];

			if (!buffer_get(b, heap, (len[k] + page - 1) & -page))
				goto out;
			paint(b, k ? 0 : 100 + i);
			queue_buffer(dev, queue[k], i, b, len[k]);
		}
		CHECK(!ioctl(dev, VIDIOC_STREAMON, &queue[k]));
	}
	for (i = 0; i < FRAMES && !failed_checks; i++) {
		full = dequeue(dev, queue[0]);
		filled = full < 0 ? -1 : dequeue(dev, queue[1]);
		if (filled < 0)
			break;
		heap_sync(buf[1][filled].fd,
			  DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		CHECK(upside_down(&buf[0][full], &buf[1][filled]));
		heap_sync(buf[1][filled].fd,
			  DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
		/* The next frame is another one, in every buffer. */
		paint(&buf[0][full], 1000 + i);
		paint(&buf[1][filled], 0);
		queue_buffer(dev, queue[0], full, &buf[0][full], len[0]);
		queue_buffer(dev, queue[1], filled, &buf[1][filled], len[1]);
	}
out:
	close(dev);
	for (k = 0; k < 2; k++)
		for (i = 0; i < STREAM_BUFS; i++)
			buffer_put(&buf[k][i]);
}

/* Whether somebody else gets hold of the page at @p, or fails as is right. */
static bool spliced(void *p, bool want)
{
	bool got, ok;
	int fds[2];

	if (!CHECK(!pipe(fds)))
		return false;
	got = pin(fds[1], p, 1);
	ok = got ? want : !want && errno == EFAULT;
	close(fds[0]);
	close(fds[1]);
	return ok;
}

/*
 * An exporter that maps pages, and has said so: mmap() of its dma-buf works, and
 * nothing is said about it.
 */
static void exposes_pages(int fd)
{
	const off_t len = lseek(fd, 0, SEEK_END);
	int kmsg = kmsg_open();
	char *p = map_fd(fd, len);

	if (!CHECK(p != MAP_FAILED))
		return;
	CHECK(!vma_has_flag(p, "pf"));
	memset(p, 0x5a, len);
	/* This is what "maps pages" means. */
	CHECK(spliced(p, true));
	munmap(p, len);
	CHECK(!kmsg_count(kmsg, "dma-buf: "));
	close(kmsg);
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

	if (!CHECK(dev >= 0) || !CHECK(!ioctl(dev, VIDIOC_REQBUFS, &req)) ||
	    !CHECK(!ioctl(dev, VIDIOC_EXPBUF, &expbuf)))
		return;
	exposes_pages(expbuf.fd);
	close(expbuf.fd);
	close(dev);

	fd = exporter_alloc(EXPORTER_INSERT_PAGE, "test-drivers", SZ_64K, 0);
	CHECK(fd >= 0);
	CHECK(map_fd(fd, SZ_64K) == MAP_FAILED && errno == EINVAL);
	close(fd);
}

/* A GEM object says it in its functions, and DRM passes it on. */
static void test_gem(void)
{
	int fd = exporter_alloc(EXPORTER_GEM, "test-drivers",
				sysconf(_SC_PAGESIZE), 0);

	CHECK(fd >= 0);
	exposes_pages(fd);
	close(fd);
}

/* bochs: a buffer in system memory, which scan-out moves to the card's own. */

#define MOVE_WIDTH	2048
#define MOVE_HEIGHT	1024
#define MOVE_SIZE	(MOVE_WIDTH * 4 * MOVE_HEIGHT)

/* A dumb buffer of the card, and its dma-buf. */
static bool dumb_get(int card, uint32_t height, uint32_t *handle,
		     uint64_t *offset, int *fd)
{
	struct drm_prime_handle export = { .flags = DRM_RDWR | DRM_CLOEXEC };

	if (!dumb_create(card, MOVE_WIDTH, height, handle, offset))
		return false;
	export.handle = *handle;
	if (!CHECK(!ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export)))
		return false;
	*fd = export.fd;
	return true;
}

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
	int card = open_card("bochs-drm"), fd = -1, other_fd = -1, imp, i;
	struct display d = { .card = card };
	uint64_t offset, other_offset;
	uint32_t handle, other_handle, fb, *view[VIEWS], *other;
	const size_t last = MOVE_SIZE / 4 - 1;

	if (!CHECK(card >= 0) ||
	    !dumb_get(card, MOVE_HEIGHT, &handle, &offset, &fd) ||
	    !dumb_get(card, 128, &other_handle, &other_offset, &other_fd))
		return;
	imp = importer_open(fd);
	if (!CHECK(imp >= 0))
		return;
	view[DMABUF] = map_fd(fd, MOVE_SIZE);
	view[FORWARDED] = map_fd(imp, MOVE_SIZE);
	view[CARD] = mmap(NULL, MOVE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  card, offset);
	other = map_fd(other_fd, SZ_1M);
	for (i = 0; i < VIEWS; i++)
		if (!CHECK(view[i] != MAP_FAILED))
			return;
	if (!CHECK(other != MAP_FAILED))
		return;

	/* In system memory. */
	for (i = 0; i < MOVE_SIZE / 4; i++)
		view[DMABUF][i] = i * 2654435761u;
	*other = 42;
	for (i = 0; i < VIEWS; i++) {
		CHECK(!memcmp(view[i], view[DMABUF], MOVE_SIZE));
		CHECK(vma_has_flag(view[i], "pf"));
		CHECK(spliced(view[i], false));
	}
	run_mmap_gup(mmap_gup, fd, -1);
	for (i = 0; i < MOVE_SIZE / 4; i++)
		view[DMABUF][i] = i * 2654435761u;
	for (i = 0; i < VIEWS; i++)
		CHECK(!memcmp(view[i], view[DMABUF], MOVE_SIZE));
	for (i = 0; i < VIEWS; i++)
		CHECK(!faults(view[i]) && !faults(&view[i][last]));
	CHECK(!faults(other));

	/* To where it is scanned out from; mainline's driver copies it there. */
	if (on_mainline())
		return;
	fb = add_fb(card, handle, MOVE_WIDTH, MOVE_HEIGHT);
	if (!display_get(&d, false))
		return;
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
	close(card);
	view[CARD][1] = 77;
	CHECK(view[DMABUF][1] == 77 && view[FORWARDED][1] == 77);
	CHECK(*other == 42);
	for (i = 0; i < VIEWS; i++)
		munmap(view[i], MOVE_SIZE);
	munmap(other, SZ_1M);
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
	struct heap_list heaps;
	int i, heap;
	size_t k;

	ksft_print_header();
	if (argc != 2)
		ksft_exit_fail_msg("usage: %s PATH/mmap-gup\n", argv[0]);
	heap_find(&heaps);
	ksft_set_plan(heaps.nr * ARRAY_SIZE(tests) + 4);
	for (i = 0; i < heaps.nr; i++) {
		heap = heap_open(heaps.name[i]);
		for (k = 0; k < ARRAY_SIZE(tests); k++)
			TEST(tests[k].fn(heap), "%s: %s\n", heaps.name[i],
			     tests[k].name);
		close(heap);
	}
	TEST(test_vgem_unmap(),
	     "unmap_mapping_range with a mapping through vgem\n");
	TEST(test_vivid(), "vivid: mmap of a declared exporter\n");
	TEST(test_gem(), "GEM: mmap of a declared exporter\n");
	TEST(test_bochs(argv[1]), "bochs: a buffer that moves while it is mapped\n");
	ksft_finished();
}
