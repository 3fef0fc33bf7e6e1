#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HARDENING 3.3 on the data plane's TLS listener and the control plane's listener for planes."""
import os
import socket
import ssl
import struct
import subprocess
import sys
import warnings

import rig
from rig import Stack, say, skip

warnings.simplefilter("ignore")  # old versions are the point
stack = Stack(tls=True).start()


def client(alpn=None, lowest=None, highest=None, ciphers=None, cert=None, port=None):
    """(TLS version, ALPN, first bytes), or the exception's text. Reads, because TLS 1.3 refuses a certificate late."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        if ciphers:
            context.set_ciphers(ciphers)
        if lowest:
            context.minimum_version, context.maximum_version = lowest, highest
        if alpn:
            context.set_alpn_protocols(alpn)
        if cert:
            context.load_cert_chain(*cert)
        with socket.create_connection(("127.0.0.1", port or stack.tls_port), timeout=5) as raw:
            with context.wrap_socket(raw) as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return s.version(), s.selected_alpn_protocol(), s.recv(100)
    except (OSError, ValueError) as e:
        return repr(e)


V = ssl.TLSVersion
for what, low, high in (("1.0", V.TLSv1, V.TLSv1), ("1.1", V.TLSv1_1, V.TLSv1_1)):
    got = client(lowest=low, highest=high, ciphers="ALL:@SECLEVEL=0")
    say(isinstance(got, str), "TL-01 TLS %s is refused" % what, got)
for suite in ("aNULL", "RC4", "3DES", "AES128-SHA", "AES256-SHA", "ECDHE-ECDSA-AES128-SHA", "NULL"):
    got = client(lowest=V.TLSv1_2, highest=V.TLSv1_2, ciphers=suite + ":@SECLEVEL=0")
    say(isinstance(got, str), "TL-01 %s is refused" % suite, got)
for what, low in (("1.2", V.TLSv1_2), ("1.3", V.TLSv1_3)):
    got = client(lowest=low, highest=low)
    say(not isinstance(got, str) and got[2].startswith(b"HTTP/1.1 200"), "TL-x TLS %s works" % what, got)
for alpn, want in ((["h2"], "h2"), (["http/1.1"], "http/1.1"), (None, None), (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], None)):
    got = client(alpn=alpn)
    good = not isinstance(got, str) and (got[1] == want or want is None and (not alpn or got[1] in alpn))
    say(good, "TL-03 ALPN %s" % alpn, got)
got = client(alpn=["spdy/3"])
say(isinstance(got, str), "TL-03 unknown ALPN is refused", got)
with socket.create_connection(("127.0.0.1", stack.tls_port), timeout=5) as s:
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    got = s.recv(1000)
say(not got.startswith(b"HTTP"), "TL-x clear text on the TLS listener", got)
with socket.create_connection(("127.0.0.1", stack.port), timeout=15) as s:  # without LF in it: 408 at 10 s
    s.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500))
    got = s.recv(1000)
say(not got or got.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")) or got[3:4] == b"\x07", "TL-x TLS on the clear listener", got)

pki = os.path.join(stack.cp_data, "pki")
mine = [os.path.join(stack.dir, n) for n in ("forged.crt", "forged.key")]
subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", mine[1], "-out",
                mine[0], "-days", "2", "-subj", "/CN=dataplane", "-addext", "subjectAltName=URI:spiffe://berth/dataplane/dataplane"],
               check=True, stderr=subprocess.DEVNULL)
got = client(port=stack.planes, alpn=["h2"])
say(isinstance(got, str) or not got[2], "TL-07 no client certificate", got)
got = client(port=stack.planes, alpn=["h2"], cert=mine)
say(isinstance(got, str) or not got[2], "TL-07 a certificate of another CA with the right name", got)
for name in sorted(os.listdir(pki)):
    if name.endswith(".key"):
        mode = os.stat(os.path.join(pki, name)).st_mode & 0o777
        say(mode == 0o600, "TL-11 %s is 0600" % name, oct(mode))
os.chmod(os.path.join(stack.dir, "tls.key"), 0o644)
loose = subprocess.run([os.path.join(stack.bin, "berth-dataplane"), "--data", os.path.join(stack.dir, "second"), "--listen", "none",
                        "--listen-tls", "127.0.0.1:%d" % rig.free_port(), "--tls-cert", os.path.join(stack.dir, "tls.crt"), "--tls-key",
                        os.path.join(stack.dir, "tls.key"), "--admin", "127.0.0.1:%d" % rig.free_port()], capture_output=True, text=True,
                       timeout=20, env=dict(os.environ, BERTH_DATAPLANE_CONTROL=""))
say(loose.returncode not in (0, -11, -6), "TL-11 a key file of mode 0644 refuses the start (exit %d)" % loose.returncode, loose.stderr)
stack.healthy("tls")
stack.judge_end()
sys.exit(1 if rig.failures else 0)
