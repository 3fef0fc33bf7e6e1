#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HARDENING 3.5 with a provider that lies, breaks off and babbles: the caller gets a whole answer or an honest error in
the dialect, never the provider's framing, headers or our key; nothing broken is billed as an answer."""
import gzip
import json
import socket
import sys
import threading
import time

import rig
from rig import Stack, say, skip, until

ANSWER = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
          "choices": [{"index": 0, "message": {"role": "assistant", "content": "good words"}, "finish_reason": "stop"}],
          "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}
GOOD = json.dumps(ANSWER).encode()


def whole(body=GOOD, status="200 OK", kind="application/json", extra=b""):
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n" % (
        status.encode(), kind.encode(), extra, len(body)) + body


def event(content=None, finish=None):
    return b"data: " + json.dumps({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini", "choices": [
        {"index": 0, "delta": {"content": content} if content is not None else {}, "finish_reason": finish}]}).encode() + b"\n\n"


USAGE = b"data: " + json.dumps({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini", "choices": [],
                                "usage": ANSWER["usage"]}).encode() + b"\n\n"
DONE = b"data: [DONE]\n\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream(*events, end=b"0\r\n\r\n"):
    return SSE + b"".join(chunk(e) for e in events) + end


class Provider:
    """Answers each request with `script`: bytes (then close if `close`), or a function of (socket, request)."""

    def __init__(self):
        self.script, self.close, self.seen, self.conns, self.lock = None, False, [], 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock = self.listener.accept()[0]
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.conns += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    got = sock.recv(65536)
                    if not got:
                        return
                    data += got
                head, data = data.split(b"\r\n\r\n", 1)
                size = next((int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
                while len(data) < size:
                    data += sock.recv(65536)
                body, data = data[:size], data[size:]
                with self.lock:
                    self.seen.append(head + b"\r\n\r\n" + body)
                script, close = self.script, self.close
                if script is None:
                    wants = json.loads(body or b"{}").get("stream")
                    sock.sendall(stream(event("good "), event("words"), event(None, "stop"), USAGE, DONE) if wants else whole())
                elif callable(script):
                    script(sock, body)
                    return
                else:
                    sock.sendall(script)
                    if close:
                        return
        except OSError:
            pass
        finally:
            sock.close()

    def key(self):
        for line in self.seen[-1].split(b"\r\n"):
            if line.lower().startswith(b"authorization: bearer "):
                return line.split(b" ", 2)[2]
        return b""


provider = Provider()
stack = Stack(provider=provider.port, slow=rig.LAX or 1).start()


def raw(streamed=False, text="hello", half_close=False, timeout=15):
    """Everything that the client gets for one request on a connection of its own: (status, head, body)."""
    body = stack.body(text, stream=streamed).encode()
    with socket.create_connection(("127.0.0.1", stack.port), timeout=timeout) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + stack.key.encode() +
                  b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        data = b""
        try:
            while got := s.recv(1 << 20):
                data += got
        except OSError:
            pass
    head, _, rest = data.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), head.lower(), rest


def case(name, script, want=(502,), streamed=False, close=True, never=(), must=(), charged=None):
    before = usage()
    provider.script, provider.close = script, close
    status, head, body = raw(streamed)
    provider.script, provider.close = None, False
    leaks = [n for n in never if n.lower() in head + body.lower()]
    missing = [n for n in must if n not in body]
    whole_error = status == 200 or is_error(body)
    again = stack.chat()[0]
    good = status in want and not leaks and not missing and whole_error and again == 200
    if charged is not None and good:
        # the honest request after it is charged; the case itself must (not) be
        until(3, lambda: usage()[0] > before[0])
        say(until(5, lambda: outcome_charged() == charged), name, "charged %s, want %s" % (outcome_charged(), charged))
        return
    say(good, name, "status %s (want %s), leaks %s, missing %s, next %s, %r" % (status, want, leaks, missing, again, (head + b"|" + body)[:300]))


def is_error(body):
    try:
        return isinstance(json.loads(body)["error"]["message"], str)
    except (ValueError, KeyError, TypeError):
        return False


def records():
    return json.loads(stack.admin("GET", "/api/v1/usage/records?limit=1000")[1])["records"]


def usage():
    rows = records()
    return len(rows), sum(int(r["charge_nano"]) for r in rows)


def outcome_charged():
    """Was the request before the last honest one charged?"""
    rows = sorted(records(), key=lambda r: int(r["seq"]))
    return len(rows) >= 2 and int(rows[-2]["charge_nano"]) > 0


OWN = b"X-Canary: canary\r\n"
CL = b"Content-Length: %d\r\n" % len(GOOD)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

# SS-17, SS-18: framing
case("SS-17 two responses", whole() + whole(b'{"canary":1}'), want=(200, 502), close=False, never=(b"canary",))
case("SS-17 1,000 informational heads", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000 + whole(), want=(502, 200))
case("SS-17 101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", never=(b"upgrade",))
case("SS-17 204 with a body", b"HTTP/1.1 204 No Content\r\n" + CL + b"\r\n" + GOOD)
case("SS-17 304", b"HTTP/1.1 304 Not Modified\r\n\r\n")
case("SS-18 length and chunked", OK + OWN + CL + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(GOOD) + b"0\r\n\r\n", never=(b"canary",))
case("SS-18 two lengths", OK + OWN + CL + b"Content-Length: 3\r\n\r\n" + GOOD, never=(b"canary",))
case("SS-18 bad chunk", OK + OWN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + GOOD, never=(b"canary",))
case("SS-18 LF as terminator", OK.replace(b"\r", b"") + b"Content-Length: %d\n\n" % len(GOOD) + GOOD)
case("SS-18 head of 1 MiB", OK + b"X-Canary: " + b"c" * (1 << 20) + b"\r\n" + CL + b"\r\n" + GOOD)
case("SS-18 10,000 fields", OK + OWN * 10000 + CL + b"\r\n" + GOOD, never=(b"canary",))
case("SS-18 NUL in a value", OK + b"X-A: a\0b\r\n" + CL + b"\r\n" + GOOD)
case("SS-18 folded line", OK + b"X-A: a\r\n b\r\n" + CL + b"\r\n" + GOOD)
case("SS-18 no HTTP at all", b"220 smtp ready\r\n\r\n")
case("SS-18 connection closed at once", b"")
case("SS-x redirect", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/canary\r\nContent-Length: 0\r\n\r\n", never=(b"canary", b"location"))
case("SS-19 fields of the provider", whole(extra=b"Set-Cookie: canary=1\r\nLocation: /canary\r\nServer: canary\r\nAccess-Control-Allow-Origin: *\r\n"
     b"X-Request-Id: canary\r\nStrict-Transport-Security: canary\r\n"), want=(200,), close=False,
     never=(b"set-cookie", b"location", b"canary", b"access-control", b"\r\nserver"))

# SS-07, SS-08, SS-21, SS-22: bodies
case("SS-07 length ends short", OK + CL + b"\r\n" + GOOD[:50])
case("SS-07 chunks end short", OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(GOOD[:50]))
case("SS-21 gzip unasked", whole(gzip.compress(GOOD), extra=b"Content-Encoding: gzip\r\n"), want=(200, 502))
case("SS-21 gzip bomb", whole(gzip.compress(b"0" * (64 << 20)), extra=b"Content-Encoding: gzip\r\n"), charged=False)
case("SS-22 error object in a 200", whole(b'{"error":{"message":"no","type":"server_error"}}'), want=(500, 502, 503), charged=False)
case("SS-22 HTML", whole(b"<html>canary</html>", kind="text/html"), never=(b"<html>",), charged=False)
case("SS-22 empty body", whole(b""), charged=False)
case("SS-22 not JSON", whole(b'{"choices": [}'), charged=False)
case("SS-22 JSON of another kind", whole(b'[1,2,3]'), charged=False)
case("SS-x 100 MiB of answer", whole(b'{"x":"' + b"y" * (100 << 20) + b'"}'), want=(502, 200))

# streams
case("SS-07 stream ends without [DONE]", stream(event("a"), event("b")), want=(200,), streamed=True, must=(b'"error"',), never=(b"[done]",))
case("SS-07 stream breaks off", stream(event("a"), end=b""), want=(200,), streamed=True, must=(b'"error"',), never=(b"[done]",))
case("SS-07 stream breaks off before the first word", SSE, streamed=True, charged=False)
case("SS-08 data after [DONE]", stream(event("a"), event(None, "stop"), USAGE, DONE, b"data: canary\n\n"), want=(200,), streamed=True,
     must=(b"[DONE]",), never=(b"canary",), close=False)
case("SS-02 mixed line ends, comments, unknown fields", stream(b": note\r\n", b"retry: 5\r", b"unknown\n", event("a").replace(b"\n", b"\r\n"),
     event(None, "stop").replace(b"\n", b"\r"), USAGE, DONE), want=(200,), streamed=True, must=(b'"a"', b"[DONE]"), close=False)
case("SS-03 a line without end", SSE + b"".join(chunk(b"data: " if i == 0 else b"x" * 65536) for i in range(80)), want=(200, 502), streamed=True,
     never=(b"[done]",))
case("SS-23 error before the first word", stream(b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'),
     want=(500, 502, 503), streamed=True, charged=False)
case("SS-23 error after the first word", stream(event("a"), b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'),
     want=(200,), streamed=True, must=(b'"error"',), never=(b"[done]",))
case("SS-x stream where none was asked", stream(event("a"), DONE), want=(502, 200))
case("SS-x whole answer where a stream was asked", whole(), want=(502, 200), streamed=True)
case("SS-x chunk that is no JSON", stream(event("a"), b"data: {canary\n\n"), want=(200,), streamed=True, never=(b"[done]",), must=(b'"error"',))

# SS-24: our key
KEY = "sk-proj-canaryB3rthKeyThatNobodyMaySee0123456789"
stack.apply("apiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: openai}\n"
            "spec: {dialect: openai, baseUrl: \"http://127.0.0.1:%d\", allowPrivate: true, key: {value: %s}}\n" % (provider.port, KEY))
secret = KEY.encode()
if say(until(5, lambda: stack.chat()[0] == 200 and provider.key() == secret), "SS-24 a key of one's own", provider.seen[-1][:300]):
    for where, script, how in (
            ("error text", whole(json.dumps({"error": {"message": "Incorrect API key provided: " + secret.decode(), "type": "x"}}).encode(),
                                 status="400 Bad Request"), False),
            ("error of a stream", stream(event("a"), b'data: {"error":{"message":"key ' + secret + b'","type":"x"}}\n\n'), True),
            ("an answer", whole(GOOD.replace(b"good words", secret)), False),
            ("an error in two chunks", b"HTTP/1.1 400 No\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
             chunk(b'{"error":{"message":"key ' + secret[:9]) + chunk(secret[9:] + b'","type":"x"}}') + b"0\r\n\r\n", False),
            ("HTML", whole(b"<p>" + secret, status="500 Oops", kind="text/html"), False)):
        case("SS-24 our key in " + where, script, want=(400, 401, 500, 502, 503, 200), streamed=how, never=(secret,))
    for status in ("401 Unauthorized", "403 Forbidden"):
        case("SS-24 provider's %s is not the caller's" % status[:3],
             whole(b'{"error":{"message":"bad key ' + secret + b'","type":"x"}}', status=status), want=(500, 502, 503), never=(secret,))

    import base64
    shapes = {"plain": secret, "base64": base64.b64encode(secret), "base64, moved": base64.b64encode(b"x" + secret)[2:],
              "hex": secret.hex().encode()}
    for name, text in shapes.items():
        case("SS-24 our key in a stream, " + name, stream(event("a"), event("is " + text.decode() + " it"), event(None, "stop"), USAGE, DONE),
             want=(200,), streamed=True, must=(b"[DONE]", b"***"), never=(text,), close=False)
        case("SS-24 our key in an answer, " + name, whole(GOOD.replace(b"good words", text)), want=(502, 200), never=(text,))
    for size in (1, 3, 7, 20):
        pieces = [KEY[i:i + size] for i in range(0, len(KEY), size)]
        provider.script = stream(event("a"), *[event(piece) for piece in pieces], event("z"), event(None, "stop"), USAGE, DONE)
        status, _, body = raw(streamed=True)
        provider.script = None
        words = "".join(json.loads(line[6:])["choices"][0]["delta"].get("content") or "" for line in body.decode().split("\n")
                        if line.startswith("data: {") and json.loads(line[6:])["choices"])
        say(status == 200 and words[0] == "a" and words[-1] == "z" and len(words) == len(KEY) + 2 and KEY[:16] not in words and KEY[16:] not in words,
            "SS-24 our key in words of %d bytes" % size, words)
    near = KEY[:15] + "!" + KEY[16:30]
    case("SS-24 what only begins like our key passes", stream(event(near[:9]), event(near[9:]), event(None, "stop"), USAGE, DONE), want=(200,),
         streamed=True, must=(near[:9].encode(), near[9:].encode()), close=False)

# SS-32
for value, low, high in ((b"0", 0, 300), (b"1000000000", 0, 300), (b"-5", 0, 300), (b"Fri, 31 Dec 2100 23:59:59 GMT", 0, 300), (b"soon", 0, 300)):
    provider.script = whole(b'{"error":{"message":"slow down","type":"x"}}', status="429 Too Many", extra=b"Retry-After: " + value + b"\r\n")
    status, head, body = raw()
    provider.script = None
    field = [x.split(b":")[1].strip() for x in head.split(b"\r\n") if x.startswith(b"retry-after:")]
    say(status == 429 and is_error(body) and (not field or field[0].isdigit() and low <= int(field[0]) <= high),
        "SS-32 retry-after %s" % value.decode(), (status, head))

# SS-13, SS-14, SS-16: clients
status, _, body = raw(half_close=True)
say(status == 200 and b"good words" in body, "SS-14 half-close: the answer still comes", (status, body))
gone = {}


def waits(sock, body):
    """Says how long after the client left the upstream connection ended."""
    if gone["after"] is not None:
        sock.sendall(gone["after"])
    gone["ready"].set()
    sock.settimeout(10)
    try:
        while sock.recv(4096):
            pass
    except OSError:
        pass
    gone["ended"] = time.monotonic()


for what, after in (("before the head", None), ("before the first word", SSE), ("mid-stream", SSE + chunk(event("a")))):
    gone.update(after=after, ready=threading.Event(), ended=None)
    provider.script = waits
    body = stack.body(stream=True).encode()
    s = socket.create_connection(("127.0.0.1", stack.port))
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + stack.key.encode() +
              b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    gone["ready"].wait(10)
    if what == "mid-stream":
        s.recv(100)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()
    left = time.monotonic()
    until(5, lambda: gone["ended"] is not None, 0.002)
    provider.script = None
    took = (gone["ended"] or 99) - left
    say(took < 0.1 * (rig.LAX or 1), "SS-13 client resets %s: upstream ended after %.0f ms" % (what, took * 1000), took)

wrong = 0
for turn in range(200):
    provider.script = SSE + chunk(event("canary")) if turn % 4 == 0 else None
    if turn % 4 == 0:
        body = stack.body(stream=True).encode()
        s = socket.create_connection(("127.0.0.1", stack.port))
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + stack.key.encode() +
                  b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        s.recv(10)
        s.close()
        provider.script = None
    else:
        status, _, body = raw(streamed=turn % 2 == 1)
        wrong += status != 200 or b"canary" in body or b"words" not in body
say(wrong == 0, "SS-16 no byte of an aborted answer reaches another caller", wrong)

stack.healthy("upstream", stack.fds() + 8)
audit = json.loads(stack.admin("GET", "/api/v1/wallet/audit")[1])
say(audit.get("ok") is True, "upstream audit is clean", audit)
stack.judge_end()
sys.exit(1 if rig.failures else 0)
