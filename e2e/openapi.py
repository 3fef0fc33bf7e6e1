#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The admin API against its own document: openapi.py URL TOKEN_FILE. Every documented method answers,
asks for the token unless it is open, refuses what is not documented, and its answers have the documented
statuses and no members that the document lacks. Lines "ok NAME" / "not ok NAME: why"; exit 0 or 1."""
import json
import sys
import urllib.error
import urllib.request

import yaml

url, token = sys.argv[1], open(sys.argv[2], encoding="utf-8").read().strip()
document = yaml.safe_load(urllib.request.urlopen(url + "/openapi.yaml").read())
problems = []


def call(method, path, bearer=True, body=None):
    request = urllib.request.Request(url + path, method=method.upper(), data=body)
    if bearer:
        request.add_header("authorization", "Bearer " + token)
    if body is not None:
        request.add_header("content-type", "application/json")
    try:
        reply = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        reply = error
    return reply.status, reply.headers.get("content-type", ""), reply.read()


def schema_of(node):
    while "$ref" in node:
        at = document
        for part in node["$ref"].lstrip("#/").split("/"):
            at = at[part]
        node = at
    return node


def check(where, value, schema):
    """Members that are documented, types that fit; not every rule of JSON Schema."""
    schema = schema_of(schema)
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    want = types.get(schema.get("type"))
    if want and (not isinstance(value, want) or (want is int and isinstance(value, bool))):
        problems.append(f"{where}: {value!r:.60} is no {schema['type']}")
    elif "enum" in schema and value not in schema["enum"]:
        problems.append(f"{where}: {value!r} is none of {schema['enum']}")
    elif isinstance(value, dict) and "properties" in schema:
        for name, member in value.items():
            if name in schema["properties"]:
                check(f"{where}.{name}", member, schema["properties"][name])
            elif "additionalProperties" not in schema:
                problems.append(f"{where}.{name}: not documented")
    elif isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value[:5]):
            check(f"{where}[{i}]", item, schema["items"])


VALUES = {"{kind}": "wallets", "{name}": "default", "{id}": "1", "{number}": "1", "{webhook}": "stripe",
          "{container}": "nobody"}
SAFE_BODY = {"post": b"{\"no-such-member\":1}", "put": b"{\"no-such-member\":1}"}
seen = 0
for path, methods in document["paths"].items():
    concrete = path
    for name, value in VALUES.items():
        concrete = concrete.replace(name, value)
    for method, operation in methods.items():
        if method == "parameters" or method == "delete":
            continue
        seen += 1
        if path.endswith("/rotate"):
            continue
        where = f"{method} {path}"
        is_open = operation.get("security") == []
        status, kind, _ = call(method, concrete, bearer=False, body=SAFE_BODY.get(method))
        if (status == 401) == is_open:
            problems.append(f"{where}: {status} without the token")
        status, kind, body = call(method, concrete, body=SAFE_BODY.get(method))
        documented = operation["responses"].get(str(status))
        if documented is None:
            problems.append(f"{where}: {status} is not documented")
            continue
        content = schema_of(documented).get("content", {})
        if kind.split(";")[0] not in content:
            problems.append(f"{where}: {kind} is not documented for {status}")
        elif kind.startswith("application/json"):
            check(where, json.loads(body), content["application/json"]["schema"])
        if method == "get" and "query" not in str(operation.get("parameters", "")) and not is_open:
            status = call("get", concrete + "?no-such-parameter=1")[0]
            if status not in (400, 404):
                problems.append(f"{where}: an unknown query parameter is {status}")
for problem in problems:
    print("not ok openapi " + problem)
if not problems:
    print(f"ok the API document holds ({seen} operations)")
sys.exit(1 if problems else 0)
