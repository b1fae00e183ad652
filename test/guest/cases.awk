# SPDX-License-Identifier: GPL-2.0
#
# awk -f cases.awk SERIAL-LOG RESULTS KTAP
#
# What a run in a guest was made of, for report.awk: each test of the plan as a
# suite, and each result that it reported as a case. The verdict on a test is
# that of RESULTS, which results.awk wrote: where no case of the test failed and
# the test did, it has a case of its own name.

BEGIN { OFS = "\t" }

{ sub(/\r$/, "") }

FILENAME == ARGV[1] {
	if (match($0, /harness: end [^ ]+ [0-9]+ ms$/)) {
		split(substr($0, RSTART), word, " ")
		seconds[word[3]] = word[4] / 1000
	}
	next
}

FILENAME == ARGV[2] {
	split($0, field, "\t")
	name[++tests] = field[1]
	ok[tests] = field[2] == "ok"
	why[tests] = field[4]
	next
}

# What a case has to say comes before its result.
/^ +(not )?ok [0-9]+/ && /^    [no]/ {
	text = $0
	sub(/^ +(not )?ok [0-9]+ *(- )?/, "", text)
	sub(/ +# .*/, "", text)
	title[++cases] = text
	bad[cases] = $1 != "ok"
	said[cases] = bad[cases] ? lines : ""
	whole[cases] = $0
	lines = ""
	next
}

/^(not )?ok [0-9]+ / {
	test = $1 == "ok" ? $3 : $4
	first[test] = begun + 1
	last[test] = begun = cases
	lines = ""
	next
}

{ lines = lines $0 "\n" }

END {
	for (i = 1; i <= tests; i++) {
		t = name[i]
		print "suite", t, seconds[t] + 0
		failed = 0
		for (c = first[t]; c && c <= last[t]; c++) {
			print "case", title[c]
			if (!bad[c])
				continue
			failed++
			sub(/^ +/, "", whole[c])
			print "fail", whole[c]
			n = split(said[c], line, "\n") - 1
			for (l = n > 30 ? n - 29 : 1; l <= n; l++)
				print "text", line[l]
		}
		if (ok[i] ? c > first[t] : failed)
			continue
		print "case", t
		if (!ok[i])
			print "fail", why[i]
	}
}
