# SPDX-License-Identifier: GPL-2.0
#
# awk -v junit=FILE -v tap=FILE -f report.awk
#
# Writes what any CI reads, from lines on stdin whose fields tabs separate:
#
#   suite NAME [SECONDS]
#   case NAME [SECONDS]   one of this suite
#   fail MESSAGE          it failed
#   text LINE             and what it has said

# Only what an XML file may hold, in any encoding.
function xml(s) {
	gsub(/[^\t\n -~]/, "?", s)
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	gsub(/>/, "\\&gt;", s)
	gsub(/"/, "\\&quot;", s)
	return s
}

BEGIN { FS = "\t" }

$1 == "suite" { suite[++suites] = $2; took[suites] = $3 + 0 }

$1 == "case" {
	of[++cases] = suites
	name[cases] = $2
	seconds[cases] = $3
	in_suite[suites]++
}

$1 == "fail" && !(cases in message) {
	message[cases] = substr($0, 6)
	failed[of[cases]]++
	all_failed++
}

$1 == "text" { text[cases] = text[cases] substr($0, 6) "\n" }

# Opens a suite where one begins, and closes it where it ends.
function to_junit(c,  s, time) {
	s = of[c]
	if (s != of[c - 1])
		printf "<testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" time=\"%.3f\">\n",
			xml(suite[s]), in_suite[s], failed[s], took[s] >junit
	if (seconds[c] != "")
		time = sprintf(" time=\"%.3f\"", seconds[c])
	printf "<testcase classname=\"%s\" name=\"%s\"%s>",
		xml(suite[s]), xml(name[c]), time >junit
	if (c in message)
		printf "<failure message=\"%s\">%s</failure>",
			xml(message[c]), xml(text[c]) >junit
	print "</testcase>" >junit
	if (s != of[c + 1])
		print "</testsuite>" >junit
}

function to_tap(c,  title, said, n, line, i) {
	title = suite[of[c]]
	if (name[c] != title)
		title = title ": " name[c]
	gsub(/#/, "\\\\#", title) # it would begin a directive
	if (!(c in message)) {
		print "ok " c " - " title >tap
		return
	}
	print "not ok " c " - " title >tap
	n = split(message[c] "\n" text[c], line, "\n")
	for (i = 1; i < n; i++)
		print "# " line[i] >tap
}

END {
	print "<?xml version=\"1.0\" encoding=\"UTF-8\"?>" >junit
	printf "<testsuites tests=\"%d\" failures=\"%d\">\n", cases,
		all_failed >junit
	print "TAP version 13\n1.." cases + 0 >tap
	for (c = 1; c <= cases; c++) {
		to_junit(c)
		to_tap(c)
	}
	print "</testsuites>" >junit
}
