#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# heap-areas.sh [main|rt] - boot the kernel that is built with a heap on each of
# two CMA areas
#
# On rt there are two nodes of memory, with an area on each, and whoever uses a
# page that is free takes a fault.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
flavour=${1:-main} cma=900M
args='kunit.enable=0 hugetlb_cma=1G chunk_heap.heaps=default_cma_region:64K,hugetlb0:2M'
if [ "$flavour" = rt ]; then
	cma=64M args='numa=fake=2 numa_cma=0:1500M,1:1500M debug_pagealloc=on'
	args="$args chunk_heap.heaps=numa0:64K,numa1:2M"
fi
PLAN=$TOP/test/guest/plans/heap-areas.plan RUN=heap-areas TESTS='' MEMORY=5G CMA=$cma \
	APPEND=$args exec "$TOP/test/guest/qemu.sh" test "$flavour"
