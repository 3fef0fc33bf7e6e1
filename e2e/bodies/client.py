# SPDX-License-Identifier: MIT
"""Coded bodies from Python's standard library. Usage: client.py URL KEY; see ../bodies.sh."""
import gzip
import json
import sys
import urllib.error
import urllib.request
import zlib

URL, KEY = sys.argv[1:]
BODY = json.dumps({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello " * 500}]}).encode()


def ask(coding, body):
    fields = {"Authorization": "Bearer " + KEY, "Content-Type": "application/json", "Accept-Encoding": "gzip"}
    if coding:
        fields["Content-Encoding"] = coding
    try:
        with urllib.request.urlopen(urllib.request.Request(URL + "/v1/chat/completions", body, fields), timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def check(name, good, why):
    print(f"ok python: {name}" if good else f"not ok python: {name}: {why}")


def said(answer):
    return answer["choices"][0]["message"]["content"], answer["usage"]["prompt_tokens"]


want = said(ask(None, BODY)[1])
for coding, body in (("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY)), ("gzip", gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]))):
    status, answer = ask(coding, body)
    check(f"{coding} of {len(body)} bytes", status == 200 and said(answer) == want, answer)
for name, coding, body in (("bytes behind the end", "gzip", gzip.compress(BODY) + b"\0"), ("a wrong checksum", "deflate", zlib.compress(BODY)[:-1] + b"\0"),
                           ("plain text", "gzip", BODY), ("deflate without its frame", "deflate", zlib.compress(BODY)[2:-4])):
    status, answer = ask(coding, body)
    check(f"{name} is 400", status == 400 and "content-encoding" in answer["error"]["message"], answer)
