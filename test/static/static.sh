#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# static.sh checkpatch|warnings|configs|modules - what tools say about the patches
# and about the harness's own modules, and compilers in other configurations;
# reports TAP
#
# checkpatch has to report nothing at all. Of the others (gcc W=1, sparse,
# kernel-doc) a patch must not bring a line that was not there before it: the
# files that it touches are looked at without it and with it. A tool that did
# not look at a file, on either side, is a failure. A fix that stands alone is put
# on the base, without those before it.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
# Each check names its own.
ARCH=x86_64 PAGE_SIZE=4k
. "$(dirname "$0")/../lib/arch.sh"
. "$(dirname "$0")/../lib/tap.sh"

checkpatch() {
	cd "$LINUX"
	# spdxcheck.py needs modules that only the system's Python has. The tree
	# has no history, in which the commit of a Fixes: tag could be found. Who
	# signs off is the sender of the mails: mails.sh looks at that. The new
	# files of mm are in directories that MAINTAINERS names. codespell itself
	# takes a second for what --codespell takes a minute for: lint.sh.
	PATH=/usr/bin:$PATH
	for patch in $(series_patches); do
		check "checkpatch: $patch" \
			perl scripts/checkpatch.pl --strict --no-signoff \
			--ignore UNKNOWN_COMMIT_ID,FILE_PATH_CHANGES \
			--max-line-length=80 "$PATCHES/$patch"
	done
}

SRC=$BUILD/linux-static
OBJ=$BUILD/obj/static

# at COMMIT - files that do not differ keep their times, and their objects.
# What Kconfig has there and not elsewhere is to be answered, too.
at() {
	was=$there there=$1
	kgit_in "$SRC" checkout -q --detach "$1"
	if [ -n "$was" ] && kgit diff --quiet "$was" "$1" -- '*Kconfig*'; then
		return
	fi
	{ kmake "$OBJ" allmodconfig && kmake "$OBJ" prepare; } >"$w/config.log" 2>&1 ||
		die "make allmodconfig prepare failed, see $w/config.log"
}

# Line numbers move; what is said, and about which file, does not.
warnings_of() {
	grep -E '(warning|error|Error)[: ]' "$1" | grep -v '^make' |
		sed -E "s#(\.\./)+##; s#$SRC/##; s/:[0-9]+(:[0-9]+)?:/:/" | sort
}

# compile OUT FILE... - with every warning, and sparse; in allmodconfig, so
# that whatever a patch touches is in. OUT.bad has what kept it from looking.
compile() {
	out=$1
	shift
	objects=
	: >"$out.bad"
	for file in "$@"; do
		case $file in tools/* | samples/* | scripts/*) continue ;; esac
		[ -f "$SRC/$file" ] || continue
		case $file in
		*.c)
			objects="$objects ${file%.c}.o"
			rm -f "$OBJ/${file%.c}.o" ;;
		esac
	done
	: >"$out.log"
	if [ -n "$objects" ]; then
		# Quiet, whatever V= says: with a line for each file.
		# shellcheck disable=SC2086 # a list of files
		kmake "$OBJ" -k V=0 W=1 C=2 $objects >"$out.log" 2>&1 ||
			echo "make failed, see $out.log" >>"$out.bad"
	fi
	for object in $objects; do
		compiled=$((compiled + 1))
		[ -e "$OBJ/$object" ] || echo "no $object" >>"$out.bad"
		grep -qE "^  CHECK +([^ ]*/)?${object%.o}\.c\$" "$out.log" ||
			echo "sparse did not read ${object%.o}.c" >>"$out.bad"
	done
	warnings_of "$out.log" >"$out"
}

# Debian 12's sparse cannot parse mainline's headers, that of sid can. It is built
# here, since sid's binary wants sid's C library.
newer_sparse() {
	dir=$BUILD/sparse
	if [ ! -x "$dir/bin/sparse" ]; then
		. "$TOP/test/tree/apt.sh"
		echo "# fetching the source of sparse from Debian's sid"
		apt_fetch "$dir/apt" deb-src sid '' source --download-only sparse
		mkdir -p "$dir/source" "$dir/bin"
		tar -xf "$apt/get"/sparse_*.orig.tar.* -C "$dir/source" --strip-components=1
		make -s -C "$dir/source" sparse HAVE_LLVM=no HAVE_SQLITE=no HAVE_GTK=no \
			>"$dir/log" 2>&1 || die "sparse does not build, see $dir/log"
		cp "$dir/source/sparse" "$dir/bin/"
	fi
	PATH=$dir/bin:$PATH
}

kernel_doc() {
	out=$1
	shift
	: >"$out.log"
	: >"$out.bad"
	for file in "$@"; do
		[ -f "$SRC/$file" ] || continue
		case $file in
		*.c | *.h)
			(cd "$SRC" && perl scripts/kernel-doc -none -Wall \
				"$file") >>"$out.log" 2>&1 ||
				echo "kernel-doc failed on $file" >>"$out.bad" ;;
		esac
	done
	warnings_of "$out.log" >"$out"
}

# Lines of the second file that are not in the first, each as often as it is.
new_lines() {
	if [ -s "$1.bad" ] || [ -s "$2.bad" ]; then
		sed 's/^/error: before: /' "$1.bad"
		sed 's/^/error: after: /' "$2.bad"
		return 1
	fi
	new=$(comm -13 "$1" "$2")
	[ -z "$new" ] || {
		printf '%s\n' "$new"
		return 1
	}
}

# alone COMMIT - its change on the base, as a commit
alone() {
	# Not what a conflict has left.
	kgit_in "$SRC" checkout -q -f --detach base &&
		kgit_in "$SRC" cherry-pick "$1" >"$w/alone.log" 2>&1 &&
		kgit_in "$SRC" rev-parse HEAD
}

warnings() {
	take_lock 9 "$BUILD/.lock" -s
	take_lock 8 "$BUILD/obj/static/.lock"
	[ -z "${BASE:-}" ] || newer_sparse
	w=$BUILD/obj/static-warnings
	rm -rf "$w"
	mkdir -p "$w" "$OBJ"
	kgit worktree prune
	if [ ! -e "$SRC" ]; then
		echo "# checking out the base"
		kgit worktree add -q --detach "$SRC" base
	fi
	echo "# allmodconfig"
	n=0 compiled=0 there='' base=$(kgit rev-parse base) first=$(first_commit)
	fixes=$(kgit rev-list --reverse "base..$first")
	for commit in $fixes $(kgit rev-list --reverse "$first..$(header branch)"); do
		n=$((n + 1))
		subject=$(kgit log -1 --format=%s "$commit")
		before=$(kgit rev-parse "$commit^") after=$commit
		case $fixes in
		*"$commit"*)
			before=$base
			after=$(alone "$commit") || die "not alone on the base: $subject" ;;
		esac
		files=$(kgit diff-tree -r --no-commit-id --name-only \
			--diff-filter=d "$commit")
		for side in "before $before" "after $after"; do
			at "${side#* }"
			side=${side% *}
			# shellcheck disable=SC2086 # a list of files
			compile "$w/$n.$side.gcc" $files
			# shellcheck disable=SC2086
			kernel_doc "$w/$n.$side.doc" $files
		done
		check "gcc W=1 and sparse: $subject" \
			new_lines "$w/$n.before.gcc" "$w/$n.after.gcc"
		check "kernel-doc: $subject" \
			new_lines "$w/$n.before.doc" "$w/$n.after.doc"
	done
	check "something was compiled" [ "$compiled" -gt 0 ]
}

# config NAME ARCH OPTIONS FILES - what a configuration that no guest has, and
# none of patches.sh, makes of the files
config() {
	SRC=$LINUX OBJ=$BUILD/obj/static-$2
	ARCH=$2 files=$4
	mkdir -p "$OBJ"
	# shellcheck disable=SC2086 # words
	printf 'CONFIG_%s\n' $3 >"$OBJ/wanted.config"
	cat "$TOP/kernel-config/base.config" "$TOP/kernel-config/series.config" \
		"$OBJ/wanted.config" >"$OBJ/all.config"
	check "config $1" configured
}

# shellcheck disable=SC2317 # check calls it
configured() {
	kmake "$OBJ" KCONFIG_ALLCONFIG="$OBJ/all.config" allnoconfig >/dev/null ||
		return
	awk -f "$TOP/test/tree/config.awk" "$OBJ/.config" "$OBJ/wanted.config" ||
		return
	# shellcheck disable=SC2086 # a list of files
	kmake "$OBJ" KCFLAGS=-Werror prepare $files
}

configs() {
	take_lock 9 "$BUILD/.lock" -s
	take_lock 8 "$BUILD/obj/static-configs.lock"
	mm='mm/page_alloc.o mm/swap.o'
	contig=mm/tests/alloc_contig_mode_kunit.o
	cma="$contig mm/cma.o mm/tests/cma_alloc_bulk_kunit.o"
	heap='drivers/dma-buf/heaps/chunk_heap.o drivers/dma-buf/dma-buf.o
		drivers/dma-buf/dma-heap.o kernel/dma/contiguous.o'
	config plain-cma x86_64 \
		'64BIT=y CMA=y CMA_SYSFS=n CMA_DEBUGFS=n DEBUG_FS=n' \
		"$mm mm/cma.o $heap"
	config no-smp x86_64 '64BIT=y SMP=n CMA=y' "$mm $cma"
	config no-cma x86_64 '64BIT=y CMA=n CONTIG_ALLOC=y' \
		"$mm $contig drivers/dma-buf/dma-buf.o"
	config no-contig-alloc x86_64 \
		'64BIT=y CMA=n MEMORY_HOTPLUG=n VIRTIO_MEM=n CONTIG_ALLOC=n' \
		"$mm"
	set_cross aarch64-linux-gnu-
	for pages in 16K 64K; do
		config "arm64-$pages" arm64 \
			"ARM64_${pages}_PAGES=y CMA=y DMABUF_HEAPS_CHUNK=y" "$mm $cma $heap"
	done
}

# The harness's own modules, for the main kernel as it is built: no warning.
modules() {
	set_flavour main
	build_first
	lock_kernel "$OBJ"
	need_built
	w=$BUILD/obj/static-modules
	rm -rf "$w"
	copy_modules "$w"
	check "modules: gcc W=1 and sparse" no_warning
	for c in "$TOP"/test/*/modules/*.c; do
		check "modules: sparse read ${c##*/}" \
			grep -qE "^  CHECK +([^ ]*/)?${c##*/}\$" "$w.log"
	done
}

# shellcheck disable=SC2317 # check calls it
no_warning() {
	kmake "$OBJ" V=0 M="$w" W=1 C=2 modules >"$w.log" 2>&1 ||
		{ cat "$w.log"; return 1; }
	! grep -E '(warning|error): ' "$w.log"
}

case ${1:-} in
checkpatch | warnings | configs | modules) "$1" ;;
*) die "usage: static.sh checkpatch|warnings|configs|modules" ;;
esac
finish
