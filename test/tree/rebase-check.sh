#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# rebase-check.sh - do the patches apply to another kernel, build and pass?
#
# The other kernel is named in the environment:
#   KERNEL_TARBALL=FILE        a tarball, or
#   KERNEL_GIT=DIR TAG=NAME    a tag in a clone, which is only read
#
# Reports TAP: a line for each patch and, for each hunk that does not apply,
# what differs from the base at that place. If all apply, the kernel is built
# and tested. All of that is in $BUILD/rebase; $BUILD/linux is only read.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/tap.sh"
K=$TOP/test/tree

case ${KERNEL_TARBALL:+tarball}${KERNEL_GIT:+git}${TAG:+tag} in
tarball) tag=${KERNEL_TARBALL##*/} ;;
gittag) tag=$TAG ;;
*) die "which kernel? give KERNEL_TARBALL=FILE, or KERNEL_GIT=DIR and TAG=NAME" ;;
esac

# The series' own base, to compare with.
env -u KERNEL_TARBALL -u KERNEL_GIT "$K/source.sh"
was=$LINUX
base=$(header base-tag)
ours=$SERIES

# From here on, everything is about the other one.
BUILD=$BUILD/rebase
LINUX=$BUILD/linux
TMP=$BUILD/tmp
export BUILD
take_lock 7 "$BUILD/.rebase.lock"
rm -rf "$LINUX" "$TMP" "$BUILD/s"
mkdir -p "$BUILD/s"
ln -s "$PATCHES" "$BUILD/s/patches"

# new_series BASE-TREE RESULT-TREE
new_series() {
	echo "# base-tag: $tag"
	echo "# base-tree: $1"
	echo "# result-tree: $2"
	echo "# branch: $(header branch)"
	for key in exclude unpinned fixes; do
		header "$key" | sed "s/^/# $key: /"
	done
	SERIES=$ours series_patches
} >"$BUILD/s/series"

new_series any any
SERIES=$BUILD/s/series "$K/source.sh"

# --- patch by patch, hunk by hunk --------------------------------------------

# Only the files that the series touches: as they are before the patch in the
# base and in the other kernel.
files=$(SERIES=$ours series_patches | sed "s,^,$PATCHES/," | xargs cat | sed -n 's,^diff --git a/.* b/,,p' | sort -u)
extract() { # REPO DIR
	mkdir -p "$2"
	# shellcheck disable=SC2086 # no path of the kernel has a blank
	there=$(kgit_in "$1" ls-tree -r --name-only base -- $files)
	# shellcheck disable=SC2086
	[ -z "$there" ] || kgit_in "$1" archive base -- $there | tar -xf - -C "$2"
}

mkdir -p "$TMP"
extract "$was" "$TMP/old"
extract "$LINUX" "$TMP/new"

# apply_in DIR OPTION... - as git am would, outside of any repository
apply_in() {
	dir=$1
	shift
	(cd "$dir" && GIT_CEILING_DIRECTORIES=$TMP GIT_CONFIG_GLOBAL=/dev/null \
		GIT_CONFIG_NOSYSTEM=1 git apply "$@")
}

# differs FILE FIRST LAST - between base and other kernel, in these lines
differs() {
	diff -U 0 "$TMP/old/$1" "$TMP/new.was/$1" | awk -v first="$2" -v last="$3" '
	FNR <= 2 { next }
	/^@@/ {
		split(substr($2, 2), at, ",")
		n = at[2] == "" ? 1 : at[2]
		show = at[1] <= last && at[1] + n >= first
	}
	show && lines++ < 40'
}

# rejected FILE - of the patch, as comments
rejected() {
	[ -e "$TMP/new.was/$1" ] || {
		echo "$1 is not there"
		return
	}
	[ -e "$TMP/new/$1.rej" ] || {
		echo "$1 is there already"
		return
	}
	sed -n 's/^@@ -\([0-9,]*\) .*/\1/p' "$TMP/new/$1.rej" |
	while IFS=, read -r first n; do
		echo "$1: the hunk at line $first of $base"
		differs "$1" "$first" $((first + ${n:-1} - 1))
	done
}

for patch in $(SERIES=$ours series_patches); do
	rm -rf "$TMP/old.next" "$TMP/new.was"
	cp -r "$TMP/old" "$TMP/old.next"
	cp -r "$TMP/new" "$TMP/new.was"
	apply_in "$TMP/old.next" "$PATCHES/$patch" ||
		die "$patch does not apply to $base"
	status=0
	apply_in "$TMP/new" --reject "$PATCHES/$patch" >"$TMP/log" 2>&1 ||
		status=$?
	failed=$( {
		(cd "$TMP/new" && find . -name '*.rej' | sed 's,^\./,,;s,\.rej$,,')
		sed -n -e 's/^error: \(.*\): No such file or directory$/\1/p' \
			-e 's/^error: \(.*\): already exists in .*/\1/p' "$TMP/log"
	} | sort -u)
	if [ "$status" = 0 ] && [ -z "$failed" ]; then
		result 1 "$patch"
	else
		hunks=$(grep -c '^@@ ' "$PATCHES/$patch")
		bad=$(find "$TMP/new" -name '*.rej' -exec cat {} + | grep -c '^@@ ' || true)
		result 0 "$patch" "$bad of $hunks hunks do not apply, in $(echo "$failed" | paste -s -d ' ')"
		for file in $failed; do
			rejected "$file"
		done | sed 's/^/#   /'
	fi
	find "$TMP/new" -name '*.rej' -exec rm {} +
	rm -rf "$TMP/old"
	mv "$TMP/old.next" "$TMP/old"
done

echo "# $((tap_nr - tap_failed)) of $tap_nr patches apply"

# --- does it build and pass? -------------------------------------------------

if [ "$tap_failed" = 0 ]; then
	GIT_INDEX_FILE=$TMP/index
	export GIT_INDEX_FILE
	kgit read-tree base
	for patch in $(SERIES=$ours series_patches); do
		kgit apply --cached "$PATCHES/$patch"
	done
	tree=$(kgit write-tree)
	unset GIT_INDEX_FILE
	new_series "$(tree_hash "$LINUX" base)" "$(tree_hash "$LINUX" "$tree")"
	SERIES=$BUILD/s/series
	export SERIES
	check "git am gives the same tree" "$K/series.sh" apply
	[ "$tap_failed" != 0 ] || check "it builds" "$K/build.sh" main
	[ "$tap_failed" != 0 ] ||
		check "qemu-test passes" "$TOP/test/guest/qemu.sh" test main
fi
finish
