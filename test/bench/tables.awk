# SPDX-License-Identifier: GPL-2.0
# tables.awk - the tables of the benchmark's figures, where a text has them
#
#   awk -f tables.awk bench.tsv TEXT                TEXT with its tables anew
#   awk -v check=1 -f tables.awk bench.tsv TEXT...  what is wrong, exit 1
#
# A table is found by its first line, and ends with the last of the lines below
# that begin with two blanks. The check wants each table in one of the texts.
#
# Times are in ms. One in parentheses is that of a call which failed. The cover
# letter has instructions instead, in millions, a table that only it needs.
BEGIN {
	FS = "\t"
	for (n = 0; (getline <ARGV[1]) > 0; n++)
		for (i = 1; i <= NF; i++)
			if (!n)
				column[i] = $i
			else
				value[$1, $2, column[i]] = $i
	ARGV[1] = ""

	table("idle loaded pinned both")
	states = "idle/ loaded/ pinned-50/ loaded-pinned-50/"
	ways("ns")
	row("release, loop", each(states, "loop/release_ns"))
	row("release, bulk", each(states, "bulk-normal/release_ns"))

	table("asked got ms")
	columns = "asked got took"
	row("cma_alloc, loop", each("short-50/loop/", columns))
	row("bulk, FAST", each("short-50/bulk-fast/", columns))
	row("bulk, NORMAL", each("short-50/bulk-normal/", columns))
	row("bulk, HARD", each("short-50/bulk-hard/", columns))

	table("alloc mmap munmap release")
	columns = "alloc/ns mmap/ns munmap/ns release/ns"
	row("chunk heap, 64 KiB",
	    each("heap/default_cma_region-chunked-64k-", columns))
	row("CMA heap", each("heap/reserved-", columns))
	row("system heap", each("heap/system-", columns))
	row("clearing alone", "clear/clear/ns - - -")

	table("free movable pinned both")
	only[tables] = "0000-cover-letter"
	ways("insns")
}

# The ways to get all chunks
function ways(what) {
	row("cma_alloc, loop", each(states, "loop/" what))
	row("cma_alloc, one block",
	    each("idle/ loaded/ pinned-50/", "one/" what) " -")
	row("bulk, FAST", each(states, "bulk-fast/" what))
	row("bulk, NORMAL", each(states, "bulk-normal/" what))
	row("bulk, HARD", each(states, "bulk-hard/" what))
}

# each(WORDS, ENDS) - each of the words with each of the ends
function each(words, ends,  w, e, i, j, n, m, s) {
	n = split(words, w, " ")
	m = split(ends, e, " ")
	for (i = 1; i <= n; i++)
		for (j = 1; j <= m; j++)
			s = s " " w[i] e[j]
	return s
}

# table(COLUMNS) - begins one
function table(columns) {
	header[++tables] = line("", columns)
	number[header[tables]] = tables
}

# row(LABEL, CELLS) - a cell is SCENARIO/ARM/COLUMN, or what it shows
function row(label, cells,  cell, n, i, s) {
	n = split(cells, cell, " ")
	for (i = 1; i <= n; i++)
		s = s " " figure(cell[i])
	text[tables, ++nr_rows[tables]] = line("  " label, s)
}

function line(label, cells,  cell, n, i, s) {
	s = sprintf("%-24s", label)
	n = split(cells, cell, " ")
	for (i = 1; i <= n; i++)
		s = s sprintf("%-8s", cell[i])
	sub(/ +$/, "", s)
	return s
}

function ms(ns) {
	ns /= 1e6
	return ns < 0.1 ? "<0.1" : sprintf(ns < 9.95 ? "%.1f" : "%.0f", ns)
}

function figure(cell,  part, at, ns) {
	if (split(cell, part, "/") < 3)
		return cell
	at = part[1] SUBSEP part[2] SUBSEP
	if (!((at "ns") in value)) {
		lacking = lacking " " part[1] "/" part[2]
		return "?"
	}
	# What is short of chunks on purpose has not failed.
	if (part[3] == "took")
		return ms(value[at "ns"])
	# Each takes 2 ns.
	if (part[3] == "insns")
		ns = value[at "ns"] / 2
	else
		ns = value[at part[3]]
	if (part[3] !~ /ns$/)
		return ns
	return value[at "got"] < value[at "asked"] ? "(" ms(ns) ")" : ms(ns)
}

FNR == 1 {
	end_of_table()
	name = FILENAME
	sub(/.*\//, "", name)
	sub(/\..*/, "", name)
	text_names[name]
}

current && /^  / && !($0 in number) {
	compare(++at_row, $0)
	next
}

{ end_of_table() }

$0 in number {
	current = number[$0]
	at_row = 0
	at_file = FILENAME
	at_line = FNR
	seen[current]++
	for (r = 0; !check && r <= nr_rows[current]; r++)
		print r ? text[current, r] : $0
	next
}

!check

function end_of_table() {
	while (current && at_row < nr_rows[current])
		compare(++at_row, "")
	current = 0
}

function wrong(what) {
	printf "%s:%d: %s\n", at_file, at_line + at_row, what
	bad++
}

# One line of a text with the one that belongs there, cell by cell.
function compare(r, is,  a, b, h, n, i, found) {
	if (!check || is == text[current, r])
		return
	n = split(is, a, /   */)
	if (split(text[current, r], b, /   */) == n && a[2] == b[2]) {
		split(header[current], h, /   */)
		for (i = 3; i <= n; i++) {
			if (a[i] == b[i])
				continue
			wrong(b[2] ", " h[i - 1] ": " a[i] " should be " b[i])
			found = 1
		}
	}
	if (!found)
		wrong("\"" is "\" should be \"" text[current, r] "\"")
}

END {
	end_of_table()
	for (t = 1; check && t <= tables; t++) {
		if (seen[t] || (t in only && !(only[t] in text_names)))
			continue
		sub(/^ +/, "", header[t])
		print "no text has the table \"" header[t] "\" any more"
		bad++
	}
	if (lacking != "") {
		print "no figure for" lacking | "cat >&2"
		bad++
	}
	exit bad != 0
}
