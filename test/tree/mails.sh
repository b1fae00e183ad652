#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# mails.sh [DIR] - the series as mails, one a file in DIR ($BUILD/mails)
#
# From the environment:
#   FROM="Name <address>"  who sends it: signs off, and is the author where that
#                          is nobody
#   TO="ADDRESS, ..."      instead of those that MAINTAINERS and the trailers name
#   PREFIX=RFC             words for the subjects, before the version
#   ASSISTED_BY="AGENT:MODEL [TOOL...]"
#                          a trailer of each patch, before the sign-off
#
# b4 writes them, offline, in a repository of its own that goes away again: the
# user's branch and configuration are not touched. Version and change-id are
# kept in series, since b4 would keep them in build/linux, which is not kept.
#
# DIR is filled after git am and b4 am have made the pinned tree of the mails.
set -eu
. "$(dirname "$0")/../lib/lib.sh"

mails=${1:-$BUILD/mails}
from=${FROM:-}
tag=$(header base-tag)
branch=$(header branch)
# Addresses that nobody has: names that are reserved, and those that say so.
nobody='([Nn]o-?[Rr]eply[^ >]*@|[A-Za-z0-9._+-]@[^ >]*noreply|[A-Za-z0-9._+-]@([A-Za-z0-9-]+[.])*(example|invalid|test|localhost)([^A-Za-z0-9.-]|$))'
# As RFC 5322 has it, but for what nobody uses.
address='[^][ ,;:<>()"@]+@[A-Za-z0-9-]+([.][A-Za-z0-9-]+)+'

prefix=${PREFIX:-}
assisted=${ASSISTED_BY:-}

# What a log says is wrong, in one line.
why() { grep -m 1 -E 'CRITICAL|ERROR|^(error|fatal):' "$1" || tail -n 1 "$1"; }
# fits VALUE REGEXP - in its one line
fits() {
	[ "$(printf '%s\n' "$1" | wc -l)" = 1 ] && printf '%s\n' "$1" | grep -qE "$2"
}

[ -n "$from" ] ||
	die "who sends it? give FROM='Name <address>', which signs off each patch"
fits "$from" "^[^][,;:<>()\"@ ][^][,;:<>()\"@]* <$address>\$" ||
	die "FROM=$from is not of the form 'Name <address>'"
! fits "$from" "$nobody" || die "FROM=$from: nobody has that address"
email=$(printf '%s\n' "$from" | sed 's/.*<\(.*\)>$/\1/')
for to in $(printf '%s\n' "${TO:-}" | tr ',' ' ' |
		grep -oE '[^ <>]*@[^ <>]*' || true); do
	if ! fits "$to" "^$address\$" || fits "$to" "$nobody"; then
		die "TO=$TO: nobody has the address $to"
	fi
done
[ -z "${TO:-}" ] || [ -n "${to:-}" ] || die "TO=$TO has no address"
fits "$prefix" '^([A-Z0-9-]+( [A-Z0-9-]+)*)?$' ||
	die "PREFIX=$prefix is not of words like RFC"
! fits "$prefix" '(^| )PATCH( |$)' || die "PREFIX=$prefix: PATCH is there anyway"
# As Documentation/process/coding-assistants.rst has it.
fits "$assisted" '^([^ :<>@]+:[^ :<>@]+( [^ :<>@]+)*)?$' ||
	die "ASSISTED_BY=$assisted is not of the form 'AGENT:MODEL [TOOL...]'"
version=$(header version)
change_id=$(header change-id)
fits "$version" '^[1-9][0-9]*$' ||
	die "series has no '# version: N' to write on the mails"
fits "$change_id" '^[a-z0-9-]+$' || die "series has no '# change-id: ID'"

"$TOP/test/tree/deps.sh" kernel mail
"$TOP/test/tree/source.sh"
"$TOP/test/tree/series.sh" apply >/dev/null
"$TOP/test/tree/series.sh" current

lock_source
rm -rf "$TMP"
mkdir -p "$TMP/home" "$TMP/b4am"
trap 'rm -rf "$TMP"' EXIT

# --- a repository with the objects of $LINUX and nothing else of it ----------

repo=$TMP/mails
base=$(first_commit)
rgit() { kgit_in "$repo" "$@"; }

git init -q "$repo"
echo "$LINUX/.git/objects" >"$repo/.git/objects/info/alternates"
[ ! -e "$LINUX/.git/shallow" ] || cp "$LINUX/.git/shallow" "$repo/.git/"
rgit config user.name "${from%% <*}"
rgit config user.email "$email"
# Without a server b4 takes that of kernel.org, even to write files.
rgit config sendemail.smtpserver localhost
# A work tree without a file, which is clean all the same.
rgit config core.sparseCheckout true
echo /none >"$repo/.git/info/sparse-checkout"

# commit_as AUTHOR TREE PARENT - the message is on stdin
commit_as() {
	GIT_AUTHOR_NAME=${1%% <*} GIT_AUTHOR_EMAIL=$(echo "$1" |
		sed 's/.*<\(.*\)>$/\1/') rgit commit-tree -p "$3" -F - "$2"
}

# The cover letter is an empty commit below the patches: b4 then knows the base.
kgit config "branch.$branch.description" >"$TMP/cover"
{
	cat "$TMP/cover"
	echo
	echo '--- b4-submit-tracking ---'
	echo "{ \"series\": { \"revision\": $version," \
		"\"change-id\": \"$change_id\", \"prefixes\": [$(
			echo "$prefix" | sed -E 's/[^ ]+/"&"/g; s/ /, /g')] } }"
} >"$TMP/message"
head=$(commit_as "$from" "$base^{tree}" "$base" <"$TMP/message")
for commit in $(kgit rev-list --reverse "$base..$branch"); do
	author=$(kgit log -1 --format='%an <%ae>' "$commit")
	! fits "$author" "$nobody" || author=$from
	rgit cat-file commit "$commit" |
		sed -E "1,/^\$/d;/^Signed-off-by: .*$nobody/d" |
		rgit interpret-trailers --no-divider --if-exists addIfDifferent \
			${assisted:+--trailer "Assisted-by: $assisted"} \
			--trailer "Signed-off-by: $from" >"$TMP/message"
	head=$(commit_as "$author" "$commit^{tree}" "$head" <"$TMP/message")
done
rgit symbolic-ref HEAD "refs/heads/$branch"
rgit update-ref "refs/heads/$branch" "$head"
rgit read-tree -m -u HEAD

# --- base and recipients -----------------------------------------------------

# The commit of the tag, if it is known. What was imported from a tarball is a
# commit that nobody else has.
true_base() {
	if kgit rev-parse -q --verify "refs/tags/$tag^{commit}"; then
		return
	fi
	[ -n "${KERNEL_GIT:-}" ] || return 1
	commit=$(kgit_in "$KERNEL_GIT" rev-parse -q --verify \
		"refs/tags/$tag^{commit}" 2>/dev/null) || return 1
	# tree_hash writes a tree: not into the user's clone.
	objects=$(kgit_in "$KERNEL_GIT" rev-parse --path-format=absolute \
		--git-path objects)
	got=$(GIT_OBJECT_DIRECTORY="$repo/.git/objects" \
		GIT_ALTERNATE_OBJECT_DIRECTORIES="$objects" \
		tree_hash "$KERNEL_GIT" "$commit")
	[ "$got" = "$(header base-tree)" ] || return 1
	echo "$commit"
}

{
	# shellcheck disable=SC2016 # b4's
	printf '${cover}\n\n---\n${shortlog}\n\n${diffstat}\n---\n'
	if commit=$(true_base); then
		echo "base-commit: $commit"
	else
		commit=
		echo "base-tag: $tag of $(header git | head -n 1)"
	fi
	for before in $(kgit rev-list --reverse "base..$base"); do
		kgit show "$before" | git patch-id --stable |
			sed 's/ .*//;s/^/prerequisite-patch-id: /'
	done
	# shellcheck disable=SC2016 # b4's
	printf 'change-id: ${change_id}\n\nBest regards,\n-- \n${signature}\n'
} >"$TMP/template"
rgit config b4.prep-cover-template "$TMP/template"

count=$(kgit rev-list --count "$base..$branch")
rgit format-patch -q -o "$TMP/patches" "HEAD~$count"

# maintainers PATCH - whom MAINTAINERS names, and "\tlist" after a list
maintainers() {
	(cd "$LINUX" && HOME=$TMP/home scripts/get_maintainer.pl --nogit \
		--nogit-fallback --nogit-chief-penguins --norolestats --roles "$1") \
		2>"$TMP/maintainers.log" >"$TMP/maintainers" ||
		die "get_maintainer.pl failed: $(why "$TMP/maintainers.log")"
	sed -E 's/ \([a-z]+ list[:)][^>]*$/\tlist/;s/ \([^>]*$//' "$TMP/maintainers"
}

# fixed COMMIT - who wrote what it fixes, as far as a clone knows that
fixed() {
	[ -n "${KERNEL_GIT:-}" ] || return 0
	rgit log -1 --format='%(trailers:key=Fixes,valueonly)' "$1" |
		while read -r bug _; do
		kgit_in "$KERNEL_GIT" log -1 --format='%an <%ae>' "$bug" -- \
			2>/dev/null || true
	done
}

# Each mail's recipients, one a line, in one order: in to.N and cc.N, where 0 is
# the cover letter.
mkdir "$TMP/who"
n=0
for patch in "$TMP"/patches/*; do
	n=$((n + 1))
	patch_of=$(rgit rev-parse "HEAD~$((count - n))")
	if [ -n "${TO:-}" ]; then
		echo "$TO" | tee "$TMP/who/to.$n" >"$TMP/who/to.0"
		: | tee "$TMP/who/cc.0" >"$TMP/who/cc.$n"
	else
		maintainers "$patch" >"$TMP/who/all"
		sed '/\tlist$/d' "$TMP/who/all" >"$TMP/who/to.$n"
		{
			sed -n 's/\tlist$//p' "$TMP/who/all"
			rgit log -1 --format='%(trailers:only,unfold)' "$patch_of" |
				sed -n '/^Assisted-by: /d
					s/^\(Cc\|[A-Z][a-z-]*-by\): //p'
			fixed "$patch_of"
		} >"$TMP/who/cc.$n"
	fi
done
for kind in to cc; do
	[ -z "${TO:-}" ] || break
	# Nobody gets none, nor does the sender.
	sed -i -E -e "/$nobody/d" -e "/(^|<)$(echo "$email" |
		sed 's/[.+/]/\\&/g')(>|$)/d" "$TMP/who/$kind".*
	cat "$TMP/who/$kind".* >"$TMP/who/all"
	mv "$TMP/who/all" "$TMP/who/$kind.0"
done
[ -s "$TMP/who/to.0" ] || die "MAINTAINERS names nobody for these patches"

# b4_here ARG... - without the user's configuration, and without a network
b4_here() {
	(cd "$repo" && HOME=$TMP/home XDG_CACHE_HOME=$TMP/home \
		XDG_DATA_HOME=$TMP/home GIT_CONFIG_GLOBAL=/dev/null \
		GIT_CONFIG_NOSYSTEM=1 b4 "$@") >"$TMP/b4.log" 2>&1
}
# b4 has one list for all of them, in another order each time: it is replaced.
b4_here -n --offline-mode send --no-sign --no-trailer-to-cc -o "$TMP/out" \
	--to "$email" </dev/null || die "b4 send: $(why "$TMP/b4.log")"

# --- are they right? ---------------------------------------------------------

set -- "$TMP"/out/*.eml
[ $# = $((count + 1)) ] || die "b4 wrote $# mails, not $((count + 1))"
cover=$1
python3 "$TOP/test/tree/recipients.py" "$TMP/who" "$@"

# am NAME MAIL... - the tree that git am makes of them, on the base
am() {
	rm -rf "$TMP/am"
	rgit worktree prune
	rgit worktree add -q --no-checkout --detach "$TMP/am" "$base"
	kgit_in "$TMP/am" read-tree HEAD
	name=$1
	shift
	kgit_in "$TMP/am" am -q --no-3way --no-gpg-sign "$@" >"$TMP/am.log" 2>&1 ||
		die "git am of $name: $(why "$TMP/am.log")"
	[ "$(kgit_in "$TMP/am" rev-parse 'HEAD^{tree}')" = \
		"$(rgit rev-parse 'HEAD^{tree}')" ] ||
		die "git am of $name gives another tree"
	kgit_in "$TMP/am" log --reverse --format='%an <%ae>%n%B' "$base.." >"$TMP/came"
	rgit log --reverse --format='%an <%ae>%n%B' "HEAD~$count.." |
		cmp -s - "$TMP/came" ||
		die "git am of $name gives other messages"
}
shift
am 'the mails' "$@"
for mail in "$cover" "$@"; do
	echo 'From mboxrd@z Thu Jan  1 00:00:00 1970'
	sed 's/^>*From />&/' "$mail"
	echo
done >"$TMP/mbox"
# Not by the file's name: b4 0.12 then trips over a subject of two lines.
b4_here -n --offline-mode am -m - -o "$TMP/b4am" <"$TMP/mbox" ||
	die "b4 am: $(why "$TMP/b4.log")"
am 'what b4 am makes of them' "$TMP"/b4am/*.mbx

# What people read: headers, texts and the lines that the patches add.
for mail in "$cover" "$@"; do
	sed '/^$/q' "$mail"
	git mailinfo "$TMP/text" "$TMP/diff" <"$mail" >/dev/null
	cat "$TMP/text"
	grep '^+' "$TMP/diff" || true
done >"$TMP/read"
who=$(grep -m 1 -E "$nobody" "$TMP/read" || true)
[ -z "$who" ] || die "a mail still names somebody who does not exist: $who"

# Of checkpatch only what the patches themselves do not have, and no diff. It
# knows no Assisted-by.
mkdir "$TMP/heads"
for mail in "$@"; do
	sed -n "/^Assisted-by: /d;p;/^+++ /q" "$mail" >"$TMP/heads/${mail##*/}"
done
(cd "$TMP/heads" && HOME=$TMP/home perl "$LINUX/scripts/checkpatch.pl" \
	--root="$LINUX" --strict --terse \
	--types MISSING_SIGN_OFF,NO_AUTHOR_SIGN_OFF,BAD_SIGN_OFF,FROM_SIGN_OFF_MISMATCH,EMAIL_SUBJECT \
	0*) >"$TMP/checkpatch.log" 2>&1 ||
	die "checkpatch: $(grep -m 1 -E 'ERROR|WARNING|CHECK' "$TMP/checkpatch.log" || tail -n 1 "$TMP/checkpatch.log")"
id=$(sed -n '/^$/q;s/^Message-I[dD]: *//p' "$cover")
replies=$(cat "$@" | grep -cFx "In-Reply-To: $id" || true)
[ "$replies" = "$count" ] ||
	die "$replies of $count patches are replies to the cover letter"
git mailinfo "$TMP/text" "$TMP/diff" <"$cover" >/dev/null
sed 1,2d "$TMP/cover" | git stripspace >"$TMP/letter"
head -n "$(wc -l <"$TMP/letter")" "$TMP/text" | cmp -s - "$TMP/letter" ||
	die "the cover letter does not survive b4"

(cd "$TMP/out" && find ./*.eml -size +100000c \
	-printf 'warning: %f has %s bytes, and some lists take 100000\n')
mkdir -p "$mails"
rm -f "$mails"/*.eml
mv "$TMP"/out/*.eml "$mails/"
say "$((count + 1)) mails in $mails: v$version, on ${commit:-$tag, whose commit is not known here}"
say "git am and b4 am give the tree $(rgit rev-parse 'HEAD^{tree}')"
