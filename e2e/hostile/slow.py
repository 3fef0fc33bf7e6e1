#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HTTP/2 clients that hardly open their windows, against a real data plane: what is held for them is let go after a
minute, while those who wait for a slow provider get all of it. They run side by side; conformance.sh runs the other
suites meanwhile."""
import struct
import sys
import time

import h2
import rig
from h2 import DATA, END, WINDOW, Conn, frame, request
from rig import Stack, say, until

CANCEL = 8
LIMIT_S = 60 + 10 + 10 + 10  # idle_timeout_ms, a tick at either end, and a slow machine


class Slow(Conn):
    """`step` bytes of window every `pause` seconds; with `echo`, as much as came."""

    def __init__(self, name, lives, window, streams, ask, step=0, conn_step=0, pause=5.0, echo=False):
        self.name, self.lives, self.streams = name, lives, streams
        self.step, self.conn_step, self.pause, self.echo = step, conn_step, pause, echo
        self.next, self.begin, self.ids = time.monotonic() + pause, time.monotonic(), range(1, 2 * streams, 2)
        super().__init__(struct.pack(">HI", 4, window))
        for i in self.ids:
            self.send(request(i, ask, stream=True, max_tokens=4000))

    def take(self, kind, flags, stream, payload):
        if kind != DATA:
            super().take(kind, flags, stream, payload)
            return
        self.data[stream] = self.data.get(stream, b"") + payload
        if self.echo and payload:
            self.send(frame(WINDOW, 0, 0, struct.pack(">I", len(payload))) +
                      frame(WINDOW, 0, stream, struct.pack(">I", len(payload))))
        if flags & END:
            self.done.add(stream)

    def turn(self):
        while self.pump():
            pass
        if time.monotonic() < self.next:
            return
        self.next += self.pause
        open_ids = [i for i in self.ids if i not in self.reset and i not in self.done]
        self.send(b"".join(frame(WINDOW, 0, i, struct.pack(">I", self.step)) for i in open_ids if self.step) +
                  (frame(WINDOW, 0, 0, struct.pack(">I", self.conn_step)) if self.conn_step else b""))

    def over(self):
        return self.ended or len(self.done) + len(self.reset) == self.streams

    def judge(self):
        lasted = time.monotonic() - self.begin
        whole = sum(d.rstrip().endswith(b"data: [DONE]") for d in self.data.values())
        canceled = sum(code == CANCEL for code in self.reset.values())
        good = self.goaway is None and (whole if self.lives else canceled) == self.streams
        say(good, "H2-x %s: %s after %.0f s" % (self.name, "whole" if self.lives else "canceled", lasted),
            "%d whole, %d canceled, resets %s, GOAWAY %s" % (whole, canceled, self.reset, self.goaway))


def main():
    h2.stack = stack = Stack(slow=rig.LAX or 1).start()
    fds = stack.fds()
    much = "[[sim: words=1500]]"
    conns = [
        Slow("window 0 for ever", False, 0, 1, much),
        Slow("a byte every five seconds", False, 0, 1, much, step=1),
        Slow("a byte every twenty seconds on each of 100 streams", False, 0, 100, "[[sim: words=300]]", step=1, pause=20.0),
        Slow("a connection's window that drips", False, 1 << 20, 2, much, conn_step=1),
        Slow("a provider that says a word in six seconds", True, 65535, 1, "[[sim: words=14, chunk_ms=6000]]", echo=True),
        Slow("the same, through a window of 200 bytes", True, 200, 1, "[[sim: words=14, chunk_ms=6000]]", echo=True),
        Slow("a provider that is silent at first", True, 65535, 1, "[[sim: words=5, delay_ms=45000, chunk_ms=9000]]", echo=True),
        # More than is kept for a client, so that the provider has to wait, and that is not its silence.
        Slow("4,000 bytes a second", True, 20000, 1, much, step=20000, conn_step=20000),
    ]
    waiting, end = list(conns), time.monotonic() + 200 * stack.slow
    limit = time.monotonic() + LIMIT_S * stack.slow
    while waiting and time.monotonic() < end:
        for c in list(waiting):
            c.turn()
            if c.over() or (not c.lives and time.monotonic() > limit):
                c.judge()
                c.sock.close()
                waiting.remove(c)
        time.sleep(0.05)
    for c in waiting:
        c.judge()
        c.sock.close()
    good = until(10, lambda: stack.fds() <= fds + 20)
    say(good and stack.chat()[0] == 200, "the next request is answered, and nothing is left open", (stack.fds(), fds))
    stack.judge_end()
    return 1 if rig.failures else 0


if __name__ == "__main__":
    sys.exit(main())
