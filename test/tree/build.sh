#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# build.sh [main|debug|mte|base] - kernel, modules, test programs, initramfs
#
# Nothing is written into the kernel source or into this repository. Make's
# own output goes to build.log beside the objects, with V=1 to the terminal.
set -eu
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"
set_flavour "${1:-main}"

# Without this file, qemu.sh boots nothing, nor if it says that this was made of
# something else: a build that fails or dies must not leave a kernel of
# yesterday's to a later step.
lock_kernel "$OBJ"
# What is there and made of the same, by the same, is not made again.
made="made of: $(made_of)
made with: $(made_with)"
as_it_was=$(grep '^made ' "$OBJ/.built" 2>/dev/null || true)
rm -f "$OBJ/.built"

# shellcheck disable=SC2086 # CC may be "ccache gcc"
$TARGET_CC --version >/dev/null 2>&1 ||
	die "CC=$CC does not run${CROSS:+, or is not gcc, and ARCH=$ARCH needs ${CROSS}gcc}"
[ -d "$SRC" ] || die "no kernel source in $SRC"

# What the guest takes from a distribution: the machine's own, or that of a package
# which is unpacked and not installed.
if [ -z "$CROSS" ]; then
	BUSYBOX=$(command -v busybox || true)
else
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-sid}")
	"$TOP/test/tree/debs.sh" "$BUILD/debs/$ARCH" "$suite" "$DEBIAN_ARCH" \
		busybox-static
	BUSYBOX=$(find "$BUILD/debs/$ARCH" -path '*/bin/busybox')
fi
[ -n "$BUSYBOX" ] || die "no busybox: install the package busybox-static"
! ldd "$BUSYBOX" >/dev/null 2>&1 ||
	die "$BUSYBOX is not static: install the package busybox-static"
built=$(
	echo "kernel: tree $(tree_of "$SRC"), $(commit_of "$SRC")"
	echo "tests: $(commit_of "$TOP")"
	echo "$made"
)
if [ "$as_it_was" = "$made" ]; then
	printf '%s\n' "$built" >"$OBJ/.built"
	say "the $FLAVOUR kernel in $OBJ is built"
	exit
fi

mkdir -p "$USER_OBJ"
LOG=$OBJ/build.log
: >"$LOG"

# How far a part is.
progress() { # SECONDS
	say "  $what: $1 s, $(tail -n +"$from" "$LOG" | grep -c '^  [A-Z]') files"
}

# part WHAT COMMAND... - run it, say what and how long
part() {
	what=$1
	shift
	began=$(date +%s)
	echo "## $what" >>"$LOG"
	from=$(wc -l <"$LOG")
	if [ "${V:-0}" = 1 ]; then
		say "$what"
		"$@"
		return
	fi
	tick 30 progress
	# Not "|| status=": that would make the functions below go on after a
	# command that fails.
	set +e
	(
		set -e
		"$@"
	) >>"$LOG" 2>&1
	status=$?
	set -e
	stop_ticking
	if [ "$status" != 0 ]; then
		tail -n +"$from" "$LOG" | grep -E '(error|Error|undefined)' |
			head -n 5 >&2
		die "$what failed, see $LOG"
	fi
	# What was up to date is not worth a line.
	took=$(($(date +%s) - began))
	[ "$took" -lt 3 ] || say "  $what: done in $took s"
}

install_modules() {
	rm -rf "$STAGING/lib/modules"
	mkdir -p "$STAGING"
	kmake "$OBJ" INSTALL_MOD_PATH="$STAGING" modules_install
	kmake "$OBJ" M="$OBJ/test-modules" INSTALL_MOD_PATH="$STAGING" \
		modules_install
}

test_modules() {
	copy_modules "$OBJ/test-modules"
	kmake "$OBJ" M="$OBJ/test-modules" modules
}

selftests() {
	rm -rf "$USER_OBJ/kselftest-install"
	(
		SRC=$USER_SRC
		kmake "$USER_OBJ" headers
	)
	# shellcheck disable=SC2086 # one word or none
	make -C "$USER_SRC/tools/testing/selftests" O="$USER_OBJ" ARCH="$ARCH" \
		CC="$TARGET_CC" ${CROSS:+CROSS_COMPILE=$CROSS} \
		TARGETS="$(collections | tr '\n' ' ')" FORCE_TARGETS=1 \
		INSTALL_PATH="$USER_OBJ/kselftest-install" install
}

programs() {
	mkdir -p "$USER_OBJ/guest"
	rm -f "$USER_OBJ/guest/"*
	for c in "$TOP"/test/guest/*.c "$TOP"/test/cases/*.c \
		"$TOP"/test/bench/*.c; do
		echo "  CC      $c"
		# "CHECK(a) & CHECK(b)" reports both. Warnings of the next
		# compiler stop nobody but make check.
		# shellcheck disable=SC2086 # CC may be "ccache gcc"
		$TARGET_CC -O2 -g0 -Wall -Wextra -Wno-bitwise-instead-of-logical \
			${GUEST_CFLAGS:-} -static -pthread \
			-isystem "$USER_OBJ/usr/include" -I "$TOP/test/cases" \
			-I "$TOP/test/cases/modules" \
			-I "$USER_SRC/tools/testing/selftests" \
			-o "$USER_OBJ/guest/$(basename "$c" .c)" "$c"
	done
}

# files DIR WHERE - the lines of gen_init_cpio for a tree
files() {
	(cd "$1" && find . -mindepth 1 \( -name build -o -name source \) \
		-type l -prune -o -type d -printf "dir $2/%P 0755 0 0\n" -o \
		-type f -printf "file $2/%P $1/%P %m 0 0\n")
}

# kselftest's runner gives timeout an option that busybox's lacks, and expects
# another status. Without it, it would run tests that have no end.
timeout_script() {
	cat <<'END'
#!/bin/sh
[ "$1" != --foreground ] || shift
busybox timeout "$@"
status=$?
[ $status != 143 ] || status=124
exit $status
END
}

# What the owner of a board copies there, in one directory.
board() {
	for file in board.sh log-to-tsv.awk tables.awk; do
		echo "file /test/$file $TOP/test/bench/$file 0755 0 0"
	done
	# The kernel without the series has no such module.
	file=$OBJ/test-modules/bench/chunk-bench.ko
	[ ! -e "$file" ] || echo "file /test/chunk-bench.ko $file 0644 0 0"
}

initramfs() {
	# For the benchmark, which measures how long it is held.
	"${CROSS}nm" "$OBJ/vmlinux" | sed -n 's/ . cma_mutex$//p' >"$OBJ/cma_mutex"
	{
		for d in /dev /proc /sys /tmp /run /bin /sbin /usr /usr/bin \
			/usr/sbin /lib /lib/modules /test /kselftest /root; do
			echo "dir $d 0755 0 0"
		done
		echo "nod /dev/console 0600 0 0 c 5 1"
		echo "file /init $USER_OBJ/guest/init 0755 0 0"
		echo "file /bin/busybox $BUSYBOX 0755 0 0"
		echo "slink /bin/sh busybox 0777 0 0"
		timeout_script >"$OBJ/timeout"
		echo "file /usr/bin/timeout $OBJ/timeout 0755 0 0"
		files "$USER_OBJ/guest" /test
		echo "file /test/cma_mutex $OBJ/cma_mutex 0644 0 0"
		board
		files "$USER_OBJ/kselftest-install" /kselftest
		files "$STAGING/lib/modules" /lib/modules
	} | awk '!seen[$0]++' >"$OBJ/initramfs.list"
	"$OBJ/usr/gen_init_cpio" "$OBJ/initramfs.list" >"$INITRAMFS.tmp"
	mv "$INITRAMFS.tmp" "$INITRAMFS"
}

say "building the $FLAVOUR kernel in $OBJ"
"$TOP/test/tree/config.sh" "$FLAVOUR"
part "kernel and modules" kmake "$OBJ" "${IMAGE##*/}" modules
part "test modules" test_modules
part "installing modules" install_modules
take_lock 7 "$USER_OBJ/.lock"
part "selftests" selftests
part "test programs" programs
part "initramfs" initramfs
printf '%s\n' "$built" >"$OBJ/.built"
