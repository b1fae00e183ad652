#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# devicetree.sh - boot the main kernel of arm64 with areas and devices in its tree
#
# The areas are those of docs/chunk-heap.dtsi and some that are awkward. Devices
# that import buffers are coherent or not, and behind an IOMMU or not.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
[ "${ARCH:-arm64}" = arm64 ] || die "ARCH=$ARCH: only arm64 has a device tree"
[ "${PAGE_SIZE:-4k}" = 4k ] ||
	die "PAGE_SIZE=$PAGE_SIZE: the areas in the tree are for pages of 4k"
ARCH=arm64 PLAN=$TOP/test/guest/plans/devicetree.plan RUN=devicetree TESTS='' \
	CMA='' TREE=$TOP/test/guest/plans/devicetree.dtsi \
	QEMU_EXTRA='-machine iommu=smmuv3' \
	exec "$TOP/test/guest/qemu.sh" test main
