#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# lint.sh [GLOB] - this repository's own scripts and texts; reports TAP; only those
# checks whose name fits
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/tap.sh"
cd "$TOP"
wanted=${1:-*}

# What git tracks or would track, or all there is in a tarball; the patches are
# checkpatch's, but for their spelling.
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
	files '*.sh'
	files | xargs awk 'FNR == 1 && /^#!\/bin\/sh/ { print FILENAME }'
}

# Which servers a text may send its reader to; a mirror of packages comes from
# the machine's own configuration.
hosts() {
	files | xargs grep -noE 'https?://[^]/ ")>]+|[a-z]+\.(debian|ubuntu)\.(org|com)' |
		grep -vE '://((git|lore|www|docs|cdn)\.)?kernel\.org$|://(127\.0\.0\.1|localhost)(:|$)|://github\.com$'
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

# The tests of all plans and the steps of check.sh, with what they are, and those
# that docs/ explains.
tests() {
	for plan in test/guest/plans/*.plan; do
		awk -f test/guest/plan.awk "$plan" | cut -d' ' -f1
	done
	for list in test/steps.sh test/steps-long.sh; do
		test/check.sh --steps "$list" --list
	done | sed -n 's/^\(.*\)\t/step \1: /p'
}
explained() {
	awk -F ' *[|] *' '
	/^## / { steps = /^## Steps/ }
	$2 ~ /^`.*`$/ {
		gsub(/`/, "", $2)
		print steps ? "step " $2 ": " $3 : $2
	}' docs/testing.md
}
unexplained() {
	{
		tests | sort -u | sed 's/^/+/'
		explained | sed 's/^/-/'
	} | awk '
	{ name = substr($0, 2); in_both[name] = in_both[name] substr($0, 1, 1) }
	/^\+/ { tests++ }
	END {
		for (name in in_both)
			if (in_both[name] == "+")
				print "docs/testing.md does not explain " name
			else if (in_both[name] != "+-")
				print "docs/testing.md: no test, or twice: " name
		if (!tests)
			print "no tests found"
	}'
}

# A name that another system, or an archive of a CI, does not take.
odd_names() { files | grep '["<>|*?:\\]'; }

# Links within the repository: the file, and the heading behind "#".
astray() {
	files '*.md' | while read -r text; do
		grep -oE '\]\([^)#: ]*(#[^) ]*)?\)' "$text" | tr -d '])(' |
			while read -r link; do
			file=$(dirname "$text")/${link%%#*}
			[ "${link%%#*}" ] || file=$text
			if [ ! -e "$file" ]; then
				echo "$text: there is no $link"
				continue
			fi
			case $link in
			*#*) sed -n 's/^#* //p' "$file" | tr 'A-Z ' 'a-z-' |
				tr -cd 'a-z0-9_\n-' | grep -qxF -- "${link#*#}" ||
				echo "$text: no heading for $link" ;;
			esac
		done
	done
}

# Fail if the command prints anything, be it an error.
none() {
	found=$("$@" 2>&1 || true)
	[ -z "$found" ] || {
		printf '%s\n' "$found"
		return 1
	}
}

shells() { scripts | sort -u | xargs shellcheck -f gcc; }
spelling() { { files; find patches -type f; } | xargs codespell; }

# "on" is a key in GitHub's workflows, and no boolean. What their keys mean is
# for actionlint, which the workflow itself runs.
workflows() {
	rules='document-start: disable, truthy: {check-keys: false}'
	yamllint -s -f parsable -d "{extends: default, rules: {$rules}}" .github
}

# As a board includes it; dtc has nothing to say to what is right.
device_tree() {
	printf '%s\n' '/dts-v1/;' '/include/ "docs/chunk-heap.dtsi"' \
		'/ { #address-cells = <2>; #size-cells = <2>; };' |
		dtc -i . -I dts -O dtb -o /dev/null
}
# The figures, of the runs that docs/ has the others of.
figures() {
	awk -F '\t' '
	{ million[$1, $2] = $5 / 2e6; got[$1, $2] = $4 }
	function beyond(heap) {
		return million["heap", heap "-alloc"] - million["clear", "clear"]
	}
	END {
		printf "| beside about 50 pinned pages, chunks delivered | %d, as one block | %d |\n",
			got["pinned-50", "one"], got["pinned-50", "bulk-normal"]
		printf "| idle area, one call per chunk against one for all | %.0f million instructions | %.1f million |\n",
			million["idle", "loop"], million["idle", "bulk-normal"]
		printf "| allocating a 300 MB heap buffer, clearing excluded | %.1f million, CMA heap; %.1f million, system heap, no guaranteed size | %.1f million, chunk heap |\n",
			beyond("reserved"), beyond("system"),
			beyond("default_cma_region-chunked-64k")
	}' docs/bench.tsv
	awk -F '\t' '
	$3 == 200 {
		of[$1] = of[$1] sprintf(" %s, %.0f ms |",
			$4 == 50 ? $5 : $5 " of " $4, $8)
	}
	END {
		print "| pipes that pin pages of the area |" of["pipes"]
		print "| a page cache that fills the memory |" of["cache"]
		print "| files written to slow storage |" of["writeback"]
	}' docs/load.tsv
}
no_figures() {
	figures | while read -r row; do
		grep -qxF "$row" README.md || echo "README.md should have: $row"
	done
}
not_quoted() {
	quote=$(sed -n '/^\/ {/,$p' docs/chunk-heap.dtsi | sed 's/^./    &/')
	case $(cat README.md) in
	*"${quote:-the example}"*) ;;
	*) echo "README.md does not quote docs/chunk-heap.dtsi" ;;
	esac
}

# look NAME COMMAND...
look() {
	# shellcheck disable=SC2254 # a glob
	case $1 in $wanted) check "$@" ;; esac
}

look "shellcheck finds nothing" shells
look "codespell finds nothing" spelling
look "no file names a package mirror" none hosts
look "no file names a path of one machine" none paths
look "no file has a name that not every system takes" none odd_names
look "every source has its licence" none no_spdx
look "no blanks at the end of a line" none blanks
look "yamllint finds nothing in the workflows" workflows
look "dtc reads docs/chunk-heap.dtsi" none device_tree
look "README.md quotes docs/chunk-heap.dtsi" none not_quoted
look "README.md has the figures of docs/" none no_figures
look "links in texts lead somewhere" none astray
look "docs/testing.md explains each test and step" none unexplained
finish
