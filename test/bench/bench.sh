#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# bench.sh [check|update [NAME=VALUE...]] - build, run the plan bench, report; exit
# 1 if a goal is missed or if docs/ and patches/ have other figures; update writes
# them to docs/. NAME=VALUE is qemu.sh's.
#
# Those figures are of x86_64: elsewhere, only the goals count.
#
# Guest time counts instructions, so that the figures of two runs agree and a
# goal can be a gate. The results stay in $BUILD/results/bench.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"
mode=${1:-check}
[ $# = 0 ] || shift
[ "$mode" != update ] || [ "$ARCH" = x86_64 ] ||
	die "the figures in docs/ are of x86_64"
"$TOP/test/tree/build.sh" main
lock_run bench

DIR=$BUILD/results/bench
BENCH=$TOP/test/bench
status=0
"$TOP/test/guest/qemu.sh" test main PLAN=bench RUN=bench TESTS= "$@" ||
	status=$?
[ "$status" = 0 ] || exit "$status"

tr -d '\r' <"$DIR/serial.log" |
	awk -v latency="$DIR/latency.tsv" -f "$BENCH/log-to-tsv.awk" \
		>"$DIR/bench.tsv"
(cd "$DIR" && gnuplot "$BENCH/plot.gp")
say "one ms of the guest's clock is 500,000 instructions, see docs/bench.md"
awk -v base="${BASE:-}" -f "$BENCH/goal.awk" -f "$BENCH/goals.awk" \
	"$DIR/bench.tsv" "$DIR/latency.tsv" || status=1
say "  results: $DIR/bench.tsv, $DIR/latency.tsv, plot: $DIR/bench.svg"
if [ "$mode" = update ] && [ "$status" != 0 ]; then
	die "a goal is missed: the figures are left as they are"
fi
[ "$ARCH" != x86_64 ] ||
	"$TOP/test/bench/figures.sh" "$mode" "$DIR/bench.tsv" || status=1
exit "$status"
