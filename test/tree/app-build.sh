#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# app-build.sh [COMMAND...] - programs that nobody here wrote, for the guest:
# $BUILD/app/files.cpio. Then COMMAND, which runs there.
#
# libcamera is built as its authors released it, from Debian's source package:
# Debian's binaries lack the two pipelines that need no camera. igt's tests of DRM
# are Debian's binaries. Its stable release, and the package intel-gpu-tools, have
# none of them; those of sid have their libraries, and the loader, with them.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/test/tree/apt.sh"
PATH=/usr/bin:$PATH
app=$BUILD/app root=$BUILD/app/root
take_lock 7 "$app/.lock"

if [ ! -e "$app/built" ]; then
	say "fetching libcamera's source from Debian's sid"
	apt_fetch "$app/apt" deb-src sid '' source --download-only libcamera
	rm -rf "$app"/libcamera-* "$app/build" "$root"
	tar -xf "$apt/get"/libcamera_*.orig.tar.* -C "$app"
	say "building it"
	virtual=$root/usr/share/libcamera/pipeline/virtual/virtual.yaml
	{
		meson setup "$app/build" "$app"/libcamera-* --prefix=/usr \
			--libdir=lib --buildtype=plain --strip -Dwerror=false \
			--auto-features=disabled -Dcam=enabled \
			-Dpipelines=virtual,vimc -Dipas=vimc &&
			ninja -C "$app/build" &&
			DESTDIR=$root meson install -C "$app/build" &&
			mv "$virtual.example" "$virtual"
	} >"$app/build.log" 2>&1 || die "it does not build, see $app/build.log"
	(cd "$apt/get" && echo *.dsc) >"$app/built"
fi

if [ ! -e "$app/igt/built" ]; then
	say "fetching igt's tests from Debian's sid, not installed"
	# Nothing counts as installed: this is all that they are linked to.
	apt_fetch "$app/apt" deb sid '' install --download-only \
		--no-install-recommends -y -o Dir::State::status=/dev/null \
		igt-gpu-tools-tests
	rm -rf "$app/igt"
	for deb in "$apt"/cache/archives/*.deb; do
		dpkg-deb -x "$deb" "$app/igt"
	done
	(cd "$apt/cache/archives" && echo igt-gpu-tools-tests_*.deb) >"$app/igt/built"
	rm -rf "$apt"
fi

mkdir -p "$root/test"
cp "$(command -v v4l2-ctl)" "$root/usr/bin/"
cp "$TOP/test/cases/app.sh" "$root/test/"

# Beside the libraries of this machine, which the other programs have.
igt=$app/igt/usr/lib/x86_64-linux-gnu
rm -rf "$root/igt"
mkdir "$root/igt"
cp "$app/igt/usr/lib64/ld-linux-x86-64.so.2" "$root/igt/ld.so"
for test in vgem_basic dumb_buffer; do
	cp "$app/igt/usr/libexec/igt-gpu-tools/$test" "$root/igt/"
	"$root/igt/ld.so" --library-path "$igt" --list "$root/igt/$test"
done | awk '$1 !~ /^\// && $2 == "=>" { print $3 }' | sort -u | xargs cp -Lt "$root/igt"
(
	cd "$root"
	rm -rf usr/include usr/share/doc
	find . -path ./igt -prune -o -type f -perm /1 -exec ldd {} + 2>/dev/null |
		awk '{ for (i = 1; i <= NF; i++)
			if ($i ~ /^\/(usr\/)?lib/) print $i }' |
		sort -u | while read -r lib; do
		[ -e ".$lib" ] || cp -L --parents "$lib" .
	done
	find . | busybox cpio -o -H newc 2>/dev/null
) >"$app/files.cpio"
say "$(cat "$app/built"), $(cat "$app/igt/built") and $(v4l2-ctl --version | head -n 1)"
exec "$@"
