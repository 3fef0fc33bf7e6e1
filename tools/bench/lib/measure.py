# SPDX-License-Identifier: MIT
"""What a run measures: CPU time of processes, memory, and what wrk, h2load and berth-load say."""
import json
import os
import re
import statistics
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
LOAD_CPU = "1"


class Fatal(Exception):
    """One sentence for the person who started the run."""


def threads_cpu_s(pid):
    """CPU seconds of all threads: schedstat has nanoseconds; stat (10 ms ticks) has also those that
    ended."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9
    except (OSError, IndexError):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def cpu_s(pids):
    return sum(threads_cpu_s(pid) for pid in pids)


def rss_kib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
    return total


def core_busy_s(core):
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"cpu{core} "):
                values = [int(word) for word in line.split()[1:]]
                return (sum(values[:8]) - values[3] - values[4]) / TICK
    return 0.0


class Meter:
    """CPU of the proxy, the upstream, the control plane and core 0 between start() and stop()."""

    def __init__(self, proxy, upstream, control):
        self.groups = {"proxy": proxy, "upstream": upstream, "control": control}

    def _read(self):
        values = {name: cpu_s(pids) for name, pids in self.groups.items()}
        values["core0"] = core_busy_s(0)
        values["core1"] = core_busy_s(1)
        values["at"] = time.monotonic()
        return values

    def start(self):
        self.before = self._read()

    def stop(self):
        after = self._read()
        delta = {name: after[name] - self.before[name] for name in after}
        wall = delta.pop("at")
        sample = {f"{name}_cpu": value / wall for name, value in delta.items()}
        sample["proxy_cpu_s"] = delta["proxy"]
        sample["wall_s"] = wall
        # somebody else's work on the proxy's core: it makes requests a second meaningless, not CPU time
        sample["foreign_cpu"] = max(0.0, sample["core0_cpu"] - sample["proxy_cpu"])
        return sample


def run_tool(command, timeout_s):
    """stdout of a load generator on its core; -> (text, its CPU seconds)."""
    before = os.times()
    done = subprocess.run(["taskset", "-c", LOAD_CPU, *command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout_s, check=False)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise Fatal(f"{command[0]} failed: {(text + done.stderr.decode(errors='replace'))[-600:]}")
    return text, used


def number(pattern, text, what):
    found = re.search(pattern, text)
    if found is None:
        raise Fatal(f"cannot read {what} in:\n{text[-800:]}")
    return float(found.group(1))


def wrk_script(path, headers, body_file, check=""):
    """A Lua file: POST body_file with headers (lines "name: value"), `check` is more Lua."""
    with open(path, "w", encoding="utf-8") as file:
        file.write('wrk.method = "POST"\n')
        for header in headers:
            name, value = header.split(": ", 1)
            file.write(f'wrk.headers["{name}"] = "{value}"\n')
        file.write(f'local file = io.open("{body_file}", "rb")\n'
                   'wrk.body = file:read("*a")\nfile:close()\n' + check)


def measured(stack, proxy, upstream, load):
    """load() -> sample, with everybody's CPU; what the proxy could upload only later is its, too."""
    meter = Meter(proxy, stack.pids(upstream), stack.pids("control"))
    meter.start()
    sample = load()
    sample.update(meter.stop())
    if proxy == stack.pids("berth"):
        # what the control plane's core had no time for is uploaded now: it belongs to these requests
        before = cpu_s(proxy)
        stack.drain()
        sample["upload_cpu_s"] = cpu_s(proxy) - before
        sample["proxy_cpu_s"] += sample["upload_cpu_s"]
    sample["generator_cpu"] = sample.pop("generator_cpu_s") / sample["wall_s"]
    if sample["requests"] == 0:
        raise Fatal("no request was answered")
    sample["cpu_us"] = sample["proxy_cpu_s"] / sample["requests"] * 1e6
    return sample


def median_of(samples):
    """Median of every number; of latencies, of each quantile."""
    result = {}
    for key, value in samples[0].items():
        if isinstance(value, dict):
            result[key] = median_of([sample[key] for sample in samples])
        else:
            result[key] = statistics.median(sample[key] for sample in samples)
    return result


def wrk(url, script, connections, seconds):
    text, used = run_tool(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s",
                           script, url], seconds + 60)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    read = re.search(r"Bad answers: (\d+)", text)  # printed by a script that looks into them
    count = sum(int(each.group(1)) for each in (bad, read) if each) + (sum(map(int, errors.groups())) if errors else 0)
    if count:
        raise Fatal(f"{count} bad answers from {url}:\n{text}")
    requests = number(r"(\d+) requests in", text, "wrk's count")
    return {"requests": int(requests), "rps": number(r"Requests/sec:\s+([\d.]+)", text, "wrk's rate"),
            "generator_cpu_s": used}


def h2load(url, body_file, headers, connections, streams, seconds):
    command = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", "-d", body_file]
    for header in headers:
        command += ["-H", header]
    text, used = run_tool([*command, url], seconds + 60)
    done = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, "
                     r"(\d+) errored, (\d+) timeout", text)
    status = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    if not done or not status:
        raise Fatal(f"cannot read h2load:\n{text[-800:]}")
    bad = int(done.group(3)) + sum(int(status.group(i)) for i in (2, 3, 4))
    if bad:
        raise Fatal(f"{bad} bad answers from {url}:\n{text}")
    return {"requests": int(done.group(2)),
            "rps": number(r"finished in [^,]+, ([\d.]+) req/s", text, "h2load's rate"),
            "generator_cpu_s": used}


def berth_load_rate(program, url, body_file, headers, rate, seconds):
    command = [program, "rate", "--rate", str(rate), "--seconds", str(seconds), "--warmup", "1", "-o",
               "json", "--body-file", body_file]
    for header in headers:
        command += ["--header", header]
    text, used = run_tool([*command, url], seconds + 60)
    result = json.loads(text.strip().splitlines()[-1])
    return {"requests": result["begun"], "rps": result["per_second"], "generator_cpu_s": used,
            "latency_us": {name: round(value / 1000, 1) for name, value in
                           result["latency_ns"].items()}}
