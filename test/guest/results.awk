# SPDX-License-Identifier: GPL-2.0
#
# awk [-v report=FILE] -f results.awk PLAN KTAP
#
# The judge of a run: holds what the tests have said, line by line, and how they
# ended, which the guest's init passes on, against the plan that it was given.
# Prints NAME, "ok" or "not ok", the number of results and the reason, separated
# by tabs, for each test of the plan in its order; exits with 1 unless all of
# them are ok. Writes into FILE what report.awk makes a report of: each test as a
# suite, and each of its results as a case. Where no case failed and the test did,
# it has a case of its own name.

BEGIN { FS = "[ \t]+"; OFS = "\t" }

FILENAME == ARGV[1] {
	name[++planned] = $1
	expect[planned] = $2
	# 46+1: as many are ok, and as many skipped
	if (split($2, words, "+") == 2) {
		expect[planned] = words[1] + words[2]
		to_skip[planned] = words[2]
	}
	next
}

FNR == 1 {
	if ($0 != "KTAP version 1")
		broken = "not KTAP"
	next
}
FNR == 2 {
	if ($0 !~ /^1\.\.[0-9]+$/)
		broken = "no plan"
	else if (substr($0, 4) + 0 != planned)
		broken = "its plan is " $0 " and not 1.." planned
	next
}

/^# [0-9]+ ms$/ { seconds[reported + 1] = $2 / 1000; next }
/^(not )?ok [0-9]+ / { end_of_test(); next }
/^    / { line_of_test(substr($0, 5)); next }

function line_of_test(line) {
	if (line ~ /^(not )?ok [0-9]+( |$)/) {
		add_case(line)
		result(line)
		return
	}
	said = said line "\n"
	if (line ~ /^1\.\.[0-9]+/) {
		subplan = substr(line, 4) + 0
		has_plan++
		if (match(toupper(line), /# *SKIP */))
			skip_why = ": " substr(line, RSTART + RLENGTH)
	} else if (line ~ /^Bail out!/) {
		bailed_out = ": " substr(line, 11)
	}
}

# What a case has to say comes before its result.
function add_case(line,  title, text, n, i) {
	title = line
	sub(/^(not )?ok [0-9]+ *(- )?/, "", title)
	sub(/ +# .*/, "", title)
	cases = cases "case\t" title "\n"
	if (line ~ /^not/) {
		cases = cases "fail\t" line "\n"
		n = split(said, text, "\n") - 1
		for (i = n > 30 ? n - 29 : 1; i <= n; i++)
			cases = cases "text\t" text[i] "\n"
	}
	said = ""
}

# A "#" within a description is legal for kselftest, and a directive for other
# parsers; "ok 3 # SKIP why" has no description at all.
function result(line,  ok, num) {
	results++
	ok = sub(/^ok /, "", line)
	if (!ok)
		sub(/^not ok /, "", line)
	num = line + 0
	if (num != results && misnumbered == "")
		misnumbered = "result " results " has the number " num
	sub(/^[0-9]+[ -]*/, "", line)
	if (match(toupper(line), /# *(SKIP|TODO|XFAIL|XPASS|TIMEOUT)/)) {
		if (toupper(substr(line, RSTART)) ~ /^# *SKIP/)
			skipped++
		else if (ok)
			excused++
	} else if (!ok && !bad++) {
		sub(/ +$/, "", line)
		first_bad = line == "" ? "unnamed" : line
	}
}

# What has gone wrong, of that what says most; END is how the test ended.
function why(i, end) {
	if (bad)
		return bad " of " results " failed: " first_bad \
			(end == "" ? "" : " (" end ")")
	if (bailed_out != "")
		return "bailed out" bailed_out
	if (end != "")
		return end (end == "skipped" ? skip_why : "")
	if (skipped + 0 != to_skip[i] + 0)
		return skipped + 0 " of " results " skipped"
	if (excused)
		return excused " of " results " expected to fail"
	if (misnumbered != "")
		return misnumbered
	if (expect[i] == "-")
		return ""
	if (!has_plan)
		return "no plan"
	if (has_plan > 1)
		return "more than one plan"
	if (subplan != results)
		return "planned " subplan " results, gave " results + 0
	if (expect[i] != results)
		return "expected " expect[i] " results, saw " results + 0
	return ""
}

function end_of_test(  i, ok, num, end) {
	i = reported + 1
	ok = $1 == "ok"
	num = ok ? $2 : $3
	end = ""
	if (!ok || $0 ~ / # SKIP/) {
		end = $0
		if (!sub(/^[^#]*# /, "", end))
			end = "failed"
		if (ok)
			end = "skipped"
	}
	if (num != i || (ok ? $3 : $4) != name[i])
		broken = "result " i " is of " (ok ? $3 : $4) \
			" and not of " name[i]
	reason[i] = why(i, end)
	count[i] = results + 0
	of[i] = cases
	reported = i
	results = bad = skipped = excused = has_plan = 0
	misnumbered = skip_why = bailed_out = said = cases = ""
}

function add_suite(i) {
	print "suite", name[i], seconds[i] + 0 >report
	printf "%s", of[i] >report
	if (reason[i] == "" ? of[i] != "" : of[i] ~ /(^|\n)fail\t/)
		return
	print "case", name[i] >report
	if (reason[i] != "")
		print "fail", reason[i] >report
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
		if (report != "")
			add_suite(i)
	}
	exit !planned || failed > 0
}
