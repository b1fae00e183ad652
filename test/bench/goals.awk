# SPDX-License-Identifier: GPL-2.0
# The results as a table, and as ratios that have to stay below their goals:
# awk [-v base=mainline] -f goal.awk -f goals.awk bench.tsv latency.tsv
#
# A goal that cannot be computed because a figure is missing counts as missed.
BEGIN { FS = "\t" }

FNR == 1 {
	latency = $3 == "what"
	next
}

latency {
	p50[$1, $2, $3] = $5
	p99[$1, $2, $3] = $6
	longest[$1, $2, $3] = $7
	where[$1, $2, $3] = $8
	if (!($1 in header_of))
		lines = lines sprintf("\n%-18s %-12s %-23s %8s %9s %9s %9s  %s\n",
				      "scenario", "arm", "what", "samples",
				      "p50 us", "p99 us", "max us", "where")
	header_of[$1]
	lines = lines sprintf("%-18s %-12s %-23s %8d %9.3f %9.3f %9.3f  %s\n",
			      $1, $2, $3, $4, $5 / 1e3, $6 / 1e3, $7 / 1e3, $8)
	next
}

{
	at = $1 SUBSEP $2
	asked[at] = $3
	got[at] = $4
	ns[at] = $5
	release_ns[at] = $6
	step[at] = $10
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

# of(FIGURES, SCENARIO, ARM, WHAT) - one from latency.tsv
function of(figures, scenario, arm, what) {
	if (!((scenario, arm, what) in figures))
		missing = missing " " scenario "/" arm "/" what
	return figures[scenario, arm, what]
}

# Chunks that were there and asked for, and not delivered.
function lost(scenario, arm, there) {
	if (!((scenario, arm) in got))
		missing = missing " " scenario "/" arm
	return there - got[scenario, arm]
}

# To map 300 MB of a heap, touch each page, unmap it again
function use(heap) {
	return t("heap", heap "-mmap") + t("heap", heap "-touch") + \
	       t("heap", heap "-munmap")
}

# Chunks that were asked for because they are there
function lost_of_asked(scenario, arm) {
	return lost(scenario, arm, asked[scenario, arm])
}

# How long the cma_mutex is held at most, in ms. It is released between two
# steps, and was seen free at times; either bounds it.
function held(scenario, arm,	most) {
	most = step[scenario, arm]
	if ((scenario, arm, "mutex-held") in longest &&
	    longest[scenario, arm, "mutex-held"] < most)
		most = longest[scenario, arm, "mutex-held"]
	return most / 1e6
}

END {
	printf "%s\n%s", lines, extra
	print "\n                                                                     ratio     goal"
	n = split("fast normal hard", modes, " ")
	for (i = 1; i <= n; i++)
		modes[i] = "bulk-" modes[i]

	for (i = 1; i <= n; i++) {
		m = modes[i]
		goal(1, m " idle / one cma_alloc",
		     ratio(t("idle", m), t("idle", "one")), 1)
		goal(1, m " idle / loop",
		     ratio(t("idle", m), t("idle", "loop")), 1 / 100)
	}

	for (i = 1; i <= n; i++) {
		m = modes[i]
		goal(2, m " loaded / one cma_alloc",
		     ratio(t("loaded", m), t("loaded", "one")), 1.1)
		goal(2, m " loaded / loop",
		     ratio(t("loaded", m), t("loaded", "loop")), 1 / 6)
		goal(2, m " full, chunks lost", lost_of_asked("full", m), 0)
		goal(2, m " full / one cma_alloc",
		     ratio(t("full", m), t("full", "one")), 1.1)
	}

	split("10 25 50 100 170", densities, " ")
	for (d = 1; d <= 5; d++) {
		s = densities[d]
		for (i = 1; i <= n; i++) {
			m = modes[i]
			goal(3, m " pinned-" s ", chunks lost",
			     lost("pinned-" s, m, 4800), 0)
			goal(3, m " pinned-" s " / loop",
			     ratio(t("pinned-" s, m), t("pinned-" s, "loop")),
			     1 / 40)
		}
	}
	split("pinned-1pct pinned-half", patterns, " ")
	for (p = 1; p <= 2; p++) {
		s = patterns[p]
		for (i = 1; i <= n; i++) {
			m = modes[i]
			goal(3, m " " s ", chunks lost", lost_of_asked(s, m), 0)
			goal(3, m " " s " / loop",
			     ratio(t(s, m), t(s, "loop")), 1 / 40)
		}
	}

	for (d = 1; d <= 5; d++) {
		s = densities[d]
		for (i = 1; i <= n; i++) {
			m = modes[i]
			# What cma_alloc() gets out of the same area.
			goal(4, m " short-" s ", chunks lost",
			     lost("short-" s, m, got["short-" s, "loop"]), 0)
			# Waiting for 100 ms is what HARD is for.
			if (m == "bulk-hard")
				goal(4, m " short-" s ", ms",
				     t("short-" s, m) / 1e6, 200)
			else
				goal(4, m " short-" s " / loop",
				     ratio(t("short-" s, m),
					   t("short-" s, "loop")), 1 / 20)
		}
	}

	for (i = 1; i <= n; i++) {
		m = modes[i]
		for (load = 0; load < 2; load++) {
			s = load ? "scale-loaded-" : "scale-"
			for (c = 600; c < 9600; c *= 2)
				goal(5, m " " s c * 2 " / " s c,
				     ratio(t(s c * 2, m), t(s c, m)), 2.2)
		}
	}

	for (at in ns) {
		split(at, k, SUBSEP)
		if (k[1] == "heap" && k[2] ~ /chunked.*-alloc$/)
			heap = substr(k[2], 1, length(k[2]) - length("-alloc"))
	}
	goal(6, "chunk heap, ms beyond clearing the memory",
	     (t("heap", heap "-alloc") - t("clear", "clear")) / 1e6, 10)
	goal(6, "chunk heap / system heap",
	     ratio(t("heap", heap "-alloc"), t("heap", "system-alloc")), 1.1)
	goal(6, "chunk heap / CMA heap",
	     ratio(t("heap", heap "-alloc"), t("heap", "reserved-alloc")), 1.05)

	# Mainline's system heap maps an entry at once, too.
	if (base != "mainline")
		goal(7, "mmap, touch and munmap, chunk heap / system heap",
		     ratio(use(heap), use("system")), 0.25)

	for (i = 1; i <= 2; i++) {
		m = modes[i]
		goal(8, m " crowded, chunks lost",
		     lost("crowded", m, 4800), 0)
	}
	# Here, pages have to move within the area.
	goal(8, "bulk-normal crowded-short, chunks lost",
	     lost("crowded-short", "bulk-normal", 4000), 0)

	# One call is of no use where there are pins: compare with it idle. With
	# too few chunks, a per-CPU list is drained. Where pages are migrated, it
	# is the page allocator in both that has interrupts off for longest.
	split("idle loaded full pinned-50 short-50", states, " ")
	split("irqs preemption", offs, " ")
	split("alloc release", phases, " ")
	for (s = 1; s <= 5; s++) {
		one = states[s] ~ /^(pinned|short)/ ? "idle" : states[s]
		for (o = 1; o <= 2; o++) {
			for (p = 1; p <= 2; p++) {
				what = phases[p] "-" offs[o] "-off"
				for (i = 1; i <= n; i++) {
					m = modes[i]
					if (states[s] ~ /^short/)
						goal(9, m " " states[s] " " \
						     what ", us",
						     of(longest, states[s], m,
							what) / 1e3, 50)
					else
						goal(9, m " " states[s] " " \
						     what " / one " one,
						     ratio(of(longest,
							      states[s], m,
							      what),
							   of(longest, one,
							      "one", what)),
						     1.05)
					if (bad)
						print "            in " \
						      where[states[s], m, what]
				}
			}
		}
	}

	for (at in step) {
		split(at, k, SUBSEP)
		if (k[2] ~ /^bulk/ && held(k[1], k[2]) > worst[k[2]]) {
			worst[k[2]] = held(k[1], k[2])
			worst_in[k[2]] = k[1]
		}
	}
	for (i = 1; i <= n; i++) {
		for (d = 1; d <= 5; d++) {
			s = "short-" densities[d]
			if (modes[i] == "bulk-hard")
				of(longest, s, modes[i], "mutex-held")
		}
		goal(10, modes[i] " holds the cma_mutex at most, ms, in " \
		     worst_in[modes[i]], worst[modes[i]], 10)
	}
	# Nobody waits for the disk with it, which takes 20 ms for a page. Which
	# pages are in a step, and so how long it takes, is not the same in both.
	for (i = 1; i <= n; i++)
		goal(10, modes[i] " disk, beyond full, ms",
		     (of(longest, "disk", modes[i], "mutex-held") - \
		      of(longest, "full", modes[i], "mutex-held")) / 1e6, 5)
	# Is it the right mutex? One call holds it from beginning to end.
	goal(10, "one loaded / time that the cma_mutex is held",
	     ratio(t("loaded", "one"),
		   of(longest, "loaded", "one", "mutex-held")), 1)

	split("bystanders-idle bystanders-loaded", states, " ")
	split("page-fault page-cache", ops, " ")
	for (s = 1; s <= 2; s++) {
		for (o = 1; o <= 2; o++) {
			what = "bulk-fast " states[s] " " ops[o]
			goal(11, what ", p50 / none",
			     ratio(of(p50, states[s], "bulk-fast", ops[o]),
				   of(p50, states[s], "none", ops[o])), 1.1)
			goal(11, what ", p99 / none",
			     ratio(of(p99, states[s], "bulk-fast", ops[o]),
				   of(p99, states[s], "none", ops[o])), 1.1)
		}
	}

	# Mainline frees what cma_alloc() gave as fast as chunks.
	for (i = 1; i <= n && base != "mainline"; i++)
		goal(12, modes[i] " idle, release / loop",
		     ratio(release_ns["idle", modes[i]],
			   release_ns["idle", "loop"]), 1 / 5)

	split("idle loaded", states, " ")
	for (s = 1; s <= 2; s++) {
		r = "rivals-" states[s]
		goal(13, r ", chunks lost by the first",
		     lost(r, "first", 2400), 0)
		goal(13, r ", chunks lost by the second",
		     lost(r, "second", 2400), 0)
		# Each has half of the work: neither waits for all of the other's.
		slower = t(r, "first") > t(r, "second") ? \
			 t(r, "first") : t(r, "second")
		goal(13, r ", the slower / both one after the other",
		     ratio(slower, t(states[s], "bulk-normal")), 1.2)
	}
	goal(13, "rivals-loop, chunks lost by cma_alloc",
	     lost("rivals-loop", "second-loop", 64), 0)

	printf "\n%d of %d goals met\n", goals - missed, goals
	exit missed != 0
}
