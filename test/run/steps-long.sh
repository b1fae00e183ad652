# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check-long, sourced by check.sh: what takes too long for
# make check.

first 'kernel source' "$T/kernel/source.sh"
if first 'series applied' "$T/kernel/series.sh" apply &&
	first 'the base, without the series' "$T/kernel/series.sh" base; then
	step 'main kernel' "$T/kernel/build.sh" main
	beside base-kernel "$T/kernel/build.sh" base
	beside kunit-kernel "$T/run/kunit.sh" build
	beside configs "$T/lint/static.sh" configs
	step 'bench-load: buffers while a device does other things' \
		"$T/run/heap-load.sh"
	step 'large buffers while applications fill the memory' \
		"$T/run/heap-pressure.sh"
	step 'kernel without the series' "$T/kernel/build.sh" base
	step 'baseline: the tests fail without the series' "$T/run/baseline.sh"
	step 'cma-fit: where cma_alloc() puts what it allocates' \
		"$T/run/cma-fit.sh"
	step 'kunit.py run, from the patched tree' "$T/run/kunit.sh" run
	tap 'other configurations build' awaited configs
	tap 'the heap compiles for 32-bit arm, and for other pages of arm64' \
		"$T/lint/static.sh" arm
	step 'kunit.py run on 32-bit arm, chunks in HighMem' \
		"$T/run/kunit.sh" run arm
	step 'arm64: kernel with pages of 16 KiB' \
		env ARCH=arm64 PAGE_SIZE=16k "$T/kernel/build.sh" main
	step 'arm64: qemu-test, pages of 16 KiB' \
		env ARCH=arm64 PAGE_SIZE=16k "$T/run/qemu.sh" test main
	step 'arm64: kernel with pages of 64 KiB' \
		env ARCH=arm64 PAGE_SIZE=64k "$T/kernel/build.sh" main
	step 'arm64: qemu-test, pages of 64 KiB' \
		env ARCH=arm64 PAGE_SIZE=64k "$T/run/qemu.sh" test main
	step 'arm64: memory tags' "$T/run/mte.sh"
	step 'debug kernel' "$T/kernel/build.sh" debug
	step 'coverage: the tests execute what the series adds' \
		"$T/run/coverage.sh"
	tap 'each patch builds, boots and passes the suites that it has by then' \
		"$T/run/patches.sh"
	step 'virtio-mem on the debug kernel' "$T/run/virtio-mem.sh" debug
	step 'the debug kernel on four CPUs at the same time' \
		"$T/run/parallel.sh" debug
	step 'kernel with PREEMPT_RT' "$T/kernel/build.sh" rt
	step 'PREEMPT_RT on four CPUs at the same time' \
		"$T/run/parallel.sh" rt
	step 'PREEMPT_RT: a heap on an area of each of two nodes' \
		"$T/run/heap-areas.sh" rt
	step 'kernel with KCSAN' "$T/kernel/build.sh" kcsan
	step 'data races, on four CPUs at the same time' \
		"$T/run/parallel.sh" kcsan
else
	skip 'all other steps' 'no kernel with the series, or none without'
fi
