# SPDX-License-Identifier: GPL-2.0
# config.awk - is each line of the fragments in the final configuration?
#
#   awk -f config.awk .config FRAGMENT...
#
# If not, one line names the first that is not, and the exit status is 2.

/^# CONFIG_[A-Za-z0-9_]+ is not set$/ { $0 = $2 "=n" }

/^CONFIG_[A-Za-z0-9_]+=/ {
	name = substr($0, 1, index($0, "=") - 1)
	value = substr($0, length(name) + 2)
	if (FILENAME == ARGV[1]) {
		got[name] = value
		next
	}
	if (!(name in want))
		names[++n] = name
	want[name] = value
	where[name] = FILENAME
	sub(/.*\//, "", where[name])
	next
}

# A typing error must not pass for a comment.
FILENAME != ARGV[1] && /CONFIG_/ && (!/^#/ || /is not set/) {
	printf "error: %s:%d: not a line of a .config: %s\n", FILENAME, FNR, $0
	bad = 1
	exit 2
}

END {
	if (bad)
		exit 2
	for (i = 1; i <= n; i++) {
		name = names[i]
		is = name in got ? got[name] : "n"
		if (is == want[name])
			continue
		printf "error: %s=%s of kernel-config/%s became %s in the final .config\n",
			name, want[name], where[name], is
		exit 2
	}
}
