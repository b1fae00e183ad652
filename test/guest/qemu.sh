#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# qemu.sh test|shell|check [main|debug|mte|rt|kcsan|base] [NAME=VALUE...] - boot a
# kernel that is built
#
# test: runs the plan and ends with 0 (pass), 1 (a test failed), 2 (nothing
# was tested) or 124 (the guest hung), and one line that says why.
# shell: a shell in the guest, on this terminal.
# check: nothing but whether PLAN, TESTS, SLOW and ACCEL are right, before a build.
#
#   PLAN=NAME      of test/guest/plans, or a file; main, or main-64k
#   RUN=NAME       of the directory under $BUILD/results, a plain name
#   SILENCE, LIMIT seconds without console output, and altogether
#   APPEND         more arguments for the kernel
#   and what a plan may say of its guest, see test/guest/plans/main.plan
#
# From the environment, for who calls make: ACCEL, SLOW, TESTS and QEMU_EXTRA.
set -eu
# shellcheck disable=SC2034 # for lib.sh
[ "${1:-}" != shell ] || ON_TERMINAL=1
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"

MODE=${1:-test}
case $MODE in
test | shell | check) ;;
*) die "usage: qemu.sh test|shell|check [main|debug|mte|rt|kcsan|base] [NAME=VALUE...]" ;;
esac
[ $# = 0 ] || shift
flavour=main
case ${1:-=} in
*=*) ;;
*) flavour=$1; shift ;;
esac
set_flavour "$flavour"
unset PLAN RUN SILENCE LIMIT APPEND CMA CPUS FILES ICOUNT KERNEL MEMORY PARALLEL TREE
for word in "$@"; do
	case ${word%%=*} in
	PLAN | RUN | SILENCE | LIMIT | APPEND | ACCEL | CMA | CPUS | FILES | \
	ICOUNT | MEMORY | PARALLEL | QEMU_EXTRA | SLOW | TESTS | TREE)
		eval "${word%%=*}=\${word#*=}" ;;
	*) die "qemu.sh knows no ${word%%=*}" ;;
	esac
done

# A plan of its own has results under a name of its own.
PLAN=${PLAN:-$MAIN_PLAN}
case $PLAN in
*/*) ;;
*)
	[ "$PLAN" = "$MAIN_PLAN" ] || RUN=${RUN:-$PLAN-$FLAVOUR}
	plans=$TOP/test/guest/plans
	[ -e "$plans/$PLAN.plan" ] || die "PLAN=$PLAN: there are $(
		cd "$plans" && echo *.plan | sed 's/\.plan//g')"
	PLAN=$plans/$PLAN.plan ;;
esac

# plan [VARIABLE=VALUE] - what plan.awk says of the plan, for this kernel
plan() {
	awk -v kernel="$FLAVOUR" -v base="${BASE:-}" -v arch="$ARCH" \
		-v variant="$VARIANT" -v tests="${TESTS:-}" ${1:+-v "$1"} \
		-f "$TOP/test/guest/plan.awk" "$PLAN"
}

# What the plan says of the guest holds where nobody else says something.
[ "${ACCEL:-auto}" != auto ] || ACCEL=
of_guest=$(plan want=guest)
while read -r name value; do
	case $name in
	'') continue ;;
	ARCH) [ "$value" = "$VARIANT" ] ||
		die "$PLAN is for ARCH=$value, with pages of 4k" ;;
	KERNEL) [ "$value" = "$FLAVOUR" ] || die "$PLAN is for KERNEL=$value" ;;
	QEMU_EXTRA) QEMU_EXTRA="$value ${QEMU_EXTRA:-}" ;;
	CMA) CMA=${CMA-$value} ;;
	*) eval "$name=\${$name:-\$value}" ;;
	esac
done <<END
$of_guest
END
ACCEL=${ACCEL:-auto}
MEMORY=${MEMORY:-2G}
CMA=${CMA-352M}
# Instructions are counted in one thread.
PARALLEL=${PARALLEL:-$ALWAYS_PARALLEL}
[ -z "${ICOUNT:-}" ] || PARALLEL=
SLOW=${SLOW:-1}
case $SLOW in
[1-9] | [1-9][0-9]) ;;
*) die "SLOW=$SLOW is not a number from 1 to 99" ;;
esac
# Sleeping spinlocks that are checked, and accesses that are watched: so are these.
case $FLAVOUR in
rt | kcsan) SLOW=$((SLOW * 3)) ;;
esac
case $ACCEL in
auto | kvm | tcg) ;;
*) die "ACCEL=$ACCEL is none of auto, kvm, tcg" ;;
esac
[ "${TESTS:-}" = "" ] || case $TESTS in
*[!A-Za-z0-9_.:*?\ -]*) die "TESTS: not a list of globs: $TESTS" ;;
esac
case ${RUN:-x} in
[!A-Za-z0-9]* | *[!A-Za-z0-9_.-]* | latest) die "RUN=$RUN is not a plain name" ;;
esac

# --- which tests -----------------------------------------------------------

# plan_gcov - for make coverage: a last test, which sends the kernel's counters to
# a port of their own. Files in debugfs have no size that tar could see.
plan_gcov() {
	# shellcheck disable=SC2016 # for the guest's shell
	printf '%s ' gcov - 120 run \
		'port=$(grep -lx gcov /sys/class/virtio-ports/*/name) &&' \
		'cp -r /sys/kernel/debug/gcov /tmp/ &&' \
		'tar -C /tmp/gcov -c . >/dev/$(basename ${port%/name})'
}

# --- the guest -------------------------------------------------------------

# kvm_works - no file, no permission and no sign of life are all the same. The
# kernel finds no root, panics, and ends QEMU thereby: soon, unless nested
# virtualization emulates one instruction after the other, slower than TCG. What
# came of it holds until the machine starts again.
kvm_works() {
	[ -z "$CROSS" ] || { why="no KVM for $ARCH on $(uname -m)"; return 1; }
	[ -w /dev/kvm ] || { why="no usable /dev/kvm"; return 1; }
	[ "$MODE" != check ] || return 0
	of="$(cat /proc/sys/kernel/random/boot_id) $(command -v "$QEMU")"
	status=$(sed -n "s|^$of ||p" "$BUILD/.kvm" 2>/dev/null | tail -n 1)
	if [ -z "$status" ]; then
		status=0
		timeout -k 1 20 "$QEMU" -nodefaults -no-user-config -no-reboot \
			-display none -machine "$QEMU_MACHINE" -accel kvm \
			-cpu host -m 1G -kernel "$OBJ/$IMAGE" \
			-append 'panic=-1 kunit.enable=0' >/dev/null 2>&1 \
			</dev/null || status=$?
		echo "$of $status" >>"$BUILD/.kvm"
	fi
	[ "$status" != 0 ] || return 0
	why="KVM is there, but a test guest has not ended well"
	return 1
}

pick_accel() {
	[ "$ACCEL" != tcg ] || return 0
	if [ -n "${ICOUNT:-}" ]; then
		ACCEL=tcg
	elif kvm_works; then
		ACCEL=kvm
	elif [ "$ACCEL" = kvm ]; then
		die "$why"
	else
		say "$why: using TCG"
		ACCEL=tcg
	fi
}

# pick_qemu - one that can run a thread for each CPU, if they are to run at the
# same time; with tags of memory, one that has more of them than one for a page
pick_qemu() {
	QEMU_DATA=
	[ "$ACCEL" = tcg ] || return 0
	oldest=0
	[ -z "$PARALLEL" ] || oldest=$TCG_PARALLEL
	[ "$FLAVOUR" != mte ] || oldest=10
	[ "$(qemu_version | cut -d. -f1)" -lt "$oldest" ] || return 0
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME-backports") ||
		die "this run needs QEMU $oldest, this is $(qemu_version)"
	"$TOP/test/tree/debs.sh" "$BUILD/debs/$QEMU" "$suite" '' \
		"$QEMU_PACKAGE" qemu-system-data seabios
	QEMU_DATA=$BUILD/debs/$QEMU/usr/share
	QEMU=$BUILD/debs/$QEMU/usr/bin/$QEMU
}

qemu_version() { "$QEMU" --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p'; }

versions() {
	grep -v '^made ' "$OBJ/.built"
	"$QEMU" --version | head -n 1
	# shellcheck disable=SC2086 # CC may be "ccache gcc"
	$TARGET_CC --version | head -n 1
	"${CROSS}ld" --version | head -n 1
	uname -srm
	sed -n 's/^PRETTY_NAME=//p' /etc/os-release
}

room() { df -Pm "$DIR" | awk 'END { print $4 " MB are free" }'; }

new_run() {
	mkdir -p "$BUILD/results"
	if [ -n "${RUN:-}" ]; then
		DIR=$BUILD/results/$RUN
		take_lock 5 "$BUILD/results/.$RUN.run.lock"
		rm -rf "$DIR"
		mkdir "$DIR"
		return
	fi
	DIR=$BUILD/results/$(date +%Y%m%d-%H%M%S)-$FLAVOUR
	[ "$VARIANT" = x86_64 ] || DIR=$DIR-$VARIANT
	until mkdir "$DIR" 2>/dev/null; do
		[ -d "$DIR" ] || die "cannot make $DIR"
		DIR=$DIR+
	done
	take_lock 5 "$DIR/.lock"
	ln -sfn "$(basename "$DIR")" "$BUILD/results/latest"
	# The newest ten stay, and what is still running.
	for old in "$BUILD"/results/[0-9]*-[0-9]*-*/; do
		echo "$old"
	done | sort -r | tail -n +11 | while read -r old; do
		flock -n "$old.lock" rm -rf "$old" || true
	done
}

artifacts() {
	cp "$OBJ/.config" "$DIR/config" || return
	ln "$OBJ/vmlinux" "$DIR/vmlinux" 2>/dev/null ||
		cp "$OBJ/vmlinux" "$DIR/vmlinux" || return
	versions >"$DIR/versions" || return
	# The next build may replace what is not in $DIR.
	kernel=$OBJ/$IMAGE
	[ "$IMAGE" != vmlinux ] || kernel=$DIR/vmlinux
}

# The kernel's command line. A KTAP line must not be lost to printk's rate limit.
kernel_args() {
	# CONFIG_PAGE_POISONING does nothing until it is asked to. Who waits for
	# the mutex of an area may have several in front, who take long here.
	debug_args="page_poison=1 sysctl.kernel.hung_task_timeout_secs=$((180 * SLOW))"
	echo "console=$CONSOLE $KERNEL_ARGS ${CMA:+cma=$CMA }harness=$MODE slow=$SLOW panic=-1" \
		"oops=panic printk.devkmsg=on ignore_loglevel" \
		"sysctl.kernel.panic_on_rcu_stall=1" \
		"$([ "$ACCEL" != tcg ] || [ -n "${ICOUNT:-}" ] || tcg_args)" \
		"$([ "$FLAVOUR" != debug ] || echo "$debug_args")" \
		"${panic_on_warn:+panic_on_warn=1 }$(plan want=boot |
			sed "s/PAGE_SIZE/$((${PAGE_SIZE%k} * 1024))/g")${APPEND:-}"
}

# make_tree QEMU ARGUMENT... - the tree of exactly this machine, and $TREE of the
# plan
make_tree() {
	command -v dtc >/dev/null ||
		die "no dtc: install the package device-tree-compiler"
	"$@" -machine "dumpdtb=$DIR/qemu.dtb" >"$DIR/tree.log" 2>&1 </dev/null ||
		die "QEMU has no device tree: $(tail -n 1 "$DIR/tree.log")"
	# What QEMU leaves out, dtc would warn of.
	dtc -q -I dtb -O dts -o "$DIR/tree.dts" "$DIR/qemu.dtb" \
		>>"$DIR/tree.log" 2>&1 || :
	echo "/include/ \"${PLAN%/*}/$TREE\"" >>"$DIR/tree.dts"
	dtc -q -I dts -O dtb -o "$DIR/tree.dtb" "$DIR/tree.dts" \
		>>"$DIR/tree.log" 2>&1 ||
		die "no device tree of $TREE: $(sed -n 2p "$DIR/tree.log")"
}

# qemu_command - into the file of that name; the working directory is its own then
qemu_command() {
	threads=single cpus=2
	[ -z "$PARALLEL" ] || threads=multi cpus=4
	case $ACCEL in
	tcg) accel=tcg,thread=$threads cpu=$TCG_CPU ;;
	*) accel=$ACCEL cpu=host ;;
	esac
	set -- "$QEMU" -nodefaults -no-user-config -no-reboot -display none \
		-machine "$QEMU_MACHINE" -accel "$accel" \
		-smp "$(qemu_smp "${CPUS:-$cpus}")" -m "$MEMORY"
	[ -z "$QEMU_DATA" ] ||
		set -- "$@" -L "$QEMU_DATA/qemu" -L "$QEMU_DATA/seabios"
	[ -z "${ICOUNT:-}" ] || set -- "$@" -icount shift=1,sleep=off
	set -- "$@" -cpu "$cpu" -kernel "$kernel" -initrd "$initrd" \
		-append "$(kernel_args)"
	# An exporter for dmabuf-drivers. Nothing here needs its firmware.
	set -- "$@" -device bochs-display,romfile=
	if [ "$MODE" = shell ]; then
		set -- "$@" -chardev stdio,id=con,mux=on,signal=off \
			-serial chardev:con -mon chardev=con
	else
		set -- "$@" -chardev "file,id=con,path=$DIR/serial.log" \
			-serial chardev:con -device virtio-serial-pci
		for port in ktap verdict ${GCOV:+gcov}; do
			set -- "$@" -chardev "file,id=$port,path=$DIR/$port" \
				-device "virtserialport,chardev=$port,name=$port"
		done
	fi
	# shellcheck disable=SC2086 # words
	set -- "$@" ${QEMU_EXTRA:-}
	if [ -n "${TREE:-}" ]; then
		make_tree "$@"
		set -- "$@" -dtb "$DIR/tree.dtb"
	fi
	# The path of a socket is short: a plan's is a name.
	cd "$DIR"
	quote "$@" >qemu-command
}

stop_qemu() {
	[ -n "${PID:-}" ] || return 0
	kill "$PID" 2>/dev/null || true
	timeout 2 tail --pid="$PID" -f /dev/null || true
	kill -9 "$PID" 2>/dev/null || true
	wait "$PID" 2>/dev/null || true
	PID=
}

# current - the test that the guest has begun and not ended
current() {
	tr -d '\r' <"$DIR/serial.log" | awk '
		sub(/.*harness: begin /, "") { test = $1 }
		/harness: end / { test = "" }
		END { print test == "" ? "" : " in " test }'
}

# watch - until the guest ends; sets $hung to a reason if it had to be ended
watch() {
	hung=
	began=$(date +%s)
	last=$began size=0 shown=0
	while kill -0 "$PID" 2>/dev/null; do
		sleep 0.5
		now=$(date +%s)
		new=$(wc -c <"$DIR/serial.log")
		if [ "$new" != "$size" ]; then
			size=$new last=$now
			progress
		fi
		if [ $((now - last)) -ge "$SILENCE" ]; then
			hung="no console output for $SILENCE s$(current)"
		elif [ $((now - began)) -ge "$LIMIT" ]; then
			hung="not finished after $LIMIT s$(current)"
		fi
		[ -z "$hung" ] || stop_qemu
		[ -n "$PID" ] || break
	done
	if [ -n "$PID" ]; then
		qemu_status=0
		wait "$PID" || qemu_status=$?
		PID=
	fi
	progress
	took=$(($(date +%s) - began))
}

progress() {
	[ -s "$DIR/ktap" ] || return 0
	have=$(grep -cE '^(not )?ok ' "$DIR/ktap" || true)
	[ "$have" -gt "$shown" ] || return 0
	judged | awk -F '\t' -v from="$shown" -v to="$have" -v of="$planned" '
		NR > from && NR <= to {
			print "  " $2 " " NR "/" of " " $1 ($4 ? " # " $4 : "")
		}'
	shown=$have
}

# --- the verdict -----------------------------------------------------------

conclude() { # STATUS REASON
	{ echo "$1 $2" >"$DIR/outcome"; } 2>/dev/null || [ "$1" != 0 ] ||
		set -- 2 "NO VERDICT: it cannot be written ($(room)): $2"
	cases "$@" | limited awk -v junit="$DIR/junit.xml" \
		-v tap="$DIR/results.tap" -f "$TOP/test/lib/report.awk" ||
		say "no report of this run could be written"
	say "$2"
	say "  log: $DIR/serial.log"
	exit "$1"
}

# cases STATUS REASON - what report.awk makes a report of: each test, and the run
# as a whole, which may fail where each test passes
cases() {
	cat "$DIR/cases"
	printf '%s\t%s\t%s\n' suite 'the run as a whole' "$took"
	printf '%s\t%s\n' case verdict
	[ "$1" != 0 ] || return 0
	printf 'fail\t%s\n' "$2"
	sed 's/^/text\t/' "$DIR/splats"
}

# limited COMMAND... - whatever a test has written, its judge has an end
limited() { prlimit --as=2000000000 timeout -k 5 "$JUDGE_SECONDS" "$@"; }

# judged [FILE] - what the results so far are worth; FILE is for report.awk
judged() {
	limited awk -v report="${1:-}" -f "$TOP/test/guest/results.awk" \
		"$DIR/plan" "$DIR/ktap"
}

judge() {
	touch "$DIR/ktap" "$DIR/verdict"
	splats=0
	limited awk -f "$TOP/test/guest/splats.awk" "$DIR/serial.log" \
		>"$DIR/splats" || splats=$?
	results=0
	judged "$DIR/cases" >"$DIR/results" || results=$?
	case $splats$results in
	[01][01]) ;; # 1 is a verdict, anything else is none
	*)
		# Half of them are none.
		rm -f "$DIR/results" "$DIR/cases"
		touch "$DIR/results" "$DIR/cases"
		conclude 2 "NO VERDICT: what the guest has said could not be judged ($(room))"
		;;
	esac
	passed=$(grep -c "$(printf '\tok\t')" "$DIR/results" || true)
	counted=$(awk -F '\t' '{ n += $3 } END { print n + 0 }' "$DIR/results")

	started=
	! grep -q 'harness: start, ' "$DIR/serial.log" || started=1
	if [ -n "$hung" ]; then
		first=$(head -n 1 "$DIR/splats")
		conclude 124 "TIMEOUT: $hung${first:+; before that: $first}"
	fi
	if [ "$splats" != 0 ] && [ -z "$started" ]; then
		conclude 2 "BOOT FAILED: $(head -n 1 "$DIR/splats")"
	fi
	if [ "$splats" != 0 ]; then
		n=$(wc -l <"$DIR/splats")
		conclude 1 "FAIL: $(head -n 1 "$DIR/splats")$(
			[ "$n" = 1 ] || echo " and $((n - 1)) more")"
	fi
	line=$(tr -d '\r' <"$DIR/serial.log" |
		sed -n 's/.*harness: cannot run the tests: //p' | head -n 1)
	[ -z "$line" ] || conclude 2 "NOTHING TESTED: $line"
	if [ -z "$started" ]; then
		line=$(tr -d '\r' <"$DIR/serial.log" | grep . | tail -n 1)
		[ -n "$line" ] || line=$(tail -n 1 "$DIR/qemu.log")
		conclude 2 "BOOT FAILED: QEMU ended with ${qemu_status:-?}: $line"
	fi
	[ -s "$DIR/verdict" ] ||
		conclude 2 "NO END: the guest went away$(current) before its plan ended"
	[ "$FLAVOUR" != base ] || judge_base
	if [ "$results" != 0 ]; then
		say
		awk -F '\t' '$2 != "ok" { printf "  %s: %s\n", $1, $4 }' \
			"$DIR/results" | head -n 15
		grep -A 3 -E '(EXPECTATION|ASSERTION) FAILED|^ *not ok' \
			"$DIR/ktap" | sed 's/^/  | /' | head -n 30
		conclude 1 "FAIL: $((planned - passed)) of $planned tests failed"
	fi
	conclude 0 "PASS: $planned tests with $counted results in $took s"
}

# Without the series a test must fail, for the plan's reason, or pass as that says.
judge_base() {
	wrong=0
	awk -F '\t' -v OFS='\t' -v report="$DIR/cases" '
		FILENAME == ARGV[1] { expected[$1] = $2; next }
		{
			want = expected[$1]
			right = want == "" ? $2 == "ok" : $2 != "ok" && $4 ~ want
			wrong += !right
			must += want != ""
			did = $2 == "ok" ? "passes" : "fails: " $4
			printf "  %-9s %-32s %s\n",
				right ? "as it must" : "WRONG", $1, did
			print "suite", $1 "\ncase", $1 >report
			if (right)
				next
			printf "  %-9s %-32s %s\n", "", "it must",
				want == "" ? "pass" : "fail: " want
			print "fail", "without the series it " did >report
		}
		END { exit wrong ? 1 : must ? 0 : 2 }
		' "$DIR/base" "$DIR/results" >"$DIR/baseline" || wrong=$?
	say "on the kernel without the series:"
	cat "$DIR/baseline"
	must=$(grep -c '^  as it must .* fails: ' "$DIR/baseline" || true)
	case $wrong in
	0) conclude 0 "PASS: the $must tests of the series fail without it as the plan says, the others pass" ;;
	2) conclude 1 "FAIL: no test was to fail without the series" ;;
	*) conclude 1 "FAIL: $(grep -c '^  WRONG' "$DIR/baseline") tests do not do what they must without the series" ;;
	esac
}

# --- main ------------------------------------------------------------------

# All that can be said of the arguments is said before anything is made.
if [ "$MODE" != shell ]; then
	lines=$(plan)
	reasons=$([ "$FLAVOUR" != base ] || plan want=base)
	[ -z "${GCOV:-}" ] || lines="$lines
$(plan_gcov)"
fi
if [ "$MODE" = check ]; then
	[ "$ACCEL" != kvm ] || pick_accel
	exit
fi
command -v "$QEMU" >/dev/null ||
	die "no $QEMU: install the package $QEMU_PACKAGE"
build_first
take_lock 4 "$BUILD/.guests.lock" -s
take_lock 8 "$OBJ/.lock" -s
need_built
FILES=${FILES:+$BUILD/$FILES}
[ -e "${FILES:-$BUILD}" ] || die "no $FILES: run make qemu-app"
pick_accel
pick_qemu

new_run
# no_room - how a disk that is full ends a run
no_room() { die "cannot write to $DIR ($(room))"; }
initrd=$DIR/initramfs.cpio
# The kernel unpacks one archive after the other.
if [ "$MODE" = shell ]; then
	{ artifacts && cat "$INITRAMFS" ${FILES:+"$FILES"} >"$initrd"; } || no_room
	panic_on_warn=
	say "a shell in the $FLAVOUR kernel under $ACCEL; exit or Ctrl-a x ends it"
	qemu_command
	eval "$(cat qemu-command)"
	exit
fi

{
	printf '%s\n' "$lines" >"$DIR/plan" &&
		printf '%s\n' "$reasons" >"$DIR/base" &&
		artifacts &&
		echo "file /plan $DIR/plan 0644 0 0" >"$DIR/plan.list" &&
		"$OBJ/usr/gen_init_cpio" "$DIR/plan.list" >"$DIR/plan.cpio" &&
		cat "$INITRAMFS" "$DIR/plan.cpio" ${FILES:+"$FILES"} >"$initrd" &&
		rm "$DIR/plan.list" "$DIR/plan.cpio"
} 2>/dev/null || no_room
planned=$(wc -l <"$DIR/plan")
exec 8>&-

# What boot and a busy machine need, and each test its own time.
LIMIT=${LIMIT:-$(awk '{ n += $3 } END { print n + 240 }' "$DIR/plan")}
case $FLAVOUR in
debug | rt | kcsan) SILENCE=${SILENCE:-120} ;;
*) SILENCE=${SILENCE:-60} ;;
esac
LIMIT=$((LIMIT * SLOW)) SILENCE=$((SILENCE * SLOW))
JUDGE_SECONDS=$((60 * SLOW))
panic_on_warn=1
say "booting the $FLAVOUR kernel under $ACCEL, CMA ${CMA:-by device tree}, $planned tests" \
	"(QEMU $(qemu_version))"
: >"$DIR/serial.log"
trap stop_qemu EXIT
# shellcheck disable=SC2317 # the trap calls it
interrupted() {
	echo "130 INTERRUPTED, after $(($(date +%s) - ${began:-$(date +%s)})) s" \
		>"$DIR/outcome"
	exit 130
}
trap interrupted INT TERM HUP
qemu_command
eval "exec $(cat qemu-command)" >qemu.log 2>&1 </dev/null 4>&- 5>&- 6>&- &
PID=$!
watch
judge
