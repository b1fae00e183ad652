# SPDX-License-Identifier: GPL-2.0
# drift.awk - what a run measures and docs/bench.tsv does not say, exit 1
#
#   awk -f drift.awk KEPT.tsv RUN.tsv
#   awk -v time=no -f drift.awk KEPT.tsv RUN.tsv    only chunks asked and got
#
# Counts have to be the same. For times there are 2 %, and 20 us, since the
# timer's interrupt takes 10 us and hits another step each time. Two runs of one
# kernel agree to that, but for two things. Single pages are released through
# the per-CPU lists, which adapt to what was before, and that differs by 5 %:
# there are 10 % for it. Which of two rivals waits for the other is not the same
# twice: theirs are not compared. Nor is the longest step of the loop between
# pins, which depends on who else uses the memory when it drains the machine.
#
# Where the loop would take hours, it is ended after a second: then the time says
# how many chunks it gets, and they are not compared without it.
BEGIN { FS = "\t" }

FNR == 1 {
	nr_columns = split($0, column)
	next
}

FILENAME == ARGV[1] {
	for (i = 3; i <= NF; i++)
		kept[$1, $2, column[i]] = $i
	rows[$1 SUBSEP $2] = $1 " " $2
	next
}

!(($1 SUBSEP $2) in rows) {
	drifted($1 " " $2, "not there", "measured")
	next
}

{
	delete rows[$1 SUBSEP $2]
	for (i = 3; i <= nr_columns; i++) {
		is = kept[$1, $2, column[i]]
		off = $i > is ? $i - is : is - $i
		ended = $2 == "loop" && column[i] ~ /^(got|steps)$/ && \
			kept[$1, $2, "got"] < 0.9 * kept[$1, $2, "asked"]
		if (ended) {
			bad = time != "no" && off > is * 0.02
		} else if (column[i] !~ /ns$/) {
			exact = time != "no" || column[i] ~ /^(asked|got)$/
			bad = exact && $i != is
		} else {
			singly = column[i] == "release_ns" &&
				 $2 ~ /^(loop|one)$/
			loose = $1 ~ /^rivals/ || \
				column[i] == "max_ns" && $2 == "loop"
			bad = time != "no" && !loose &&
			      off > is * (singly ? 0.1 : 0.02) + 20000
		}
		if (bad)
			drifted($1 " " $2 ", " column[i], is, $i)
	}
}

function drifted(what, old, new) {
	printf "%s: %s: %s, now %s\n", ARGV[1], what, old, new
	count++
}

END {
	for (at in rows)
		drifted(rows[at], "there", "not measured")
	exit count != 0
}
