#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# debs.sh DIR SUITE ARCH PACKAGE... - Debian packages unpacked in DIR
#
# They are not installed: the machine stays as it is, and the packages may be
# of another release or for another architecture. What they depend on is not
# fetched. Nothing is done where DIR has these packages already.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/test/tree/apt.sh"

dir=$1 suite=$2 arch=$3
shift 3
take_lock 9 "$BUILD/debs/.lock"
[ "$(cat "$dir/packages" 2>/dev/null)" != "$suite $arch $*" ] || exit 0

say "fetching $* from Debian's $suite, not installed"
apt_fetch "$dir.apt" deb "$suite" "$arch" download "$@"
rm -rf "$dir"
mkdir -p "$dir"
for deb in "$apt/get"/*.deb; do
	dpkg-deb -x "$deb" "$dir"
done
echo "$suite $arch $*" >"$dir/packages"
rm -rf "$apt"
