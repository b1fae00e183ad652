#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mmap-audit.sh [TREE] - how each dma-buf exporter in TREE maps its buffers
#
# TREE is a kernel tree in git, by default the one with the series applied.
# Prints what mmap-audit.cocci finds and compares it with the audit in
# docs/mmap-audit.md. Exporters that map page frames only may come and go. Any
# other that the audit does not have, or has and is gone, ends it with 1.
set -eu
. "$(dirname "$0")/lib.sh"

tree=${1:-$LINUX}
rule=$TOP/test/host/mmap-audit.cocci
doc=$TOP/docs/mmap-audit.md

command -v spatch >/dev/null || die "spatch not found; install coccinelle"
[ -e "$tree/include/linux/dma-buf.h" ] || die "$tree: not a kernel tree"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

kgit_in "$tree" grep -lE \
	'struct (virtio_)?dma_buf_ops [^;]*=|struct drm_gem_object_funcs [^;]*=' \
	-- '*.c' >"$work/files" || die "$tree: no exporters found"
say "reading $(wc -l <"$work/files") files"

(cd "$tree" && xargs spatch --very-quiet --no-show-diff \
	--sp-file "$rule" <"$work/files") >"$work/out" 2>"$work/err" ||
	{ cat "$work/err" >&2; die "spatch failed"; }
sort "$work/out" | tee "$work/found"

# Line numbers move with every release; the audit's are those of its base.
key() { sed -E 's/ +/ /; s/:[0-9]+ / /' | sort; }
sed -n '/^~~~ audit$/,/^~~~$/{/^~~~/d;p;}' "$doc" | key >"$work/want"
[ -s "$work/want" ] || die "$doc: no audit in there"
key <"$work/found" >"$work/have"

status=0
comm -13 "$work/want" "$work/have" | grep -v '^pfnmap \|^refuses ' \
	>"$work/new" || :
comm -23 "$work/want" "$work/have" | grep -v '^pfnmap \|^refuses ' \
	>"$work/gone" || :
if [ -s "$work/new" ]; then
	say "not in docs/mmap-audit.md:"
	sed 's/^/  /' "$work/new"
	status=1
fi
if [ -s "$work/gone" ]; then
	say "in docs/mmap-audit.md, but not found:"
	sed 's/^/  /' "$work/gone"
	status=1
fi
[ "$status" = 0 ] && say "as in docs/mmap-audit.md"
exit "$status"
