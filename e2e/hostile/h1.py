#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HARDENING 3.1 against a real data plane: each malformed or abusive HTTP/1.1 request gets its one answer, reaches no
provider, costs nobody else anything. Row ids are those of the catalogue; "H1-x" are classes beside them."""
import json
import socket
import sys
import threading
import time

from rig import Stack, say, until
import rig

stack = Stack(tap=True, slow=rig.LAX or 1).start()
KEY = stack.key.encode()
AUTH = b"Authorization: Bearer " + KEY + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = stack.body().encode()


def head(*lines, start=b"POST /v1/chat/completions HTTP/1.1", host=b"Host: berth", base=AUTH + JSON):
    out = start + b"\r\n" + (host + b"\r\n" if host else b"") + base
    return out + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(*lines, body=BODY, **more):
    return head(b"Content-Length: %d" % len(body), *lines, **more) + body


def chunked(*chunks, end=b"0\r\n\r\n", lines=()):
    out = head(b"Transfer-Encoding: chunked", *lines)
    return out + b"".join(chunks) + end


def chunk(data, ext=b""):
    return b"%x%s\r\n%s\r\n" % (len(data), ext, data)


def connect():
    s = socket.create_connection(("127.0.0.1", stack.port), timeout=15)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


class Reader:
    """Final responses of a connection, one by one."""

    def __init__(self, sock):
        self.sock, self.data, self.ended = sock, b"", False

    def more(self):
        if self.ended:
            return False
        try:
            got = self.sock.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            got = b""
        self.ended = not got
        self.data += got
        return bool(got)

    def need(self, test):
        while not test():
            if not self.more():
                return False
        return True

    def next(self):
        """(status, headers, body), or None at the end. 1xx are given too."""
        if not self.need(lambda: b"\r\n\r\n" in self.data):
            return None
        top, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = top.split(b"\r\n")
        status = int(lines[0].split()[1])
        fields = {}
        for line in lines[1:]:
            name, value = line.split(b":", 1)
            fields[name.strip().lower()] = value.strip()
        if status < 200:
            return status, fields, b""
        if b"content-length" in fields:
            size = int(fields[b"content-length"])
            self.need(lambda: len(self.data) >= size)
            body, self.data = self.data[:size], self.data[size:]
            return status, fields, body
        body = b""
        while self.need(lambda: b"\r\n" in self.data):
            size, rest = self.data.split(b"\r\n", 1)
            size = int(size, 16)
            self.data = rest
            if not self.need(lambda: len(self.data) >= size + 2):
                break
            body, self.data = body + self.data[:size], self.data[size + 2:]
            if size == 0:
                break
        return status, fields, body

    def closed(self, seconds=5):
        self.sock.settimeout(seconds)
        return not self.need(lambda: False) and self.ended and not self.data


def is_error(answer):
    status, fields, body = answer
    try:
        error = json.loads(body)["error"]
        return isinstance(error["message"], str) and fields[b"content-type"].startswith(b"application/json")
    except (ValueError, KeyError, TypeError):
        return False


def refused(name, raw, want=(400,)):
    """One answer of these statuses with a JSON error, then a close; no provider saw it."""
    before = stack.billed()
    with connect() as s:
        try:
            s.sendall(raw)
        except OSError:
            pass
        reader = Reader(s)
        answer = reader.next()
        if answer is None:
            return say(False, name, "no answer")
        closed = reader.closed()
    good = answer[0] in want and is_error(answer) and closed and answer[1].get(b"connection") == b"close"
    if stack.billed() != before:
        return say(False, name, "a provider saw it")
    return say(good, name, "status %s (want %s), closed %s, %r %r" % (answer[0], want, closed, answer[1], answer[2]))


def accepted(name, raw, want=200, provider=1, never=(), finish=True):
    """One answer, the connection still works, and the provider saw none of these bytes."""
    before, mark = stack.billed(), len(stack.tap.up)
    with connect() as s:
        s.sendall(raw)
        reader = Reader(s)
        answer = reader.next()
        again = None
        if answer is not None and finish:
            s.sendall(post())
            again = reader.next()
    good = answer is not None and answer[0] == want and (not finish or again is not None and again[0] == 200)
    count = stack.billed() - before - (1 if finish else 0)
    up = b"".join(stack.tap.up[mark:]).lower()
    leak = [word for word in never if word.lower() in up]
    say(good and count == provider and not leak, name,
        "answer %s, next %s, provider saw %d, leaked %s" % (answer and answer[0], again and again[0], count, leak))


def rows():
    cl = b"Content-Length: %d" % len(BODY)
    refused("H1-01 content-length and chunked", head(cl, b"Transfer-Encoding: chunked") + chunk(BODY) + b"0\r\n\r\n")
    refused("H1-01 chunked and content-length", head(b"Transfer-Encoding: chunked", cl) + chunk(BODY) + b"0\r\n\r\n")
    refused("H1-02 twice, equal", head(cl, cl) + BODY)
    refused("H1-02 twice, different", head(cl, b"Content-Length: 5") + BODY)
    refused("H1-02 list", head(b"Content-Length: %d, %d" % (len(BODY), len(BODY))) + BODY)
    cpu = stack.cpu()
    for bad in (b"+5", b"-48", b"0x10", b"010", b"1_0", b"1Z", b"", b"99999999999999999999", b"18446744073709551616",
                b"18446744073709551615", b"9223372036854775808", b"5 5", b"5;", b"\t", b"5\x0b"):
        refused("H1-03 content-length %r" % bad.decode("latin1"), head(b"Content-Length: " + bad) + BODY,
                (400, 413) if bad.isdigit() and bad[0:1] != b"0" else (400,))
    say(rig.LAX or stack.cpu() - cpu < 0.3, "H1-03 no spin", "%.2f s of CPU" % (stack.cpu() - cpu))
    for bad in (b"chunked, chunked", b"gzip, chunked", b"xchunked", b"identity", b"chunked, gzip", b"\x0bchunked", b"",
                b"chunked;q=1", b'"chunked"'):
        refused("H1-x transfer-encoding %r" % bad.decode("latin1"),
                head(b"Transfer-Encoding: " + bad) + chunk(BODY) + b"0\r\n\r\n", (400, 501))
    refused("H1-x transfer-encoding twice", head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") +
            chunk(BODY) + b"0\r\n\r\n")
    refused("H1-05 chunked on 1.0", head(b"Transfer-Encoding: chunked", start=b"POST /v1/chat/completions HTTP/1.0") +
            chunk(BODY) + b"0\r\n\r\n")
    refused("H1-09 extension with CR", chunked(b"%x;a=\rb\r\n" % len(BODY) + BODY + b"\r\n"))
    refused("H1-09 extension with NUL", chunked(chunk(BODY, b";a=\0b")))
    refused("H1-09 extension with LF", chunked(b"%x;a\n" % len(BODY) + BODY + b"\r\n"))
    refused("H1-09 extensions of 2 KiB", chunked(*[chunk(BODY[i:i + 1], b";" + b"x" * 64) for i in range(40)]))
    accepted("H1-09 short extension", chunked(chunk(BODY, b";q=canaryext")), never=(b"canaryext",))
    for bad in (b"-5", b"+5", b"0x5", b"5 ", b" 5", b"", b"fffffffffffffffff", b"10000000000000000", b"5g", b"5_0"):
        refused("H1-x chunk size %r" % bad.decode(), chunked(bad + b"\r\n" + BODY + b"\r\n"),
                (400, 413) if bad.startswith((b"fff", b"100")) else (400,))
    refused("H1-x chunk data not ended", chunked(b"%x\r\n" % len(BODY) + BODY + b"XX"))
    refused("H1-x chunk data ended by LF", chunked(b"%x\r\n" % len(BODY) + BODY + b"\n"))
    for name in (b"Content-Length: 3", b"Authorization: Bearer canarytrailer", b"Host: canaryhost", b"X-Any: canaryany"):
        accepted("H1-10 trailer %s" % name.split(b":")[0].decode(), chunked(chunk(BODY), end=b"0\r\n" + name + b"\r\n\r\n"),
                 never=(b"canary",))
    refused("H1-10 trailers of 9 KiB", chunked(chunk(BODY), end=b"0\r\nX: " + b"t" * 9216 + b"\r\n\r\n"), (400, 431))
    refused("H1-10 malformed trailer", chunked(chunk(BODY), end=b"0\r\nX y: 1\r\n\r\n"))
    refused("H1-12 CR in a value", post(b"X-A: a\rb"))
    refused("H1-12 CR as terminator", b"POST /v1/chat/completions HTTP/1.1\rHost: berth\r" + AUTH + b"\r\n\r\n")
    refused("H1-12 CRLF CR X", head()[:-2] + b"\rX\r\n\r\n")
    refused("H1-x LF as terminator", b"GET /v1/models HTTP/1.1\nHost: berth\n" + AUTH.replace(b"\r", b"") + b"\n")
    refused("H1-x folded line", post(b"X-A: a\r\n b"))
    refused("H1-x space before colon", post(b"X-A : a"))
    refused("H1-x no name", post(b": a"))
    refused("H1-x no colon", post(b"XA"))
    refused("H1-x NUL in a value", post(b"X-A: a\0b"))
    refused("H1-x space first", head()[:-2] + b" Content-Length: 4\r\n\r\n")
    for bad in (b"\x80", b"\x85", b"\xa0", b"(", b"[", b"@", b"\x7f", b"\x01", b'"', b"\xc3\xa9"):
        refused("H1-15 name with %r" % bad.decode("latin1"), post(b"X" + bad + b"A: 1"))
        refused("H1-15 %r beside content-length" % bad.decode("latin1"), head(cl + b"", b"Content-Length" + bad + b": 5") + BODY)
    accepted("H1-16 obs-text in a value", post(b"X-A: caf\xe9 \x80"))
    accepted("H1-17 underscores", post(b"Content_Length: 5", b"Transfer_Encoding: chunked", b"X_Container: canaryname"),
             never=(b"content_length", b"transfer_encoding", b"x_container", b"canaryname"))
    refused("H1-18 no host", post(host=None))
    refused("H1-18 two hosts", post(b"Host: other"))
    for bad in (b"u@berth", b"berth/x", b"be rth", b"a,b", b"be\\rth", b"[::1", b"berth:x", b"berth:99999"):
        refused("H1-18 host %r" % bad.decode(), post(host=b"Host: " + bad))
    for method in (b"CONNECT", b"TRACE", b"FROB", b"DELETE"):
        target = b"berth:443" if method == b"CONNECT" else b"/v1/chat/completions"
        before = stack.billed()
        with connect() as s:
            s.sendall(head(start=method + b" " + target + b" HTTP/1.1"))
            answer = Reader(s).next()
        say(answer is not None and answer[0] == 405 and stack.billed() == before, "H1-20 " + method.decode(),
            answer)
    for bad in (b"GE@T", b"G(ET", b"G\x80T", b"", b"G\tT", b"G" * 300):
        refused("H1-20 method %r" % bad.decode("latin1")[:20], head(start=bad + b" /v1/models HTTP/1.1"), (400, 405, 431))
    for bad in (b"HTTP/1.32", b"HTTP/4294967295.255", b"HTTP/2.0", b"HTTP/1.", b"http/1.1", b"HTTP/1.1x", b"HTTP/01.1",
                b"HTTP/ 1.1", b"HTTPS/1.1", b"HTTP/0.9", b"HTTP/11"):
        refused("H1-21 version %s" % bad.decode(), head(start=b"GET /v1/models " + bad), (400, 505))
    refused("H1-21 version 0.9", b"GET /v1/models\r\n", (400, 505))
    for bad in (b"/v1/mo dels", b"/v1/mo\x01dels", b"/v1/mo\x7fdels", b"/v1/mo\x00dels", b"v1/models", b"",
                b"/v1/models\xff", b"http://[::1/x"):
        refused("H1-x target %r" % bad.decode("latin1"), head(start=b"GET " + bad + b" HTTP/1.1"), (400, 404))
    refused("H1-x head of 100 KiB", post(b"X-A: " + b"a" * 102400), (400, 431))
    refused("H1-x 2,000 fields", post(*[b"X-%d: 1" % i for i in range(2000)]), (400, 431))
    refused("H1-x body of 8 GiB announced", head(b"Content-Length: 8589934592") + BODY, (413,))
    accepted("H1-x CRLF before a request", b"\r\n" + post())
    for name, lines in (("h2c", (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")),
                        ("websocket", (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: canarykey")),
                        ("connection names", (b"Connection: X-Canary, keep-alive", b"X-Canary: canarykey"))):
        accepted("H1-29 " + name, post(*lines), never=(b"upgrade", b"http2-settings", b"canarykey"))
    for model in ("a\r\nX-Evil: 1", "a%0d%0aX-Evil: 1", "\u2028a\u202e", "../../x"):
        with connect() as s:
            s.sendall(post(body=stack.body(model=model).encode()))
            reader = Reader(s)
            answer = reader.next()
            rest = reader.data
        say(answer is not None and answer[0] == 404 and is_error(answer) and b"x-evil" not in answer[1] and not rest,
            "H1-35 model %r" % model, answer)
    accepted("H1-35 request id", post(b"X-Request-Id: a%0d%0aX-Evil: 1"))


def splits():
    same = [(head(start=b"GET /v1/models HTTP/1.1"), 200), (post(body=b"{]"), 400), (post(b"X-A : 1"), 400),
            (chunked(chunk(b"{]", b";a=b")), 400)]
    for number, (raw, want) in enumerate(same):
        wrong = []
        for at in range(1, len(raw)):
            with connect() as s:
                s.sendall(raw[:at])
                time.sleep(0.001)
                try:
                    s.sendall(raw[at:])
                except OSError:
                    pass
                answer = Reader(s).next()
                if answer is None or answer[0] != want:
                    wrong.append((at, answer and answer[0]))
        say(not wrong, "H1-23 head %d cut at %d places" % (number, len(raw) - 1), wrong[:5])


def pipelines():
    conns = stack.tap.conns
    with connect() as s:
        s.sendall(b"".join(post(body=stack.body("[[sim: words=%d]]" % (i + 1)).encode()) for i in range(100)))
        reader = Reader(s)
        words = []
        for _ in range(100):
            answer = reader.next()
            words.append(answer and json.loads(answer[2])["usage"]["completion_tokens"])
    say(words == list(range(1, 101)), "H1-24 100 pipelined, in order", words)
    say(stack.tap.conns - conns <= 1, "H1-24 one upstream call in flight", stack.tap.conns - conns)
    before, rss = stack.billed(), stack.rss()
    with connect() as s:
        s.sendall(post(body=stack.body("[[sim: delay_ms=1500]]").encode()))
        s.settimeout(0.3)
        sent, many = 0, post() * 200
        try:
            while sent < 64 << 20:
                sent += s.send(many)
        except TimeoutError:
            pass
        grown = stack.rss() - rss
    say(sent < 32 << 20 and (rig.LAX or grown < 2 << 20), "H1-24 stops reading", "took %d bytes, grew %d" % (sent, grown))
    with connect() as s:
        before = stack.billed()
        s.sendall(post() + b"\x16\x03\x01garbage\r\n\r\n")
        reader = Reader(s)
        first, second = reader.next(), reader.next()
        good = first and first[0] == 200 and second and second[0] == 400 and reader.closed()
    say(good and stack.billed() == before + 1, "H1-25 request, then garbage", (first and first[0], second))


def expectations():
    with connect() as s:
        s.sendall(head(b"Content-Length: %d" % len(BODY), b"Expect: 100-continue"))
        reader = Reader(s)
        first = reader.next()
        s.sendall(BODY)
        second = reader.next()
    say(first and first[0] == 100 and second and second[0] == 200, "H1-26 good token", (first, second))
    bad = JSON + b"Authorization: Bearer bk_nobody\r\n"
    refused("H1-26 bad token: 401 without 100", head(b"Content-Length: 500", b"Expect: 100-continue", base=bad), (401,))
    refused("H1-26 too large: no 100", head(b"Content-Length: 8589934592", b"Expect: 100-continue"), (413,))
    with connect() as s:
        s.sendall(head(b"Content-Length: 5", b"Expect: x"))
        answer = Reader(s).next()
    say(answer and answer[0] == 417, "H1-26 unknown expectation", answer)
    inner = head(start=b"GET /v1/models HTTP/1.1")
    refused("H1-27 early answer, the body is no request", head(b"Content-Length: %d" % len(inner), base=bad) + inner, (401,))
    refused("H1-27 the same, chunked", head(b"Transfer-Encoding: chunked", base=bad) + chunk(inner) + b"0\r\n\r\n" + inner, (401,))


def latency(count=150):
    times = []
    for _ in range(count):
        begin = time.monotonic()
        if stack.chat()[0] != 200:
            return 99.0
        times.append(time.monotonic() - begin)
    return sorted(times)[int(count * 0.99)]


def slow():
    base_ms = latency() * 1000
    before = stack.billed()
    body_result = {}

    def slow_body():
        begin = time.monotonic()
        with connect() as s:
            s.settimeout(1)
            s.sendall(head(b"Content-Length: 5000"))
            reader = Reader(s)
            while time.monotonic() - begin < 50 and not reader.ended:
                try:
                    s.sendall(b" ")
                except OSError:
                    break
                reader.more()
            body_result["seconds"], body_result["data"] = time.monotonic() - begin, reader.data
    thread = threading.Thread(target=slow_body)
    thread.start()
    begin = time.monotonic()
    socks = [connect() for _ in range(200)]
    for s in socks:
        s.sendall(b"POST /v1/chat")
        s.settimeout(0)
    ends, asked = {}, latency() * 1000
    drip = 0
    while len(ends) < len(socks) and time.monotonic() - begin < 20:
        for i, s in enumerate(socks):
            if i in ends:
                continue
            try:
                if (time.monotonic() - begin) // 5 > drip:
                    s.send(b"x")
                data = s.recv(4096)
                ends[i] = (time.monotonic() - begin, data)
            except BlockingIOError:
                pass
            except OSError:
                ends[i] = (time.monotonic() - begin, b"")
        drip = (time.monotonic() - begin) // 5
        time.sleep(0.05)
    cut = [e for e in ends.values() if 8 < e[0] < 13 and e[1].startswith(b"HTTP/1.1 408")]
    say(len(cut) == len(socks), "H1-32 200 slow heads cut at 10 s with 408",
        "%d of %d; %r" % (len(cut), len(socks), list(ends.values())[:2]))
    say(rig.LAX or asked <= base_ms * 1.5 + 5, "H1-32 honest p99 %.1f ms, %.1f before" % (asked, base_ms), "slower")
    for s in socks:
        s.close()
    thread.join()
    say(15 < body_result["seconds"] < 45 and body_result["data"].startswith(b"HTTP/1.1 408"),
        "H1-33 slow body cut after %.0f s" % body_result["seconds"], body_result)
    say(stack.billed() - before == 150, "H1-33 no provider saw it", stack.billed() - before)


def deleted_key():
    """A key that is deleted stops on connections that used it, whatever else is configured meanwhile."""
    wrong = []
    for turn in range(3):
        key = stack.make_key("gone%d" % turn)
        with connect() as s:
            raw = post(base=JSON + b"Authorization: Bearer " + key.encode() + b"\r\n")

            def status():
                s.sendall(raw)
                answer = Reader(s).next()
                return answer and answer[0]
            if not until(5, lambda: stack_key_works(key)):
                wrong.append("the key never worked")
                continue
            first = status()
            stack.admin("DELETE", rig.API + "/apikeys/gone%d" % turn)
            until(5, lambda: not stack_key_works(key))
            for other in range(4):
                fresh = stack.make_key("fresh%d-%d" % (turn, other))
                until(5, lambda: stack_key_works(fresh))
                try:
                    got = status()
                except OSError:
                    break
                if first != 200 or got not in (401, None):
                    wrong.append((turn, other, first, got))
    say(not wrong, "AU deleted key on a connection that used it", wrong)


def stack_key_works(key):
    return rig.ask(stack.port, "GET", "/v1/models", None, {"authorization": "Bearer " + key})[0] == 200


base = None
stack.chat()
base = stack.fds() + 4  # upstream connections that stay pooled
for part in (rows, splits, pipelines, expectations, deleted_key, slow):
    part()
    stack.healthy(part.__name__, base)
stack.judge_end()
sys.exit(1 if rig.failures else 0)
