#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""H2-01: h2spec, all cases and strict, none skipped, against each listener. Usage: h2spec.py PATH_OF_TOOLS_H2SPEC"""
import re
import subprocess
import sys

import rig
from rig import Stack, say, skip

stack = Stack(tls=True).start()
base = None
for where, port, more in (("data plane, clear", stack.port, []), ("data plane, TLS", stack.tls_port, ["-t", "-k"]),
                          ("control plane, clear", stack.admin_port, [])):
    for what, count, strict in (("all", 146, []), ("strict", 147, ["-S"])):
        # a path whose answer has a body: some cases need DATA to look at
        done = subprocess.run([sys.argv[1], "-h", "127.0.0.1", "-p", str(port), "-P", "/nowhere", *more, *strict],
                              capture_output=True, text=True)
        if done.returncode == 77:
            skip("H2-01 h2spec", done.stderr.strip().splitlines()[-1])
            stack.stop()
            sys.exit(0)
        line = next((x for x in done.stdout.splitlines() if re.match(r"\d+ tests,", x)), "no summary")
        good = line == "%d tests, %d passed, 0 skipped, 0 failed" % (count, count)
        say(good, "H2-01 h2spec %s, %s: %s" % (what, where, line), done.stdout)
stack.healthy("h2spec")
stack.judge_end()
sys.exit(1 if rig.failures else 0)
