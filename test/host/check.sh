#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check.sh - every check there is; the last line is "N passed, N failed"
#
# The steps are in steps.sh. A step that fails does not stop the others. What
# a step prints goes to its log under $BUILD/check, whose path is named when it
# fails.
set -eu
. "$(dirname "$0")/lib.sh"
HOST=$TOP/test/host
LOGS=$BUILD/check
rm -rf "$LOGS"
mkdir -p "$LOGS"

passed=0
failed=0
nr=0
began=$(date +%s)

# A sign of life each minute. The step itself stays in the foreground, where
# Ctrl-C reaches it. There is no trap for TERM: a ticker killed before it has
# left the trap of its parent behind would live on.
ticker() {
	minutes=0
	while sleep 60 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		minutes=$((minutes + 1))
		say "     $minutes min: $(tail -n 1 "$1" | cut -c 1-64)"
	done
}
ticking=
trap '[ -z "$ticking" ] || kill "$ticking" 2>/dev/null' EXIT
trap 'exit 130' INT

# run LOG COMMAND... - its output goes into the log
run() {
	log=$1
	shift
	: >"$log"
	ticker "$log" &
	ticking=$!
	status=0
	"$@" >"$log" 2>&1 </dev/null || status=$?
	kill "$ticking" 2>/dev/null || true
	wait "$ticking" 2>/dev/null || true
	ticking=
	return "$status"
}

start() {
	nr=$((nr + 1))
	log=$LOGS/$(printf '%02d' $nr)-$(echo "$1" | tr ' /' '--').log
	say "[$nr] $1"
	since=$(date +%s)
}

# verdict PASSED FAILED WHY
verdict() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	took=$(($(date +%s) - since))
	if [ "$2" = 0 ]; then
		say "     passed ($1), $took s"
	else
		say "     FAILED ($2 of $(($1 + $2))), $took s: $3"
		say "     see $log"
	fi
}

# ahead COMMAND... - a build that a later step needs, on the CPU that a guest
# leaves free. It has no verdict: that step builds as well, once the lock is
# free, and finds what went wrong here.
ahead() {
	# What runs in the background of a script is deaf to Ctrl-C.
	env --default-signal=INT nice "$@" >>"$LOGS/ahead.log" 2>&1 </dev/null &
}

# step NAME COMMAND... - one check: the command's exit status
step() {
	start "$1"
	shift
	if run "$log" "$@"; then
		verdict 1 0
	else
		verdict 0 1 "$(grep -v '^$' "$log" | tail -n 1)"
		return 1
	fi
}

# tap NAME COMMAND... - as many checks as it reports. One that stops early, or
# fails without saying what, counts as one more.
tap() {
	start "$1"
	shift
	status=0
	run "$log" "$@" || status=$?
	ok=$(grep -c '^ok ' "$log" || true)
	bad=$(grep -c '^not ok ' "$log" || true)
	why=$(sed -n '/^not ok /{s/^not ok [0-9]* *//p;q;}' "$log")
	if ! grep -qx "1\.\.$((ok + bad))" "$log"; then
		bad=$((bad + 1))
		why="${why:-it stopped after $ok checks, exit $status}"
	elif [ "$status" != 0 ] && [ "$bad" = 0 ]; then
		bad=1
		why="exit $status, and no check failed"
	elif [ "$ok" = 0 ] && [ "$bad" = 0 ]; then
		bad=1
		why="it checked nothing"
	fi
	verdict "$ok" "$bad" "$why"
	[ "$bad" = 0 ]
}

# skip NAME - a step that cannot run because the one before it failed
skip() {
	start "$1"
	echo "not run: $2" >"$log"
	verdict 0 1 "not run: $2"
}

set +e # a step that fails is counted, and the next one runs
# shellcheck source=SCRIPTDIR/steps.sh
. "${STEPS:-$HOST/steps.sh}"

took=$(($(date +%s) - began))
say
say "all of it took $((took / 60)) min $((took % 60)) s; logs are in $LOGS"
say "$passed passed, $failed failed"
[ "$failed" = 0 ]
