#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# cma-fit.sh - compare how cma_alloc() places what it allocates on the two
# kernels as they are built: with the series, and without it (make baseline
# leaves that one)
#
# Fails if the series fails more of the requests than the base does, or if the
# largest free range is smaller on average. From one failure on, two runs take
# different ways: of the same kernel, they differed by a fifth in failures and by
# 3 % in the range. So there is a margin of that size.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
lock_run cma-fit

for kernel in base main; do
	# On the base kernel, qemu.sh wants a test to fail, and none has to:
	# what matters are the figures. One that is missing is noticed below.
	"$TOP/test/guest/qemu.sh" test "$kernel" PLAN=cma-fit TESTS= ||
		[ "$kernel" = base ]
done
cd "$BUILD/results"
sed -n 's/.*cma_fit: failed \([0-9]*\) largest \([0-9]*\).*/\1 \2/p' \
	cma-fit-base/ktap cma-fit-main/ktap | awk '
	{
		failed[NR] = $1
		largest[NR] = $2
		print NR == 1 ? "base:" : "main:", $1, "failed, largest", $2
	}
	END {
		if (NR != 2 || !failed[1])
			print "a kernel gave no figures, or the base failed nothing"
		else if (failed[2] > failed[1] * 1.2 || largest[2] < largest[1] * 0.95)
			print "WORSE than on the base"
		else
			exit 0
		exit 1
	}'
