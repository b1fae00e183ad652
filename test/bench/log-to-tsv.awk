# SPDX-License-Identifier: GPL-2.0
# The results in the kernel log, as tab-separated values, and those about
# latency, if there are any, in the file that -v latency=FILE names.
BEGIN {
	OFS = "\t"
	if (latency != "")
		print "scenario", "arm", "what", "samples", "p50_ns", "p99_ns",
		      "max_ns", "where" >latency
	print "scenario", "arm", "asked", "got", "ns", "release_ns", "steps",
	      "p50_ns", "p99_ns", "max_ns", "migrated", "in_the_way"
}

sub(/^.*chunk_bench: latency /, "") && NF == 8 {
	$1 = $1
	print >latency
	next
}

sub(/^.*chunk_bench: /, "") && NF == 12 {
	$1 = $1
	print
}

sub(/^.*heap_bench: /, "") && NF == 3 {
	print "heap", $1 "-" $2, 4800, 4800, $3, 0, 1, $3, $3, $3, 0, 0
}
