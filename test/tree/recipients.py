# SPDX-License-Identifier: GPL-2.0
"""recipients.py DIR MAIL... - the Nth MAIL to those in DIR/to.N, and DIR/cc.N

From 0. They are one a line there; in the mail they are sorted, each once, and in
place of those that it had.
"""
import email.utils
import re
import sys


def address(mail, files):
    with open(mail, "rb") as f:
        headers, body = f.read().split(b"\n\n", 1)
    kept = [h for h in re.split(rb"\n(?![ \t])", headers)
            if not h.lower().startswith((b"to:", b"cc:"))]

    seen = set()
    for name, file in files:
        people = {}
        with open(file, encoding="utf-8") as f:
            for who, at in email.utils.getaddresses(f.read().splitlines()):
                if at and at.lower() not in seen:
                    people.setdefault(at.lower(), (who, at))
        seen.update(people)
        if people:
            lines = [email.utils.formataddr(people[a]) for a in sorted(people)]
            kept.append((name + ": " + ",\n ".join(lines)).encode())
    with open(mail, "wb") as f:
        f.write(b"\n".join(kept) + b"\n\n" + body)


for n, mail in enumerate(sys.argv[2:]):
    address(mail, [(kind.title(), f"{sys.argv[1]}/{kind}.{n}")
                   for kind in ("to", "cc")])
