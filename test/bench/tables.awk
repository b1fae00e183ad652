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

	table("idle loaded pinned both")
	split("idle loaded pinned-50 loaded-pinned-50", state, " ")
	ways("ns")
	row("release, loop", over("loop", "release_ns"))
	row("release, bulk", over("bulk-normal", "release_ns"))

	table("asked got ms")
	row("cma_alloc, loop", all_of("short-50/loop"))
	row("bulk, FAST", all_of("short-50/bulk-fast"))
	row("bulk, NORMAL", all_of("short-50/bulk-normal"))
	row("bulk, HARD", all_of("short-50/bulk-hard"))

	table("alloc mmap munmap release")
	row("chunk heap, 64 KiB", heap("default_cma_region-chunked-64k"))
	row("CMA heap", heap("reserved"))
	row("system heap", heap("system"))
	row("clearing alone", "clear/clear/ns - - -")

	table("free movable pinned both")
	only[tables] = "0000-cover-letter"
	ways("insns")
}

# The ways to get all chunks
function ways(what) {
	row("cma_alloc, loop", over("loop", what))
	row("cma_alloc, one block", "idle/one/" what " loaded/one/" what \
	    " pinned-50/one/" what " -")
	row("bulk, FAST", over("bulk-fast", what))
	row("bulk, NORMAL", over("bulk-normal", what))
	row("bulk, HARD", over("bulk-hard", what))
}

function over(arm, what) {
	return state[1] "/" arm "/" what " " state[2] "/" arm "/" what " " \
	       state[3] "/" arm "/" what " " state[4] "/" arm "/" what
}

function all_of(at) { return at "/asked " at "/got " at "/took" }

function heap(name) {
	name = "heap/" name
	return name "-alloc/ns " name "-mmap/ns " name "-munmap/ns " \
	       name "-release/ns"
}

# table(COLUMNS) - begins one
function table(columns) {
	tables++
	rows = 0
	header[tables] = line("", columns)
	number[header[tables]] = tables
}

# row(LABEL, CELLS) - a cell is SCENARIO/ARM/COLUMN, or what it shows
function row(label, cells) {
	nr_rows[tables] = ++rows
	labels[tables, rows] = label
	sources[tables, rows] = cells
}

function line(label, cells,  cell, n, i, s) {
	s = sprintf("%-24s", label == "" ? "" : "  " label)
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

function render(t,  r, cell, n, i, cells) {
	for (r = 1; r <= nr_rows[t]; r++) {
		cells = ""
		n = split(sources[t, r], cell, " ")
		for (i = 1; i <= n; i++)
			cells = cells " " figure(cell[i])
		text[t, r] = line(labels[t, r], cells)
	}
}

FILENAME == ARGV[1] {
	for (i = 1; i <= NF; i++)
		if (FNR == 1)
			column[i] = $i
		else
			value[$1, $2, column[i]] = $i
	next
}

# From here on, it is the texts.
FNR == 1 {
	end_of_table()
	for (t = 1; !rendered && t <= tables; t++)
		render(t)
	rendered = 1
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
