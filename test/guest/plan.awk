# SPDX-License-Identifier: GPL-2.0
#
# awk -v kernel=NAME [-v base=mainline] [-v arch=ARCH] [-v variant=ARCH-PAGE_SIZE]
#	[-v tests="GLOB..."] [-v want=boot|guest|base] -f plan.awk PLAN
#
# The only reader of test/guest/plans/*.plan, which describe the format. Prints the
# tests of a run on this kernel, or of all kernels, NAME RESULTS SECONDS KIND
# ARGUMENTS...; "boot": words for the kernel; "guest": what the guest must be like,
# NAME VALUE; "base": what each test has to say without the series,
# NAME<TAB>REGEXP, or no REGEXP where it must pass. A plan that says too little is
# an error, and so are tests that are not there.

function bad(text) {
	printf "error: %s\n", text >"/dev/stderr"
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
	if (options ~ /,mainline,/ && base != "mainline")
		return 0
	if (options ~ /,rt,/)
		return kernel == "rt"
	if (options ~ /,debug,/)
		return kernel == "debug"
	return options !~ /,main,/ || kernel != "debug"
}

# Does it replace what was said of other kernels before?
function instead(options) {
	return ("," options ",") ~ /,(rt|mainline),/
}

# What follows the first N words of the line.
function after(n,  rest) {
	rest = $0
	sub(/^[ \t]+/, "", rest)
	while (n--)
		sub(/^[^ \t]+[ \t]*/, "", rest)
	return rest
}

# The lines of a plan, and of those that it includes, where it does.
function read_plan(plan,  dir, n) {
	dir = plan
	sub(/[^\/]*$/, "", dir)
	while ((n = (getline <plan)) > 0) {
		if ($1 == "include")
			read_plan(dir $2)
		else if (NF && $1 !~ /^#/)
			one(plan)
	}
	if (n < 0)
		bad("no plan in " plan)
	close(plan)
}

function one(plan,  i, picked, again) {
	if ($1 == "boot") {
		if (ours($2))
			boot = (instead($2) ? "" : boot) after(2) " "
		return
	}
	if ($1 == "guest") {
		if ($3 !~ /^(ACCEL|ARCH|CMA|CPUS|FILES|ICOUNT|KERNEL|MEMORY|PARALLEL|QEMU_EXTRA|SLOW|TESTS|TREE)$/)
			bad(plan ": not of a guest: " $3)
		if (ours($2))
			guest[$3] = after(3)
		return
	}
	if ($1 == "base") {
		if (NF < 3)
			bad(plan ": too few words for base " $2)
		reason[$2] = after(2)
		return
	}
	if (NF < 5 || (NF < 6 && $5 == "run"))
		bad(plan ": too few words for " $1)
	if ($2 !~ /^([0-9]+(\+[0-9]+)?|-)$/)
		bad(plan ": " $1 ": not a number of results: " $2)
	if ($3 !~ /^[1-9][0-9]*$/)
		bad(plan ": no time limit for " $1)
	if ($4 !~ /^(-|((main|debug|rt|mainline|base-ok|x86_64|arm64(-[0-9]+k)?)(,|$))+)$/)
		bad(plan ": " $1 ": not an option: " $4)
	if (!ours($4))
		return
	# What is said of rt or mainline comes second.
	again = instead($4) && $1 in there
	if (kernel != "" && $1 in there && !again)
		bad(plan ": " $1 " is there twice")
	there[$1] = 1
	picked = !nr_globs || $5 == "check"
	for (i = 1; i <= nr_globs; i++) {
		if ($1 ~ re[i])
			picked = matched[i] = 1
	}
	if (!picked)
		return
	if (!again)
		at[$1] = ++n
	i = at[$1]
	name[i] = $1
	line[i] = $1 " " $2 " " $3 " " after(4)
	base_ok[i] = ("," $4 ",") ~ /,base-ok,/
}

function tell(  i, name_of) {
	if (want == "guest") {
		for (name_of in guest)
			print name_of " " guest[name_of]
		exit
	}
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
		bad(ARGV[1] " has no test for the " kernel " kernel")
	for (i = 1; i <= n; i++) {
		if (want != "base") {
			print line[i]
			continue
		}
		if (!base_ok[i] && !(name[i] in reason))
			bad(ARGV[1] ": " name[i] \
				" does not say how it fails without the series")
		print name[i] "\t" (base_ok[i] ? "" : reason[name[i]])
	}
}

BEGIN {
	nr_globs = split(tests, glob, " ")
	for (i = 1; i <= nr_globs; i++) {
		re[i] = glob[i]
		gsub(/\./, "\\.", re[i])
		gsub(/\*/, ".*", re[i])
		gsub(/\?/, ".", re[i])
		re[i] = "^" re[i] "$"
	}
	read_plan(ARGV[1])
	tell()
}
