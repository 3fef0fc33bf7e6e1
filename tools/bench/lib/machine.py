# SPDX-License-Identifier: MIT
"""The machine and the programs of a run: is it fit to measure, what is measured."""
import os
import shutil
import subprocess
import sys

from measure import Fatal

LIB = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(LIB)))


def check(tools):
    if (os.cpu_count() or 1) < 2:
        raise Fatal("needs two cores: one for the proxy alone, one for load and upstream")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for tool, package in tools.items():
        if shutil.which(tool) is None:
            raise Fatal(f"{tool} is missing: apt-get install {package}")


def set_priority(nice):
    """Other work on the machine must not decide the result: the kernel groups processes by session, so
    the session's own priority counts, not only each program's. Not allowed or not there: no matter."""
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(nice))
    except OSError:
        pass


def build(say):
    """What is shipped (tools/pgo: link-time and profile-guided optimisation) into build/bench; -> its programs."""
    out = os.path.join(ROOT, "build", "bench")
    say(f"building with tools/pgo into {os.path.relpath(out)}, about a minute")
    done = subprocess.run([os.path.join(ROOT, "tools", "pgo"), out], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.stderr.write(done.stdout.decode(errors="replace")[-4000:])
        raise Fatal("tools/pgo failed")
    return os.path.join(out, "bin")
