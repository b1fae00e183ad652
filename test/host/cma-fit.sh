#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# cma-fit.sh - compare how cma_alloc() places what it allocates on the two
# kernels as they are built: with the series, and without it (make baseline
# leaves that one)
#
# Fails if the series fails more requests than the base does, at any fill level;
# if the largest free range is smaller, in which a tenth is chance; or if the
# loop around pinned pages is slower. Time counts instructions, so that both
# kernels get the same requests at the same time.
set -eu
. "$(dirname "$0")/lib.sh"

for kernel in base main; do
	# On the base kernel, qemu.sh wants a test to fail, and none has to:
	# what matters are the figures. One that is missing is noticed below.
	PLAN=$TOP/test/guest/cma-fit.plan RUN=cma-fit-$kernel ICOUNT=1 \
		TESTS='' MEMORY=1G APPEND=kunit.enable=0 \
		"$TOP/test/host/qemu.sh" test "$kernel" || [ "$kernel" = base ]
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
			if (v["main", r, "failed"] > v["base", r, "failed"])
				worse(r, "failed", v["main", r, "failed"],
				      v["base", r, "failed"])
			if (r == "pinned" &&
			    v["main", r, "alloc-ms"] > v["base", r, "alloc-ms"])
				worse(r, "alloc-ms", v["main", r, "alloc-ms"],
				      v["base", r, "alloc-ms"])
			was = v["base", r, "largest-mean"]
			if (v["main", r, "largest-mean"] < was * 0.9)
				worse(r, "largest-mean",
				      v["main", r, "largest-mean"], was)
		}
		exit bad != 0
	}'
