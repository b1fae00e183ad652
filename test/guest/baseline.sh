#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# baseline.sh - the tests on the kernel without the series, in $BUILD/linux-base:
# each must fail for the reason that its plan gives, or pass if the plan says so
set -eu
. "$(dirname "$0")/../lib/lib.sh"
status=0
"$TOP/test/guest/qemu-test.sh" base || status=$?
"$TOP/test/cases/virtio-mem.sh" base || status=$?
exit "$status"
