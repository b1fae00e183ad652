#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# series.sh COMMAND - the patches and the kernel branch that they come from
#
#   apply    put the series on the branch in $BUILD/linux, unless it is there
#   base     a second work tree, $BUILD/linux-base, without the series
#   refresh  regenerate patches/ and series from the branch
#   status   one line: is $BUILD/linux what the series says? (exit 1: no)
#   current  is patches/ what refresh would write?
#   verify   patches/ apply to the base, give the pinned tree, and come out of
#            git format-patch as they are
#   clean    remove what was built; work that is not in patches/ stays
#
# The branch is where one edits, and it belongs to the user: it is created
# here, and moved only while it still is exactly what was put there.
set -eu
. "$(dirname "$0")/../lib/lib.sh"

branch=$(header branch)
tag=$(header base-tag)
want=$(header result-tree)
cover=0000-cover-letter
scratch=$TMP/am
# What to do instead, where a patch is not what it was.
edited="; patches are not edited: change the commits, then 'make refresh${BASE:+ BASE=$BASE}'"

# The state of the series as one word, to see that patches/ has changed.
series_id() {
	{
		cat "$SERIES"
		# shellcheck disable=SC2046 # names
		cd "$PATCHES" && cat $(series_patches) "$cover.txt"
	} 2>/dev/null | git hash-object --stdin
}

begin() {
	lock_source
	kgit rev-parse -q --verify refs/tags/base >/dev/null 2>&1 ||
		die "no kernel in $LINUX: run 'make kernel${BASE:+ BASE=$BASE}' first"
	rm -rf "$TMP"
	mkdir -p "$TMP"
	kgit worktree prune
	trap 'rm -rf "$TMP"; kgit worktree prune' EXIT
	got=$(tree_hash "$LINUX" base)
	[ "$got" = "$(header base-tree)" ] ||
		die "$LINUX is based on the tree $got, series on $(header base-tree): move it away"
}

has_branch() { kgit rev-parse -q --verify "refs/heads/$branch" >/dev/null; }

# What git am or git rebase left half done is work in progress.
is_clean() {
	for state in rebase-apply rebase-merge MERGE_HEAD CHERRY_PICK_HEAD; do
		[ ! -e "$LINUX/.git/$state" ] || return 1
	done
	[ -z "$(kgit status --porcelain 2>&1)" ]
}

# am_series DIR PATCH... - git am on the base, in a work tree of its own that has
# no files but those touched; sets $commit, and $start to what fixes/ makes of
# the base. The user's tree sees none of it. git format-patch made the names of
# the patches: they have no spaces. DIR may.
am_series() {
	am_dir=$1
	shift
	rm -rf "$scratch"
	kgit worktree prune
	kgit worktree add -q --no-checkout --detach "$scratch" base
	kgit_in "$scratch" read-tree HEAD
	start=$(kgit rev-parse base)
	for patch in "$@"; do
		patch=$am_dir/$patch
		[ -f "$patch" ] || die "$(short "$patch") is in series, but not there"
		# No -C and no --3way: every line of context has to match.
		kgit_in "$scratch" am -q --no-3way --no-gpg-sign \
			--committer-date-is-author-date "$patch" \
			>"$TMP/am.log" 2>&1 </dev/null ||
			die "$(short "$patch") does not apply to $tag ($(grep -m 1 -E '^(error|fatal):' "$TMP/am.log" || head -n 1 "$TMP/am.log"))$edited"
		case $patch in
		*/fixes/*) start=$(kgit_in "$scratch" rev-parse HEAD) ;;
		esac
	done
	commit=$(kgit_in "$scratch" rev-parse HEAD)
	kgit worktree remove --force "$scratch"
}

short() { echo "$(basename "$(dirname "$1")")/$(basename "$1")"; }

# format REV DIR HOW - the patches of $start..REV, and those below it in
# DIR/fixes, the same bytes wherever they are made: no commit ids, no version of
# git, no date but the patches' own.
# HOW the cover letter comes about: subject (from the branch's description) or
# none (git's template).
format() {
	mkdir -p "$2"
	[ -z "$(header fixes)" ] ||
		format_patch --no-numbered -o "$2/fixes" "base..$start"
	last=$(kgit log -1 --format=%an%n%ae%n%aD "$1")
	# The cover letter's sender and date are the last patch's.
	(
		GIT_COMMITTER_NAME=$(echo "$last" | sed -n 1p)
		GIT_COMMITTER_EMAIL=$(echo "$last" | sed -n 2p)
		GIT_COMMITTER_DATE=$(echo "$last" | sed -n 3p)
		export GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
		format_patch --numbered --cover-letter \
			--cover-from-description="$3" -o "$2" "$start..$1"
	)
	mv "$2/$cover.patch" "$2/$cover.txt"
}
format_patch() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
		git -c safe.directory='*' -c gc.auto=0 -C "$LINUX" \
		format-patch -q --zero-commit --abbrev=12 --no-signature \
		--no-base --no-thread --no-encode-email-headers "$@"
}
# named DIR - what format has made there, the patches in their order
named() {
	(cd "$1" && for f in fixes/*.patch *.patch *.txt; do
		[ ! -e "$f" ] || echo "$f"
	done)
}

# description FILE REV - the text of the cover letter in FILE, as git keeps it
# in branch.<name>.description: its subject, an empty line, its body. What
# follows, shortlog and diffstat, is what git writes for REV itself.
description() {
	rm -rf "$TMP/none"
	format "$2" "$TMP/none" none
	sed '1,/^\*\*\* BLURB HERE \*\*\*$/d' "$TMP/none/$cover.txt" >"$TMP/tail"
	all=$(wc -l <"$1")
	tail=$(wc -l <"$TMP/tail")
	tail -n "$tail" "$1" | cmp -s - "$TMP/tail" ||
		die "$1 does not end in the shortlog and diffstat of the series"
	head -n $((all - tail)) "$1" | awk '
	body { print; next }
	/^$/ { print subject "\n"; body = 1; next }
	/^[ \t]/ { if (last == "subject:") subject = subject $0; next }
	{ last = tolower($1) }
	last == "subject:" {
		subject = $0
		sub(/^Subject: \[[^]]*\] /, "", subject)
	}' | git stripspace
}

# set_description REV - from the cover letter, for whoever edits it next
set_description() {
	[ -f "$PATCHES/$cover.txt" ] || return 0
	description "$PATCHES/$cover.txt" "$1" >"$TMP/description"
	kgit config "branch.$branch.description" "$(cat "$TMP/description")
"
}

on_branch() { [ "$(kgit symbolic-ref -q HEAD)" = "refs/heads/$branch" ]; }

described() {
	kgit config "branch.$branch.description" | git stripspace |
		git hash-object --stdin
}

# Are branch and cover letter still what was put there?
untouched() {
	on_branch && is_clean &&
		[ "$(kgit rev-parse HEAD)" = "$(kgit config series.commit)" ] &&
		[ "$(described)" = "$(kgit config series.description)" ]
}

cmd_apply() {
	begin
	if has_branch; then
		if [ "$(kgit config series.id)" = "$(series_id)" ] ||
		   ! untouched; then
			status || true
			return
		fi
		say "the series has changed, the branch has not: applying it anew"
	elif ! is_clean; then
		die "$LINUX has changes, but no branch $branch: not touched"
	fi
	# shellcheck disable=SC2046 # names
	am_series "$PATCHES" $(series_patches)
	got=$(tree_hash "$LINUX" "$commit")
	[ "$got" = "$want" ] ||
		die "the series gives the tree $got, but series pins $want$edited"
	set_description "$commit"
	kgit checkout -q -B "$branch" "$commit"
	# What b4 prep needs to know: where the cover letter is, and a branch
	# for the base.
	kgit config b4.prep-cover-strategy branch-description
	kgit branch -q -f upstream "$start"
	[ -z "$(header fixes)" ] || kgit branch -q -f "$(header fixes)" "$start"
	kgit config series.id "$(series_id)"
	kgit config series.commit "$commit"
	kgit config series.description "$(described)"
	status
}

# One line that says what a run on $LINUX tests.
status() {
	count=$(series_patches | wc -l)
	got=$(tree_hash "$LINUX" HEAD)
	if [ "$got" != "$want" ]; then
		say "$LINUX is NOT the series: its tree is $got, the series' is $want"
		return 1
	elif ! is_clean; then
		say "$LINUX is NOT the series: it has uncommitted changes"
		return 1
	fi
	say "tree $got: $tag and $count patches, as in series"
}

cmd_status() {
	begin
	status
}

pristine_base() {
	[ "$(kgit_in "$BUILD/linux-base" rev-parse HEAD)" = "$(kgit rev-parse base)" ] &&
		[ -z "$(kgit_in "$BUILD/linux-base" status --porcelain)" ]
}

cmd_base() {
	begin
	if [ -e "$BUILD/linux-base" ]; then
		pristine_base ||
			die "$BUILD/linux-base is not the pristine base: move it away"
	else
		say "checking out the base"
		kgit worktree add -q --detach "$TMP/linux-base" base
		kgit worktree move "$TMP/linux-base" "$BUILD/linux-base"
	fi
	say "tree $(header base-tree): $tag without the series"
}

# is_series - or die: the branch is clean, and a line of commits on the base
is_series() {
	has_branch || die "$LINUX has no branch $branch"
	on_branch || die "$LINUX is not on its branch $branch"
	is_clean || die "$LINUX has uncommitted changes: commit or remove them"
	fixes=$(header fixes)
	start=$(first_commit) || die "$LINUX has no branch $fixes"
	[ "$(kgit merge-base base "$branch") $(kgit merge-base "$start" "$branch")" = \
		"$(kgit rev-parse base) $start" ] ||
		die "$branch does not start at $tag${fixes:+ and the branch $fixes}"
	[ -z "$(kgit rev-list --merges "base..$branch")" ] ||
		die "$branch has a merge in it: the series must be linear"
	[ -n "$(kgit rev-list "$start..$branch")" ] ||
		die "$branch has no commit on top of $tag"
	odd=$(kgit log --format=%s "base..$branch" |
		grep -E -m 1 '^(fixup|squash|amend)! ' || true)
	[ -z "$odd" ] || die "$branch still has '$odd': rebase it first"
}

cmd_refresh() {
	begin
	is_series
	kgit config "branch.$branch.description" | git stripspace >"$TMP/edited"
	[ -s "$TMP/edited" ] ||
		die "no cover letter: write it with 'git -C $LINUX branch --edit-description $branch'"

	new=$PATCHES.new
	trap 'rm -rf "$TMP" "$new" "$SERIES.new"; kgit worktree prune' EXIT
	rm -rf "$new" "$SERIES.new"
	format "$branch" "$new" subject
	want=$(tree_hash "$LINUX" "$branch")
	{
		sed -n "/^#/{s/^\(# result-tree: \).*/\1$want/;p;}" "$SERIES"
		named "$new" | grep '\.patch$'
	} >"$SERIES.new"

	# Nothing is replaced before the way back has been tried.
	# shellcheck disable=SC2046 # names
	am_series "$new" $(named "$new" | grep '\.patch$')
	same_patches "$commit" "$new"
	description "$new/$cover.txt" "$commit" | cmp -s - "$TMP/edited" ||
		die "the cover letter does not survive git format-patch: see its first line"

	# By rename, which needs no space.
	mkdir -p "$PATCHES"
	(cd "$PATCHES" && named . | xargs -r rm --)
	mv "$new"/* "$PATCHES/"
	mv "$SERIES.new" "$SERIES"
	say "$(series_patches | wc -l) patches, tree $want"
}

# same_patches REV DIR - does git format-patch of REV give DIR back?
same_patches() {
	got=$(tree_hash "$LINUX" "$1")
	[ "$got" = "$want" ] ||
		die "the patches give the tree $got, expected is $want"
	rm -rf "$TMP/again"
	format "$1" "$TMP/again" none
	for patch in $(named "$TMP/again" | grep '\.patch$'); do
		cmp -s "$TMP/again/$patch" "$2/$patch" ||
			die "$(basename "$2")/$patch is not what git format-patch makes of it$edited"
	done
	extra=$(for f in $(named "$2"); do
		[ -e "$TMP/again/$f" ] || printf ' %s' "$f"
	done)
	[ -z "$extra" ] || die "$(basename "$2"): not of the series:$extra"
}

# now_in_patches - is what format makes of the branch in patches/, and no more?
now_in_patches() {
	format "$branch" "$TMP/now" subject
	[ "$(named "$TMP/now")" = "$(named "$PATCHES")" ] || return 1
	for f in $(named "$PATCHES"); do
		cmp -s "$TMP/now/$f" "$PATCHES/$f" || return 1
	done
}

cmd_current() {
	begin
	is_series
	now_in_patches ||
		die "patches/ are not what is on $branch: run 'make refresh${BASE:+ BASE=$BASE}'"
}

cmd_verify() {
	begin
	# shellcheck disable=SC2046 # names
	am_series "$PATCHES" $(series_patches)
	same_patches "$commit" "$PATCHES"
	description "$PATCHES/$cover.txt" "$commit" >/dev/null
	say "patches/ give the tree $want"
}

# Is all that $LINUX holds in patches/, too? The user's own commits are once
# they were refreshed. Another branch, a stash, another work tree, or an edited
# linux-base is work as well.
published() {
	is_clean || return 1
	if has_branch; then
		untouched || {
			on_branch && start=$(first_commit) && now_in_patches
		} || return 1
	fi
	[ -z "$(kgit for-each-ref --format='%(refname)' refs/stash)" ] || return 1
	[ -z "$(kgit rev-list HEAD --branches --not base \
		"$(has_branch && echo "$branch" || echo base)")" ] || return 1
	[ ! -e "$BUILD/linux-base" ] || pristine_base || return 1
	! kgit worktree list --porcelain | sed -n 's/^worktree //p' |
		grep -qvxF -e "$LINUX" -e "$BUILD/linux-base" \
			-e "$BUILD/linux-static" -e "$BUILD/mutants/linux" \
			-e "$BUILD/patches/linux"
}

cmd_clean() {
	exec 4>>"$BUILD/.guests.lock"
	flock -n 4 || die "not while a guest is running: $(holders "$BUILD/.guests.lock")"
	if [ -e "$LINUX" ]; then
		begin
		if published; then
			trap - EXIT
			rm -rf "$LINUX" "$BUILD/linux-base" \
				"$BUILD/linux-static"
		else
			say "kept $LINUX: it holds work that is not in patches/"
		fi
	fi
	# Not the tarball: it is a download, and checked before each use.
	rm -rf "${BUILD:?}/obj" "$BUILD/results" "$BUILD/check" \
		"$BUILD/check-step" "$BUILD"/harness-* "$TMP" "$BUILD/apt.log" "$BUILD/mails" \
		"$BUILD/.kvm" "$BUILD/.trees" "$BUILD/app" \
		"$BUILD/rebase" "$BUILD/mutants" "$BUILD/patches"
}

case ${1:-} in
apply | base | refresh | status | current | verify | clean) "cmd_$1" ;;
*) die "usage: series.sh apply|base|refresh|status|current|verify|clean" ;;
esac
