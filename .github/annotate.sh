#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# annotate.sh RESULTS.TAP... - what failed, as GitHub's annotations
#
# A run that wrote none is one, too. The workflows call this.
set -eu
for tap in "$@"; do
	if [ ! -s "$tap" ]; then
		echo "::error title=no results::$tap was not written"
		continue
	fi
	awk '
	function flush() {
		if (name != "")
			printf "::error title=%s::%s\n", name, why
		name = why = ""
	}
	{ gsub(/%/, "%25") }
	/^(not )?ok / { flush() }
	sub(/^not ok [0-9]* - /, "") {
		gsub(/:/, "%3A"); gsub(/,/, "%2C")
		name = $0
		next
	}
	name != "" && sub(/^# /, "") { why = why (why == "" ? "" : "%0A") $0 }
	END { flush() }' "$tap"
done
