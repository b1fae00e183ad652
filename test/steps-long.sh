# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check-long, sourced by check.sh: what takes too long for
# make check.

first source 'the kernel source' "$T/tree/source.sh"
if first series 'the series applied' "$T/tree/series.sh" apply &&
	first base 'the base, without the series' "$T/tree/series.sh" base; then
	step main-kernel 'the main kernel' "$T/tree/build.sh" main
	beside base-kernel "$T/tree/build.sh" base
	beside kunit-kernel "$T/static/kunit.sh" build
	beside configs "$T/static/static.sh" configs
	step app 'applications that nobody here wrote' \
		"$T/tree/app-build.sh" "$T/guest/qemu.sh" test main PLAN=app
	step bench-load 'buffers while a device does other things' "$T/bench/heap-load.sh"
	step heap-pressure-2 'large buffers, with another seed' \
		"$T/guest/qemu.sh" test main PLAN=heap-pressure APPEND=seed=2
	step heap-pressure-3 'large buffers, with a third seed' \
		"$T/guest/qemu.sh" test main PLAN=heap-pressure APPEND=seed=3
	step base-kernel 'the kernel without the series' "$T/tree/build.sh" base
	step baseline 'the tests fail without the series' "$T/guest/qemu.sh" test base
	step baseline-virtio-mem 'unplug with pinned pages, without the series' \
		"$T/guest/qemu.sh" test base PLAN=virtio-mem
	step cma-fit 'where cma_alloc() puts what it allocates' "$T/bench/cma-fit.sh"
	step kunit 'kunit.py run, from the patched tree' "$T/static/kunit.sh" run
	tap configs 'other configurations build' awaited configs
	step kunit-arm 'kunit.py run on 32-bit arm, chunks in HighMem' "$T/static/kunit.sh" run arm
	step 16k 'the tests on arm64, with pages of 16 KiB' \
		built ARCH=arm64 PAGE_SIZE=16k "$T/guest/qemu.sh" test main
	step 64k 'the tests on arm64, with pages of 64 KiB' \
		built ARCH=arm64 PAGE_SIZE=64k "$T/guest/qemu.sh" test main
	step mte 'memory tags, on arm64' built ARCH=arm64 "$T/guest/qemu.sh" test mte PLAN=mte
	step coverage 'the tests execute what the series adds' "$T/self/coverage.sh"
	tap patches 'each patch builds, boots and passes the suites that it has by then' \
		"$T/static/patches.sh"
	step qemu-debug 'the tests on the debug kernel' \
		built "$T/guest/qemu.sh" test debug
	tap guest-debug 'what the debug kernel finds' "$T/self/guest.sh" debug
	step virtio-mem-debug 'unplug with pinned pages, on the debug kernel' \
		"$T/guest/qemu.sh" test debug PLAN=virtio-mem
	step parallel-debug 'the debug kernel on four CPUs at the same time' \
		"$T/guest/qemu.sh" test debug PLAN=parallel
	step parallel-rt 'PREEMPT_RT on four CPUs at the same time' \
		built "$T/guest/qemu.sh" test rt PLAN=parallel
	step heap-areas-rt 'PREEMPT_RT, a heap on an area of each of two nodes' \
		"$T/guest/qemu.sh" test rt PLAN=heap-areas
	step parallel-kcsan 'data races, on four CPUs at the same time' \
		built "$T/guest/qemu.sh" test kcsan PLAN=parallel
	if first mainline-source 'the source of mainline' \
		env BASE=mainline "$T/tree/source.sh" &&
		first mainline-series 'mainline: the series applied' \
			env BASE=mainline "$T/tree/series.sh" apply; then
		step mainline-debug 'mainline: the tests on the debug kernel' \
			built BASE=mainline "$T/guest/qemu.sh" test debug
		step mainline-arm64 'mainline: the tests on arm64' \
			built BASE=mainline ARCH=arm64 "$T/guest/qemu.sh" test main
		step mainline-virtio-mem 'mainline: unplug with pinned pages' \
			built BASE=mainline "$T/guest/qemu.sh" test main PLAN=virtio-mem
		step mainline-bench 'mainline: the benchmark' \
			built BASE=mainline "$T/bench/bench.sh"
		tap mainline-warnings 'mainline: no new warning in any patch' \
			env BASE=mainline "$T/static/static.sh" warnings
		step mainline-mmap-audit 'mainline: the audit of mmap in exporters holds' \
			env BASE=mainline "$T/static/mmap-audit.sh"
	fi
else
	skip others 'no kernel with the series, or none without'
fi
