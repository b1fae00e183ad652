// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping of a heap's buffer that is given to a driver as a user pointer is
 * refused: drivers take the pages behind a user pointer, and there are none.
 * The way to give the buffer to a driver is its file descriptor.
 *
 * V4L2_MEMORY_USERPTR is tried on vivid. udmabuf takes memfds and not pointers;
 * it is tried with the dma-buf itself. Of DRM's drivers, those with user
 * pointers (i915, amdgpu, radeon, nouveau, xe, etnaviv, exynos) need hardware;
 * vgem and vkms have none. What the core offers to all of them is tried by
 * tools/testing/selftests/dmabuf-heaps/mmap-gup.c.
 */
#define _GNU_SOURCE
#include <linux/udmabuf.h>

#include "util.h"

static size_t page_size, frame;	/* bytes of one frame, in whole pages */

/* A capture queue that takes one user pointer, or -1. */
static int open_vivid(void)
{
	struct v4l2_format f = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.fmt.pix = {
			.width = 320,
			.height = 180,
			.pixelformat = V4L2_PIX_FMT_YUYV,
		},
	};
	struct v4l2_requestbuffers req = {
		.count = 1,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_USERPTR,
	};
	int fd;

	fd = open_video("vivid", V4L2_CAP_VIDEO_CAPTURE);
	if (fd < 0)
		return -1;
	if (ioctl(fd, VIDIOC_S_FMT, &f) || ioctl(fd, VIDIOC_REQBUFS, &req)) {
		close(fd);
		return -1;
	}
	frame = (f.fmt.pix.sizeimage + page_size - 1) & -page_size;
	return fd;
}

/* Returns 0 or the errno with which the pointer was refused. */
static int queue(void *ptr)
{
	struct v4l2_buffer buf = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_USERPTR,
		.m.userptr = (uintptr_t)ptr,
		.length = frame,
	};
	int fd = open_vivid(), ret;

	if (fd < 0)
		return -1;
	ret = ioctl(fd, VIDIOC_QBUF, &buf) ? errno : 0;
	close(fd);
	return ret;
}

static bool refused(void *ptr, int want)
{
	int ret = queue(ptr);

	if (ret != want)
		ksft_print_msg("VIDIOC_QBUF: %d instead of %d\n", ret, want);
	return ret == want;
}

/* All of the frame, and only its last page: the others are like any memory. */
static bool test_userptr(int fd, bool last)
{
	const size_t off = last ? frame - page_size : 0;
	char *p = map_new(MAP_SHARED, frame);
	bool ok;

	ok = CHECK(mmap(p + off, frame - off, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED) &&
	     refused(p, EFAULT);
	munmap(p, frame);
	return ok;
}

static bool test_udmabuf(int fd)
{
	struct udmabuf_create create = { .memfd = fd, .size = frame };
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	bool ok = CHECK(dev >= 0) &&
		  CHECK(ioctl(dev, UDMABUF_CREATE, &create) < 0 &&
			errno == EBADFD);

	close(dev);
	return ok;
}

/* Where there are pages, the same is accepted. */
static bool test_anonymous(void)
{
	void *p = map_new(MAP_SHARED, frame);
	bool ok = refused(p, 0);

	munmap(p, frame);
	return ok;
}

int main(void)
{
	struct heap_list heaps;
	int i, heap, fd;

	ksft_print_header();
	page_size = sysconf(_SC_PAGESIZE);
	close(open_vivid());
	if (!frame)
		ksft_exit_fail_msg("no vivid that takes user pointers\n");

	heap_find(&heaps);
	ksft_set_plan(1 + 3 * heaps.nr);
	ksft_test_result(test_anonymous(), "anonymous memory is accepted\n");
	for (i = 0; i < heaps.nr; i++) {
		const char *name = heaps.name[i];

		heap = heap_open(name);
		fd = heap_alloc(heap, frame);
		ksft_test_result(test_userptr(fd, false),
				 "%s: V4L2_MEMORY_USERPTR\n", name);
		ksft_test_result(test_userptr(fd, true),
				 "%s: V4L2_MEMORY_USERPTR, the last page\n",
				 name);
		ksft_test_result(test_udmabuf(fd),
				 "%s: UDMABUF_CREATE\n", name);
		close(fd);
		close(heap);
	}
	ksft_finished();
}
