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
	# shellcheck disable=SC2016 # apt's own
	entry=$(apt-get ${APT_ETC:+-o Dir::Etc="$APT_ETC"} indextargets --no-release-info \
		--format '$(TARGET_OF) $(RELEASE) $(SOURCESENTRY)' 2>/dev/null |
		grep -m 1 -E "^deb $like ") || return 1
	nr=${entry##*:} list=${entry##* }
	list=${list%:*}
	case $list in
	*.list)
		sed -n "${nr}p" "$list" | sed -E -e 's/arch=[^] ]* *//' \
			-e "s#^deb +(\[[^]]*\] +)?([^ ]+) .*#$1 \1\2 $2 main#" \
			>"$3/debian.list" ;;
	*)
		# The paragraph of that number. What one field says may be in several lines.
		{
			printf '%s\n' "Types: $1" "Suites: $2" 'Components: main'
			sed '/^#/d' "$list" | awk -v RS= -v nr="$nr" 'NR == nr' | awk '
			/^[^ \t]/ { dropped = tolower($1) ~ \
				/^(types|suites|components|architectures|enabled):/ }
			!dropped'
		} >"$3/debian.sources" ;;
	esac
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
	command -v apt-get >/dev/null || die "no apt-get to fetch from Debian's $3 with"
	apt_begin "$1" "$2" "$3" "$4" ||
		die "apt's sources name no mirror of Debian"
	from=$3
	shift 4
	apt_get update || true
	apt_get "$@" || die "cannot fetch from Debian's $from, by apt-get $*: $(
		grep '^E:' "$apt/log" | tail -n 1)"
}
