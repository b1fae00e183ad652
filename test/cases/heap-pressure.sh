#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# heap-pressure.sh [SEED...] - boot the kernel that is built once for each
# seed, and ask the heaps for 200 MB while applications fill the memory
#
# Time counts instructions, so that a seed gives much the same figures again.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
lock_run heap-pressure
[ $# != 0 ] || set -- 1 2 3
status=0
for seed in "$@"; do
	PLAN=$TOP/test/guest/plans/heap-pressure.plan RUN=heap-pressure-$seed \
		ICOUNT=1 TESTS='' APPEND="kunit.enable=0 seed=$seed" \
		"$TOP/test/guest/qemu.sh" test main || status=$?
	grep '# seed' "$BUILD/results/heap-pressure-$seed/ktap" || status=1
done
exit "$status"
