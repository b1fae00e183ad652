# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# The steps of make check, sourced by check.sh. "step" is one check, by exit
# status; "tap" is as many as the command reports.

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
else
	for name in patches checkpatch 'audit of mmap' qemu-test \
		bench; do
		skip "$name" 'no kernel with the series'
	done
fi
