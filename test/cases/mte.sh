#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mte.sh - build and boot an arm64 kernel whose memory has tags (KASAN_HW_TAGS)
#
# A page goes from applications that use tags to a buffer, and back.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
[ "${ARCH:-arm64}" = arm64 ] || die "ARCH=$ARCH: only arm64 has memory tags"
export ARCH=arm64
"$TOP/test/tree/build.sh" mte
PLAN=$TOP/test/guest/plans/mte.plan RUN=mte TESTS='' ACCEL=tcg \
	QEMU_EXTRA='-machine mte=on' exec "$TOP/test/guest/qemu.sh" test mte
