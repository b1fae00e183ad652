#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# kunit.sh build|run - the KUnit suites through the kernel tree's own kunit.py,
# with the commands that the patches document, in one kernel
set -eu
. "$(dirname "$0")/../lib/lib.sh"
command=${1:-}
OBJ=$BUILD/obj/kunit
export PYTHONDONTWRITEBYTECODE=1
# Who runs it waits for who builds it.
lock_kernel "$OBJ"

cd "$LINUX"
set -- --arch x86_64 --kunitconfig=mm/tests/.kunitconfig \
	--kunitconfig=drivers/dma-buf/.kunitconfig --build_dir="$OBJ" \
	--jobs="$(nproc)" --make_options="CC=$CC"
case $command in
build) ;;
run) set -- "$@" --qemu_args="-smp 2" ;;
*) die "usage: kunit.sh build|run" ;;
esac
{
	./tools/testing/kunit/kunit.py "$command" "$@" 2>&1 ||
		echo "exit status $?"
} | tee "$OBJ.log"
! grep -q '^exit status' "$OBJ.log" || die "kunit.py $command failed"
[ "$command" = run ] || exit 0

# A suite that is not there, or skips, is no failure to kunit.py. How many cases
# it has depends on the configuration: the plan has the number of the main one.
awk -v kernel=main -f "$TOP/test/run/plan.awk" "$TOP/test/plans/main.plan" |
	awk '$4 == "kunit" { print $1 }' >"$OBJ.plan"
[ -s "$OBJ.plan" ] || die "the plan has no suite"
while read -r suite; do
	grep -q "\[PASSED\] $suite " "$OBJ.log" || die "$suite did not pass"
done <"$OBJ.plan"
summary=$(sed -n 's/.* Ran /Ran /p' "$OBJ.log")
echo "$summary" | grep -qx 'Ran [0-9]* tests: passed: [0-9]*' ||
	die "not all of them passed: $summary"
say "$summary"
