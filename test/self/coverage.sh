#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# coverage.sh - which lines that the series adds or changes do the
# tests execute?
#
# Builds the main and the debug kernel with gcov in the files that the series
# touches, runs the tests on the first and those in which allocations fail on the
# other one, and writes what came of it to docs/coverage.md. Fails below 95 % of
# the lines, and for a line that is neither executed nor explained there. An
# explanation is written by hand into the last column, and stays as long as the
# function has such a line.
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
changed=$(kgit diff --name-only base -- '*.c' '*.h' ':!*/tests/*' ':!tools' ':!samples')

# As words for the kernel's make: build.sh and qemu.sh see in it that this is
# about coverage.
GCOV=$(echo "$changed" | sed -n 's,^.*/\(.*\)\.c$,GCOV_PROFILE_\1.o=y,p' |
	sort -u | tr '\n' ' ')
[ -n "$GCOV" ] || die "the series changes no code"
export GCOV

rm -rf "$OUT"
mkdir -p "$OUT"
"$TOP/test/tree/build.sh" main
"$TOP/test/tree/build.sh" debug
"$TOP/test/guest/qemu.sh" test main RUN=coverage-main
"$TOP/test/guest/qemu.sh" test debug RUN=coverage-debug TESTS='heap-starve*'
for plan in virtio-mem swiotlb heap-pressure; do
	"$TOP/test/guest/qemu.sh" test main PLAN="$plan" RUN="coverage-$plan" TESTS=
done

# What the guest has copied from debugfs: the tree of the objects' directory, where
# a link beside each file leads to the compiler's notes. Two CPUs may count at the
# same time, so that some branch is taken less often than never.
for run in coverage-main coverage-debug coverage-virtio-mem coverage-swiotlb \
	coverage-heap-pressure; do
	[ -s "$BUILD/results/$run/gcov" ] ||
		die "$run: the guest has sent no counters"
	mkdir "$OUT/$run"
	tar -C "$OUT/$run" -xf "$BUILD/results/$run/gcov"
	objects=$(echo "$OUT/$run$BUILD"/obj/*)
	gcovr --root "$LINUX" --object-directory "${objects#"$OUT/$run"}" \
		--gcov-executable "$gcov" --gcov-ignore-parse-errors \
		--cobertura "$OUT/$run.xml" "$OUT/$run" >"$OUT/gcovr.log" 2>&1 ||
		die "gcovr cannot read the counters of $run, see $OUT/gcovr.log"
done

cd "$LINUX"
bad=0
GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory \
	GIT_CONFIG_VALUE_0='*' diff-cover "$OUT"/*.xml --compare-branch=base \
	--exclude '*/tests/*' 'tools/*' 'samples/*' --fail-under="$GOAL" \
	--json-report "$OUT/report.json" || bad=1
# shellcheck disable=SC2086 # words
python3 "$TOP/test/self/coverage.py" "$DOC" $changed \
	<"$OUT/report.json" >"$OUT/doc" || bad=1
[ -s "$OUT/doc" ] || die "no table could be made"
cp "$OUT/doc" "$DOC"
exit "$bad"
