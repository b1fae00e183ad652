#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# parallel.sh [main|debug|rt|kcsan] - the tests on four CPUs that run at the same
# time, with a kernel that preempts
#
# Elsewhere, QEMU runs two CPUs in turns unless there is KVM, and the main
# kernel does not preempt. Left out are the heap's parameter, and its suite in
# full memory, which is the same one again and takes as long.
set -eu
. "$(dirname "$0")/../lib/lib.sh"

flavour=${1:-main}
tests='*_* dmabuf-* heap-* user-pointers'
# The debug kernel has no such test.
[ "$flavour" = debug ] || tests="$tests cma-hugetlb"
TESTS=${TESTS:-$tests} \
	PARALLEL=1 RUN=parallel-$flavour APPEND=preempt=full \
	exec "$TOP/test/guest/qemu.sh" test "$flavour"
