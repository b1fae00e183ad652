#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# plan-update.sh [PLAN] - write how many results each test gave, in the last run
# on each kernel, into the RESULTS of test/guest/plans/main.plan
#
# For who has added cases to a test. A test of which a result failed, was
# skipped, or that did not end well, is left as it is; what changes is printed,
# and git diff shows it.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
PLAN=${1:-$TOP/test/guest/plans/main.plan}

cp "$PLAN" "$PLAN.new"
trap 'rm -f "$PLAN.new"' EXIT
runs=0
for kernel in main debug; do
	run=
	for dir in "$BUILD"/results/[0-9]*-[0-9]*-"$kernel"/; do
		[ ! -s "$dir/results" ] || run=$dir
	done
	[ -n "$run" ] || continue
	runs=$((runs + 1))
	say "$kernel: $run"
	awk -F '\t' '$2 == "ok" || $4 ~ /^expected [0-9]+ results, saw [0-9]+$/ {
		print $1, $3 }' "$run/results" >"$PLAN.counts"
	awk -v kernel="$kernel" '
		FILENAME == ARGV[1] { count[$1] = $2; next }
		/^#/ || NF < 5 || !($1 in count) || $2 == "-" || $2 == count[$1] ||
		("," $4 ",") ~ (kernel == "main" ? ",(debug|rt)," : ",(main|rt),") {
			print
			next
		}
		{
			print "  " $1 ": " $2 " to " count[$1] >"/dev/stderr"
			# The columns stay where they are.
			match($0, /[ \t]+[0-9]+/)
			printf "%s%*s%s\n", substr($0, 1, RSTART - 1), RLENGTH,
				" " count[$1], substr($0, RSTART + RLENGTH)
		}' "$PLAN.counts" "$PLAN.new" >"$PLAN.next"
	rm "$PLAN.counts"
	mv "$PLAN.next" "$PLAN.new"
done
[ "$runs" != 0 ] || die "no run in $BUILD/results: run make qemu-test"
cmp -s "$PLAN" "$PLAN.new" || cat "$PLAN.new" >"$PLAN"
