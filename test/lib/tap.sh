# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by what reports TAP on the host, which has set TOP.
. "$TOP/test/lib/build-dir.sh"

tap_nr=0
tap_failed=0

# result OK NAME WHY - OK is 1 or 0; WHY is one line
result() {
	tap_nr=$((tap_nr + 1))
	if [ "$1" = 1 ]; then
		echo "ok $tap_nr $2"
	else
		echo "not ok $tap_nr $2 # $3"
		tap_failed=$((tap_failed + 1))
	fi
}

# The line of an output that says most: the first complaint, or the last line.
tap_why() {
	printf '%s\n' "$1" | grep -m 1 -iE '(error|warning|check):' ||
		printf '%s\n' "$1" | tail -n 1
}

# The end of an output, in one line.
tap_end() { printf '%s\n' "$tap_out" | tail -n 4 | tr '\n' ' '; }

# check NAME COMMAND... - succeeds; its output is shown if it does not
check() {
	tap_name=$1
	shift
	if tap_out=$("$@" 2>&1 </dev/null); then
		result 1 "$tap_name"
	else
		result 0 "$tap_name" "$(tap_why "$tap_out")"
		printf '%s\n' "$tap_out" | sed 's/^/#   /'
	fi
}

# expect NAME STATUS REGEXP COMMAND... - its exit status and one line of its
# output must fit; no error takes more than one line
expect() {
	tap_name=$1 tap_want=$2 tap_re=$3
	shift 3
	tap_status=0
	tap_out=$("$@" 2>&1 </dev/null) || tap_status=$?
	if [ "$tap_status" != "$tap_want" ]; then
		result 0 "$tap_name" "exit $tap_status, not $tap_want: $(tap_end)"
	elif ! printf '%s\n' "$tap_out" | grep -qE -- "$tap_re"; then
		result 0 "$tap_name" "no line with '$tap_re': $(tap_end)"
	elif [ "$(printf '%s\n' "$tap_out" | grep -cE '^(error|fatal):')" -gt 1 ]; then
		result 0 "$tap_name" "more than one line of error"
	else
		result 1 "$tap_name"
	fi
}

finish() {
	echo "1..$tap_nr"
	[ "$tap_failed" = 0 ] && [ "$tap_nr" != 0 ]
}

# alone DIR - an empty directory for this run; another one waits for its end
alone() {
	own_build "${1%/*}"
	exec 9>>"$1.lock"
	flock -n 9 || {
		echo "# waiting for another run in $1"
		flock 9
	}
	rm -rf "$1"
	mkdir "$1"
}
