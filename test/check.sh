#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check.sh [--steps FILE] [NAME|--list] - every check there is, or the step NAME; the
# last line is "N passed, N failed". Or a list of the steps.
#
# The steps are in steps.sh; make check-long has steps-long.sh. A step that
# fails does not stop the others. What a step prints goes to its log under
# $BUILD/check, or check-step for a single one; what explains a failure is
# printed as well, since a log may be gone with the machine. junit.xml and
# results.tap beside the logs have a case for each step.
set -eu

# What narrows a run or points it elsewhere is for single scripts, and must not
# get here by chance: all of it is run.
for variable in BASE TESTS QEMU_EXTRA SERIES GCOV CONFIG_DIR USER_SRC APT_ETC \
	BUILD_FIRST; do
	eval "value=\${$variable:-}"
	[ -z "$value" ] || echo "make check ignores $variable=$value"
	unset "$variable"
done
. "$(dirname "$0")/lib/lib.sh"
T=$TOP/test
export GUEST_CFLAGS=-Werror
steps=$T/steps.sh
if [ "${1:-}" = --steps ]; then
	steps=$2
	shift 2
fi
target=check
[ "${steps##*/}" != steps-long.sh ] || target=check-long
only=${1:-}
LOGS=$BUILD/check
if [ -n "$only" ]; then
	list=$(
		step() { printf '%s\t%s\n' "$1" "$2"; }
		first() { step "$@"; }
		tap() { step "$@"; }
		beside() { :; }
		skip() { :; }
		# shellcheck source=test/steps.sh
		. "$steps"
	)
	[ "$only" != --list ] || { echo "$list"; exit; }
	echo "$list" | cut -f 1 | grep -qxF -e "$only" ||
		die "no step is called '$only'"
	# The logs of the last full run stay.
	LOGS=$BUILD/check-step
	# Nothing runs on a kernel that is not of what is there now.
	export BUILD_FIRST=1
fi
"$T/guest/qemu.sh" check || exit
take_lock 6 "$BUILD/.check.lock"
rm -rf "$LOGS"
mkdir -p "$LOGS"

passed=0
failed=0
nr=0
began=$(date +%s)

# A sign of life each minute.
alive() { # SECONDS
	say "     $(($1 / 60)) min: $(tail -n 1 "$log" | cut -c 1-64)"
}

# run LOG COMMAND... - its output goes into the log
run() {
	log=$1
	shift
	tick 60 alive
	status=0
	STEP_NAME=$name "$@" >"$log" 2>&1 </dev/null || status=$?
	stop_ticking
	return "$status"
}

# unwanted NAME - is it another step than the one that was asked for?
only_done=
unwanted() {
	[ "$only" != "$1" ] || only_done=1
	[ -n "$only" ] && [ "$only" != "$1" ]
}

# first NAME WHAT COMMAND... - a step that a single one after it is preceded by; then
# it only counts if it fails
first() {
	if ! unwanted "$1"; then
		step "$@"
		return
	fi
	[ -n "$only_done" ] || {
		passes "$@" && say "     done, $(($(date +%s) - since)) s"
	}
}

start() { # NAME WHAT
	name=$1
	nr=$((nr + 1))
	log=$LOGS/$(printf '%02d' $nr)-$(printf %s "$1" | tr -c 'A-Za-z0-9.' '-').log
	say "[$nr] $1: $2"
	since=$(date +%s)
}

# verdict PASSED FAILED WHY
verdict() {
	passed=$((passed + $1))
	failed=$((failed + $2))
	took=$(($(date +%s) - since))
	printf 'case\t%s\t%s\n' "$name" "$took" >>"$LOGS/cases"
	if [ "$2" = 0 ]; then
		say "     passed ($1), $took s"
		return
	fi
	say "     FAILED ($2 of $(($1 + $2))), $took s, see $log"
	printf 'fail\t%s of %s failed\n' "$2" $(($1 + $2)) >>"$LOGS/cases"
	printf '%s\n' "$3" | cut -c 1-240 | sed 's/^/text\t/' >>"$LOGS/cases"
	printf '%s\n' "$3" | cut -c 1-240 | sed 's/^/     | /'
	[ -n "$only" ] || say "     again: make $target STEP=$name$(
		[ "$BUILD" = "$TOP/build" ] || echo " BUILD='$BUILD'")"
}

# beside NAME COMMAND... - for a later step, on the CPU that a guest leaves
# free, one after the other. A later step asks for the result of NAME, or
# builds the same again and waits for the lock.
before=
beside() {
	job=$LOGS/$1
	shift
	if [ -n "$only" ]; then
		quote "$@" >"$job.later"
		return
	fi
	(
		[ -z "$before" ] || tail --pid="$before" -f /dev/null
		STEP_NAME=${job##*/} nice "$@" || exit
	) >"$job.log" 2>&1 </dev/null &
	before=$!
	echo "$before" >"$job.pid"
}

# awaited NAME - the result of the command that was begun with beside
awaited() {
	if [ -e "$LOGS/$1.later" ]; then
		sh -c "$(cat "$LOGS/$1.later")"
		return
	fi
	echo "it began beside other steps"
	beside_status=0
	wait "$(cat "$LOGS/$1.pid")" || beside_status=$?
	cat "$LOGS/$1.log"
	return "$beside_status"
}

# built COMMAND... - for a step that boots a kernel which none before it has built
built() { env BUILD_FIRST=1 "$@"; }

# step NAME WHAT COMMAND... - one check: the command's exit status
step() {
	! unwanted "$1" || return 0
	passes "$@" && verdict 1 0
}

passes() { # NAME WHAT COMMAND...
	start "$1" "$2"
	shift 2
	run "$log" "$@" && return
	verdict 0 1 "$(grep -v '^$' "$log" | tail -n 20)"
	return 1
}

# tap NAME WHAT COMMAND... - as many checks as it reports. One that stops early, or
# fails without saying what, counts as one more.
tap() {
	! unwanted "$1" || return 0
	start "$1" "$2"
	shift 2
	status=0
	run "$log" "$@" || status=$?
	ok=$(grep -c '^ok ' "$log" || true)
	bad=$(grep -c '^not ok ' "$log" || true)
	why=$(grep '^not ok ' "$log" | head -n 20 || true)
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

# skip NAME WHY - steps that cannot run because the one before them failed
skip() {
	! unwanted "$1" || return 0
	start "$1" "not run"
	echo "not run: $2" >"$log"
	verdict 0 1 "not run: $2"
}

set +e # a step that fails is counted, and the next one runs
# shellcheck source=test/steps.sh
. "$steps"

took=$(($(date +%s) - began))
{ printf 'suite\tmake check\t%s\n' "$took"; cat "$LOGS/cases"; } |
	awk -v junit="$LOGS/junit.xml" -v tap="$LOGS/results.tap" \
		-f "$T/lib/report.awk"
say
say "all of it took $((took / 60)) min $((took % 60)) s; logs are in $LOGS"
say "$passed passed, $failed failed"
[ "$failed" = 0 ]
