#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The figures of identity, measured from outside: bare containers (a network namespace, a cgroup, the
runtime's hook calls), clients whose connections are the container's and whose lives are not.
Prints a table and "ok"/"not ok" lines. Usage: figures.py PORT HOOK_SOCKET AGENT_PID DATAPLANE_PID FULL"""
import ctypes
import json
import mmap
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request

PORT = int(sys.argv[1])
HOOK_SOCKET = sys.argv[2]
AGENT, DATAPLANE = int(sys.argv[3]), int(sys.argv[4])
FULL = sys.argv[5] == "1"
KILLS = 500 if FULL else 50
STREAMS = 200 if FULL else 30
MANY = 1000 if FULL else 100
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
CGROUPS = next(l.split()[1] for l in open("/proc/mounts") if l.split()[2] == "cgroup2")
HERE = CGROUPS + next(l for l in open("/proc/self/cgroup") if l.startswith("0::"))[3:].strip()
BASE = os.path.join(CGROUPS, "berth-figures-%d" % os.getpid())
CHAT = b'{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
STREAM = (b'{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":'
          b'"hi [[sim: words=100000, chunk_ms=2]]"}]}')
bad = 0


def say(good, text):
    global bad
    bad += not good
    print(("ok " if good else "not ok ") + text, flush=True)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


table = []


def figure(what, values_ms, p50=None, p99=None, top=None):
    """A row of the table; bounds in ms. Without FULL the machine is busy with other suites: p99 is the
    maximum of few, and the others are bounded three times as wide."""
    have = (percentile(values_ms, 0.5), percentile(values_ms, 0.99), max(values_ms))
    table.append("%-52s p50 %8.3f ms   p99 %8.3f ms   max %8.3f ms   n=%d" % ((what,) + have + (len(values_ms),)))
    for name, bound, value in (("p50", p50, have[0]), ("p99", p99 if FULL else None, have[1]), ("max", top, have[2])):
        if bound is not None:
            bound *= 1 if FULL else 3
            say(value <= bound, "%s: %s %.3f ms <= %g ms" % (what, name, value, bound))


HOOK = shutil.which("berth-hook")


def run_hook(words, stdin):
    """Milliseconds from exec to exit, and the status."""
    began = time.monotonic_ns()
    pid = os.posix_spawn(HOOK, ["berth-hook"] + words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, stdin, 0)])
    status = os.waitpid(pid, 0)[1]
    return (time.monotonic_ns() - began) / 1e6, status


# ---- bare containers -----------------------------------------------------------------------------
class Container:
    def __init__(self, name):
        self.name = name
        self.cgroup = os.path.join(BASE, name)
        os.mkdir(self.cgroup)
        told, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with open(self.cgroup + "/cgroup.procs", "w") as f:
                f.write(str(os.getpid()))
            if libc.unshare(CLONE_NEWNET) != 0:
                os._exit(1)
            os.write(tell, b"x")
            os.execvp("sleep", ["sleep", "1000000"])
        os.read(told, 1)
        os.close(told)
        os.close(tell)

    def hook(self, stage):
        state = {"ociVersion": "1.0.2", "id": self.name, "status": "stopped", "bundle": "/"}
        if stage == "createRuntime":
            state.update(status="creating", pid=self.pid)
        text = os.memfd_create("state")
        os.write(text, json.dumps(state).encode())
        os.lseek(text, 0, os.SEEK_SET)
        took, status = run_hook([stage, "--socket", HOOK_SOCKET], text)
        os.close(text)
        if status != 0:
            raise RuntimeError("%s of %s failed" % (stage, self.name))
        return took

    def kill(self):
        began = time.monotonic_ns()
        os.kill(self.pid, signal.SIGKILL)
        return began

    def reap(self):
        os.waitpid(self.pid, 0)
        for _ in range(2000):
            try:
                os.rmdir(self.cgroup)
                return
            except OSError:
                time.sleep(0.001)


def join(container):
    """A socket that is the container's, in a process that is not."""
    with open(container.cgroup + "/cgroup.procs", "w") as f:
        f.write(str(os.getpid()))
    ns = os.open("/proc/%d/ns/net" % container.pid, os.O_RDONLY)
    if libc.setns(ns, CLONE_NEWNET) != 0:
        os._exit(1)
    os.close(ns)
    return fresh_socket()


def fresh_socket():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def leave():
    with open(HERE + "/cgroup.procs", "w") as f:
        f.write(str(os.getpid()))


def request(container, body):
    return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer container-" + container.name.encode() +
            b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def read_answer(sock):
    """Status of one whole answer with a length, or 0 when the connection ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return 0
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = next((int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length:")), 0)
    while len(rest) < length:
        more = sock.recv(65536)
        if not more:
            return 0
        rest += more
    return status


def client(container, work):
    """Fork; work(sock, slots) in the child. Returns (pid, slots): shared 64-bit numbers."""
    shared = mmap.mmap(-1, 4096)
    slots = memoryview(shared).cast("Q")
    pid = os.fork()
    if pid == 0:
        try:
            sock = join(container)
            sock.connect(("127.0.0.1", PORT))
            leave()
            work(sock, slots)
        except OSError:
            pass
        finally:
            os._exit(0)
    return pid, slots


def wait_slot(slots, index, least):
    end = time.monotonic() + 10
    while slots[index] < least:
        if time.monotonic() > end:
            raise RuntimeError("a client made no progress")
        time.sleep(0.0005)


# ---- the measurements ----------------------------------------------------------------------------
def measure_kills():
    """Slots: 0 answers with 200, 1 when the last one was complete, 2 answers with another status."""
    def hammer(container):
        bytes_ = request(container, CHAT)

        def work(sock, slots):
            while True:
                sock.sendall(bytes_)
                status = read_answer(sock)
                now = time.monotonic_ns()
                if status != 200:
                    slots[2] = status + 1
                    return
                slots[1] = now
                slots[0] += 1
        return work
    times, starts, stops = [], [], []
    for i in range(KILLS):
        c = Container("kill-%d" % i)
        starts.append(c.hook("createRuntime"))
        pid, slots = client(c, hammer(c))
        wait_slot(slots, 0, 5)
        began = c.kill()
        os.waitpid(pid, 0)
        times.append(max(0, slots[1] - began) / 1e6)
        os.waitpid(c.pid, 0)
        stops.append(c.hook("poststop"))
        os.rmdir(c.cgroup)
    figure("kill of init to the last 200, under load", times, p99=10, top=50)
    figure("hook pair: createRuntime and poststop, exec to exit", [a + b for a, b in zip(starts, stops)], p50=5)


def measure_streams():
    def read(container):
        def work(sock, slots):
            sock.sendall(request(container, STREAM))
            tail = b""
            while True:
                data = sock.recv(65536)
                if not data:
                    break
                slots[1] = time.monotonic_ns()
                slots[0] += 1
                tail = (tail + data)[-600:]
                if b'"error"' in tail:
                    slots[2] = 1
                    break
            slots[1] = time.monotonic_ns()
        return work
    times = []
    told = 0
    for i in range(STREAMS):
        c = Container("stream-%d" % i)
        c.hook("createRuntime")
        pid, slots = client(c, read(c))
        wait_slot(slots, 0, 5)
        began = c.kill()
        os.waitpid(pid, 0)
        times.append((slots[1] - began) / 1e6)
        told += slots[2]
        c.reap()
    figure("kill of init to the end of an open stream", times, p99=50, top=250)
    say(told == STREAMS, "every cut stream ends with the error event (%d of %d)" % (told, STREAMS))


def attested():
    """Buckets of berth_agent_attest_seconds: [(upper bound in ms, how many so far)], not cumulative."""
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % (PORT + 2), timeout=5) as reply:
        lines = reply.read().decode().splitlines()
    rows, last = [], 0
    for line in lines:
        if line.startswith("berth_agent_attest_seconds_bucket"):
            bound, count = float(line.split('"')[1]) * 1e3, int(line.split()[-1])
            rows.append((bound, count - last))
            last = count
    return rows


def since(before):
    """The observations since then, in ms; inside a bucket they are taken as evenly spread."""
    values, low = [], 0.0
    for i, (bound, count) in enumerate(attested()):
        count -= before[i][1] if before else 0
        values += [low + (min(bound, 10 * low) - low if i else bound) * (k + 1) / count for k in range(count)]
        low = bound
    return values


def measure_connections():
    """A new connection is attested, one that is kept is not."""
    before = attested()
    c = Container("connect")
    c.hook("createRuntime")
    rounds = 500 if FULL else 200

    def work(_, slots):
        with open(c.cgroup + "/cgroup.procs", "w") as f:
            f.write(str(os.getpid()))
        bytes_ = request(c, b"{}")  # refused at once, behind identity
        for i in range(rounds):
            sock = fresh_socket()
            a = time.monotonic_ns()
            sock.connect(("127.0.0.1", PORT))
            sock.sendall(bytes_)
            read_answer(sock)
            b = time.monotonic_ns()
            sock.sendall(bytes_)
            read_answer(sock)
            d = time.monotonic_ns()
            sock.close()
            slots[2 + i % 500] = max(0, (b - a) - (d - b))
        slots[0] = 1
        leave()
    pid, slots = client(c, work)
    os.waitpid(pid, 0)
    values = [slots[2 + i] / 1e6 for i in range(min(rounds, 500)) if 2 + i < 512]
    c.kill()
    c.reap()
    figure("a new connection beyond a kept one, end to end", values)
    figure("attestation: accept in the agent to hand-over", since(before), p50=0.06 if FULL else None)


def memory_kb(pid):
    return next(int(l.split()[1]) for l in open("/proc/%d/status" % pid) if l.startswith("RssAnon"))


def fds(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def namespaces(inodes):
    """How many of these somebody is still in, or holds a descriptor of."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.stat("/proc/%s/ns/net" % pid).st_ino)
            if int(pid) in (AGENT, DATAPLANE):
                found.update(os.stat("/proc/%s/fd/%s" % (pid, fd)).st_ino for fd in os.listdir("/proc/%s/fd" % pid))
        except OSError:
            pass
    return len(found & inodes)


def links():
    return len(os.listdir("/sys/class/net"))


def measure_many():
    for round_ in range(2):  # the first says what they take, the second that it is given back
        before = {n: (memory_kb(p), fds(p)) for n, p in (("agent", AGENT), ("data plane", DATAPLANE))}
        interfaces = links()
        began = time.monotonic()
        all_ = [Container("many-%d-%d" % (round_, i)) for i in range(MANY)]
        starts = [c.hook("createRuntime") for c in all_]
        created = time.monotonic() - began
        inodes = {os.stat("/proc/%d/ns/net" % c.pid).st_ino for c in all_}
        live = {n: (memory_kb(p), fds(p)) for n, p in (("agent", AGENT), ("data plane", DATAPLANE))}
        began = time.monotonic()
        for c in all_:
            c.kill()
        for c in all_:
            os.waitpid(c.pid, 0)
        for c in all_:
            c.hook("poststop")
        ended = time.monotonic() - began
        for c in all_:
            os.rmdir(c.cgroup)
        end = time.monotonic() + 30
        while time.monotonic() < end and fds(AGENT) > before["agent"][1]:
            time.sleep(0.02)
        after = {n: (memory_kb(p), fds(p)) for n, p in (("agent", AGENT), ("data plane", DATAPLANE))}
        if round_ == 0:
            first = {n: (live[n][0] - before[n][0]) / MANY for n in live}
    figure("createRuntime of %d containers at once" % MANY, starts)
    table.append("%-52s created in %.1f s, ended in %.1f s" % ("%d containers" % MANY, created, ended))
    for n in ("agent", "data plane"):
        per = first[n]
        table.append("%-52s %.1f KB and %.1f descriptors" % ("a live container in the " + n, per,
                                                             (live[n][1] - before[n][1]) / MANY))
        say(per <= 8 or not FULL and per <= 16, "memory of a live container in the %s: %.1f KB <= 8 KB" % (n, per))
        # the data plane has connections of the load, too
        say(after[n][1] <= before[n][1] + (0 if n == "agent" else 32), "descriptors of the %s are given back (%d, %d before)" % (n, after[n][1], before[n][1]))
        say(after[n][0] - before[n][0] <= max(256, MANY), "memory of the %s is given back (%d KB more)" % (n, after[n][0] - before[n][0]))
    say(namespaces(inodes) == 0, "network namespaces are given back")
    say(links() == interfaces, "network interfaces are given back")


def main():
    os.mkdir(BASE)
    try:
        measure_many()  # before the others: what they leave in pools would hide what a container takes
        measure_kills()
        measure_streams()
        measure_connections()
    finally:
        for name in os.listdir(BASE):
            path = os.path.join(BASE, name)
            if os.path.isdir(path):
                for pid in open(path + "/cgroup.procs").read().split():
                    os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.05)
                try:
                    os.rmdir(path)
                except OSError:
                    pass
        try:
            os.rmdir(BASE)
        except OSError:
            pass
        print("#")
        for line in table:
            print("# " + line)
    sys.exit(bad > 0)


main()
