#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mmap-audit.sh [TREE] - does each dma-buf exporter in TREE say how it maps?
#
# TREE is a kernel tree in git, by default the one with the series applied.
# Prints what mmap-audit.cocci finds. Ends with 1 if an exporter that may map
# struct pages does not declare it, if one that does not map any declares it, or
# if docs/mmap-audit.md has not what can only be found out by reading: what the
# rule does not understand, and importers that take pages out of scatterlists.
set -eu
. "$(dirname "$0")/../lib/lib.sh"

tree=${1:-$LINUX}
rule=$TOP/test/static/mmap-audit.cocci
doc=$TOP/docs/mmap-audit.md

command -v spatch >/dev/null || die "spatch not found; install coccinelle"
[ -e "$tree/include/linux/dma-buf.h" ] || die "$tree: not a kernel tree"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' HUP INT TERM

kgit_in "$tree" grep -hoE \
	'^(static )?(const )?struct ((virtio_)?dma_buf_ops|drm_gem_object_funcs) [a-z0-9_]+ *= *\{' \
	-- '*.c' >"$work/tables" || die "$tree: no exporters found"
kgit_in "$tree" grep -lE \
	'struct (virtio_)?dma_buf_ops [^;]*=|struct drm_gem_object_funcs [^;]*=' \
	-- '*.c' >"$work/files"
say "reading $(wc -l <"$work/files") files"

(cd "$tree" && xargs spatch --very-quiet --no-show-diff \
	--sp-file "$rule" <"$work/files") >"$work/out" 2>"$work/err" ||
	{ cat "$work/err" >&2; die "spatch failed"; }
[ ! -s "$work/err" ] || { cat "$work/err" >&2; die "spatch had errors"; }
grep -v '^tables ' "$work/out" | sort >"$work/found"
cat "$work/found"

status=0
complain() { # MESSAGE, about $work/lines
	[ -s "$work/lines" ] || return 0
	say "$1:"
	sed 's/^/  /' "$work/lines"
	status=1
}

# What spatch cannot parse, it leaves out.
tables=$(wc -l <"$work/tables")
found=$(sed -n 's/^tables //p' "$work/out")
[ "$found" = "$tables" ] || die "$tables tables, but the rule knows $found"
for class in pfnmap pages backend refuses; do
	grep -q "^$class " "$work/found" || die "the rule finds nothing $class"
done

# The block NAME of the document. Line numbers move, so it has none. A line with a
# tag at its end is of that base only.
block() {
	sed -n "/^~~~ $1\$/,/^~~~\$/{/^~~~/d;p;}" "$doc" |
		awk -v tag="$(header base-tag)" '
			$NF !~ /^v[0-9.]+$/ { print }
			$NF == tag { sub(/ +[^ ]*$/, ""); print }'
}
key() { sed -E 's/ +/ /g; s/:[0-9]+ / /'; }

key <"$work/found" | sed -n 's/^unknown [^ ]* //p' | sort >"$work/unknown"
block read | sed -E 's/ +/ /g' | sort >"$work/read"
cut -d ' ' -f 2- "$work/read" | sort >"$work/known"
comm -23 "$work/unknown" "$work/known" >"$work/lines" || :
complain "the rule does not understand, and docs/mmap-audit.md has not"
comm -13 "$work/unknown" "$work/known" >"$work/lines" || :
complain "in docs/mmap-audit.md, but the rule does not need it"

# With the verdicts that were found by reading.
key <"$work/found" | awk -v read="$work/read" '
	BEGIN { while ((getline line <read) > 0) {
		split(line, w, " "); verdict[w[2] " " w[3]] = w[1] } }
	$1 == "unknown" && $3 " " $4 in verdict { $1 = verdict[$3 " " $4] }
	{ print }' >"$work/all"
grep -E '^(pages|backend) - ' "$work/all" >"$work/lines" || :
complain "may map struct pages, and do not set mmap_exposes_pages"
grep -E '^(pfnmap|refuses) declared ' "$work/all" >"$work/lines" || :
complain "set mmap_exposes_pages for nothing"

kgit_in "$tree" grep -lw drm_prime_sg_to_page_array -- '*.c' |
	grep -v '/drm_prime\.c$' | sort >"$work/have"
block importers | sort >"$work/want"
comm -23 "$work/have" "$work/want" >"$work/lines" || :
complain "take pages of other exporters, and are not in docs/mmap-audit.md"
comm -13 "$work/have" "$work/want" >"$work/lines" || :
complain "in docs/mmap-audit.md, but take no pages of other exporters"

[ "$status" = 0 ] && say "each exporter says what it does"
exit "$status"
