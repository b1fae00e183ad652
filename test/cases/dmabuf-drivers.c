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
#include <linux/videodev2.h>

#include "util.h"
#include "video.h"

#define BUF_SIZE	(4 * SZ_1M)
#define WIDTH		640
#define HEIGHT		480
#define PITCH		(WIDTH * 4)
#define FRAME_SIZE	(PITCH * HEIGHT)
#define FRAMES		12
#define STREAM_BUFS	3

/* A buffer and the CPU's view of it. */
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
	munmap(b->p, b->len);
	close(b->fd);
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

static bool test_vgem(int heap)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	int card = open_card("vgem");
	struct drm_prime_handle export = { .flags = DRM_RDWR };
	struct buffer b;
	uint32_t handle, *q;
	uint64_t offset;
	struct stat st[2];
	bool ok = true;

	if (!CHECK(card >= 0))
		return false;
	if (!buffer_get(&b, heap, BUF_SIZE) ||
	    !next_offset(card, BUF_SIZE, &offset) ||
	    !prime_import(card, b.fd, &handle)) {
		close(card);
		buffer_put(&b);
		return false;
	}
	paint(&b, 1);
	q = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, card,
		 offset);
	ok &= CHECK(q != MAP_FAILED);
	if (ok) {
		ok &= CHECK(!memcmp(q, b.p, BUF_SIZE));
		ok &= CHECK(vma_has_flag(q, "pf"));
		ok &= CHECK(vma_has_flag(q, "de"));
		q[0] = 0x11111111;
		q[BUF_SIZE / 4 - 1] = 0x22222222;
		ok &= CHECK(b.p[0] == 0x11111111);
		ok &= CHECK(b.p[BUF_SIZE / 4 - 1] == 0x22222222);
		/* Not beyond the end, which is where the next object is. */
		ok &= CHECK(mmap(NULL, BUF_SIZE + page, PROT_READ, MAP_SHARED,
				 card, offset) == MAP_FAILED);
	}

	/* Exported again, it is the buffer that it always was. */
	export.handle = handle;
	if (CHECK(!ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &export))) {
		ok &= CHECK(!fstat(b.fd, &st[0]) && !fstat(export.fd, &st[1]));
		ok &= CHECK(st[0].st_ino == st[1].st_ino);
		close(export.fd);
	} else {
		ok = false;
	}

	/* The mapping outlives the handle, the card and the fd. */
	gem_close(card, handle);
	close(card);
	buffer_put(&b);
	if (q != MAP_FAILED) {
		ok &= CHECK(q[0] == 0x11111111);
		munmap(q, BUF_SIZE);
	}
	return ok;
}

/* unmap_mapping_range() of an exporter, with a mapping through vgem. */
static bool test_vgem_unmap(void)
{
	const int card = open_card("vgem");
	const int fd = exporter_alloc(EXPORTER_PFNMAP, "test-vgem", SZ_64K, 0);
	struct exporter_state st;
	uint32_t handle, *direct, *q;
	uint64_t offset, faults;
	bool ok = true;

	if (!CHECK(card >= 0) || !CHECK(fd >= 0) ||
	    !next_offset(card, SZ_64K, &offset) ||
	    !prime_import(card, fd, &handle))
		return false;
	direct = map_fd(fd, SZ_64K);
	q = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, card,
		 offset);
	if (!CHECK(direct != MAP_FAILED) || !CHECK(q != MAP_FAILED))
		return false;
	*direct = 42;
	ok &= CHECK(*q == 42);
	ok &= CHECK(vma_has_flag(q, "pf"));

	ok &= CHECK(exporter_revoke(fd, true));
	ok &= CHECK(touch(direct) == SIGBUS);
	ok &= CHECK(touch(q) == SIGBUS);
	ok &= CHECK(exporter_revoke(fd, false));
	faults = exporter_look(fd).faults;
	ok &= CHECK(!touch(direct) && *direct == 42);
	ok &= CHECK(!touch(q) && *q == 42);
	ok &= CHECK(exporter_look(fd).faults == faults + 2);

	munmap(q, SZ_64K);
	munmap(direct, SZ_64K);
	gem_close(card, handle);
	close(card);
	st = exporter_look(fd);
	ok &= CHECK(st.mmaps == 2 && st.closes == st.opens + 2);
	ok &= CHECK(st.file_refs == 1);
	close(fd);
	return ok;
}

/* vkms: a frame is composed from one buffer and written to another. */

/* Properties are known by number, and differ from kernel to kernel. */
static uint32_t prop_id(int card, uint32_t obj, uint32_t type,
			const char *name, uint64_t *value)
{
	uint32_t ids[64];
	uint64_t values[64];
	struct drm_mode_obj_get_properties arg = {
		.props_ptr = (uintptr_t)ids,
		.prop_values_ptr = (uintptr_t)values,
		.count_props = 64,
		.obj_id = obj,
		.obj_type = type,
	};
	unsigned int i;

	if (ioctl(card, DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &arg))
		return 0;
	for (i = 0; i < arg.count_props && i < 64; i++) {
		struct drm_mode_get_property p = { .prop_id = ids[i] };

		if (ioctl(card, DRM_IOCTL_MODE_GETPROPERTY, &p) ||
		    strcmp(p.name, name))
			continue;
		if (value)
			*value = values[i];
		return ids[i];
	}
	return 0;
}

/* A value for a property. Those of one object follow one another. */
struct prop {
	uint32_t obj, type;
	const char *name;
	uint64_t value;
};

static bool commit(int card, const struct prop *list, size_t nr, uint32_t flags)
{
	uint32_t objs[8], counts[8] = { }, props[64];
	uint64_t values[64];
	struct drm_mode_atomic arg = {
		.flags = flags,
		.objs_ptr = (uintptr_t)objs,
		.count_props_ptr = (uintptr_t)counts,
		.props_ptr = (uintptr_t)props,
		.prop_values_ptr = (uintptr_t)values,
	};

	for (size_t i = 0; i < nr; i++) {
		const struct prop *p = &list[i];

		props[i] = prop_id(card, p->obj, p->type, p->name, NULL);
		values[i] = p->value;
		if (!CHECK(props[i])) {
			ksft_print_msg("object %u has no %s\n", p->obj, p->name);
			return false;
		}
		if (!i || p->obj != p[-1].obj)
			objs[arg.count_objs++] = p->obj;
		counts[arg.count_objs - 1]++;
	}
	return CHECK(!ioctl(card, DRM_IOCTL_MODE_ATOMIC, &arg));
}

#define MAX_MODES	128

/* The modes of a connector, how many there are, or -1. */
static int get_modes(int card, uint32_t conn, struct drm_mode_modeinfo *modes,
		     uint32_t *type)
{
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
	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &c))
		return -1;
	c.count_modes = MAX_MODES;
	c.count_encoders = ARRAY_SIZE(encoders);
	c.count_props = ARRAY_SIZE(props);
	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &c))
		return -1;
	*type = c.connector_type;
	return c.count_modes < MAX_MODES ? c.count_modes : MAX_MODES;
}

struct resources {
	uint32_t crtcs[8], conns[8], nr_conns;
};

static bool get_resources(int card, struct resources *r)
{
	uint32_t encoders[8];
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)r->crtcs,
		.connector_id_ptr = (uintptr_t)r->conns,
		.encoder_id_ptr = (uintptr_t)encoders,
		.count_crtcs = ARRAY_SIZE(r->crtcs),
		.count_connectors = ARRAY_SIZE(r->conns),
		.count_encoders = ARRAY_SIZE(encoders),
	};

	if (!CHECK(!ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &res)))
		return false;
	r->nr_conns = res.count_connectors;
	return CHECK(res.count_crtcs) & CHECK(r->nr_conns) &
	       CHECK(r->nr_conns <= ARRAY_SIZE(r->conns));
}

struct display {
	int card;
	uint32_t crtc, plane, wb, mode_blob;
};

static bool find_mode(struct display *d, uint32_t conn)
{
	static struct drm_mode_modeinfo modes[MAX_MODES];
	struct drm_mode_create_blob blob = { .length = sizeof(modes[0]) };
	uint32_t type;
	const int nr = get_modes(d->card, conn, modes, &type);

	if (nr >= 0 && type == DRM_MODE_CONNECTOR_WRITEBACK) {
		d->wb = conn;
		return true;
	}
	for (int i = 0; i < nr; i++) {
		if (modes[i].hdisplay != WIDTH || modes[i].vdisplay != HEIGHT)
			continue;
		blob.data = (uintptr_t)&modes[i];
		if (ioctl(d->card, DRM_IOCTL_MODE_CREATEPROPBLOB, &blob))
			return false;
		d->mode_blob = blob.blob_id;
		return true;
	}
	return false;
}

static bool display_get(struct display *d)
{
	struct drm_set_client_cap caps[] = {
		{ DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1 },
		{ DRM_CLIENT_CAP_ATOMIC, 1 },
		{ DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1 },
	};
	uint32_t planes[32];
	struct drm_mode_get_plane_res plane_res = {
		.plane_id_ptr = (uintptr_t)planes,
		.count_planes = ARRAY_SIZE(planes),
	};
	struct resources res;
	uint64_t type;
	unsigned int i;

	memset(d, 0, sizeof(*d));
	d->card = open_card("vkms");
	if (!CHECK(d->card >= 0))
		return false;
	for (i = 0; i < ARRAY_SIZE(caps); i++)
		if (!CHECK(!ioctl(d->card, DRM_IOCTL_SET_CLIENT_CAP, &caps[i])))
			return false;
	if (!get_resources(d->card, &res) ||
	    !CHECK(!ioctl(d->card, DRM_IOCTL_MODE_GETPLANERESOURCES,
			  &plane_res)))
		return false;
	d->crtc = res.crtcs[0];
	for (i = 0; i < res.nr_conns; i++)
		if (!CHECK(find_mode(d, res.conns[i])))
			return false;
	for (i = 0; i < plane_res.count_planes && i < ARRAY_SIZE(planes); i++)
		if (prop_id(d->card, planes[i], DRM_MODE_OBJECT_PLANE, "type",
			    &type) && type == 1 /* primary */)
			d->plane = planes[i];
	return CHECK(d->mode_blob) & CHECK(d->wb) & CHECK(d->plane);
}

static bool frame_buffer(struct display *d, struct buffer *b, uint32_t *handle,
			 uint32_t *fb)
{
	struct drm_mode_fb_cmd2 arg = {
		.width = WIDTH,
		.height = HEIGHT,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.pitches = { PITCH },
	};

	if (!prime_import(d->card, b->fd, handle))
		return false;
	arg.handles[0] = *handle;
	if (!CHECK(!ioctl(d->card, DRM_IOCTL_MODE_ADDFB2, &arg)))
		return false;
	*fb = arg.fb_id;
	return true;
}

#define CRTC		DRM_MODE_OBJECT_CRTC
#define PLANE		DRM_MODE_OBJECT_PLANE
#define CONNECTOR	DRM_MODE_OBJECT_CONNECTOR

/* Scans @fb out, and has the picture written to @wb_fb. */
static bool show(struct display *d, uint32_t fb, uint32_t wb_fb)
{
	int32_t fence = -1;
	const struct prop props[] = {
		{ d->crtc, CRTC, "MODE_ID", d->mode_blob },
		{ d->crtc, CRTC, "ACTIVE", 1 },
		{ d->plane, PLANE, "FB_ID", fb },
		{ d->plane, PLANE, "CRTC_ID", d->crtc },
		{ d->plane, PLANE, "SRC_X", 0 },
		{ d->plane, PLANE, "SRC_Y", 0 },
		{ d->plane, PLANE, "SRC_W", (uint64_t)WIDTH << 16 },
		{ d->plane, PLANE, "SRC_H", (uint64_t)HEIGHT << 16 },
		{ d->plane, PLANE, "CRTC_X", 0 },
		{ d->plane, PLANE, "CRTC_Y", 0 },
		{ d->plane, PLANE, "CRTC_W", WIDTH },
		{ d->plane, PLANE, "CRTC_H", HEIGHT },
		{ d->wb, CONNECTOR, "CRTC_ID", d->crtc },
		{ d->wb, CONNECTOR, "WRITEBACK_FB_ID", wb_fb },
		{ d->wb, CONNECTOR, "WRITEBACK_OUT_FENCE_PTR", (uintptr_t)&fence },
	};
	const size_t nr = ARRAY_SIZE(props);
	struct pollfd pfd = { .events = POLLIN };
	bool ok;

	/*
	 * The mode, without a picture to write, then that. Only the writeback:
	 * vkms does not clone it with the display.
	 */
	if (!commit(d->card, props, nr - 2, DRM_MODE_ATOMIC_ALLOW_MODESET) ||
	    !commit(d->card, props + 2, nr - 2, 0) || !CHECK(fence >= 0))
		return false;
	pfd.fd = fence;
	ok = CHECK(poll(&pfd, 1, 20000) == 1 && pfd.revents & POLLIN);
	close(fence);
	return ok;
}

static bool show_nothing(struct display *d)
{
	const struct prop props[] = {
		{ d->wb, CONNECTOR, "CRTC_ID", 0 }, { d->crtc, CRTC, "MODE_ID", 0 },
		{ d->crtc, CRTC, "ACTIVE", 0 }, { d->plane, PLANE, "CRTC_ID", 0 },
		{ d->plane, PLANE, "FB_ID", 0 },
	};

	return commit(d->card, props, ARRAY_SIZE(props),
		      DRM_MODE_ATOMIC_ALLOW_MODESET);
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

static bool test_vkms(int heap)
{
	struct buffer src = { .fd = -1, .p = MAP_FAILED }, dst = src;
	uint32_t handle[2] = { }, fb[2] = { };
	struct display d;
	bool ok;
	int i;

	ok = display_get(&d) && buffer_get(&src, heap, FRAME_SIZE) &&
	     buffer_get(&dst, heap, FRAME_SIZE) &&
	     frame_buffer(&d, &src, &handle[0], &fb[0]) &&
	     frame_buffer(&d, &dst, &handle[1], &fb[1]);
	for (i = 0; i < 2 && ok; i++) {
		paint(&src, 1000 * i);
		paint(&dst, 77);
		ok &= CHECK(!same_picture(&src, &dst));
		ok &= show(&d, fb[0], fb[1]);
		heap_sync(dst.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		ok &= CHECK(same_picture(&src, &dst));
		heap_sync(dst.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	}
	if (d.crtc && d.plane && d.wb)
		ok &= show_nothing(&d);
	for (i = 0; i < 2; i++) {
		if (fb[i])
			ioctl(d.card, DRM_IOCTL_MODE_RMFB, &fb[i]);
		if (handle[i])
			gem_close(d.card, handle[i]);
	}
	close(d.card);
	buffer_put(&src);
	buffer_put(&dst);
	return ok;
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

static bool queue_buffer(int dev, enum v4l2_buf_type type, int index,
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

	return CHECK(!ioctl(dev, VIDIOC_QBUF, &arg));
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

static bool test_vim2m(int heap)
{
	struct v4l2_control flip = { .id = V4L2_CID_VFLIP, .value = 1 };
	struct v4l2_control ms = { .id = V4L2_CID_USER_BASE + 0x1000,
				   .value = 1 };
	struct buffer buf[2][STREAM_BUFS];
	int dev = open_video("vim2m", V4L2_CAP_VIDEO_M2M);
	const size_t page = sysconf(_SC_PAGESIZE);
	size_t len[2] = { };
	int i, k, in, out;
	bool ok = true;

	for (k = 0; k < 2; k++)
		for (i = 0; i < STREAM_BUFS; i++)
			buf[k][i] = (struct buffer){ -1, 0, MAP_FAILED };
	if (!CHECK(dev >= 0) || !CHECK(!ioctl(dev, VIDIOC_S_CTRL, &flip)))
		return false;
	/* Without it a frame takes 40 ms, which is as well. */
	ioctl(dev, VIDIOC_S_CTRL, &ms);
	for (k = 0; k < 2; k++)
		ok &= set_format(dev, queue[k], &len[k]);
	for (k = 0; k < 2 && ok; k++)
		for (i = 0; i < STREAM_BUFS && ok; i++)
			ok &= buffer_get(&buf[k][i], heap,
					 (len[k] + page - 1) & -page);
	for (k = 0; k < 2 && ok; k++) {
		int type = queue[k];

		for (i = 0; i < STREAM_BUFS; i++) {
			paint(&buf[k][i], k ? 0 : 100 + i);
			ok &= queue_buffer(dev, type, i, &buf[k][i], len[k]);
		}
		ok &= CHECK(!ioctl(dev, VIDIOC_STREAMON, &type));
	}
	for (i = 0; i < FRAMES && ok; i++) {
		in = dequeue(dev, queue[0]);
		out = in < 0 ? -1 : dequeue(dev, queue[1]);
		if (out < 0) {
			ok = false;
			break;
		}
		heap_sync(buf[1][out].fd,
			  DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		ok &= CHECK(upside_down(&buf[0][in], &buf[1][out]));
		heap_sync(buf[1][out].fd,
			  DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
		/* The next frame is another one, in every buffer. */
		paint(&buf[0][in], 1000 + i);
		paint(&buf[1][out], 0);
		ok &= queue_buffer(dev, queue[0], in, &buf[0][in], len[0]);
		ok &= queue_buffer(dev, queue[1], out, &buf[1][out], len[1]);
	}
	for (k = 0; k < 2; k++) {
		int type = queue[k];

		ioctl(dev, VIDIOC_STREAMOFF, &type);
	}
	close(dev);
	for (k = 0; k < 2; k++)
		for (i = 0; i < STREAM_BUFS; i++)
			buffer_put(&buf[k][i]);
	return ok;
}

/*
 * An exporter that maps pages, and has said so: mmap() of its dma-buf works, and
 * nothing is said about it.
 */
static bool exposes_pages(int fd)
{
	const off_t len = lseek(fd, 0, SEEK_END);
	int kmsg = kmsg_open(), fds[2];
	char *p = map_fd(fd, len);
	bool ok;

	if (!CHECK(p != MAP_FAILED) || !CHECK(!pipe(fds)))
		return false;
	ok = CHECK(!vma_has_flag(p, "pf"));
	memset(p, 0x5a, len);
	/* This is what "maps pages" means. */
	ok &= CHECK(pin(fds[1], p, 1));
	munmap(p, len);
	ok &= CHECK(!kmsg_count(kmsg, "dma-buf: "));
	close(kmsg);
	close(fds[0]);
	close(fds[1]);
	return ok;
}

/*
 * vivid's buffers come from videobuf2-vmalloc. In the same kernel, an exporter
 * that does not declare what it maps is refused.
 */
static bool test_vivid(void)
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
	int dev = open_video("vivid", V4L2_CAP_VIDEO_CAPTURE);
	bool ok;
	int fd;

	if (!CHECK(dev >= 0) || !CHECK(!ioctl(dev, VIDIOC_REQBUFS, &req)) ||
	    !CHECK(!ioctl(dev, VIDIOC_EXPBUF, &expbuf)))
		return false;
	ok = exposes_pages(expbuf.fd);
	close(expbuf.fd);
	close(dev);

	fd = exporter_alloc(EXPORTER_INSERT_PAGE, "test-drivers", SZ_64K, 0);
	ok &= CHECK(fd >= 0) && CHECK(map_fd(fd, SZ_64K) == MAP_FAILED) &&
	      CHECK(errno == EINVAL);
	close(fd);
	return ok;
}

/* A GEM object says it in its functions, and DRM passes it on. */
static bool test_gem(void)
{
	int fd = exporter_alloc(EXPORTER_GEM, "test-drivers",
				sysconf(_SC_PAGESIZE), 0);
	bool ok = CHECK(fd >= 0) && exposes_pages(fd);

	close(fd);
	return ok;
}

/* bochs: a buffer in system memory, which scan-out moves to the card's own. */

#define MOVE_WIDTH	2048
#define MOVE_HEIGHT	1024
#define MOVE_PITCH	(MOVE_WIDTH * 4)
#define MOVE_SIZE	(MOVE_PITCH * MOVE_HEIGHT)

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

/* Shows the frame buffer, or nothing if it is 0. */
static bool scan_out(int card, uint32_t fb)
{
	static struct drm_mode_modeinfo modes[MAX_MODES];
	struct drm_mode_crtc set = { .fb_id = fb };
	struct resources res;
	uint32_t type;
	int i, nr;

	if (!get_resources(card, &res))
		return false;
	set.crtc_id = res.crtcs[0];
	if (fb) {
		nr = get_modes(card, res.conns[0], modes, &type);
		for (i = 0; i < nr; i++)
			if (modes[i].hdisplay <= MOVE_WIDTH &&
			    modes[i].vdisplay <= MOVE_HEIGHT)
				break;
		if (!CHECK(i < nr))
			return false;
		set.set_connectors_ptr = (uintptr_t)res.conns;
		set.count_connectors = 1;
		set.mode = modes[i];
		set.mode_valid = 1;
	}
	return CHECK(!ioctl(card, DRM_IOCTL_MODE_SETCRTC, &set));
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

static bool spliced(void *p)
{
	bool got;
	int fds[2];

	if (!CHECK(!pipe(fds)))
		return true;
	got = pin(fds[1], p, 1) || errno != EFAULT;
	close(fds[0]);
	close(fds[1]);
	return got;
}

/*
 * GEM has one address_space for all buffers of a card, and tells them apart by
 * offset: what moves one must find all mappings of it, and no other.
 */
static bool test_bochs(const char *mmap_gup)
{
	enum { DMABUF, FORWARDED, CARD, VIEWS };
	int card = open_card("bochs-drm"), fd = -1, other_fd = -1, imp, i;
	struct drm_mode_fb_cmd2 fb = {
		.width = MOVE_WIDTH,
		.height = MOVE_HEIGHT,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.pitches = { MOVE_PITCH },
	};
	uint64_t offset, other_offset;
	uint32_t handle, other_handle, *view[VIEWS], *other;
	const size_t last = MOVE_SIZE / 4 - 1;
	bool ok = true;

	if (!CHECK(card >= 0) ||
	    !dumb_get(card, MOVE_HEIGHT, &handle, &offset, &fd) ||
	    !dumb_get(card, 128, &other_handle, &other_offset, &other_fd))
		return false;
	imp = importer_open(fd);
	if (!CHECK(imp >= 0))
		return false;
	view[DMABUF] = map_fd(fd, MOVE_SIZE);
	view[FORWARDED] = map_fd(imp, MOVE_SIZE);
	view[CARD] = mmap(NULL, MOVE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  card, offset);
	other = map_fd(other_fd, SZ_1M);
	for (i = 0; i < VIEWS; i++)
		if (!CHECK(view[i] != MAP_FAILED))
			return false;
	if (!CHECK(other != MAP_FAILED))
		return false;

	/* In system memory. */
	for (i = 0; i < MOVE_SIZE / 4; i++)
		view[DMABUF][i] = i * 2654435761u;
	*other = 42;
	for (i = 0; i < VIEWS; i++) {
		ok &= CHECK(!memcmp(view[i], view[DMABUF], MOVE_SIZE));
		ok &= CHECK(vma_has_flag(view[i], "pf"));
		ok &= CHECK(!spliced(view[i]));
	}
	ok &= run_mmap_gup(mmap_gup, fd, -1);
	for (i = 0; i < MOVE_SIZE / 4; i++)
		view[DMABUF][i] = i * 2654435761u;
	for (i = 0; i < VIEWS; i++)
		ok &= CHECK(!memcmp(view[i], view[DMABUF], MOVE_SIZE));
	for (i = 0; i < VIEWS; i++)
		ok &= CHECK(!faults(view[i]) && !faults(&view[i][last]));
	ok &= CHECK(!faults(other));

	/* To where it is scanned out from. */
	fb.handles[0] = handle;
	if (!CHECK(!ioctl(card, DRM_IOCTL_MODE_ADDFB2, &fb)) ||
	    !scan_out(card, fb.fb_id))
		return false;
	for (i = 0; i < VIEWS; i++)
		ok &= CHECK(faults(view[i])) & CHECK(faults(&view[i][last]));
	ok &= CHECK(!faults(other) && *other == 42);
	for (i = 0; i < MOVE_SIZE / 4 && ok; i++)
		ok &= CHECK(view[DMABUF][i] == i * 2654435761u);
	for (i = 0; i < VIEWS; i++) {
		view[i][last] = i;
		ok &= CHECK(view[(i + 1) % VIEWS][last] == (uint32_t)i);
		ok &= CHECK(view[i][0] == 0);
		ok &= CHECK(!spliced(view[i]));
	}
	ok &= run_mmap_gup(mmap_gup, fd, -1);

	/* The mappings outlive everything else. */
	ok &= scan_out(card, 0);
	ioctl(card, DRM_IOCTL_MODE_RMFB, &fb.fb_id);
	gem_close(card, handle);
	gem_close(card, other_handle);
	close(imp);
	close(fd);
	close(other_fd);
	close(card);
	view[CARD][1] = 77;
	ok &= CHECK(view[DMABUF][1] == 77 && view[FORWARDED][1] == 77);
	ok &= CHECK(*other == 42);
	for (i = 0; i < VIEWS; i++)
		munmap(view[i], MOVE_SIZE);
	munmap(other, SZ_1M);
	return ok;
}

static const struct {
	const char *name;
	bool (*fn)(int heap);
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
			ksft_test_result(heap >= 0 && tests[k].fn(heap),
					 "%s: %s\n", heaps.name[i],
					 tests[k].name);
		close(heap);
	}
	ksft_test_result(test_vgem_unmap(),
			 "unmap_mapping_range with a mapping through vgem\n");
	ksft_test_result(test_vivid(), "vivid: mmap of a declared exporter\n");
	ksft_test_result(test_gem(), "GEM: mmap of a declared exporter\n");
	ksft_test_result(test_bochs(argv[1]),
			 "bochs: a buffer that moves while it is mapped\n");
	ksft_finished();
}
