#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# host.sh - the host's side of the harness tests itself: what must be refused
# is refused, in one line, and nothing of the user's is lost
#
# Everything here works on a kernel of five files and a series of its own.
# Reports TAP.
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/../lib/tap.sh"

W=${BUILD:-$TOP/build}/harness-host
alone "$W"
mkdir "$W/bin" "$W/home" "$W/s"
unset ARCH PAGE_SIZE KERNEL_GIT KERNEL_TARBALL GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
# In make check, who has a lock is said to be its step.
unset STEP_NAME
export BUILD="$W/build" SERIES="$W/s/series" HOME="$W/home"
export GIT_CONFIG_NOSYSTEM=1

# A user who has configured much that must not matter, and no identity.
cat >"$HOME/.gitconfig" <<'END'
[user]
	useConfigOnly = true
[commit]
	gpgSign = true
[format]
	signOff = true
	thread = true
	subjectPrefix = RFC
	signature = mine
[diff]
	noprefix = true
	algorithm = patience
[core]
	autocrlf = true
	hooksPath = /nonexistent
[am]
	threeWay = true
END

# The fixture's own git is plain.
plain() {
	GIT_CONFIG_GLOBAL=/dev/null git -c user.name='A U Thor' \
		-c user.email=author@example.org -c init.defaultBranch=main "$@"
}
source_sh() { env "$@" "$TOP/test/tree/source.sh"; }
imported() { # NAME VARIABLE=VALUE...
	name=$1
	shift
	expect "$name" 0 "^tree $base_tree" source_sh "$@"
}
series() { "$TOP/test/tree/series.sh" "$@"; }
# Who sees the tools of $W/bin.
with_bin() { env PATH="$W/bin:$PATH" "$@"; }
commit_of() { plain -C "$1" rev-parse "$2"; } # REPO REV
fresh() { rm -rf "$BUILD"; }
linux() { plain -C "$BUILD/linux" "$@"; }
# Of every file below a directory, and which files there are.
state() { (cd "$1" && find . -type f -exec sha256sum {} + | sort | sha256sum); }
are_equal() { [ "$1" = "$2" ] || { echo "$1, not $2"; return 1; }; }
same() { check "$1" are_equal "$2" "$3"; } # NAME IS WANTED
gone() { check "$1" [ ! -e "$2" ]; } # NAME FILE
# refuse NAME REGEXP COMMAND... - with 2 and an error that begins like this
refuse() {
	refuse_name=$1 refuse_re=$2
	shift 2
	expect "$refuse_name" 2 "^error: $refuse_re" "$@"
}
# also NAME REGEXP - what the last command has said as well
# shellcheck disable=SC2016 # its own
also() {
	also_of=$tap_out
	check "$1" sh -c 'printf "%s\n" "$1" | grep -E -e "$2"' - "$tap_out" "$2"
	tap_out=$also_of
}
program() { # FILE - a script, of stdin
	{ echo '#!/bin/sh'; cat; } >"$1"
	chmod +x "$1"
}
# tool NAME - one for who has $W/bin in front of PATH, which it takes off
# shellcheck disable=SC2016 # its own
tool() { { echo 'PATH=${PATH#*:}'; cat; } | program "$W/bin/$1"; }
# in_build NAME [TARBALL] - another BUILD, with the kernel in it
in_build() {
	BUILD=$W/$1
	KERNEL_TARBALL="$W/${2:-good}.tar.xz" source_sh >/dev/null
}

# --- a small kernel, its clone, its tarballs ---------------------------------

up=$W/upstream
plain init -q "$up"
mkdir -p "$up/mm" "$up/nonfree"
i=0
while [ $i -lt 40 ]; do echo "line $i"; i=$((i + 1)); done >"$up/mm/cma.c"
printf '*.o\n!keep.o\nignored\n' >"$up/.gitignore"
echo 'tracked although ignored' >"$up/ignored"
printf 'one\r\ntwo\r\n' >"$up/dos"
program "$up/tool" </dev/null
ln -s mm/cma.c "$up/link"
mkdir "$up/scripts"
program "$up/scripts/get_maintainer.pl" <<'EOS'
[ "$5" = --roles ] && [ -s "$6" ] || exit 1
echo '"M. Tainer (Of)" <main@kernel.org> (maintainer:MM (small and large))'
! grep -q '^+++ .*MAINTAINERS' "$6" || echo 'Zoë Ask <a.sk@kernel.org> (reviewer:CMA)'
echo 'Keepers list <keepers@users.noreply.h.example> (supporter:CMA)'
echo 'linux-mm@kvack.org (open list:MM (small and large))'
EOS
cat >"$up/scripts/checkpatch.pl" <<'EOS'
while (<>) {
	$signed ||= /^Signed-off-by: /;
	die "$ARGV:$.: WARNING: $_" if /^(Assisted-by:|@@)/ ||
		$ENV{WRONG} && /$ENV{WRONG}/;
	next unless eof;
	die "$ARGV:$.: ERROR: no sign-off\n" unless $signed;
	$signed = 0;
}
EOS
plain -C "$up" add -A -f
base_tree=$(plain -C "$up" write-tree)
echo 'not free' >"$up/nonfree/blob"
plain -C "$up" add -A -f
plain -C "$up" commit -q -m 'Linux 1.0'
plain -C "$up" tag v1.0

pack() { # NAME [OPTION...] - what is in the tree now
	name=$1
	shift
	tar -cJf "$W/$name.tar.xz" --exclude=.git --transform='s,^\.,linux-1.0,S' "$@" -C "$up" .
}
chmod u+s,a+w "$up/tool"
pack odd --owner=1234 --group=1234
chmod u-s,go-w "$up/tool"
pack good
rm -r "$up/nonfree"
pack debian
plain -C "$up" checkout -q -- nonfree
echo changed >>"$up/mm/cma.c"
pack other
plain -C "$up" checkout -q -- mm
head -c 400 "$W/good.tar.xz" >"$W/cut.tar.xz"
echo 'no tarball' >"$W/text.tar.xz"

cat >"$SERIES" <<END
# A series of the harness.
# base-tag: v1.0
# base-tree: $base_tree
# result-tree: $base_tree
# branch: topic
# git: file://$W/nowhere
# exclude: nonfree
END

# --- the source --------------------------------------------------------------

expect "tarball: imported, with the pinned tree" 0 "^tree $base_tree: v1.0" \
	source_sh KERNEL_TARBALL="$W/good.tar.xz"
first=$(linux rev-parse base)
same "tarball: the work tree is clean" "$(linux status --porcelain)" ""
gone "tarball: the excluded path is left out" "$BUILD/linux/nonfree"
expect "source: what is there is kept, and it is said" 0 \
	'^KERNEL_TARBALL=.*text.tar.xz is not used: .*/linux is there$' \
	source_sh KERNEL_TARBALL="$W/text.tar.xz"

fresh
imported "tarball without the excluded path: the same tree" KERNEL_TARBALL="$W/debian.tar.xz"
same "tarball: the same commit, whoever imports it" "$(linux rev-parse base)" "$first"

other_tree=".*[0-9a-f]{40}, pinned is $base_tree"
refused() { # NAME REGEXP VARIABLE=VALUE - and nothing is left
	fresh
	refuse "$1" "$2" source_sh "$3"
	gone "$1: nothing is left" "$BUILD/linux"
}
while IFS='|' read -r name re given; do
	refused "$name" "$re" "$given"
done <<END
damaged tarball|.*cut.tar.xz: damaged|KERNEL_TARBALL=$W/cut.tar.xz
no tarball at all|.*text.tar.xz: damaged, or not a tarball|KERNEL_TARBALL=$W/text.tar.xz
tarball that is not there|.*no such file|KERNEL_TARBALL=$W/none.tar.xz
tarball that is a directory|KERNEL_TARBALL=.* is a directory|KERNEL_TARBALL=$W/s
wrong tree: both hashes are named|$other_tree|KERNEL_TARBALL=$W/other.tar.xz
clone that is not there|.*no such directory|KERNEL_GIT=$W/none
directory that is no clone|.*not a git clone|KERNEL_GIT=$W/s
no source at all|no source of v1.0|NONE=
END
fresh
expect "no source at all, and why" 2 'nowhere: fatal: ' source_sh
gone "no source at all, and why: nothing is left" "$BUILD/linux"

# The user's clone: edits in index and work tree, other branches.
plain clone -q "$up" "$W/clone"
plain -C "$W/clone" checkout -q -b theirs
echo staged >>"$W/clone/dos"
plain -C "$W/clone" add dos
echo edited >>"$W/clone/mm/cma.c"
plain clone -q --no-tags "$up" "$W/untagged"
refused "clone without the tag" '.*untagged: not .* the tag v1.0' KERNEL_GIT="$W/untagged"
was=$(state "$W/clone")
fresh
imported "clone: fetched, with the pinned tree" KERNEL_GIT="$W/clone"
same "clone: no file of the user's differs" "$(state "$W/clone")" "$was"
same "clone: the base is the tag's own commit" "$(linux rev-parse base)" "$(commit_of "$up" v1.0)"

fresh
imported "tarball with owners and odd modes" KERNEL_TARBALL="$W/odd.tar.xz"
same "tarball: its owners and modes are not taken" \
	"$(stat -c '%u %a' "$BUILD/linux/tool")" "$(id -u) 755"

# A tag that somebody moved.
plain clone -q "$up" "$W/moved"
plain -C "$W/moved" rm -q dos
plain -C "$W/moved" commit -q -m moved
plain -C "$W/moved" tag -f v1.0 >/dev/null
refused "clone with another tree under the tag" "$other_tree" KERNEL_GIT="$W/moved"

# Killed in the middle: a tar that unpacks and then kills who called it.
tool tar <<'END'
tar "$@"
kill -9 $PPID
END
fresh
expect "interrupted unpacking" 137 '' with_bin \
	KERNEL_TARBALL="$W/good.tar.xz" sh -c "\"$TOP/test/tree/source.sh\"; exit \$?"
gone "interrupted unpacking: not taken for a kernel" "$BUILD/linux"
imported "interrupted unpacking: the next run starts afresh" KERNEL_TARBALL="$W/good.tar.xz"
rm "$W/bin/tar"

# A server, and a copy fetched before that is damaged.
sed "s|^# git: .*|# git: file://$up|" "$SERIES" >"$W/s/series.server"
fresh
mkdir -p "$BUILD/cache"
cp "$W/cut.tar.xz" "$BUILD/cache/linux-v1.0.tar.xz"
expect "damaged copy: fetched again" 0 'is damaged: fetching it again' \
	source_sh SERIES="$W/s/series.server"
gone "damaged copy: removed" "$BUILD/cache/linux-v1.0.tar.xz"
# A disk that is full: a tar that cannot write.
tool tar <<'END'
[ "$1" != -xf ] || { echo 'tar: x: Cannot write: No space left on device' >&2; exit 2; }
tar "$@"
END
rm -rf "$BUILD/linux"
cp "$W/good.tar.xz" "$BUILD/cache/linux-v1.0.tar.xz"
full='^error: cannot unpack .*No space left on device .*2500 MB, and [0-9]+ MB are free'
expect "full disk: said, with what it takes" 2 "$full" \
	source_sh PATH="$W/bin:$PATH" SERIES="$W/s/series.server"
check "full disk: the copy fetched before stays" \
	cmp "$W/good.tar.xz" "$BUILD/cache/linux-v1.0.tar.xz"
expect "full disk: a tarball of the user's is not called damaged" 2 "$full" \
	source_sh PATH="$W/bin:$PATH" KERNEL_TARBALL="$W/good.tar.xz"
rm "$W/bin/tar" "$BUILD/cache/linux-v1.0.tar.xz"
expect "server: it is asked when there is no copy" 0 '' source_sh SERIES="$W/s/series.server"
same "server: the kernel is there" \
	"$(linux rev-parse 'base^{tree}')" "$(commit_of "$up" 'v1.0^{tree}')"

# Debian's source package, from a mirror that is a directory.
if grep -qx 'ID=debian' /etc/os-release && command -v apt-get >/dev/null; then
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	sources=$W/mirror/dists/$codename-security/main/source
	mkdir -p "$sources" "$W/mirror/pool" "$W/etc/sources.list.d"
	cp "$W/debian.tar.xz" "$W/mirror/pool/linux_1.0.orig.tar.xz"
	echo 'not looked at' >"$W/mirror/pool/linux_1.0-1.dsc"
	{
		echo "Package: linux"
		echo "Version: 1.0-1"
		echo "Directory: pool"
		echo "Checksums-Sha256:"
		for f in "$W"/mirror/pool/*; do
			echo " $(sha256sum "$f" | cut -d' ' -f1) $(stat -c %s "$f") $(basename "$f")"
		done
	} >"$sources/Sources"
	sed "s|^# git: .*|&\n# debian: $codename-security linux 1.0-1|" \
		"$SERIES" >"$W/s/series.debian"

	SERIES=$W/s/series.debian
	export APT_ETC="$W/etc"
	cat >"$APT_ETC/sources.list.d/test.sources" <<END
# Another's repository comes first.
Types: deb
URIs: file:$W/none
Suites: nodistro
Components: main
Trusted: yes

Types: deb
URIs: file:$W/mirror
Suites: $codename $codename-security
# A comment.
Components: main contrib
Architectures: amd64
Trusted: yes
Allow-Insecure: yes
END
	fresh
	imported "apt, sources in deb822 form"
	check "apt: the tarball is kept" [ -f "$BUILD/cache/linux-v1.0.tar.xz" ]
	rm -rf "$BUILD/linux"
	imported "cached tarball: no mirror is asked" APT_ETC="$W/none"
	rm "$APT_ETC/sources.list.d/test.sources"
	cat >"$APT_ETC/sources.list" <<END
# comment
deb [trusted=yes] file:$W/none nodistro main
deb [arch=amd64 trusted=yes allow-insecure=yes] file:$W/mirror $codename-security main contrib
END
	fresh
	imported "apt, sources.list in one-line form"
	fresh
	sed -i "s|file:$W/mirror|http://127.0.0.1:9|" "$APT_ETC/sources.list"
	expect "apt: a mirror that is not there: that is said" 2 \
		'^apt: W: Failed to fetch .*//127[.]' source_sh
	sed -i "s|http://127.0.0.1:9|file:$W/mirror|" "$APT_ETC/sources.list"

	# Killed in the middle of the download: apt's own file is there, but
	# not under the name of the copy.
	tool apt-get <<'END'
apt-get "$@"
case "$*" in *--download-only*) ls; kill -9 $PPID ;; esac >&3
END
	fresh
	source_sh PATH="$W/bin:$PATH" 3>"$W/downloaded" >/dev/null 2>&1 || true
	check "interrupted download: it was under way" \
		grep -qx linux_1.0.orig.tar.xz "$W/downloaded"
	gone "interrupted download: not taken for a copy" "$BUILD/cache/linux-v1.0.tar.xz"
	rm "$W/bin/apt-get"
	imported "interrupted download: the next run fetches it"
	SERIES=$W/s/series
	unset APT_ETC
else
	result 1 'apt # SKIP this is not Debian'
fi

# --- the series --------------------------------------------------------------

fresh
source_sh KERNEL_TARBALL="$W/good.tar.xz" >/dev/null
expect "empty series: the branch is the base" 0 "$base_tree: v1.0 and 0 patches" series apply
refuse "refresh: a branch without commits is refused" '.*no commit' series refresh

commit() { # SUBJECT LINE - change one line of mm/cma.c
	sed -i "s|^line $2\$|line $2, $1|" "$BUILD/linux/mm/cma.c"
	linux commit -q -a -m "$1" -m "Why this is so: $1."
}
commit 'mm/cma: first' 3
commit 'mm/cma: second' 20
echo new >"$BUILD/linux/mm/ignored.o"
linux add -f mm/ignored.o
linux -c user.name='Ünal Ö' commit -q -m 'mm: a file that is ignored' -m 'Grüße.'
refuse "refresh: without a cover letter it is refused" 'no cover letter' series refresh
gone "refresh: what was refused wrote nothing" "$W/s/patches"
cat >"$W/letter" <<'END'
mm: a subject so long that git format-patch folds it into two lines of the header

Body with a list:

A U Thor (2):
  that looks like a shortlog

*** BLURB HERE ***

 mm/cma.c | 4 ++--

Grüße
END
linux config branch.topic.description "$(cat "$W/letter")"
expect "refresh: three patches" 0 '^3 patches, tree [0-9a-f]{40}$' series refresh
result=$(sed -n 's/^# result-tree: //p' "$SERIES")
same "refresh: the tree is the branch's" "$result" "$(linux rev-parse 'topic^{tree}')"
same "refresh: series lists the patches" \
	"$(grep -v '^#' "$SERIES")" "$(cd "$W/s/patches" && ls -- *.patch)"
same "refresh: the header keeps its other lines" "$(grep -c '^# ' "$SERIES")" 7
check "refresh: no configuration of the user's gets in" sh -c \
	"! grep -lE 'RFC|^mine|Signed-off-by|^Message-I' '$W'/s/patches/*"
was=$(state "$W/s")
expect "refresh: again" 0 '^3 patches' series refresh
same "refresh: the same bytes" "$(state "$W/s")" "$was"
expect "verify: the patches are what they say" 0 "$result" series verify
expect "status: the tree is that of the series" 0 "$result: v1.0 and 3 patches" series status

# The way back, somewhere else.
mine=$BUILD
in_build second debian
expect "apply: the tree is the pinned one" 0 "^tree $result" series apply
same "apply: the work tree is clean" "$(linux status --porcelain)" ""
same "apply: the cover letter is back" \
	"$(linux config branch.topic.description)" "$(cat "$W/letter")"
ids=$(linux log --format='%H %an %s')
expect "refresh: from what was applied" 0 '^3 patches' series refresh
same "refresh: from there the same bytes" "$(state "$W/s")" "$was"
rm -rf "$BUILD"
KERNEL_TARBALL="$W/good.tar.xz" source_sh >/dev/null
series apply >/dev/null
same "apply: the same commits each time" "$(linux log --format='%H %an %s')" "$ids"
expect "base: a work tree without the series" 0 "$base_tree" series base
same "base: it is the base" "$(commit_of "$BUILD/linux-base" HEAD)" "$(linux rev-parse base)"
expect "base: again" 0 "$base_tree" series base
echo edit >>"$BUILD/linux-base/dos"
refuse "base: edited, it is refused" '.*not the pristine base' series base

plain clone -q "$up" "$W/plain"
plain -C "$W/plain" am -q "$W"/s/patches/*.patch
plain -C "$W/plain" rm -rq --cached nonfree
same "git am patches/*.patch on a plain clone gives the pinned tree" \
	"$(plain -C "$W/plain" write-tree)" "$result"

# --- the mails ---------------------------------------------------------------

# A series of its own: one more patch, by nobody.
cp -r "$W/s" "$W/m"
sed -i 's/^# branch: .*/&\n# version: 3\n# change-id: 20261121-topic-0123456789ab/' "$W/m/series"
SERIES=$W/m/series BUILD=$W/mail
KERNEL_GIT="$W/clone" source_sh >/dev/null
series apply >/dev/null
nobody='The Keepers <keepers@users.noreply.h.example>'
jane='Jane Döe <jane@example.org>'
fixed=$(plain -C "$up" rev-parse --short=12 v1.0)
printf 'CHUNKS\nM:\t%s\n' "$jane" >"$BUILD/linux/MAINTAINERS"
linux add MAINTAINERS
linux -c user.name="${nobody%% <*}" -c user.email=keepers@users.noreply.h.example \
	commit -q -m 'mm: somebody to ask' -m "Why." -m "Signed-off-by: $nobody
Link: https://lore.kernel.org/r/1
Suggested-by: Some Body <somebody@kernel.org>
Fixes: $fixed (\"mm: a bug\")"
series refresh >/dev/null
mailed=$(sed -n 's/^# result-tree: //p' "$SERIES")
mails() { # FROM [TO [VARIABLE=VALUE...]]
	mails_from=$1 mails_to=${2:-}
	shift $(($# > 1 ? 2 : 1))
	env FROM="$mails_from" TO="$mails_to" "$@" "$TOP/test/tree/mails.sh" "$W/mails"
}
# recipients NUMBER - who gets the mail whose name begins with it, in their order
recipients() {
	awk '/^$/ { exit } /^[^ ]/ { on = /^(To|Cc):/ } on' "$W/mails/$1"* |
		grep -oE '[^ <>]+@[^ <>,]+' | paste -s -d ' '
}
refuse "mails: without FROM one line says what to give" \
	"who sends it\? give FROM='Name <address>'" mails ''
same "mails: one line it is" "$( (mails '') 2>&1 | wc -l)" 1
for who in 'Jane' 'jane@example.org' '<jane@example.org>' 'Jane <jane>' \
	'Jane <jane@example.org> x' 'Jane <a@b.org>, Joe <c@d.org>' 'Jane <ja ne@example.org>' 'Jane
<jane@example.org>'; do
	expect "mails: FROM=$(echo "$who" | tr '\n' ' ')is refused" 2 \
		"^error: FROM=|is not of the form 'Name <address>'" mails "$who"
done
for who in "$nobody" 'Jane <jane@localhost.localhost>' 'Jane <noreply@example.org>'; do
	refuse "mails: FROM=$who is refused" 'FROM=.*: nobody has that address' mails "$who"
done
refuse "mails: TO= without an address is refused" 'TO=x has no address' mails "$jane" x
refuse "mails: TO= of nobody is refused" 'TO=.* nobody has the address' \
	mails "$jane" 'a@example.org, x@y.example'
for prefix in rfc 'RFC]' 'RFC PATCH' /usr/local; do
	refuse "mails: PREFIX=$prefix is refused" PREFIX= mails "$jane" '' PREFIX="$prefix"
done
for tool in Agent Agent: 'An Agent:1' 'Agent:1 <a@example.org>' 'Agent:1
Agent:2'; do
	expect "mails: ASSISTED_BY=$(echo "$tool" | tr '\n' ' ')is refused" 2 \
		'^error: ASSISTED_BY=|is not of the form' mails "$jane" '' ASSISTED_BY="$tool"
done
sed '/^# version/d' "$SERIES" >"$W/m/series.unversioned"
refuse "mails: a series without a version is refused" '.* version' \
	mails "$jane" '' SERIES="$W/m/series.unversioned"
letter=$(linux config branch.topic.description)
linux config branch.topic.description "$letter more"
expect "mails: what is not in patches/ is not sent" 2 "run 'make refresh'" mails "$jane"
linux config branch.topic.description "$letter"
gone "mails: what was refused wrote nothing" "$W/mails"

was=$(state "$W/m") at=$(linux log -1 --format=%H; linux config -l | sort)
expect "mails: git am and b4 am give the tree" 0 '^git am and b4 am give' mails "$jane"
same "mails: nothing else has changed" "$(state "$W/m") $(
	linux log -1 --format=%H; linux config -l | sort)" "$was $at"
cover=$W/mails/$(cd "$W/mails" && ls 0000-*)
has() { check "mails: $1" grep -q -e "$2" "$cover"; } # NAME REGEXP
gets() { same "mails: $1" "$(recipients "$2")" "$3"; } # NAME MAIL WHO
# given_back MAIL... - the tree that git am makes of them
given_back() {
	rm -rf "$W/am"
	plain clone -q "$up" "$W/am"
	plain -C "$W/am" am -q "$@" || return
	plain -C "$W/am" rm -rq --cached nonfree
	plain -C "$W/am" write-tree
}
same "mails: git am on a plain clone gives the pinned tree" \
	"$(given_back "$W"/mails/000[1-9]*)" "$mailed"
same "mails: a patch of somebody else's stays theirs, the others are the sender's" \
	"$(plain -C "$W/am" log --reverse --format='%an' v1.0..)" "A U Thor
A U Thor
Ünal Ö
Jane Döe"
same "mails: trailers stay, signed off once, by the sender" \
	"$(plain -C "$W/am" log -1 --format='%(trailers)')" "Link: https://lore.kernel.org/r/1
Suggested-by: Some Body <somebody@kernel.org>
Fixes: $fixed (\"mm: a bug\")
Signed-off-by: $jane"
same "mails: each patch is signed off" "$(plain -C "$W/am" log \
	--format='%(trailers:key=Signed-off-by)' v1.0.. | grep -c "$jane")" 4
mkdir "$W/b4am"
for mail in "$W"/mails/*; do
	echo 'From mboxrd@z Thu Jan  1 00:00:00 1970'
	cat "$mail"
	echo
done >"$W/mbox"
printf '[user]\n\tname = Joe\n\temail = joe@example.org\n' >"$W/joe"
GIT_CONFIG_GLOBAL=$W/joe \
	b4 -n --offline-mode am -m - -o "$W/b4am" <"$W/mbox" >/dev/null 2>&1 || true
same "mails: b4 am makes the same of them" "$(given_back "$W"/b4am/*.mbx)" "$mailed"
check "mails: nobody's name is in none" sh -c "! grep -ri keepers '$W/mails'"
gets "who maintains a file that a patch touches gets it" 0001 'main@kernel.org linux-mm@kvack.org'
gets "who is named in its trailers, too" 0004 \
	'a.sk@kernel.org main@kernel.org linux-mm@kvack.org somebody@kernel.org'
gets "the cover letter goes to all of them" 0000 "$(recipients 0004)"
has "a name that is not ASCII" '=?utf-8?.* <a.sk@kernel.org>,$'
has "the base is the tag's own commit" "^base-commit: $(commit_of "$up" v1.0)$"
check "mails: version and change-id are those of series" sh -c \
	"grep -q '^Subject: \[PATCH v3 0/4\]' '$cover' &&
	grep -qx 'change-id: 20261121-topic-0123456789ab' '$cover'"
mails "$jane" '' PREFIX=RFC ASSISTED_BY='Agent:1.0 sparse' >/dev/null
has "so they are in the next run" '^change-id: 20261121-topic-0123456789ab$'
same "mails: PREFIX= is in each subject" \
	"$(cat "$W"/mails/* | grep -c '^Subject: \[PATCH RFC v3 [0-4]/4\]')" 5
same "mails: ASSISTED_BY= comes before the sign-off" \
	"$(sed -n '/^Fixes: /,/^---/p' "$W"/mails/0004*)" "Fixes: $fixed (\"mm: a bug\")
Assisted-by: Agent:1.0 sparse
Signed-off-by: $jane
---"
same "mails: ASSISTED_BY= is in each patch" \
	"$(cat "$W"/mails/000[1-4]* | grep -cx 'Assisted-by: Agent:1.0 sparse')" 4
mails "$jane" "list@example.org, $jane" >/dev/null
same "mails: TO= and nobody else, be it the sender" "$(for n in 0 1 2 3 4; do
	recipients 000$n
done | uniq -c | sed 's/^ *//')" '5 jane@example.org list@example.org'

# A b4 that gets something wrong.
tool b4 <<'END'
b4 "$@" || exit
for word in "$@"; do
	[ "$last" != -o ] || out=$word
	last=$word
done
case "$*" in *' send '*) sh -c "cd '$out' && $SPOIL" ;; esac
END
was=$(state "$W/mails")
spoil() { # COMMAND - the mails that b4 has written
	env PATH="$W/bin:$PATH" SPOIL="$1" FROM="$jane" "$TOP/test/tree/mails.sh" "$W/mails"
}
while IFS='|' read -r name re command; do
	refuse "mails: $name is found" "$re" spoil "$command"
done <<'END'
another line in a patch|git am .* another tree|sed -i "s/^+line 20, .*/+line 20, x/" 0002-*
another message|git am .* other messages|sed -i "s/^Why/Because/" 0002-*
another author|git am .* other messages|sed -i "s/^From: .*/From: X <x@example.org>/" 0001-*
a patch that is missing|b4 wrote 4 mails, not 5|rm 0002-*
a recipient who does not exist|.* not exist: Reply-To: x@y.test|sed -i "1s/^/Reply-To: x@y.test\n/" 0003-*
a reply to something else|3 of 4 patches are replies|sed -i "/^In-Reply-To: /s/<.*/<x@y.z>/" 0003-*
a cover letter that is cut off|the cover letter does not survive|sed -i "s/^Body/X/" 0000-*
END
refuse "mails: what checkpatch says of one is an error" \
	'checkpatch: 0003-.*: WARNING: ' mails "$jane" '' WRONG='^Subject: .*3/4'
same "mails: then the old ones stay" "$(state "$W/mails")" "$was"

expect "mails: one that some lists do not take" 0 '^warning: 0000-.* has 1[0-9]{5} bytes' \
	spoil 'yes | head -n 50000 | tee -a 0000-* >/dev/null'
rm "$W/bin/b4"

linux -c user.name=X commit -q --amend -m 'mm: somebody to ask' -m "Fixes: $fixed (\"mm: a bug\")
Reported-by: X <x@y.example>"
series refresh >/dev/null
refuse "mails: a trailer of nobody's is refused" \
	'a mail still names .* who does not exist: .*x@y.example' mails "$jane"

# Of a tarball.
in_build mail-tarball debian
SERIES=$W/m/series
linux_base() { sed -n 's/^base-//p' "$cover"; }
sed -i 's/^Reported-by: .*/Reported-by: X <x@example.org>/' "$W"/m/patches/0004*
expect "mails: a base from a tarball" 0 '^5 mails .* on v1.0, whose commit is not' mails "$jane"
same "mails: then the tag is named, and no commit" "$(linux_base)" "tag: v1.0 of file://$W/nowhere"
mails "$jane" '' KERNEL_GIT="$W/moved" >/dev/null
same "mails: a clone with another tree knows no better" \
	"$(linux_base | head -n 1)" "tag: v1.0 of file://$W/nowhere"
was=$(state "$W/clone")
mails "$jane" '' KERNEL_GIT="$W/clone" >/dev/null
same "mails: a clone does" "$(linux_base)" "commit: $(commit_of "$up" v1.0)"
gets "then who wrote what a patch fixes gets it" 0004 \
	'a.sk@kernel.org main@kernel.org author@example.org linux-mm@kvack.org x@example.org'
same "mails: no file of the clone differs" "$(state "$W/clone")" "$was"
SERIES=$W/s/series BUILD=$W/second

# --- another kernel ----------------------------------------------------------

rebase() { env "$@" "$TOP/test/tree/rebase-check.sh"; }
refuse "rebase-check: one line says what to give" 'which kernel\?' rebase
refuse "rebase-check: both are refused" 'which kernel\?' rebase KERNEL_TARBALL=x KERNEL_GIT=y TAG=z
refuse "rebase-check: a clone without TAG= is refused" 'which kernel\?' rebase KERNEL_GIT="$W/clone"
refuse "rebase-check: no such tag" '.*not a git clone with the tag v2' \
	rebase KERNEL_GIT="$W/clone" TAG=v2
at=$(linux rev-parse HEAD)
expect "rebase-check: what applies is built" 1 '^not ok 5 it builds' \
	rebase KERNEL_TARBALL="$W/other.tar.xz"
also "rebase-check: after git am" '^ok 4 git am gives the same tree$'
sed -i 's/^line 19$/line nineteen/' "$up/mm/cma.c"
plain -C "$up" commit -q -a -m next
plain -C "$up" tag v1.1
rm "$up/mm/cma.c"
echo old >"$up/mm/ignored.o"
pack less
rm "$up/mm/ignored.o"
plain -C "$up" checkout -q -f v1.0
plain -C "$W/clone" fetch -q --tags
expect "rebase-check: the patch is named, and where it fails" 1 \
	'^not ok 2 0002-.* # 1 of 1 hunks do not apply, in mm/cma.c$' \
	rebase KERNEL_GIT="$W/clone" TAG=v1.1
also "rebase-check: and what differs there" '^#   \+line nineteen$'
also "rebase-check: the next one is tried" '^ok 3 0003-'
expect "rebase-check: a file that is not there" 1 '^#   mm/cma.c is not there$' \
	rebase KERNEL_TARBALL="$W/less.tar.xz"
also "rebase-check: a file that is there already" '^#   mm/ignored.o is there already$'
also "rebase-check: the end says how many apply" '^# 0 of 3 patches apply$'
same "rebase-check: nothing is said but that" "$(printf '%s\n' "$tap_out" |
	grep -vE '^(#|ok|not ok|1\.\.|.*(tree |unpacking |importing |is Linux ))')" ""
same "rebase-check: the user's tree is as it was" \
	"$(linux rev-parse HEAD; linux status --porcelain)" "$at"

# --- patches that are not right ----------------------------------------------

cp -r "$W/s" "$W/s.good"
restore() { rm -rf "$W/s"; cp -r "$W/s.good" "$W/s"; }
second=$(cd "$W/s/patches" && ls 0002-*)
edit() { sed -i "$1" "$W/s/patches/$second"; }

edit 's/^ line 19$/ line nineteen/'
refuse "verify: a patch that does not apply is named" "patches/$second does not apply" series verify
was=$(linux rev-parse topic HEAD)
refuse "apply: a patch that does not apply is named" "patches/$second does not apply" series apply
expect "apply: an edited patch: what to do instead is said" 2 \
	"patches are not edited: change the commits, then 'make refresh'\$" series apply
same "apply: the branch is where it was" "$(linux rev-parse topic HEAD)" "$was"
same "apply: the work tree is as it was" "$(linux status --porcelain)" ""
gone "apply: no git am is left in progress" "$BUILD/linux/.git/rebase-apply"
in_build third
refuse "apply: also the first time" "patches/$second" series apply
same "apply: no branch then" "$(linux tag; linux branch --list topic)" base
same "apply: the tree is the base" "$(linux rev-parse HEAD)" "$(linux rev-parse base)"
restore
expect "apply: repaired, it applies" 0 "^tree $result" series apply
BUILD=$W/second

edit 's/^+line 20, .*/+line 20, something else/'
refuse "verify: another result is refused, with both hashes" \
	".*[0-9a-f]{40}, expected is $result" series verify
in_build fourth
refuse "apply: another result is refused, with both hashes" \
	".*[0-9a-f]{40}, but series pins $result; patches are not edited: " series apply
same "apply: the tree is the base then, too" "$(linux rev-parse HEAD)" "$(linux rev-parse base)"
BUILD=$W/second
restore
while IFS='|' read -r name re file script; do
	sed -i "$script" "$W/s/patches/$file"
	refuse "verify: $name is refused" "$re" series verify
	restore
done <<END
a hunk at another place|patches/$second |$second|s/^@@ -18,/@@ -17,/
what format-patch would not write|patches/$second is not what git format-patch makes|$second|s/^---$/&\nx/
text after the cover letter's diffstat|.*not end in the shortlog|0000-cover-letter.txt|\$s/$/\nMore./
END
touch "$W/s/patches/0007-stray.patch"
refuse "verify: a file that is not of the series is refused" \
	'patches: not of the series: 0007-stray.patch' series verify
restore
rm "$W/s/patches/$second"
refuse "verify: a missing patch is named" "patches/$second is in series" series verify
same "apply: a missing patch: one line it is" \
	"$( (series apply) 2>&1 | grep -cv '^the series has changed')" 1
restore

# --- fixes that go ahead of it -----------------------------------------------

in_build ahead
rm -rf "$W/s/patches"
sed -i '/^#/!d;s/^# branch: .*/&\n# fixes: ahead/' "$SERIES"
linux checkout -q -b ahead
commit 'mm/cma: fix' 7
linux checkout -q -b topic
commit 'mm/cma: then' 30
linux config branch.topic.description 'A letter

Text.'
expect "fixes: refresh writes them apart" 0 '^2 patches' series refresh
same "fixes: series has them first" "$(grep -v '^#' "$SERIES" | tr '\n' ' ')" \
	"fixes/0001-mm-cma-fix.patch 0001-mm-cma-then.patch "
expect "fixes: they are part of what is verified" 0 '^patches/ give' series verify
expect "fixes: patches/ are current" 0 '' series current
in_build ahead2
expect "fixes: apply puts them first" 0 'and 2 patches' series apply
same "fixes: their branch is below the other one" \
	"$(linux log --format=%s base..ahead)" 'mm/cma: fix'
linux checkout -q -B topic base
commit 'mm/cma: without' 30
expect "fixes: a branch that lacks them is refused" 2 \
	'does not start at v1.0 and the branch ahead' series refresh
BUILD=$W/second
restore

# --- the user's work in the tree ---------------------------------------------

BUILD=$mine
commit 'mm/cma: third' 30
was=$(linux rev-parse HEAD)
expect "kernel: the user's commits are used as they are, and it is said" 0 \
	'is NOT the series: its tree is' series apply
same "kernel: they are kept" "$(linux rev-parse HEAD)" "$was"
expect "status: another tree is a failure" 1 'is NOT the series' series status
expect "clean: unpublished commits are kept, and it is said" 0 '^kept ' series clean
same "clean: they are there" "$(linux rev-parse HEAD)" "$was"
expect "refresh: publishes them" 0 '^4 patches' series refresh
expect "status: now it is the series" 0 'v1.0 and 4 patches' series status

echo edit >>"$BUILD/linux/dos"
was=$(state "$W/s")
refuse "refresh: a dirty work tree is refused" '.*uncommitted' series refresh
expect "status: uncommitted changes are a failure" 1 'uncommitted' series status
expect "kernel: uncommitted changes are used as they are" 0 'uncommitted' series apply
expect "clean: uncommitted changes are kept" 0 '^kept ' series clean
check "clean: the edit is there" grep -q edit "$BUILD/linux/dos"
linux checkout -q -- dos
echo new >"$BUILD/linux/untracked"
refuse "refresh: a file not added is refused" '.*uncommitted' series refresh
expect "clean: a file not added is kept" 0 '^kept ' series clean
rm "$BUILD/linux/untracked"
linux commit -q --allow-empty -m 'fixup! mm/cma: third'
refuse "refresh: a fixup is refused" ".*'fixup! mm/cma: third'" series refresh
linux reset -q --hard HEAD^
linux commit -q --allow-empty -m 'empty'
expect "refresh: an empty commit is refused" 2 '^error: ' series refresh
linux reset -q --hard HEAD^
linux checkout -q -b side HEAD^
commit 'side' 10
linux checkout -q topic
expect "clean: a second branch is kept" 0 '^kept ' series clean
linux merge -q side -m merge
refuse "refresh: a merge is refused" '.*merge' series refresh
linux reset -q --hard HEAD^
linux branch -q -D side
linux checkout -q --detach
refuse "refresh: off the branch it is refused" '.*not on its branch' series refresh
commit 'mm/cma: detached' 35
expect "clean: commits on no branch are kept" 0 '^kept ' series clean
linux checkout -q topic
echo stashed >>"$BUILD/linux/dos"
linux stash -q
expect "clean: a stash is kept" 0 '^kept ' series clean
linux stash drop -q
linux config branch.topic.description 'mm: another letter

Body.'
expect "clean: an edited cover letter is kept" 0 '^kept ' series clean
same "refresh: nothing of this has touched the patches" "$(state "$W/s")" "$was"
linux config branch.topic.description "$(cat "$W/letter")"
mkdir -p "$BUILD/cache" "$BUILD/obj" "$BUILD/results" "$BUILD/mails" "$BUILD/rebase"
touch "$BUILD/cache/tarball" "$BUILD/obj/o" "$BUILD/results/r"
expect "clean: what is in patches/ is removed" 0 '' series clean
gone "clean: the kernel is gone" "$BUILD/linux"
gone "clean: so is what was built" "$BUILD/obj"
gone "clean: so are the results" "$BUILD/results"
same "clean: so are mails, and what rebase-check made" \
	"$(ls -d "$BUILD/mails" "$BUILD/rebase" 2>/dev/null)" ""
check "clean: the download is kept" [ -e "$BUILD/cache/tarball" ]

# A series that has moved on, and a tree without the user's work.
BUILD=$W/third
expect "kernel: an untouched branch follows the series" 0 'v1.0 and 4 patches' series apply
restore
expect "kernel: and back" 0 'v1.0 and 3 patches' series apply
linux config branch.topic.description "changed"
cp -r "$W/s/." "$W/s.good/"
sed -i 's/^Why this is so/Why it is so/' "$W/s/patches/0001"*
series apply >/dev/null
same "kernel: a branch with an edited cover letter does not" \
	"$(linux config branch.topic.description)" changed
restore

# --- the benchmark's figures -------------------------------------------------

# A series whose second message has the tables, and a text that has them.
in_build figures
series apply >/dev/null
mkdir -p "$W/run" "$W/s/docs"
cp "$TOP/docs/bench.tsv" "$W/run/bench.tsv"
echo plot >"$W/run/bench.svg"
sed -n 's/^	table("\(.*\)")$/\1/p' "$TOP/test/bench/tables.awk" |
	while read -r columns; do
		printf '\n%24s' ''
		for name in $columns; do printf '%-8s' "$name"; done |
			sed 's/ *$//; s/_/ /g'
		echo
	done >"$W/headers"
echo >>"$W/headers"
cp "$W/headers" "$W/s/docs/bench.md"
commits() { linux log --format='%H' base..topic; }
figures() { "$TOP/test/bench/figures.sh" "$1" "${2:-$W/run/bench.tsv}"; }

third=$(linux rev-parse topic)
linux reset -q --hard topic~1
{
	linux log -1 --format=%B
	awk -f "$TOP/test/bench/tables.awk" "$W/run/bench.tsv" "$W/headers"
} >"$W/message"
linux commit -q --amend -F "$W/message"
linux cherry-pick "$third" >/dev/null
series refresh >/dev/null
was=$(commits)
expect "figures: an update" 0 '^$' figures update
check "figures: they are in the text" grep -q '^  bulk, HARD  *[0-9]' "$W/s/docs/bench.md"
same "figures: the commits are the same" "$(commits)" "$was"
same "figures: the work tree is clean" "$(linux status --porcelain)" ""
expect "figures: the patches are those of the branch" 0 "$result" series verify
expect "figures: then nothing has drifted" 0 '^$' figures check
was=$(state "$W/s")
expect "figures: another update" 0 '^$' figures update
same "figures: another update changes nothing" "$(state "$W/s")" "$was"

cp -r "$W/s" "$W/s.figures"
# What sed does to a file is found.
while IFS='|' read -r name re file script; do
	# shellcheck disable=SC2086 # a glob
	sed -i "$script" "$W/s"/$file
	expect "figures: $name" 1 "$re" figures check
	rm -rf "$W/s"
	cp -r "$W/s.figures" "$W/s"
done <<'END'
another one in a message|^patches/0002-.*:[0-9]+: clearing alone, alloc: 999 should be [0-9]|patches/0002-*|s/^\(  clearing alone *\)[0-9]*/\1999/
another one in a text|^docs/bench.md:[0-9]+: bulk, FAST, idle: 999 should be [0-9]|docs/bench.md|0,/^  bulk, FAST/s/^\(  bulk, FAST *\)[0-9.]*/\1999/
a row less|^docs/bench.md:[0-9]+: |docs/bench.md|/^  system heap/d
a row more|^docs/bench.md:[0-9]+: "  old heap |docs/bench.md|s/^  system heap/  old heap            1\n&/
a table that has gone from the messages|^no text has the table "alloc   mmap    munmap  release"|patches/0002-*|/^ *alloc  *mmap  *munmap  *release$/d
a table that has gone from docs/|^no text has the table "asked   got     ms"|docs/bench.md|s/^\( *asked  *got\)  *ms$/\1 us/
END

scaled() { # SCENARIO COLUMN FACTOR
	awk -F '\t' -v OFS='\t' -v scenario="$1" -v n="$2" -v by="$3" \
		'$1 == scenario { $n = int($n * by) } { print }'
}
longer_loop() {
	awk -F '\t' -v OFS='\t' '$1 == "pinned-1pct" && $2 == "loop" {
		$4 = int($4 * 1.05) } { print }'
}
# A run that a command makes of the kept one.
while IFS='|' read -r name status re command; do
	eval "$command" <"$TOP/docs/bench.tsv" >"$W/run/other.tsv"
	expect "figures: $name" "$status" "$re" figures check "$W/run/other.tsv"
done <<'END'
a time that is 1 % off|0|^$|scaled idle 5 1.01
a time that is 3 % off|1|^docs/bench.tsv: idle loop, ns: [0-9]+, now [0-9]+$|scaled idle 5 1.03
a time that is 3 % less|1|^docs/bench.tsv: idle loop, ns: [0-9]+, now [0-9]+$|scaled idle 5 0.97
single pages that are released 12 % slower|1|^docs/bench.tsv: idle loop, release_ns: |scaled idle 6 1.12
a loop that was ended later|0|^$|longer_loop
longer steps|0|^$|scaled idle 10 1.2
pages that were migrated in vain|1|^docs/bench.tsv: crowded one, migrated: |scaled crowded 11 1.05
a rival that waits longer|0|^$|scaled rivals-loop 5 2
a chunk that was not delivered|1|^docs/bench.tsv: idle loop, got: 4800, now 4799$|sed '/^idle.loop/s/4800/4799/2'
a measurement less|1|idle loop: there, now not measured|sed '/^idle.loop/d'
a measurement more|1|idle new: not there, now measured|sed '/^idle.loop/{p;s/loop/new/;}'
single pages that are released 5 % slower, and chunks|1|^docs/bench.tsv: idle bulk-hard, release_ns: |scaled idle 6 1.05
END
same "figures: only the chunks have drifted" "$(printf '%s\n' "$tap_out" | grep -c release_ns)" 3
refuse "figures: no run" 'no figures in ' figures check "$W/none"

# What cannot be written is not written in parts.
was=$(state "$W/s")
sed '/^clear/d' "$W/run/bench.tsv" >"$W/run/other.tsv"
expect "figures: without one of them nothing is updated" 2 \
	'^no figure for clear/clear' figures update "$W/run/other.tsv"
same "figures: nor is docs/bench.tsv" "$(state "$W/s")" "$was"
sed '/^idle.bulk-fast/s/\t[0-9]*/\t9/4' "$W/run/bench.tsv" >"$W/run/other.tsv"
echo plot >"$W/run/other.svg"
ids=$(commits; state "$W/s/patches")
expect "figures: an update says what is wrong in a message" 1 \
	"^patches/$second:[0-9]+: bulk, FAST, idle: [0-9.]+ should be " \
	figures update "$W/run/other.tsv"
same "figures: and changes no commit and no patch" "$(commits; state "$W/s/patches")" "$ids"

# --- the compilers' warnings -------------------------------------------------

# A kernel whose make compiles with $COMPILE and checks with $SPARSE; "warn" in
# a file is a warning of either.
BUILD=$W/static
mkdir -p "$BUILD"
plain init -q "$BUILD/linux"
mkdir -p "$BUILD/linux/scripts" "$BUILD/linux/mm"
cat >"$BUILD/linux/Makefile" <<'END'
allmodconfig prepare:
%.o: %.c
	@echo "  CC      $@"
	@mkdir -p $(O)/$(@D)
	@sed -n 's|.*warn.*|$<:1: warning: &|p' $<
	@$(COMPILE)
	@: >$(O)/$@
	@$(SPARSE)
END
cat >"$BUILD/linux/scripts/kernel-doc" <<'END'
open(my $f, "<", $ARGV[-1]) or die; exit($ENV{DOC} // 0);
END
echo 'int a; /* warn */' >"$BUILD/linux/mm/a.c"
linux add -A
linux commit -q -m base
linux tag base
linux checkout -q -b topic
warnings() { # NAME STATUS REGEXP VARIABLE=VALUE...
	name=$1 status=$2 re=$3
	shift 3
	rm -rf "$BUILD/obj"
	expect "warnings: $name" "$status" "$re" env COMPILE=true \
		SPARSE='echo "  CHECK   $<"' "$@" "$TOP/test/static/static.sh" warnings
}
warnings "a series that compiles nothing" 1 'not ok .*something was compiled'
echo 'int b;' >>"$BUILD/linux/mm/a.c"
linux commit -q -a -m 'mm: no new warning'
# shellcheck disable=SC2016 # make's own
{
warnings "an old one is none of the patch's" 0 '^ok 1 gcc W=1 and sparse: mm: no'
warnings "a compiler that is killed" 1 '^not ok .* make failed' COMPILE='kill -9 $$$$'
warnings "no sparse" 1 '^not ok .* make failed' SPARSE='no_such_sparse $<'
warnings "sparse is not run" 1 '^not ok .* sparse did not read mm/a.c' SPARSE=:
warnings "no object" 1 '^not ok .* no mm/a.o' SPARSE='rm $(O)/$@; echo "  CHECK   $<"'
warnings "kernel-doc dies" 1 '^not ok .* kernel-doc failed on mm/a.c' DOC=3
}
echo 'int c; /* warn */' >>"$BUILD/linux/mm/a.c"
linux commit -q -a -m 'mm: one more'
warnings "a new one" 1 '^not ok 3 gcc W=1 and sparse: mm: one more # .*warning'
BUILD=$mine

# --- tools -------------------------------------------------------------------

# A PATH with little in it, an apt-get and an id that only say what they did.
tools=$W/tools
mkdir -p "$tools"
for tool in sh dirname sed cat mkdir git env touch awk; do
	ln -s "$(command -v $tool)" "$tools/$tool"
done
echo 'echo x86_64' | program "$tools/uname"
deps() { # UID GROUP...
	echo "echo $1" | program "$tools/id"
	shift
	env PATH="$tools" "$TOP/test/tree/deps.sh" "$@"
}
mkdir -p "$W/no-root"
echo 'echo 1000' | program "$W/no-root/id"
program "$tools/apt-get" <<END
echo "\$*" >>"$W/apt"
case \$1 in
update) touch "$W/updated" ;;
*)
	[ -e "$W/updated" ] || { echo "E: Unable to locate package"; exit 100; }
	[ -e "$W/no-tool" ] || $(command -v ln) -s $(for tool in xz flock setsid; do
		command -v $tool
	done | tr '\n' ' ') "$tools" ;;
esac
END
refuse "deps: without root, one line says what to run" \
	'tools are missing: .* libc.a flex .*; as root, run: apt-get install .*libc6-dev flex' \
	deps 1000 build
same "deps: one line it is" "$( (deps 1000 build qemu) 2>&1 | wc -l)" 1
refuse "deps: no QEMU, no root" '.*apt-get install .*qemu-system-x86' deps 1000 qemu
refuse "deps: a guest of another architecture: no root" \
	'.*apt-get install .*gcc-aarch64-linux-gnu libc6-dev-arm64-cross .*qemu-system-arm' \
	env ARCH=arm64 PATH="$tools" "$TOP/test/tree/deps.sh" build qemu
gone "deps: without root nothing is installed" "$W/apt"
expect "deps: as root it is installed, and said" 0 \
	'^installing the missing packages: xz-utils util-linux$' deps 0 kernel
same "deps: lists are updated when a package is unknown" \
	"$(cut -d' ' -f1 "$W/apt" | tr '\n' ' ')" "install update install "
same "deps: util-linux is named once" "$(grep -c 'xz-utils util-linux$' "$W/apt")" 2
rm "$tools/xz"
touch "$W/no-tool"
refuse "deps: a package is installed, and the tool is still not there" \
	'installed: xz-utils; but still missing: xz$' deps 0 kernel
ln -s "$(command -v xz)" "$tools/xz"
tool git <<'END'
[ "$*" != --version ] || { echo "git version $OLD"; exit; }
git "$@"
END
for version in 2.31.9 1.99 2.9.5 2.32.0 3.0 2.100.1.rc2; do
	case $version in
	2.31.9 | 1.99 | 2.9.5) set -- 2 '^error: tools are missing: git>=2.32;' ;;
	*) set -- 0 '^$' ;;
	esac
	expect "deps: git $version" "$@" env OLD="$version" \
		PATH="$W/bin:$W/no-root:$PATH" "$TOP/test/tree/deps.sh" kernel
done
rm "$W/bin/git"
rm "$tools/apt-get"
refuse "deps: no package manager: the tools are named" 'tools are missing: make .* flex [^;]*$' \
	deps 0 build
expect "deps: what is there is tried, not looked for" 0 '^$' "$TOP/test/tree/deps.sh" build qemu
# shellcheck disable=SC2016 # its own
echo 'case "$*" in *-static*) exit 1 ;; esac' | program "$W/cc"
refuse "deps: a compiler that cannot link statically" 'tools are missing: libc.a(;|$)' env \
	CC="$W/cc" PATH="$W/no-root:$PATH" "$TOP/test/tree/deps.sh" build
refuse "deps: a compiler of the user's that does not run" \
	'CC=.*/no-such-cc does not run: install it' \
	env CC="$W/no-such-cc" PATH="$tools" "$TOP/test/tree/deps.sh" build
expect "deps: nothing missing, nothing said" 0 '^$' "$TOP/test/tree/deps.sh" kernel

# --- make --------------------------------------------------------------------

mk() { (cd "$TOP" && make --no-print-directory "$@"); }
# What ends before anything is unpacked or built.
unbuilt() { mk BUILD="$W/nothing" KERNEL_TARBALL="$W/none" "$@"; }
expect "make: help is the default" 0 '^  qemu-test +[a-z]' mk
mk help >"$W/help"
missing=$(sed -n 's/^\([a-z-]*\):.*/\1/p' "$TOP/Makefile" | while read -r target; do
	grep -q "^  $target " "$W/help" || echo "$target"
done)
same "make: help names every target" "$missing" ""
refuse "make: a directory with a blank in it is refused" \
	"nothing can be built in '.*/a b': give a BUILD=DIR without" mk BUILD="a b" kernel
refuse "make: one with a comma, too" "nothing can be built in '.*/a,b'" mk BUILD="$W/a,b" kernel
# What is wrong with a run is said before anything is unpacked or built.
for wrong in TESTS=nonsense 'TESTS=a;b' SLOW=abc ACCEL=foo PLAN=none; do
	for target in qemu-test qemu-debug baseline; do
		[ "$target$wrong" != baselinePLAN=none ] || continue
		refuse "make $target $wrong: nothing is built" "${wrong%%=*}" unbuilt "$target" \
			"$wrong"
	done
done
refuse "make qemu-test: no such kernel: nothing is built" 'no such kernel: none ' unbuilt \
	qemu-test KERNEL=none
refuse "make qemu-test: a plan for another architecture: nothing is built" \
	'.*/mte.plan is for ARCH=arm64' unbuilt qemu-test PLAN=mte
export PLAN=none KERNEL=none
refuse "make: the environment names no plan and no kernel" KERNEL_TARBALL unbuilt qemu-test
unset PLAN KERNEL
for target in qemu-shell bench; do
	refuse "make $target SLOW=abc: nothing is built" 'SLOW' unbuilt "$target" SLOW=abc
	refuse "make $target: TESTS= is not for it" 'KERNEL_TARBALL' unbuilt "$target" TESTS=x
done
refuse "make mails: there is no kernel" KERNEL_TARBALL unbuilt mails FROM="$jane"
check "make mails: they are mainline's" [ -d "$W/nothing/mainline" ]
rm -r "$W/nothing/mainline"
refuse "make mails BASE=stable: there is none, either" KERNEL_TARBALL unbuilt mails \
	FROM="$jane" BASE=stable
gone "make mails BASE=stable: they are not" "$W/nothing/mainline"
refuse "make: one that cannot be written to" \
	'cannot write to /proc/nowhere: give another BUILD=DIR' mk BUILD=/proc/nowhere kernel

# A directory of the user's, with names that the harness has in its own. It is
# not below this one, which is marked.
users=$(mktemp -d)
mkdir "$users/tmp" "$users/results"
echo mine >"$users/tmp/file"
was=$(state "$users")
for target in 'kernel KERNEL_GIT=/nonexistent' clean refresh check; do
	# shellcheck disable=SC2086 # a target and its variable
	refuse "BUILD= of the user's: make ${target%% *} is refused" \
		'.* holds what no make of this repository put there' mk BUILD="$users" $target
	same "BUILD= of the user's: make ${target%% *} changes nothing" "$(state "$users")" "$was"
done
rm -r "$users/tmp" "$users/results"
expect "BUILD= an empty directory: taken" 0 '' mk BUILD="$users" clean
check "BUILD= an empty directory: marked" [ -e "$users/.chunk-heap-build" ]
expect "BUILD= what an earlier run has marked: taken" 0 '' mk BUILD="$users" clean
rm -r "$users"
# What the workflow restores comes before any run.
sed -n '/actions.cache/,/key:/{s,^ *\(path: \)*\(build/.*\),\2,p;}' \
	"$TOP/.github/workflows/tests.yml" | sort -u | while read -r path; do
	mkdir -p "$users/$path"
done
expect "BUILD= what the workflow restores: taken" 0 '' mk BUILD="$users/build" clean
check "BUILD= what the workflow restores: it is the source" [ -d "$users/build/cache" ]
rm -r "$users"
refuse "make: two of a kind at once" 'not while a guest is running: a guest$' \
	sh -c "echo $$ a guest >'$BUILD/.guests.lock' &&
		flock -s '$BUILD/.guests.lock' '$TOP/test/tree/series.sh' clean"

# A checkout below a directory with a blank.
mkdir -p "$W/with blank"
cp -r "$TOP/Makefile" "$TOP/test" "$W/with blank/"
cp -r "$W/s/." "$W/with blank/"
mkb() { mk -C "$W/with blank" "$@"; }
expect "make: a checkout with a blank in its path: help" 0 '^  qemu-test +[a-z]' mkb
refuse "make: what cannot be built in it is refused" \
	"nothing can be built in '.*/with blank/build'" mkb BUILD= kernel
expect "make: elsewhere it can" 0 "^tree $result: v1.0 and 3 patches" \
	mkb BUILD="$W/elsewhere" KERNEL_TARBALL="$W/good.tar.xz" kernel
expect "refresh: a checkout with a blank in its path" 0 '^3 patches' \
	mkb BUILD="$W/elsewhere" refresh

# A clone on a machine where git converts the ends of lines.
mkdir "$W/published"
cp -r "$TOP/Makefile" "$TOP/test" "$TOP/.gitattributes" "$W/s/." "$W/published"
echo carriage >"$W/published/patches/return.txt"
sed -i 's/$/\r/' "$W/published/patches/return.txt"
plain init -q "$W/published"
plain -C "$W/published" add -A
plain -C "$W/published" commit -q -m published
plain clone -q -c core.autocrlf=true "$W/published" "$W/crlf"
check "autocrlf: the patches are byte for byte the same" \
	diff -r "$W/published/patches" "$W/crlf/patches"
rm "$W/crlf/patches/return.txt"
expect "autocrlf: the series applies" 0 "^tree $result: v1.0 and 3 patches" \
	mk -C "$W/crlf" BUILD="$W/crlf-build" KERNEL_TARBALL="$W/good.tar.xz" kernel

# --- lint --------------------------------------------------------------------

# A release, without git: what is wrong in it is found.
mkdir -p "$W/tarball"
for f in Makefile README.md LICENSE series .github .shellcheckrc docs patches test; do
	cp -r "$TOP/$f" "$W/tarball/"
done
printf 'a = 1 \n' >"$W/tarball/wrong.awk"
lint() { "$W/tarball/test/static/lint.sh" "$@"; }
expect "lint: a tarball: blanks are found" 1 '^not ok .*blanks at the end of a line' lint '*blanks*'
expect "lint: a tarball: licences are looked for" 1 '^not ok .*has its licence' lint '*licence'
rm "$W/tarball/wrong.awk"
touch "$W/tarball/docs/a: b"
expect "lint: a name that not every system takes" 1 '^# .*docs/a: b$' lint '*a name that*'
rm "$W/tarball/docs/a: b"
expect "lint: a tarball: nothing wrong" 0 '^ok 13 ' lint
expect "lint: no check has the name" 1 '^1[.][.]0$' lint none
# What sed does to a file is found by the check.
while IFS='|' read -r name re check file script; do
	cp "$W/tarball/$file" "$W/right"
	sed -i "$script" "$W/tarball/$file"
	expect "lint: $name" 1 "$re" lint "$check"
	cp "$W/right" "$W/tarball/$file"
done <<'END'
a test that no page explains|^# .*does not explain heap-abuse$|*testing.md*|docs/testing.md|/heap-abuse/d
a step that no page explains|^# .*does not explain step another: checkpatch has|*testing.md*|test/steps.sh|s/tap checkpatch/tap another/
a page that explains what is not there|^# .*no test, or twice: chunk-heap-full$|*testing.md*|test/guest/plans/main.plan|/^chunk-heap-full/d
a figure that is not measured|^# .*README.md should have: .* 298 |*figures*|README.md|s/298 million/29 million/
a link to nowhere|^# .*README.md: there is no docs/nowhere.md|links*|README.md|s,(docs/design.md),(docs/nowhere.md),
a link to a heading that is not there|^# .*README.md: no heading for docs/bench.md#on-your|links*|docs/bench.md|s/^## On your own machine/## On yours/
a workflow that is no YAML|^not ok .*yamllint|yamllint*|.github/workflows/tests.yml|s/^jobs:/jobs/
a device tree that is none|^not ok .*dtc|dtc*|docs/chunk-heap.dtsi|s/reusable;/reusable/
a device tree that README has not|^not ok .*quotes|*quotes*|docs/chunk-heap.dtsi|s/0x18/0x10/
END
plain init -q "$W/tarball"
echo '*' >"$W/tarball/.gitignore"
echo '*' >"$W/tarball/.git/info/exclude"
refuse "lint: no file is an error" 'no files to look at' "$W/tarball/test/static/lint.sh"

# --- make check counts -------------------------------------------------------

steps() { "$TOP/test/check.sh" --steps "$W/steps" "$@"; }
counts() { # NAME STATUS LASTLINE STEPS
	printf '%s\n' "$4" >"$W/steps"
	tap_status=0
	"$TOP/test/check.sh" --steps "$W/steps" >"$W/check.out" 2>&1 || tap_status=$?
	same "check: $1" "$(tail -n 1 "$W/check.out")" "$3"
	same "check: $1: exit status" "$tap_status" "$2"
}
says() { printf '%s\\n' "$@"; }
counts "a step that passes" 0 "1 passed, 0 failed" "step a what true"
counts "a step that fails does not stop the next" 1 "1 passed, 1 failed" "step a what false
step b what true"
counts "a step that is killed" 1 "0 passed, 1 failed" "step a what sh -c 'kill -9 \$\$'"
counts "as many as are reported" 1 "2 passed, 1 failed" \
	"tap a what printf '$(says 'ok 1 x' 'not ok 2 y # why' 'ok 3 z' 1..3)'"
check "check: what failed is printed" grep -q '^     | not ok 2 y # why$' "$W/check.out"
junit_of_check() { # XPATH VALUE
	same "check: junit.xml: $1" "$(xmllint --xpath "$1" "$BUILD/check/junit.xml" 2>&1)" "$2"
}
junit_of_check 'string(//testcase[failure]/@name)' a
junit_of_check 'normalize-space(//failure)' 'not ok 2 y # why'
junit_of_check 'string(//failure/@message)' '1 of 3 failed'
counts "a report that is cut off" 1 "2 passed, 1 failed" \
	"tap a what printf '$(says 'ok 1 x' 'ok 2 y')'"
counts "a report with a check missing" 1 "1 passed, 1 failed" \
	"tap a what printf '$(says 'ok 1 x' 1..2)'"
counts "what runs beside has no verdict of its own" 1 "1 passed, 1 failed" "beside x false
step a what true
step b what false"
counts "the result of what ran beside, in its order" 1 "3 passed, 2 failed" \
	"beside one sh -c 'sleep 1; echo >$W/one; echo ok 1 x; echo not ok 2 y; echo 1..2'
beside two test -e $W/one
beside three false
tap a what awaited one
step b what awaited two
step c what awaited three
step d what true"
counts "the result of what was killed beside" 1 "0 passed, 1 failed" "beside one sh -c 'kill \$PPID'
step a what awaited one"
counts "an empty report" 1 "0 passed, 1 failed" "tap a what printf '$(says 1..0)'"
counts "a report that passes, and an exit status that does not" 1 "1 passed, 1 failed" \
	"tap a what sh -c \"printf '$(says 'ok 1 x' 1..1)'; exit 3\""

# What the environment holds reaches no step.
cat >"$W/narrow" <<'END'
for v in TESTS QEMU_EXTRA GCOV CONFIG_DIR USER_SRC APT_ETC SERIES; do
	eval "[ -z \"\${$v+set}\" ]" || { echo "$v is set"; exit 1; }
done
END
printf '%s\n' "step a what sh $W/narrow" 'step b what true' >"$W/steps"
check_narrowed() {
	env TESTS=cma QEMU_EXTRA=x GCOV=x CONFIG_DIR=/x USER_SRC=/x APT_ETC=/x \
		"$TOP/test/check.sh" --steps "$W/steps"
}
expect "check: nothing of the environment narrows it" 0 '^2 passed, 0 failed$' check_narrowed
expect "check: what it ignores is named" 0 '^make check ignores TESTS=cma$' check_narrowed
printf '%s\n' "step a what sh $W/narrow" 'step b-c what false' 'beside later false' \
	'step d what awaited later' >"$W/steps"
expect "check: a failed step says how to run it again" 1 \
	"^     again: make check STEP=b-c BUILD='$BUILD'$" steps
cp "$W/steps" "$W/steps-long.sh"
expect "check-long: so does one of it" 1 "^     again: make check-long STEP=b-c " \
	"$TOP/test/check.sh" --steps "$W/steps-long.sh"
expect "check: one step, by name" 1 '^0 passed, 1 failed$' steps b-c
expect "check: one that ran beside others" 1 '^0 passed, 1 failed$' steps d
was=$(state "$BUILD/check")
refuse "check: no such step" "no step is called 'e'" steps e
same "check: no such step: the logs of the full run stay" "$(state "$BUILD/check")" "$was"
for wrong in SLOW=abc ACCEL=foo; do
	refuse "check: $wrong" "${wrong%%=*}" env "$wrong" "$TOP/test/check.sh" --steps "$W/steps"
	same "check: $wrong: the logs of the full run stay" "$(state "$BUILD/check")" "$was"
done
printf 'step "what: a *?/step" what true\n' >"$W/steps"
expect "check: a single step writes elsewhere" 0 '^1 passed, 0 failed$' steps 'what: a *?/step'
same "check: a single step: the logs of the full run stay" "$(state "$BUILD/check")" "$was"
check "check: a log has a name that any system takes" \
	[ -e "$BUILD/check-step/01-what--a----step.log" ]
printf '%s\n' "first one what sh -c 'echo one >>$W/order'" 'step lint what true' \
	"first two what sh -c 'echo two >>$W/order; exit \${TWO:-0}'" 'step broken what false' \
	"step three what sh -c 'echo three \$BUILD_FIRST >>$W/order'" \
	"first four what sh -c 'echo four >>$W/order'" >"$W/steps"
order() { # NAME STATUS LASTLINE WHAT-RAN STEP
	rm -f "$W/order"
	expect "check: a single step: $1" "$2" "^$3\$" steps "$5"
	same "check: a single step: $1: that is what was run" "$(paste -s -d ' ' "$W/order")" "$4"
}
order "what it needs is made before it, and is no check" 0 '1 passed, 0 failed' \
	'one two three 1' three
order "what comes after it is not" 0 '1 passed, 0 failed' one lint
order "that may be one of those itself" 0 '1 passed, 0 failed' 'one two' two
export TWO=3
order "what it needs fails" 1 '1 passed, 1 failed' 'one two three 1' three
unset TWO
mkdir -p "$W/fake/tree" "$W/fake/guest"
for name in tree/deps tree/source tree/series guest/qemu; do
	program "$W/fake/$name.sh" </dev/null
done
refuse "make qemu-shell: no terminal" 'a shell .* needs a terminal$' mk T="$W/fake" qemu-shell
# shellcheck disable=SC2016 # its own
echo 'echo "<$*> ${STEP-}${SERIES-}${GCOV-}${USER_SRC-}${GUEST_CFLAGS-}"' |
	program "$W/fake/check.sh"
export STEP=environment GCOV=x USER_SRC=x GUEST_CFLAGS=x
expect "make check: the environment names no step and no series" 0 '^<> $' mk T="$W/fake" check
unset STEP GCOV USER_SRC GUEST_CFLAGS
expect "make check: STEP= does" 0 '^<b-c> $' mk T="$W/fake" STEP=b-c check

# --- what is removed ---------------------------------------------------------

for name in ../../src /tmp/x . .. latest 'a b' -f; do
	refuse "RUN=$name is refused" 'RUN=.* is not a plain name' \
		"$TOP/test/guest/qemu.sh" test main RUN="$name"
done

# --- a guest that is a script ------------------------------------------------

# A QEMU that runs $GUEST: a script that knows the files behind the ports.
BUILD=$W/guest
OBJ=$BUILD/obj/x86_64
named=$BUILD/results/named
qemu_bin=$W/qemu-bin
mkdir -p "$OBJ/usr" "$BUILD/linux" "$qemu_bin"
touch "$OBJ/vmlinux" "$OBJ/.config" "$OBJ/initramfs.cpio"
program "$OBJ/usr/gen_init_cpio" </dev/null
program "$qemu_bin/qemu-system-x86_64" <<'END'
[ "$1" != --version ] || { echo 'QEMU emulator version 0.0'; exit; }
last=
for word in "$@"; do
	case $word in
	file,id=*,path=*)
		name=${word#*id=}
		eval "${name%%,*}=\${word##*path=}" ;;
	esac
	# shellcheck disable=SC2034 # for the script
	case $last in -append) args=$word ;; esac
	last=$word
done
say() { echo "[    0.0] harness: $*" >>"$con"; }
say start, 1 tests
. "$GUEST"
END
echo source >"$BUILD/linux/file"
echo 'one 2 10 - run x' >"$W/guest.plan"
# boots NAME STATUS REGEXP [VARIABLE=VALUE...] - a guest that passes
boots() {
	name=$1 status=$2 re=$3
	shift 3
	guest "$name" "$status" "$re" "$passes" "$@"
}
# with_qemu COMMAND... - with that QEMU, and the script
with_qemu() {
	env PATH="$qemu_bin:$PATH" GUEST="$W/guest.script" ACCEL=tcg "$@"
}
# guest NAME STATUS REGEXP SCRIPT [VARIABLE=VALUE...] - qemu.sh's, or the
# environment's
guest() {
	name=$1 status=$2 re=$3
	printf '%s\n' "$4" >"$W/guest.script"
	shift 4
	args=PLAN=$W/guest.plan
	for word in "$@"; do
		shift
		case $word in
		PLAN=* | RUN=* | SILENCE=* | LIMIT=*) args="$args $word" ;;
		*) set -- "$@" "$word" ;;
		esac
	done
	# shellcheck disable=SC2086 # words
	expect "guest: $name" "$status" "$re" with_qemu "$@" \
		"$TOP/test/guest/qemu.sh" test "${flavour:-main}" $args
}
# shellcheck disable=SC2016 # the script's own
passes='say begin one
cat >"$ktap" <<KTAP
KTAP version 1
1..1
    KTAP version 1
    # Subtest: one
    1..2
    ok 1 a
    ok 2 b
ok 1 one
KTAP
say end one; echo done >"$verdict"'

boots "a build that did not end is not booted" 2 \
	'^error: no complete main kernel in .*: run make build$'
: >"$OBJ/.built"
boots "nor one that does not say what it was made of" 2 \
	'^error: .*/linux has changed since the main kernel was built: run make build$'
expect "build: it fails, this is no kernel source" 2 '^error: ' "$TOP/test/tree/build.sh"
boots "nor what was there before a build that failed" 2 '^error: no complete main kernel'
# built [FLAVOUR] - as build.sh would say when all of it was
built() {
	ON_TERMINAL=1 sh -euc '. "$1/test/lib/lib.sh"
		. "$1/test/lib/arch.sh"
		set_flavour "$2"
		{ echo "kernel: built"; echo "made of: $(made_of)"
		  echo "made with: $(made_with)"; } >"$OBJ/.built"' \
		"$TOP/test/guest/qemu.sh" "$TOP" "${1:-main}"
}
plain init -q "$BUILD/linux"
linux add -A
linux commit -q -m built
built
echo edited >>"$BUILD/linux/file"
changed='^error: .*/linux has changed since the main kernel was built: run make build$'
boots "nor what was built before the source was edited" 2 "$changed"
linux commit -q -a -m edited
boots "nor before that was a commit" 2 "$changed"
built
expect "build: what is built is not built again" 0 \
	'^the main kernel in .* is built$' "$TOP/test/tree/build.sh"
boots "build: what is built is booted" 0 '^PASS: 1 tests'
expect "build: with other flags it is" 2 '^error: ' \
	env GUEST_CFLAGS=-Wother "$TOP/test/tree/build.sh"
built
touch "$BUILD/linux/new"
expect "build: of other files it is" 2 '^error: ' "$TOP/test/tree/build.sh"
rm "$BUILD/linux/new"
built
touch "$BUILD/linux/new"
boots "nor before there was a new file" 2 "$changed"
built
echo more >"$BUILD/linux/new"
boots "nor before that was edited" 2 "$changed"
rm "$BUILD/linux/new"
built
linux commit -q --allow-empty -m 'another message'
boots "what was built is booted, whatever the messages say" 0 '^PASS: 1 tests'
cp -r "$TOP/kernel-config" "$W/kernel-config"
boots "nor before a configuration was edited" 2 \
	'^error: test/ or kernel-config/ has changed since the main kernel was built' \
	CONFIG_DIR="$W/kernel-config"
boots "what was built is booted" 0 '^PASS: 1 tests with 2 results' RUN=named
check "guest: the results name what was built" grep -qx 'kernel: built' "$named/versions"

# junit NAME XPATH VALUE - xmllint reads it, and finds that
junit() { same "junit: $1" "$(xmllint --xpath "$2" "$named/junit.xml" 2>&1)" "$3"; }
tap_has() { # NAME LINE...
	name=$1
	shift
	printf '%s\n' 'TAP version 13' "$@" >"$W/want.tap"
	check "results.tap: $name" diff "$W/want.tap" "$named/results.tap"
}
junit "a case for each result, and one for the run" 'count(//testcase)' 3
junit "of which none failed" 'count(//failure)' 0
junit "the numbers of the whole are those of its parts" \
	'number(/testsuites/@tests) = sum(//testsuite/@tests) and
	 number(/testsuites/@failures) = sum(//testsuite/@failures)' true
tap_has "the same" 1..3 'ok 1 - one: a' 'ok 2 - one: b' 'ok 3 - the run as a whole: verdict'
# What a failed result has said, with all that XML and TAP take for their own.
# shellcheck disable=SC2016 # the script's own
fails=$(echo "$passes" | sed 's/^    ok 2 b$/    # <b> \& "c" \o33[0m\n    not ok 2 b]]> # why/
	s/^ok 1 one/not ok 1 one # 1 of 2 failed/; s/echo pass/echo fail/
	s/say end one/say end one 1500 ms/')
guest "a result that fails" 1 '^FAIL: 1 of 1 tests failed' "$fails" RUN=named
junit "a result that fails" 'string(//failure/../@name)' 'b]]>'
junit "what it said" 'normalize-space(//failure)' '# <b> & "c" ?[0m'
junit "how long the test took" 'string(//testsuite[@name="one"]/@time)' 1.500
junit "the run failed, too" 'string(//testcase[@name="verdict"]/failure/@message)' \
	'FAIL: 1 of 1 tests failed'
check "results.tap: a result that fails" grep -qx 'not ok 2 - one: b\]\]>' "$named/results.tap"
guest "a result that is missing" 1 '^  not ok 1/1 one # planned 2 results, gave 1$' \
	"$(echo "$passes" | sed '/^    ok 2/d')" RUN=named
junit "a test whose results all passed" 'string(//testcase[@name="one"]/failure/@message)' \
	'planned 2 results, gave 1'
guest "a splat" 1 '^FAIL: BUG: x' "echo 'BUG: x' >>\"\$con\"
$passes" RUN=named
junit "each result passed, and the run did not" 'string(//failure/../@name)' verdict
guest "no end" 124 '^TIMEOUT' 'sleep 9' RUN=named SILENCE=1
junit "no result at all" 'string(//testsuite[@name="one"]//@message)' 'no result'
tap_has "no result at all" 1..2 'not ok 1 - one' '# no result' \
	'not ok 2 - the run as a whole: verdict' '# TIMEOUT: no console output for 1 s'
expect "annotations: of what failed" 0 '^::error title=one::no result$' \
	"$TOP/.github/annotate.sh" "$named/results.tap"
expect "annotations: none where nothing is written" 0 \
	'^::error title=no results::' "$TOP/.github/annotate.sh" "$W/none/results.tap"

printf '%s\n' 'one 2 10 x86_64 run x' 'two 1 10 arm64 run x' >"$W/arch.plan"
boots "a test of another architecture is left out" 0 '^PASS: 1 tests with 2 results' \
	PLAN="$W/arch.plan"
boots "no such architecture" 2 '^error: ARCH=vax is not supported, only x86_64 and arm64 are$' \
	ARCH=vax
boots "no such page size" 2 '^error: PAGE_SIZE=16k: x86_64 has pages of 4k$' PAGE_SIZE=16k
printf '%s\n' 'guest - MEMORY 3G' 'guest - CPUS 7' 'guest - QEMU_EXTRA -x 1' \
	'guest - SLOW 2' 'one 2 10 - run x' >"$W/of.plan"
guest "as the plan wants it" 124 '^TIMEOUT: no console output for 2 s' 'sleep 9' \
	PLAN="$W/of.plan" RUN=named SILENCE=1 QEMU_EXTRA='-y 2'
check "guest: as the plan wants it: memory, CPUs, and words for QEMU" \
	grep -q -- '-smp 7,sockets=7 -m 3G .* -x 1 -y 2 $' "$named/qemu-command"
echo 'guest - KERNEL debug' >>"$W/of.plan"
boots "of another kernel than the plan's" 2 '^error: .*of.plan is for KERNEL=debug$' \
	PLAN="$W/of.plan"
refuse "guest: what qemu.sh does not know" 'qemu.sh knows no RAM$' \
	"$TOP/test/guest/qemu.sh" test main RAM=1G
boots "a slow machine is not a number" 2 '^error: SLOW=2x is not a number' SLOW=2x
guest "twice as slow" 124 '^TIMEOUT: no console output for 2 s' 'sleep 9' SLOW=2 SILENCE=1
# shellcheck disable=SC2016 # the script's own
guest "twice as slow, and long" 124 '^TIMEOUT: not finished after 4 s' \
	'for i in 1 2 3 4 5 6 7; do say $i; sleep 1; done' SLOW=2 LIMIT=2
# shellcheck disable=SC2016 # the script's own
guest "a guest that goes away" 2 '^NO END: the guest went away in one' \
	"$(echo "$passes" | sed '/^say end/d')"

# What is refused has no results, and is not the latest run.
was=$(ls -l "$BUILD/results")
boots "an accelerator that is none" 2 '^error: ACCEL=foo is none of' ACCEL=foo
boots "one that does not work" 2 '^error: (KVM is|no )' ACCEL=kvm
same "guest: what was refused has left nothing" "$(ls -l "$BUILD/results")" "$was"

# A disk that is full: before the guest runs, and when it is judged.
head -c 10000 /dev/zero >"$OBJ/initramfs.cpio"
# shellcheck disable=SC2016 # the shell's own
boots "no room for what the guest needs" 2 \
	'^error: cannot write to .*/results/named \([0-9]+ MB are free\)$' \
	RUN=named env --ignore-signal=XFSZ sh -c 'ulimit -f 8; exec "$0" "$@"'
: >"$OBJ/initramfs.cpio"
guest "no room for a verdict" 2 '^NO VERDICT: .* could not be judged \([0-9]+ MB are free\)$' \
	"ln -s /dev/full \"\${con%/*}/results\"
$passes" RUN=named
check "guest: no room for a verdict: what the guest has said stays" \
	grep -qx 'ok 1 one' "$named/ktap"
guest "no room for the outcome" 2 '^NO VERDICT: it cannot be written .*: PASS: 1' \
	"ln -s /dev/full \"\${con%/*}/outcome\"
$passes" RUN=named

# What has to fail without the series.
cp -r "$OBJ" "$OBJ-base"
cp -r "$BUILD/linux" "$BUILD/linux-base"
flavour=base
built base
fails=$(echo "$passes" | sed 's/^    ok 2/    not ok 2/')
cp "$W/guest.plan" "$W/plan.main"
guest "without the series: a plan that does not say how a test fails" 2 \
	'^error: .*: one does not say how it fails without the series' "$fails"
echo 'base one ^1 of 2 failed: b$' >>"$W/guest.plan"
guest "without the series: it fails as the plan says" 0 \
	'^PASS: the 1 tests of the series fail without it' "$fails"
guest "without the series: it fails for another reason" 1 '^  WRONG +one +fails: 2 of 2 failed: a' \
	"$(echo "$fails" | sed 's/^    ok 1/    not ok 1/')"
boots "without the series: it passes" 1 '^  WRONG +one +passes'
sed 's/ - / base-ok /' "$W/plan.main" >"$W/guest.plan"
guest "without the series: one that must pass fails" 1 '^  WRONG +one +fails: 1 of 2' "$fails"
boots "without the series: nothing that must fail" 1 '^FAIL: no test was to fail'
flavour=main
cp "$W/plan.main" "$W/guest.plan"

# --- the plan ----------------------------------------------------------------

cat >"$W/plan" <<'END'
# comment
a 1 10 main  run  x  y
a 2 10 debug run z
b - 10 base-ok check taint
boot debug d=1
boot main m=1  n
boot - all
base a not there
END
planned() { # NAME STATUS REGEXP VARIABLE=VALUE...
	name=$1 status=$2 re=$3
	shift 3
	for v in "$@"; do set -- "$@" -v "$v"; shift; done
	expect "plan: $name" "$status" "$re" awk "$@" -f "$TOP/test/guest/plan.awk" "$W/plan"
}
planned "the tests of a kernel" 0 '^a 1 10 run  x  y$' kernel=main
same "plan: no others" "$(printf '%s\n' "$tap_out" | wc -l)" 2
planned "those of another" 0 '^a 2 10 run z$' kernel=debug
planned "those of the baseline" 0 '^a 1 10 ' kernel=base
planned "words for the kernel" 0 '^m=1  n all $' kernel=main want=boot
planned "words for another" 0 '^d=1 all $' kernel=debug want=boot
planned "a test by its name" 0 '^a 1 ' kernel=main tests=' ? '
planned "checks are always made" 0 '^b - 10 check taint' kernel=main tests=a
planned "no test has the name" 2 \
	'^error: TESTS: no test of the main kernel matches c' kernel=main tests='a c'
planned "a dot is a dot" 2 '^error: TESTS: ' kernel=main tests=.
planned "why it fails without the series" 0 '^a.not there$' kernel=base want=base
cat >"$W/plan" <<'END'
guest - MEMORY 1G
guest - CMA
guest - QEMU_EXTRA -a  -b
guest debug MEMORY 2G
guest rt MEMORY 3G
boot - all
boot rt rt=1
include part.plan
c 1 10 - run c
END
echo 'b 1 10 - run b' >"$W/part.plan"
planned "what the guest must be like" 0 '^QEMU_EXTRA -a  -b$' kernel=main want=guest
same "plan: all of it" "$(printf '%s\n' "$tap_out" |
	sed 's/ $//' | sort)" 'CMA
MEMORY 1G
QEMU_EXTRA -a  -b'
planned "another kernel's guest" 0 '^MEMORY 2G$' kernel=debug want=guest
planned "rt's comes last" 0 '^MEMORY 3G$' kernel=rt want=guest
planned "rt has its own words for the kernel" 0 '^rt=1 $' kernel=rt want=boot
planned "what it includes" 0 '^b 1 10 run b$' kernel=main
same "plan: in its place" "$(printf '%s\n' "$tap_out" | tail -n 1)" 'c 1 10 run c'
odd_plan() { # NAME REGEXP LINE
	echo "$3" >"$W/plan"
	planned "$1" 2 "^error: .*$2" kernel=main
}
odd_plan "a word too few" "too few words for a" 'a 1 10 -'
odd_plan "nothing to run" "too few words for a" 'a 1 10 - run'
odd_plan "an unknown option" "a: not an option: mian" 'a 1 10 mian run x'
odd_plan "no limit" "no time limit for a" 'a 1 - - run x'
odd_plan "no number" "a: not a number of results: x" 'a x 1 - run x'
odd_plan "no such guest" "not of a guest: RAM" 'guest - RAM 1G'
odd_plan "an include of nothing" "no plan in .*/none" 'include none'
odd_plan "nothing at all" "has no test for the main kernel" '# a'
printf 'a 1 10 - run x\na 2 10 - run y\n' >"$W/plan"
planned "a name twice" 2 '^error: .*a is there twice' kernel=main
printf 'a 2 10 main run x\na 1+1 10 rt run x\nb - 10 - check taint\n' >"$W/plan"
planned "rt has its own line" 0 '^a 1.1 10 run x$' kernel=rt
same "plan: instead of the other" "$(printf '%s\n' "$tap_out" | wc -l)" 2
planned "other kernels do not" 0 '^a 2 10 run x$' kernel=kcsan
planned "it may not be asked for" 0 '^b - 10 check taint$' kernel=rt tests=b
sed -i s/rt/mainline/ "$W/plan"
planned "another base has its own line" 0 '^a 1.1 10 run x$' kernel=main base=mainline
planned "this one does not" 0 '^a 2 10 run x$' kernel=main

# --- signals -----------------------------------------------------------------

# stopped NAME SIGNAL COMMAND... - when $W/ready is there it gets the signal, and
# of all that it started nothing may be left soon
stopped() {
	stop_name=$1 signal=$2
	shift 2
	rm -f "$W/ready"
	# What a script starts in the background ignores SIGINT.
	MARK="$stop_name" env --default-signal=INT "$@" >"$W/stopped.log" 2>&1 </dev/null &
	pid=$!
	tries=100
	until [ -e "$W/ready" ] || [ "$tries" = 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
	check "$stop_name: it was under way" [ -e "$W/ready" ]
	kill "-$signal" "$pid"
	status=0
	wait "$pid" || status=$?
	check "$stop_name: nothing is left" left "$stop_name"
	check "$stop_name: it ends with a failure" [ "$status" -gt 128 ]
}
# Who has the name in its environment; killed, so that a red test leaves none.
left() {
	found=$(grep -lsxzF "MARK=$1" /proc/[0-9]*/environ | cut -d/ -f3)
	for left in $found; do
		tr '\0' ' ' <"/proc/$left/cmdline" && echo
		kill -9 "$left"
	done
	[ -z "$found" ]
}
sleeps="touch '$W/ready'; sleep 1000; true"
kconfig=$BUILD/linux/scripts/kconfig
mkdir -p "$kconfig"
echo "$sleeps" | program "$kconfig/merge_config.sh"
for signal in INT TERM; do
	rm -f "$OBJ/.built"
	stopped "SIG$signal to build.sh" "$signal" "$TOP/test/tree/build.sh"
	check "SIG$signal to build.sh: no lock is held" flock -n "$OBJ/.lock" true
	built
	echo "$sleeps" >"$W/guest.script"
	stopped "SIG$signal to qemu.sh" "$signal" env PATH="$qemu_bin:$PATH" \
		GUEST="$W/guest.script" ACCEL=tcg \
		"$TOP/test/guest/qemu.sh" test main PLAN="$W/guest.plan" RUN=stopped
	check "SIG$signal to qemu.sh: the outcome says so" grep -qx \
		'130 INTERRUPTED, after [0-9]* s' "$BUILD/results/stopped/outcome"
	check "SIG$signal to qemu.sh: no lock is held" \
		flock -n "$BUILD/results/.stopped.run.lock" true
	printf '%s\n' 'beside one sleep 1001' 'beside two sleep 1002' \
		"step a what sh -c \"$sleeps\"" >"$W/steps"
	stopped "SIG$signal to check.sh" "$signal" "$TOP/test/check.sh" --steps "$W/steps"
done
printf '%s\n' 'beside one sleep 1001' 'step a what true' >"$W/steps"
MARK='the end of check.sh' "$TOP/test/check.sh" --steps "$W/steps" >/dev/null
check "the end of check.sh: nothing is left, no job and no sleep" left 'the end of check.sh'

# --- two at once -------------------------------------------------------------

# shellcheck disable=SC2016 # the script's own
slow='sleep 1
'$passes
printf '%s\n' "$slow" >"$W/guest.script"
two() { # NAME=VALUE... - two runs at once, and both must pass
	for i in 1 2; do
		with_qemu "$TOP/test/guest/qemu.sh" test main PLAN="$W/guest.plan" \
			"$@" >"$W/two.$i" 2>&1 &
	done
	wait
	cat "$W/two.1" "$W/two.2"
	[ "$(cat "$W/two.1" "$W/two.2" | grep -c '^PASS')" = 2 ]
}
expect "two runs in a second" 0 '^PASS' two RUN=
# Each guest lives until the other run has said that it waits, or for long.
# shellcheck disable=SC2016 # the script's own
printf '%s\n' 'for n in $(seq 100); do
	cat "$W/two.1" "$W/two.2" | grep -q "^waiting" && break
	sleep 0.2
done
'"$passes" >"$W/guest.script"
export W
expect "two runs of one name" 0 '^waiting for qemu.sh test main PLAN=' two RUN=named

# --- mutants -----------------------------------------------------------------

cat >"$W/source.c" <<'END'
int two(int a);
static int
one(int a)
{
	if (a)
		return 1;
	return 0;
}
int two(int a)
{
	if (a)
		return 1;
	return 2;
}
END
cat >"$W/some.mutants" <<'END'
file source.c
== split
in one
 	if (a)
-		return 1;
+		return 7;
== below
~	if ([-a-]{+!a+})

== declared
in two
-	return 2;
+	return 3;
== twice
in
-	if (a)
+	if (!a)
== elsewhere
in one
-	return 2;
+	return 3;
== nowhere
in three
-	return 2;
+	return 3;
== nothing
+	return 3;
END
mutate() { # NAME
	awk -v name="$1" -f "$TOP/test/self/mutants/apply.awk" "$W/some.mutants" "$W/source.c"
}
mutated() { # NAME SED-SCRIPT
	sed "$2" "$W/source.c" >"$W/wanted.c"
	mutate "$1" | diff "$W/wanted.c" -
}
check "a mutant is made where it says" mutated split '6s/1/7/'
check "a function holds for the mutants below" mutated below '5s/a/!a/'
check "a declaration is no function" mutated declared '13s/2/3/'
expect "a mutant that fits twice" 1 'twice: its lines are there 2 times' mutate twice
expect "a mutant whose code has gone" 1 'elsewhere: its lines are there 0' mutate elsewhere
expect "a mutant whose function has gone" 1 'nowhere: no function three' mutate nowhere
expect "a mutant of nothing" 1 'nothing: no line to look for' mutate nothing
expect "a mutant that is not there" 1 'other: it is there 0 times' mutate other
names_differ() {
	! cat "$TOP"/test/self/mutants/*.mutants | awk '$1 == "==" { print $2 }' |
		sort | uniq -d | grep .
}
check "no two mutants have one name" names_differ

finish
