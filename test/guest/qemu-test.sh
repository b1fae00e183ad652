#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# qemu-test.sh [main|debug|rt|kcsan|base] - build, boot, test
set -eu
. "$(dirname "$0")/../lib/lib.sh"
"$TOP/test/tree/build.sh" "${1:-main}"
exec "$TOP/test/guest/qemu.sh" test "${1:-main}"
