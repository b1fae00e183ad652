# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by the scripts below test/, which run under set -eu.
#
# What make help names may be in the environment. What else is there goes from one
# of these scripts to those that it calls, and make lets nothing of it through:
#   SERIES, CONFIG_DIR, USER_SRC, APT_ETC
#                 other files than this repository's, build/linux, /etc/apt
#   GCOV          words for the kernel's make, for coverage
#   GUEST_CFLAGS  for the programs, in make check
#   BUILD_FIRST   what is not of now is built before it is booted
#   STEP_NAME     the step of make check, for who waits for a lock
#   ON_TERMINAL   it needs the terminal

say() { printf '%s\n' "$*"; }

# One clear line, then stop. Exit code 2: nothing was tested.
die() { printf 'error: %s\n' "$*" >&2; exit 2; }

TOP=$(cd "$(dirname "$0")" && until [ -d test/lib ]; do cd ..; done && pwd)
BUILD=${BUILD:-$TOP/build}
case $BUILD in
/*) ;;
*) BUILD=$PWD/$BUILD ;;
esac
# The kernel's make wants no blank and no colon, QEMU's options no comma.
case $BUILD in
*[[:space:]:,%\'\"\$\\\*\?\[\;\&\|\<\>\(\)\#\`]*)
	die "nothing can be built in '$BUILD': give a BUILD=DIR without blanks, colons, commas and quotes in its path" ;;
esac
. "$TOP/test/lib/build-dir.sh"
own_build "$BUILD"
# Another base has its series beside its patches, and a directory in BUILD.
[ "${BASE:-}" != stable ] || BASE=
if [ -n "${BASE:-}" ] && [ -z "${SERIES:-}" ]; then
	PATCHES=$TOP/patches/$BASE
	SERIES=$PATCHES/series
	[ -e "$SERIES" ] || die "BASE=$BASE: there is no patches/$BASE/series"
	BUILD=${BUILD%"/$BASE"}/$BASE
	mkdir -p "$BUILD"
else
	SERIES=${SERIES:-$TOP/series}
	# shellcheck disable=SC2034 # for those who source this
	PATCHES=$(dirname "$SERIES")/patches
fi
export BUILD
LINUX=$BUILD/linux
# Whatever is unfinished lives here; the next run starts by removing it.
TMP=$BUILD/tmp

# The kernel's make takes LLVM= from the environment.
case ${LLVM:-0} in
0) CC=${CC:-gcc} ;;
*/) CC=${CC:-${LLVM}clang} ;;
-*) CC=${CC:-clang$LLVM} ;;
*) CC=${CC:-clang} ;;
esac
case $CC in
ccache\ * | */ccache\ *) ;;
*) ! command -v ccache >/dev/null || CC="ccache $CC" ;;
esac
# With an empty cache it would preprocess each file twice, and a kernel take half
# as long again.
export CCACHE_DEPEND=1

# A hook or an outer git must not redirect ours.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_PREFIX
export LC_ALL=C

# A shell does not act on SIGTERM while it waits for what it has started, which
# outlives it. So each script runs again in a process group of its
# own, of which nothing is left when it ends, by itself or by a signal. What
# needs the terminal sets ON_TERMINAL.
end_group() { # STATUS
	trap '' HUP INT TERM
	# Again each second: who was just being forked has missed the signal.
	tries=${group:+100} sig=TERM
	while [ "${tries:-0}" -gt 0 ] &&
		kill -s "$sig" -- "-$group" 2>/dev/null; do
		sleep 0.1
		tries=$((tries - 1))
		case $tries in
		[1-9] | 10) sig=KILL ;;
		?0) sig=TERM ;;
		*) sig=0 ;;
		esac
	done
	exit "$1"
}
if [ -z "${ON_TERMINAL:-}" ] && [ "${GROUP_OF:-}" != "$PPID" ]; then
	group='' status=0
	trap 'end_group 129' HUP
	trap 'end_group 130' INT
	trap 'end_group 143' TERM
	GROUP_OF=$$ setsid sh "$0" "$@" &
	group=$!
	wait "$group" || status=$?
	end_group "$status"
fi
unset GROUP_OF

# quote WORD... - as the shell would read them again
quote() {
	for w in "$@"; do
		case $w in
		*[!A-Za-z0-9_./:,=+-]* | '')
			printf "'%s' " "$(printf %s "$w" | sed "s/'/'\\\\''/g")" ;;
		*) printf '%s ' "$w" ;;
		esac
	done
	echo
}

# header KEY - the values of "# KEY: VALUE" in the series file, one a line
header() { sed -n "s/^# $1: *//p" "$SERIES"; }

# The series' patches in order, as quilt reads them. Those in fixes/ are not sent
# with the others.
series_patches() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$SERIES"; }

# git on our kernel repository, which ignores the user's configuration: what it
# writes must not depend on who runs it.
kgit_in() {
	dir=$1
	shift
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
	GIT_COMMITTER_NAME='chunk heap series' \
	GIT_COMMITTER_EMAIL='series@localhost' \
		git -c safe.directory='*' -c gc.auto=0 -c advice.detachedHead=false \
		-C "$dir" "$@"
}
kgit() { kgit_in "$LINUX" "$@"; }

# first_commit - of those that are sent: "base", or what fixes/ makes of it
first_commit() {
	first=$(header fixes)
	kgit rev-parse -q --verify "${first:+refs/heads/}${first:-base}"
}

# Paths that tree hashes leave out: those that are in no tree, and those that are
# not the tag's in a tree of Debian's.
unhashed() { header '\(exclude\|unpinned\)'; }

# tree_hash REPO TREEISH - its tree hash without these. To find that takes seconds:
# what was found is kept.
tree_hash() {
	of=$(kgit_in "$1" rev-parse -q --verify "$2^{tree}") || return
	of="$of $(unhashed | sha256sum | cut -c 1-40)"
	sed -n "s/^$of //p" "$BUILD/.trees" 2>/dev/null | grep -m 1 . && return
	tree=$(tree_without "$1" "$2") || return
	echo "$of $tree" >>"$BUILD/.trees"
	echo "$tree"
}
tree_without() { # REPO TREEISH
	mkdir -p "$TMP"
	idx=$(mktemp -u "$TMP/index.XXXXXX")
	(
		export GIT_INDEX_FILE="$idx"
		kgit_in "$1" read-tree "$2"
		unhashed >"$idx.exclude"
		kgit_in "$1" --literal-pathspecs rm -rqf --cached \
			--ignore-unmatch --pathspec-from-file="$idx.exclude"
		kgit_in "$1" write-tree
	)
	rm -f "$idx" "$idx.exclude"
}

# head_of DIR WHAT - its HEAD, if a checkout begins there
head_of() {
	kgit_in "$1" rev-parse -q --verify "HEAD$2" 2>/dev/null &&
		[ -z "$(kgit_in "$1" rev-parse --show-prefix)" ]
}

# commit_of DIR - what is checked out there, in words
commit_of() {
	commit=$(head_of "$1" '') || { echo "no git checkout"; return; }
	[ -z "$(kgit_in "$1" status --porcelain 2>&1)" ] ||
		commit="$commit with uncommitted changes"
	echo "commit $commit"
}

# tree_of DIR - the hash of its HEAD that series has, or "unknown"
tree_of() { tree_hash "$1" HEAD 2>/dev/null || echo unknown; }

# state_of DIR - its files as one word, whatever commits they are in
state_of() {
	tree=$(head_of "$1" '^{tree}') || { echo no-checkout; return; }
	changes=$(kgit_in "$1" -c core.untrackedCache=true status --porcelain 2>&1)
	[ -z "$changes" ] || tree=$tree+$({
		echo "$changes"
		kgit_in "$1" diff --binary --no-ext-diff HEAD
		kgit_in "$1" ls-files -z -o --exclude-standard |
			(cd "$1" && xargs -0r sha256sum)
	} 2>&1 | sha256sum | cut -c 1-40)
	echo "$tree"
}

# made_of - what a build of $FLAVOUR is made of, now: a word for the kernel, one
# for the tree of its selftests, one for what is of this repository
made_of() {
	kernel=$(state_of "$SRC")
	user=$kernel
	[ "$USER_SRC" = "$SRC" ] || user=$(state_of "$USER_SRC")
	echo "$kernel $user $(
		{
			find "$TOP/test" -name '*.[ch]' -o -name Kbuild
			find "$CONFIG_DIR" -type f
			for f in bench/board.sh bench/log-to-tsv.awk bench/tables.awk \
				tree/build.sh tree/config.sh lib/arch.sh; do
				echo "$TOP/test/$f"
			done
		} | sort | tr '\n' '\0' | xargs -0 sha256sum | sha256sum |
			cut -c 1-40)"
}

# copy_modules DIR - those of the tests. Kbuild in 6.12 builds external modules
# where their source is.
copy_modules() {
	mkdir -p "$1"
	for room in cases self bench; do
		rsync -a "$TOP/test/$room/modules/" "$1/$room/"
		echo "obj-m += $room/"
	done >"$1/Kbuild"
}

# collections - of selftests, which the plan names
collections() {
	awk -f "$TOP/test/guest/plan.awk" "$TOP/test/guest/plans/main.plan" |
		awk '$4 == "kselftest" {
			sub(/:.*/, "", $1); if (!seen[$1]++) print $1 }'
}

# made_with - by what it is made, and which selftests, in one line
made_with() {
	# shellcheck disable=SC2046,SC2086 # words; CC may be "ccache gcc"
	echo "$TARGET_CC $MAKE_ARGS ${GUEST_CFLAGS:-}" $(collections) \
		"$($TARGET_CC --version 2>/dev/null | head -n 1)"
}

# stale - why what is built in $OBJ may not run, if it may not
stale() {
	if [ ! -e "$OBJ/.built" ]; then
		echo "no complete $FLAVOUR kernel in $OBJ"
		return
	fi
	was=$(sed -n 's/^made of: //p' "$OBJ/.built")
	now=$(made_of)
	case $now in
	"$was") ;;
	"${was% *}"\ *) echo "test/ or kernel-config/ has changed since the $FLAVOUR kernel was built" ;;
	*) echo "$SRC has changed since the $FLAVOUR kernel was built" ;;
	esac
}

# need_built - or die. What make check STEP= runs has it built first; that takes
# the lock, so it is another call.
need_built() {
	why=$(stale)
	[ -n "$why" ] || return 0
	case $FLAVOUR in
	main) how="make build${BASE:+ BASE=$BASE}" ;;
	debug) how="make build-debug${BASE:+ BASE=$BASE}" ;;
	*) how="${BASE:+BASE=$BASE }test/tree/build.sh $FLAVOUR" ;;
	esac
	[ "$PAGE_SIZE" = 4k ] || how="PAGE_SIZE=$PAGE_SIZE $how"
	[ "$ARCH" = x86_64 ] || how="ARCH=$ARCH $how"
	die "$why: run $how"
}
build_first() {
	[ -z "${BUILD_FIRST:-}" ] || [ -z "$(stale)" ] ||
		"$TOP/test/tree/build.sh" "$FLAVOUR"
}

# Locks go with the process; the file says who has it. take_lock FD FILE [-s]
ME="${0##*/} $*${STEP_NAME:+ (make check: $STEP_NAME)}"
take_lock() {
	mkdir -p "${2%/*}" 2>/dev/null || true
	[ -w "${2%/*}" ] || die "cannot write to $BUILD: give another BUILD=DIR"
	eval "exec $1>>\"\$2\""
	# shellcheck disable=SC2086 # an option or none
	if ! flock -n ${3:-} "$1"; then
		say "waiting for $(holders "$2")"
		# shellcheck disable=SC2086
		flock ${3:-} "$1"
	fi
	[ -n "${3:-}" ] || : >"$2"
	echo "$$ $ME" >>"$2"
}

# holders FILE - who has the lock, and writes it there just after taking it
holders() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		while read -r pid who; do
			! kill -0 "$pid" 2>/dev/null || echo "$who"
		done <"$1" | paste -s -d '+' | grep . && return
		sleep 0.1
	done
	echo "another make in $BUILD"
}

# Results under a fixed name are those of one run at a time.
lock_run() { take_lock 6 "$BUILD/results/.$1.lock"; }

# tick SECONDS FUNCTION - calls it with the time, until stop_ticking
tick() {
	(
		trap 'kill $! 2>/dev/null; exit 0' TERM
		seconds=0
		while :; do
			sleep "$1" >/dev/null 2>&1 &
			wait $!
			seconds=$((seconds + $1))
			"$2" "$seconds"
		done
	) 6>&- 7>&- 8>&- 9>&- &
	ticking=$!
}

stop_ticking() {
	kill "$ticking" 2>/dev/null || true
	wait "$ticking" 2>/dev/null || true
}

# The source has one user if it may change; kernels can be built beside each
# other, each by one make.
lock_source() { take_lock 9 "$BUILD/.lock"; }
lock_kernel() {
	take_lock 9 "$BUILD/.lock" -s
	take_lock 8 "$1/.lock"
}
