# SPDX-License-Identifier: GPL-2.0
"""coverage.py DOC FILE... - the tables of docs/coverage.md, on stdout

From what diff-cover found in these files, as JSON on stdin. What stands before
the tables in DOC stays, and so do the explanations of its second table, as long
as the function has such a line. Ends with 1 if a line is neither executed nor
explained.
"""
import json
import re
import sys


def function_of(source, nr):
    """In the kernel's style, it begins in the first column."""
    for line in reversed(source[:nr]):
        head = re.match(r"[A-Za-z_][^(]*?(\w+)\(", line)
        if head and not line.endswith(";"):
            return head[1]
    return ""


doc, *files = sys.argv[1:]
report = json.load(sys.stdin)
if not report["src_stats"]:
    sys.exit("error: no line of the series has code")
with open(doc, encoding="utf-8") as f:
    text, *rows = re.split(r"^(?=\|)", f.read(), flags=re.M)
why = {}
for row in rows:
    cells = [c.strip(" `\n").replace(r"\|", "|")
             for c in re.split(r"(?<!\\)\|", row)]
    if len(cells) == 6 and cells[4]:
        why[tuple(cells[1:4])] = cells[4]

print(text + "| File | Executed, % |\n|---|--:|")
table, bad = {}, 0
for path, found in sorted(report["src_stats"].items()):
    print(f"| `{path}` | {found['percent_covered']:.1f} |")
    with open(path, encoding="utf-8") as f:
        source = f.read().splitlines()
    for nr, line in enumerate(source, 1):
        key = (path, function_of(source, nr), " ".join(line.split()))
        missed = nr in found["violation_lines"]
        if missed or key in why:
            table[key] = why.get(key, "")
        if missed and key not in why:
            bad = 1
            print(f"not executed: {path}:{nr}: {key[1]}(): {key[2]}",
                  file=sys.stderr)
lines, missing = report["total_num_lines"], report["total_num_violations"]
print(f"| {lines - missing} of {lines} lines | {100 - 100 * missing / lines:.1f} |")
print("\nWhat no test executes, or not each time, and why:\n")
print("| File | Function | Line | Why |\n|---|---|---|---|")
for (path, function, line), reason in table.items():
    line = line.replace("|", r"\|")
    print(f"| `{path}` | `{function}` | `{line}` | {reason} |")
absent = [f"`{path}`" for path in files if path not in report["src_stats"]]
print(f"\nWithout code in these kernels: {', '.join(absent)}.")
sys.exit(bad)
