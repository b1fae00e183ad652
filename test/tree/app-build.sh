#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# app-build.sh [COMMAND...] - programs that nobody here wrote, for the guest:
# $BUILD/app/files.cpio. Then COMMAND, which runs there.
#
# libcamera is built as its authors released it, from Debian's source package:
# Debian's binaries lack the two pipelines that need no camera.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/test/tree/apt.sh"
PATH=/usr/bin:$PATH
app=$BUILD/app root=$BUILD/app/root
take_lock 7 "$app/.lock"

if [ ! -e "$app/built" ]; then
	say "fetching libcamera's source from Debian's sid"
	apt_begin "$app/apt" deb-src sid ||
		die "apt's sources name no mirror of Debian"
	apt_get update || true
	apt_get source --download-only libcamera ||
		die "cannot fetch it: $(grep '^E:' "$apt/log" | tail -n 1)"
	rm -rf "$app"/libcamera-* "$app/build" "$root"
	tar -xf "$apt/get"/libcamera_*.orig.tar.* -C "$app"
	say "building it"
	{
		meson setup "$app/build" "$app"/libcamera-* --prefix=/usr \
			--libdir=lib --buildtype=plain --strip -Dwerror=false \
			--auto-features=disabled -Dcam=enabled \
			-Dpipelines=virtual,vimc -Dipas=vimc &&
			ninja -C "$app/build" &&
			DESTDIR=$root meson install -C "$app/build" &&
			cd "$root/usr/share/libcamera/pipeline/virtual" &&
			mv virtual.yaml.example virtual.yaml
	} >"$app/build.log" 2>&1 || die "it does not build, see $app/build.log"
	(cd "$apt/get" && echo *.dsc) >"$app/built"
fi

mkdir -p "$root/test"
cp "$(command -v v4l2-ctl)" "$root/usr/bin/"
cp "$TOP/test/cases/app.sh" "$root/test/"
(
	cd "$root"
	rm -rf usr/include usr/share/doc
	find . -type f -perm /1 -exec ldd {} + 2>/dev/null |
		awk '{ for (i = 1; i <= NF; i++)
			if ($i ~ /^\/(usr\/)?lib/) print $i }' |
		sort -u | while read -r lib; do
		[ -e ".$lib" ] || cp -L --parents "$lib" .
	done
	find . | busybox cpio -o -H newc 2>/dev/null
) >"$app/files.cpio"
say "$(cat "$app/built") and $(v4l2-ctl --version | head -n 1)"
exec "$@"
