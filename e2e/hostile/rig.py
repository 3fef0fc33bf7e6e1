# SPDX-License-Identifier: MIT
"""A small stack of real processes for the black-box suites: simulator, control plane, data plane on free
ports in a folder of its own, an API key with money, and the oracles that every case is judged by."""
import atexit
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

API = "/apis/berth.dev/v1alpha1"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Sanitizer builds are slow and large: deadlines times this, no judgement of CPU, memory and latency.
LAX = int(os.environ.get("BERTH_LAX", "0"))
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer",
           "DEADLYSIGNAL", "assertion failed", "ASSERT")
failures = 0


def say(good, name, reason=""):
    global failures
    failures += not good
    print(("ok %s" % name) if good else ("not ok %s: %s" % (name, str(reason)[:400])), flush=True)
    return good


def skip(name, reason):
    print("skip %s: %s" % (name, reason), flush=True)


def until(seconds, condition, pause=0.02):
    """True as soon as condition() is, False after the deadline."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Tap:
    """A byte relay between the data plane and the simulator that keeps what went up."""

    def __init__(self, port, target):
        self.target, self.up, self.conns = target, [], 0
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                down = self.listener.accept()[0]
            except OSError:
                return
            self.conns += 1
            up = socket.create_connection(("127.0.0.1", self.target))
            for a, b, keep in ((down, up, True), (up, down, False)):
                threading.Thread(target=self.pump, args=(a, b, keep), daemon=True).start()

    def pump(self, a, b, keep):
        try:
            while data := a.recv(65536):
                if keep:
                    self.up.append(data)
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def seen(self):
        return b"".join(self.up)


class Stack:
    def __init__(self, bin_dir=None, workers=1, tap=False, tls=False, data=None, dp_data=None, cp_data=None,
                 env=None, journal_mib=64, sim_bin=None, slow=1, provider=None):
        self.bin = bin_dir or os.environ.get("BERTH_BIN") or os.path.join(ROOT, "build/dev/bin")
        if not os.path.exists(os.path.join(self.bin, "berth-dataplane")):
            print("not ok start: no programs in %s; build them, or set BERTH_BIN" % self.bin)
            sys.exit(1)
        self.dir = data or tempfile.mkdtemp(prefix="berth-hostile.")
        self.env = dict(os.environ, **(env or {}))
        self.workers, self.tls, self.journal_mib, self.slow = workers, tls, journal_mib, slow
        self.sim_bin = sim_bin or os.environ.get("BERTH_BIN_SIM") or self.bin
        self.dp_data = dp_data or os.path.join(self.dir, "dp")
        self.cp_data = cp_data or os.path.join(self.dir, "cp")
        self.sim, self.planes, self.admin_port, self.port, self.tls_port, self.probe, tap_port = (
            free_port() for _ in range(7))
        self.procs, self.served = {}, 0
        atexit.register(self.abandon)
        self.tap = Tap(tap_port, self.sim) if tap else None
        self.sim_url = "http://127.0.0.1:%d" % (provider or (tap_port if tap else self.sim))

    # ---- processes
    def spawn(self, name, *args, where=None, env=None):
        with open(os.path.join(self.dir, name + ".log"), "ab") as log:
            self.procs[name] = subprocess.Popen([os.path.join(where or self.bin, "berth-" + name), *args],
                                                stdout=log, stderr=log, env=env or self.env)

    def start(self):
        self.start_sim()
        self.start_control()
        self.start_data()
        self.deposit("d1", "100000.00")
        self.key = self.make_key("hostile")
        if not until(20 * self.slow, lambda: self.chat()[0] == 200):
            raise SystemExit("not ok start: no answer through the stack: %r; logs in %s" % (self.chat(), self.dir))
        return self

    def start_sim(self):
        self.spawn("sim", "--listen", "127.0.0.1:%d" % self.sim, where=self.sim_bin)

    def start_control(self):
        self.spawn("controlplane", "--data", self.cp_data, "--listen-admin", "127.0.0.1:%d" % self.admin_port,
                   "--listen-planes", "127.0.0.1:%d" % self.planes, env=dict(self.env, BERTH_OFFLINE_SIM=self.sim_url))
        self.ready("controlplane", self.admin_port)

    def start_data(self):
        args = ["--workers", str(self.workers), "--data", self.dp_data, "--control", "127.0.0.1:%d" % self.planes,
                "--pki", os.path.join(self.cp_data, "pki"), "--listen", "127.0.0.1:%d" % self.port,
                "--admin", "127.0.0.1:%d" % self.probe, "--journal-mib", str(self.journal_mib)]
        if self.tls:
            cert, key = (os.path.join(self.dir, n) for n in ("tls.crt", "tls.key"))
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                            "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
            os.chmod(key, 0o600)
            args += ["--listen-tls", "127.0.0.1:%d" % self.tls_port, "--tls-cert", cert, "--tls-key", key]
        self.spawn("dataplane", *args)
        self.ready("dataplane", self.probe)

    def ready(self, name, port):
        def answers():
            if self.procs[name].poll() is not None:
                raise SystemExit("not ok start: %s ended: %s" % (name, self.log(name)[-600:]))
            try:
                return ask(port, "GET", "/readyz")[0] == 200
            except OSError:
                return False
        if not until(20 * self.slow, answers):
            raise SystemExit("not ok start: %s is not ready; logs in %s" % (name, self.dir))

    def log(self, name):
        with open(os.path.join(self.dir, name + ".log"), errors="replace") as f:
            return f.read()

    def stop(self, keep=False):
        """Exit codes by name; the data plane first, so that its journal can be uploaded."""
        codes = {}
        for name in ("dataplane", "controlplane", "sim", "agent"):
            proc = self.procs.get(name)
            if proc is None:
                continue
            if proc.poll() is None:
                proc.terminate()
            try:
                codes[name] = proc.wait(60 * self.slow)
            except subprocess.TimeoutExpired:
                proc.kill()
                codes[name] = "stuck after SIGTERM"
        if not keep and not failures:
            shutil.rmtree(self.dir, ignore_errors=True)
        return codes

    def abandon(self):
        """A suite that fails half-way leaves no process behind."""
        for proc in self.procs.values():
            if proc.poll() is None:
                proc.kill()
                proc.wait()

    def judge_end(self):
        """SIGTERM: every process ends with 0, and no log has a sanitizer's or an assertion's report."""
        was_running = {name: proc.poll() is None for name, proc in self.procs.items()}
        logs = {}
        codes = self.stop(keep=True)
        for name in codes:
            logs[name] = self.log(name)
            at = min((logs[name].find(r) for r in REPORTS if r in logs[name]), default=-1)
            good = codes[name] == 0 and at < 0
            say(good, "%s ends cleanly, nothing reported" % name, "exit %s, %s %s" % (
                codes[name], "running before" if was_running[name] else "had ended", logs[name][at:at + 300] if at >= 0 else ""))
        if failures:
            print("# files of this run are kept in %s" % self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # ---- control plane
    def admin(self, method, path, body=None, kind="application/json"):
        token = open(os.path.join(self.cp_data, "admin.token")).read().strip()
        data = json.dumps(body) if isinstance(body, dict) else body
        return ask(self.admin_port, method, path, data, {"authorization": "Bearer " + token, "content-type": kind})

    def apply(self, yaml):
        return self.admin("POST", API + "/apply", yaml, "application/yaml")

    def deposit(self, key, amount):
        for what in ("deposits", "transfers"):
            status, text = self.admin("POST", "/api/v1/wallet/" + what,
                                      {"wallet": "default", "amount": amount, "idempotency_key": key})
            assert status == 200, text

    def make_key(self, name):
        status, text = self.apply("apiVersion: berth.dev/v1alpha1\nkind: ApiKey\n"
                                  "metadata: {name: %s}\nspec: {wallet: default}\n" % name)
        assert status in (200, 201), text
        return json.loads(text)["items"][0]["key"]

    # ---- requests and oracles
    def body(self, text="hello", model="gpt-4o-mini", **more):
        return json.dumps(dict({"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": text}]},
                               **more))

    def chat(self, text="hello", path="/v1/chat/completions", timeout=30, **more):
        try:
            answer = ask(self.port, "POST", path, self.body(text, **more),
                         {"authorization": "Bearer " + self.key, "content-type": "application/json"}, timeout)
            self.served += answer[0] == 200
            return answer
        except (OSError, http.client.HTTPException) as e:
            return 0, repr(e)

    def billed(self):
        return json.loads(ask(self.sim, "GET", "/sim/bill?summary=1")[1])["count"]

    @property
    def pid(self):
        return self.procs["dataplane"].pid

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def rss(self):
        with open("/proc/%d/status" % self.pid) as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))

    def cpu(self):
        with open("/proc/%d/stat" % self.pid) as f:
            part = f.read().rsplit(")", 1)[1].split()
        return (int(part[11]) + int(part[12])) / os.sysconf("SC_CLK_TCK")

    def open_conns(self):
        """Connections that the data plane still holds on its clear listener."""
        count = 0
        with open("/proc/net/tcp") as f:
            for line in list(f)[1:]:
                part = line.split()
                if int(part[1].split(":")[1], 16) == self.port and part[3] not in ("0A", "06") and part[9] != "0":
                    count += 1
        return count

    def healthy(self, name, fd_base=None):
        """Same process, an honest request works, nothing is left open."""
        if self.procs["dataplane"].poll() is not None:
            return say(False, name + " after", "the data plane ended: " + self.log("dataplane")[-300:])
        status, text = self.chat()
        if status != 200:
            return say(False, name + " after", "an honest request got %s %s" % (status, text))
        if not until(5, lambda: self.open_conns() == 0):
            return say(False, name + " after", "%d connections are still held" % self.open_conns())
        if fd_base is not None and not until(5, lambda: self.fds() <= fd_base):
            return say(False, name + " after", "%d fds, %d before" % (self.fds(), fd_base))
        return True


def ask(port, method, path, body=None, headers=None, timeout=30):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        conn.request(method, path, body, headers or {})
        answer = conn.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        conn.close()
