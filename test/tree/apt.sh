# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced after lib.sh: packages of Debian that the machine does not install.
# apt works in directories of ours: no root, and the machine's own lists stay
# as they are.

# apt_sources TYPE SUITE DIR - the machine's own entry for Debian, as a source
# of SUITE's packages: same mirror, same key, same options. TYPE is deb, or
# deb-src for source packages.
apt_sources() {
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && [ "$ID" = debian ] &&
		echo "${VERSION_CODENAME:-sid}") || return 1
	case $2 in
	*-security) like="($codename|(old)*stable)(-security|/updates)" ;;
	*) like="($codename|(old)*stable|testing|unstable|sid)" ;;
	esac
	etc=${APT_ETC:-/etc/apt}
	for list in "$etc"/sources.list "$etc"/sources.list.d/*.list; do
		[ -f "$list" ] || continue
		sed -E -n "s#^deb +(\[[^]]*\] +)?([^ ]+) +$like +.*#$1 \1\2 $2 main#p" \
			"$list"
	done | sed -E 's/arch=[^] ]* *//' |
		head -n 1 >"$3/debian.list"
	for list in "$etc"/sources.list.d/*.sources; do
		[ -f "$list" ] || continue
		# Paragraphs; a comment line or another field splits nothing.
		awk -v like="^$like\$" -v suite="$2" -v type="$1" '
		function flush(  i) {
			if (deb && hit && !off && !done++) {
				print "Types: " type "\nSuites: " suite "\nComponents: main"
				for (i = 1; i <= n; i++)
					print keep[i]
			}
			n = deb = hit = off = 0
		}
		/^#/ { next }
		/^[ \t]*$/ { flush(); next }
		/^[^ \t]/ { field = tolower($1) }
		field == "types:" { if ($0 ~ /[ \t]deb([ \t]|$)/) deb = 1; next }
		field == "suites:" {
			for (i = 1; i <= NF; i++)
				if ($i ~ like)
					hit = 1
			next
		}
		field == "enabled:" { off = $2 == "no"; next }
		field == "components:" || field == "architectures:" { next }
		{ keep[++n] = $0 }
		END { flush() }' "$list"
		echo
	done >"$3/debian.sources"
	grep -q . "$3/debian.list" "$3/debian.sources"
}

# apt_begin DIR TYPE SUITE [ARCH] - apt_get works in DIR from now on
apt_begin() {
	apt=$1
	rm -rf "$apt"
	mkdir -p "$apt/sources" "$apt/lists/partial" \
		"$apt/cache/archives/partial" "$apt/get"
	apt_arch=${4:-}
	apt_sources "$2" "$3" "$apt/sources"
}

# apt_get ARG... - what it fetches is left in get/, what it says in log
apt_get() {
	(cd "$apt/get" && apt-get -qq -o Dir::Etc::sourcelist=/dev/null \
		-o Dir::Etc::sourceparts="$apt/sources" \
		-o Dir::State::lists="$apt/lists" \
		-o Dir::Cache="$apt/cache" \
		${apt_arch:+-o APT::Architecture=$apt_arch} \
		-o APT::Sandbox::User=root \
		-o Acquire::Retries=2 -o Acquire::http::Timeout=20 \
		"$@") >>"$apt/log" 2>&1 </dev/null
}

# apt_fetch DIR TYPE SUITE ARCH ARG... - apt_get ARG... in DIR, or one line and the
# end. No ARCH is the machine's own.
apt_fetch() {
	apt_begin "$1" "$2" "$3" "$4" ||
		die "apt's sources name no mirror of Debian"
	from=$3
	shift 4
	apt_get update || true
	apt_get "$@" || die "cannot fetch from Debian's $from, by apt-get $*: $(
		grep '^E:' "$apt/log" | tail -n 1)"
}
