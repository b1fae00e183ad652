# SPDX-License-Identifier: GPL-2.0
#
# awk -f splats.awk PLAN SERIAL-LOG
#
# Prints one line for each thing in the console log that a healthy kernel
# does not say, with the test during which it was said, and exits with 1 if
# there was one. The plan's "allow" lines name the WARNs that a test provokes
# on purpose; one that does not appear is reported as well, so that the list
# cannot outlive its reason.

function report(text) {
	print text (test == "" ? "" : " (in " test ")")
	found++
}

FILENAME == ARGV[1] {
	if ($1 == "allow") {
		re = $0
		sub(/^[ \t]*allow[ \t]+[^ \t]+[ \t]+/, "", re)
		allowed[$2] = re
	}
	next
}

{
	gsub(/\r/, "")
	line = $0
	# time stamp, and the caller under CONFIG_PRINTK_CALLER
	sub(/^\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? /, "", line)
	# what the tests write is theirs, whatever words are in it
	if (line ~ /^ktap: /)
		next
	if (line ~ /^harness: /) {
		split(line, word, " ")
		if (word[2] == "begin")
			test = word[3]
		else if (word[2] == "end") {
			ran[test] = 1
			test = ""
		}
		next
	}
}

# A WARN or an oops: everything from here to "end trace" is one splat.
line ~ /-+\[ cut here \]-+/ {
	if (open)
		report(first)
	open = 1
	ok = 0
	first = "WARNING without a text"
	have_first = 0
	text = ""
	next
}

open {
	if (!have_first && line ~ /(^WARNING: |kernel BUG at |^UBSAN: |^Oops)/) {
		first = line (text == "" ? "" : ": " text)
		have_first = 1
	}
	if (!have_first && text == "")
		text = line
	if ((test in allowed) && line ~ allowed[test])
		ok = 1
	if (line ~ /---\[ end trace /) {
		if (ok && first ~ /^WARNING: /)
			seen[test]++
		else
			report(first)
		open = 0
		next
	}
	if (line ~ /^Kernel panic - not syncing/) {
		report(first)
		open = 0
		report(line)
	}
	next
}

# lockdep, RCU and friends use WARNING: without "cut here".
line ~ /^WARNING: / ||
line ~ /^(watchdog: )?BUG: / ||
line ~ /^Oops/ ||
line ~ /^Kernel panic - not syncing/ ||
line ~ /^INFO: task .* blocked for more than / ||
line ~ /^INFO: trying to register non-static key/ ||
line ~ /^rcu: INFO: .*(stall|detected)/ ||
line ~ /^rcu: .*kthread (starved|timer wakeup)/ ||
line ~ /^kmemleak: [0-9]+ new suspected memory leaks/ ||
line ~ /^kmemleak: .*(disabled|[Cc]annot)/ ||
line ~ /(list_add|list_del) corruption/ ||
line ~ /^pagealloc: (memory corruption|single bit error)/ ||
line ~ /^DMA-API: .*(device driver|out of memory|disabling)/ ||
line ~ /page allocation failure: order:/ ||
line ~ /^Out of memory: / || line ~ /invoked oom-killer: / ||
line ~ /: segfault at / || line ~ /^traps: / ||
line ~ /^unchecked MSR access error/ ||
line ~ /^irq [0-9]+: nobody cared/ {
	report(line)
	reported = NR
	next
}

# A stack dump that nothing above announced.
line ~ /^Call Trace:/ && (!reported || NR - reported > 60) {
	report("a stack dump")
	reported = NR
}

END {
	if (open)
		report(first " (cut off)")
	for (t in allowed)
		if ((t in ran) && !seen[t]) {
			test = t
			report("the allowed WARN did not appear")
		}
	exit found > 0
}
