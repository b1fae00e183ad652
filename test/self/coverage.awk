# SPDX-License-Identifier: GPL-2.0
#
# awk -v goal=PERCENT -v doc=NEW -v src=DIR/ -f coverage.awk DOC DIFF COUNTS
#
# Holds the lines that a diff adds to the kernel in DIR, git diff -U0, against
# how often they were executed, gcov -t. Writes the tables of docs/coverage.md to
# NEW, with what stands before them in DOC and the explanations that its second
# table has. Fails if fewer than PERCENT of the lines with code are executed, or
# one that is not is not explained either.

# The columns of a row, which may hold an escaped "|".
function columns(row, to,  n, i) {
	gsub(/\\\|/, "\001", row)
	n = split(row, to, "|")
	for (i = 1; i <= n; i++) {
		gsub(/^[ `]+|[ `]+$/, "", to[i])
		gsub("\001", "|", to[i])
	}
	return n
}

function trimmed(line) {
	gsub(/[ \t]+/, " ", line)
	gsub(/^ | $/, "", line)
	return line
}

function escaped(line) {
	gsub(/\|/, "\\|", line)
	return line
}

# In the kernel's style, a function begins and ends in the first column.
function find_functions(file,  path, line, nr, name) {
	path = src file
	while ((getline line <path) > 0) {
		nr++
		if (line ~ /^[A-Za-z_].*\(/ && line !~ /;[ \t]*$/) {
			name = line
			sub(/\(.*/, "", name)
			sub(/.*[ *]/, "", name)
		}
		in_function[file, nr] = name
		if (line == "}")
			name = ""
	}
	close(path)
}

FILENAME == ARGV[1] {
	tables = tables || /^\|/
	if (!tables)
		begin = begin $0 "\n"
	if (columns($0, c) == 6 && c[5] != "")
		why[c[2], c[3], c[4]] = c[5]
	next
}

FILENAME == ARGV[2] && /^\+\+\+ / {
	file = substr($2, 3)
	files[++nr_files] = file
	next
}
FILENAME == ARGV[2] && /^@@ / {
	split($3, range, ",")
	line = substr(range[1], 2)
	next
}
FILENAME == ARGV[2] && /^\+/ {
	added[file, ++nr_added[file]] = line
	text[file, line++] = trimmed(substr($0, 2))
	next
}
FILENAME == ARGV[2] { next }

match($0, /^ *([0-9]+\*?|-|#####|=====): *[0-9]+:/) {
	split($0, field, ":")
	count = field[1]
	line = field[2] + 0
	if (!line && field[3] == "Source") {
		file = $0
		sub(/.*:Source:/, "", file)
		sub(/^.*\/\.\//, "", file)
		if (index(file, src) == 1)
			file = substr(file, length(src) + 1)
		compiled[file] = 1
		next
	}
	# The other kernel makes code of other lines, for its checks, and runs
	# fewer tests.
	if (!line && field[3] == "Graph")
		main = !index($0, "-debug-gcov/")
	if (count ~ /-/)
		next
	if (main)
		code[file, line] = 1
	if (count + 0)
		executed[file, line] = 1
}

END {
	for (i = 1; i <= nr_files; i++) {
		file = files[i]
		if (!(file in compiled)) {
			absent = absent (absent == "" ? "" : ", ") "`" file "`"
			continue
		}
		find_functions(file)
		nr = nr_executed = 0
		for (j = 1; j <= nr_added[file]; j++) {
			line = added[file, j]
			if (!((file, line) in code))
				continue
			nr++
			what = text[file, line]
			name = in_function[file, line]
			reason = why[file, name, what]
			if ((file, line) in executed) {
				nr_executed++
				if (reason == "")
					continue
			}
			if ((file, name, what) in done)
				continue
			done[file, name, what] = 1
			rows = rows sprintf("| `%s` | `%s` | `%s` | %s |\n",
				file, name, escaped(what), reason)
			if (reason == "") {
				printf "not executed: %s:%d: %s(): %s\n",
					file, line, name, what
				bad++
			}
		}
		if (!nr)
			continue
		table = table sprintf("| `%s` | %d | %d | %.1f |\n", file, nr,
			nr_executed, 100 * nr_executed / nr)
		printf "%-44s %4d lines, %4d executed, %5.1f %%\n", file, nr,
			nr_executed, 100 * nr_executed / nr
		all += nr
		all_executed += nr_executed
	}
	if (!all) {
		print "error: no line of the series has code" >"/dev/stderr"
		exit 2
	}
	percent = 100 * all_executed / all
	sub(/\n+$/, "\n\n", begin)
	printf "%-44s %4d lines, %4d executed, %5.1f %%\n", "all of them", all,
		all_executed, percent
	printf "%s| File | Lines with code | Executed | %% |\n|---|--:|--:|--:|\n%s| all | %d | %d | %.1f |\n",
		begin, table, all, all_executed, percent >doc
	printf "\nWhat no test executes, or not each time, and why:\n\n| File | Function | Line | Why |\n|---|---|---|---|\n%s",
		rows >doc
	if (absent != "")
		printf "\nNot in these kernels: %s.\n", absent >doc
	if (percent < goal) {
		printf "%.1f %% of the lines are executed, the goal is %d %%\n",
			percent, goal
		bad++
	}
	if (bad)
		print "FAIL: lines are neither executed nor explained in docs/coverage.md, or too few are executed"
	exit bad != 0
}
