#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# kunit.sh build|run [arm] - the KUnit suites through the kernel tree's own kunit.py,
# with the commands that the patches document, in one kernel
#
# arm: on 32 bits, with an area in HighMem. What needs transparent huge pages or
# a bit in page table entries is skipped there.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
command=${1:-} arch=${2:-x86_64}
case "$command $arch" in
'build x86_64' | 'build arm' | 'run x86_64' | 'run arm') ;;
*) die "usage: kunit.sh build|run [arm]" ;;
esac
OBJ=$BUILD/obj/kunit may_skip=
[ "$arch" = x86_64 ] || OBJ=$OBJ-$arch
export PYTHONDONTWRITEBYTECODE=1
# Who runs it waits for who builds it.
lock_kernel "$OBJ"

cd "$LINUX"
set -- --arch "$arch" --kunitconfig=mm/tests/.kunitconfig \
	--kunitconfig=drivers/dma-buf/.kunitconfig --build_dir="$OBJ" \
	--jobs="$(nproc)"
case $arch in
x86_64) set -- "$@" --make_options="CC=$CC" ;;
arm)
	may_skip='(, skipped: [0-9]*)?'
	set -- "$@" --cross_compile=arm-linux-gnueabihf-
	for option in MMU=y ARCH_MULTI_V7=y HIGHMEM=y TRANSPARENT_HUGEPAGE=n \
		MEMORY_FAILURE=n; do
		set -- "$@" --kconfig_add "CONFIG_$option"
	done
	;;
esac
[ "$command" = build ] || set -- "$@" --qemu_args="-smp 2"
# A keyboard is found while the suites run, and kunit.py takes a line about it
# behind "KTAP version 1" for the end of the report.
[ "$command $arch" != 'run x86_64' ] ||
	set -- "$@" --kernel_args=i8042.nokbd --kernel_args=i8042.noaux
{
	./tools/testing/kunit/kunit.py "$command" "$@" 2>&1 ||
		echo "exit status $?"
} | tee "$OBJ.log"
! grep -q '^exit status' "$OBJ.log" || die "kunit.py $command failed"
[ "$command" = run ] || exit 0

# A suite that is not there, or skips, is no failure to kunit.py. How many cases
# it has depends on the configuration: the plan has the number of the main one.
awk -v kernel=main -f "$TOP/test/guest/plan.awk" "$TOP/test/guest/plans/main.plan" |
	awk '$4 == "kunit" { print $1 }' >"$OBJ.plan"
[ -s "$OBJ.plan" ] || die "the plan has no suite"
while read -r suite; do
	grep -q "\[PASSED\] $suite " "$OBJ.log" || die "$suite did not pass"
done <"$OBJ.plan"
summary=$(sed -n 's/.* Ran /Ran /p' "$OBJ.log")
echo "$summary" | grep -qxE "Ran [0-9]* tests: passed: [0-9]*$may_skip" ||
	die "not all of them passed: $summary"
# kunit.py gives the guest 1 GiB, from 0x40000000 on; the last 256 MB are HighMem.
[ "$arch" != arm ] || grep -q 'cma: Reserved 64 MiB at 0x7' "$OBJ/test.log" ||
	die "the area is not in HighMem, see $OBJ/test.log"
say "$summary"
