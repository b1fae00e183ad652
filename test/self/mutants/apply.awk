# SPDX-License-Identifier: GPL-2.0
#
# awk -v name=MUTANT -f apply.awk DATA SOURCE - the source with one mutant
#
# Anything that test/self/mutants/README does not allow is an error.

function error(what) {
	printf "error: mutant %s: %s\n", name, what >"/dev/stderr"
	failed = 1
	exit 1
}

# add(SIGN, LINE)
function add(sign, line) {
	what[++n] = sign
	text[n] = line
	if (sign != "+")
		old[++nr_old] = line
}

# side(LINE, OTHER, MARKS) - a line of a word diff without the other side of it
function side(line, other, marks) {
	sub(other, "", line)
	gsub(marks, "", line)
	return line
}

# Is the function defined where line i names it?
function defined(i,  j) {
	if (source[i] !~ "^([A-Za-z_].*[^A-Za-z0-9_])?" inside "\\(")
		return 0
	for (j = i; j <= lines && source[j] !~ /;$/; j++)
		if (source[j] == "{")
			return 1
	return 0
}

FILENAME == ARGV[1] {
	if (/^$/) {
		mine = 0
	} else if ($1 == "==") {
		mine = $2 == name
		found += mine
	} else if (/^in/ && (mine || !found)) {
		inside = $2
	} else if (mine && /^[-+ ]/) {
		add(substr($0, 1, 1), substr($0, 2))
	} else if (mine && /^~/) {
		add("-", side(substr($0, 2), "\\{\\+.*\\+\\}", "\\[-|-\\]"))
		add("+", side(substr($0, 2), "\\[-.*-\\]", "\\{\\+|\\+\\}"))
	}
	next
}

{ source[++lines] = $0 }

END {
	if (failed)
		exit 1
	if (found != 1)
		error("it is there " found + 0 " times")
	if (!nr_old)
		error("no line to look for")
	first = 1
	last = lines
	if (inside != "") {
		for (i = 1; i <= lines && !defined(i); i++)
			;
		if (i > lines)
			error("no function " inside)
		first = i
		for (; i <= lines && source[i] != "}"; i++)
			;
		last = i
	}
	for (i = first; i + nr_old - 1 <= last; i++) {
		for (j = 1; j <= nr_old && source[i + j - 1] == old[j]; j++)
			;
		if (j > nr_old) {
			at = i
			places++
		}
	}
	if (places != 1)
		error("its lines are there " places + 0 " times")
	for (i = 1; i < at; i++)
		print source[i]
	for (j = 1; j <= n; j++) {
		if (what[j] != "-")
			print text[j]
		if (what[j] != "+")
			i++
	}
	for (; i <= lines; i++)
		print source[i]
}
