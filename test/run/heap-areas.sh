#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# heap-areas.sh - boot the main kernel with two CMA areas, and a heap on each
set -eu
. "$(dirname "$0")/../lib/lib.sh"
PLAN=$TOP/test/plans/heap-areas.plan RUN=heap-areas TESTS='' MEMORY=5G CMA=900M \
	exec "$TOP/test/run/qemu.sh" test main
