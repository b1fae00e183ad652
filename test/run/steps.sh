# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check, sourced by check.sh. "step" is one check, by exit
# status; "tap" is as many as the command reports; "first" is one that STEP= runs
# before a later one, too. While a step needs one CPU, what is begun with "beside"
# keeps the other one busy.

# Kernels are built beside it; alone, it needs none.
host_side() { tap 'harness: host side' "$T/selftest/host.sh"; }

tap 'lint of the repository' "$T/lint/lint.sh"
[ -z "$only" ] || host_side
first 'kernel source' "$T/kernel/source.sh"
if first 'series applied' "$T/kernel/series.sh" apply; then
	step 'patches/ apply to the base and come out of format-patch unchanged' \
		"$T/kernel/series.sh" verify
	step 'the kernel tree is that of the series' "$T/kernel/series.sh" status
	step 'mails: git am and b4 am give the series again' \
		env FROM='A U Thor <author@example.org>' TO= \
		PREFIX= ASSISTED_BY= \
		"$T/kernel/mails.sh" "$LOGS/mails"
	beside main-kernel "$T/kernel/build.sh" main
	beside arm64-kernel env ARCH=arm64 "$T/kernel/build.sh" main
	beside debug-kernel "$T/kernel/build.sh" debug
	beside checkpatch "$T/lint/static.sh" checkpatch
	beside warnings "$T/lint/static.sh" warnings
	beside audit "$T/lint/mmap-audit.sh"
	[ -n "$only" ] || host_side
	step 'main kernel' "$T/kernel/build.sh" main
	step 'qemu-test' "$T/run/qemu.sh" test main
	step 'bench: the goals, and the figures in docs/ and patches/' \
		"$T/run/bench.sh"
	step 'bench: as a board runs it' "$T/run/board.sh"
	step 'virtio-mem: unplug with pinned pages' "$T/run/virtio-mem.sh"
	step 'large buffers while applications fill the memory' \
		"$T/run/heap-pressure.sh" 1
	step 'four CPUs at the same time, preempted' "$T/run/parallel.sh"
	step 'buffers while pipes hold pages of the area' \
		env LOADS=pipes HEAPS='cma chunk' REQUESTS=10 \
		"$T/run/heap-load.sh"
	step 'a heap on each of two areas' "$T/run/heap-areas.sh"
	step 'swiotlb: data behind bounce buffers' "$T/run/swiotlb.sh"
	tap 'harness: guest side' "$T/selftest/guest.sh"
	step 'arm64: qemu-test' env ARCH=arm64 "$T/run/qemu-test.sh" main
	step 'arm64: areas and devices of a device tree' \
		env ARCH=arm64 "$T/run/devicetree.sh"
	step 'qemu-debug' "$T/run/qemu-test.sh" debug
	tap 'harness: what the debug kernel finds' \
		"$T/selftest/guest.sh" debug
	tap 'checkpatch' awaited checkpatch
	tap 'no new warning in any patch' awaited warnings
	tap 'no warning in the modules of the tests' "$T/lint/static.sh" modules
	step 'the audit of mmap in exporters holds' awaited audit
else
	[ -n "$only" ] || host_side
	skip 'all other steps' 'no kernel with the series'
fi
