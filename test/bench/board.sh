#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# board.sh - run the benchmark on this machine and print its tables
#
# The kernel has the series and was booted with cma=680M. chunk-bench.ko and
# heap-bench, built for it, and the two awk programs are beside this script.
# The figures stay in the current directory: bench.txt is what is printed,
# bench.tsv has all of them. busybox is enough.
set -eu

die() { echo "error: $*" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || die "only root can load a module"

# What the log holds of earlier runs must not count.
read -r uptime _ </proc/uptime
mark="board.sh: begun after $uptime s"
echo "$mark" >/dev/kmsg
log() { dmesg | sed -n "/$mark/,\$p"; }

insmod "$here/chunk-bench.ko" ||
	die "cannot load chunk-bench.ko: $(log | tail -n 1)"
rmmod chunk_bench
"$here/heap-bench" >/dev/null || die "heap-bench failed"
log | grep -q "$mark" ||
	die "the kernel log is too small: boot with log_buf_len=1M"
log | awk -f "$here/log-to-tsv.awk" >bench.tsv

model() {
	if [ -r /proc/device-tree/model ]; then
		tr -d '\0' </proc/device-tree/model
	else
		cat /sys/class/dmi/id/sys_vendor \
			/sys/class/dmi/id/product_name 2>/dev/null |
			tr '\n' ' ' | grep . || echo unknown
	fi
}

# Arm has no names of processors there, but numbers.
cpus() {
	awk -F '[ \t]*: *' '
	$1 == "processor" { n++ }
	$1 == "model name" { name = $2 }
	$1 == "CPU implementer" { maker = $2 }
	$1 == "CPU part" && !seen[maker $2]++ { parts = parts " " maker "/" $2 }
	/^flags.* hypervisor/ { guest = ", in a virtual machine" }
	END { print n " x " (name != "" ? name : "part" parts) guest }
	' /proc/cpuinfo
}

governor=/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
status=0
awk -f "$here/tables.awk" bench.tsv - >bench.txt <<END || status=1
machine: $(model)
CPUs:    $(cpus)
kernel:  $(uname -r -m)
clock:   $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
cpufreq: $(cat $governor 2>/dev/null || echo none)

4800 chunks of 64 KiB from a CMA area of 340 MB, in ms:

                        idle    loaded  pinned  both

All 5440 chunks of the pinned area:

                        asked   got     ms

300 MB from a heap, in ms:

                        alloc   mmap    munmap  release
END
cat bench.txt
awk -v check=1 -f "$here/tables.awk" bench.tsv bench.txt >&2 || status=1
exit "$status"
