# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check-long, sourced by check.sh: what takes too long for
# make check.

first 'kernel source' "$T/tree/source.sh"
if first 'series applied' "$T/tree/series.sh" apply &&
	first 'the base, without the series' "$T/tree/series.sh" base; then
	step 'main kernel' "$T/tree/build.sh" main
	beside base-kernel "$T/tree/build.sh" base
	beside kunit-kernel "$T/static/kunit.sh" build
	beside configs "$T/static/static.sh" configs
	step 'bench-load: buffers while a device does other things' \
		"$T/bench/heap-load.sh"
	step 'large buffers while applications fill the memory, others' \
		"$T/guest/qemu.sh" test main PLAN=heap-pressure APPEND=seed=2
	step 'large buffers while applications fill the memory, once more' \
		"$T/guest/qemu.sh" test main PLAN=heap-pressure APPEND=seed=3
	step 'kernel without the series' "$T/tree/build.sh" base
	step 'baseline: the tests fail without the series' \
		"$T/guest/qemu.sh" test base
	step 'baseline: virtio-mem' "$T/guest/qemu.sh" test base PLAN=virtio-mem
	step 'cma-fit: where cma_alloc() puts what it allocates' \
		"$T/bench/cma-fit.sh"
	step 'kunit.py run, from the patched tree' "$T/static/kunit.sh" run
	tap 'other configurations build' awaited configs
	tap 'the heap compiles for 32-bit arm, and for other pages of arm64' \
		"$T/static/static.sh" arm
	step 'kunit.py run on 32-bit arm, chunks in HighMem' \
		"$T/static/kunit.sh" run arm
	step 'arm64: kernel with pages of 16 KiB' \
		env ARCH=arm64 PAGE_SIZE=16k "$T/tree/build.sh" main
	step 'arm64: qemu-test, pages of 16 KiB' \
		env ARCH=arm64 PAGE_SIZE=16k "$T/guest/qemu.sh" test main
	step 'arm64: kernel with pages of 64 KiB' \
		env ARCH=arm64 PAGE_SIZE=64k "$T/tree/build.sh" main
	step 'arm64: qemu-test, pages of 64 KiB' \
		env ARCH=arm64 PAGE_SIZE=64k "$T/guest/qemu.sh" test main
	step 'arm64: memory tags' \
		env ARCH=arm64 "$T/guest/qemu-test.sh" mte PLAN=mte
	step 'debug kernel' "$T/tree/build.sh" debug
	step 'coverage: the tests execute what the series adds' \
		"$T/self/coverage.sh"
	tap 'each patch builds, boots and passes the suites that it has by then' \
		"$T/static/patches.sh"
	step 'virtio-mem on the debug kernel' "$T/guest/qemu.sh" test \
		debug PLAN=virtio-mem
	step 'the debug kernel on four CPUs at the same time' \
		"$T/guest/qemu.sh" test debug PLAN=parallel
	step 'kernel with PREEMPT_RT' "$T/tree/build.sh" rt
	step 'PREEMPT_RT on four CPUs at the same time' \
		"$T/guest/qemu.sh" test rt PLAN=parallel
	step 'PREEMPT_RT: a heap on an area of each of two nodes' \
		"$T/guest/qemu.sh" test rt PLAN=heap-areas
	step 'kernel with KCSAN' "$T/tree/build.sh" kcsan
	step 'data races, on four CPUs at the same time' \
		"$T/guest/qemu.sh" test kcsan PLAN=parallel
else
	skip 'all other steps' 'no kernel with the series, or none without'
fi
