# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034 # for those who source this
# Sourced after lib.sh: what depends on the architecture and on the flavour.
#
# Another architecture is a case here and kernel-config/<arch>.config.

ARCH=${ARCH:-x86_64}
# The harness's own tests have fragments of their own.
CONFIG_DIR=${CONFIG_DIR:-$TOP/kernel-config}

case $ARCH in
x86_64)
	SRCARCH=x86
	IMAGE=vmlinux			# started through its PVH entry
	QEMU=qemu-system-x86_64
	QEMU_PACKAGE=qemu-system-x86
	QEMU_MACHINE=q35
	CONSOLE=ttyS0
	# The MP table names one CPU of each socket, and the kernel doubts the
	# TSCs of two sockets; there is no other clock without ACPI.
	qemu_smp() { echo "$1,sockets=$1"; }
	KERNEL_ARGS="earlyprintk=ttyS0,115200 tsc=reliable"
	# What QEMU runs to see that KVM works: 2^25 instructions, which
	# nested virtualization without hardware help emulates one by one,
	# slower than TCG by far. The processor starts 16 bytes below the end,
	# which jumps back to: mov $1<<25,%ecx; loop .; mov $0x501,%dx;
	# mov $0x10,%al; out %al,(%dx); hlt. The port is isa-debug-exit's.
	kvm_probe() { # FILE
		{
			head -c 65504 /dev/zero
			printf '\146\271\000\000\000\002\147\342\375'
			printf '\272\001\005\260\020\356\364'
			printf '\353\356\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
		} >"$1"
		# (0x10 << 1) | 1
		KVM_PROBE_STATUS=33
		KVM_PROBE_ARGS="-machine q35 -cpu host -bios $1
			-device isa-debug-exit,iobase=0x501,iosize=4"
	}
	;;
*)
	die "ARCH=$ARCH is not supported, only x86_64 is"
	;;
esac

# set_flavour main|debug|base - which kernel: of the series, of the series
# with the debugging options on top, without the series
set_flavour() {
	FLAVOUR=$1 MAKE_ARGS=
	case $FLAVOUR in
	main)
		SRC=$LINUX OBJ=$BUILD/obj/$ARCH
		FRAGMENTS="base $ARCH series" ;;
	debug)
		SRC=$LINUX OBJ=$BUILD/obj/$ARCH-debug
		FRAGMENTS="base $ARCH series debug"
		# Page poisoning is checked by memchr_inv() while the page is
		# free in KASAN's eyes: each word of it would be a report, made
		# and then suppressed, for half of the time that a test takes.
		MAKE_ARGS=KASAN_SANITIZE_string.o=n ;;
	base)
		SRC=$BUILD/linux-base OBJ=$BUILD/obj/$ARCH-base
		FRAGMENTS="base $ARCH" ;;
	*)
		die "no such kernel: $FLAVOUR (main, debug or base)" ;;
	esac
	# User space is the same for all of them, and of the patched tree.
	USER_OBJ=$BUILD/obj/$ARCH-user
	STAGING=$OBJ/staging
	INITRAMFS=$OBJ/initramfs.cpio
}
