# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by whatever writes below BUILD=, before it writes anything.

# own_build DIR - is it ours to write to, and to remove from? It is absent or
# empty, and marked from now on, or it is or lies below a directory that an
# earlier run has marked. Whatever else it holds is the user's.
own_build() {
	own_mark=.chunk-heap-build
	if [ -d "$1" ]; then
		own_dir=$(cd "$1" && pwd -P) || own_dir=
		while [ -n "$own_dir" ]; do
			[ ! -e "$own_dir/$own_mark" ] || return 0
			own_dir=${own_dir%/*}
		done
	fi
	if [ -e "$1" ] && [ -n "$(ls -A "$1" 2>&1)" ]; then
		echo "error: $1 holds what no make of this repository put there: give another BUILD=DIR (or, if one did, touch $1/$own_mark)" >&2
		exit 2
	fi
	{ mkdir -p "$1" && touch "$1/$own_mark"; } 2>/dev/null || {
		echo "error: cannot write to $1: give another BUILD=DIR" >&2
		exit 2
	}
}
