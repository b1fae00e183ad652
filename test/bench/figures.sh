#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# figures.sh check|update RUN.tsv - are the benchmark's figures those of a run?
#
#   check   docs/bench.tsv within 2 %, and to the digit the tables that docs/
#           and the patches' messages have of it
#   update  make that so in docs/, and say what is wrong in the messages: those
#           are changed as commits
#
# With BASE=mainline, it is docs/bench-mainline.tsv; the messages are each series'.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
BENCH=$TOP/test/bench

check() {
	status=0
	awk -f "$BENCH/drift.awk" "$kept" "$run" || status=1
	awk -v check=1 -f "$BENCH/tables.awk" docs/bench.tsv docs/*.md ||
		status=1
	for tsv in docs/bench*.tsv; do
		base=${tsv#docs/bench} base=${base%.tsv}
		awk -v check=1 -f "$BENCH/tables.awk" "$tsv" \
			"patches${base:+/${base#-}}"/*.* || status=1
	done
	[ "$status" = 0 ] ||
		say "DRIFTED: if this is meant to be, run make bench-update for docs/, and change the commits for patches/"
	return "$status"
}

# Nothing is written before there is all of it.
update() {
	if [ -n "${BASE:-}" ]; then
		cp "$run" "$kept"
		check
		return
	fi
	new=$(mktemp -d)
	trap 'rm -rf "$new"' EXIT
	for text in docs/*.md; do
		awk -f "$BENCH/tables.awk" "$run" "$text" \
			>"$new/${text##*/}" || exit 2
	done
	for text in docs/*.md; do
		cmp -s "$new/${text##*/}" "$text" ||
			cat "$new/${text##*/}" >"$text"
	done
	cp "$run" "$kept"
	cp "${run%.tsv}.svg" docs/bench.svg
	check
}

case ${1:-} in
check | update) ;;
*) die "usage: figures.sh check|update RUN.tsv" ;;
esac
[ -s "${2:-}" ] || die "no figures in ${2:-RUN.tsv}: run make bench"
run=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
kept=docs/bench${BASE:+-$BASE}.tsv
cd "$(dirname "$SERIES")${BASE:+/../..}"
"$1"
