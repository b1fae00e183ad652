# SPDX-License-Identifier: GPL-2.0
# bench.tsv in the current directory -> bench.svg
set terminal svg size 960,720 dynamic font "sans,12"
set output "bench.svg"
set datafile separator tab
set multiplot layout 2,1

set title "4800 chunks of 64 KiB from a CMA area of 340 MB"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set logscale y
set ylabel "ms (log)"
set yrange [1:*]
set key top right
set grid ytics
arm(name) = sprintf("< awk -F '\t' -v arm=%s '$2 == arm && $1 ~ /^(idle|loaded|pinned-50|loaded-pinned-50)$/ { got[$1] = $4; ns[$1] = $5 } END { n = split(\"idle loaded pinned-50 loaded-pinned-50\", s, \" \"); for (i = 1; i <= n; i++) print s[i] \"\t\" (got[s[i]] == 4800 ? ns[s[i]] / 1e6 : \"NaN\") }' bench.tsv", name)
plot arm("loop") using 2:xtic(1) title "cma\\_alloc in a loop", \
     arm("one") using 2 title "one cma\\_alloc (fails where absent)", \
     arm("bulk-fast") using 2 title "bulk FAST", \
     arm("bulk-normal") using 2 title "bulk NORMAL", \
     arm("bulk-hard") using 2 title "bulk HARD"

set title "cma\\_alloc\\_bulk() from 600 to 9600 chunks, area of 680 MB"
set style data linespoints
set logscale x 2
set xlabel "chunks"
set key top left
set xtics (600, 1200, 2400, 4800, 9600)
set yrange [*:*]
scale(what, arm) = sprintf("< awk -F '\t' '$1 ~ /^%s[0-9]+$/ && $2 == \"%s\" { print $3 \"\t\" $5 / 1e6 }' bench.tsv", what, arm)
plot scale("scale-", "bulk-normal") using 1:2 title "idle", \
     scale("scale-loaded-", "bulk-normal") using 1:2 title "a quarter movable"
unset multiplot
