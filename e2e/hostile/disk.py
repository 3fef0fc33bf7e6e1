#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Full disks under the data plane's journal and under the control plane's store. Usage: disk.py DIR, where DIR/dp and
DIR/cp are small file systems of their own (e2e/disk.sh makes them)."""
import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.parse

import rig
from rig import Stack, say, until

root = sys.argv[1]
stack = Stack(data=root, dp_data=root + "/dp/data", cp_data=root + "/cp/data").start()
MODELS = (("/v1/chat/completions", "openai/disk-mini"), ("/v1/messages", "anthropic/disk-haiku"))
# The prices that the simulator bills, whatever the catalogue says today.
OBJECTS = """apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: openai/disk-mini}
spec: {provider: openai, upstream: gpt-4o-mini, maxOutput: 4096, price: {input: "0.15", cached: "0.075", output: "0.60"}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: anthropic/disk-haiku}
spec: {provider: anthropic, upstream: claude-haiku-4-5, maxOutput: 4000000, price: {input: "1.00", cached: "0.10", output: "5.00"}}
"""


def fill(where):
    """Takes every byte that is left."""
    try:
        with open(where + "/filler", "ab", buffering=0) as f:
            while True:
                f.write(b"\0" * 65536)
    except OSError:
        pass
    try:
        with open(where + "/filler", "ab", buffering=0) as f:
            while True:
                f.write(b"\0" * 512)
    except OSError:
        pass


def free(where):
    os.unlink(where + "/filler")


def bill():
    return json.loads(rig.ask(stack.sim, "GET", "/sim/bill?summary=1")[1])


def booked():
    """(requests, their cost in nano-dollars) in the ledger."""
    count, cost, page = 0, 0, ""
    while page is not None:
        answer = json.loads(stack.admin("GET", "/api/v1/usage/records?limit=1000" + page)[1])
        count += len(answer["records"])
        cost += sum(int(r["cost_nano"]) for r in answer["records"])
        page = "&after=" + urllib.parse.quote(answer["continue"]) if "continue" in answer else None
    return count, cost


def equal():
    have, want = booked(), bill()
    return have == (want["count"], int(want["total_nano"]))


class Load:
    """Clients that ask over and over, each request to its end; statuses are counted."""

    def __init__(self, clients=6):
        self.statuses, self.codes, self.stopping, self.lock = {}, set(), False, threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]
        for t in self.threads:
            t.start()

    def run(self, number):
        conn = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
        path, model = MODELS[number % 2]
        while not self.stopping:
            try:
                conn.request("POST", path, stack.body("x", model), {"authorization": "Bearer " + stack.key,
                                                                    "content-type": "application/json"})
                answer = conn.getresponse()
                text = answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                conn.close()
                status, text = 0, b""
            with self.lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
                if status >= 400:
                    self.codes.add((path, status, text.decode()))
            if status >= 400:
                time.sleep(0.02)

    def stop(self):
        self.stopping = True
        for t in self.threads:
            t.join()
        return self.statuses


def journal_full():
    stack.deposit("disk", "100000.00")
    say(stack.apply(OBJECTS)[0] == 200 and until(5, lambda: all(stack.chat(path=p, model=m)[0] == 200 for p, m in MODELS)),
        "disk models of known price")
    streams, started, before, billed = {}, [], stack.served, bill()["count"]

    def stream(number):
        conn = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=120)
        conn.request("POST", "/v1/chat/completions", stack.body("[[sim: words=80, chunk_ms=100]]", stream=True, max_tokens=400),
                     {"authorization": "Bearer " + stack.key, "content-type": "application/json"})
        answer = conn.getresponse()
        first = answer.read(20)
        started.append(number)
        streams[number] = first + answer.read()
    flying = [threading.Thread(target=stream, args=(i,)) for i in range(10)]
    for t in flying:
        t.start()
    until(10, lambda: len(started) == 10)
    # A lease that lasts until the journal is full: what is lent for this request's worst case stays on the node.
    say(stack.chat(path=MODELS[1][0], model=MODELS[1][1], max_tokens=4000000)[0] == 200, "disk a lease of 20 dollars")
    stack.procs["controlplane"].send_signal(signal.SIGSTOP)  # nothing is acked, so no segment is given back
    fill(root + "/dp")
    load = Load()
    full = until(90, lambda: any(s == 503 for _, s, _ in load.codes))
    time.sleep(0.5)
    say(full, "disk journal full: new requests are refused", load.statuses)
    wrong = [(p, s) for p, s, text in load.codes if s != 503]
    say(not wrong and set(load.statuses) <= {200, 503}, "disk nothing but 200 and 503: %s" % load.statuses, wrong)
    for path, model in MODELS:
        status, text = stack.chat(path=path, model=model)
        error = json.loads(text).get("error", {})
        # the Anthropic shape has no code; both say why in the message
        good = status == 503 and "record usage" in error.get("message", "")
        good = good and (error.get("code") == "journal_unavailable" or json.loads(text).get("type") == "error")
        say(good, "disk 503 journal_unavailable on " + path, (status, text))
    say(rig.ask(stack.port, "GET", "/v1/models", None, {"authorization": "Bearer " + stack.key})[0] == 200,
        "disk what costs nothing is served")
    for t in flying:
        t.join(60)
    whole = sum(s.rstrip().endswith(b"data: [DONE]") for s in streams.values())
    say(whole == 10, "disk 10 streams that were running finish", whole)
    free(root + "/dp")
    say(until(20, lambda: stack.chat()[0] == 200), "disk space again: served without a restart", stack.chat())
    statuses = load.stop()
    stack.procs["controlplane"].send_signal(signal.SIGCONT)
    seen = stack.served - before + statuses.get(200, 0) + whole
    say(bill()["count"] - billed == seen, "disk refused requests reached no provider", (bill()["count"] - billed, seen))
    say(until(60, equal, 0.3), "disk the ledger equals the bill: %d requests" % bill()["count"], (booked(), bill()))
    say(stack.procs["dataplane"].poll() is None, "disk the data plane is the same process", statuses)


def store_full():
    before = booked()[0]
    fill(root + "/cp")
    load = Load(4)
    until(20, lambda: load.statuses.get(200, 0) > 3000)
    statuses = dict(load.statuses)
    say(statuses.get(200, 0) > 500, "disk store full: the data plane goes on: %s" % statuses)
    status, text, paid = 200, "", 0
    end = time.monotonic() + 60  # pages that were free inside the files go first
    while status == 200 and time.monotonic() < end:
        paid += 1
        try:
            status, text = stack.admin("POST", "/api/v1/wallet/deposits",
                                       {"wallet": "default", "amount": "1.00", "idempotency_key": "full-%d" % paid})
        except (OSError, http.client.HTTPException) as e:
            status, text = 0, repr(e)
    say(status == 507, "disk store full: a deposit is refused (%d)" % status, text)
    load.stop()
    time.sleep(1)
    say(stack.procs["controlplane"].poll() is None, "disk store full: the control plane lives", stack.log("controlplane")[-300:])
    late = bill()["count"] - booked()[0]
    print("# %d requests served and not booked yet, %d booked before" % (late, before))
    free(root + "/cp")
    say(until(60, equal, 0.3), "disk space again: the ledger equals the bill: %d requests" % bill()["count"], (booked(), bill()))
    status, text = stack.admin("POST", "/api/v1/wallet/deposits", {"wallet": "default", "amount": "1.00", "idempotency_key": "full-%d" % paid})
    say(status == 200 and json.loads(text).get("replayed") is False, "disk the same deposit works then", text)
    audit = json.loads(stack.admin("GET", "/api/v1/wallet/audit")[1])
    say(audit.get("ok") is True, "disk audit is clean", audit)


journal_full()
store_full()
stack.judge_end()
sys.exit(1 if rig.failures else 0)
