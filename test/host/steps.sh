# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check, sourced by check.sh. "step" is one check, by exit
# status; "tap" is as many as the command reports. While guests run on one CPU,
# what is begun with "beside" keeps the other one busy.

tap 'lint of the repository' "$HOST/lint.sh"
tap 'harness: host side' "$TOP/test/harness/host.sh"
step 'kernel source' "$HOST/source.sh"
if step 'series applied' "$HOST/series.sh" apply; then
	step 'patches/ apply to the base and come out of format-patch unchanged' \
		"$HOST/series.sh" verify
	step 'the kernel tree is that of the series' "$HOST/series.sh" status
	step 'main kernel' "$HOST/build.sh" main
	beside debug-kernel "$HOST/build.sh" debug
	beside kunit-kernel "$HOST/kunit.sh" build
	beside checkpatch "$HOST/static.sh" checkpatch
	beside warnings "$HOST/static.sh" warnings
	beside configs "$HOST/static.sh" configs
	beside audit "$HOST/mmap-audit.sh"
	step 'qemu-test' "$HOST/qemu.sh" test main
	step 'bench: the goals, and the figures in docs/ and patches/' \
		"$HOST/bench.sh"
	step 'bench: as a board runs it' "$HOST/board.sh"
	step 'virtio-mem: unplug with pinned pages' "$HOST/virtio-mem.sh"
	step 'large buffers while applications fill the memory' \
		"$HOST/heap-pressure.sh" 1
	step 'four CPUs at the same time, preempted' "$HOST/parallel.sh"
	step 'buffers while pipes hold pages of the area' \
		env LOADS=pipes HEAPS='cma chunk' REQUESTS=10 \
		"$HOST/heap-load.sh"
	step 'a heap on each of two areas' "$HOST/heap-areas.sh"
	step 'swiotlb: data behind bounce buffers' "$HOST/swiotlb.sh"
	tap 'harness: guest side' "$TOP/test/harness/guest.sh"
	step 'qemu-debug' "$HOST/qemu-test.sh" debug
	tap 'harness: what the debug kernel finds' \
		"$TOP/test/harness/guest.sh" debug
	step 'kunit.py run, from the patched tree' "$HOST/kunit.sh" run
	tap 'checkpatch' result checkpatch
	tap 'no new warning in any patch' result warnings
	tap 'other configurations build' result configs
	step 'the audit of mmap in exporters holds' result audit
else
	skip 'all other steps' 'no kernel with the series'
fi
