#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HARDENING 3.2 against a real data plane: floods end in GOAWAY with little work done, malformed streams and frames get
the error that RFC 9113 names, and none of it reaches a provider. Row ids are those of the catalogue."""
import ctypes
import ctypes.util
import json
import signal
import socket
import struct
import sys
import time

import rig
from rig import Stack, say, skip, until

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT, UPDATE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16
END, EOH = 1, 4
NO_ERROR, PROTOCOL, FLOW, CLOSED, SIZE, REFUSED, COMPRESSION, CALM = 0, 1, 3, 5, 6, 7, 9, 11
CODES = {0: "NO_ERROR", 1: "PROTOCOL_ERROR", 3: "FLOW_CONTROL", 5: "STREAM_CLOSED", 6: "FRAME_SIZE", 7: "REFUSED",
         8: "CANCEL", 9: "COMPRESSION", 11: "ENHANCE_YOUR_CALM"}

library = ctypes.util.find_library("nghttp2") or "libnghttp2.so.14"
try:
    nghttp2 = ctypes.CDLL(library)
except OSError as e:
    skip("h2", "needs libnghttp2 to read header blocks: %s" % e)
    sys.exit(0)


stack = None  # the one that Conn, block and the cases talk to


class Pair(ctypes.Structure):
    _fields_ = [("name", ctypes.POINTER(ctypes.c_char)), ("value", ctypes.POINTER(ctypes.c_char)),
                ("name_size", ctypes.c_size_t), ("value_size", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Inflater:
    def __init__(self):
        self.state = ctypes.c_void_p()
        assert nghttp2.nghttp2_hd_inflate_new(ctypes.byref(self.state)) == 0
        nghttp2.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        nghttp2.nghttp2_hd_inflate_hd2.argtypes = [ctypes.c_void_p, ctypes.POINTER(Pair), ctypes.POINTER(ctypes.c_int),
                                                   ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]

    def fields(self, block):
        out, pair, flags = {}, Pair(), ctypes.c_int()
        while True:
            used = nghttp2.nghttp2_hd_inflate_hd2(self.state, pair, flags, block, len(block), 1)
            assert used >= 0, used
            block = block[used:]
            if flags.value & 2:
                out[ctypes.string_at(pair.name, pair.name_size)] = ctypes.string_at(pair.value, pair.value_size)
            if flags.value & 1:
                nghttp2.nghttp2_hd_inflate_end_headers(self.state)
                return out
            if not used and not flags.value & 2:
                return out


def number(value, prefix, first=0):
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def literal(name, value):
    return b"\0" + number(len(name), 7) + name + number(len(value), 7) + value


def frame(kind, flags, stream, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Conn:
    def __init__(self, settings=b""):
        self.sock = socket.create_connection(("127.0.0.1", stack.port), timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inflater, self.buf, self.ended = Inflater(), b"", False
        self.status, self.data, self.done, self.reset, self.goaway, self.resets = {}, {}, set(), {}, None, 0
        self.last_id = None
        self.pings, self.streams_max = 0, None
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, raw):
        """False when the peer has hung up."""
        try:
            self.sock.sendall(raw)
            return True
        except OSError:
            return False

    def pump(self, wait=0.0):
        """Read what is there; False when nothing came."""
        self.sock.settimeout(wait or 0.000001)
        try:
            got = self.sock.recv(1 << 18)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError:
            got = b""
        finally:
            self.sock.settimeout(10)
        self.ended = self.ended or not got
        self.buf += got
        while len(self.buf) >= 9:
            size = int.from_bytes(self.buf[:3], "big")
            if len(self.buf) < 9 + size:
                break
            kind, flags, stream = self.buf[3], self.buf[4], int.from_bytes(self.buf[5:9], "big")
            payload, self.buf = self.buf[9:9 + size], self.buf[9 + size:]
            self.take(kind, flags, stream, payload)
        return bool(got)

    def take(self, kind, flags, stream, payload):
        if kind == HEADERS:
            fields = self.inflater.fields(payload)
            if b":status" in fields and int(fields[b":status"]) >= 200:
                self.status[stream] = int(fields[b":status"])
        elif kind == DATA:
            self.data[stream] = self.data.get(stream, b"") + payload
            if payload:
                self.send(frame(WINDOW, 0, 0, struct.pack(">I", len(payload))))
        elif kind == RST:
            self.reset[stream], self.resets = struct.unpack(">I", payload)[0], self.resets + 1
        elif kind == GOAWAY:
            self.last_id, self.goaway = struct.unpack(">II", payload[:8])
        elif kind == SETTINGS and not flags & 1:
            values = dict(struct.iter_unpack(">HI", payload))
            self.streams_max = values.get(3, self.streams_max)
            self.send(frame(SETTINGS, 1, 0))
        elif kind == PING and flags & 1:
            self.pings += 1
        if kind in (HEADERS, DATA) and flags & END:
            self.done.add(stream)

    def wait(self, condition, seconds=5):
        end = time.monotonic() + seconds
        while not condition() and not self.ended and time.monotonic() < end:
            self.pump(0.05)
        return bool(condition())

    def over(self, seconds=5):
        """The connection ends; the code of the GOAWAY, if one came."""
        self.wait(lambda: self.ended, seconds)
        return self.goaway if self.ended else ("open", self.goaway)


def block(path=b"/v1/chat/completions", method=b"POST", extra=(), pseudo=None, auth=True):
    if pseudo is None:
        pseudo = [(b":method", method), (b":scheme", b"http"), (b":authority", b"berth"), (b":path", path)]
    fields = list(pseudo) + ([(b"authorization", b"Bearer " + stack.key.encode())] if auth else [])
    fields += [(b"content-type", b"application/json")] + list(extra)
    return b"".join(literal(n, v) for n, v in fields)


def headers(stream, end=False, **more):
    return frame(HEADERS, EOH | (END if end else 0), stream, block(**more))


def request(number, text="hello", **more):
    return headers(number) + frame(DATA, END, number, stack.body(text, **more).encode())


def no_provider(name, before, allowed=0):
    count = stack.billed() - before
    return count <= allowed or say(False, name, "a provider saw %d" % count)


def stream_error(name, raw, codes=(PROTOCOL,), statuses=(), honest=True, wait=5):
    """The stream is refused with a reset (or one of the statuses); no provider; the connection lives."""
    before = stack.billed()
    with Conn() as c:
        c.send(raw)
        c.wait(lambda: 1 in c.reset or 1 in c.done or c.goaway is not None, wait)
        good = c.reset.get(1) in codes or c.status.get(1) in statuses
        what = "reset %s status %s goaway %s" % (c.reset.get(1), c.status.get(1), c.goaway)
        no_provider(name, before)
        if good and honest:
            c.send(request(101))
            good = c.wait(lambda: 101 in c.done) and c.status[101] == 200
            what += "; next request: %s" % c.status.get(101)
    say(good, name, what)


def conn_error(name, raw, codes, start=True):
    """The connection ends with a GOAWAY of these codes; no provider."""
    before = stack.billed()
    with Conn() as c:
        if start:
            c.send(headers(1))
        c.send(raw)
        code = c.over()
    say(code in codes and no_provider(name, before), name, "GOAWAY %s" % (code,))


def flood(name, make, limit, upstream=100, cpu=1.0, codes=(CALM,), setup=b"", settings=b"", resets=200, batch=50):
    """At most `limit` units are sent; the connection must be ended by then."""
    before, used, rss = stack.billed(), stack.cpu(), stack.rss()
    with Conn(settings) as c:
        c.send(setup)
        sent = 0
        while sent < limit and c.goaway is None and not c.ended:
            if not c.send(b"".join(make(sent + i) for i in range(batch))):
                break
            sent += batch
            while c.pump():
                pass
        code = c.over()
    used, grown = stack.cpu() - used, stack.rss() - rss
    until(3, lambda: stack.billed() == before, 0.2)
    good = code in codes and c.resets <= resets and (rig.LAX or used < cpu and grown < 8 << 20)
    say(good and no_provider(name, before, upstream), "%s: GOAWAY after <= %d, %.2f s CPU" % (name, sent, used),
        "code %s, %d resets by us, rss +%d" % (code, c.resets, grown))


def floods():
    cancel = struct.pack(">I", 8)
    flood("H2-02 rapid reset", lambda i: request(2 * i + 1, "[[sim: delay_ms=300]]") + frame(RST, 0, 2 * i + 1, cancel),
          100000)
    flood("H2-02 rapid reset without body", lambda i: headers(2 * i + 1) + frame(RST, 0, 2 * i + 1, cancel), 100000)
    prior = {"window update 0": lambda s: frame(WINDOW, 0, s, b"\0\0\0\0"),
             "window overflow": lambda s: frame(WINDOW, 0, s, b"\x7f\xff\xff\xff"),
             "DATA after END_STREAM": lambda s: frame(DATA, 0, s, b"x"),
             "HEADERS after END_STREAM": lambda s: headers(s),
             "PRIORITY of 4 bytes": lambda s: frame(PRIORITY, 0, s, b"\0\0\0\0"),
             "self-dependency": lambda s: frame(PRIORITY, 0, s, struct.pack(">IB", s, 1))}
    for what, primitive in prior.items():
        flood("H2-03 MadeYouReset, " + what,
              lambda i: request(2 * i + 1, "[[sim: delay_ms=300]]") + primitive(2 * i + 1), 20000,
              codes=(CALM, PROTOCOL, CLOSED, SIZE), resets=110, batch=10)
    first = frame(HEADERS, 0, 1, block())
    flood("H2-05 empty CONTINUATION", lambda i: frame(CONT, 0, 1), 20000, 0, setup=first)
    flood("H2-05 CONTINUATION of empty fields", lambda i: frame(CONT, 0, 1, literal(b"", b"") * 20), 20000, 0,
          setup=first, codes=(CALM, PROTOCOL))
    flood("H2-05 empty DATA", lambda i: frame(DATA, 0, 1), 100000, 0, setup=headers(1))
    flood("H2-05 padding only", lambda i: frame(DATA, 8, 1, b"\x04\0\0\0\0"), 100000, 0, setup=headers(1))
    flood("H2-11 PRIORITY", lambda i: frame(PRIORITY, 0, 2 * i + 101, b"\0\0\0\1\x10"), 50000, 0)
    flood("H2-11 PRIORITY_UPDATE", lambda i: frame(UPDATE, 0, 0, b"\0\0\0\1u=1"), 50000, 0)
    flood("H2-11 unknown type", lambda i: frame(0xbb, 0, 1, b"x"), 50000, 0)
    flood("H2-x PING", lambda i: frame(PING, 0, 0, b"12345678"), 20000, 0)
    flood("H2-x SETTINGS", lambda i: frame(SETTINGS, 0, 0, b"\0\3\0\0\0\x64"), 20000, 0)
    flood("H2-x SETTINGS ACK", lambda i: frame(SETTINGS, 1, 0), 20000, 0, codes=(CALM, PROTOCOL))
    flood("H2-12 WINDOW_UPDATE of 1", lambda i: frame(WINDOW, 0, 0, b"\0\0\0\1"), 100000, 0)
    flood("H2-12 WINDOW_UPDATE of 1, on a stream", lambda i: frame(WINDOW, 0, 1, b"\0\0\0\1"), 100000, 0,
          setup=headers(1))
    toggles = (b"\0\4\0\0\0\0", b"\0\4\x7f\xff\xff\xff")
    flood("H2-13 INITIAL_WINDOW_SIZE toggled", lambda i: frame(SETTINGS, 0, 0, toggles[i & 1]), 10000, 100,
          setup=b"".join(headers(2 * i + 1) for i in range(100)))
    flood("H2-x unknown credentials", lambda i: headers(2 * i + 1, end=True, auth=False), 400, 0,
          codes=(CALM, ("open", None)), resets=400)


def hpack():
    big = b"v" * 4000
    bomb = block() + b"\x40" + number(5, 7) + b"x-big" + number(len(big), 7) + big + b"\xbe" * 11000
    rss, before = stack.rss(), stack.billed()
    with Conn() as c:
        c.send(frame(HEADERS, EOH | END, 1, bomb))
        c.wait(lambda: 1 in c.done or 1 in c.reset)
        c.send(request(3))
        c.wait(lambda: 3 in c.done)
        grown = stack.rss() - rss
    good = (c.status.get(1) in (400, 431) or c.reset.get(1) is not None) and c.status.get(3) == 200 and (rig.LAX or grown < 1 << 20)
    say(good and stack.billed() - before == 1, "H2-06 HPACK bomb: refused, +%d KiB" % (grown >> 10),
        "status %s reset %s next %s" % (c.status.get(1), c.reset.get(1), c.status.get(3)))
    for what, bad in (("index 0", b"\x80"), ("index out of range", b"\xff\x7f"), ("table size over setting", b"\x3f\xff\xff\x03"),
                      ("EOS in Huffman", b"\0\x84\xff\xff\xff\xff\0"), ("integer overflow", b"\xff" + b"\xff" * 12),
                      ("truncated literal", b"\0\x7f\x20abc"), ("table size not first", b"\x82\x20\x84")):
        conn_error("H2-07 " + what, frame(HEADERS, EOH | END, 3, bad), (COMPRESSION,), start=False)


def malformed():
    body = stack.body().encode()
    for name, value in ((b"X-Upper", b"1"), (b"x y", b"1"), (b"x\ry", b"1"), (b"x\ny", b"1"), (b"x\0y", b"1"), (b"x:y", b"1"),
                        (b"x\x80", b"1"), (b"", b"1"), (b"x-a", b"a\rb"), (b"x-a", b"a\nb"), (b"x-a", b"a\0b"), (b"x-a", b" a"),
                        (b"x-a", b"a "), (b"x-a", b"a\r\nx-b: 1")):
        stream_error("H2-16 %r: %r" % (name.decode("latin1"), value.decode("latin1")),
                     frame(HEADERS, EOH, 1, block(extra=[(name, value)])) + frame(DATA, END, 1, body))
    for name, value in ((b"connection", b"close"), (b"transfer-encoding", b"chunked"), (b"upgrade", b"h2c"), (b"te", b"gzip"),
                        (b"keep-alive", b"1"), (b"proxy-connection", b"close")):
        stream_error("H2-17 %s" % name.decode(), frame(HEADERS, EOH, 1, block(extra=[(name, value)])) + frame(DATA, END, 1, body))
    for what, extra, data in (("too short", [(b"content-length", b"9999")], body), ("too long", [(b"content-length", b"3")], body),
                              ("twice", [(b"content-length", b"%d" % len(body))] * 2, body),
                              ("not a number", [(b"content-length", b"+%d" % len(body))], body),
                              ("list", [(b"content-length", b"%d, %d" % (len(body), len(body)))], body)):
        stream_error("H2-18 content-length " + what,
                     frame(HEADERS, EOH, 1, block(extra=extra)) + frame(DATA, 0, 1, data[:20]) + frame(DATA, END, 1, data[20:]))
    m, s, a, p = (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"berth"), (b":path", b"/v1/chat/completions")
    for what, pseudo in (("no method", [s, a, p]), ("no scheme", [m, a, p]), ("no path", [m, s, a]), ("method twice", [m, m, s, a, p]),
                         ("path twice", [m, s, a, p, p]), ("unknown", [m, s, a, p, (b":x", b"1")]), (":status", [m, s, a, p, (b":status", b"200")]),
                         ("late", [m, s, a, (b"x-a", b"1"), p]), ("empty path", [m, s, a, (b":path", b"")]),
                         ("path without slash", [m, s, a, (b":path", b"v1/models")]), ("path with space", [m, s, a, (b":path", b"/v1/mo dels")]),
                         ("path of a request line", [m, s, a, (b":path", b"/x HTTP/1.1\r\nHost: evil")]),
                         ("path with NUL", [m, s, a, (b":path", b"/v1\0")]),
                         ("scheme with ://", [m, (b":scheme", b"http://evil/"), a, p]), ("method with space", [(b":method", b"POST /x"), s, a, p]),
                         ("empty method", [(b":method", b""), s, a, p]), ("authority with a path", [m, s, (b":authority", b"berth/x"), p]),
                         ("authority with userinfo", [m, s, (b":authority", b"u@berth"), p])):
        stream_error("H2-19 " + what, frame(HEADERS, EOH, 1, block(pseudo=pseudo)) + frame(DATA, END, 1, body),
                     statuses=(400,) if what.startswith("authority") else ())
    for what, extra in (("H2-20 host differs", [(b"host", b"evil")]),
                        ("H2-21 authorization twice", [(b"authorization", b"Bearer " + stack.key.encode())])):
        stream_error(what, frame(HEADERS, EOH, 1, block(extra=extra)) + frame(DATA, END, 1, body), statuses=(400,))
    with Conn() as c:
        c.send(frame(HEADERS, EOH, 1, block(extra=[(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"host", b"berth")])) +
               frame(DATA, END, 1, body))
        c.wait(lambda: 1 in c.done)
    say(c.status.get(1) == 200, "H2-21 cookie twice", c.status)


def connections():
    conn_error("H2-22 lower id", headers(5) + headers(3), (PROTOCOL,))
    conn_error("H2-22 even id", headers(4), (PROTOCOL,))
    conn_error("H2-22 id 0", headers(0), (PROTOCOL,))
    with Conn() as c:
        c.send(request(1))
        c.wait(lambda: 1 in c.done)
        c.send(request(1))
        code = c.over()
    say(code in (PROTOCOL, CLOSED), "H2-22 closed id again", code)
    conn_error("H2-24 bytes after our GOAWAY", headers(4) + frame(10, 0, 1, b"\xff") + frame(UPDATE, 0, 0, b"\0") * 500 +
               frame(10, 0, 0, b"\xff\xff") * 500, (PROTOCOL, CALM))
    conn_error("H2-25 16,385 bytes", frame(DATA, 0, 1, b"x" * 16385), (SIZE,))
    conn_error("H2-25 length 2^24-1", frame(DATA, 0, 1, b"x" * 20000, length=(1 << 24) - 1), (SIZE,))
    begin = time.monotonic()
    with Conn() as c:
        c.send(headers(1) + frame(DATA, 0, 1, b"x" * 10, length=100))
        c.sock.shutdown(socket.SHUT_WR)
        c.over()
    say(c.ended and time.monotonic() - begin < 2, "H2-25 truncated frame, then FIN", time.monotonic() - begin)
    conn_error("H2-28 PUSH_PROMISE", frame(PUSH, EOH, 1, b"\0\0\0\2" + block()), (PROTOCOL,))
    conn_error("H2-28 ENABLE_PUSH 2", frame(SETTINGS, 0, 0, b"\0\2\0\0\0\2"), (PROTOCOL,))
    conn_error("H2-12 window over 2^31-1", frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), (FLOW,))
    conn_error("H2-x INITIAL_WINDOW_SIZE 2^31", frame(SETTINGS, 0, 0, b"\0\4\x80\0\0\0"), (FLOW,))
    conn_error("H2-x MAX_FRAME_SIZE 100", frame(SETTINGS, 0, 0, b"\0\5\0\0\0\x64"), (PROTOCOL,))
    conn_error("H2-x CONTINUATION alone", frame(CONT, EOH, 1, b""), (PROTOCOL,))
    conn_error("H2-x frame inside a header block", frame(HEADERS, 0, 3, block()) + frame(PING, 0, 0, b"12345678"), (PROTOCOL,))
    conn_error("H2-x RST_STREAM on an idle id", frame(RST, 0, 99, b"\0\0\0\x08"), (PROTOCOL,))
    conn_error("H2-x padding over the frame", frame(DATA, 8, 1, b"\xff1"), (PROTOCOL,))
    with Conn() as c:
        c.send(b"".join(request(2 * i + 1, "[[sim: words=%d]]" % (i + 1)) for i in range(100)))
        c.wait(lambda: len(c.done) == 100, 15)
        words = [json.loads(c.data.get(2 * i + 1, b"{}")).get("usage", {}).get("completion_tokens") for i in range(100)]
    say(words == list(range(1, 101)), "H2-x 100 streams at once, each its own answer", words[:10])
    with Conn() as c:
        c.wait(lambda: c.streams_max is not None)
        c.send(b"".join(headers(2 * i + 1) for i in range(c.streams_max + 20)))
        c.wait(lambda: len(c.reset) >= 20 or c.goaway is not None)
    say(list(c.reset.values()) == [REFUSED] * 20 or c.goaway == PROTOCOL, "H2-x stream %s + 1 is refused" % c.streams_max, (c.reset, c.goaway))


def drain():
    """SIGTERM while 50 streams run: a first GOAWAY, behind which what is on its way is served (RFC 9113 6.8), a second one: all finish, new ids get nothing, the process ends with 0."""
    before = stack.billed()
    with Conn() as c:
        c.send(b"".join(request(2 * i + 1, "[[sim: words=20, chunk_ms=50]]", stream=True) for i in range(50)))
        c.wait(lambda: sum(b"content" in d for d in c.data.values()) == 50, 10)
        stack.procs["dataplane"].send_signal(signal.SIGTERM)
        c.wait(lambda: c.goaway is not None, 5)
        first = c.last_id
        c.send(request(101))
        c.wait(lambda: c.last_id != first, 5)
        code, last = c.goaway, c.last_id
        c.send(request(201))
        c.wait(lambda: c.ended, 20)
    whole = sum(d.rstrip().endswith(b"data: [DONE]") for s, d in c.data.items() if s < 101)
    say(code == NO_ERROR and whole == 50, "H2-29 50 streams finish after SIGTERM", "GOAWAY %s, %d whole" % (code, whole))
    say((first, last, c.status.get(101)) == (2**31 - 1, 101, 200), "H2-29 one on its way is served", (first, last, c.status))
    say(201 not in c.status, "H2-29 a new id is not served", c.status.get(201))
    say(until(10, lambda: stack.billed() - before == 51), "H2-29 the provider billed each once", stack.billed() - before)
    say(until(15, lambda: stack.procs["dataplane"].poll() is not None) and stack.procs["dataplane"].poll() == 0,
        "H2-29 the data plane ends cleanly", stack.procs["dataplane"].poll())


def main():
    global stack
    stack = Stack(slow=rig.LAX or 1).start()
    with Conn() as warm:
        warm.send(b"".join(request(2 * i + 1, "[[sim: delay_ms=50]]") for i in range(100)))
        warm.wait(lambda: len(warm.done) == 100, 15)
    base = stack.fds() + 40  # upstream connections that stay pooled
    for part in (floods, hpack, malformed, connections):
        part()
        stack.healthy(part.__name__, base)
    drain()
    stack.judge_end()
    return 1 if rig.failures else 0


if __name__ == "__main__":
    sys.exit(main())
