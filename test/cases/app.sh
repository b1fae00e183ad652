#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# app.sh - unmodified programs and buffers of each heap: the frames are the
# same, and the tracepoints of CMA say which heap has served
heaps=/dev/dma_heap t=/sys/kernel/tracing nr=0
check() { # NAME COMMAND...
	nr=$((nr + 1)) name=$1
	shift
	if "$@"; then
		echo "ok $nr $name"
	else
		echo "not ok $nr $name"
		sed 's/^/# /' /tmp/log
	fi
}

# capture CAMERA FRAMES DIR - by libcamera's own program
capture() {
	mkdir "$3" &&
		LIBCAMERA_LOG_LEVELS=DmaBufAllocator:DEBUG \
			cam -c "$1" -C"$2" -F"$3/" >/tmp/log 2>&1 </dev/null &&
		[ "$(md5sum "$3"/* | cut -c 1-32 | sort -u | wc -l)" = "$2" ]
}
served() { # BY... - as many lines, and no other, from each tracepoint
	grep -o 'cma_alloc[a-z_]*: name=[^ ]*' $t/trace | sort | uniq -c |
		sed 's/^ *//' >/tmp/served
	sed 's/^/# /' /tmp/served
	[ "$(cat /tmp/served)" = "$1" ] && grep -q "Using $heaps/linux,cma" /tmp/log
}
same() {
	for f in "$1"/*; do
		cmp "$f" "$2/${f##*/}" || return
	done
}

# libcamera opens linux,cma first.
for e in cma_alloc_bulk_finish cma_alloc_finish; do
	echo 1 >$t/events/cma/$e/enable
done
while read -r heap by; do
	ln -sfn "$heap" "$heaps/linux,cma"
	echo >$t/trace
	check "$heap: ten frames" capture Virtual0 10 "/tmp/$heap"
	check "$heap: from this heap" served "$by"
	[ "$heap" = system ] ||
		check "$heap: the same frames" same /tmp/system "/tmp/$heap"
done <<END
system
reserved 4 cma_alloc_finish: name=reserved
default_cma_region-chunked-64k 4 cma_alloc_bulk_finish: name=reserved
END

# vimc's pipeline has a driver behind it, whose buffers libcamera exports and then
# gives back to it as dma-bufs: nothing comes from a heap. That cam sees the frames
# is mmap() of an exporter that is declared to map pages.
echo >$t/trace
modprobe vimc
check "vimc: three frames" capture "platform/vimc.0 Sensor B" 3 /tmp/vimc
unserved() { ! grep cma_alloc $t/trace; }
check "vimc: from its driver" unserved

# v4l2-ctl takes the dma-bufs of another video device: of vivid, an exporter
# that is declared to map pages.
vivid() { grep -lx "vivid-00$1-vid-cap" /sys/class/video4linux/*/name | cut -d/ -f5; }
stream() {
	v4l2-ctl -d "/dev/$(vivid 0)" --export-device "/dev/$(vivid 1)" --stream-dmabuf \
		--stream-count=3 --stream-to=/tmp/v4l2 >/tmp/log 2>&1 </dev/null &&
		[ "$(wc -c </tmp/v4l2)" = $((3 * 640 * 360 * 2)) ]
}
check "vivid: three frames in dma-bufs of another device" stream

# igt's tests of the buffers of DRM's drivers and their mappings; DRIVER is for the
# program that takes any card. No test of igt's maps a dma-buf of another card than
# vgem without i915, amdgpu or xe: its kms_prime with vgem and vkms, in 2.5, fails
# as it asks which Intel device vkms is, with the series and without.
igt() { # DRIVER PROGRAM SUBTEST
	IGT_FORCE_DRIVER=$1 /igt/ld.so --library-path /igt "/igt/$2" \
		--run-subtest "$3" >/tmp/log 2>&1 </dev/null &&
		grep -q "$3: .*SUCCESS" /tmp/log
}
while read -r driver program tests; do
	for sub in $tests; do
		check "$driver: igt's $program, $sub" igt "$driver" "$program" "$sub"
	done
done <<END
vgem vgem_basic create mmap dmabuf-export dmabuf-mmap
vkms dumb_buffer map-valid map-uaf
bochs-drm dumb_buffer map-valid map-uaf
END
echo "1..$nr"
