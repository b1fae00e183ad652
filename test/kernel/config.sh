#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# config.sh [main|debug|base] - make the .config and see that it is the one
# that was asked for
#
# Kconfig drops an option whose dependencies are not met without a word. Here
# each line of the fragments, "is not set" included, is looked up in the
# result. Where a later fragment repeats an option, the later one counts.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"
set_flavour "${1:-main}"

mkdir -p "$OBJ"
cd "$OBJ"
# Here, the paths hold no blanks.
rm -rf fragments
mkdir fragments
files=
for f in $FRAGMENTS; do
	[ -r "$CONFIG_DIR/$f.config" ] || die "no kernel-config/$f.config"
	cp "$CONFIG_DIR/$f.config" fragments/
	files="$files fragments/$f.config"
done

# Not every architecture has a tiny.config.
tiny=$SRC/arch/$SRCARCH/configs/tiny.config
[ -e "$tiny" ] || tiny=

# shellcheck disable=SC2086 # words
KCONFIG_CONFIG=.config.merged \
	"$SRC/scripts/kconfig/merge_config.sh" -m -Q \
	"$SRC/kernel/configs/tiny-base.config" \
	"$SRC/kernel/configs/tiny.config" \
	$tiny $files >config.log 2>&1 ||
	die "merge_config.sh failed, see $OBJ/config.log"
# shellcheck disable=SC2086 # one word or none
make -C "$SRC" O="$OBJ" ARCH="$ARCH" KCONFIG_ALLCONFIG="$OBJ/.config.merged" \
	${CROSS:+CROSS_COMPILE=$CROSS} allnoconfig >>config.log 2>&1 ||
	die "make allnoconfig failed, see $OBJ/config.log"

# shellcheck disable=SC2086
awk '
	# The option that a line of a .config sets, and to what.
	function parse(line) {
		if (match(line, /^CONFIG_[A-Za-z0-9_]+=/)) {
			name = substr(line, 1, RLENGTH - 1)
			value = substr(line, RLENGTH + 1)
			return 1
		}
		if (line ~ /^# CONFIG_[A-Za-z0-9_]+ is not set$/) {
			name = $2
			value = "n"
			return 1
		}
		# A typing error must not pass for a comment.
		if (line ~ /CONFIG_/ && (line !~ /^#/ || line ~ /is not set/)) {
			printf "error: %s:%d: not a line of a .config: %s\n",
				FILENAME, FNR, line
			bad = 1
			exit 2
		}
		return 0
	}
	FILENAME == ARGV[1] {
		if ($0 ~ /^(# )?CONFIG_/ && parse($0))
			got[name] = value
		next
	}
	parse($0) {
		want[name] = value
		where[name] = FILENAME
		order[name] = n++
	}
	END {
		if (bad)
			exit 2
		for (name in want) {
			is = (name in got) ? got[name] : "n"
			if (is == want[name])
				continue
			if (missing == "" || order[name] < order[missing])
				missing = name
			count++
		}
		if (!count)
			exit 0
		sub(/.*\//, "", where[missing])
		printf "error: %s=%s of kernel-config/%s became %s in the " \
			"final .config%s\n", missing, want[missing],
			where[missing],
			(missing in got) ? got[missing] : "n",
			(count > 1) ? " (and " (count - 1) " more)" : ""
		exit 2
	}' .config $files >&2
