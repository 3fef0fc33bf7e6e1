# SPDX-License-Identifier: MIT
"""Rows of one caller's dialect, cells by provider's dialect: the stack, one try, the load, the table."""
import os
import statistics
import time

import measure
from conversation import CALLERS, LAST
from measure import Fatal
from stack import Stack, ask

WORDS, CHUNKS = 64, 32
CONNECTIONS = (32, 128)  # whole, streamed
MODES = ("whole", "streamed")
# a provider's dialect: below the simulator's address, its model, its key
PROVIDERS = {
    "openai": ("/v1", "gpt-4o-mini", "bench"),
    "anthropic": ("", "claude-haiku-4-5", "bench"),
    "openai-responses": ("/v1", "gpt-4o-mini", "bench"),
    "gemini": ("", "gemini-2.5-flash", "bench"),
    "ollama-native": ("", "llama3.1", "bench"),
    "cohere-v2": ("", "command-a-03-2025", "bench"),
    "azure-openai": ("", "gpt-4o-mini", "bench"),
    "bedrock-converse": ("", "eu.anthropic.claude-sonnet-4-5-v1:0", "AKIDEXAMPLE:not-a-secret-at-all"),
}
OBJECTS = """
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {{name: {name}-sim}}
spec: {{dialect: {name}, baseUrl: "http://127.0.0.1:{port}{path}", allowPrivate: true, key: {{value: "{key}"}}}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {{name: {name}-sim/m}}
spec: {{provider: {name}-sim, upstream: "{model}", kind: chat, context: 1000000, maxOutput: 1024,
       price: {{input: "0.01", output: "0.04"}}}}
---
"""
# What a generator looks for in each answer; in a stream, near its end.
CHECK = """
local mark, from, threads = [==[{mark}]==], {behind}, {{}}
function response(status, headers, body)
   if status ~= 200 or not body:find(mark, from, true) then bad = (bad or 0) + 1 end
end
function setup(thread) table.insert(threads, thread) end
function done(summary, latency, requests)
   for _, thread in ipairs(threads) do
      if thread:get("bad") then print("Bad answers: " .. thread:get("bad")) end
   end
end
"""


def model_of(provider):
    return f"{provider}-sim/m"


def last_words(stream, pace_ms):
    return LAST + f" [[sim: words={WORDS}, chunks={CHUNKS}" + (f", chunk_ms={pace_ms}]]" if stream else "]]")


class PairStack(Stack):
    """Both planes and a simulator that speaks every provider's dialect."""

    def start(self):
        os.environ.pop("BERTH_LOG", None)
        self.spawn("sim", "1", [self.program("berth-sim"), "--listen", f"127.0.0.1:{self.port['sim']}",
                                "-o", "json"], ready=True)
        self.start_control()
        self.restart("berth")

    def objects(self):
        return "".join(OBJECTS.format(name=name, port=self.port["sim"], path=path, model=model, key=key)
                       for name, (path, model, key) in PROVIDERS.items())


def try_out(stack, caller, provider, stream, pace_ms):
    """One request whose answer is read. -> its text"""
    path, body = CALLERS[caller].request(model_of(provider), last_words(stream, pace_ms), stream)
    headers = dict(line.split(": ", 1) for line in stack.headers())
    status, answer = ask(stack.port["berth"], "POST", path, body, headers)
    where = f"{caller} before {provider}, {MODES[stream]}"
    try:
        text = CALLERS[caller].text(answer, stream) if status == 200 else ""
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Fatal(f"{where}: {error!r} in {answer[:600].decode(errors='replace')}") from error
    if len(text.split()) != WORDS or CALLERS[caller].marks[stream] not in answer.decode():
        raise Fatal(f"{where}: answers {status}: {answer[:600].decode(errors='replace')}")
    stack.requests += 1
    return text


def try_all(stack, pace_ms, callers=None):
    """Each pair once, both ways: every caller reads the same words of one provider, whole and in pieces."""
    for provider in PROVIDERS:
        texts = {(caller, stream): try_out(stack, caller, provider, stream, pace_ms)
                 for caller in callers or CALLERS for stream in (False, True)}
        # the directive is part of what is asked, so whole and streamed differ
        for stream in (False, True):
            said = {text for (_, mode), text in texts.items() if mode == stream}
            if len(said) != 1:
                raise Fatal(f"{provider}, {MODES[stream]}: callers read different answers: {texts}")


def one(stack, caller, provider, stream, options):
    path, body = CALLERS[caller].request(model_of(provider), last_words(stream, options.pace_ms), stream)
    base = os.path.join(stack.folder, f"{caller}-{provider}-{MODES[stream]}")
    if not os.path.exists(base + ".lua"):
        with open(base + ".json", "wb") as file:
            file.write(body)
        check = CHECK.format(mark=CALLERS[caller].marks[stream], behind=-1200 if stream else 1)
        measure.wrk_script(base + ".lua", stack.headers(), base + ".json", check)
    url = f"http://127.0.0.1:{stack.port['berth']}{path}"
    sample = measure.measured(stack, stack.pids("berth"), "sim", lambda: measure.wrk(
        url, base + ".lua", CONNECTIONS[stream], options.seconds))
    stack.requests += sample["requests"]
    sample["body_bytes"] = len(body)
    return sample


def run_row(stack, caller, stream, options):
    """All providers of one caller, interleaved; the first is the one of its own dialect."""
    order = sorted(PROVIDERS, key=lambda provider: provider != caller)
    samples = {provider: [] for provider in order}
    for provider in order:
        one(stack, caller, provider, stream, options)  # not counted: connections, caches, journal files
    for _ in range(options.rounds):
        for provider in order:
            samples[provider].append(one(stack, caller, provider, stream, options))
    cells = {provider: measure.median_of(rows) for provider, rows in samples.items()}
    for provider, rows in samples.items():  # of rounds, whose neighbours met the same moods of the machine
        cells[provider]["over_pass"] = statistics.median(
            row["cpu_us"] / passed["cpu_us"] for row, passed in zip(rows, samples[caller]))
    return {"name": f"{caller}_{MODES[stream]}", "caller": caller, "streamed": stream, "cells": cells,
            "samples": samples}


def run_all(stack, options, say):
    names = [(caller, stream) for stream in (False, True) for caller in CALLERS
             if not options.only or f"{caller}_{MODES[stream]}" in options.only]
    if not names:
        raise Fatal("no row has such a name: DIALECT_whole, DIALECT_streamed of " + ", ".join(CALLERS))
    rows = []
    try_all(stack, options.pace_ms, {caller for caller, _ in names})
    for caller, stream in names:
        began = time.monotonic()
        rows.append(run_row(stack, caller, stream, options))
        say(f"{rows[-1]['name']:25} " + "  ".join(
            f"{provider} {cell['cpu_us']:.1f} us {cell['over_pass']:.2f}"
            for provider, cell in rows[-1]["cells"].items()) +
            f"  [foreign {max(cell['foreign_cpu'] for cell in rows[-1]['cells'].values()) * 100:.0f} %, "
            f"{time.monotonic() - began:.0f} s]")
    try_all(stack, options.pace_ms, {caller for caller, _ in names})
    return rows


def table(rows, stream, cell_text):
    rows = [row for row in rows if row["streamed"] == stream]
    lines = [f"| {MODES[stream]}; caller | bytes | " + " | ".join(PROVIDERS) + " |", "|---|---|" + "---|" * len(PROVIDERS)]
    for row in rows:
        cells = [cell_text(row["cells"][provider], provider == row["caller"]) for provider in PROVIDERS]
        lines.append(f"| {row['caller']} | {row['cells'][row['caller']]['body_bytes']:,.0f} | " + " | ".join(cells) + " |")
    return lines + [""] if rows else []


def markdown(rows):
    """Callers down, providers across; the pass-through in bold."""
    def cpu(cell, passes):
        text = f"{cell['cpu_us']:.1f}"
        return f"**{text}**" if passes else f"{text} ({cell['over_pass']:.2f})"

    def rate(cell, _):
        return f"{cell['rps']:,.0f}"
    lines = []
    for stream in (False, True):
        lines += table(rows, stream, cpu) + table(rows, stream, rate)
    return "\n".join(lines)
