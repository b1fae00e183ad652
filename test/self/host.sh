#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# host.sh - the host's side of the harness tests itself: what must be refused
# is refused, in one line, and nothing of the user's is lost
#
# Everything here works on a kernel of five files and a series of its own.
# Reports TAP.
# shellcheck disable=SC2034,SC2119,SC2120,SC2154 # what only the rows of a table read or set
set -eu
TOP=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/../lib/tap.sh"

W=${BUILD:-$TOP/build}/harness-host
alone "$W"
mkdir "$W/home" "$W/s"
unset ARCH PAGE_SIZE KERNEL_GIT KERNEL_TARBALL GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
# In make check, who has a lock is said to be its step, and a single step builds first.
unset STEP_NAME BUILD_FIRST
export BUILD="$W/build" SERIES="$W/s/series" HOME="$W/home"
export GIT_CONFIG_NOSYSTEM=1

# A user who has configured much that must not matter, and no identity.
cat >"$HOME/.gitconfig" <<'END'
[user] useConfigOnly = true
[commit] gpgSign = true
[format] signOff = true
	thread = true
	subjectPrefix = RFC
	signature = mine
[diff] noprefix = true
	algorithm = patience
[core] autocrlf = true
	hooksPath = /nonexistent
[am] threeWay = true
END

# The fixture's own git is plain.
plain() {
	GIT_CONFIG_GLOBAL=/dev/null git -c user.name='A U Thor' \
		-c user.email=author@example.org -c init.defaultBranch=main "$@"
}
source_sh() { env "$@" "$TOP/test/tree/source.sh"; }
series() { "$TOP/test/tree/series.sh" "$@"; }
commit_of() { plain -C "$1" rev-parse "$2"; } # REPO REV
fresh() { rm -rf "$BUILD"; }
linux() { plain -C "$BUILD/linux" "$@"; }
# Of every file below a directory, and which files there are.
state() { (cd "$1" && find . -type f -exec sha256sum {} + | sort | sha256sum); }
are_equal() { [ "$1" = "$2" ] || { echo "$1, not $2"; return 1; }; }
same() { check "$1" are_equal "$2" "$3"; } # NAME IS WANTED
gone() { check "$1" [ ! -e "$2" ]; } # NAME FILE
is_clean() { same "$1" "$(linux status --porcelain)" ""; } # NAME
refuse() { # NAME REGEXP COMMAND... - with 2 and an error that begins like this
	refuse_name=$1 refuse_re=$2
	shift 2
	expect "$refuse_name" 2 "^error: $refuse_re" "$@"
}
# cases OF COMMAND... - stdin has a case a line, NAME|STATUS|REGEXP|WORDS: OF and
# NAME are its name, and WORDS come after COMMAND, as the shell reads them and the
# REGEXP. STATUS "!" is that of refuse; with "=" all of the output is as given. A
# line "> COMMAND" comes in between.
cases() {
	cases_of=$1
	shift
	while read -r row; do
		case $row in '>'*) eval "${row#>}" </dev/null; continue ;; esac
		IFS='|' read -r row_name row_status row_re row_words <<END
$row
END
		eval "row_re=\"$row_re\""
		case $row_status in
		=) eval "same \"\$cases_of\$row_name\" \"\$(\"\$@\" $row_words)\" \"\$row_re\"" ;;
		!) eval "refuse \"\$cases_of\$row_name\" \"\$row_re\" \"\$@\" $row_words" ;;
		*) eval "expect \"\$cases_of\$row_name\" $row_status \"\$row_re\" \"\$@\" $row_words" ;;
		esac
	done
}
# also NAME REGEXP - what the last command has said as well
# shellcheck disable=SC2016 # its own
also() {
	also_of=$tap_out
	check "$1" sh -c 'printf "%s\n" "$1" | grep -E -e "$2"' - "$tap_out" "$2"
	tap_out=$also_of
}
said() { printf '%s\n' "$tap_out"; } # by the last command
program() { # FILE - a script, of stdin
	{ echo '#!/bin/sh'; cat; } >"$1"
	chmod +x "$1"
}
# tool DIR/NAME - for who has $W/DIR in front of PATH, which it takes off
# shellcheck disable=SC2016 # its own
tool() {
	mkdir "$W/${1%/*}"
	{ echo 'PATH=${PATH#*:}'; cat; } | program "$W/$1"
}
# in_build NAME [TARBALL] - another BUILD, with the kernel in it
in_build() {
	BUILD=$W/$1
	KERNEL_TARBALL="$W/${2:-good}.tar.xz" source_sh >/dev/null
}

# --- a small kernel, its clone, its tarballs ---------------------------------
up=$W/upstream
plain init -q "$up"
mkdir "$up/mm" "$up/nonfree" "$up/scripts"
seq -f 'line %g' 0 39 >"$up/mm/cma.c"
printf '*.o\n!keep.o\nignored\n' >"$up/.gitignore"
echo 'tracked although ignored' >"$up/ignored"
printf 'one\r\ntwo\r\n' >"$up/dos"
program "$up/tool" </dev/null
ln -s mm/cma.c "$up/link"
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
good=KERNEL_TARBALL=$W/good.tar.xz

printf '# %s\n' 'A series of the harness.' 'base-tag: v1.0' "base-tree: $base_tree" \
	"result-tree: $base_tree" 'branch: topic' "git: file://$W/nowhere" \
	'exclude: nonfree' >"$SERIES"

# --- the source --------------------------------------------------------------
imported() { # NAME VARIABLE=VALUE...
	name=$1
	shift
	expect "$name" 0 "^tree $base_tree: v1.0" source_sh "$@"
}
anew() { fresh; imported "$@"; }
anew "tarball: imported, with the pinned tree" "$good"
first=$(linux rev-parse base)
gone "tarball: the excluded path is left out" "$BUILD/linux/nonfree"
expect "source: what is there is kept, and it is said" 0 \
	'^KERNEL_TARBALL=.*text.tar.xz is not used: .*/linux is there$' \
	source_sh KERNEL_TARBALL="$W/text.tar.xz"

anew "tarball without the excluded path: the same tree" KERNEL_TARBALL="$W/debian.tar.xz"
same "tarball: the same commit, whoever imports it" "$(linux rev-parse base)" "$first"

# The user's clone: edits in index and work tree, other branches. And a clone with
# a tag that somebody moved.
for clone in clone moved; do plain clone -q "$up" "$W/$clone"; done
plain -C "$W/clone" checkout -q -b theirs
echo staged >>"$W/clone/dos"
plain -C "$W/clone" add dos
echo edited >>"$W/clone/mm/cma.c"
plain clone -q --no-tags "$up" "$W/untagged"
plain -C "$W/moved" rm -q dos
plain -C "$W/moved" commit -q -m moved
plain -C "$W/moved" tag -f v1.0 >/dev/null

other_tree=".*[0-9a-f]{40}, pinned is $base_tree"
while IFS='|' read -r name re given; do
	fresh
	refuse "$name" "$re" source_sh "$given"
	gone "$name: nothing is left" "$BUILD/linux"
done <<END
damaged tarball|.*cut.tar.xz: damaged|KERNEL_TARBALL=$W/cut.tar.xz
no tarball at all|.*text.tar.xz: damaged, or not a tarball|KERNEL_TARBALL=$W/text.tar.xz
tarball that is not there|.*no such file|KERNEL_TARBALL=$W/none.tar.xz
tarball that is a directory|KERNEL_TARBALL=.* is a directory|KERNEL_TARBALL=$W/s
wrong tree: both hashes are named|$other_tree|KERNEL_TARBALL=$W/other.tar.xz
clone that is not there|.*no such directory|KERNEL_GIT=$W/none
directory that is no clone|.*not a git clone|KERNEL_GIT=$W/s
clone without the tag|.*untagged: not .* the tag v1.0|KERNEL_GIT=$W/untagged
clone with another tree under the tag|$other_tree|KERNEL_GIT=$W/moved
no source at all|no source of v1.0|NONE=
END
expect "no source at all, and why" 2 'nowhere: fatal: ' source_sh
gone "no source at all, and why: nothing is left" "$BUILD/linux"

was=$(state "$W/clone")
anew "clone: fetched, with the pinned tree" KERNEL_GIT="$W/clone"
same "clone: no file of the user's differs" "$(state "$W/clone")" "$was"

anew "tarball with owners and odd modes" KERNEL_TARBALL="$W/odd.tar.xz"
same "tarball: its owners and modes are not taken" "$(stat -c "%u %a" "$BUILD/linux/tool")" "$(id -u) 755"

# Killed in the middle: a tar that unpacks and then kills who called it.
tool killing/tar <<'END'
tar "$@"
kill -9 $PPID
END
fresh
expect "interrupted unpacking" 137 '' source_sh PATH="$W/killing:$PATH" "$good"
gone "interrupted unpacking: not taken for a kernel" "$BUILD/linux"
imported "interrupted unpacking: the next run starts afresh" "$good"

# A server, and a copy fetched before that is damaged. A disk that is full: a tar
# that cannot write.
sed "s|^# git: .*|# git: file://$up|" "$SERIES" >"$W/s/series.server"
server=SERIES=$W/s/series.server cached=$BUILD/cache/linux-v1.0.tar.xz
tool full/tar <<'END'
[ "$1" != -xf ] || { echo 'tar: x: Cannot write: No space left on device' >&2; exit 2; }
tar "$@"
END
fresh
mkdir -p "$BUILD/cache"
cp "$W/cut.tar.xz" "$cached"
full='cannot unpack .*No space left on device .*2500 MB, and [0-9]+ MB are free'
cases '' source_sh <<'END'
damaged copy: fetched again|0|is damaged: fetching it again|"$server"
> gone "damaged copy: removed" "$cached"
> rm -rf "$BUILD/linux"; cp "$W/good.tar.xz" "$cached"
full disk: said, with what it takes|!|$full|PATH="$W/full:$PATH" "$server"
> check "full disk: the copy fetched before stays" cmp "$W/good.tar.xz" "$cached"
> rm "$cached"
server: it is asked when there is no copy|0|^tree $base_tree|"$server"
END

# Debian's source package, from a mirror that is a directory.
if grep -qx 'ID=debian' /etc/os-release && command -v apt-get >/dev/null; then
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	sources=$W/mirror/dists/$codename-security/main/source
	mkdir -p "$sources" "$W/mirror/pool" "$W/etc/sources.list.d"
	cp "$W/debian.tar.xz" "$W/mirror/pool/linux_1.0.orig.tar.xz"
	echo 'not looked at' >"$W/mirror/pool/linux_1.0-1.dsc"
	{
		printf '%s\n' "Package: linux" "Version: 1.0-1" "Directory: pool" "Checksums-Sha256:"
		for f in "$W"/mirror/pool/*; do
			echo " $(sha256sum "$f" | cut -d' ' -f1) $(stat -c %s "$f") $(basename "$f")"
		done
	} >"$sources/Sources"
	sed "s|^# git: .*|&\n# debian: $codename-security linux 1.0-1|" \
		"$SERIES" >"$W/s/series.debian"

	SERIES=$W/s/series.debian
	export APT_ETC="$W/etc"
	# Another's repository comes first.
	printf '%s\n' 'Types: deb' "URIs: file:$W/none" 'Suites: nodistro' \
		'Components: main' 'Trusted: yes' '' \
		'Types: deb' "URIs: file:$W/mirror" "Suites: $codename $codename-security" \
		'# A comment.' 'Components: main contrib' 'Architectures: amd64' \
		'Trusted: yes' 'Allow-Insecure: yes' >"$APT_ETC/sources.list.d/test.sources"
	anew "apt, sources in deb822 form"
	rm -rf "$BUILD/linux"
	imported "cached tarball: no mirror is asked" APT_ETC="$W/none"
	rm "$APT_ETC/sources.list.d/test.sources"
	option='trusted=yes allow-insecure=yes'
	printf '%s\n' '# comment' "deb [trusted=yes] file:$W/none nodistro main" \
		"deb [arch=amd64 $option] file:$W/mirror $codename-security main contrib" \
		>"$APT_ETC/sources.list"
	anew "apt, sources.list in one-line form"
	fresh
	sed -i.right "s|file:$W/mirror|http://127.0.0.1:9|" "$APT_ETC/sources.list"
	expect "apt: a mirror that is not there: that is said" 2 \
		'^apt: W: Failed to fetch .*//127[.]' source_sh
	mv "$APT_ETC/sources.list.right" "$APT_ETC/sources.list"

	SERIES=$W/s/series
	unset APT_ETC
else
	result 1 'apt # SKIP this is not Debian'
fi

# --- the series --------------------------------------------------------------
in_build first
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
letter='mm: a subject so long that git format-patch folds it into two lines of the header

Body with a list:

A U Thor (2):
  that looks like a shortlog

*** BLURB HERE ***

 mm/cma.c | 4 ++--

Grüße'
describe() { linux config branch.topic.description "$@"; } # [COVER-LETTER]
describe "$letter"
expect "refresh: three patches" 0 '^3 patches, tree [0-9a-f]{40}$' series refresh
pinned() { sed -n 's/^# result-tree: //p' "$SERIES"; }
result=$(pinned)
was=$(state "$W/s")
log() { linux log --format='%H %an %s'; }
cases '' <<'END'
refresh: the header keeps its other lines|=|7|grep -c '^# ' "$SERIES"
refresh: no configuration of the user's gets in|=||grep -lE 'RFC|^mine|Signed-off-by|^Message-I' -r "$W/s/patches"
> in_build second debian; series apply >/dev/null # The way back, somewhere else.
apply: the cover letter is back|=|$letter|describe
> ids=$(log)
refresh: from what was applied|0|^3 patches|series refresh
refresh: from there the same bytes|=|$was|state "$W/s"
> fresh; in_build second; series apply >/dev/null
apply: the same commits each time|=|$ids|log
base: a work tree without the series|0|$base_tree|series base
base: it is the base|=|$(linux rev-parse base)|commit_of "$BUILD/linux-base" HEAD
base: again|0|$base_tree|series base
> echo edit >>"$BUILD/linux-base/dos"
base: edited, it is refused|!|.*not the pristine base|series base
END

# given_back MAIL... - the tree that git am makes of them on a plain clone
given_back() {
	rm -rf "$W/am"
	plain clone -q "$up" "$W/am"
	plain -C "$W/am" am -q "$@" || return
	plain -C "$W/am" rm -rq --cached nonfree
	plain -C "$W/am" write-tree
}
same "git am patches/*.patch on a plain clone gives the pinned tree" \
	"$(given_back "$W"/s/patches/*.patch)" "$result"

# --- the mails ---------------------------------------------------------------
# A series of its own: one more patch, by nobody.
cp -r "$W/s" "$W/m"
sed -i 's/^# branch: .*/&\n# version: 3\n# change-id: 20261121-topic-0123456789ab/' "$W/m/series"
SERIES=$W/m/series BUILD=$W/mail
KERNEL_GIT="$W/clone" source_sh >/dev/null
series apply >/dev/null
nobody='The Keepers <keepers@users.noreply.h.example>'
jane='Jane Döe <jane@example.org>'
fixes="Fixes: $(plain -C "$up" rev-parse --short=12 v1.0) (\"mm: a bug\")"
printf 'CHUNKS\nM:\t%s\n' "$jane" >"$BUILD/linux/MAINTAINERS"
linux add MAINTAINERS
linux -c user.name="${nobody%% <*}" -c user.email=keepers@users.noreply.h.example \
	commit -q -m 'mm: somebody to ask' -m "Why." -m "Signed-off-by: $nobody
Link: https://lore.kernel.org/r/1
Suggested-by: Some Body <somebody@kernel.org>
$fixes"
series refresh >/dev/null
mailed=$(pinned)
mails() { # [VARIABLE=VALUE...] - Jane's
	env FROM="$jane" TO= "$@" "$TOP/test/tree/mails.sh" "$W/mails"
}
# recipients NUMBER - who gets the mail whose name begins with it, in their order
recipients() {
	awk '/^$/ { exit } /^[^ ]/ { on = /^(To|Cc):/ } on' "$W/mails/$1"* |
		grep -oE '[^ <>]+@[^ <>,]+' | paste -s -d ' '
}
wrong() { # VARIABLE REGEXP VALUE...
	wrong=$1 re=$2
	shift 2
	for value in "$@"; do
		refuse "mails: $(echo "$wrong=$value" | tr '\n' ' ')is refused" "$wrong=$re" \
			mails "$wrong=$value"
	done
}
wrong FROM '' Jane jane@example.org '<jane@example.org>' 'Jane <jane>' \
	'Jane <jane@example.org> x' 'Jane <a@b.org>, Joe <c@d.org>' 'Jane <ja ne@example.org>' 'Jane
<jane@example.org>'
wrong FROM '.*: nobody has that address' "$nobody" 'Jane <jane@localhost.localhost>' \
	'Jane <noreply@example.org>'
wrong PREFIX '' rfc 'RFC]' 'RFC PATCH' /usr/local
wrong ASSISTED_BY '' Agent Agent: 'An Agent:1' 'Agent:1 <a@example.org>' 'Agent:1
Agent:2'
sed '/^# version/d' "$SERIES" >"$W/m/series.unversioned"
cases 'mails: ' mails <<'END'
without FROM one line says what to give|!|who sends it\? give FROM='Name <address>'|FROM=
TO= without an address is refused|!|TO=x has no address|TO=x
TO= of nobody is refused|!|TO=.* nobody has the address|TO='a@example.org, x@y.example'
a series without a version is refused|!|.* version|SERIES="$W/m/series.unversioned"
> describe "$letter more"
what is not in patches/ is not sent|!|.*run 'make refresh'|
> describe "$letter"
END
gone "mails: what was refused wrote nothing" "$W/mails"

untouched() { state "$W/m"; linux log -1 --format=%H; linux config -l | sort; }
# What git am has made of them, newest first.
am_log() { plain -C "$W/am" log "$@" v1.0.. | grep . | paste -s -d,; }
was=$(untouched)
cases 'mails: ' <<'END'
git am and b4 am give the tree|0|^git am and b4 am give|mails
nothing else has changed|=|$was|untouched
> cover=$W/mails/$(cd "$W/mails" && ls 0000-*)
git am on a plain clone gives the pinned tree|=|$mailed|given_back "$W"/mails/000[1-9]*
a patch of somebody else's stays theirs, the others are the sender's|=|Jane Döe,Ünal Ö,A U Thor,A U Thor|am_log --format=%an
trailers stay, signed off once, by the sender|=|Link: https://lore.kernel.org/r/1,Suggested-by: Some Body <somebody@kernel.org>,$fixes,Signed-off-by: $jane|am_log -1 --format='%(trailers)'
who maintains a file that a patch touches gets it|=|main@kernel.org linux-mm@kvack.org|recipients 0001
who is named in its trailers, too|=|a.sk@kernel.org main@kernel.org linux-mm@kvack.org somebody@kernel.org|recipients 0004
the cover letter goes to all of them|=|$(recipients 0004)|recipients 0000
a name that is not ASCII|0|=[?]utf-8[?].* <a.sk@kernel.org>,$|cat "$cover"
the base is the tag's own commit|0|^base-commit: $(commit_of "$up" v1.0)$|cat "$cover"
version and change-id are those of series|=|2|grep -c -e '^Subject: \[PATCH v3 0/4\]' -e '^change-id: 20261121-topic-0123456789ab$' "$cover"
> mails PREFIX=RFC ASSISTED_BY='Agent:1.0 sparse' >/dev/null
PREFIX= is in each subject|=|5|cat "$W"/mails/* | grep -c '^Subject: \[PATCH RFC v3 [0-4]/4\]'
ASSISTED_BY= comes before the sign-off|=|$fixes,Assisted-by: Agent:1.0 sparse,Signed-off-by: $jane,---|sed -n '/^Fixes: /,/^---/p' "$W"/mails/0004* | paste -s -d,
ASSISTED_BY= is in each patch|=|4|cat "$W"/mails/000[1-4]* | grep -cx 'Assisted-by: Agent:1.0 sparse'
> mails TO="list@example.org, $jane" >/dev/null
TO= and nobody else, be it the sender|=|5 jane@example.org list@example.org|eval 'for n in 0 1 2 3 4; do recipients 000$n; done' | uniq -c | sed 's/^ *//'
END

# A b4 that gets something wrong in the mails that it has written.
tool spoiling/b4 <<'END'
b4 "$@" || exit
for word in "$@"; do
	[ "$last" != -o ] || out=$word
	last=$word
done
case "$*" in *' send '*) sh -c "cd '$out' && $SPOIL" ;; esac
END
was=$(state "$W/mails")
spoil() { mails PATH="$W/spoiling:$PATH" SPOIL="$1"; } # COMMAND
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
	'checkpatch: 0003-.*: WARNING: ' mails WRONG='^Subject: .*3/4'
same "mails: then the old ones stay" "$(state "$W/mails")" "$was"
expect "mails: one that some lists do not take" 0 '^warning: 0000-.* has 1[0-9]{5} bytes' \
	spoil 'yes | head -n 50000 | tee -a 0000-* >/dev/null'

linux -c user.name=X commit -q --amend -m 'mm: somebody to ask' -m "$fixes
Reported-by: X <x@y.example>"
series refresh >/dev/null
refuse "mails: a trailer of nobody's is refused" \
	'a mail still names .* who does not exist: .*x@y.example' mails

# Of a tarball.
in_build mail-tarball debian
sed -i 's/^Reported-by: .*/Reported-by: X <x@example.org>/' "$W"/m/patches/0004*
linux_base() { sed -n 's/^base-//p' "$cover"; }
was=$(state "$W/clone")
cases 'mails: ' <<'END'
a base from a tarball|0|^5 mails .* on v1.0, whose commit is not|mails
then the tag is named, and no commit|=|tag: v1.0 of file://$W/nowhere|linux_base
> mails KERNEL_GIT="$W/moved" >/dev/null
a clone with another tree knows no better|=|tag: v1.0 of file://$W/nowhere|linux_base | head -n 1
> mails KERNEL_GIT="$W/clone" >/dev/null
a clone does|=|commit: $(commit_of "$up" v1.0)|linux_base
then who wrote what a patch fixes gets it|=|a.sk@kernel.org main@kernel.org author@example.org linux-mm@kvack.org x@example.org|recipients 0004
no file of the clone differs|=|$was|state "$W/clone"
END
SERIES=$W/s/series BUILD=$W/second

# --- another kernel ----------------------------------------------------------
sed -i 's/^line 19$/line nineteen/' "$up/mm/cma.c"
plain -C "$up" commit -q -a -m next
plain -C "$up" tag v1.1
rm "$up/mm/cma.c"
echo old >"$up/mm/ignored.o"
pack less
rm "$up/mm/ignored.o"
plain -C "$up" checkout -q -f v1.0
plain -C "$W/clone" fetch -q --tags
at=$(linux rev-parse HEAD)
rebase() { env "$@" "$TOP/test/tree/rebase-check.sh"; }
cases 'rebase-check: ' rebase <<'END'
one line says what to give|!|which kernel\?|
both are refused|!|which kernel\?|KERNEL_TARBALL=x KERNEL_GIT=y TAG=z
a clone without TAG= is refused|!|which kernel\?|KERNEL_GIT="$W/clone"
no such tag|!|.*not a git clone with the tag v2|KERNEL_GIT="$W/clone" TAG=v2
what applies is built|1|^not ok 5 it builds|KERNEL_TARBALL="$W/other.tar.xz"
> also "rebase-check: after git am" '^ok 4 git am gives the same tree$'
the patch is named, and where it fails|1|^not ok 2 0002-.* # 1 of 1 hunks do not apply, in mm/cma.c$|KERNEL_GIT="$W/clone" TAG=v1.1
> also "rebase-check: and what differs there" '^#   \+line nineteen$'
> also "rebase-check: the next one is tried" '^ok 3 0003-'
a file that is not there|1|^#   mm/cma.c is not there$|KERNEL_TARBALL="$W/less.tar.xz"
> also "rebase-check: a file that is there already" '^#   mm/ignored.o is there already$'
> also "rebase-check: the end says how many apply" '^# 0 of 3 patches apply$'
> same "rebase-check: the user's tree is as it was" "$(linux rev-parse HEAD; linux status --porcelain)" "$at"
END

# --- patches that are not right ----------------------------------------------
cp -r "$W/s" "$W/s.good"
restore() { rm -rf "$W/s"; cp -r "$W/s.good" "$W/s"; }
second=$(cd "$W/s/patches" && ls 0002-*)
edit() { sed -i "$1" "$W/s/patches/$second"; }

was=$(linux rev-parse topic HEAD)
cases '' <<'END'
> edit 's/^ line 19$/ line nineteen/'
apply: a patch that does not apply is named|!|patches/$second does not apply|series apply
> also "apply: an edited patch: what to do instead is said" "patches are not edited: change the commits, then 'make refresh'$"
apply: the branch is where it was|=|$was|linux rev-parse topic HEAD
> is_clean "apply: the work tree is as it was"
> gone "apply: no git am is left in progress" "$BUILD/linux/.git/rebase-apply"
> in_build third; series apply >/dev/null 2>&1 || restore
apply: repaired, it applies|0|^tree $result|series apply
> BUILD=$W/second; edit 's/^+line 20, .*/+line 20, something else/'
verify: another result is refused, with both hashes|!|.*[0-9a-f]{40}, expected is $result|series verify
> in_build fourth
apply: another result is refused, with both hashes|!|.*[0-9a-f]{40}, but series pins $result; patches are not edited: |series apply
apply: the tree is the base then, without a branch|=|base $(linux rev-parse base)|eval "linux tag; linux branch --list topic; linux rev-parse HEAD" | paste -s -d ' '
> BUILD=$W/second; restore
END
# What is done in patches/ is found.
while IFS='|' read -r name re command; do
	(cd "$W/s/patches" && eval "$command")
	refuse "verify: $name" "$re" series verify
	restore
done <<END
a hunk at another place is refused|patches/$second |sed -i 's/^@@ -18,/@@ -17,/' 0002-*
what format-patch would not write is refused|patches/$second is not what git format-patch makes|sed -i 's/^---$/&\nx/' 0002-*
text after the cover letter's diffstat is refused|.*not end in the shortlog|echo More. >>0000-cover-letter.txt
a file that is not of the series is refused|patches: not of the series: 0007-stray.patch|touch 0007-stray.patch
a missing patch is named|patches/$second is in series|rm 0002-*
END
# --- fixes that go ahead of it -----------------------------------------------
in_build ahead
rm -rf "$W/s/patches"
sed -i '/^#/!d;s/^# branch: .*/&\n# fixes: ahead/' "$SERIES"
linux checkout -q -b ahead
commit 'mm/cma: fix' 7
linux checkout -q -b topic
commit 'mm/cma: then' 30
describe 'A letter

Text.'
cases 'fixes: ' <<'END'
refresh writes them apart|0|^2 patches|series refresh
series has them first|=|fixes/0001-mm-cma-fix.patch 0001-mm-cma-then.patch|sh -c "grep -v '^#' '$SERIES' | paste -s -d ' '"
> linux checkout -q -B topic base; commit 'mm/cma: without' 30
a branch that lacks them is refused|!|.*does not start at v1.0 and the branch ahead|series refresh
END
restore

# --- the user's work in the tree ---------------------------------------------
BUILD=$W/first
commit 'mm/cma: third' 30
was=$(linux rev-parse HEAD)
kept() { same "$1" "$(linux rev-parse HEAD)" "$was"; } # NAME
cases '' series <<'END'
kernel: the user's commits are used as they are, and it is said|0|is NOT the series: its tree is|apply
> kept "kernel: they are kept"
status: another tree is a failure|1|is NOT the series|status
clean: unpublished commits are kept, and it is said|0|^kept |clean
> kept "clean: they are there"
refresh: publishes them|0|^4 patches|refresh
status: now it is the series|0|v1.0 and 4 patches|status
> was=$(state "$W/s")
> echo edit >>"$BUILD/linux/dos"
refresh: a dirty work tree is refused|!|.*uncommitted|refresh
status: uncommitted changes are a failure|1|uncommitted|status
kernel: uncommitted changes are used as they are|0|uncommitted|apply
clean: uncommitted changes are kept|0|^kept |clean
> check "clean: the edit is there" grep -q edit "$BUILD/linux/dos"
> linux checkout -q -- dos; touch "$BUILD/linux/untracked"
refresh: a file not added is refused|!|.*uncommitted|refresh
clean: a file not added is kept|0|^kept |clean
> rm "$BUILD/linux/untracked"
> linux commit -q --allow-empty -m 'fixup! mm/cma: third'
refresh: a fixup is refused|!|.*'fixup! mm/cma: third'|refresh
> linux commit -q --amend --allow-empty -m empty
refresh: an empty commit is refused|!||refresh
> linux reset -q --hard HEAD^
> linux checkout -q -b side HEAD^; commit side 10; linux checkout -q topic
clean: a second branch is kept|0|^kept |clean
> linux merge -q side -m merge
refresh: a merge is refused|!|.*merge|refresh
> linux reset -q --hard HEAD^; linux branch -q -D side
> linux checkout -q --detach
refresh: off the branch it is refused|!|.*not on its branch|refresh
> commit 'mm/cma: detached' 35
clean: commits on no branch are kept|0|^kept |clean
> linux checkout -q topic
> echo stashed >>"$BUILD/linux/dos"; linux stash -q
clean: a stash is kept|0|^kept |clean
> linux stash drop -q
> describe "mm: another letter"
clean: an edited cover letter is kept|0|^kept |clean
> same "refresh: nothing of this has touched the patches" "$(state "$W/s")" "$was"
> describe "$letter"
> (cd "$BUILD" && mkdir cache obj results mails rebase && touch cache/tarball obj/o results/r)
clean: what is in patches/ is removed|0||clean
> gone "clean: the kernel is gone" "$BUILD/linux"
> gone "clean: so is what was built" "$BUILD/obj"
> gone "clean: so are the results" "$BUILD/results"
> same "clean: so are mails, and what rebase-check made" "$(ls -d "$BUILD/mails" "$BUILD/rebase" 2>/dev/null)" ""
> check "clean: the download is kept" [ -e "$BUILD/cache/tarball" ]
> BUILD=$W/third # A series that has moved on, and a tree without the user's work.
kernel: an untouched branch follows the series|0|v1.0 and 4 patches|apply
> restore
kernel: and back|0|v1.0 and 3 patches|apply
> describe changed; sed -i 's/^Why this is so/Why it is so/' "$W/s/patches/0001"*
> series apply >/dev/null
> same "kernel: a branch with an edited cover letter does not" "$(describe)" changed
END
restore

# --- the benchmark's figures -------------------------------------------------
# A series whose second message has the tables, and a text that has them.
in_build figures
series apply >/dev/null
mkdir -p "$W/run" "$W/s/docs"
cp "$TOP/docs/bench.tsv" "$W/run/bench.tsv"
echo plot | tee "$W/run/bench.svg" >"$W/run/other.svg"
sed -n 's/^	table("\(.*\)")$/\1/p' "$TOP/test/bench/tables.awk" | awk '{
	line = sprintf("%24s", "")
	for (i = 1; i <= NF; i++)
		line = line sprintf("%-8s", $i)
	gsub(/_/, " ", line)
	sub(/ *$/, "", line)
	print "\n" line
} END { print "" }' | tee "$W/headers" >"$W/s/docs/bench.md"
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
cases 'figures: ' <<'END'
an update|0|^$|figures update
they are in the text|0|^  bulk, HARD  *[0-9]|cat "$W/s/docs/bench.md"
the commits are the same|=|$was|commits
> is_clean "figures: the work tree is clean"
the patches are those of the branch|0|$result|series verify
then nothing has drifted|0|^$|figures check
> was=$(state "$W/s")
another update|0|^$|figures update
another update changes nothing|=|$was|state "$W/s"
END

# found_by OF FILES-BELOW COMMAND... - what sed does to a file is found: a case a
# line of stdin, NAME|REGEXP|WORD|FILE|SCRIPT, where WORD is one more for COMMAND
found_by() {
	found_of=$1 below=$2
	shift 2
	while IFS='|' read -r name re word file script; do
		# shellcheck disable=SC2086,SC2116 # a glob
		file=$(echo "$below"/$file)
		cp "$file" "$W/right"
		sed -i "$script" "$file"
		expect "$found_of$name" 1 "$re" "$@" "$word"
		cp "$W/right" "$file"
	done
}
found_by 'figures: ' "$W/s" figures <<'END'
another one in a message|^patches/0002-.*:[0-9]+: clearing alone, alloc: 999 should be [0-9]|check|patches/0002-*|s/^\(  clearing alone *\)[0-9]*/\1999/
another one in a text|^docs/bench.md:[0-9]+: bulk, FAST, idle: 999 should be [0-9]|check|docs/bench.md|0,/^  bulk, FAST/s/^\(  bulk, FAST *\)[0-9.]*/\1999/
a row less|^docs/bench.md:[0-9]+: |check|docs/bench.md|/^  system heap/d
a row more|^docs/bench.md:[0-9]+: "  old heap |check|docs/bench.md|s/^  system heap/  old heap            1\n&/
a table that has gone from the messages|^no text has the table "alloc   mmap    munmap  release"|check|patches/0002-*|/^ *alloc  *mmap  *munmap  *release$/d
a table that has gone from docs/|^no text has the table "asked   got     ms"|check|docs/bench.md|s/^\( *asked  *got\)  *ms$/\1 us/
END

scaled() { # SCENARIO COLUMN FACTOR [WAY]
	awk -F '\t' -v OFS='\t' -v scenario="$1" -v n="$2" -v by="$3" -v way="${4:-.}" \
		'$1 == scenario && $2 ~ way { $n = int($n * by) } { print }'
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
a loop that was ended later|0|^$|scaled pinned-1pct 4 1.05 ^loop$
longer steps|0|^$|scaled idle 10 1.2
pages that were migrated in vain|1|^docs/bench.tsv: crowded one, migrated: |scaled crowded 11 1.05
a rival that waits longer|0|^$|scaled rivals-loop 5 2
a chunk that was not delivered|1|^docs/bench.tsv: idle loop, got: 4800, now 4799$|sed '/^idle.loop/s/4800/4799/2'
a measurement less|1|idle loop: there, now not measured|sed '/^idle.loop/d'
a measurement more|1|idle new: not there, now measured|sed '/^idle.loop/{p;s/loop/new/;}'
single pages that are released 5 % slower, and chunks|1|^docs/bench.tsv: idle bulk-hard, release_ns: |scaled idle 6 1.05
END
ids=$(commits; state "$W/s/patches") was=$(state "$W/s") other=$W/run/other.tsv
# What cannot be written is not written in parts.
cases 'figures: ' <<'END'
> same "figures: only the chunks have drifted" "$(said | grep -c release_ns)" 3
no run|!|no figures in |figures check "$W/none"
> sed '/^clear/d' "$W/run/bench.tsv" >"$other"
without one of them nothing is updated|2|^no figure for clear/clear|figures update "$other"
nor is docs/bench.tsv|=|$was|state "$W/s"
> sed '/^idle.bulk-fast/s/\t[0-9]*/\t9/4' "$W/run/bench.tsv" >"$other"
an update says what is wrong in a message|1|^patches/$second:[0-9]+: bulk, FAST, idle: [0-9.]+ should be |figures update "$other"
and changes no commit and no patch|=|$ids|eval 'commits; state "$W/s/patches"'
END

# --- the compilers' warnings -------------------------------------------------
# A kernel whose make compiles with $COMPILE and checks with $SPARSE; "warn" in
# a file is a warning of either.
BUILD=$W/static
mkdir -p "$BUILD/linux/scripts" "$BUILD/linux/mm"
plain init -q "$BUILD/linux"
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
# shellcheck disable=SC2016 # perl's own
echo 'open(my $f, "<", $ARGV[-1]) or die; exit($ENV{DOC} // 0);' >"$BUILD/linux/scripts/kernel-doc"
echo 'int a; /* warn */' >"$BUILD/linux/mm/a.c"
linux add -A
linux commit -q -m base
linux tag base
linux checkout -q -b topic
warnings() { # [VARIABLE=VALUE...]
	rm -rf "$BUILD/obj"
	env COMPILE=true SPARSE='echo "  CHECK   $<"' "$@" "$TOP/test/static/static.sh" warnings
}
next() { # LINE SUBJECT
	echo "$1" >>"$BUILD/linux/mm/a.c"
	linux commit -q -a -m "$2"
}
cases 'warnings: ' warnings <<'END'
a series that compiles nothing|1|not ok .*something was compiled|
> next 'int b;' 'mm: no new warning'
an old one is none of the patch's|0|^ok 1 gcc W=1 and sparse: mm: no|
a compiler that is killed|1|^not ok .* make failed|COMPILE='kill -9 $$$$'
no sparse|1|^not ok .* make failed|SPARSE='no_such_sparse $<'
sparse is not run|1|^not ok .* sparse did not read mm/a.c|SPARSE=:
no object|1|^not ok .* no mm/a.o|SPARSE='rm $(O)/$@; echo "  CHECK   $<"'
kernel-doc dies|1|^not ok .* kernel-doc failed on mm/a.c|DOC=3
> next 'int c; /* warn */' 'mm: one more'
a new one|1|^not ok 3 gcc W=1 and sparse: mm: one more # .*warning|
END
BUILD=$W/first

# --- tools -------------------------------------------------------------------
# A PATH with little in it, an apt-get and an id that only say what they did. And
# one in which nobody is root.
tools=$W/tools
deps=$TOP/test/tree/deps.sh
mkdir -p "$tools" "$W/no-root"
for tool in sh dirname sed cat mkdir git env touch awk; do
	ln -s "$(command -v $tool)" "$tools/$tool"
done
echo 'echo x86_64' | program "$tools/uname"
echo "echo \${UID_IS:-1000}" | program "$tools/id"
cp "$tools/id" "$W/no-root/"
few() { env PATH="$tools" "$@"; }
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
# shellcheck disable=SC2016 # its own
echo 'case "$*" in *-static*) exit 1 ;; esac' | program "$W/cc"
tool old/git <<'END'
[ "$*" != --version ] || { echo "git version $OLD"; exit; }
git "$@"
END
lacks='tools are missing:'
cases 'deps: ' few <<'END'
without root, one line says what to run|!|$lacks .* libc.a flex .*; as root, run: apt-get install .*libc6-dev flex|"$deps" build
no QEMU, no root|!|.*apt-get install .*qemu-system-x86|"$deps" qemu
a guest of another architecture: no root|!|.*apt-get install .*gcc-aarch64-linux-gnu libc6-dev-arm64-cross .*qemu-system-arm|ARCH=arm64 "$deps" build qemu
> gone "deps: without root nothing is installed" "$W/apt"
as root it is installed, and said|0|^installing the missing packages: xz-utils util-linux$|UID_IS=0 "$deps" kernel
> same "deps: one line it is" "$( (few "$deps" build qemu) 2>&1 | wc -l)" 1
> same "deps: lists are updated when a package is unknown" "$(cut -d' ' -f1 "$W/apt" | paste -s -d ' ')" "install update install"
> same "deps: util-linux is named once" "$(grep -c 'xz-utils util-linux$' "$W/apt")" 2
> rm "$tools/xz"; touch "$W/no-tool"
a package is installed, and the tool is still not there|!|installed: xz-utils; but still missing: xz$|UID_IS=0 "$deps" kernel
> ln -s "$(command -v xz)" "$tools/xz"; rm "$tools/apt-get"
no package manager: the tools are named|!|$lacks make .* flex [^;]*$|"$deps" build
what is there is tried, not looked for|0|^$|PATH="$PATH" "$deps" build qemu
a compiler that cannot link statically|!|$lacks libc.a(;.*)?$|CC="$W/cc" PATH="$W/no-root:$PATH" "$deps" build
a compiler of the user's that does not run|!|CC=.*/no-such-cc does not run: install it|CC="$W/no-such-cc" "$deps" build
nothing missing, nothing said|0|^$|PATH="$PATH" "$deps" kernel
END
git_is() { env OLD="$1" PATH="$W/old:$W/no-root:$PATH" "$deps" kernel; } # VERSION
cases 'deps: git ' git_is <<'END'
2.31.9|!|$lacks git>=2.32;|2.31.9
1.99|!|$lacks git>=2.32;|1.99
2.9.5|!|$lacks git>=2.32;|2.9.5
2.32.0|0|^$|2.32.0
3.0|0|^$|3.0
2.100.1.rc2|0|^$|2.100.1.rc2
END

# --- make --------------------------------------------------------------------
mk() { (cd "$TOP" && make --no-print-directory "$@"); }
# What ends before anything is unpacked or built.
unbuilt() { mk BUILD="$W/nothing" KERNEL_TARBALL="$W/none" "$@"; }
mk help >"$W/help"
missing=$(sed -n 's/^\([a-z-]*\):.*/\1/p' "$TOP/Makefile" | while read -r target; do
	grep -q "^  $target " "$W/help" || echo "$target"
done)
same "make: help names every target" "$missing" ""
for wrong in TESTS=nonsense 'TESTS=a;b' SLOW=abc ACCEL=foo PLAN=none; do
	for target in qemu-test qemu-debug baseline; do
		[ "$target$wrong" = baselinePLAN=none ] ||
			refuse "make $target $wrong: nothing is built" "${wrong%%=*}" \
				unbuilt "$target" "$wrong"
	done
done
cases 'make ' unbuilt <<'END'
qemu-test: no such kernel: nothing is built|!|no such kernel: none |qemu-test KERNEL=none
qemu-test: a plan for another architecture: nothing is built|!|.*/mte.plan is for ARCH=arm64|qemu-test PLAN=mte
qemu-shell SLOW=abc: nothing is built|!|SLOW|qemu-shell SLOW=abc
qemu-shell: TESTS= is not for it|!|KERNEL_TARBALL|qemu-shell TESTS=x
bench SLOW=abc: nothing is built|!|SLOW|bench SLOW=abc
bench: TESTS= is not for it|!|KERNEL_TARBALL|bench TESTS=x
mails: there is no kernel|!|KERNEL_TARBALL|mails FROM="$jane"
> check "make mails: they are mainline's" [ -d "$W/nothing/mainline" ]; rm -r "$W/nothing/mainline"
mails BASE=stable: there is none, either|!|KERNEL_TARBALL|mails FROM="$jane" BASE=stable
> gone "make mails BASE=stable: they are not" "$W/nothing/mainline"
END
cases 'make: ' mk <<'END'
help is the default|0|^  qemu-test +[a-z]|
a directory with a blank in it is refused|!|nothing can be built in '.*/a b': give a BUILD=DIR without|BUILD="a b" kernel
one with a comma, too|!|nothing can be built in '.*/a,b'|BUILD="$W/a,b" kernel
one that cannot be written to|!|cannot write to /proc/nowhere: give another BUILD=DIR|BUILD=/proc/nowhere kernel
> export PLAN=none KERNEL=none
the environment names no plan and no kernel|!|KERNEL_TARBALL|BUILD="$W/nothing" KERNEL_TARBALL="$W/none" qemu-test
> unset PLAN KERNEL
END

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
# What the workflow restores comes before any run.
restored=$(sed -n '/actions.cache/,/key:/{s,^ *\(path: \)*\(build/.*\),\2,p;}' \
	"$TOP/.github/workflows/tests.yml")
cases 'BUILD= ' mk <<'END'
an empty directory: taken|0||BUILD="$users" clean
> check "BUILD= an empty directory: marked" [ -e "$users/.chunk-heap-build" ]
what an earlier run has marked: taken|0||BUILD="$users" clean
> rm -r "$users"; for path in $restored; do mkdir -p "$users/$path"; done
what the workflow restores: taken|0||BUILD="$users/build" clean
> check "BUILD= what the workflow restores: it is the source" [ -d "$users/build/cache" ]
END
rm -r "$users"
refuse "make: two of a kind at once" 'not while a guest is running: a guest$' \
	sh -c "echo $$ a guest >'$BUILD/.guests.lock' &&
		flock -s '$BUILD/.guests.lock' '$TOP/test/tree/series.sh' clean"

# A clone on a machine where git converts the ends of lines, below a directory with
# a blank.
mkdir "$W/published"
cp -r "$TOP/Makefile" "$TOP/test" "$TOP/.gitattributes" "$W/s/." "$W/published"
printf 'carriage\r\n' >"$W/published/patches/return.txt"
plain init -q "$W/published"
plain -C "$W/published" add -A
plain -C "$W/published" commit -q -m published
plain clone -q -c core.autocrlf=true "$W/published" "$W/with blank"
check "autocrlf: the patches are byte for byte the same" \
	diff -r "$W/published/patches" "$W/with blank/patches"
rm "$W/with blank/patches/return.txt"
cases '' mk -C "$W/with blank" <<END
make: a checkout with a blank in its path: help|0|^  qemu-test +[a-z]|
make: what cannot be built in it is refused|!|nothing can be built in '.*/with blank/build'|BUILD= kernel
make: elsewhere it can|0|^tree $result: v1.0 and 3 patches|BUILD="$W/elsewhere" "$good" kernel
refresh: a checkout with a blank in its path|0|^3 patches|BUILD="$W/elsewhere" refresh
END

# --- lint --------------------------------------------------------------------
# A release, without git: what is wrong in it is found.
mkdir -p "$W/tarball"
for f in Makefile README.md LICENSE series .github .shellcheckrc docs patches test; do
	cp -r "$TOP/$f" "$W/tarball/"
done
lint() { "$W/tarball/test/static/lint.sh" "$@"; }
cases 'lint: ' lint <<'END'
> printf 'a = 1 \n' >"$W/tarball/wrong.awk"
a tarball: blanks are found|1|^not ok .*blanks at the end of a line|'*blanks*'
a tarball: licences are looked for|1|^not ok .*has its licence|'*licence'
> rm "$W/tarball/wrong.awk"; touch "$W/tarball/docs/a: b"
a name that not every system takes|1|^# .*docs/a: b$|'*a name that*'
> rm "$W/tarball/docs/a: b"
a tarball: nothing wrong|0|^ok 13 |
no check has the name|1|^1[.][.]0$|none
END
found_by 'lint: ' "$W/tarball" lint <<'END'
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
echo '*' | tee "$W/tarball/.gitignore" >"$W/tarball/.git/info/exclude"
refuse "lint: no file is an error" 'no files to look at' lint

# --- make check counts -------------------------------------------------------
check_sh=$TOP/test/check.sh
steps() { "$check_sh" --steps "$W/steps"; }
# counts NAME STATUS PASSED FAILED STEP...
counts() {
	name=$1 status=$2 line="$3 passed, $4 failed"
	shift 4
	printf '%s\n' "$@" >"$W/steps"
	tap_status=0
	steps >"$W/check.out" 2>&1 || tap_status=$?
	same "check: $name" "$(tail -n 1 "$W/check.out")" "$line"
	same "check: $name: exit status" "$tap_status" "$status"
}
prints() { # LINE... - a step that reports these
	printf 'tap a what printf %s%s%s\n' "'" "$(printf '%s\\n' "$@")" "'"
}
counts "a step that fails does not stop the next" 1 1 1 "step a what false" "step b what true"
counts "a step that is killed" 1 0 1 "step a what sh -c 'kill -9 \$\$'"
counts "as many as are reported" 1 2 1 "$(prints 'ok 1 x' 'not ok 2 y # why' 'ok 3 z' 1..3)"
check "check: what failed is printed" grep -q '^     | not ok 2 y # why$' "$W/check.out"
# junit NAME XPATH VALUE - xmllint reads it, and finds that
junit() { same "junit: $1" "$(xmllint --xpath "$2" "$report/junit.xml" 2>&1)" "$3"; }
report=$BUILD/check
junit "a step that failed" 'string(//testcase[failure]/@name)' a
junit "what it reported" 'normalize-space(//failure)' 'not ok 2 y # why'
junit "how much of it" 'string(//failure/@message)' '1 of 3 failed'
counts "a report that is cut off" 1 2 1 "$(prints 'ok 1 x' 'ok 2 y')"
counts "what runs beside has no verdict of its own" 1 1 1 "beside x false" \
	"step a what true" "step b what false"
counts "the result of what ran beside, in its order" 1 3 2 \
	"beside one sh -c 'sleep 1; echo >$W/one; echo ok 1 x; echo not ok 2 y; echo 1..2'" \
	"beside two test -e $W/one" "beside three false" "tap a what awaited one" \
	"step b what awaited two" "step c what awaited three" "step d what true"
counts "the result of what was killed beside" 1 0 1 "beside one sh -c 'kill \$PPID'" \
	"step a what awaited one"
counts "an empty report" 1 0 1 "$(prints 1..0)"
counts "a report that passes, and an exit status that does not" 1 1 1 \
	"tap a what sh -c \"printf 'ok 1 x\\n1..1\\n'; exit 3\""

# What the environment holds reaches no step.
echo '! env | grep -E "^(TESTS|QEMU_EXTRA|GCOV|CONFIG_DIR|USER_SRC|APT_ETC|SERIES)="' >"$W/narrow"
printf '%s\n' "step a what sh $W/narrow" 'step b what true' >"$W/steps"
expect "check: nothing of the environment narrows it" 0 '^2 passed, 0 failed$' \
	env TESTS=cma QEMU_EXTRA=x GCOV=x CONFIG_DIR=/x USER_SRC=/x APT_ETC=/x \
	"$check_sh" --steps "$W/steps"
also "check: what it ignores is named" '^make check ignores TESTS=cma$'
printf '%s\n' "step a what sh $W/narrow" 'step b-c what false' 'beside later false' \
	'step d what awaited later' | tee "$W/steps" >"$W/steps-long.sh"
kept_logs() { same "check: $1: the logs of the full run stay" "$(state "$BUILD/check")" "$was"; }
cases 'check' "$check_sh" --steps <<END
: a failed step says how to run it again|1|^     again: make check STEP=b-c BUILD='$BUILD'$|"$W/steps"
-long: so does one of it|1|^     again: make check-long STEP=b-c |"$W/steps-long.sh"
: one step, by name|1|^0 passed, 1 failed$|"$W/steps" b-c
: one that ran beside others|1|^0 passed, 1 failed$|"$W/steps" d
END
was=$(state "$BUILD/check")
cases 'check: ' env <<'END'
no such step|!|no step is called 'e'|"$check_sh" --steps "$W/steps" e
> kept_logs 'no such step'
SLOW=abc|!|SLOW|SLOW=abc "$check_sh" --steps "$W/steps"
> kept_logs SLOW=abc
> printf 'step "what: a *?/step" what true\n' >"$W/steps"
a single step writes elsewhere|0|^1 passed, 0 failed$|"$check_sh" --steps "$W/steps" 'what: a *?/step'
> kept_logs 'a single step'
END
check "check: a log has a name that any system takes" \
	[ -e "$BUILD/check-step/01-what--a----step.log" ]
printf '%s\n' "first one what sh -c 'echo one >>$W/order'" 'step lint what true' \
	"first two what sh -c 'echo two >>$W/order; exit \${TWO:-0}'" 'step broken what false' \
	"step three what sh -c 'echo three \$BUILD_FIRST >>$W/order'" \
	"first four what sh -c 'echo four >>$W/order'" >"$W/steps"
while IFS='|' read -r name status failed two step ran; do
	rm -f "$W/order"
	name="check: a single step: $name"
	expect "$name" "$status" "^1 passed, $failed failed\$" env TWO="$two" \
		"$check_sh" --steps "$W/steps" "$step"
	same "$name: that is what was run" "$(paste -s -d ' ' "$W/order")" "$ran"
done <<'END'
what it needs is made before it, and is no check|0|0||three|one two three 1
what comes after it is not|0|0||lint|one
that may be one of those itself|0|0||two|one two
what it needs fails|1|1|3|three|one two three 1
END
mkdir -p "$W/fake/tree" "$W/fake/guest"
for name in tree/deps tree/source tree/series guest/qemu; do
	program "$W/fake/$name.sh" </dev/null
done
program "$W/fake/check.sh" <<'END'
echo "<$*> ${STEP-}${SERIES-}${GCOV-}${USER_SRC-}${GUEST_CFLAGS-}"
END
export STEP=environment GCOV=x USER_SRC=x GUEST_CFLAGS=x
cases 'make ' mk T="$W/fake" <<'END'
qemu-shell: no terminal|!|a shell .* needs a terminal$|qemu-shell
check: the environment names no step and no series|0|^<> $|check
> unset STEP GCOV USER_SRC GUEST_CFLAGS
check: STEP= does|0|^<b-c> $|STEP=b-c check
END

# --- a guest that is a script ------------------------------------------------
# A QEMU that runs $GUEST: a script that knows the files behind the ports.
BUILD=$W/guest
OBJ=$BUILD/obj/x86_64
named=$BUILD/results/named report=$BUILD/results/named
qemu_sh=$TOP/test/guest/qemu.sh
mkdir -p "$OBJ/usr" "$BUILD/linux" "$W/qemu-bin"
touch "$OBJ/vmlinux" "$OBJ/.config" "$OBJ/initramfs.cpio"
program "$OBJ/usr/gen_init_cpio" </dev/null
program "$W/qemu-bin/qemu-system-x86_64" <<'END'
[ "$1" != --version ] || { echo 'QEMU emulator version 0.0'; exit; }
last=
for word in "$@"; do
	name=${word#*id=}
	case $word in file,id=*,path=*) eval "${name%%,*}=\${word##*path=}" ;; esac
	case $last in -append) args=$word ;; esac
	last=$word
done
say() { echo "[    0.0] harness: $*" >>"$con"; }
say start, 1 tests
. "$GUEST"
END
echo source >"$BUILD/linux/file"
echo 'one 2 10 - run x' >"$W/guest.plan"
# with_qemu COMMAND... - with that QEMU, and the script
with_qemu() {
	env PATH="$W/qemu-bin:$PATH" GUEST="$W/guest.script" ACCEL=tcg "$@"
}
# boot SCRIPT [VARIABLE=VALUE...] - a guest; the variables are qemu.sh's, or the
# environment's
boot() {
	printf '%s\n' "$1" >"$W/guest.script"
	shift
	args=PLAN=$W/guest.plan
	for word in "$@"; do
		shift
		case $word in
		PLAN=* | RUN=* | SILENCE=* | LIMIT=*) args="$args $word" ;;
		*) set -- "$@" "$word" ;;
		esac
	done
	# shellcheck disable=SC2086 # words
	with_qemu "$@" "$qemu_sh" test "${flavour:-main}" $args
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
but() { echo "$passes" | sed "$1"; } # SED-SCRIPT - a script
build_sh=$TOP/test/tree/build.sh
# built [FLAVOUR] - as build.sh would say when all of it was
built() {
	ON_TERMINAL=1 sh -euc '. "$1/test/lib/lib.sh"
		. "$1/test/lib/arch.sh"
		set_flavour "$2"
		{ echo "kernel: built"; echo "made of: $(made_of)"
		  echo "made with: $(made_with)"; } >"$OBJ/.built"' \
		"$qemu_sh" "$TOP" "${1:-main}"
}
tap_has() { # NAME LINE...
	name=$1
	shift
	printf '%s\n' 'TAP version 13' "$@" >"$W/want.tap"
	check "results.tap: $name" diff "$W/want.tap" "$named/results.tap"
}
passing() { boot "$passes" "$@"; }
cp -r "$TOP/kernel-config" "$W/kernel-config"
cases '' <<'END'
guest: a build that did not end is not booted|!|no complete main kernel in .*: run make build$|passing
> : >"$OBJ/.built"
guest: nor one that does not say what it was made of|!|.*/linux has changed since the main kernel was built: run make build$|passing
build: it fails, this is no kernel source|!||"$build_sh"
guest: nor what was there before a build that failed|!|no complete main kernel|passing
> plain init -q "$BUILD/linux"; linux add -A; linux commit -q -m built
> built; echo edited >>"$BUILD/linux/file"
guest: nor what was built before the source was edited|!|.*/linux has changed since the main kernel was built|passing
> linux commit -q -a -m edited
guest: nor before that was a commit|!|.*/linux has changed since the main kernel was built|passing
> built
build: what is built is not built again|0|^the main kernel in .* is built$|"$build_sh"
guest: build: what is built is booted|0|^PASS: 1 tests|passing
build: with other flags it is|!||env GUEST_CFLAGS=-Wother "$build_sh"
> built; touch "$BUILD/linux/new"
build: of other files it is|!||"$build_sh"
> rm "$BUILD/linux/new"; built; touch "$BUILD/linux/new"
guest: nor before there was a new file|!|.*/linux has changed since the main kernel was built|passing
> built; echo more >"$BUILD/linux/new"
guest: nor before that was edited|!|.*/linux has changed since the main kernel was built|passing
> rm "$BUILD/linux/new"; built; linux commit -q --allow-empty -m 'another message'
guest: what was built is booted, whatever the messages say|0|^PASS: 1 tests|passing
guest: nor before a configuration was edited|!|test/ or kernel-config/ has changed since the main kernel was built|passing CONFIG_DIR="$W/kernel-config"
guest: what was built is booted|0|^PASS: 1 tests with 2 results|passing RUN=named
> junit "a case for each result, and one for the run" 'count(//testcase)' 3
> junit "the numbers of the whole are those of its parts" 'number(/testsuites/@tests) = sum(//testsuite/@tests) and number(/testsuites/@failures) = sum(//testsuite/@failures)' true
> tap_has "the same" 1..3 'ok 1 - one: a' 'ok 2 - one: b' 'ok 3 - the run as a whole: verdict'
END
# What a failed result has said, with all that XML and TAP take for their own.
# shellcheck disable=SC2016 # the script's own; for a row
said_much=$(but 's/^    ok 2 b$/    # <b> \& "c" \o33[0m\n    not ok 2 b]]> # why/
	s/^ok 1 one/# 1500 ms\nnot ok 1 one # 1 of 2 failed/')
printf '%s\n' 'one 2 10 x86_64 run x' 'two 1 10 arm64 run x' >"$W/arch.plan"
printf '%s\n' 'guest - MEMORY 3G' 'guest - CPUS 7' 'guest - QEMU_EXTRA -x 1' \
	'guest - SLOW 2' 'one 2 10 - run x' >"$W/of.plan"
cases 'guest: ' <<'END'
a result that fails|1|^FAIL: 1 of 1 tests failed|boot "$said_much" RUN=named
> junit "a result that fails" 'string(//failure/../@name)' 'b]]>'
> junit "what it said" 'normalize-space(//failure)' '# <b> & "c" ?[0m'
> junit "how long the test took" 'string(//testsuite[@name="one"]/@time)' 1.500
> junit "the run failed, too" 'string(//testcase[@name="verdict"]/failure/@message)' 'FAIL: 1 of 1 tests failed'
> check "results.tap: a result that fails" grep -qx 'not ok 2 - one: b\]\]>' "$named/results.tap"
a result that is missing|1|^  not ok 1/1 one # planned 2 results, gave 1$|boot "$(but '/^    ok 2/d')" RUN=named
> junit "a test whose results all passed" 'string(//testcase[@name="one"]/failure/@message)' 'planned 2 results, gave 1'
a splat|1|^FAIL: BUG: x|boot "$(but '1i echo "BUG: x" >>"$con"')" RUN=named
> junit "each result passed, and the run did not" 'string(//failure/../@name)' verdict
no end|124|^TIMEOUT|boot 'sleep 9' RUN=named SILENCE=1
> junit "no result at all" 'string(//testsuite[@name="one"]//@message)' 'no result'
> tap_has "no result at all" 1..2 'not ok 1 - one' '# no result' 'not ok 2 - the run as a whole: verdict' '# TIMEOUT: no console output for 1 s'
> expect "annotations: of what failed" 0 '^::error title=one::no result$' "$TOP/.github/annotate.sh" "$named/results.tap"
> expect "annotations: none where nothing is written" 0 '^::error title=no results::' "$TOP/.github/annotate.sh" "$W/none/results.tap"
a test of another architecture is left out|0|^PASS: 1 tests with 2 results|passing PLAN="$W/arch.plan"
no such architecture|!|ARCH=vax is not supported, only x86_64 and arm64 are$|passing ARCH=vax
no such page size|!|PAGE_SIZE=16k: x86_64 has pages of 4k$|passing PAGE_SIZE=16k
what qemu.sh does not know|!|qemu.sh knows no RAM$|"$qemu_sh" test main RAM=1G
a slow machine is not a number|!|SLOW=2x is not a number|passing SLOW=2x
twice as slow|124|^TIMEOUT: not finished after 4 s|boot 'for i in 1 2 3 4 5 6 7; do say $i; sleep 1; done' SLOW=2 LIMIT=2
a guest that goes away|2|^NO END: the guest went away in one|boot "$(but '/^say end/d')"
as the plan wants it|124|^TIMEOUT: no console output for 2 s|boot 'sleep 9' PLAN="$W/of.plan" RUN=named SILENCE=1 QEMU_EXTRA='-y 2'
> check "guest: as the plan wants it: memory, CPUs, and words for QEMU" grep -q -- '-smp 7,sockets=7 -m 3G .* -x 1 -y 2 $' "$named/qemu-command"
> echo 'guest - KERNEL debug' >>"$W/of.plan"
of another kernel than the plan's|!|.*of.plan is for KERNEL=debug$|passing PLAN="$W/of.plan"
END

# What is refused has no results, and is not the latest run. A disk that is full:
# before the guest runs, and when it is judged.
was=$(ls -l "$BUILD/results")
cases 'guest: ' <<'END'
an accelerator that is none|!|ACCEL=foo is none of|passing ACCEL=foo
> refuse "guest: one that does not work" '(KVM is|no )' passing ACCEL=kvm
> same "guest: what was refused has left nothing" "$(ls -l "$BUILD/results")" "$was"
> head -c 10000 /dev/zero >"$OBJ/initramfs.cpio"
no room for what the guest needs|!|cannot write to .*/results/named \([0-9]+ MB are free\)$|passing RUN=named env --ignore-signal=XFSZ sh -c 'ulimit -f 8; exec "$0" "$@"'
> : >"$OBJ/initramfs.cpio"
no room for a verdict|2|^NO VERDICT: .* could not be judged \([0-9]+ MB are free\)$|boot "$(but '1i ln -s /dev/full "${con%/*}/results"')" RUN=named
> check "guest: no room for a verdict: what the guest has said stays" grep -qx 'ok 1 one' "$named/ktap"
no room for the outcome|2|^NO VERDICT: it cannot be written .*: PASS: 1|boot "$(but '1i ln -s /dev/full "${con%/*}/outcome"')" RUN=named
END

for name in ../../src /tmp/x . .. latest 'a b' -f; do
	refuse "RUN=$name is refused" 'RUN=.* is not a plain name' "$qemu_sh" test main RUN="$name"
done

# What has to fail without the series.
cp -r "$OBJ" "$OBJ-base"
cp -r "$BUILD/linux" "$BUILD/linux-base"
flavour=base
built base
cp "$W/guest.plan" "$W/plan.main"
cases 'guest: without the series: ' <<'END'
a plan that does not say how a test fails|!|.*: one does not say how it fails without the series|boot "$(but 's/^    ok 2/    not ok 2/')"
> echo 'base one ^1 of 2 failed: b$' >>"$W/guest.plan"
it fails as the plan says|0|^PASS: the 1 tests of the series fail without it|boot "$(but 's/^    ok 2/    not ok 2/')"
it fails for another reason|1|^  WRONG +one +fails: 2 of 2 failed: a|boot "$(but 's/^    ok/    not ok/')"
it passes|1|^  WRONG +one +passes|passing
> sed 's/ - / base-ok /' "$W/plan.main" >"$W/guest.plan"
one that must pass fails|1|^  WRONG +one +fails: 1 of 2|boot "$(but 's/^    ok 2/    not ok 2/')"
nothing that must fail|1|^FAIL: no test was to fail|passing
END
flavour=main
cp "$W/plan.main" "$W/guest.plan"

# --- the plan ----------------------------------------------------------------
planned() { # VARIABLE=VALUE...
	for v in "$@"; do set -- "$@" -v "$v"; shift; done
	awk "$@" -f "$TOP/test/guest/plan.awk" "$W/plan"
}
printf '%s\n' '# comment' 'a 1 10 main  run  x  y' 'a 2 10 debug run z' \
	'b - 10 base-ok check taint' 'boot debug d=1' 'boot main m=1  n' 'boot - all' \
	'base a not there' >"$W/plan"
cases 'plan: ' planned <<'END'
the tests of a kernel|0|^a 1 10 run  x  y$|kernel=main
> same "plan: no others" "$(said | wc -l)" 2
those of another|0|^a 2 10 run z$|kernel=debug
those of the baseline|0|^a 1 10 |kernel=base
words for the kernel|0|^m=1  n all $|kernel=main want=boot
words for another|0|^d=1 all $|kernel=debug want=boot
a test by its name|0|^a 1 |kernel=main tests=' ? '
checks are always made|0|^b - 10 check taint|kernel=main tests=a
no test has the name|!|TESTS: no test of the main kernel matches c|kernel=main tests='a c'
a dot is a dot|!|TESTS: |kernel=main tests=.
why it fails without the series|0|^a.not there$|kernel=base want=base
END
printf '%s\n' 'guest - MEMORY 1G' 'guest - CMA' 'guest - QEMU_EXTRA -a  -b' \
	'guest debug MEMORY 2G' 'guest rt MEMORY 3G' 'boot - all' 'boot rt rt=1' \
	'include part.plan' 'c 1 10 - run c' >"$W/plan"
echo 'b 1 10 - run b' >"$W/part.plan"
cases 'plan: ' planned <<'END'
what the guest must be like|0|^QEMU_EXTRA -a  -b$|kernel=main want=guest
> same "plan: all of it" "$(said | sed 's/ $//' | sort | tr '\n' ,)" 'CMA,MEMORY 1G,QEMU_EXTRA -a  -b,'
another kernel's guest|0|^MEMORY 2G$|kernel=debug want=guest
rt's comes last|0|^MEMORY 3G$|kernel=rt want=guest
rt has its own words for the kernel|0|^rt=1 $|kernel=rt want=boot
what it includes|0|^b 1 10 run b$|kernel=main
> same "plan: in its place" "$(said | tail -n 1)" 'c 1 10 run c'
END
odd() { printf '%b\n' "$1" >"$W/plan"; planned kernel=main; } # LINES
cases 'plan: ' odd <<'END'
a word too few|!|.*too few words for a|'a 1 10 -'
nothing to run|!|.*too few words for a|'a 1 10 - run'
an unknown option|!|.*a: not an option: mian|'a 1 10 mian run x'
no limit|!|.*no time limit for a|'a 1 - - run x'
no number|!|.*a: not a number of results: x|'a x 1 - run x'
no such guest|!|.*not of a guest: RAM|'guest - RAM 1G'
an include of nothing|!|.*no plan in .*/none|'include none'
nothing at all|!|.*has no test for the main kernel|'# a'
a name twice|!|.*a is there twice|'a 1 10 - run x\na 2 10 - run y'
END
printf 'a 2 10 main run x\na 1+1 10 rt run x\nb - 10 - check taint\n' >"$W/plan"
cases 'plan: ' planned <<'END'
rt has its own line|0|^a 1.1 10 run x$|kernel=rt
> same "plan: instead of the other" "$(said | wc -l)" 2
other kernels do not|0|^a 2 10 run x$|kernel=kcsan
it may not be asked for|0|^b - 10 check taint$|kernel=rt tests=b
> sed -i s/rt/mainline/ "$W/plan"
another base has its own line|0|^a 1.1 10 run x$|kernel=main base=mainline
this one does not|0|^a 2 10 run x$|kernel=main
END

# --- signals -----------------------------------------------------------------
# stopped NAME SIGNAL COMMAND... - when $W/ready is there it gets the signal, and
# of all that it started nothing may be left soon
stopped() {
	stop_name=$1 signal=$2 status=0
	shift 2
	rm -f "$W/ready"
	# What a script starts in the background ignores SIGINT.
	MARK="$stop_name" env --default-signal=INT "$@" >"$W/stopped.log" 2>&1 </dev/null &
	timeout 60 sh -c "until [ -e '$W/ready' ]; do sleep 0.1; done" || true
	check "$stop_name: it was under way" [ -e "$W/ready" ]
	kill "-$signal" $!
	wait $! || status=$?
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
unlocked() { check "$1: no lock is held" flock -n "$2" true; } # NAME FILE
sleeps="touch '$W/ready'; sleep 1000; true"
mkdir -p "$BUILD/linux/scripts/kconfig"
echo "$sleeps" | program "$BUILD/linux/scripts/kconfig/merge_config.sh"
echo "$sleeps" >"$W/guest.script"
for signal in INT TERM; do
	rm -f "$OBJ/.built"
	stopped "SIG$signal to build.sh" "$signal" "$build_sh"
	unlocked "SIG$signal to build.sh" "$OBJ/.lock"
	built
	stopped "SIG$signal to qemu.sh" "$signal" env PATH="$W/qemu-bin:$PATH" \
		GUEST="$W/guest.script" ACCEL=tcg \
		"$qemu_sh" test main PLAN="$W/guest.plan" RUN=stopped
	check "SIG$signal to qemu.sh: the outcome says so" grep -qx \
		'130 INTERRUPTED, after [0-9]* s' "$BUILD/results/stopped/outcome"
	unlocked "SIG$signal to qemu.sh" "$BUILD/results/.stopped.run.lock"
	printf '%s\n' 'beside one sleep 1001' 'beside two sleep 1002' \
		"step a what sh -c \"$sleeps\"" >"$W/steps"
	stopped "SIG$signal to check.sh" "$signal" "$check_sh" --steps "$W/steps"
done
printf '%s\n' 'beside one sleep 1001' 'step a what true' >"$W/steps"
MARK='the end of check.sh' "$check_sh" --steps "$W/steps" >/dev/null
check "the end of check.sh: nothing is left, no job and no sleep" left 'the end of check.sh'

# --- two at once -------------------------------------------------------------
two() { # SCRIPT NAME=VALUE... - two runs at once, and both must pass
	printf '%s\n' "$1" "$passes" >"$W/guest.script"
	for i in 1 2; do
		with_qemu "$qemu_sh" test main PLAN="$W/guest.plan" "$2" >"$W/two.$i" 2>&1 &
	done
	wait
	cat "$W/two.1" "$W/two.2"
	[ "$(cat "$W/two.1" "$W/two.2" | grep -c '^PASS')" = 2 ]
}
expect "two runs in a second" 0 '^PASS' two 'sleep 1' RUN=
# Each guest lives until the other run has said that it waits, or for long.
export W
# shellcheck disable=SC2016 # the script's own
expect "two runs of one name" 0 '^waiting for qemu.sh test main PLAN=' two \
	'timeout 20 sh -c "until cat $W/two.* | grep -q ^waiting; do sleep 0.2; done"' RUN=named

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
== elsewhere
in one
-	return 2;
== nowhere
in three
-	return 2;
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
cases 'a mutant ' mutate <<'END'
that fits twice|1|twice: its lines are there 2 times|twice
whose code has gone|1|elsewhere: its lines are there 0|elsewhere
whose function has gone|1|nowhere: no function three|nowhere
of nothing|1|nothing: no line to look for|nothing
that is not there|1|other: it is there 0 times|other
END
same "no two mutants have one name" \
	"$(cat "$TOP"/test/self/mutants/*.mutants | awk '$1 == "==" && n[$2]++ { print $2 }')" ""

finish
