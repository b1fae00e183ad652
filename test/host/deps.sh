#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# deps.sh GROUP... - see that the tools of these groups are there
#
# As root on Debian the missing packages are installed; otherwise one line
# says what to run, and that is the end.
set -eu
ON_TERMINAL=1
. "$(dirname "$0")/lib.sh"

# group, what must be there, the package it is in. That is a tool in PATH, a
# header or library, or a module of Python.
table() {
	cat <<'END'
kernel  git                git
kernel  xz                 xz-utils
kernel  flock              util-linux
build   make               make
build   gcc                gcc
build   libc.a             libc6-dev
build   flex               flex
build   bison              bison
build   bc                 bc
build   perl               perl
build   gelf.h             libelf-dev
build   openssl/ssl.h      libssl-dev
build   rsync              rsync
build   depmod             kmod
build   busybox            busybox-static
qemu    qemu-system-x86_64 qemu-system-x86
qemu    python3            python3
check   shellcheck         shellcheck
check   codespell          codespell
check   sparse             sparse
check   spatch             coccinelle
check   libpython3.so      libpython3-dev
check   ply.py             python3-ply
check   git.py             python3-git
bench   gnuplot            gnuplot-nox
END
}

have() {
	case $1 in
	*.py) # a module of the system's Python, for checkpatch
		[ -e "/usr/lib/python3/dist-packages/${1%.py}" ] ;;
	libpython3.so) # of any version; coccinelle loads it for its scripts
		for lib in /usr/lib/*/libpython3.[0-9]*.so; do
			[ -e "$lib" ] && return
		done
		return 1 ;;
	*.h | *.a)
		for dir in /usr/include /usr/include/*-linux-gnu* \
			/usr/lib /usr/lib/*-linux-gnu*; do
			[ -e "$dir/$1" ] && return
		done
		return 1 ;;
	*)
		# The tools of the administrator are not in every PATH.
		PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
	esac
}

missing=
for group in "$@"; do
	while read -r of probe package; do
		[ "$of" = "$group" ] || continue
		have "$probe" && continue
		case " $missing " in
		*" $package "*) ;;
		*) missing="$missing${missing:+ }$package" ;;
		esac
	done <<END
$(table)
END
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends $missing"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	die "tools are missing; as root, run: $install"
fi

say "installing the missing packages: $missing"
mkdir -p "$BUILD"
log=$BUILD/apt.log
export DEBIAN_FRONTEND=noninteractive
# A machine that never ran "apt-get update" knows no packages at all.
# shellcheck disable=SC2086 # a list of packages
if ! $install >"$log" 2>&1 </dev/null; then
	say "updating the lists of packages"
	apt-get update >"$log" 2>&1 </dev/null || true
	$install >>"$log" 2>&1 </dev/null ||
		die "apt could not install: $missing (see $log)"
fi
say "installed: $missing"
