# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check, sourced by check.sh. Each has a name, for STEP=,
# and a sentence. "step" is one check, by exit status; "tap" is as many as the
# command reports; "first" is one that STEP= runs before a later one, too. While
# a step needs one CPU, what is begun with "beside" keeps the other one busy.

# Kernels are built beside it; alone, it needs none.
host_side() { tap host 'the harness, host side' "$T/self/host.sh"; }
# What is begun last; alone, it needs nothing of mainline.
looked_at() {
	tap warnings 'no new warning in any patch' awaited warnings
	step mmap-audit 'the audit of mmap in exporters holds' awaited audit
}

beside mainline-source env BASE=mainline "$T/tree/source.sh"
beside mainline-series env BASE=mainline "$T/tree/series.sh" apply
tap lint 'the scripts and texts of the repository' "$T/static/lint.sh"
[ -z "$only" ] || host_side
first source 'the kernel source' "$T/tree/source.sh"
if first series 'the series applied' "$T/tree/series.sh" apply; then
	step verify 'patches/ apply to the base and come out of format-patch unchanged' \
		"$T/tree/series.sh" verify
	step status 'the kernel tree is that of the series' "$T/tree/series.sh" status
	step mails 'git am and b4 am give the series again' \
		env FROM='A U Thor <author@example.org>' TO= PREFIX= ASSISTED_BY= \
		"$T/tree/mails.sh" "$LOGS/mails"
	beside main-kernel "$T/tree/build.sh" main
	beside arm64-kernel env ARCH=arm64 "$T/tree/build.sh" main
	beside mainline-kernel env BASE=mainline "$T/tree/build.sh" main
	# Half as fast beside other guests.
	beside mainline-qemu-test env BASE=mainline SLOW=$((2 * ${SLOW:-1})) \
		"$T/guest/qemu.sh" test main
	beside warnings "$T/static/static.sh" warnings
	beside audit "$T/static/mmap-audit.sh"
	beside mainline-checkpatch env BASE=mainline "$T/static/static.sh" checkpatch
	[ -n "$only" ] || host_side
	step main-kernel 'the main kernel' "$T/tree/build.sh" main
	step qemu-test 'the tests on the main kernel' "$T/guest/qemu.sh" test main
	step bench 'the goals, and the figures in docs/ and patches/' "$T/bench/bench.sh"
	step board 'the benchmark as a board runs it' "$T/bench/board-test.sh"
	step virtio-mem 'unplug with pinned pages' "$T/guest/qemu.sh" test main PLAN=virtio-mem
	step heap-pressure 'large buffers while applications fill the memory' \
		"$T/guest/qemu.sh" test main PLAN=heap-pressure
	step parallel 'four CPUs at the same time, preempted' \
		"$T/guest/qemu.sh" test main PLAN=parallel
	step pipes 'buffers while pipes hold pages of the area' \
		"$T/bench/heap-load.sh" LOADS=pipes HEAPS='cma chunk' REQUESTS=10
	step heap-areas 'a heap on each of two areas' "$T/guest/qemu.sh" test main PLAN=heap-areas
	step swiotlb 'data behind bounce buffers' "$T/guest/qemu.sh" test main PLAN=swiotlb
	tap guest 'the harness, guest side' "$T/self/guest.sh"
	step arm64 'the tests on arm64' built ARCH=arm64 "$T/guest/qemu.sh" test main
	step devicetree 'areas and devices of a device tree, on arm64' \
		env ARCH=arm64 "$T/guest/qemu.sh" test main PLAN=devicetree
	tap checkpatch 'checkpatch has nothing to say' "$T/static/static.sh" checkpatch
	tap modules 'no warning in the modules of the tests' "$T/static/static.sh" modules
	[ -z "$only" ] || looked_at
	# Last, since what a single step needs is not needed by those above.
	if first mainline-source 'the source of mainline' awaited mainline-source &&
		first mainline-series 'mainline: the series applied' \
			awaited mainline-series; then
		step mainline-verify 'mainline: patches/ apply and come out unchanged' \
			env BASE=mainline "$T/tree/series.sh" verify
		step mainline-mails 'mainline: git am and b4 am give the series again' \
			env BASE=mainline FROM='A U Thor <author@example.org>' TO= \
			PREFIX= ASSISTED_BY= "$T/tree/mails.sh" "$LOGS/mainline-mails"
		tap mainline-checkpatch 'mainline: checkpatch has nothing to say' \
			awaited mainline-checkpatch
		step mainline-kernel 'mainline: the main kernel' awaited mainline-kernel
		step mainline-qemu-test 'mainline: the tests on the main kernel' \
			awaited mainline-qemu-test
	fi
	[ -n "$only" ] || looked_at
else
	[ -n "$only" ] || host_side
	skip others 'no kernel with the series'
fi
