# SPDX-License-Identifier: GPL-2.0
# The results as a table, and as ratios that have to stay below their goals.
#
# A goal that cannot be computed because a figure is missing counts as missed.
BEGIN { FS = "\t" }

FNR == 1 { next }

{
	at = $1 SUBSEP $2
	asked[at] = $3
	got[at] = $4
	ns[at] = $5
	migrated[at] = $11
	in_the_way[at] = $12
	if ($1 == "heap" || $1 == "clear") {
		extra = extra sprintf("%-31s %9.3f ms\n", $1 " " $2, $5 / 1e6)
		next
	}
	if (!header++)
		printf "%-18s %-12s %6s %6s %9s %9s %6s %9s %9s %9s %8s %8s\n",
		       "scenario", "arm", "asked", "got", "ms", "release",
		       "steps", "p50 ms", "p99 ms", "max ms", "migrated",
		       "in way"
	if ($1 != last)
		print ""
	last = $1
	printf "%-18s %-12s %6d %6d %9.3f %9.3f %6d %9.3f %9.3f %9.3f %8d %8d\n",
	       $1, $2, $3, $4, $5 / 1e6, $6 / 1e6, $7, $8 / 1e6, $9 / 1e6,
	       $10 / 1e6, $11, $12
}

function t(scenario, arm) {
	if (!((scenario, arm) in ns))
		missing = missing " " scenario "/" arm
	return ns[scenario, arm]
}

# goal(NUMBER, WHAT, VALUE, LIMIT) - VALUE may not be above LIMIT
function goal(nr, what, value, limit) {
	goals++
	bad = missing != "" || value > limit
	missed += bad
	printf "%s  %s  %-58s %8.3f  <= %g%s\n", bad ? "MISSED" : "met   ", nr,
	       what, value, limit,
	       missing != "" ? ", no figure for" missing : ""
	missing = ""
}

function ratio(a, b) { return b ? a / b : 1e9 }

# Chunks that were there and asked for, and not delivered.
function lost(scenario, arm, there) {
	if (!((scenario, arm) in got))
		missing = missing " " scenario "/" arm
	return there - got[scenario, arm]
}

END {
	printf "\n%s", extra
	print "\n                                                                     ratio     goal"
	n = split("fast normal hard", modes, " ")
	for (i = 1; i <= n; i++) {
		m = "bulk-" modes[i]
		goal(1, m " idle / one cma_alloc",
		     ratio(t("idle", m), t("idle", "one")), 1.5)
		goal(1, m " idle / loop",
		     ratio(t("idle", m), t("idle", "loop")), 1 / 100)
		goal(2, m " loaded / one cma_alloc",
		     ratio(t("loaded", m), t("loaded", "one")), 1.1)
		goal(2, m " loaded / loop",
		     ratio(t("loaded", m), t("loaded", "loop")), 1 / 10)
	}
	split("10 25 50 100 170", densities, " ")
	for (d = 1; d <= 5; d++) {
		s = densities[d]
		for (i = 1; i <= n; i++) {
			m = "bulk-" modes[i]
			goal(3, m " pinned-" s ", chunks lost",
			     lost("pinned-" s, m, 4800), 0)
			goal(3, m " pinned-" s " / loop",
			     ratio(t("pinned-" s, m), t("pinned-" s, "loop")),
			     1 / 40)
			# What cma_alloc() gets out of the same area.
			goal(4, m " short-" s ", chunks lost",
			     lost("short-" s, m, got["short-" s, "loop"]), 0)
			# Waiting for 100 ms is what HARD is for.
			if (m == "bulk-hard")
				goal(4, m " short-" s ", ms",
				     t("short-" s, m) / 1e6, 130)
			else
				goal(4, m " short-" s " / the same pins, enough",
				     ratio(t("short-" s, m),
					   t("pinned-" s, m)), 2)
		}
	}
	for (i = 1; i <= n; i++) {
		m = "bulk-" modes[i]
		for (load = 0; load < 2; load++) {
			s = load ? "scale-loaded-" : "scale-"
			for (c = 600; c < 9600; c *= 2)
				goal(5, m " " s c * 2 " / " s c,
				     ratio(t(s c * 2, m), t(s c, m)), 2.2)
		}
	}
	for (at in ns) {
		split(at, k, SUBSEP)
		if (k[1] == "heap" && k[2] ~ /contiguous.*-alloc$/)
			heap = k[2]
	}
	goal(6, "heap " heap ", ms beyond clearing the memory",
	     (t("heap", heap) - t("clear", "clear")) / 1e6, 10)
	split("idle loaded", states, " ")
	for (s = 1; s <= 2; s++) {
		r = "rivals-" states[s]
		goal(7, r ", chunks lost by the first",
		     lost(r, "first", 2400), 0)
		goal(7, r ", chunks lost by the second",
		     lost(r, "second", 2400), 0)
		# Each has half of the work: neither waits for all of the other's.
		worst = t(r, "first") > t(r, "second") ? \
			t(r, "first") : t(r, "second")
		goal(7, r ", the slower / both one after the other",
		     ratio(worst, t(states[s], "bulk-normal")), 1.2)
	}
	goal(7, "rivals-loop, chunks lost by cma_alloc",
	     lost("rivals-loop", "second-loop", 64), 0)
	for (i = 1; i <= 2; i++) {
		m = "bulk-" modes[i]
		goal(8, m " crowded, chunks lost",
		     lost("crowded", m, 4800), 0)
		goal(8, m " crowded, pages migrated / in the way",
		     ratio(migrated["crowded", m], in_the_way["crowded", m]),
		     1.1)
	}
	# Here, pages have to move within the area.
	goal(8, "bulk-normal crowded-short, chunks lost",
	     lost("crowded-short", "bulk-normal", 4000), 0)
	goal(8, "bulk-normal crowded-short, pages migrated / in the way",
	     ratio(migrated["crowded-short", "bulk-normal"],
		   in_the_way["crowded-short", "bulk-normal"]), 1.1)
	printf "\n%d of %d goals met\n", goals - missed, goals
	exit missed != 0
}
