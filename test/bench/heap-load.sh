#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# heap-load.sh [update] [NAME=VALUE...] - build, ask the heaps for large buffers while a device
# does what devices do, report; exit 1 if a goal is missed; update writes the
# figures to docs/, where those of the other loads and heaps stay
#
# One boot for each load and heap. Time counts instructions. The results stay
# in $BUILD/results/load. For a part of it:
#   LOADS, HEAPS  of those below
#   REQUESTS      of each size
#   SEED          of the loads
set -eu
. "$(dirname "$0")/../lib/lib.sh"
LOADS='memory pipes forks cache writeback hogs hogs-preempt'
HEAPS='system cma chunk' REQUESTS=50 SEED=1 update=
for word in "$@"; do
	case $word in
	update) update=1 ;;
	LOADS=* | HEAPS=* | REQUESTS=* | SEED=*)
		eval "${word%%=*}=\${word#*=}" ;;
	*) die "usage: heap-load.sh [update] [LOADS=...] [HEAPS=...] [REQUESTS=N] [SEED=N]" ;;
	esac
done
"$TOP/test/tree/build.sh" main

DIR=$BUILD/results/load
BENCH=$TOP/test/bench
rm -rf "$DIR"
mkdir -p "$DIR"
printf 'load\theap\tMB\tasked\tdelivered\tp50_ms\tp99_ms\tmax_ms\tcpu_ms\twork_busy\twork_rest\tmigrated\tused\theld\n' \
	>"$DIR/load.tsv"

# passed DIR - but for allocations of several pages that the kernel reports
passed() {
	grep -q '^cma-all-released.ok' "$1/results" &&
		! grep -q '^[^ ]*.not ok' "$1/results" &&
		! grep -v '^heap-load: page allocation failure: order:' "$1/splats"
}

status=0
rows=
for load in $LOADS; do
	case $load in
	*-preempt) preempt=' preempt=full' ;;
	*) preempt= ;;
	esac
	for heap in $HEAPS; do
		run=load-$load-$heap
		failed=0
		"$TOP/test/guest/qemu.sh" test main PLAN=heap-load RUN="$run" \
			TESTS= SILENCE=900 LIMIT=900 \
			APPEND="load=$load heap=$heap requests=$REQUESTS seed=$SEED$preempt" ||
			failed=$?
		# The CMA heap asks for an array of all pages in one piece. That
		# it does not get it counts as a request that failed, no more.
		if [ "$heap$failed" = cma1 ] && passed "$BUILD/results/$run"; then
			say "  the CMA heap's own array of pages: a figure"
			failed=0
		fi
		[ "$failed" = 0 ] || status=$failed
		sed -n 's/.*# result\t//p' "$BUILD/results/$run/ktap" \
			>>"$DIR/load.tsv"
		rows="$rows $load/$heap/200 $load/$heap/64"
	done
done

(cd "$DIR" && gnuplot "$BENCH/load.gp")
tsv=$DIR/load.tsv
if [ -n "$update" ]; then
	# A part of it is judged with what docs/ has of the rest.
	awk -F '\t' '{ at = $1 "/" $2 "/" $3 }
		FNR == NR { new[at] = $0; next }
		at in new { $0 = new[at]; delete new[at] }
		{ print }
		END { for (at in new) print new[at] }' "$DIR/load.tsv" \
		"$TOP/docs/load.tsv" >"$DIR/merged.tsv"
	tsv=$DIR/merged.tsv
	rows=$(awk 'FNR > 1 { printf "%s/%s/%s ", $1, $2, $3 }' "$tsv")
fi
awk -v rows="$rows" -f "$BENCH/goal.awk" -f "$BENCH/load-goals.awk" \
	"$tsv" || status=1
say "  results: $DIR/load.tsv, plot: $DIR/load.svg"
[ -n "$update" ] || exit "$status"
[ "$status" = 0 ] || die "a goal is missed: the figures are left as they are"

cd "$TOP/docs"
cp "$tsv" load.tsv
gnuplot "$BENCH/load.gp"
awk -f "$BENCH/goal.awk" -f "$BENCH/load-goals.awk" load.tsv |
	sed 's/^./    &/' >"$DIR/table"
# The table is what has its first line, and all below that is not at the left.
awk -v table="$DIR/table" '
	/^    load +heap/ { while ((getline line <table) > 0) print line; skip = 1 }
	/^[^ ]/ { skip = 0 }
	!skip' bench.md >"$DIR/bench.md"
cp "$DIR/bench.md" bench.md
