// SPDX-License-Identifier: MIT
// How a caller of each dialect asks, and what of an answer it takes for text, for tool arguments and for a clean
// end. A new dialect is a row.
const functions = (tool) => [{ type: "function", function: { name: tool.name, parameters: tool.schema } }];
const user = (text) => [{ role: "user", content: text }];
const blocks = (list, pick) => (list ?? []).map(pick).join("");
const plain = (block) => block.text ?? "";

// body(model, text, stream, tool)   whole(object) and piece(event) -> text   end: the last bytes of a stream
export const callers = {
  chat: {
    path: () => "/v1/chat/completions", end: /data: \[DONE\]\n\n$/,
    body: (model, text, stream, tool) => ({ model, stream, max_tokens: 400, messages: user(text), ...(tool && { tools: functions(tool) }) }),
    whole: (a) => a.choices[0].message.content ?? "", piece: (e) => e.choices?.[0]?.delta?.content ?? "",
  },
  messages: {
    path: () => "/v1/messages", end: /event: message_stop\ndata: .*\n\n$/,
    body: (model, text, stream, tool) => ({ model, stream, max_tokens: 400, messages: user(text),
      ...(tool && { tools: [{ name: tool.name, input_schema: tool.schema }] }) }),
    whole: (a) => blocks(a.content, plain), piece: (e) => (e.type === "content_block_delta" && e.delta.text) || "",
  },
  gemini: {
    path: (model, stream) => `/v1beta/models/${encodeURIComponent(model)}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    end: /"finishReason":"\w+".*\s+$/,
    body: (_, text, __, tool) => ({ contents: [{ role: "user", parts: [{ text }] }], generationConfig: { maxOutputTokens: 400 },
      ...(tool && { tools: [{ functionDeclarations: [{ name: tool.name, parameters: tool.schema }] }] }) }),
    whole: (a) => blocks(a.candidates?.[0]?.content?.parts, plain), piece: (e) => blocks(e.candidates?.[0]?.content?.parts, plain),
  },
  responses: {
    path: () => "/v1/responses", end: /"type":"response.(completed|incomplete)".*\n\n$/,
    body: (model, text, stream, tool) => ({ model, stream, store: false, max_output_tokens: 400, input: user(text),
      ...(tool && { tools: [{ type: "function", name: tool.name, strict: false, parameters: tool.schema }] }) }),
    whole: (a) => blocks(a.output, (item) => blocks(item.content, plain)),
    piece: (e) => (e.type === "response.output_text.delta" && e.delta) || "",
  },
  ollama: {
    path: () => "/api/chat", end: /"done":true.*\n$/,
    body: (model, text, stream, tool) => ({ model, stream, messages: user(text), options: { num_predict: 400 }, ...(tool && { tools: functions(tool) }) }),
    whole: (a) => a.message.content, piece: (e) => e.message?.content ?? "",
  },
  cohere: {
    path: () => "/v2/chat", end: /"type":"message-end".*\n\n(data: \[DONE\]\n\n)?$/,
    body: (model, text, stream, tool) => ({ model, stream, max_tokens: 400, messages: user(text), ...(tool && { tools: functions(tool) }) }),
    whole: (a) => blocks(a.message.content, plain), piece: (e) => (e.type === "content-delta" && e.delta.message.content.text) || "",
  },
};

// text_of CALLER BODY STREAM -> text, or an error of a form that no client could read
export function text_of(caller, body, stream) {
  if (!stream) return callers[caller].whole(JSON.parse(body));
  return body.split("\n").filter((line) => /^(data: )?\{/.test(line))
    .map((line) => callers[caller].piece(JSON.parse(line.replace(/^data: /, "")))).join("");
}
