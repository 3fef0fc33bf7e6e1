# SPDX-License-Identifier: MIT
"""The processes: upstreams, nginx, Berth's two planes; where they listen and how they are asked."""
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from measure import Fatal, cpu_s, rss_kib

PROXY_CPU = "0"
REST_CPU = "1"
ANSWER_BYTES = 500
PROVIDERS = {"h1": "http1", "h2": "http2", "sse": "http1"}

NGINX = """
worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log error;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  client_max_body_size 8m;
  keepalive_requests 1000000000;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  upstream sim {{ server 127.0.0.1:{sim}; keepalive 1024; keepalive_requests 1000000000; }}
  upstream sse {{ server 127.0.0.1:{sse}; keepalive 1024; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  server {{ listen 127.0.0.1:{h1} backlog=4096; location / {{ proxy_pass http://sim; }} }}
  server {{ listen 127.0.0.1:{mem} backlog=4096; client_body_buffer_size 2m;
           location / {{ proxy_pass http://sim; }} }}
  server {{ listen 127.0.0.1:{h2} http2 backlog=4096; http2_max_concurrent_streams 1000;
           location / {{ proxy_pass http://sim; }} }}
  server {{ listen 127.0.0.1:{stream} backlog=4096;
           location / {{ proxy_pass http://sse; proxy_buffering off; proxy_read_timeout 600s; }} }}
}}
"""

OBJECTS = """
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {{name: bench-{name}}}
spec: {{dialect: openai, baseUrl: "http://127.0.0.1:{port}/v1", allowPrivate: true, key: {{value: bench}}, protocol: {protocol}}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {{name: bench-{name}/gpt}}
spec: {{provider: bench-{name}, upstream: gpt-4o-mini, kind: chat, context: 1000000, maxOutput: 1024,
       price: {{input: "0.01", output: "0.04"}}}}
---
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def ask(port, method, path, body=None, headers=None, timeout=10):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Stack:
    """start() everything; targets() by name; restart() one proxy; stop()."""
    pinned = True

    def __init__(self, binaries, folder, say):
        self.binaries = binaries
        self.folder = folder
        self.say = say
        self.processes = {}
        self.key = None
        self.admin_token = None
        self.control_folder = None
        self.requests = 0  # answered by Berth
        self.idle_kib = {}
        names = ("sim", "sse", "nginx_h1", "nginx_h2", "nginx_sse", "nginx_mem", "berth",
                 "berth_admin")
        self.port = dict(zip(names, free_ports(len(names))))

    # ---- processes -------------------------------------------------------------------------------
    def spawn(self, name, cpu, command, env=None, ready=False):
        log = open(os.path.join(self.folder, f"{name}.log"), "ab")
        pin = ["taskset", "-c", cpu] if self.pinned else []
        process = subprocess.Popen([*pin, *command], stderr=log, stdout=subprocess.PIPE if ready else log, env=env)
        log.close()
        self.processes[name] = process
        if not ready:
            return None
        if not select.select([process.stdout], [], [], 20)[0]:
            raise Fatal(f"{name} is not ready after 20 s; {self.tail(name)}")
        line = process.stdout.readline()
        if not line:
            raise Fatal(f"{name} did not start; {self.tail(name)}")
        return json.loads(line)

    def tail(self, name):
        with open(os.path.join(self.folder, f"{name}.log"), "rb") as file:
            return "its log ends:\n" + file.read()[-1500:].decode(errors="replace")

    def end(self, name):
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self):
        for name in ("berth", "nginx", "control", "sse", "sim"):
            self.end(name)
        if self.control_folder:
            shutil.rmtree(self.control_folder, ignore_errors=True)

    def pids(self, name):
        process = self.processes.get(name)
        if process is None:
            return []
        return [process.pid, *children(process.pid)] if name == "nginx" else [process.pid]

    def wait_port(self, name, port):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise Fatal(f"{name} does not listen on {port}; {self.tail(name)}")

    # ---- starting ----------------------------------------------------------------------------------
    def program(self, name):
        return os.path.join(self.binaries, name)

    def start(self):
        os.environ.pop("BERTH_LOG", None)
        sim = self.program("berth-sim")
        self.spawn("sim", REST_CPU, [sim, "--bench", str(ANSWER_BYTES), "--listen",
                                     f"127.0.0.1:{self.port['sim']}", "-o", "json"], ready=True)
        self.spawn("sse", REST_CPU, [sim, "--listen", f"127.0.0.1:{self.port['sse']}", "-o", "json"],
                   ready=True)
        self.start_control()
        self.restart("nginx")
        self.restart("berth")

    def start_control(self):
        # Its database is in memory where there is room: its disk is not under test, the journal's is.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.folder
        self.control_folder = tempfile.mkdtemp(prefix="berth-bench-control-", dir=memory)
        data = os.path.join(self.control_folder, "data")
        env = {"PATH": os.environ["PATH"], "HOME": self.folder, "BERTH_LOG": "warn"}
        ready = self.spawn("control", REST_CPU, [
            self.program("berth-controlplane"), "--data", data, "--listen-admin", "127.0.0.1:0",
            "--listen-planes", "127.0.0.1:0"], env=env, ready=True)
        self.planes, self.pki = ready["planes"], ready["pki"]
        # It shares its core with the generator and must not slow that down; it catches up in drain().
        os.setpriority(os.PRIO_PROCESS, self.processes["control"].pid, 19)
        self.admin_port = int(ready["admin"].rpartition(":")[2])
        with open(os.path.join(data, "admin.token"), encoding="ascii") as file:
            self.admin_token = file.read().strip()
        text = self.objects() + "apiVersion: berth.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: bench}\n"
        applied = self.admin("POST", "/apis/berth.dev/v1alpha1/apply", text, "application/yaml")
        self.key = next(item["key"] for item in applied["items"] if item.get("key"))
        self.admin("POST", "/api/v1/wallet/deposits", json.dumps(
            {"purse": "ai", "amount": "1000000.00", "idempotency_key": "bench"}), "application/json")

    def objects(self):
        """Providers and models, as YAML with a "---" behind each."""
        return "".join(OBJECTS.format(name=name, protocol=protocol,
                                      port=self.port["sse" if name == "sse" else "sim"])
                       for name, protocol in PROVIDERS.items())

    def admin(self, method, path, body=None, kind=None):
        headers = {"authorization": f"Bearer {self.admin_token}"}
        if kind:
            headers["content-type"] = kind
        status, answer = ask(self.admin_port, method, path, body, headers, timeout=60)
        if status not in (200, 201):
            raise Fatal(f"{method} {path}: {status} {answer[:500].decode(errors='replace')}")
        return json.loads(answer)

    def restart(self, name):
        """A fresh proxy: what it uses when idle is noted."""
        self.end(name)
        if name == "nginx":
            path = os.path.join(self.folder, "nginx.conf")
            with open(path, "w", encoding="ascii") as file:
                text = NGINX.format(dir=self.folder, files=40000, sim=self.port["sim"],
                                    sse=self.port["sse"], h1=self.port["nginx_h1"], mem=self.port["nginx_mem"],
                                    h2=self.port["nginx_h2"], stream=self.port["nginx_sse"])
                file.write(("user root;\n" if os.geteuid() == 0 else "") + text)
            self.spawn("nginx", PROXY_CPU, ["nginx", "-p", self.folder, "-c", path])
            self.wait_port("nginx", self.port["nginx_sse"])
        else:
            env = {"PATH": os.environ["PATH"], "HOME": self.folder, "BERTH_LOG": "warn"}
            self.spawn("berth", PROXY_CPU, [
                self.program("berth-dataplane"), "--data", os.path.join(self.folder, "data"),
                "--control", self.planes, "--pki", self.pki, "--listen",
                f"127.0.0.1:{self.port['berth']}", "--admin", f"127.0.0.1:{self.port['berth_admin']}",
                "--workers", "1", "--journal-mib", "8192"], env=env, ready=True)
            self.wait_ready()
        time.sleep(0.2)
        self.idle_kib[name] = rss_kib(self.pids(name))
        self.idle_kib["control"] = rss_kib(self.pids("control"))

    def wait_ready(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if ask(self.port["berth_admin"], "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise Fatal(f"the data plane is not ready after 10 s; {self.tail('berth')}")

    # ---- targets -----------------------------------------------------------------------------------
    def target(self, name, down="h1"):
        """-> (port, model, processes of the proxy)"""
        if name == "direct":
            return self.port["sim"], "bench-h1/gpt", []
        if name == "nginx_mem":
            return self.port["nginx_mem"], "bench-h1/gpt", self.pids("nginx")
        if name == "nginx":
            return self.port[f"nginx_{down}"], "bench-h1/gpt", self.pids("nginx")
        return self.port["berth"], f"bench-{name.partition('_')[2]}/gpt", self.pids("berth")

    def headers(self):
        return ["content-type: application/json", f"authorization: Bearer {self.key}"]

    def try_out(self, name, body):
        """One request whose answer is read: a proxy that answers fast with nonsense measures nothing."""
        port = self.target(name)[0]
        headers = dict(line.split(": ", 1) for line in self.headers())
        status, answer = ask(port, "POST", "/v1/chat/completions", body, headers)
        if status != 200 or b'"usage"' not in answer:
            raise Fatal(f"{name} answers {status}: {answer[:400].decode(errors='replace')}; "
                        f"{self.tail('berth') if name.startswith('berth') else ''}")
        self.count(name, 1)

    def count(self, name, requests):
        if name.startswith("berth"):
            self.requests += requests

    def drain(self):
        """Until the usage of what was answered has been uploaded and posted: both planes are idle."""
        deadline = time.monotonic() + 60
        pids = self.pids("control") + self.pids("berth")
        while time.monotonic() < deadline:
            before = cpu_s(pids)
            time.sleep(0.1)
            if cpu_s(pids) - before < 0.004:
                return
        raise Fatal("the control plane is not done with the usage of one round after 60 s")

    def check_metered(self):
        """Every answer that a generator saw was metered and posted (more: cut off at a round's end)."""
        self.drain()
        seen = 0
        deadline = time.monotonic() + 60
        while seen < self.requests and time.monotonic() < deadline:
            sums = self.admin("GET", "/api/v1/usage?group=wallet")
            rows = next(value for value in sums.values() if isinstance(value, list))
            seen = sum(int(row["requests"]) for row in rows)
            time.sleep(0.5)
        if seen < self.requests:
            raise Fatal(f"{self.requests} requests were answered but only {seen} are in the ledger")
        return {"answered": self.requests, "in_ledger": seen}
