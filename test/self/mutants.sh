#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mutants.sh - break the series in small ways, one at a time, and see that the
# tests notice; exit 1 if too few are noticed, or one survives that nothing
# explains
#
# What is broken is data: test/self/mutants/, where README tells how. Source, objects
# and results are in $BUILD/mutants. A result stays until the mutant, what it
# breaks, or the tests that are named for it change: a run that was interrupted
# goes on where it was. A survivor that nothing explains is tried again. From the
# environment:
#   MUTANTS='GLOB...'  only these
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"

DATA=$TOP/test/self/mutants
GOAL=95 # percent
# The outer tree is only read; all that follows has a BUILD of its own.
commit=$(kgit rev-parse HEAD)
is=$(kgit status --porcelain)
[ -z "$is" ] || die "$LINUX has uncommitted changes: commit or remove them"
take_lock 3 "$BUILD/.mutants.lock"
OUTER=$LINUX
BUILD=$BUILD/mutants
LINUX=$BUILD/linux
export BUILD
set_flavour main
DONE=$BUILD/done
LOG=$BUILD/mutants.log
WHOLE='*' # all tests of the plan
mkdir -p "$DONE"

# list - NAME FILE of each mutant that MUTANTS selects
list() {
	all=$(cd "$DATA" && awk '$1 == "==" { print $2, FILENAME }' ./*.mutants)
	set -f
	names=$(for glob in ${MUTANTS:-*}; do
		echo "$all" | while read -r one in; do
			# shellcheck disable=SC2254 # a glob
			case $one in $glob) echo "$one $in" ;; esac
		done | grep . || die "MUTANTS: none is called $glob"
	done) || exit 2
	set +f
	echo "$names" | awk '!seen[$1]++'
}

# field KEY - of the mutant; all but "survives" was perhaps said before it
field() {
	awk -v name="$name" -v key="$1" '
		mine && ($1 == "==" || /^$/) { exit }
		$1 == "==" { mine = $2 == name }
		$1 == "==" && key == "survives" { value = "" }
		/^[a-z]/ && $1 == key { value = $0 }
		END { sub(/^[a-z]+[ \t]*/, "", value); print value }' "$DATA/$data"
}

# restore - the source as it was; what did not change keeps its time
restore() { kgit checkout -q -f --detach "$commit"; }

# whole - modules and programs, those of all mutants, are of what is there now
whole() {
	key="$commit $(made_of | cut -d ' ' -f 3)"
	[ "$(cat "$BUILD/whole" 2>/dev/null)" != "$key" ] || return 0
	rm -f "$BUILD/whole"
	restore
	"$TOP/test/tree/build.sh" main >"$LOG" 2>&1 ||
		die "the kernel does not build, see $LOG"
	echo "$key" >"$BUILD/whole"
}

# build - the kernel alone; modules and programs are those of the whole build
build() {
	rm -f "$OBJ/.built"
	kmake "$OBJ" "$IMAGE" >"$OBJ/build.log" 2>&1 || return 1
	{
		echo "kernel: mutant $name of commit $commit"
		echo "made of: $(made_of | cut -d ' ' -f 1,2) $(cut -d ' ' -f 2 "$BUILD/whole")"
	} >"$OBJ/.built"
}

# not_ok - what the guest has said of the first test that failed
not_ok() {
	# shellcheck disable=SC2002 # the shell complains of a file that is not there
	cat "$BUILD/results/mutant/serial.log" 2>/dev/null | tr -d '\r' |
		grep -m 1 -E '^(\[[^]]*\] )?(ktap: )? *not ok [0-9]+ ' |
		sed -E 's/.*not ok [0-9]+ (- )?//'
}

# judge NAME - run it; what it found, if it fails, is put into $killer
judge() {
	judge=$1 tests=$1 append=
	arch=$ARCH kernel=main plan=$judge
	set --
	case $judge in
	bench) plan='' && set -- "$TOP/test/bench/bench.sh" check ;;
	*/*/*)
		arch=${judge%%/*} plan=${judge##*/}
		kernel=${judge#*/} kernel=${kernel%/*}
		env ARCH="$arch" "$TOP/test/tree/build.sh" "$kernel" >"$LOG" 2>&1 ||
			die "$name does not build for $judge, see $LOG"
		;;
	esac
	[ ! -e "$TOP/test/guest/plans/$plan.plan" ] ||
		set -- env ARCH="$arch" "$TOP/test/guest/qemu.sh" test "$kernel" \
			PLAN="$plan" TESTS=
	killer=
	rm -rf "$BUILD/results/mutant"
	if [ $# != 0 ]; then
		status=0
		"$@" SILENCE=120 >"$LOG" 2>&1 </dev/null || status=$?
		[ "$status" != 0 ] || return 0
		killer="$judge: $(grep -m 1 -iE '(FAIL|TIMEOUT|MISSED|not ok|error:)' "$LOG" ||
			tail -n 1 "$LOG")"
		return
	fi
	# No suite of KUnit runs at boot that is not asked for, if that is one or
	# none. Their names have no "-".
	suites=$(echo "$tests" | tr ' ' '\n' | grep -v -e - || true)
	case $(echo "$suites" | wc -w) in
	0) append=kunit.enable=0 ;;
	1) append=kunit.filter_glob=$suites ;;
	esac
	"$TOP/test/guest/qemu.sh" test main RUN=mutant TESTS="$tests" \
		APPEND="$append" SILENCE=120 >"$LOG" 2>&1 </dev/null &
	qemu=$!
	# The first failure is enough.
	while kill -0 "$qemu" 2>/dev/null; do
		sleep 1
		killer=$(not_ok) || killer=
		[ -z "$killer" ] || kill "$qemu" 2>/dev/null || true
	done
	status=0
	wait "$qemu" || status=$?
	[ -z "$killer" ] && [ "$status" != 0 ] || return 0
	# Without an outcome nothing was run.
	[ -s "$BUILD/results/mutant/outcome" ] ||
		die "mutant $name: $(tail -n 1 "$LOG")"
	killer=$(cut -d ' ' -f 2- "$BUILD/results/mutant/outcome")
}

# try JUDGE... - the mutant that is in the source, until one finds it
try() {
	killer=
	for _judge in "$@"; do
		judge "$_judge"
		[ -z "$killer" ] || return 0
	done
}

# mutate DIR - read what is said of the mutant, and put it into mutated
mutate() {
	path=$(field file)
	tests=$(field tests)
	judges=$(field judge)
	case $path,$tests$judges in
	,* | *,) die "mutant $name: no file, or no tests" ;;
	esac
	awk -v name="$name" -f "$DATA/apply.awk" "$DATA/$data" "$1/$path" \
		>"$BUILD/mutated" || exit 2
	! cmp -s "$BUILD/mutated" "$1/$path" ||
		die "mutant $name: it changes nothing"
}

# one - the result of a mutant, from this run or an earlier one
one() {
	restore
	mutate "$LINUX"
	key=$({ echo "$path $tests $judges"; cat "$BUILD/mutated"; } |
		sha256sum | cut -d ' ' -f 1)
	if [ "$(sed -n 1p "$DONE/$name" 2>/dev/null)" = "$key" ] &&
		{ ! grep -q SURVIVED "$DONE/$name" || [ -n "$(field survives)" ]; }; then
		return
	fi
	rm -f "$DONE/$name"
	began=$(date +%s)
	cp "$BUILD/mutated" "$LINUX/$path"
	build || die "mutant $name does not compile, see $OBJ/build.log"
	# shellcheck disable=SC2086 # words
	try ${tests:+"$tests"} $judges "$WHOLE"
	verdict=${killer:+killed}
	took=$(($(date +%s) - began))
	{
		echo "$key"
		printf '%s\t%s\t%s\t%s\n' "$name" "${verdict:-SURVIVED}" "$took" "$killer" |
			tr -d '\r'
	} >"$DONE/$name.new"
	mv "$DONE/$name.new" "$DONE/$name"
}

# The tests must pass where nothing is broken, or everything is "killed".
control() {
	judges=$(cat "$DATA"/*.mutants | sed -n 's/^judge //p' | tr ' ' '\n' |
		sort -u | tr '\n' ' ')
	key="$(commit_of "$TOP") $(cat "$BUILD/whole") $judges"
	[ "$(cat "$BUILD/control" 2>/dev/null)" != "$key" ] || return 0
	say "nothing broken: all tests must pass"
	rm -f "$BUILD/control"
	name='(none)'
	restore
	build || die "the kernel does not build, see $OBJ/build.log"
	# shellcheck disable=SC2086 # words
	try "$WHOLE" $judges
	[ -z "$killer" ] || die "with nothing broken: $killer"
	echo "$key" >"$BUILD/control"
}

mutants=$(list)
total=$(echo "$mutants" | wc -l)
# Not after half of the night: does each still fit the code?
echo "$mutants" | while read -r name data; do
	mutate "$OUTER"
done
if [ ! -e "$LINUX" ]; then
	kgit_in "$OUTER" worktree prune
	kgit_in "$OUTER" worktree add -q --detach "$LINUX" "$commit"
fi
never=
[ -e "$OBJ/initramfs.cpio" ] || never=1
whole
if [ -z "${MUTANTS:-}" ] || [ -n "$never" ]; then
	control
fi

nr=0
while read -r name data <&6; do
	nr=$((nr + 1))
	one
	sed -n 2p "$DONE/$name" | awk -F '\t' -v nr="$nr" -v total="$total" '{
		printf "  %d/%d %s: %s%s (%d s)\n", nr, total, $1,
			$2 == "killed" ? "killed by " : $2 ": ", $4, $3 }'
done 6<<END
$mutants
END
restore

echo "$mutants" | while read -r name data; do
	printf '%s\t%s\n' "$(sed -n 2p "$DONE/$name")" "$(field survives)"
done >"$BUILD/table.tsv"
awk -F '\t' -v goal="$GOAL" '
	{ n++; seconds += $3 }
	$2 == "killed" {
		killed++
		if ($5 != "") {
			print "killed, and said to survive: " $1
			bad++
		}
		next
	}
	{ print "survived: " $1 ($5 == "" ? ", not explained" : ": " $5) }
	$5 == "" { bad++ }
	END {
		printf "%d mutants, %d killed (%.1f %%), %d min\n", n, killed,
			100 * killed / n, seconds / 60
		exit bad || 100 * killed < goal * n
	}' "$BUILD/table.tsv" || {
	say "see $BUILD/table.tsv"
	exit 1
}
