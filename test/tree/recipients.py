# SPDX-License-Identifier: GPL-2.0
"""recipients.py MAIL TO CC - MAIL to those in the files TO and CC, one a line

Sorted, each once, and in place of those that it had.
"""
import email.utils
import sys

mail, *files = sys.argv[1:]
with open(mail, "rb") as f:
    headers, body = f.read().split(b"\n\n", 1)
kept = []
for line in headers.split(b"\n"):
    if line[:1] in b" \t":
        kept[-1] += b"\n" + line
    else:
        kept.append(line)
kept = [h for h in kept if not h.lower().startswith((b"to:", b"cc:"))]

seen = set()
for name, file in zip(("To", "Cc"), files):
    people = {}
    with open(file, encoding="utf-8") as f:
        for who, address in email.utils.getaddresses(f.read().splitlines()):
            if address and address.lower() not in seen:
                people.setdefault(address.lower(), (who, address))
    seen.update(people)
    if people:
        lines = [email.utils.formataddr(people[a]) for a in sorted(people)]
        kept.append((name + ": " + ",\n ".join(lines)).encode())
with open(mail, "wb") as f:
    f.write(b"\n".join(kept) + b"\n\n" + body)
