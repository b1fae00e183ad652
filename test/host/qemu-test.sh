#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# qemu-test.sh [main|debug|base] - build, boot, test
set -eu
. "$(dirname "$0")/lib.sh"
"$(dirname "$0")/build.sh" "${1:-main}"
exec "$(dirname "$0")/qemu.sh" test "${1:-main}"
