# SPDX-License-Identifier: GPL-2.0
#
# awk -f results.awk PLAN KTAP
#
# Holds what the guest has reported against the plan that it was given, and
# believes neither a count nor an "ok" of the guest: results are counted here
# again. Prints NAME, "ok" or "not ok", the number of results and the reason,
# separated by tabs, for each test of the plan in its order; exits with 1
# unless all of them are ok.
#
# kunit.py parse reads the same file, but takes a failed parent with passing
# children for a success and knows no numbers to expect.

BEGIN { FS = "[ \t]+"; OFS = "\t" }

FILENAME == ARGV[1] {
	if ($0 ~ /^[ \t]*(#|$)/)
		next
	name[++planned] = $1
	expect[planned] = $2
	next
}

FNR == 1 && $0 != "KTAP version 1" { broken = "not KTAP" }
FNR == 2 {
	if ($0 !~ /^1\.\.[0-9]+$/)
		broken = "no plan"
	else if (substr($0, 4) + 0 != planned)
		broken = "its plan is " $0 " and not 1.." planned
}

/^    (not )?ok [0-9]+( |$)/ {
	results++
	if (($2 == "ok" ? $3 : $4) != results && misnumbered == "")
		misnumbered = "result " results " has the number " \
			($2 == "ok" ? $3 : $4)
	if ($2 != "ok")
		bad++
	else if ($0 ~ / # *[Ss][Kk][Ii][Pp]/)
		skipped++
	else if (match(toupper($0), / # *(TODO|XFAIL|XPASS|TIMEOUT)/))
		excused++
	next
}

/^    1\.\.[0-9]+/ { subplan = substr($0, 8) + 0; has_subplan++; next }

/^(not )?ok [0-9]+ / {
	i = ++reported
	num = $1 == "ok" ? $2 : $3
	nm = $1 == "ok" ? $3 : $4
	why = ""
	if ($1 != "ok") {
		why = $0
		if (!sub(/^[^#]*# /, "", why))
			why = "failed"
	}
	if (num != i || nm != name[i])
		broken = "result " i " is of " nm " and not of " name[i]
	if (why == "" && bad)
		why = bad " results are not ok"
	if (why == "" && skipped)
		why = skipped " results are skipped"
	if (why == "" && excused)
		why = excused " results are expected to fail"
	if (why == "" && misnumbered != "")
		why = misnumbered
	if (why == "" && $0 ~ / # SKIP/)
		why = "skipped"
	if (expect[i] != "-") {
		if (why == "" && results != expect[i] + 0)
			why = "expected " expect[i] " results, saw " results + 0
		if (why == "" && (has_subplan != 1 || subplan != results))
			why = "its plan does not fit its results"
	}
	reason[i] = why
	count[i] = results + 0
	results = bad = skipped = excused = has_subplan = 0
	misnumbered = ""
}

END {
	for (i = 1; i <= planned; i++) {
		if (i > reported)
			reason[i] = "no result"
		if (broken != "" && reason[i] == "")
			reason[i] = broken
		if (reason[i] != "")
			failed++
		print name[i], (reason[i] == "" ? "ok" : "not ok"),
			count[i] + 0, reason[i]
	}
	exit !planned || failed > 0
}
