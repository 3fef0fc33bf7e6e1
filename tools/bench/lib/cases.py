# SPDX-License-Identifier: MIT
"""The load table: which cases there are, how one is run, and its rounds."""
import json
import os
import subprocess
import time

import measure
from measure import Fatal

BODIES = {"400": 400, "8k": 8 << 10, "100k": 100 << 10, "1m": 1 << 20}
SENTENCE = "Please look at this part of the log and say what went wrong, then propose a fix.\n"
PATH = "/v1/chat/completions"
STREAM_CHUNKS = 100000  # more than any run waits for


def plan(quick, only):
    """Cases in the order of the table."""
    rounds, seconds = (3, 1) if quick else (7, 1)
    # of the small bodies at 64, where a few per cent decide and rounds differ most
    small_rounds = 5 if quick else 15
    cases = []

    def closed(name, size, connections, targets):
        cases.append({"name": name, "kind": "wrk", "size": size, "connections": connections,
                      "targets": targets, "seconds": seconds,
                      "rounds": small_rounds if (size, connections) == ("400", 64) else rounds})

    everyone = ["direct", "nginx", "berth_h1", "berth_h2"]
    for size in BODIES:
        # nginx keeps bodies up to 16 KB in memory and spools larger ones to a file; nginx_mem does not
        memory = ["nginx_mem"] if size in ("100k", "1m") else []
        if quick and size != "400":
            closed(f"h1_{size}_64", size, 64, ["nginx", *memory, "berth_h1"])
        else:
            closed(f"h1_{size}_64", size, 64, ["direct", "nginx", *memory, "berth_h1", "berth_h2"])
    if not quick:
        for size in ("400", "8k", "100k"):
            closed(f"h1_{size}_1000", size, 1000, everyone)
    # (body, HTTP/2 connections, streams on each)
    for size, connections, streams in (("400", 4, 16), ("400", 4, 64), ("8k", 4, 16), ("8k", 4, 64)):
        if quick and (size, streams) != ("400", 16):
            continue
        cases.append({"name": f"h2down_{size}_{connections * streams}", "kind": "h2", "size": size,
                      "connections": connections, "streams": streams, "seconds": seconds,
                      "rounds": small_rounds if (size, streams) == ("400", 16) else rounds,
                      "targets": ["nginx", "berth_h1", "berth_h2"]})
    cases.append({"name": "rate_400_3000", "kind": "rate", "size": "400", "rate": 3000,
                  "rounds": rounds if quick else 9, "seconds": 1 if quick else 2,
                  "targets": everyone})
    for count, pace_ms in ((1000, 250),) if quick else ((1000, 250), (5000, 1000)):
        cases.append({"name": f"sse_{count}", "kind": "sse", "streams": count, "chunk_ms": pace_ms,
                      "rounds": 1 if quick else 2, "seconds": 3 if quick else 5,
                      "targets": ["nginx", "berth_sse"]})
    return [case for case in cases
            if not only or any(word in case["name"] for word in only)]


# ---- requests ------------------------------------------------------------------------------------------

def chat_body(model, size):
    """A chat request of `size` bytes, most of them message text with a line end now and then."""
    def build(text):
        return json.dumps({"model": model, "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": text}], "temperature": 0.2, "max_tokens": 64},
            separators=(",", ":")).encode()
    text = SENTENCE * (size // len(SENTENCE) + 1)
    over = len(build(text)) - size
    while over > 0:  # a line end takes two bytes
        text = text[:-max(1, over // 2)]
        over = len(build(text)) - size
    return build(text + "x" * -over)


def stream_body(model, pace_ms):
    text = f"Tell me a story. [[sim: words={STREAM_CHUNKS}, chunks={STREAM_CHUNKS}, chunk_ms={pace_ms}]]"
    return json.dumps({"model": model, "stream": True, "max_tokens": STREAM_CHUNKS,
                       "messages": [{"role": "user", "content": text}]}).encode()


def write_request(stack, model, body):
    """-> (body file, wrk script)"""
    base = os.path.join(stack.folder, f"{model.replace('/', '-')}-{len(body)}")
    if not os.path.exists(base + ".lua"):
        with open(base + ".json", "wb") as file:
            file.write(body)
        measure.wrk_script(base + ".lua", stack.headers(), base + ".json")
    return base + ".json", base + ".lua"


# ---- one measurement -----------------------------------------------------------------------------------

def measure_requests(stack, case, name):
    port, model, proxy = stack.target(name, "h2" if case["kind"] == "h2" else "h1")
    body_file, script = write_request(stack, model, chat_body(model, BODIES[case["size"]]))
    url = f"http://127.0.0.1:{port}{PATH}"

    def load():
        if case["kind"] == "wrk":
            return measure.wrk(url, script, case["connections"], case["seconds"])
        if case["kind"] == "h2":
            return measure.h2load(url, body_file, stack.headers(), case["connections"], case["streams"],
                                  case["seconds"])
        return measure.berth_load_rate(stack.program("berth-load"), url, body_file, stack.headers(),
                                       case["rate"], case["seconds"])

    sample = measure.measured(stack, proxy, "sim", load)
    stack.count(name, sample["requests"])
    return sample


def read_progress(load, until, deadline_s):
    """Lines of berth-load until until(line) holds."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline:
        text = load.stdout.readline()
        if not text:
            raise Fatal(f"berth-load ended: {load.stderr.read()[-500:].decode(errors='replace')}")
        line = json.loads(text)
        if line["failed"] or line["bad"]:
            raise Fatal(f"streams failed: {text.decode()}")
        if until(line):
            return line
    raise Fatal("the streams did not all start")


def measure_streams(stack, case, name):
    """A fresh proxy, all streams open, then memory and CPU for some seconds of nothing but chunks."""
    proxy_name = "nginx" if name == "nginx" else "berth"
    stack.restart(proxy_name)
    port, model, proxy = stack.target(name, "sse")
    if name != "nginx":
        model = "bench-sse/gpt"
    path = os.path.join(stack.folder, "stream.json")
    with open(path, "wb") as file:
        file.write(stream_body(model, case["chunk_ms"]))
    count = case["streams"]
    idle_kib = measure.rss_kib(proxy)
    command = ["taskset", "-c", measure.LOAD_CPU, stack.program("berth-load"), "streams", "--concurrency",
               str(count), "--open-rate", "1000", "--seconds", "0", "-o", "json", "--body-file", path]
    for header in stack.headers():
        command += ["--header", header]
    load = subprocess.Popen([*command, f"http://127.0.0.1:{port}{PATH}"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    try:
        opened = read_progress(load, lambda line: line["alive"] == count, count / 1000 + 30)
        settled = read_progress(load, lambda line: line["ms"] >= opened["ms"] + 1500, 10)
        meter = measure.Meter(proxy, stack.pids("sse"), stack.pids("control"))
        meter.start()
        last = read_progress(load, lambda line: line["ms"] >= settled["ms"] + case["seconds"] * 1000,
                             case["seconds"] + 10)
        sample = meter.stop()
        sample["kib_per_stream"] = (measure.rss_kib(proxy) - idle_kib) / count
    finally:
        load.terminate()
        load.communicate()
    chunks = last["events"] - settled["events"]
    if last["alive"] != count or chunks == 0:
        raise Fatal(f"{case['name']}: {last['alive']} of {count} streams are alive, {chunks} chunks")
    sample["chunks_per_s"] = chunks / sample["wall_s"]
    sample["cpu_us"] = sample["proxy_cpu_s"] / chunks * 1e6
    return sample


# ---- rounds --------------------------------------------------------------------------------------------

def run_case(stack, case):
    samples = {name: [] for name in case["targets"]}
    one = measure_streams if case["kind"] == "sse" else measure_requests
    if case["kind"] != "sse":
        for name in case["targets"]:
            stack.try_out(name, chat_body(stack.target(name)[1], BODIES[case["size"]]))
            one(stack, case, name)  # not counted: connections, caches, and a journal that reuses its files
    for _ in range(case["rounds"]):
        for name in case["targets"]:
            samples[name].append(one(stack, case, name))
    return {**case, "targets": {name: measure.median_of(rows) for name, rows in samples.items()},
            "samples": samples}


def run_all(stack, cases, say):
    if not cases:
        raise Fatal("no case has such a name")
    results = {"idle_rss_kib": {}, "cases": []}
    for case in cases:
        began = time.monotonic()
        results["cases"].append(run_case(stack, case))
        row = results["cases"][-1]["targets"]
        say(f"{case['name']:16} " + "  ".join(
            f"{name} {value.get('rps', value.get('chunks_per_s')):.0f}/s {value['cpu_us']:.1f} us"
            for name, value in row.items()) + f"  [{time.monotonic() - began:.0f} s]")
    results["idle_rss_kib"] = dict(stack.idle_kib)
    return results
