#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names and sizes: file = noun = prefix; the map at the top of each file; no typedef for structs; a
file of 600 lines, a function of 70, a vtable header of 90 at most; no tabs, trailing blanks or lines
over 100. Names that are allowed to differ are rows in names.allow."""
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tree  # noqa: E402

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
VTABLE_LINES_MAX = 90
WIDTH_MAX = 100
SPDX = "SPDX-License-Identifier: MIT"
FUNCTION = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
# Words before a "(" that are no function names.
NOT_NAMES = re.compile(r"^(?:_\w+|[A-Z][A-Z0-9_]*|if|while|for|switch|return|sizeof|defined)$")


def read_allowed(root):
    """{header: [prefixes]} from names.allow; rows "path prefix_ prefix_...", # comments."""
    allowed = {}
    path = "tools/check/names.allow"
    if os.path.isfile(os.path.join(root, path)):
        for row in tree.read(root, path).splitlines():
            words = row.split("#")[0].split()
            if words:
                allowed.setdefault(words[0], []).extend(words[1:])
    return allowed


def prefixes_of(name, bare):
    """x.h: x_, plural and singular; its last word (out_ of server_out.h); the folder's name
    (http_ in lib/http); and the structs and enums that the header itself names."""
    noun = os.path.basename(name)[:-2]
    nouns = {noun, noun[:-1] if noun.endswith("s") else noun + "s"}
    nouns |= {noun[:-3] + "y"} if noun.endswith("ies") else set()
    folder = os.path.basename(os.path.dirname(name))
    tags = set(re.findall(r"^(?:struct|enum|union)\s+([a-z]\w*)", bare, re.M))
    return nouns | tags | {folder, noun.split("_")[-1]}


def declarations(bare):
    """(line, text) of each declaration at file level in a header; bodies are skipped."""
    depth, line, start, text = 0, 1, 1, ""
    for part in re.split(r"([{};\n])", re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: "\n" *
                                             m.group(0).count("\n"), bare, flags=re.M)):
        if part == "\n":
            line += 1
            text += " "
        elif part == "{":
            depth += 1
        elif part == "}":
            depth -= 1
            if depth == 0:
                text += " {} "
                if re.search(r"\)\s*\{\} $", text):
                    yield start, text
                    text = ""
        elif part == ";":
            if depth == 0:
                yield start, text
                text = ""
        elif depth == 0 and part.strip():
            if not text.strip():
                start, text = line, ""
            text += part


def functions(bare):
    """(line, name) of each function that a header declares, statics and types left out."""
    for line, text in declarations(bare):
        words = text.split()
        if not words or words[0] in ("typedef", "static", "extern", "_Static_assert"):
            continue
        found = next((m.group(1) for m in FUNCTION.finditer(text)
                      if not NOT_NAMES.match(m.group(1))), None)
        if found and not re.match(r"^\s*(struct|union|enum)\s+\w+\s*\{\}", text):
            yield line, found


def check_prefixes(report, name, bare, allowed, seen):
    prefixes = prefixes_of(name, bare)
    for line, found in functions(bare):
        # Private headers and folders of programs (with a main.c) never meet in one program.
        private = name.endswith("_int.h") or os.path.exists(
            os.path.join(tree.arguments()[0], os.path.dirname(name), "main.c"))
        first = seen.setdefault(found, name) if not private else name
        if first != name:
            report.add(name, line, f"declares {found}, which {first} declares as well: one name, one"
                       " thing; rename one of them")
        # A private header's names are the folder's own business, as long as they are unique.
        if name.endswith("_int.h") or any(found == p or found.startswith(p + "_") for p in prefixes):
            continue
        if any(found.startswith(p) for p in allowed.get(name, ())):
            continue
        noun = os.path.basename(name)[:-2]
        report.add(name, line, f"declares {found}: file = noun = prefix, call it {noun}_..., move it,"
                   " or give it a row in tools/check/names.allow")


def check_functions(report, name, lines):
    start, title = None, ""
    for number, line in enumerate(lines, 1):
        match = re.match(r"([A-Za-z_]\w*)\(", line)
        if match:
            title = match.group(1)
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            size = number - start - 1
            if size > FUNCTION_LINES_MAX:
                report.add(name, start, f"{title} has {size} lines, {FUNCTION_LINES_MAX} at most:"
                           " it is two things, split it")
            start = None


def check_map(report, name, text):
    base = os.path.basename(name)
    head = text.split("*/", 1)[0]
    if not text.startswith(f"/* {SPDX}"):
        report.add(name, 1, f"first line must be: /* {SPDX}")
        return
    if not re.match(rf"/\* {SPDX}\n \* {re.escape(base)} - \S", text):
        report.add(name, 2, f'second line must be: " * {base} - what it does"')
    for word in ("Floor:", "Owns:", "Invariant:"):
        if word not in head:
            report.add(name, 2, f'the map of the file has no "{word}" line: what it does; floor and'
                       " thread; what it owns; its invariant and where that is proved")


def check_vtable(report, name, bare, count):
    """A vtable header is one that holds more slots than functions."""
    slots = re.findall(r"\(\s*\*\s*\w+\s*\)\s*\(", bare)
    if len(slots) >= 3 and len(slots) > len(list(functions(bare))) and count > VTABLE_LINES_MAX:
        report.add(name, 1, f"is a vtable of {len(slots)} slots and has {count} lines,"
                   f" {VTABLE_LINES_MAX} at most: move the rest to another header")


def check_text(report, name, lines, width):
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            report.add(name, number, "a tab: use spaces")
        if line != line.rstrip():
            report.add(name, number, "blanks at the end of the line: remove them")
        if width and len(line) > width:
            report.add(name, number, f"{len(line)} columns, {width} at most: break the line")


def check_c(report, name, text, allowed, seen):
    lines = text.split("\n")
    count = len(lines) - (1 if lines[-1] == "" else 0)
    bare = tree.bare(text)
    if count > FILE_LINES_MAX:
        report.add(name, FILE_LINES_MAX, f"{count} lines, {FILE_LINES_MAX} at most: split it into two"
                   " nouns")
    for match in re.finditer(r"\btypedef\s+(struct|union|enum)\b[^;()]*[;{]", bare):
        line = bare.count("\n", 0, match.start()) + 1
        report.add(name, line, f"typedef {match.group(1)}: only function types are typedef'ed; write"
                   f" {match.group(1)} x")
    check_map(report, name, text)
    check_functions(report, name, lines)
    check_text(report, name, lines, WIDTH_MAX)
    if name.endswith(".h"):
        check_prefixes(report, name, bare, allowed, seen)
        check_vtable(report, name, bare, count)


def main():
    root, _ = tree.arguments()
    report = tree.Report("names")
    allowed = read_allowed(root)
    names = tree.files(root, (".c", ".h", ".def", ".py", ".sh", ".cmake", "CMakeLists.txt"))
    report.looked = len(names)
    seen = {}
    for name in names:
        text = tree.read(root, name)
        if name.endswith((".c", ".h")):
            check_c(report, name, text, allowed, seen)
            continue
        check_text(report, name, text.split("\n"), 0)
        if not name.endswith(".def") and SPDX not in "\n".join(text.split("\n")[:3]):
            report.add(name, 1, f"no SPDX line in the first three: add # {SPDX}")
    return report.done()


if __name__ == "__main__":
    sys.exit(main())
