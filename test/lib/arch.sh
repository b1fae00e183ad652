# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034 # for those who source this
# Sourced after lib.sh: what depends on the architecture and on the flavour.
#
# Another architecture is a case here and kernel-config/<arch>.config:
#
#   CROSS           the prefix of the cross compiler, if this machine needs one
#   CROSS_PACKAGE, CROSS_LIBC_PACKAGE  that, and its C library, on Debian
#   DEBIAN_ARCH     Debian's name
#   SRCARCH, IMAGE  the kernel's directory below arch/; what QEMU starts
#   QEMU, QEMU_PACKAGE  its name; on Debian
#   QEMU_MACHINE, CONSOLE, KERNEL_ARGS, qemu_smp  the guest
#   TCG_CPU         the processor that TCG emulates
#   TCG_PARALLEL    the first QEMU in which processors can run at the same time
#   ALWAYS_PARALLEL not empty: they do so without PARALLEL=1, too
#   tcg_args        more of the kernel's command line where TCG's clock is the
#                   host's

ARCH=${ARCH:-x86_64}
PAGE_SIZE=${PAGE_SIZE:-4k}
# The harness's own tests have fragments of their own.
CONFIG_DIR=${CONFIG_DIR:-$TOP/kernel-config}

CROSS=
case $ARCH in
x86_64)
	[ "$(uname -m)" = x86_64 ] || CROSS=x86_64-linux-gnu-
	CROSS_PACKAGE=gcc-x86-64-linux-gnu
	CROSS_LIBC_PACKAGE=libc6-dev-amd64-cross
	DEBIAN_ARCH=amd64
	SRCARCH=x86
	IMAGE=vmlinux			# started through its PVH entry
	PAGE_SIZES=4k
	QEMU=qemu-system-x86_64
	QEMU_PACKAGE=qemu-system-x86
	QEMU_MACHINE=q35
	# TCG emulates a rep movsb byte by byte, and icount counts each: without
	# the fast one, pages are copied and cleared by words.
	TCG_CPU=max,-erms,-fsrm
	# QEMU 7.2 lets an x86 CPU run into the breakpoint of a static key that
	# another has just patched; 10.0 does not.
	TCG_PARALLEL=10
	ALWAYS_PARALLEL=
	CONSOLE=ttyS0
	# The MP table names one CPU of each socket, and the kernel doubts the
	# TSCs of two sockets; there is no other clock without ACPI.
	qemu_smp() { echo "$1,sockets=$1"; }
	# On a busy machine, the check of the timer may see no tick.
	KERNEL_ARGS="earlyprintk=ttyS0,115200 tsc=reliable no_timer_check"
	tcg_args() {
		case $(uname -m) in
		x86_64 | i?86) ;;
		*) return ;;
		esac
		# shellcheck disable=SC2086 # CC may be "ccache gcc"
		$CC -O2 -o "$DIR/tsc-khz" "$TOP/test/lib/tsc-khz.c" &&
			echo "tsc_early_khz=$("$DIR/tsc-khz")"
		rm -f "$DIR/tsc-khz"
	}
	;;
arm64)
	case $(uname -m) in
	aarch64 | arm64) ;;
	*) CROSS=aarch64-linux-gnu- ;;
	esac
	CROSS_PACKAGE=gcc-aarch64-linux-gnu
	CROSS_LIBC_PACKAGE=libc6-dev-arm64-cross
	DEBIAN_ARCH=arm64
	SRCARCH=arm64
	IMAGE=arch/arm64/boot/Image
	PAGE_SIZES='4k 16k 64k'
	QEMU=qemu-system-aarch64
	QEMU_PACKAGE=qemu-system-arm
	QEMU_MACHINE=virt,gic-version=max
	# The architecture's own pointer authentication is slow to emulate.
	TCG_CPU=max,pauth-impdef=on
	TCG_PARALLEL=7
	ALWAYS_PARALLEL=1
	CONSOLE=ttyAMA0
	qemu_smp() { echo "$1"; }
	KERNEL_ARGS=earlycon=pl011,0x9000000
	tcg_args() { :; }
	;;
*)
	die "ARCH=$ARCH is not supported, only x86_64 and arm64 are"
	;;
esac

# The host's own programs are built with CC, those of the guest with TARGET_CC:
# the gcc of the same version. Of other compilers, none is known.
set_cross() { # PREFIX
	CROSS=$1 TARGET_CC=$CC
	[ -n "$CROSS" ] || return 0
	case ${CC##*[ /]} in
	gcc*) TARGET_CC="${CC%gcc*}$CROSS${CC##*[ /]}" ;;
	*) TARGET_CC=false ;;
	esac
}
set_cross "$CROSS"

# kmake OBJECTS ARGUMENT... - the make of the kernel in $SRC
MAKE_ARGS=
kmake() {
	kmake_objects=$1
	shift
	# shellcheck disable=SC2086 # words
	make -C "$SRC" O="$kmake_objects" ARCH="$ARCH" CC="$TARGET_CC" \
		HOSTCC="$CC" ${CROSS:+CROSS_COMPILE=$CROSS} LOCALVERSION= \
		-j"$(nproc)" $MAKE_ARGS "$@"
}

case " $PAGE_SIZES " in
*" $PAGE_SIZE "*) ;;
*) die "PAGE_SIZE=$PAGE_SIZE: $ARCH has pages of $PAGE_SIZES" ;;
esac

# The size of pages is the architecture's, or one more word in all names.
VARIANT=$ARCH
[ "$PAGE_SIZE" = 4k ] || VARIANT=$ARCH-$PAGE_SIZE

# A pageblock has 512 MB with pages of 64 KiB, and so has the smallest area. What
# that leaves to be tested is a plan of its own.
case $PAGE_SIZE in
64k) MAIN_PLAN=main-64k ;;
*) MAIN_PLAN=main ;;
esac

# set_flavour main|debug|mte|rt|kcsan|base - which kernel: of the series, of the
# series with the options of one more fragment on top, without the series
set_flavour() {
	FLAVOUR=$1 MAKE_ARGS=
	fragments="base $ARCH${BASE:+ $BASE}"
	[ "$VARIANT" = "$ARCH" ] || fragments="$fragments $VARIANT"
	SRC=$LINUX OBJ=$BUILD/obj/$VARIANT-$FLAVOUR
	FRAGMENTS="$fragments series $FLAVOUR"
	case $FLAVOUR in
	main) OBJ=$BUILD/obj/$VARIANT FRAGMENTS="$fragments series" ;;
	base) SRC=$BUILD/linux-base FRAGMENTS=$fragments ;;
	mte | rt) ;;
	debug)
		# Page poisoning is checked by memchr_inv() while the page is
		# free in KASAN's eyes: each word of it would be a report, made
		# and then suppressed, for half of the time that a test takes.
		MAKE_ARGS=KASAN_SANITIZE_string.o=n ;;
	kcsan)
		# What the series changes, and nothing else: the rest of the
		# kernel is slow that way, and has races of its own. One of
		# these is in page_isolation.c: isolate_single_pageblock()
		# looks at compound pages that are being made or freed.
		MAKE_ARGS=KCSAN_SANITIZE=n
		for f in cma page_alloc dma-buf dma-heap chunk_heap; do
			MAKE_ARGS="$MAKE_ARGS KCSAN_SANITIZE_$f.o=y"
		done ;;
	*) die "no such kernel: $FLAVOUR (main, debug, mte, rt, kcsan or base)" ;;
	esac
	# make coverage: the same, and these words for make say what is profiled
	[ -z "${GCOV:-}" ] || {
		OBJ=$OBJ-gcov
		FRAGMENTS="$FRAGMENTS gcov"
		MAKE_ARGS="$MAKE_ARGS $GCOV"
	}
	# User space is the same for all of them, and of the patched tree; that of
	# patches.sh is elsewhere.
	USER_SRC=${USER_SRC:-$LINUX}
	USER_OBJ=$BUILD/obj/$ARCH-user
	STAGING=$OBJ/staging
	INITRAMFS=$OBJ/initramfs.cpio
}
