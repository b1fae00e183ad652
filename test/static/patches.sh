#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# patches.sh - does the tree build, link, boot and pass its suites after each
# patch? Reports TAP
#
# A patch may not need one that comes after it. After each of them, vmlinux and
# the modules are linked with what the series has built in, as modules and left
# out; without CMA; and with nothing but allnoconfig. Other architectures only
# compile. It has a build directory of its own, with a work tree that goes from
# patch to patch: what a patch does not touch is built once. The fixes that come
# before the series are compiled by static.sh warnings.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"
. "$(dirname "$0")/../lib/tap.sh"

W=$BUILD/patches
SRC=$W/linux
branch=$(header branch)
take_lock 9 "$BUILD/.lock" -s
take_lock 7 "$W/.running.lock"
# With a series that is named, BUILD is what it is, whatever BASE is.
export CONFIG_DIR="$W/config" USER_SRC="$LINUX" SERIES

# exists SYMBOL - has the tree this option by now?
exists() { kgit_in "$SRC" grep -q "^config ${1#CONFIG_}\$" -- '*Kconfig*'; }

# configs VALUE - the harness's own, with that for all options of the series
configs() {
	rm -rf "$CONFIG_DIR"
	cp -r "$TOP/kernel-config" "$CONFIG_DIR"
	for symbol in $symbols; do
		case $1 in
		n) echo "# $symbol is not set" ;;
		*) echo "$symbol=$1" ;;
		esac
	done >"$CONFIG_DIR/series.config"
}

# shellcheck disable=SC2317 # check calls these
{
built_in() {
	configs y
	BUILD=$W "$TOP/test/tree/build.sh"
}
boots() {
	BUILD=$W "$TOP/test/guest/qemu.sh" test main RUN="patch-$n" TESTS="$tests"
}
linked() { # VALUE
	configs "$1"
	rm -f "$W/obj/x86_64/.built"
	BUILD=$W "$TOP/test/tree/config.sh" &&
		kmake "$W/obj/x86_64" vmlinux modules
}
# has_all OBJECTS - is its .config what all.config asks for?
has_all() { awk -f "$TOP/test/tree/config.awk" "$1/.config" "$1/all.config"; }
# small NAME OPTION... - allnoconfig with these
small() {
	obj=$W/obj/$1
	shift
	mkdir -p "$obj"
	printf 'CONFIG_%s\n' "$@" >"$obj/all.config"
	kmake "$obj" KCONFIG_ALLCONFIG="$obj/all.config" allnoconfig >/dev/null ||
		return
	has_all "$obj" || return
	kmake "$obj" vmlinux
}
# elsewhere ARCH CROSS CONFIG OPTION...
elsewhere() {
	obj=$W/obj/$1 ARCH=$1 config=$3
	set_cross "$2"
	shift 3
	mkdir -p "$obj"
	{
		printf 'CONFIG_%s\n' DEBUG_KERNEL=y KUNIT=y KUNIT_ALL_TESTS=n \
			CMA=y DMA_CMA=y DMABUF_HEAPS=y DMABUF_HEAPS_CMA=y "$@"
		for symbol in $symbols; do echo "$symbol=y"; done
	} >"$obj/all.config"
	kmake "$obj" "$config" >/dev/null || return
	cat "$obj/all.config" >>"$obj/.config"
	kmake "$obj" olddefconfig >/dev/null 2>&1 || return
	has_all "$obj" || return
	kmake "$obj" KCFLAGS=-Werror prepare mm/ kernel/dma/ drivers/dma-buf/
}
}

all=$(sed -n 's/^\(CONFIG_[A-Z0-9_]*\)=y$/\1/p' \
	"$TOP/kernel-config/series.config")
kgit worktree prune
first=$(first_commit)
[ -e "$SRC" ] || kgit worktree add -q --detach "$SRC" "$first"
n=0
for commit in $(kgit rev-list --reverse "$first..$branch"); do
	n=$((n + 1)) patch="patch $n"
	kgit_in "$SRC" checkout -q --detach "$commit"
	echo "# patch $n: $(kgit log -1 --format=%s "$commit")"
	symbols='' tests=''
	for symbol in $all; do
		exists "$symbol" || continue
		symbols="$symbols $symbol"
		name=$(echo "${symbol#CONFIG_}" | tr '[:upper:]' '[:lower:]')
		case $name in
		*_kunit_test) tests="$tests ${name%_kunit_test}" ;;
		dmabuf_heaps_chunk) tests="$tests dmabuf-heaps:*" ;;
		*) die "no test is known for $symbol" ;;
		esac
	done
	check "$patch: builds, with all of it built in" built_in
	check "$patch: boots, and passes${tests:- nothing yet}" boots
	check "$patch: links with all of it as modules" linked m
	check "$patch: links without any of it" linked n
	check "$patch: links without CMA" small no-cma 64BIT=y SMP=y PRINTK=y KUNIT=y \
		CMA=n MEMORY_HOTPLUG=y MEMORY_HOTREMOVE=y COMPACTION=y \
		DMABUF_HEAPS=y DMABUF_HEAPS_SYSTEM=y
	check "$patch: links in allnoconfig" small allnoconfig 64BIT=y
	check "$patch: compiles for i386 with HighMem" elsewhere i386 '' \
		i386_defconfig HIGHMEM4G=y
	check "$patch: compiles for arm64" elsewhere arm64 aarch64-linux-gnu- defconfig
	check "$patch: compiles for arm with HighMem" elsewhere arm arm-linux-gnueabihf- \
		multi_v7_defconfig HIGHMEM=y
done
[ "$n" != 0 ] || die "the series has no patch"
finish
