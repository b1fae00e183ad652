# SPDX-License-Identifier: GPL-2.0
# config.awk - is each line of the fragments in the final configuration?
#
#   awk -f config.awk .config FRAGMENT...
#
# If not, one line names the first that is not, and the exit status is 2.

# The option that a line of a .config sets, and to what.
function parse(line) {
	if (match(line, /^CONFIG_[A-Za-z0-9_]+=/)) {
		name = substr(line, 1, RLENGTH - 1)
		value = substr(line, RLENGTH + 1)
		return 1
	}
	if (line ~ /^# CONFIG_[A-Za-z0-9_]+ is not set$/) {
		name = $2
		value = "n"
		return 1
	}
	# A typing error must not pass for a comment.
	if (line ~ /CONFIG_/ && (line !~ /^#/ || line ~ /is not set/)) {
		printf "error: %s:%d: not a line of a .config: %s\n",
			FILENAME, FNR, line
		bad = 1
		exit 2
	}
	return 0
}

FILENAME == ARGV[1] {
	if ($0 ~ /^(# )?CONFIG_/ && parse($0))
		got[name] = value
	next
}

parse($0) {
	want[name] = value
	where[name] = FILENAME
	sub(/.*\//, "", where[name])
	names[++n] = name
}

END {
	if (bad)
		exit 2
	for (i = 1; i <= n; i++) {
		name = names[i]
		is = name in got ? got[name] : "n"
		if (is == want[name] || seen[name]++)
			continue
		if (!count++)
			first = sprintf("%s=%s of kernel-config/%s became %s",
					name, want[name], where[name], is)
	}
	if (!count)
		exit 0
	print "error: " first " in the final .config" \
		(count > 1 ? " (and " (count - 1) " more)" : "")
	exit 2
}
