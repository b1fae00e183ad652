#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# coverage.sh [RUN...] - which lines that the series adds or changes do the
# tests execute?
#
# Builds the main and the debug kernel with gcov in the files that the series
# touches, runs the tests on the first and those in which allocations fail on the
# other one, and writes what came of it to docs/coverage.md. Fails below 95 % of
# the lines, and for a line that is neither executed nor explained there. An
# explanation is written by hand into the last column, and stays as long as the
# function has such a line. RUN: look again at what these runs have left in
# $BUILD/results.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
lock_run coverage
DOC=$TOP/docs/coverage.md
OUT=$BUILD/results/coverage
GOAL=95

case ${CC##*[ /]} in
gcc*) ;;
*) die "the coverage is gcc's: CC=$CC is another compiler" ;;
esac
# shellcheck disable=SC2086 # CC may be "ccache gcc"
gcov=$($CC -print-prog-name=gcov)
command -v "$gcov" >/dev/null || die "no gcov beside $CC"

# The code, and not its tests.
changed() { kgit diff --no-color --no-ext-diff "$@" base -- '*.c' '*.h' \
	':!*/tests/*' ':!tools' ':!samples'; }

# As words for the kernel's make: build.sh and qemu.sh see in it that this is
# about coverage.
GCOV=$(changed --name-only | sed -n 's,^.*/\(.*\)\.c$,GCOV_PROFILE_\1.o=y,p' |
	sort -u | tr '\n' ' ')
[ -n "$GCOV" ] || die "the series changes no code"
export GCOV

rm -rf "$OUT"
mkdir -p "$OUT"
if [ $# = 0 ]; then
	"$TOP/test/tree/build.sh" main
	"$TOP/test/tree/build.sh" debug
	"$TOP/test/guest/qemu.sh" test main RUN=coverage-main
	"$TOP/test/guest/qemu.sh" test debug RUN=coverage-debug \
		TESTS='heap-starve*'
	set -- coverage-main coverage-debug
	for plan in virtio-mem swiotlb heap-pressure; do
		"$TOP/test/guest/qemu.sh" test main PLAN="$plan" TESTS=
		set -- "$@" "$plan-main"
	done
fi

# What the guest has copied from debugfs, where a link beside each file leads to
# the compiler's notes, as gcov's text: COUNT:LINE:TEXT for each source.
for run in "$@"; do
	[ -s "$BUILD/results/$run/gcov" ] ||
		die "$run: the guest has sent no counters"
	mkdir "$OUT/$run"
	tar -C "$OUT/$run" -xf "$BUILD/results/$run/gcov"
	find "$OUT/$run" -name '*.gcda' >"$OUT/$run.list"
	[ -s "$OUT/$run.list" ] || die "$run: no counters in what it sent"
	while read -r data; do
		"$gcov" -t "$data" 2>>"$OUT/gcov.log" ||
			die "gcov cannot read $data, see $OUT/gcov.log"
	done <"$OUT/$run.list"
done >"$OUT/counts"

changed -U0 >"$OUT/diff"
touch "$DOC"
bad=0
awk -v goal="$GOAL" -v doc="$OUT/doc" -v src="$LINUX/" \
	-f "$TOP/test/self/coverage.awk" "$DOC" "$OUT/diff" "$OUT/counts" ||
	bad=$?
[ -s "$OUT/doc" ] || die "no table could be made"
cp "$OUT/doc" "$DOC"
exit "$bad"
