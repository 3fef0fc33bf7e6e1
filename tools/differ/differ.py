#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Differential test of the JSON scanner: mutated documents, read by it, by Python's json and by Node's
JSON.parse. Must hold: what the scanner accepts the others accept and read alike (members in order,
numbers to the digit, strings to the code point), and what it refuses although both accept it has one of
the reasons that narrow RFC 8259 on purpose. Usage: differ.py BERTH-DIFFER [COUNT [SEED]]"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().getrandbits(32)
HERE = os.path.dirname(os.path.abspath(__file__))
NARROWER = {"DUPLICATE", "DEPTH", "ENCODING", "TOO_LARGE"}
CHUNK = 20_000
REFUSED = object()

SEEDS = [
    b'{"model":"gpt-4o","messages":[{"role":"user","content":"Hi \\u00fc \\ud83d\\ude00 \xc3\xa9"}],"stream":true}',
    b'{"a":{"b":[1,2.5,-0,1e10,{"c":null}],"d":"\\"\\\\\\/\\b\\f\\n\\r\\t"},"e":[],"f":{}}',
    b'[0,-0,-0.0,0.0,1E400,-1e-400,9007199254740993,123456789012345678901234567890,1e999,0.1e+1]',
    b' {"tools" : [ {"type":"function","function":{"name":"f","parameters":{"type":"object"}}} ] }\r\n',
    b'"\\u0000\\u001f\\uFFFF\\uD800\\uDC00"', b'true', b'[null,false]', b'{"":{"":""}}',
    b'{"__proto__":1,"constructor":{"2":1,"1":2},"toString":[]}',
    "{\"\u4f60\u597d\":\"\u2028\u2029\ufeff\U0001f600\u00a0\",\"k\":\"\u007f\"}".encode(),
    b'{"content":"' + b"a long text with \\n line ends and \\\"quotes\\\" in it, over a block of 64. " * 3 + b'"}',
]
PIECES = [b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b' ', b'\t', b'\n', b'\r', b'\0', b'\x0b', b'\x0c', b'\x1f', b'\x7f', b'\x80', b'\xff',
          b'\xc0\x80', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xe2\x80', b'\xef\xbb\xbf', b'\xc2\xa0', b'\\u', b'\\ud800', b'\\udc00', b'\\ud800\\udc00',
          b'\\u0061', b'\\x', b'\\v', b"\\'", b"'", b'//', b'/**/', b'#', b'NaN', b'Infinity', b'-Infinity', b'undefined', b'True', b'nul', b'-', b'+1', b'01',
          b'-0', b'.5', b'1.', b'1e', b'1e+', b'0x1', b'1_0', b'-0.0e-0', b'1' * 400, b'1e999', b'"a":1', b'"a":1,"a":2', b'"\\u0061":1,"a":2', b',,', b'[' * 130,
          b']' * 130, b'[' * 128 + b']' * 128, b'[' * 129 + b']' * 129, b'{"a":' * 9, b'}' * 9, b'null', b'\\"', b'\\\\']


def mutated(rng):
    text = bytearray(rng.choice(SEEDS))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(8)
        if kind == 0:
            text[at:at] = rng.choice(PIECES)
        elif kind == 1:
            del text[at:at + rng.choice((1, 1, 1, 2, 5, 40))]
        elif kind == 2 and at < len(text):
            text[at] ^= 1 << rng.randrange(8)
        elif kind == 3 and at < len(text):
            text[at] = rng.randrange(256)
        elif kind == 4:  # a piece of another document
            other = rng.choice(SEEDS)
            start = rng.randrange(len(other))
            text[at:at] = other[start:start + rng.choice((1, 4, 16, 80))]
        elif kind == 5:  # a span of it again
            text[at:at] = text[at:at + rng.choice((1, 2, 8, 30))]
        elif kind == 6:
            text[at:at + rng.choice((1, 3))] = rng.choice(PIECES)
        else:  # a whole value where one stands
            text[:] = b'{"x":' + bytes(text) + b',"y":' + rng.choice(SEEDS) + b"}"
        if not text:
            text += b" "
    return bytes(text)


def refuse_constant(word):
    raise ValueError(word)


class Member(list):
    """An object: its members in order, told from an array."""


def by_python(text):
    """The document with numbers as text and members in order, or REFUSED."""
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=Member, parse_int=lambda t: ("n", t), parse_float=lambda t: ("n", t),
                          parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return REFUSED


def shape(value):
    """json.loads gives arrays as list and objects as Member, which compare equal: tell them apart."""
    if isinstance(value, Member):
        return ("{", [(key, shape(inner)) for key, inner in value])
    return ("[", [shape(inner) for inner in value]) if isinstance(value, list) else (type(value).__name__, value)


def fail(what, text, line):
    print(f"differ: {what}\n  seed {SEED}\n  document {text!r}\n  scanner {line!r}")
    sys.exit(1)


def node_reads(folder, path, lines):
    """Per document '=' alike, '!' otherwise, 'a' accepted (the scanner did not), 'r' refused by Node."""
    node = os.environ.get("NODE") or shutil.which("node")
    if node is None:
        return None
    said = os.path.join(folder, "said")
    with open(said, "wb") as out:
        out.write(b"".join(line + b"\n" for line in lines))
    run = subprocess.run([node, os.path.join(HERE, "differ.mjs"), path, said], capture_output=True, check=True)
    return run.stdout.decode()


def compare(documents, folder):
    path = os.path.join(folder, "documents")
    with open(path, "wb") as out:
        for text in documents:
            out.write(struct.pack(">I", len(text)) + text)
    with open(path, "rb") as stdin:
        lines = subprocess.run([PROGRAM], stdin=stdin, capture_output=True, check=True).stdout.split(b"\n")[:-1]
    if len(lines) != len(documents):
        fail(f"{len(lines)} lines for {len(documents)} documents", b"", b"")
    node = node_reads(folder, path, lines)
    accepted = narrower = 0
    for at, (text, line) in enumerate(zip(documents, lines)):
        want = by_python(text)
        if line.startswith(b"ok "):
            accepted += 1
            got = by_python(line[3:])
            if want is REFUSED:
                fail("accepted, Python refuses it", text, line)
            if shape(want) != shape(got):
                fail("accepted, Python reads something else", text, line)
            if node is not None and node[at] != "=":
                fail("accepted, Node refuses it" if node[at] == "r" else "accepted, Node reads something else", text, line)
        elif want is not REFUSED and node is not None and node[at] == "a":
            narrower += 1
            if line[3:].decode() not in NARROWER:
                fail("refused for no reason of ours; both accept it", text, line)
    return accepted, narrower, node is not None


def main():
    rng = random.Random(SEED)
    print(f"differ: {COUNT} documents from seed {SEED}", flush=True)
    accepted = narrower = 0
    with_node = False
    with tempfile.TemporaryDirectory() as folder:
        for begin in range(0, COUNT, CHUNK):
            documents = [mutated(rng) for _ in range(min(CHUNK, COUNT - begin))]
            more, fewer, with_node = compare(documents, folder)
            accepted += more
            narrower += fewer
    others = "Python and Node" if with_node else "Python (node is not installed)"
    print(f"differ: {accepted} accepted and read alike by {others}; {COUNT - accepted} refused, {narrower} of them by our narrower rules")
    if accepted < COUNT // 20 or (with_node and narrower == 0):
        print("differ: the documents prove nothing: too few are good, or none meets a narrower rule")
        sys.exit(1)


main()
