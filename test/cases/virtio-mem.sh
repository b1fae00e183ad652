#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# virtio-mem.sh [main|debug|base] - boot the kernel that is built with a
# virtio-mem device, and see how much of it can be unplugged
#
# On the base kernel that make baseline leaves, the test with pinned pages must
# fail. The figures are in the log that it names.
#
# The guest drives the device itself: QEMU's monitor listens on a socket to
# which QEMU connects a virtio-serial port. Time counts instructions, so that
# pins are as long, and attempts as many, as on the next machine.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"

RUN=virtio-mem${1:+-$1}
# The path of a socket is short: a relative one.
SOCKET=results/$RUN/monitor.sock
cd "$BUILD" 2>/dev/null || die "no $BUILD: run make build"
memory=1G,maxmem=2G
if [ "${1:-}" = debug ]; then
	# It has more to do for each page that goes, and keeps books on memory.
	export SLOW="${SLOW:-4}"
	memory=2G,maxmem=3G
fi
PLAN=$TOP/test/guest/plans/virtio-mem.plan RUN=$RUN ICOUNT=1 \
	TESTS='' MEMORY=$memory APPEND="memhp_default_state=online_movable \
		kunit.enable=0 ${APPEND:-}" \
	QEMU_EXTRA="-object memory-backend-ram,id=vmem,size=256M \
		-device virtio-mem-pci,id=vmem0,memdev=vmem,block-size=2M \
		-chardev socket,id=monitor,path=$SOCKET,server=on,wait=off \
		-mon chardev=monitor,mode=control \
		-chardev socket,id=port,path=$SOCKET \
		-device virtserialport,chardev=port,name=monitor -smp $(qemu_smp 1)" \
	"$TOP/test/guest/qemu.sh" test "${1:-main}"
