#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# source.sh - the pristine base as a git repository in $BUILD/linux
#
# Tried in this order: KERNEL_GIT, KERNEL_TARBALL, a tarball fetched before,
# the git server named in the series header, Debian's source package. Each
# must have the tree hash of the header. $BUILD/linux appears by one rename,
# complete, with the tag "base"; once it is there, nothing is done here.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/test/tree/apt.sh"

tag=$(header base-tag)
cached=$BUILD/cache/linux-$tag.tar.xz
new=$TMP/linux

# from_git URL [FETCH-OPTION...] - one commit, and nothing of its history
from_git() {
	url=$1
	shift
	git init -q "$new"
	quiet=-q
	[ ! -t 2 ] || quiet=--progress
	kgit_in "$new" -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=30 \
		fetch $quiet --depth=1 --no-tags "$@" "$url" \
		"refs/tags/$tag:refs/tags/$tag" || return 1
	kgit_in "$new" tag base "$tag^{commit}" || return 1
	verify "$url"
	kgit_in "$new" checkout -q --detach base
}

# from_tarball FILE - unpack and import; the same tree gives the same commit
from_tarball() {
	git init -q "$new"
	say "unpacking $1"
	# 10 KiB a record: a line for each 300 MB.
	# What tar complains of is kept in a variable, as the disk may be full.
	# shellcheck disable=SC2016 # expanded by tar's shell
	{ why=$(tar -xf "$1" -C "$new" --strip-components=1 --checkpoint=30000 \
		--no-same-owner --no-same-permissions \
		--checkpoint-action=exec='echo "  $((TAR_CHECKPOINT / 100)) MB of about 1500 MB" >&3' \
		2>&1); } 3>&1 || {
		why=$(echo "$why" | grep -v '^tar: Exiting' | tail -n 1)
		# What can be read to its end is not damaged: it stays.
		! tar -tf "$1" >/dev/null 2>&1 ||
			die "cannot unpack $1: $why (it takes 2500 MB, and $(df -Pm "$TMP" | awk 'END { print $4 }') MB are free)"
		return 1
	}
	say "importing it into git"
	import "$1" || die "could not import $1 into $new"
}

import() {
	# What the kernel's own .gitignore names is part of the tree, too.
	kgit_in "$new" add -A -f || return 1
	header exclude >"$TMP/exclude"
	kgit_in "$new" --literal-pathspecs rm -rqf --ignore-unmatch \
		--pathspec-from-file="$TMP/exclude" || return 1
	tree=$(kgit_in "$new" write-tree) || return 1
	# Author and date are fixed, so that this commit and those of the
	# series on top have the same ids everywhere.
	commit=$(GIT_AUTHOR_NAME='Linux kernel' GIT_AUTHOR_EMAIL=linux@localhost \
		GIT_AUTHOR_DATE='1700000000 +0000' \
		GIT_COMMITTER_DATE='1700000000 +0000' \
		kgit_in "$new" commit-tree -m "Linux ${tag#v}" "$tree") &&
		kgit_in "$new" tag base "$commit" &&
		verify "$1" &&
		kgit_in "$new" update-ref --no-deref HEAD "$commit"
}

# verify SOURCE - its tree must be the pinned one; rebase-check.sh pins none
verify() {
	want=$(header base-tree)
	got=$(tree_hash "$new" base)
	if [ "$want" = any ]; then
		say "tree $got: $tag"
		return
	fi
	[ "$got" = "$want" ] ||
		die "$1: not the tree of $tag: its hash is $got, pinned is $want"
	say "tree $got: $tag, as pinned"
}

# A server that cannot be reached costs seconds, not minutes.
from_server() {
	for url in $(header git); do
		timeout $((30 * ${SLOW:-1})) git ls-remote --exit-code "$url" \
			"refs/tags/$tag" >"$TMP/remote" 2>&1 </dev/null || {
			say "$url: $(grep -m 1 . "$TMP/remote" || echo "no answer, or no tag $tag")"
			continue
		}
		say "fetching $tag from $url"
		from_git "$url" && return
		say "the fetch from $url failed"
		rm -rf "$new"
	done
	return 1
}

# The original tarball of Debian's source package, or the one that a binary
# package linux-source-* has, into the cache.
from_debian() {
	command -v apt-get >/dev/null || return 1
	header debian >"$TMP/debian"
	while read -r suite package version; do
		apt=$TMP/apt
		case $package in
		linux-source-*) type=deb get=download ;;
		*) type=deb-src get='source --download-only --tar-only' ;;
		esac
		apt_begin "$apt" $type "$suite" || {
			say "apt's sources name no mirror of Debian"
			continue
		}
		say "fetching $package $version from Debian's $suite"
		apt_get update || true
		# shellcheck disable=SC2086 # words
		apt_get $get "$package=$version" || {
			# A list that is not there is why there is no package.
			say "apt: $(grep -E -m 1 '^[EW]: (Failed|.*does not have)' "$apt/log" ||
				grep '^E:' "$apt/log" | tail -n 1)"
			continue
		}
		for file in "$apt/get"/*.deb; do
			[ ! -f "$file" ] || dpkg-deb --fsys-tarfile "$file" |
				tar -xO "./usr/src/$package.tar.xz" \
					>"$apt/get/$package.orig.tar.xz"
		done
		for file in "$apt/get"/*.orig.tar.xz; do
			[ -s "$file" ] || continue
			mkdir -p "$BUILD/cache"
			mv "$file" "$cached"
			return
		done
	done <"$TMP/debian"
	return 1
}

lock_source
if [ -e "$LINUX" ]; then
	if kgit rev-parse -q --verify refs/tags/base >/dev/null 2>&1; then
		for given in KERNEL_GIT KERNEL_TARBALL; do
			eval "value=\${$given:-}"
			[ -z "$value" ] ||
				say "$given=$value is not used: $LINUX is there"
		done
		exit 0
	fi
	die "$LINUX is there, but 'make kernel' did not make it: move it away"
fi
rm -rf "$TMP"
mkdir -p "$TMP"

if [ -n "${KERNEL_GIT:-}" ]; then
	[ -d "$KERNEL_GIT" ] || die "KERNEL_GIT=$KERNEL_GIT: no such directory"
	KERNEL_GIT=$(cd "$KERNEL_GIT" && pwd)
	kgit_in "$KERNEL_GIT" rev-parse -q --verify "refs/tags/$tag^{commit}" \
		>/dev/null 2>&1 ||
		die "KERNEL_GIT=$KERNEL_GIT: not a git clone with the tag $tag"
	say "fetching $tag from $KERNEL_GIT"
	# upload-pack only reads; the clone may belong to another user.
	from_git "file://$KERNEL_GIT" \
		--upload-pack='git -c safe.directory=* -c pack.window=0 upload-pack' ||
		die "KERNEL_GIT=$KERNEL_GIT: the fetch of $tag failed"
elif [ -n "${KERNEL_TARBALL:-}" ]; then
	[ ! -d "$KERNEL_TARBALL" ] ||
		die "KERNEL_TARBALL=$KERNEL_TARBALL is a directory: a clone is KERNEL_GIT="
	[ -f "$KERNEL_TARBALL" ] || die "KERNEL_TARBALL=$KERNEL_TARBALL: no such file"
	from_tarball "$KERNEL_TARBALL" ||
		die "KERNEL_TARBALL=$KERNEL_TARBALL: damaged, or not a tarball ($why)"
else
	if [ -f "$cached" ] && ! from_tarball "$cached"; then
		say "$cached is damaged: fetching it again"
		rm -rf "$cached" "$new"
	fi
	if [ ! -d "$new" ] && ! from_server; then
		from_debian || die "no source of $tag: neither $(header git) nor Debian's source package; give KERNEL_GIT= or KERNEL_TARBALL="
		from_tarball "$cached" || die "$cached: damaged"
	fi
fi
mv "$new" "$LINUX"
rm -rf "$TMP"
