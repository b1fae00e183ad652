#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# board-test.sh - run test/bench/board.sh as the owner of a board does, in a guest
# of the main kernel as it is built
#
# Time is the host's here, and says nothing: that each figure is there counts,
# and as many chunks as in docs/bench.tsv.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
DIR=$BUILD/results/board-main
BENCH=$TOP/test/bench

"$TOP/test/guest/qemu.sh" test main PLAN=board TESTS=
sed -n -e 's/^    # //p' -e t -e 's/^    //p' "$DIR/ktap"
tr -d '\r' <"$DIR/serial.log" | awk -f "$BENCH/log-to-tsv.awk" >"$DIR/bench.tsv"
awk -v time=no -f "$BENCH/drift.awk" "$TOP/docs/bench.tsv" "$DIR/bench.tsv"
