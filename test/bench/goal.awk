# SPDX-License-Identifier: GPL-2.0
# What goals.awk and load-goals.awk share.

# goal(NUMBER, WHAT, VALUE, LIMIT) - VALUE may not be above LIMIT, and what it
# is computed from may not be missing
function goal(nr, what, value, limit) {
	goals++
	bad = missing != "" || value > limit
	missed += bad
	line = sprintf("%s  %2s  %-58s %8.3f  <= %g%s\n",
		       bad ? "MISSED" : "met   ", nr, what, value, limit,
		       missing != "" ? ", no figure for" missing : "")
	printf "%s", line
	if (bad)
		again = again line
	missing = ""
}

function ratio(a, b) { return b ? a / b : 1e9 }

# Those missed once more, where the end of a log is all that is seen.
function summary() { printf "\n%d of %d goals met\n%s", goals - missed, goals, again }
