# SPDX-License-Identifier: GPL-2.0
# load.tsv in the current directory -> load.svg
set terminal svg size 960,800 dynamic background "white" font "sans,12"
set output "load.svg"
set datafile separator tab
set multiplot layout 2,1

set style data histograms
set style histogram errorbars gap 1 lw 1
set style fill pattern border -1
set logscale y
set ylabel "virtual ms (log)"
set key outside top center horizontal
set grid ytics

# Where requests failed, how many of those that were made.
heap(name, mb) = sprintf("< awk -F '\t' '$2 == \"%s\" && $3 == %s { print $1 \"\t\" $6 \"\t\" $7 \"\t\" $8 }' load.tsv", name, mb)
failed(mb) = sprintf("< awk -F '\t' '$3 == %s { if (!($1 in x)) x[$1] = n++; if ($4 > $5) print x[$1] + ($2 == \"system\" ? -0.25 : $2 == \"chunk\" ? 0.25 : 0) \"\t\" $8 * 1.15 \"\t\" $4 - $5 \" of \" $4 \" failed\" }' load.tsv", mb)
do for [mb in "200 64"] {
	set title sprintf("requests for %s MB: p50 (bar), p99 (tick), slowest (end of the line)", mb)
	set yrange [(mb eq "200" ? 40 : 10):*]
	plot heap("system", mb) using 2:2:4:xtic(1) title "system heap" fs pattern 0 lc rgb "black", \
	     heap("cma", mb) using 2:2:4:xtic(1) title "CMA heap" fs pattern 2 lc rgb "black", \
	     heap("chunk", mb) using 2:2:4:xtic(1) title "chunk heap" fs pattern 3 lc rgb "black", \
	     heap("system", mb) using ($0 - 0.25):3 with points pt 1 lc rgb "black" notitle, \
	     heap("cma", mb) using ($0 + 0):3 with points pt 1 lc rgb "black" notitle, \
	     heap("chunk", mb) using ($0 + 0.25):3 with points pt 1 lc rgb "black" notitle, \
	     failed(mb) using 1:2:3 with labels left rotate by 90 font ",9" notitle
}
unset multiplot
