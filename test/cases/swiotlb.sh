#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# swiotlb.sh - boot the main kernel with swiotlb=force
#
# The guest's devices are coherent. What an exporter forgets to sync, only
# bounce buffers show.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
PLAN=$TOP/test/guest/plans/swiotlb.plan RUN=swiotlb TESTS='' \
	exec "$TOP/test/guest/qemu.sh" test main
