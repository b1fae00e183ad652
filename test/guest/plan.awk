# SPDX-License-Identifier: GPL-2.0
#
# awk -v kernel=main|debug|mte|rt|kcsan|base [-v arch=ARCH] [-v variant=ARCH-PAGE_SIZE]
#	[-v tests="GLOB..."] [-v want=boot|base] -f plan.awk PLAN
#
# The only reader of test/guest/plans/*.plan, which describe the format. Prints the
# tests of a run on this kernel, NAME RESULTS SECONDS KIND ARGUMENTS..., with
# "boot" what the plan adds to the kernel's command line, or with "base" what
# each test has to say on the kernel without the series, NAME<TAB>REGEXP, where
# no REGEXP is a test that must pass. Without a kernel, those of all kernels.
# A plan that says too little is an error, and so are tests that are not there.

function bad(text) {
	printf "error: %s\n", text >"/dev/stderr"
	failed = 1
	exit 2
}

# The tests of main are those of all kernels but debug.
function ours(options) {
	if (kernel == "")
		return 1
	options = "," options ","
	if (options ~ /,(x86_64|arm64(-[0-9]+k)?),/ &&
	    !index(options, "," arch ",") && !index(options, "," variant ","))
		return 0
	if (options ~ /,rt,/)
		return kernel == "rt"
	if (options ~ /,debug,/)
		return kernel == "debug"
	return options !~ /,main,/ || kernel != "debug"
}

# What follows the first N words of the line.
function after(n,  rest) {
	rest = $0
	sub(/^[ \t]+/, "", rest)
	while (n--)
		sub(/^[^ \t]+[ \t]*/, "", rest)
	return rest
}

BEGIN {
	nr_globs = split(tests, glob, /[ \t]+/)
	if (nr_globs && glob[1] == "") {
		for (i = 1; i < nr_globs; i++)
			glob[i] = glob[i + 1]
		nr_globs--
	}
	if (nr_globs && glob[nr_globs] == "")
		nr_globs--
	for (i = 1; i <= nr_globs; i++) {
		re[i] = glob[i]
		gsub(/\./, "\\.", re[i])
		gsub(/\*/, ".*", re[i])
		gsub(/\?/, ".", re[i])
		re[i] = "^" re[i] "$"
	}
}

NF == 0 || $1 ~ /^#/ { next }

$1 == "boot" {
	if (ours($2))
		boot = boot after(2) " "
	next
}

$1 == "base" {
	if (NF < 3)
		bad(FILENAME ": too few words for base " $2)
	reason[$2] = after(2)
	next
}

NF < 5 || (NF < 6 && $5 == "run") { bad(FILENAME ": too few words for " $1) }
$2 !~ /^([0-9]+(\+[0-9]+)?|-)$/ {
	bad(FILENAME ": " $1 ": not a number of results: " $2)
}
$3 !~ /^[1-9][0-9]*$/ { bad(FILENAME ": no time limit for " $1) }
$4 !~ /^(-|((main|debug|rt|base-ok|x86_64|arm64(-[0-9]+k)?)(,|$))+)$/ {
	bad(FILENAME ": " $1 ": not an option: " $4)
}

ours($4) {
	# What is said of rt comes second.
	instead = ("," $4 ",") ~ /,rt,/ && $1 in there
	if (kernel != "" && $1 in there && !instead)
		bad(FILENAME ": " $1 " is there twice")
	there[$1] = 1
	picked = !nr_globs || $5 == "check"
	for (i = 1; i <= nr_globs; i++) {
		if ($1 ~ re[i])
			picked = matched[i] = 1
	}
	if (!picked)
		next
	if (!instead)
		at[$1] = ++n
	i = at[$1]
	name[i] = $1
	line[i] = $1 " " $2 " " $3 " " after(4)
	base_ok[i] = ("," $4 ",") ~ /,base-ok,/
}

END {
	if (failed)
		exit 2
	for (i = 1; i <= nr_globs; i++) {
		if (!matched[i])
			bad("TESTS: no test of the " kernel \
				" kernel matches " glob[i])
	}
	if (want == "boot") {
		printf "%s", boot
		exit
	}
	if (!n)
		bad(FILENAME " has no test for the " kernel " kernel")
	for (i = 1; i <= n; i++) {
		if (want != "base") {
			print line[i]
			continue
		}
		if (!base_ok[i] && !(name[i] in reason))
			bad(FILENAME ": " name[i] \
				" does not say how it fails without the series")
		print name[i] "\t" (base_ok[i] ? "" : reason[name[i]])
	}
}
