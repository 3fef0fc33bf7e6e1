# SPDX-License-Identifier: MIT
"""The Python SDKs of OpenAI and Anthropic, unmodified: what walk.mjs checks of the others, in its words and
with its output ("ok NAME", "not ok NAME: REASON", "# claim")."""
import json
import sys

import anthropic
import openai

GPT, CLAUDE, GEMINI, COMMAND = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4.5", "google/gemini-2.5-flash",
                                "cohere/command-a-03-2025")
STRANGER = "container-somebody-else"
MADE = {"city": "value", "days": 1}  # what the simulator makes of these
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
              "required": ["city", "days"], "additionalProperties": False}


def ask(text):
    return [{"role": "user", "content": text}]


class OpenAI:
    name, own, others, error = "Python openai", GPT, [CLAUDE, GEMINI, COMMAND], openai.APIStatusError
    tools = [{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": PARAMETERS}}]

    def __init__(self, **more):
        self.api = openai.OpenAI(max_retries=0, **more).chat.completions

    def chat(self, model, text, limit=100):
        answer = self.api.create(model=model, messages=ask(text), max_completion_tokens=limit)
        return answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens

    def stream(self, model, text):
        pieces, output = [], None
        for chunk in self.api.create(model=model, messages=ask(text), stream=True, stream_options={"include_usage": True}):
            pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            output = chunk.usage.completion_tokens if chunk.usage else output
        return pieces, output

    def tool(self, model):
        first = self.api.create(model=model, messages=ask("weather?"), tools=self.tools).choices[0].message
        results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in first.tool_calls]
        second = self.api.create(model=model, messages=[*ask("weather?"), first, *results], tools=self.tools)
        return [json.loads(call.function.arguments) for call in first.tool_calls], second.choices[0].message.content

    def object(self, model):
        form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": PARAMETERS}}
        answer = self.api.create(model=model, messages=ask("weather?"), response_format=form)
        return json.loads(answer.choices[0].message.content)

    def embed(self, texts):
        rows = openai.OpenAI(max_retries=0).embeddings.create(model="text-embedding-3-small", input=texts, dimensions=64).data
        return [row.embedding for row in rows]


class Anthropic:
    name, own, others, error = "Python anthropic", CLAUDE, [GPT, GEMINI, COMMAND], anthropic.APIStatusError
    tools = [{"name": "weather", "description": "The weather", "input_schema": PARAMETERS}]
    embed = None

    def __init__(self, **more):
        self.api = anthropic.Anthropic(max_retries=0, **more).messages

    def chat(self, model, text, limit=100):  # streamed when it may be long, as the client wants it
        if limit > 100:
            with self.api.stream(model=model, messages=ask(text), max_tokens=limit) as stream:
                answer = stream.get_final_message()
        else:
            answer = self.api.create(model=model, messages=ask(text), max_tokens=limit)
        return answer.content[0].text, answer.usage.input_tokens, answer.usage.output_tokens

    def stream(self, model, text):
        with self.api.stream(model=model, messages=ask(text), max_tokens=100) as stream:
            return list(stream.text_stream), stream.get_final_message().usage.output_tokens

    def tool(self, model):
        more = {"model": model, "max_tokens": 100, "tools": self.tools}
        first = self.api.create(messages=ask("weather?"), **more)
        calls = [block for block in first.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls]
        second = self.api.create(messages=[*ask("weather?"), {"role": "assistant", "content": first.content},
                                           {"role": "user", "content": results}], **more)
        return [call.input for call in calls], second.content[0].text

    def object(self, model):
        answer = self.api.create(model=model, max_tokens=100, messages=ask("weather?"),
                                 extra_body={"output_config": {"format": {"type": "json_schema", "schema": PARAMETERS}}})
        return json.loads(answer.content[0].text)


def check_chat(client, model):
    assert len(client.chat(model, "hi [[sim: words=7]]")[0].split()) == 7


def check_streams(client, model):
    pieces, _ = client.stream(model, "hi [[sim: words=40]]")
    assert len(pieces) > 20 and len("".join(pieces).split()) == 40, pieces


def check_tools(client, model):
    seen, text = client.tool(model)
    assert seen == [MADE] and text.split(), (seen, text)


def check_object(client, model):
    assert client.object(model) == MADE


def check_usage(client, model):
    _, tokens_in, tokens_out = client.chat(model, "hi [[sim: words=7]]")
    assert tokens_out == 7 and 0 < tokens_in < 20, (tokens_in, tokens_out)
    assert client.stream(model, "hi [[sim: words=40]]")[1] == 40


def check_errors(client, model):
    stranger = type(client)(api_key=STRANGER)
    for status, call in [(401, lambda: stranger.chat(model, "hi")), (402, lambda: client.chat(model, "hi", 99999999)),
                         (404, lambda: client.chat("gpt-4o-mimi", "hi")),
                         (429, lambda: client.chat(model, "hi [[sim: status=429]]"))]:
        try:
            call()
        except client.error as error:
            assert error.status_code == status, error
        else:
            raise AssertionError(f"{status}: nothing was raised")


def check_embeddings(client, _):
    vectors = client.embed(["anchor", "berth", "anchor"])
    assert [len(vector) for vector in vectors] == [64] * 3 and vectors[0] == vectors[2] != vectors[1]


def main():
    claims = {}

    def check(client, model, label, claim, body):
        try:
            body(client, model)
            print(f"ok sdk: {label}")
        except Exception as error:  # whatever the client throws is the finding
            claims[(client.name, claim)] = "no"
            print(f"not ok sdk: {label}: {type(error).__name__} {' '.join(str(error).split())[:400]}")
        claims.setdefault((client.name, claim), "yes")

    for client in OpenAI(), Anthropic():
        for name, body in [("chat", check_chat), ("streams", check_streams), ("tools", check_tools),
                           ("structured output", check_object)]:
            check(client, client.own, f"{client.name}: {name}", name, body)
            for model in client.others:
                check(client, model, f"{client.name} before {model}: {name}", "other vendors", body)
        check(client, client.own, f"{client.name}: usage", "usage", check_usage)
        check(client, client.own, f"{client.name}: errors have its own types", "errors", check_errors)
        if client.embed:
            check(client, client.own, f"{client.name}: embeddings", "embeddings", check_embeddings)
    for (client, claim), holds in claims.items():
        print(f"# claim\t{client}\t{claim}\t{holds}")
    sys.exit("no" in claims.values())


main()
