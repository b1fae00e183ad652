#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# guest.sh [debug] - the guest's harness tests itself: what must go red goes
# red, for the right reason, with the right exit code, and soon
#
# Boots the kernel that make build left, or with debug the one of make
# build-debug for what only that one finds. Reports TAP.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/../lib/tap.sh"
export BUILD="${BUILD:-$TOP/build}" ARCH="${ARCH:-x86_64}" ACCEL="${ACCEL:-auto}"
unset TESTS QEMU_EXTRA
SLOW=${SLOW:-1}
W=$BUILD/harness-guest
alone "$W"

# soon NAME STATUS REGEXP SECONDS COMMAND... - expect, and not for long
soon() {
	soon_name=$1 soon_status=$2 soon_re=$3 soon_limit=$4
	shift 4
	soon_began=$(date +%s)
	expect "$soon_name" "$soon_status" "$soon_re" "$@"
	soon_took=$(($(date +%s) - soon_began))
	[ "$soon_took" -le $((soon_limit * SLOW)) ] ||
		result 0 "$soon_name: soon" "took $soon_took s, not $soon_limit"
}

plan() { printf '%s\n' "$@" >"$W/plan"; } # LINE...

# The suites that are built in have no part in this.
QUIET=kunit.enable=0
# shellcheck disable=SC2317 # expect calls it
boot() { # [PATH=...] [NAME=VALUE...]
	path=$PATH
	case ${1:-} in PATH=*) path=${1#PATH=}; shift ;; esac
	env PATH="$path" "$TOP/test/guest/qemu.sh" test "$flavour" \
		PLAN="$W/plan" RUN=harness APPEND="$QUIET" "$@"
}
flavour=${1:-main}
R=$BUILD/results/harness
CRASH=/sys/kernel/debug/provoke-crash/DIRECT
TAP='printf "TAP version 13\n'

# --- what the debug kernel must find ---------------------------------------

misbehave() { # WHAT REGEXP
	plan "crash - 30 - check load misbehave what=$1"
	soon "misbehave: $1" 1 "FAIL: $2.* \\(in crash\\)" 180 boot
}

# None of those below waits for a build.
[ -z "${BUILD_FIRST:-}" ] || "$TOP/test/tree/build.sh" "$flavour" || exit 2

if [ "$flavour" = debug ]; then
	plan "crash 1 30 - run echo WRITE_AFTER_FREE >$CRASH"
	soon 'KASAN' 1 'FAIL: BUG: KASAN: .* \(in crash\)' 180 boot
	plan 'crash - 30 - check load test_ubsan'
	soon 'UBSAN' 1 'FAIL: UBSAN: .* \(in crash\)' 180 boot
	misbehave lock-order 'WARNING: possible circular locking dependency'
	misbehave sleep 'BUG: sleeping function called from invalid context'
	misbehave page-poison 'pagealloc: (memory corruption|single bit error)'
	misbehave dma 'WARNING: .*device driver frees DMA memory with different size'
	plan 'leaks - 30 - check load kmemleak-test' 'kmemleak - 300 - check kmemleak'
	soon 'kmemleak' 1 'FAIL: kmemleak: [0-9]* new suspected memory leaks' 240 boot
	finish
	exit
fi

# --- without a guest -------------------------------------------------------

# Each kind of splat is found in a log, and nothing else.
sed -e '/^[#=]/d' -e 's/^>*/[   12.3] /' -e 's/ \[  T/[  T/' \
	"$TOP/test/self/splats.txt" >"$W/splats.log"
sed -n 's/^[>=]//p' "$TOP/test/self/splats.txt" >"$W/splats.want"
# shellcheck disable=SC2317 # check calls it
splats_found() {
	status=0
	awk -f "$TOP/test/guest/splats.awk" "$W/splats.log" >"$W/splats.found" || status=$?
	diff "$W/splats.want" "$W/splats.found" && [ "$status" = 1 ]
}
check 'splats: each is found, and nothing else' splats_found

# The host judges.
plan 'a - 1 check cma 3' 'b 2 3 run x'
good='KTAP version 1
1..2
ok 1 a
    KTAP version 1
    # Subtest: b
    1..2
    ok 1 x
    ok 2 y
ok 2 b'
judge_ktap() { # NAME STATUS REGEXP SED-SCRIPT
	printf '%s\n' "$good" | sed "$4" >"$W/ktap"
	expect "ktap: $1" "$2" "$3" awk -f "$TOP/test/guest/results.awk" "$W/plan" "$W/ktap"
}
# shellcheck disable=SC2016 # sed's own $
{
judge_ktap 'cut off within a test' 1 'b.not ok.*no result' '6,$d'
judge_ktap 'empty' 1 'a.not ok.*no result' 'd'
judge_ktap 'one result less' 1 'expected 2 results, saw 1' '8d; s/1\.\.2/1..1/'
judge_ktap 'one result less than planned' 1 'planned 2 results, gave 1' '8d'
judge_ktap 'a skipped result' 1 'skipped' '8s/$/ # SKIP why/'
judge_ktap 'a result that may fail' 1 'expected to fail' '8s/$/ # XFAIL why/'
judge_ktap 'a result that is not done' 1 'expected to fail' '8s/$/ # TODO why/'
judge_ktap 'a number that is there twice' 1 'result 2 has the number 1' '8s/2/1/'
judge_ktap 'a result without a name' 0 '' '8s/ y//'
judge_ktap 'a plan after the results' 0 '^b.ok.2' '6d; 8s/$/\n    1..2/'
judge_ktap 'no plan' 1 'no plan' 6d
judge_ktap 'two plans' 1 'more than one plan' '8s/$/\n    1..2/'
judge_ktap 'a test that bails out' 1 'bailed out: why$' '8s/$/\n    Bail out! why/'
judge_ktap 'a skipped test' 1 'skipped' '9s/$/ # SKIP why/'
judge_ktap 'a skipped test that says why' 1 'skipped: no device' \
	'6,8d; 5s/$/\n    1..0 # SKIP no device/; 9s/$/ # SKIP/'
judge_ktap 'ok above a failed result' 1 'b.not ok.2.1 of 2 failed: y$' '8s/ok/not ok/'
judge_ktap 'a test that ends badly' 1 'b.not ok.2.exit code 3$' '9s/.*/not ok 2 b # exit code 3/'
judge_ktap 'a failed result of one that ends badly' 1 'b.not ok.2.1 of 2 failed: y .exit code 3.$' \
	'8s/ok/not ok/; 9s/.*/not ok 2 b # exit code 3/'
judge_ktap 'a comment in a description' 0 '^b.ok.2' '8s/y/y #1/'
judge_ktap 'another test' 1 'is of c and not of b' '9s/b/c/'
judge_ktap 'a shorter plan' 1 'its plan is' '2s/2/1/'
plan 'a - 1 check cma 3' 'b 1+1 3 run x'
judge_ktap 'a result that must be skipped' 0 '^b.ok.2' '8s/$/ # SKIP why/'
judge_ktap 'one that must be, and is not' 1 '0 of 2 skipped' ''
judge_ktap 'more skipped than must be' 1 '2 of 2 skipped' '7,8s/$/ # SKIP why/'
judge_ktap 'a skipped one, and one less' 1 'expected 2 results, saw 1' \
	'7d; s/1\.\.2$/1..1/; 8s/2.*/1 y # SKIP why/; 2s/1$/2/'
}

# --- configuration ---------------------------------------------------------

# A build directory of its own, with the kernel source of the real one.
mkdir -p "$W/build"
for d in linux linux-base; do
	[ ! -e "$BUILD/$d" ] || ln -s "$(readlink -f "$BUILD/$d")" "$W/build/$d"
done
configuration() { # NAME STATUS REGEXP LINE...
	name=$1 status=$2 re=$3
	shift 3
	rm -rf "$W/kernel-config"
	cp -r "${CONFIG_DIR:-$TOP/kernel-config}" "$W/kernel-config"
	printf '%s\n' "$@" >>"$W/kernel-config/$ARCH.config"
	expect "config: $name" "$status" "$re" env BUILD="$W/build" CONFIG_DIR="$W/kernel-config" \
		"$TOP/test/tree/config.sh"
}
configuration 'all there' 0 ''
configuration 'a dependency drops =y' 2 "CONFIG_USB_STORAGE=y of .*/$ARCH.config became n" \
	CONFIG_USB_STORAGE=y
configuration 'a select overrides "is not set"' 2 'CONFIG_DMA_SHARED_BUFFER=n .* became y' \
	'# CONFIG_DMA_SHARED_BUFFER is not set'
configuration 'a value out of range' 2 'CONFIG_LOG_BUF_SHIFT=99 .* became' CONFIG_LOG_BUF_SHIFT=99
configuration 'not a line of a .config' 2 'not a line of a .config' 'CONFIG_CMA = y'

# --- with a guest ----------------------------------------------------------

# shellcheck disable=SC2016 # $$ is the guest's
{
plan "one 1 10 - run ${TAP}1..1\\nok 1 a\\n\""
soon 'a plan that passes' 0 'PASS: 1 tests with 1 results' 60 boot
check 'the run names what was built' grep -qE \
	'^kernel: tree [0-9a-f]{40}, commit [0-9a-f]{40}' "$R/versions"
for f in config vmlinux qemu-command serial.log ktap versions plan; do
	check "the run keeps $f" [ -s "$R/$f" ]
done

# All tools but QEMU, then a QEMU whose KVM hangs, wherever this runs.
mkdir -p "$W/bin"
for f in /usr/bin/* /bin/*; do
	case $f in */qemu-system-*) ;; *) ln -sf "$f" "$W/bin/" ;; esac
done
soon 'no QEMU' 2 'error: no qemu-system-.*install the package' 20 boot PATH="$W/bin"
qemu=$(command -v "qemu-system-$ARCH")
cat >"$W/bin/$(basename "$qemu")" <<END
#!/bin/sh
case "\$*" in *'accel kvm'*) exec sleep 60 ;; esac
exec $qemu "\$@"
END
chmod +x "$W/bin/$(basename "$qemu")"
kvm='no KVM' fallback='no usable /dev/kvm'
if [ -w /dev/kvm ]; then
	kvm='KVM that hangs' fallback='KVM is there, but a test guest has not ended well'
	rm -f "$BUILD/.kvm"
else
	result 1 'KVM that hangs # SKIP no usable /dev/kvm'
fi
soon "$kvm" 0 "^$fallback: using TCG" 60 boot PATH="$W/bin:$PATH" ACCEL=auto
soon "$kvm, and it is asked for" 2 "^error: $fallback" 30 boot PATH="$W/bin:$PATH" ACCEL=kvm

# What must be noticed, all of it in one boot: what init says. What is made of
# results is above.
plan "good 2 10 - run ${TAP}1..2\\nok 1 a\\nok 2 b # comment\\n\"" \
	"fails 1 10 - run ${TAP}1..1\\nnot ok 1 a\\n\"" \
	"exits 1 10 - run ${TAP}1..1\\nok 1 a\\n\"; exit 3" 'dies 1 10 - run kill -TERM $$' \
	"hangs 1 2 - run ${TAP}1..1\\nok 1 a\\n\"; sleep 1000 & sleep 1000" \
	"orphan 1 10 - run sleep 1000 & ${TAP}1..1\\nok 1 a\\n\"" 'vanished 3 10 - kunit' \
	'unloadable 3 10 - kunit no_such_module' 'no:such 3 10 - kselftest' \
	'module - 10 - check load no_such_module' 'small - 10 - check cma 999999' \
	'odd - 10 - check odd' 'strange 1 10 - strange'
soon 'failures of tests' 1 'FAIL: 11 of 13 tests failed' 90 boot
while IFS='|' read -r name ok reason; do
	expect "reason: $name" 0 \
		"^$name$(printf '\t')$ok$(printf '\t')[0-9]*$(printf '\t')$reason" cat "$R/results"
done <<'END'
good|ok|$
fails|not ok|1 of 1 failed
exits|not ok|exit code 3
dies|not ok|killed by signal 15
hangs|not ok|no end after [0-9]+ s
orphan|ok|$
vanished|not ok|the kernel has no such suite
unloadable|not ok|modprobe no_such_module: exit code
no:such|not ok|exit code 1
module|not ok|exit code
small|not ok|CmaTotal is 352 MB, want 999999
odd|not ok|the plan has an unknown check, odd
strange|not ok|the plan has an unknown kind, strange
END

plan "crash 1 30 - run echo PANIC >$CRASH"
soon 'a panic' 1 'FAIL: Kernel panic - not syncing: dumptest \(in crash\)' 60 boot
plan "crash 1 30 - run echo WARNING >$CRASH; ${TAP}1..1\\nok 1 a\\n\""
soon 'a WARN' 1 'FAIL: WARNING: CPU: .* \(in crash\)' 60 boot
plan "crash 1 30 - run echo BUG >$CRASH"
soon 'a BUG' 1 'FAIL: kernel BUG at .* \(in crash\)' 60 boot
plan "crash 1 60 - run echo SOFTLOCKUP >$CRASH"
soon 'a soft lockup' 1 'FAIL: watchdog: BUG: soft lockup' 60 boot APPEND="$QUIET watchdog_thresh=3"
plan "crash 1 60 - run echo HUNG_TASK >$CRASH"
soon 'a hung task' 1 'FAIL: INFO: task .* blocked' 60 \
	boot APPEND="$QUIET sysctl.kernel.hung_task_timeout_secs=3"
# An idle guest may need no grace period: processes that end do. Interrupts stay
# on, for the CPU may be the one that keeps the time.
plan "crash 1 60 - run while :; do cat /proc/version; sleep 1; done & echo SOFTLOCKUP >$CRASH"
soon 'an RCU stall' 1 'FAIL: rcu: INFO: ' 60 \
	boot APPEND="$QUIET nosoftlockup rcupdate.rcu_cpu_stall_timeout=5"

# A guest of which nothing is heard, one that talks and does not end.
plan "mute 1 600 - run for c in 0 1; do taskset -c \$c sh -c 'echo HARDLOCKUP >$CRASH' & done; wait"
soon 'a silent guest' 124 "TIMEOUT: no console output for $((10 * SLOW)) s in mute" 60 \
	boot SILENCE=10
plan 'chatty 1 600 - run while :; do echo still here; sleep 1; done'
soon 'a guest without end' 124 "TIMEOUT: not finished after $((30 * SLOW)) s in chatty" 90 \
	boot LIMIT=30
plan 'gone 1 60 - run reboot -f'
soon 'a guest that ends before its plan does' 2 'NO END: the guest went away in gone' 60 boot
soon 'a guest without init' 2 'BOOT FAILED: Kernel panic' 60 boot APPEND="$QUIET rdinit=/nothing"
soon 'a QEMU that does not start' 2 'BOOT FAILED: QEMU ended with 1: .*nonsense' 20 \
	boot QEMU_EXTRA='-device nonsense'
}
finish
