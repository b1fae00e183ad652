#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# deps.sh GROUP... - see that the tools of these groups are there
#
# As root on Debian the missing packages are installed; otherwise one line
# says what to run, and that is the end.
set -eu
ON_TERMINAL=1
. "$(dirname "$0")/../lib/lib.sh"
. "$(dirname "$0")/../lib/arch.sh"

# guests_of ARCH - the rows of an architecture's guests: QEMU, and what builds
# them on a machine of another one
guests_of() (
	# shellcheck disable=SC2030 # of this subshell
	ARCH=$1 PAGE_SIZE=4k
	. "$TOP/test/lib/arch.sh"
	echo "qemu-$ARCH $QEMU $QEMU_PACKAGE"
	[ -n "$CROSS" ] || exit 0
	echo "build-$ARCH ${CROSS}gcc $CROSS_PACKAGE"
	echo "build-$ARCH ${CROSS}libc.a $CROSS_LIBC_PACKAGE"
)

# group, what must be there, and the package of Debian it is in
table() {
	# shellcheck disable=SC2031 # see above
	for arch in $ARCH $SECOND_ARCH; do
		guests_of "$arch"
	done
	cat <<'END'
kernel  git>=2.32               git
kernel  xz                      xz-utils
kernel  flock                   util-linux
kernel  setsid                  util-linux
build   make                    make
build   CC                      gcc
build   libc.a                  libc6-dev
build   flex                    flex
build   bison                   bison
build   bc                      bc
build   perl                    perl
build   gelf.h                  libelf-dev
build   openssl/ssl.h           libssl-dev
build   rsync                   rsync
build   depmod                  kmod
build   busybox                 busybox-static
check   shellcheck              shellcheck
check   codespell               codespell
check   sparse                  sparse
check   yamllint                yamllint
check   dtc                     device-tree-compiler
check   spatch                  coccinelle
check   xmllint                 libxml2-utils
check   libpython3.so           libpython3-dev
check   ply.py                  python3-ply
check   git.py                  python3-git
long    arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf
long    python3                 python3
coverage gcovr                  gcovr
coverage diff-cover             diff-cover
mail    python3                 python3
mail    b4                      b4
mail    perl                    perl
bench   gnuplot                 gnuplot-nox
app     meson                   meson
app     ninja                   ninja-build
app     g++                     g++
app     yaml.h                  libyaml-dev
app     event2/event.h          libevent-dev
app     libyuv.h                libyuv-dev
app     yaml.py                 python3-yaml
app     jinja2.py               python3-jinja2
app     ply.py                  python3-ply
app     openssl                 openssl
app     pkg-config              pkgconf
app     v4l2-ctl                v4l-utils
END
}

# compiles OPTION... - does what stands on stdin?
compiles() {
	# shellcheck disable=SC2086 # CC may be "ccache gcc"
	$CC -x c - -o /dev/null "$@" >/dev/null 2>&1
}

# Each is tried: where it lies differs from one distribution to the next.
have() {
	case $1 in
	*.py) # a module of the system's Python, for checkpatch
		PATH=/usr/bin:$PATH python3 -c "import ${1%.py}" >/dev/null 2>&1 ;;
	libpython3.so) # of any version; coccinelle loads it for its scripts
		set -- /usr/lib/*/libpython3.[0-9]*.so /usr/lib*/libpython3*.so
		[ -e "$1" ] || [ -e "$2" ] ;;
	*.h) echo "#include <$1>" | compiles -E ;;
	*-libc.a) # a cross compiler's
		echo 'int main(void) { return 0; }' |
			CC="${1%libc.a}gcc" compiles -static ;;
	*.a) echo 'int main(void) { return 0; }' | compiles -static ;;
	git*) # a git that knows GIT_CONFIG_GLOBAL, and is not the user's
		git --version 2>/dev/null | awk -v least="${1#*>=}" '
		{
			split($3, is, "."); split(least, want, ".")
			exit !(is[1] > want[1] ||
			       is[1] == want[1] && is[2] >= want[2])
		}
		END { if (!NR) exit 1 }' ;;
	CC) # shellcheck disable=SC2086 # as above
		$CC --version >/dev/null 2>&1 ;;
	*)
		# The tools of the administrator are not in every PATH.
		PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
	esac
}

# The other one that make check boots.
SECOND_ARCH=arm64

# look GROUP... - sets $tools to those that are missing, $missing to their packages
look() {
	tools='' missing=''
	for group in "$@"; do
		# shellcheck disable=SC2031 # see above
		groups=" $group $group-$ARCH "
		[ "$group" != check ] ||
			groups="$groups build-$SECOND_ARCH qemu-$SECOND_ARCH "
		while read -r of probe package; do
			case $groups in *" $of "*) ;; *) continue ;; esac
			have "$probe" && continue
			[ "$probe" != CC ] || {
				probe=$CC
				# No package is known for another one.
				case ${CC##*[ /]} in
				gcc) ;;
				*) die "CC=$CC does not run: install it, or give another CC=" ;;
				esac
			}
			tools="$tools${tools:+ }$probe"
			case " $missing " in
			*" $package "*) ;;
			*) missing="$missing${missing:+ }$package" ;;
			esac
		done <<END
$(table)
END
	done
}
look "$@"
[ -n "$tools" ] || exit 0

command -v apt-get >/dev/null || die "tools are missing: $tools"
install="apt-get install -y --no-install-recommends $missing"
[ "$(id -u)" = 0 ] || die "tools are missing: $tools; as root, run: $install"

say "installing the missing packages: $missing"
log=$BUILD/apt.log
export DEBIAN_FRONTEND=noninteractive
# A machine that never ran "apt-get update" knows no packages at all.
# shellcheck disable=SC2086 # a list of packages
if ! $install >"$log" 2>&1 </dev/null; then
	say "updating the lists of packages"
	apt-get update >"$log" 2>&1 </dev/null || true
	$install >>"$log" 2>&1 </dev/null ||
		die "apt could not install: $missing ($(grep '^E:' "$log" | tail -n 1); see $log)"
fi
installed=$missing
look "$@"
[ -z "$tools" ] || die "installed: $installed; but still missing: $tools"
say "installed: $installed"
