#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# config.sh [main|debug|mte|base] - make the .config and see that it is the one
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
kmake "$OBJ" KCONFIG_ALLCONFIG="$OBJ/.config.merged" allnoconfig \
	>>config.log 2>&1 ||
	die "make allnoconfig failed, see $OBJ/config.log"

# shellcheck disable=SC2086
awk -f "$TOP/test/tree/config.awk" .config $files >&2
