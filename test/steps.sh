# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check, sourced by check.sh. "step" is one check, by exit
# status; "tap" is as many as the command reports; "first" is one that STEP= runs
# before a later one, too. While a step needs one CPU, what is begun with "beside"
# keeps the other one busy.

# Kernels are built beside it; alone, it needs none.
host_side() { tap 'harness: host side' "$T/self/host.sh"; }

tap 'lint of the repository' "$T/static/lint.sh"
[ -z "$only" ] || host_side
first 'kernel source' "$T/tree/source.sh"
if first 'series applied' "$T/tree/series.sh" apply; then
	step 'patches/ apply to the base and come out of format-patch unchanged' \
		"$T/tree/series.sh" verify
	step 'the kernel tree is that of the series' "$T/tree/series.sh" status
	step 'mails: git am and b4 am give the series again' \
		env FROM='A U Thor <author@example.org>' TO= \
		PREFIX= ASSISTED_BY= \
		"$T/tree/mails.sh" "$LOGS/mails"
	beside main-kernel "$T/tree/build.sh" main
	beside arm64-kernel env ARCH=arm64 "$T/tree/build.sh" main
	beside debug-kernel "$T/tree/build.sh" debug
	beside checkpatch "$T/static/static.sh" checkpatch
	beside warnings "$T/static/static.sh" warnings
	beside audit "$T/static/mmap-audit.sh"
	[ -n "$only" ] || host_side
	step 'main kernel' "$T/tree/build.sh" main
	step 'qemu-test' "$T/guest/qemu.sh" test main
	step 'bench: the goals, and the figures in docs/ and patches/' \
		"$T/bench/bench.sh"
	step 'bench: as a board runs it' "$T/bench/board-test.sh"
	step 'virtio-mem: unplug with pinned pages' "$T/guest/qemu.sh" \
		test main PLAN=virtio-mem
	step 'large buffers while applications fill the memory' \
		"$T/guest/qemu.sh" test main PLAN=heap-pressure
	step 'four CPUs at the same time, preempted' "$T/guest/qemu.sh" \
		test main PLAN=parallel
	step 'buffers while pipes hold pages of the area' \
		"$T/bench/heap-load.sh" LOADS=pipes HEAPS='cma chunk' \
		REQUESTS=10
	step 'a heap on each of two areas' "$T/guest/qemu.sh" \
		test main PLAN=heap-areas
	step 'swiotlb: data behind bounce buffers' "$T/guest/qemu.sh" \
		test main PLAN=swiotlb
	tap 'harness: guest side' "$T/self/guest.sh"
	step 'arm64: qemu-test' env ARCH=arm64 "$T/guest/qemu-test.sh" main
	step 'arm64: areas and devices of a device tree' \
		env ARCH=arm64 "$T/guest/qemu.sh" test main PLAN=devicetree
	step 'qemu-debug' "$T/guest/qemu-test.sh" debug
	tap 'harness: what the debug kernel finds' \
		"$T/self/guest.sh" debug
	tap 'checkpatch' awaited checkpatch
	tap 'no new warning in any patch' awaited warnings
	tap 'no warning in the modules of the tests' "$T/static/static.sh" modules
	step 'the audit of mmap in exporters holds' awaited audit
else
	[ -n "$only" ] || host_side
	skip 'all other steps' 'no kernel with the series'
fi
