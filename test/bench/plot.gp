# SPDX-License-Identifier: GPL-2.0
# bench.tsv in the current directory -> bench.svg
#
# To be read without colours, too: the bars have patterns.
set terminal svg size 960,760 dynamic font "sans,12" background "white"
set output "bench.svg"
set datafile separator tab
set multiplot

set origin 0, 0.4
set size 1, 0.6
set title "4800 chunks of 64 KiB from a CMA area of 340 MB"
set ylabel "virtual ms of 500,000 instructions (log)"
set logscale y
set yrange [1:60000]
set xrange [-1:27]
set boxwidth 0.9
set key outside bottom center horizontal samplen 3 width 2
set grid ytics linecolor "#cccccc"
set xtics ("idle" 2.5, "a quarter movable" 9.5, "about 50 pages pinned" 16.5, \
	"both" 23.5) nomirror scale 0
# position, ms, label above the bar, label where there is no bar
bars(arm, at) = sprintf("< awk -F '\t' -v arm=%s -v at=%d ' \
	BEGIN { n = split(\"idle loaded pinned-50 loaded-pinned-50\", s, \" \") } \
	$2 == arm { ms[$1] = $5 / 1e6; failed[$1] = $4 == $3 ? \"\" : $4 ? $4 \" chunks only\" : \"fails\" } \
	END { for (i = 1; i <= n; i++) { \
		why = s[i] in ms ? failed[s[i]] : \"not measured\"; \
		is = why != \"\" ? \"NaN\t\" : ms[s[i]] \"\t\" \
			sprintf(ms[s[i]] < 9.95 ? \"%%.1f\" : \"%%.0f\", ms[s[i]]); \
		print (i - 1) * 7 + at \"\t\" is \"\t\" (why != \"\" ? \" \" why : \"\") \
	} }' bench.tsv", arm, at)
array arms[6] = ["loop", "one", "pageblocks", "bulk-fast", "bulk-normal", \
	"bulk-hard"]
array names[6] = ["cma\\_alloc, loop", "one cma\\_alloc", "2020", \
	"bulk, FAST", "bulk, NORMAL", "bulk, HARD"]
array colours[6] = ["#000000", "#0072b2", "#e69f00", "#d55e00", "#009e73", \
	"#cc79a7"]
array patterns[6] = [3, 2, 0, 4, 5, 1]
plot for [i = 1:6] bars(arms[i], i - 1) using 1:2 with boxes \
		fillstyle pattern patterns[i] border linecolor "black" \
		fillcolor rgb colours[i] title names[i], \
	for [i = 1:6] bars(arms[i], i - 1) using 1:2:3 with labels \
		offset 0, 0.5 font "sans,9" notitle, \
	for [i = 1:6] bars(arms[i], i - 1) using 1:(1.1):4 with labels \
		rotate left font "sans,10" notitle

set origin 0, 0
set size 1, 0.4
set title "cma\\_alloc\\_bulk(), NORMAL, from an area of 680 MB"
set ylabel "virtual ms (log)"
set logscale x 2
set xlabel "chunks"
set key inside top left vertical
set xtics (600, 1200, 2400, 4800, 9600) scale 1
set xrange [500:11500]
set yrange [0.3:3000]
scale(what) = sprintf("< awk -F '\t' ' \
	$1 ~ /^%s[0-9]+$/ && $2 == \"bulk-normal\" { \
		print $3 \"\t\" $5 / 1e6 \
	}' bench.tsv", what)
plot scale("scale-loaded-") using 1:2 with linespoints linewidth 2 \
		linecolor "black" dashtype 2 pointtype 5 \
		title "a quarter movable", \
	scale("scale-") using 1:2 with linespoints linewidth 2 \
		linecolor "#0072b2" pointtype 7 title "idle"
unset multiplot
