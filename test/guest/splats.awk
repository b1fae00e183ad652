# SPDX-License-Identifier: GPL-2.0
#
# awk -f splats.awk SERIAL-LOG
#
# Prints one line for each thing in the console log that a healthy kernel
# does not say, with the test during which it was said, and exits with 1 if
# there was one.

function report(text) {
	print text (test == "" ? "" : " (in " test ")")
	found++
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
		else if (word[2] == "end")
			test = ""
		next
	}
}

# A WARN or an oops: everything from here to "end trace" is one splat.
line ~ /-+\[ cut here \]-+/ {
	if (open)
		report(first)
	open = 1
	first = "WARNING without a text"
	text = have_first = ""
	next
}

open {
	if (!have_first && line ~ /(^WARNING: |kernel BUG at |^UBSAN: |^Oops)/) {
		first = line (text == "" ? "" : ": " text)
		have_first = 1
	} else if (text == "") {
		text = line
	}
	if (line ~ /---\[ end trace |^Kernel panic - not syncing/) {
		report(first)
		open = 0
	}
	if (line !~ /^Kernel panic/)
		next
}

# lockdep, RCU and friends use WARNING: without "cut here".
line ~ /^WARNING: / ||
line ~ /^(watchdog: )?BUG[: ]/ ||
line ~ /^\[ BUG: / ||
line ~ /^(watchdog: )?Watchdog detected hard LOCKUP/ ||
line ~ /^Oops/ ||
line ~ /^Kernel panic - not syncing/ ||
line ~ /^(rcu: )?INFO: / ||
line ~ /^rcu: .*kthread (starved|timer wakeup)/ ||
line ~ /^kmemleak: [0-9]+ new suspected memory leaks/ ||
line ~ /^kmemleak: .*(disabled|[Cc]annot)/ ||
line ~ /^ODEBUG: / ||
line ~ /(list_add|list_del) corruption/ ||
line ~ /^pagealloc: (memory corruption|single bit error)/ ||
line ~ /^DMA-API: .*(device driver|out of memory|disabling)/ ||
line ~ /page allocation failure: order:/ ||
line ~ /^Out of memory: / || line ~ /invoked oom-killer: / ||
line ~ /: segfault at / || line ~ /^traps: / ||
line ~ /: unhandled exception: / ||
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
	exit found > 0
}
