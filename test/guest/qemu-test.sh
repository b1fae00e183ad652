#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# qemu-test.sh KERNEL [NAME=VALUE...] - build, boot, test; see qemu.sh
set -eu
. "$(dirname "$0")/../lib/lib.sh"
"$TOP/test/tree/build.sh" "$1"
exec "$TOP/test/guest/qemu.sh" test "$@"
