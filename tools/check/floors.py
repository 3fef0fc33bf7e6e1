#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Floors: an include goes downward only. The rows of CMakeLists.txt are the map: a room may include
itself and what it USES, transitively; a row uses only rows above it; the planes never meet; a private
header (x_int.h) stays in its folder. And each header compiles alone, behind its own include guard."""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
import tree  # noqa: E402

PLANES = ("controlplane", "dataplane", "agent", "cli", "tools")
ROW = re.compile(r"^\s*berth_(room|main)\(([^)]*)\)", re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.M)


def read_rooms(root, report):
    """{room: {rooms it may include}} from CMakeLists.txt, checking the order of the rows."""
    text = tree.read(root, "CMakeLists.txt")
    text = re.sub(r"#[^\n]*", lambda m: " " * len(m.group(0)), text)
    rooms = {}
    for match in ROW.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        words = match.group(2).split()
        room = words[1] if match.group(1) == "main" else words[0]
        uses, at = [], None
        for word in words[1:]:
            if word in ("USES", "LINKS", "STATIC"):
                at = word
            elif at == "USES":
                uses.append(word)
        below = {room}
        for used in uses:
            if used not in rooms:
                report.add("CMakeLists.txt", line, f"{room} USES {used}, which has no row above it:"
                           " rooms go from the ground up; move the row or drop the use")
                continue
            below |= rooms[used]
        for other in below:
            plane, its = room.split("/")[0], other.split("/")[0]
            if its in PLANES and its != plane:
                report.add("CMakeLists.txt", line, f"{room} reaches {other}: the planes never"
                           " include each other; put what both need into api/")
        rooms[room] = below
    return rooms


def room_of(name, rooms):
    """The room that a file belongs to: the longest room folder above it, or None."""
    folder = os.path.dirname(name)
    while folder:
        if folder in rooms:
            return folder
        folder = os.path.dirname(folder)
    return None


def check_include(root, report, rooms, name, line, target):
    folder = os.path.dirname(name)
    if not os.path.isfile(os.path.join(root, target)):
        beside = os.path.normpath(os.path.join(folder, target))
        hint = f'write "{beside}"' if os.path.isfile(os.path.join(root, beside)) else \
            "no such file from the root of the project"
        report.add(name, line, f'includes "{target}": includes are written from the root; {hint}')
        return
    mine, its = room_of(name, rooms), room_of(target, rooms)
    if target.endswith("_int.h") and os.path.dirname(target) != folder and mine != its:
        report.add(name, line, f'includes "{target}", private to {os.path.dirname(target)}: use its'
                   " public header")
        return
    if its is None:
        if os.path.dirname(target) != folder:
            report.add(name, line, f'includes "{target}", which is in no room: give its folder a row'
                       " in CMakeLists.txt")
    elif mine is None:
        if its.split("/")[0] in PLANES:
            report.add(name, line, f'includes "{target}" from outside every room: only lib/ and api/'
                       f" are open to {folder or 'the root'}")
    elif its not in rooms[mine]:
        why = "the planes never include each other; move what both need into api/"
        if its.split("/")[0] == mine.split("/")[0] or its.split("/")[0] not in PLANES:
            why = f"not a floor below it; if it should be, add {its} to the USES of {mine}"
        report.add(name, line, f'{mine} includes "{target}" of {its}: {why}')


def check_guard(report, name, text):
    want = "BERTH_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    bare = tree.bare(text)
    match = re.match(r"\s*#ifndef (\w+)\s*\n\s*#define (\w+)\s*\n", bare)
    if not match or match.group(1) != want or match.group(2) != want or \
            not bare.rstrip().endswith("#endif"):
        found = match.group(1) if match else "none"
        report.add(name, 1, f"include guard is {found}: wrap the header in #ifndef {want}")


def third_party_flags(build):
    """-I and -isystem of the build: where the libraries live."""
    flags = []
    try:
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
            commands = json.load(file)
    except (OSError, ValueError):
        return flags
    for entry in commands:
        words = shlex.split(entry["command"])
        for i, word in enumerate(words):
            pair = [word] if word.startswith("-I") and len(word) > 2 else \
                words[i:i + 2] if word == "-isystem" else []
            if pair and pair not in flags:
                flags.append(pair)
    return [word for pair in flags for word in pair]


def compile_alone(root, flags, name):
    """(line, message) of the first error, or None."""
    run = subprocess.run([os.environ.get("CC", "cc"), "-fsyntax-only", "-x", "c", "-std=gnu17",
                          "-D_GNU_SOURCE", "-I", root, *flags, os.path.join(root, name)],
                         capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return None
    error = next((line for line in run.stderr.splitlines() if "error:" in line), "error: unknown")
    place = re.match(r"(.*?):(\d+):", error)
    line = int(place.group(2)) if place and place.group(1).endswith(name) else 1
    return line, error.split("error:", 1)[1].strip()


def main():
    root, build = tree.arguments()
    report = tree.Report("floors")
    rooms = read_rooms(root, report)
    names = tree.files(root, (".c", ".h"))
    report.looked = len(names)
    for name in names:
        text = tree.read(root, name)
        # Comments are blanked but literals kept: the name of an include is one.
        code = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)
        for match in INCLUDE.finditer(code):
            line = code.count("\n", 0, match.start()) + 1
            if match.group(1) == '"':
                check_include(root, report, rooms, name, line, match.group(2))
            elif os.path.isfile(os.path.join(root, match.group(2))):
                report.add(name, line, f"includes <{match.group(2)}>, ours: use quotes")
        if name.split("/")[0] in PLANES[:4] and room_of(name, rooms) is None:
            report.add(name, 1, "is in no room: give its folder a row in CMakeLists.txt")
        if name.endswith(".h"):
            check_guard(report, name, text)
    headers = [name for name in names if name.endswith(".h")]
    flags = third_party_flags(build)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for name, bad in zip(headers, pool.map(lambda n: compile_alone(root, flags, n), headers)):
            if bad:
                report.add(name, bad[0], f"does not compile alone ({bad[1]}): include what it uses")
    return report.done()


if __name__ == "__main__":
    sys.exit(main())
