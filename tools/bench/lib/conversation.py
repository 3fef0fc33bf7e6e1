# SPDX-License-Identifier: MIT
"""One conversation of some 4 KB with tools, as a caller of each dialect would send it, and how the
text of an answer is read."""
import json

TOOLS = [
    ("read_file", "Read a file of the working copy. Returns its text with line numbers.",
     {"path": "Path below the working copy.", "from_line": "First line, counted from 1.", "to_line": "Last line."}),
    ("edit_file", "Replace a passage of a file. The old text has to occur exactly once.",
     {"path": "Path below the working copy.", "old": "The passage as it is.", "new": "What it becomes."}),
    ("run_tests", "Build and run the tests of one folder. Returns what they print, the failures first.",
     {"folder": "The folder.", "filter": "Only tests whose name contains this."}),
]
SYSTEM = ("You are a coding agent in a repository of C. Read before you edit, change as little as possible, and run "
          "the tests of the folder after each change. Keep the style of the file: tabs of four, no new dependency, "
          "every error is returned and none is printed. When a test fails twice for the same reason, stop and say what "
          "you know. Answer in a few sentences; code goes into the file, not into the answer.")
SOURCE = ("  41  size_t\n  42  ring_take(struct ring *ring, char *out, size_t room)\n  43  {\n  44      size_t count = "
          "ring->fill < room ? ring->fill : room;\n  45      size_t first = ring->size - ring->head;\n  46      if (first "
          "> count)\n  47          first = count;\n  48      memcpy(out, ring->bytes + ring->head, first);\n  49      "
          "memcpy(out + first, ring->bytes, count - first);\n  50      ring->head = (ring->head + count) % ring->size;"
          "\n  51      ring->fill -= count + 1;\n  52      return count;\n  53  }\n")
FAILED = ("[ RUN      ] test_wraps\nring_test.c:77: \"a\\tb\\n\" != \"a\\tb\"\n[  FAILED  ] test_wraps\n[ RUN      ] "
          "test_empty\n0x1 != 0\nring_test.c:31: error: Failure!\n[  FAILED  ] test_empty\n2 of 9 tests failed, "
          "seed 20931. The caller read “ring->fill” after taking everything: 18446744073709551615.\n")
PASSED = "[ RUN      ] test_wraps\n[       OK ] test_wraps\n[ RUN      ] test_empty\n[       OK ] test_empty\n9 tests passed.\n"
LAST = ("Good. Now say in a few sentences what was wrong with it, why only an empty ring showed it, and whether "
        "ring_put has the same mistake. Do not edit anything else.")
# ("user" | "assistant", text), or ("call", what is said before it, tool, arguments, result)
TURNS = [
    ("user", "The tests of lib/ring fail since this morning. Find out why, and mend it."),
    ("call", "I run them first.", 2, {"folder": "lib/ring"}, FAILED),
    ("call", "The number of bytes runs below zero, so the place is where it is taken from.", 0,
     {"path": "lib/ring/ring.c", "from_line": "41", "to_line": "53"}, SOURCE),
    ("call", "Line 51 takes one byte too many.", 1, {"path": "lib/ring/ring.c", "old": "    ring->fill -= count + 1;\n",
                                                    "new": "    ring->fill -= count;\n"}, "ok: 1 passage replaced"),
    ("call", "", 2, {"folder": "lib/ring"}, PASSED),
    ("assistant", "All nine tests of lib/ring pass again: ring_take counted one byte more than it took."),
]


def schema(tool):
    name, _, properties = TOOLS[tool]
    return {"type": "object", "properties": {each: {"type": "string", "description": text}
                                             for each, text in properties.items()},
            "required": list(properties)[:1] if name != "edit_file" else list(properties)}


def turns(say, call, last):
    """Every turn through say(role, text) or call(id, text, tool, arguments, result): lists of messages."""
    messages = []
    for index, (kind, *rest) in enumerate([*TURNS, ("user", last)]):
        messages += call(f"call_{index}9b4e", *rest) if kind == "call" else say(kind, *rest)
    return messages


def named(tool):
    return TOOLS[tool][0]


# ---- how callers say it --------------------------------------------------------------------------------

def plain(role, text):
    return [{"role": role, "content": text}]


def functions():
    return [{"type": "function", "function": {"name": named(i), "description": TOOLS[i][1], "parameters": schema(i)}}
            for i in range(len(TOOLS))]


def openai(model, last, stream):
    def call(ident, text, tool, arguments, result):
        return [{"role": "assistant", "content": text or None, "tool_calls": [
            {"id": ident, "type": "function", "function": {"name": named(tool), "arguments": json.dumps(arguments)}}]},
            {"role": "tool", "tool_call_id": ident, "content": result}]
    body = {"model": model, "messages": plain("system", SYSTEM) + turns(plain, call, last), "tools": functions(),
            "tool_choice": "auto", "temperature": 0.2, "max_tokens": 512}
    return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body


def responses(model, last, stream):
    def call(ident, text, tool, arguments, result):
        return [*([{"type": "message", "role": "assistant", "content": text}] if text else []),
                {"type": "function_call", "call_id": ident, "name": named(tool), "arguments": json.dumps(arguments)},
                {"type": "function_call_output", "call_id": ident, "output": result}]

    def say(role, text):
        return [{"type": "message", "role": role, "content": text}]
    return {"model": model, "instructions": SYSTEM, "input": turns(say, call, last), "store": False, "stream": stream,
            "tools": [{"type": "function", "strict": False, **each["function"]} for each in functions()],
            "temperature": 0.2, "max_output_tokens": 512}


def anthropic(model, last, stream):
    def call(ident, text, tool, arguments, result):
        said = [{"type": "text", "text": text}] if text else []
        return [{"role": "assistant", "content": [*said, {"type": "tool_use", "id": ident, "name": named(tool),
                                                          "input": arguments}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": ident, "content": result}]}]
    return {"model": model, "max_tokens": 512, "temperature": 0.2, "system": SYSTEM, "stream": stream,
            "tools": [{"name": named(i), "description": TOOLS[i][1], "input_schema": schema(i)}
                      for i in range(len(TOOLS))],
            "messages": turns(plain, call, last)}


def gemini(_model, last, _stream):
    def say(role, text):
        return [{"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}]

    def call(_ident, text, tool, arguments, result):
        said = [{"text": text}] if text else []
        return [{"role": "model", "parts": [*said, {"functionCall": {"name": named(tool), "args": arguments}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": named(tool), "response": {"output": result}}}]}]
    return {"systemInstruction": {"parts": [{"text": SYSTEM}]}, "contents": turns(say, call, last),
            "tools": [{"functionDeclarations": [each["function"] for each in functions()]}],
            "generationConfig": {"temperature": 0.2, "maxOutputTokens": 512}}


def ollama(model, last, stream):
    def call(_ident, text, tool, arguments, result):
        return [{"role": "assistant", "content": text, "tool_calls": [{"function": {"name": named(tool),
                                                                                    "arguments": arguments}}]},
                {"role": "tool", "tool_name": named(tool), "content": result}]
    return {"model": model, "messages": plain("system", SYSTEM) + turns(plain, call, last), "tools": functions(),
            "stream": stream, "options": {"temperature": 0.2, "num_predict": 512}}


def cohere(model, last, stream):
    def call(ident, text, tool, arguments, result):
        said = {"tool_plan": text} if text else {}
        return [{"role": "assistant", **said, "tool_calls": [
            {"id": ident, "type": "function", "function": {"name": named(tool), "arguments": json.dumps(arguments)}}]},
            {"role": "tool", "tool_call_id": ident, "content": result}]
    return {"model": model, "messages": plain("system", SYSTEM) + turns(plain, call, last), "tools": functions(),
            "stream": stream, "temperature": 0.2, "max_tokens": 512}


# ---- what they read ------------------------------------------------------------------------------------

def events(answer):
    """Objects of an event stream, or of lines of JSON."""
    lines = [line.removeprefix("data:").strip() for line in answer.decode().splitlines()
             if line.startswith(("data:", "{"))]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def joined(answer, piece):
    return "".join(piece(event) or "" for event in events(answer))


def first_text(blocks):
    return "".join(block.get("text", "") for block in blocks)


def gemini_text(answer):
    return "".join(first_text(each["content"].get("parts", [])) for each in answer.get("candidates", [])
                   if "content" in each)


class Caller:
    """path, streamed path; body(model, last, stream); whole(object) and piece(event) -> text; what a whole
    answer has to contain (`used`), and a stream near its end (`ended`)."""

    def __init__(self, path, body, whole, piece, used, ended, stream_path=None):
        self.paths = (path, stream_path or path)
        self.body = body
        self.whole = whole
        self.piece = piece
        self.marks = (used, ended)

    def text(self, answer, stream):
        return joined(answer, self.piece) if stream else self.whole(json.loads(answer))

    def request(self, model, last, stream):
        """-> (path, body)"""
        body = json.dumps(self.body(model, last, stream), separators=(",", ":"), ensure_ascii=False)
        return self.paths[stream].replace("{model}", model), body.encode()


CALLERS = {
    "openai": Caller("/v1/chat/completions", openai, lambda a: a["choices"][0]["message"]["content"],
                     lambda e: e["choices"][0]["delta"].get("content") if e["choices"] else "",
                     '"usage"', "data: [DONE]"),
    "anthropic": Caller("/v1/messages", anthropic, lambda a: first_text(a["content"]),
                        lambda e: e["delta"]["text"] if e["type"] == "content_block_delta" else "",
                        '"usage"', "message_stop"),
    "openai-responses": Caller("/v1/responses", responses,
                               lambda a: "".join(first_text(item["content"]) for item in a["output"]),
                               lambda e: e["delta"] if e["type"] == "response.output_text.delta" else "",
                               '"usage"', "response.completed"),
    "gemini": Caller("/v1beta/models/{model}:generateContent", gemini, gemini_text, gemini_text,
                     '"usageMetadata"', '"finishReason"',
                     "/v1beta/models/{model}:streamGenerateContent?alt=sse"),
    "ollama-native": Caller("/api/chat", ollama, lambda a: a["message"]["content"],
                            lambda e: e["message"]["content"], '"eval_count"', '"done_reason"'),
    "cohere-v2": Caller("/v2/chat", cohere, lambda a: first_text(a["message"]["content"]),
                        lambda e: e["delta"]["message"]["content"]["text"] if e["type"] == "content-delta" else "",
                        '"usage"', "message-end"),
}
