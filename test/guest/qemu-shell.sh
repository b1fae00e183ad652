#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# qemu-shell.sh KERNEL [NAME=VALUE...] - build, boot, a shell on this terminal
set -eu
# shellcheck disable=SC2034 # for lib.sh
ON_TERMINAL=1
. "$(dirname "$0")/../lib/lib.sh"
[ -t 0 ] || die "a shell in the guest needs a terminal"
"$TOP/test/tree/build.sh" "$1"
exec "$TOP/test/guest/qemu.sh" shell "$@"
