#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# lint.sh - this repository's own scripts and texts; reports TAP
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/tap.sh"
cd "$TOP"

# What git tracks or would track, or all there is in a tarball; the patches are
# checkpatch's.
if [ -e .git ]; then
	list=$(git -c safe.directory='*' ls-files -co --exclude-standard) ||
		die "git cannot list the files of $TOP"
else
	list=$(find . -path ./build -prune -o -type f ! -name '*.[ok]' \
		! -name '*.ko' -print | sed 's,^\./,,')
fi
list=$(printf '%s\n' "$list" | grep -vE '^patches/|^LICENSE$|\.svg$' |
	while read -r file; do [ ! -f "$file" ] || echo "$file"; done)
[ -n "$list" ] || die "no files to look at in $TOP"

# files [GLOB...] - of the path or of the name
files() {
	[ $# != 0 ] || set -- '*'
	echo "$list" | while read -r file; do
		for glob in "$@"; do
			# shellcheck disable=SC2254 # a glob
			case $file in $glob) echo "$file"; break ;; esac
		done
	done
}

scripts() {
	files | while read -r file; do
		case $(head -n 1 "$file" | tr -d '\0') in
		'#!/bin/sh'*) echo "$file" ;;
		*) case $file in *.sh) echo "$file" ;; esac ;;
		esac
	done
}

# Which servers a text may send its reader to; a mirror of packages comes from
# the machine's own configuration.
hosts() {
	files | xargs grep -noE 'https?://[^]/ ")>]+|[a-z]+\.(debian|ubuntu)\.(org|com)' |
		grep -vE '://((git|lore|www|docs|cdn)\.)?kernel\.org$|://(127\.0\.0\.1|localhost)(:|$)'
}

# A path that only one machine has.
paths() { files | xargs grep -nE '/(home|Users|wo[r]k|tmp/k)/'; }

no_spdx() {
	files '*.sh' '*.c' '*.h' '*.awk' '*.config' Makefile '*/Makefile' .ci/run |
		xargs grep -L 'SPDX-License-Identifier: GPL-2.0'
}

blanks() {
	files | xargs grep -nE '[[:space:]]$' -- | grep -v '^Binary'
}

# Fail if the command prints anything, be it an error.
none() {
	found=$("$@" 2>&1 || true)
	[ -z "$found" ] || {
		printf '%s\n' "$found"
		return 1
	}
}

shells() { scripts | xargs shellcheck -f gcc; }
spelling() { files | xargs codespell; }

check "shellcheck finds nothing" shells
check "codespell finds nothing" spelling
check "no file names a package mirror" none hosts
check "no file names a path of one machine" none paths
check "every source has its licence" none no_spdx
check "no blanks at the end of a line" none blanks
finish
