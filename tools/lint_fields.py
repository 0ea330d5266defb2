#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Check that every field of a shared struct tells which lock guards it.

A struct is checked when the comment above it has a legend: "field locks:" and
then "(x) meaning" for each letter. Then each field has a comment, behind it
or in the lines above it, that begins with letters of the legend: "(x)" or
"(x)+(y)". Locks and condition variables guard themselves.
"""

import os
import re
import sys

STRUCT = re.compile(r"/\*(?P<comment>(?:(?!\*/).)*?field locks:(?:(?!\*/).)*)\*/\s*"
                    r"(?:struct|union)\s+(?P<name>\w+)\s*(?:__\w+(?:\(.*?\))?\s*)*\{", re.S)
SELF_GUARDED = re.compile(r"_Static_assert\b|struct (mutex|rwlock|spinlock|condvar)\b[^*]*$")
PADDING = re.compile(r"_pad\d*$")
LETTER = re.compile(r"\((\w)\)")
LETTERS = re.compile(r"\s*((?:\(\w\)\s*[+,]?\s*)+)")
TOKEN = re.compile(r"/\*(?P<comment>.*?)\*/|(?P<brace>[{}])|(?P<end>;)|(?P<hash>^[ \t]*#.*$)"
                   r"|(?P<text>[^;{}/\n]+|/|\n)", re.S | re.M)


def body_end(text, at):
    """Return the offset of the brace that closes the one before at."""
    depth = 1
    for token in TOKEN.finditer(text, at):
        if token.group("brace"):
            depth += 1 if token.group("brace") == "{" else -1
            if depth == 0:
                return token.start()
    return len(text)


def fields(text, start, end):
    """Yield (offset, declaration, comment) of each field.

    A struct with a name inside the struct counts as one field, one without
    as its fields.
    """
    declaration, above, depth, done = "", None, 0, None
    inside, inner = start, []
    for token in TOKEN.finditer(text, start, end):
        kind, value = token.lastgroup, token.group(token.lastgroup)
        if kind == "brace":
            depth += 1 if value == "{" else -1
            if depth == 1 and value == "{":
                inside = token.end()
            elif depth == 0:
                inner = list(fields(text, inside, token.start()))
        elif depth:
            continue
        elif kind == "comment":
            if done:                    # behind the semicolon: the field's own
                yield done[0], done[1], value
                done = above = None
            else:
                above = value
        elif kind == "end":
            if done:
                yield done
                done = None
            if declaration.strip() in ("union", "struct"):
                yield from inner
            else:
                done = (token.start(), declaration.strip(), above)
            declaration = ""
        elif kind == "text":
            if value.strip() and done:
                yield done
                done = above = None
            declaration += value
    if done:
        yield done


def check(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    complaints = []
    for struct in STRUCT.finditer(text):
        legend = set(LETTER.findall(struct.group("comment")))
        for offset, declaration, comment in fields(
                text, struct.end(), body_end(text, struct.end())):
            if not declaration or SELF_GUARDED.match(declaration):
                continue
            name = re.split(r"[\s*]", re.sub(r"\[.*|\s*:.*|__\w+(\(.*\))?$", "",
                                             declaration).strip())[-1]
            where = "%s:%d: struct %s: %s" % (
                path, text.count("\n", 0, offset) + 1, struct.group("name"), name)
            if PADDING.search(name):
                continue
            found = LETTERS.match(comment or "")
            if not found:
                complaints.append("%s has no lock letter" % where)
                continue
            for letter in LETTER.findall(found.group(1)):
                if letter not in legend:
                    complaints.append("%s: (%s) is not in the legend" % (where, letter))
    return complaints


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    complaints = []
    for top in ("kernel", "arch"):
        for folder, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                if name.endswith((".h", ".c")):
                    complaints += check(os.path.join(folder, name))
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
