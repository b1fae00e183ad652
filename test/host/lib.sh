# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by the scripts of test/host/; they run under set -eu.

TOP=$(cd "$(dirname "$0")/../.." && pwd)
BUILD=${BUILD:-$TOP/build}
SERIES=${SERIES:-$TOP/series}
PATCHES=$(dirname "$SERIES")/patches
LINUX=$BUILD/linux

say() { printf '%s\n' "$*"; }

# One clear line, then stop. Exit code 2: nothing was tested.
die() { printf 'error: %s\n' "$*" >&2; exit 2; }

# header KEY - the values of "# KEY: VALUE" in the series file, one a line
header() { sed -n "s/^# $1: *//p" "$SERIES"; }

# The series' patches in order, as quilt reads them.
series_patches() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$SERIES"; }
