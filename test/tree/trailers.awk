# SPDX-License-Identifier: GPL-2.0
# trailers.awk - a commit message whose trailers are in the kernel's order,
# signed off by FROM at last
#
#   awk -v from="Name <address>" -v nobody=REGEXP [-v assisted=TEXT]
#	-f trailers.awk
#
# A sign-off of an address that fits REGEXP is dropped: nobody has it.
# "Assisted-by: TEXT" comes before the sign-offs, once.
function rank(line) {
	if (line ~ /^Fixes: /)
		return 1
	if (line ~ /^(Link|Cc): /)
		return 3
	if (line ~ /^Assisted-by: /)
		return 4
	if (line ~ /^(Co-developed-by|Signed-off-by): /)
		return 5
	return 2
}

{ text[NR] = $0 }

END {
	n = NR
	while (n && text[n] ~ /^[ \t]*$/)
		n--
	# The last paragraph, if it is nothing but trailers.
	for (first = n; first > 1 &&
	     text[first] ~ /^[A-Z][A-Za-z-]*: /; first--)
		;
	if (first > 1 && text[first] !~ /^[ \t]*$/)
		first = n + 1
	else
		first++
	for (i = 1; i < first; i++)
		print text[i]
	if (first > n)
		print ""
	for (r = 1; r <= 5; r++) {
		if (r == 5 && assisted)
			print "Assisted-by: " assisted
		for (i = first; i <= n; i++) {
			if (rank(text[i]) != r ||
			    text[i] == "Signed-off-by: " from ||
			    text[i] == "Assisted-by: " assisted)
				continue
			if (text[i] ~ /^Signed-off-by: / && text[i] ~ nobody)
				continue
			print text[i]
		}
	}
	print "Signed-off-by: " from
}
