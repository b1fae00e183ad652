# SPDX-License-Identifier: GPL-2.0
# What goals.awk and load-goals.awk share.

# goal(NUMBER, WHAT, VALUE, LIMIT) - VALUE may not be above LIMIT, and what it
# is computed from may not be missing
function goal(nr, what, value, limit) {
	goals++
	bad = missing != "" || value > limit
	missed += bad
	printf "%s  %2s  %-58s %8.3f  <= %g%s\n", bad ? "MISSED" : "met   ", nr,
	       what, value, limit,
	       missing != "" ? ", no figure for" missing : ""
	missing = ""
}

function ratio(a, b) { return b ? a / b : 1e9 }
