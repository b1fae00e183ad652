# SPDX-License-Identifier: GPL-2.0
# load.tsv as a table, and the goals. "rows" names all lines that have to be
# there, as LOAD/HEAP/MB: one that is missing is a goal missed. Without, it is
# the table only.
# awk -v rows="LOAD/HEAP/MB..." -f goal.awk -f load-goals.awk load.tsv
#
# The CMA heap stalls where a request of its takes longer than STALL ms per MB:
# to clear the memory takes a third of one. Under writeback, memory is reclaimed
# for each request, which costs all heaps the same: what they take for that where
# nothing is written ("cache") is no part of a stall.
BEGIN {
	FS = "\t"
	STALL = 5
}

function beyond(at,  cache) {
	cache = at
	sub(/^[^\/]*/, "cache", cache)
	if (!(cache in p50))
		missing = missing " " cache
	return p99[at] - p50[cache]
}

FNR == 1 { next }

{
	at = $1 "/" $2 "/" $3
	asked[at] = $4
	got[at] = $5
	p50[at] = $6
	p99[at] = $7
	worst[at] = $8
	cpu[at] = $9
	busy[at] = $10
	rest[at] = $11
	held[at] = $14
	if (!header++)
		printf "%-13s %-7s %4s %5s %5s %8s %8s %8s %7s %9s %9s %8s %6s %5s\n",
		       "load", "heap", "MB", "asked", "got", "p50 ms",
		       "p99 ms", "max ms", "CPU ms", "work/s", "in pauses",
		       "migrated", "used", "held"
	if ($1 != last)
		print ""
	last = $1
	printf "%-13s %-7s %4d %5d %5d %8.1f %8.1f %8.1f %7.1f %9.0f %9.0f %8d %6d %5d\n",
	       $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14
}

END {
	print ""
	n = split(rows, expected, " ")
	for (i = 1; i <= n; i++) {
		at = expected[i]
		split(at, k, "/")
		if (!asked[at]) {
			missing = " " at
			goal("", "requests", 0, 0)
			continue
		}
		# Without the load, the figures say nothing.
		if (rest[at] <= 0)
			goal("", at ", loads that do nothing", 1, 0)
		if (k[1] ~ /^(pipes|writeback)/ && k[2] != "system" && !held[at])
			goal("", at ", loads that leave the area alone", 1, 0)
		if (k[2] != "chunk")
			continue
		what = k[1] " " k[3] " MB, "
		goal("", what "requests that failed", asked[at] - got[at], 0)
		cma = k[1] "/cma/" k[3]
		if (!(cma in asked))
			continue
		stalls = worst[cma] > STALL * k[3]
		if (stalls && k[1] == "writeback")
			goal("", what "p99 / CMA heap's, both beyond cache's p50",
			     ratio(beyond(at), beyond(cma)), 0.25)
		if (stalls)
			goal("", what "p99 / CMA heap's", ratio(p99[at], p99[cma]),
			     k[1] == "writeback" ? 0.45 : 0.25)
		if (asked[cma] > got[cma])
			continue
		goal("", what "CPU time / CMA heap's",
		     ratio(cpu[at], cpu[cma]), 1.2)
		if (k[1] ~ /-preempt$/)
			goal("", what "p50 / CMA heap's",
			     ratio(p50[at], p50[cma]), 1.2)
	}
	if (n)
		summary()
	exit n && (!goals || missed)
}
