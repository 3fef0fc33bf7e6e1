# SPDX-License-Identifier: MIT
"""What the checks share: the list of our files, C text without comments, and the report."""
import os
import re
import subprocess
import sys

SKIPPED_FOLDERS = {".git", "node_modules", "build", "third_party", "__pycache__"}


def files(root, suffixes):
    """Files that git tracks or would track, relative to root, sorted. Without git: all present."""
    try:
        out = subprocess.run(
            ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
            capture_output=True, check=True).stdout.decode()
        names = [name for name in out.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, folders, here in os.walk(root):
            folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith("build")]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in here]
    return sorted(name for name in set(names)
                  if name.endswith(tuple(suffixes)) and os.path.isfile(os.path.join(root, name)))


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
        return file.read()


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def bare(text):
    """C text with comments blanked and literals emptied; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if token[0] == '"':
            return '""' + "\n" * token.count("\n")
        if token[0] == "'":
            return "''"
        return " " + "\n" * token.count("\n")
    return _TOKEN.sub(blank, text)


class Report:
    """Collects "file:line: what and what to do"; done() is the exit code."""

    def __init__(self, check):
        self.check = check
        self.lines = []
        self.looked = 0

    def add(self, name, line, what):
        self.lines.append((name, line, what))

    def done(self):
        for name, line, what in sorted(set(self.lines)):
            print(f"{name}:{line}: {what}")
        print(f"{self.check}: {self.looked} files, {len(set(self.lines))} findings")
        return 1 if self.lines else 0


def arguments():
    if len(sys.argv) < 2:
        print(f"usage: {sys.argv[0]} SOURCE_DIR [BUILD_DIR]")
        sys.exit(2)
    return os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else ""
