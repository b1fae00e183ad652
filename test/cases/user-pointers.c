// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping of a heap's buffer that is given to a driver as a user pointer is
 * refused: drivers take the pages behind it, and there are none. udmabuf takes
 * memfds and not pointers: it is tried with the dma-buf itself. DRM's drivers
 * with user pointers need hardware; what the core offers to all drivers is
 * tried by tools/testing/selftests/dmabuf-heaps/mmap-gup.c.
 */
#define _GNU_SOURCE
#include <linux/udmabuf.h>

#include "util.h"

static size_t frame;	/* bytes of one frame, in whole pages */

/* A vivid that captures into user pointers. */
static int open_vivid(void)
{
	int fd = open_video("vivid", V4L2_CAP_VIDEO_CAPTURE);
	size_t len = set_format(fd, V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_MEMORY_USERPTR,
				320, 180, V4L2_PIX_FMT_YUYV, 1);

	frame = (len + page_size - 1) & -page_size;
	return fd;
}

/* With @want for an errno, or not at all if it is 0. */
static void refused(void *ptr, int want)
{
	struct v4l2_buffer buf = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_USERPTR,
		.m.userptr = (uintptr_t)ptr, .length = frame,
	};
	int ret = ioctl(open_vivid(), VIDIOC_QBUF, &buf) ? errno : 0;

	CHECK(ret == want);
}

/* All of the frame, and only its last page: the others are like any memory. */
static void test_userptr(int heap, bool last)
{
	const size_t off = last ? frame - page_size : 0;
	char *p = map_new(MAP_SHARED, frame);

	REQUIRE(mmap(p + off, frame - off, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, heap_alloc(heap, frame), 0) !=
		MAP_FAILED);
	refused(p, EFAULT);
}

static void test_udmabuf(int heap)
{
	int fd = heap_alloc(heap, frame), dev = open("/dev/udmabuf", O_RDWR);
	struct udmabuf_create create = { .memfd = fd, .size = frame };

	REQUIRE(fd >= 0 && dev >= 0);
	CHECK(ioctl(dev, UDMABUF_CREATE, &create) < 0 && errno == EBADFD);
}

int main(void)
{
	ksft_print_header();
	close(open_vivid());
	open_heaps();
	ksft_set_plan(1 + 3 * nr_heaps);
	/* Where there are pages, the same is accepted. */
	TEST(refused(map_new(MAP_SHARED, frame), 0),
	     "anonymous memory is accepted\n");
	for (const struct heap *h = heaps; h < heaps + nr_heaps; h++) {
		TEST(test_userptr(h->fd, false), "%s: V4L2_MEMORY_USERPTR\n",
		     h->name);
		TEST(test_userptr(h->fd, true),
		     "%s: V4L2_MEMORY_USERPTR, the last page\n", h->name);
		TEST(test_udmabuf(h->fd), "%s: UDMABUF_CREATE\n", h->name);
	}
	ksft_finished();
}
