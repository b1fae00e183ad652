# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by the scripts of test/host/, which run under set -eu.

TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$TOP/build}
# The harness's own tests point this at a series of their own.
SERIES=${SERIES:-$TOP/series}
# shellcheck disable=SC2034 # for those who source this
PATCHES=$(dirname "$SERIES")/patches
LINUX=$BUILD/linux
# Whatever is unfinished lives here; the next run starts by removing it.
TMP=$BUILD/tmp

CC=gcc
# shellcheck disable=SC2034 # for those who source this
! command -v ccache >/dev/null || CC="ccache gcc"

# A hook or an outer git must not redirect ours.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_PREFIX
export LC_ALL=C

say() { printf '%s\n' "$*"; }

# One clear line, then stop. Exit code 2: nothing was tested.
die() { printf 'error: %s\n' "$*" >&2; exit 2; }

# quote WORD... - as the shell would read them again
quote() {
	for w in "$@"; do
		case $w in
		*[!A-Za-z0-9_./:,=+-]* | '')
			printf "'%s' " "$(printf %s "$w" | sed "s/'/'\\\\''/g")" ;;
		*) printf '%s ' "$w" ;;
		esac
	done
	echo
}

# header KEY - the values of "# KEY: VALUE" in the series file, one a line
header() { sed -n "s/^# $1: *//p" "$SERIES"; }

# The series' patches in order, as quilt reads them.
series_patches() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$SERIES"; }

# git on our kernel repository, which ignores the user's configuration: what it
# writes must not depend on who runs it.
kgit_in() {
	dir=$1
	shift
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
	GIT_COMMITTER_NAME='chunk heap series' \
	GIT_COMMITTER_EMAIL='series@localhost' \
		git -c safe.directory='*' -c gc.auto=0 -c advice.detachedHead=false \
		-C "$dir" "$@"
}
kgit() { kgit_in "$LINUX" "$@"; }

# tree_hash REPO TREEISH - its tree hash with the excluded paths left out
tree_hash() {
	mkdir -p "$TMP"
	idx=$(mktemp -u "$TMP/index.XXXXXX")
	(
		export GIT_INDEX_FILE="$idx"
		kgit_in "$1" read-tree "$2"
		header exclude >"$idx.exclude"
		kgit_in "$1" --literal-pathspecs rm -rqf --cached \
			--ignore-unmatch --pathspec-from-file="$idx.exclude"
		kgit_in "$1" write-tree
	)
	rm -f "$idx" "$idx.exclude"
}

# commit_of DIR - what is checked out there, in words
commit_of() {
	commit=$(kgit_in "$1" rev-parse -q --verify HEAD 2>/dev/null) || commit=
	if [ -z "$commit" ] || [ -n "$(kgit_in "$1" rev-parse --show-prefix)" ]; then
		echo "no git checkout"
		return
	fi
	[ -z "$(kgit_in "$1" status --porcelain 2>&1)" ] ||
		commit="$commit with uncommitted changes"
	echo "commit $commit"
}

# tree_of DIR - the hash of its HEAD that series has, or "unknown"
tree_of() { tree_hash "$1" HEAD 2>/dev/null || echo unknown; }

# Locks go with the process. take_lock FD FILE [-s]
take_lock() {
	mkdir -p "$(dirname "$2")"
	eval "exec $1>\"\$2\""
	# shellcheck disable=SC2086 # an option or none
	flock -n ${3:-} "$1" && return
	say "waiting for another make in $BUILD"
	# shellcheck disable=SC2086
	flock ${3:-} "$1"
}

# The source has one user if it may change; kernels can be built beside each
# other, each by one make.
lock_source() { take_lock 9 "$BUILD/.lock"; }
lock_kernel() {
	take_lock 9 "$BUILD/.lock" -s
	take_lock 8 "$1/.lock"
}
