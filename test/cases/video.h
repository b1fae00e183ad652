/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VIDEO_H
#define VIDEO_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/videodev2.h>

/* The first video device of a driver that has some capabilities, or -1. */
static inline int open_video(const char *driver, uint32_t caps)
{
	struct v4l2_capability cap;
	char path[32];
	int i, fd;

	for (i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, VIDIOC_QUERYCAP, &cap) &&
		    !strcmp((char *)cap.driver, driver) &&
		    cap.device_caps & caps)
			return fd;
		close(fd);
	}
	return -1;
}

#endif /* VIDEO_H */
