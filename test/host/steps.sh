# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check, sourced by check.sh. "step" is one check, by exit
# status; "tap" is as many as the command reports; "ahead" builds for a later
# step while guests run.

tap 'lint of the repository' "$HOST/lint.sh"
tap 'harness: host side' "$TOP/test/harness/host.sh"
step 'kernel source' "$HOST/source.sh"
if step 'series applied' "$HOST/series.sh" apply; then
	step 'patches/ apply to the base and come out of format-patch unchanged' \
		"$HOST/series.sh" verify
	step 'the kernel tree is that of the series' "$HOST/series.sh" status
	tap 'checkpatch' "$HOST/static.sh" checkpatch
	step 'the audit of mmap in exporters holds' "$HOST/mmap-audit.sh"
	step 'qemu-test' "$HOST/qemu-test.sh"
	step 'bench: the goals' "$HOST/bench.sh"
	ahead sh -c "'$HOST/build.sh' debug; '$HOST/kunit.sh' build"
	step 'virtio-mem: unplug with pinned pages' "$HOST/virtio-mem.sh"
	tap 'harness: guest side' "$TOP/test/harness/guest.sh"
	step 'qemu-debug' "$HOST/qemu-test.sh" debug
	tap 'harness: what the debug kernel finds' \
		"$TOP/test/harness/guest.sh" debug
	step 'kunit.py run, from the patched tree' "$HOST/kunit.sh" run
	tap 'no new warning in any patch' "$HOST/static.sh" warnings
	tap 'other configurations build' "$HOST/static.sh" configs
else
	for name in patches checkpatch 'audit of mmap' qemu-test bench \
		virtio-mem 'harness: guest side' qemu-debug kunit.py warnings \
		configurations; do
		skip "$name" 'no kernel with the series'
	done
fi
