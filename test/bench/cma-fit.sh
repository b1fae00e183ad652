#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# cma-fit.sh - compare how cma_alloc() places what it allocates on the two
# kernels as they are built: with the series, and without it (make baseline
# leaves that one)
#
# Fails if the series fails more of the mixed requests than the base does, if the
# largest free range is smaller on average, or if the loop around pinned pages is
# slower. From one failure on, two runs take different ways: of the same kernel,
# they differed by a fifth in failures and by 3 % in the range. So it is the sum
# of all fill levels that counts, with a margin of that size.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
lock_run cma-fit

for kernel in base main; do
	# On the base kernel, qemu.sh wants a test to fail, and none has to:
	# what matters are the figures. One that is missing is noticed below.
	"$TOP/test/guest/qemu.sh" test "$kernel" PLAN=cma-fit TESTS= ||
		[ "$kernel" = base ]
done
for kernel in base main; do
	sed -n "s/.*cma_fit: \([^ ]* asked\)/$kernel \1/p" \
		"$BUILD/results/cma-fit-$kernel/ktap"
done | awk '
	{
		print
		for (i = 3; i < NF; i += 2)
			v[$1, $2, $i] = $(i + 1)
		seen[$1] = seen[$1] " " $2
		if ($1 == "main")
			rows[++n] = $2
	}
	function worse(row, what, is, limit) {
		bad++
		printf "WORSE %s: %s %d, on the base %d\n", row, what, is, limit
	}
	END {
		if (!n || seen["base"] != seen["main"]) {
			print "the kernels ran different tests:" seen["base"] \
				", and" seen["main"]
			exit 1
		}
		for (i = 1; i <= n; i++) {
			r = rows[i]
			if (r !~ /^mixed/)
				continue
			failed += v["main", r, "failed"]
			failed_base += v["base", r, "failed"]
			largest += v["main", r, "largest-mean"]
			largest_base += v["base", r, "largest-mean"]
		}
		if (failed > failed_base * 1.2)
			worse("mixed", "failed", failed, failed_base)
		if (largest < largest_base * 0.95)
			worse("mixed", "largest-mean", largest, largest_base)
		if (v["main", "pinned", "alloc-ms"] > \
		    v["base", "pinned", "alloc-ms"])
			worse("pinned", "alloc-ms",
			      v["main", "pinned", "alloc-ms"],
			      v["base", "pinned", "alloc-ms"])
		exit bad != 0
	}'
