#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real traffic over a sanitizer build: load over both protocols, streams, clients that leave, both dialects and what is
between them, every fault that the simulator knows, configuration changed meanwhile, daemons restarted, SIGTERM under
load. Nothing is reported, every process ends with 0. Usage: traffic.py NAME BIN [SIM_BIN] [SECONDS]"""
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

import rig
from rig import Stack, say, skip, until

name, programs = sys.argv[1], sys.argv[2]
simulator = sys.argv[3] if len(sys.argv) > 3 and sys.argv[3] else programs
seconds = int(sys.argv[4]) if len(sys.argv) > 4 else 20
seed = int(os.environ.get("BERTH_SEED", "0")) or random.randrange(1 << 30)
print("# %s: seed %d" % (name, seed))

FAULTS = ["status=429, retry_after=1", "status=500", "status=529", "cut_after_bytes=1", "cut_after_bytes=300", "stall_after=3",
          "error_event_after=2", "error_event_after=0", "lie_usage=negative", "lie_usage=huge", "lie_usage=zero",
          "lie_usage=missing", "lie_usage=cached_gt_prompt", "close_without_done=1", "split=1", "split=7", "cached=3",
          "reasoning=9", "words=400", "chunk_ms=5", "ttft_ms=50", "delay_ms=80", "words=0", "chunks=1"]
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}}]
answers, lock, stopping = {}, threading.Lock(), threading.Event()


def one(rng, leave):
    """A random request; with `leave` the client goes in the middle."""
    anthropic = rng.random() < 0.4
    path = "/v1/messages" if anthropic else "/v1/chat/completions"
    model = rng.choice(["gpt-4o-mini", "claude-haiku-4.5", "openai/gpt-4o-mini", "anthropic/claude-haiku-4.5", "no-such-model"])
    fault = rng.choice(FAULTS + [""] * 8)
    body = {"model": model, "max_tokens": rng.choice([5, 200, 2000]), "stream": rng.random() < 0.6,
            "messages": [{"role": "user", "content": "hello %s" % ("[[sim: %s]]" % fault if fault else "")}]}
    if not anthropic and rng.random() < 0.2:
        body["tools"] = TOOLS
    if anthropic and rng.random() < 0.2:
        body["tools"] = [{"name": "weather", "input_schema": TOOLS[0]["function"]["parameters"]}]
    if body["stream"] and not anthropic and rng.random() < 0.5:
        body["stream_options"] = {"include_usage": True}
    kind = rng.random()
    if kind < 0.05:
        path, body = "/v1/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b" * 500]}
    text = json.dumps(body)
    if 0.05 < kind < 0.08:
        text = text[:rng.randrange(len(text))]
    if 0.08 < kind < 0.10:
        text = json.dumps(dict(body, messages=[{"role": "user", "content": "long " * 40000}]))
    fields = {"content-type": "application/json", "authorization": "Bearer " + (stack.key if kind < 0.97 else "bk_nobody")}
    conn = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20 if "stall" not in fault else 1.5)
    status = 0
    try:
        conn.request("GET" if kind > 0.98 else "POST", "/v1/models" if kind > 0.98 else path, text, fields)
        if leave and rng.random() < 0.4:
            return
        answer = conn.getresponse()
        status = answer.status
        if leave:
            answer.read(rng.randrange(1, 200))
            if rng.random() < 0.5:
                conn.sock and conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        else:
            answer.read()
    except (OSError, http.client.HTTPException):
        pass
    finally:
        conn.close()
        with lock:
            answers[status] = answers.get(status, 0) + 1


def client(number):
    rng = random.Random(seed + number)
    while not stopping.is_set():
        one(rng, leave=rng.random() < 0.3)


def owner():
    """Objects come, change and go."""
    turn = 0
    while not stopping.is_set():
        turn += 1
        try:
            stack.make_key("passing%d" % (turn % 3))
            stack.apply("apiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: openai/passing}\nspec:\n  provider: openai\n"
                        "  upstream: gpt-4o-mini\n  maxOutput: %d\n  price: {input: \"0.15\", output: \"0.60\"}\n" % (4096 + turn))
            stack.apply("apiVersion: berth.dev/v1alpha1\nkind: Nonsense\nmetadata: {name: x}\n")
            stack.admin("DELETE", rig.API + "/apikeys/passing%d" % (turn % 3))
            stack.admin("GET", rig.API + "/models")
            for path in ("/api/v1/usage", "/api/v1/usage/records", "/api/v1/nodes", "/api/v1/wallet/transactions",
                         "/api/v1/wallet/audit", "/metrics"):
                stack.admin("GET", path)
            rig.ask(stack.probe, "GET", "/metrics")
        except (OSError, AssertionError, http.client.HTTPException):
            pass
        time.sleep(0.1)


def tool(*args):
    try:
        done = subprocess.run(args, capture_output=True, text=True, timeout=120)
        return done.stdout
    except (OSError, subprocess.TimeoutExpired) as e:
        return repr(e)


def load():
    """wrk and h2load, clear and TLS."""
    body, script = (os.path.join(stack.dir, n) for n in ("body.json", "wrk.lua"))
    with open(body, "w") as f:
        f.write(stack.body("load"))
    with open(script, "w") as f:
        f.write('wrk.method="POST"\nwrk.headers["content-type"]="application/json"\nwrk.headers["authorization"]="Bearer %s"\n'
                'local f=io.open("%s","rb")\nwrk.body=f:read("*a")\n' % (stack.key, body))
    url = "http://127.0.0.1:%d/v1/chat/completions" % stack.port
    if subprocess.run(["which", "wrk"], capture_output=True).returncode == 0:
        out = tool("wrk", "-t1", "-c32", "-d4s", "-s", script, url)
        say("requests in" in out and "Non-2xx" not in out, "%s wrk: %s" % (name, next((x.strip() for x in out.splitlines() if "requests in" in x), "?")), out)
    else:
        skip(name + " wrk", "not installed")
    if subprocess.run(["which", "h2load"], capture_output=True).returncode == 0:
        for what, address in (("clear", url), ("TLS", url.replace("http:", "https:").replace(str(stack.port), str(stack.tls_port)))):
            out = tool("h2load", "-n3000", "-c4", "-m32", "-d", body, "-H", "content-type: application/json", "-H",
                       "authorization: Bearer " + stack.key, address)
            say("3000 2xx" in out, "%s h2load, 3,000 requests, %s" % (name, what), out)
    else:
        skip(name + " h2load", "not installed")


stack = Stack(programs, workers=2, tls=True, sim_bin=simulator, slow=10).start()
threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
load()
threads.append(threading.Thread(target=owner))
for t in threads:
    t.start()
end = time.monotonic() + seconds
time.sleep(seconds / 3)
stack.procs["controlplane"].terminate()
code = stack.procs["controlplane"].wait(60)
say(code == 0, name + " control plane stops under traffic", code)
stack.start_control()
time.sleep(seconds / 3)
stack.procs["dataplane"].terminate()
code = stack.procs["dataplane"].wait(90)
say(code == 0, name + " data plane stops under traffic", code)
stack.start_data()
while time.monotonic() < end:
    time.sleep(0.1)
stopping.set()
for t in threads:
    t.join(60)
say(answers.get(200, 0) > 50 and 401 in answers and 404 in answers, "%s mixed requests: %s" % (name, dict(sorted(answers.items()))))
say(until(30, lambda: stack.chat()[0] == 200), name + " an honest request at the end", stack.chat())
say(until(60, lambda: json.loads(stack.admin("GET", "/api/v1/wallet/audit")[1]).get("ok", True) is not False),
    name + " audit is clean", stack.admin("GET", "/api/v1/wallet/audit"))
stack.judge_end()
sys.exit(1 if rig.failures else 0)
