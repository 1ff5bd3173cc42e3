// Requests as programs send them that cannot run here (accounts, other platforms), by raw HTTP.
import net from "node:net";
import { Report, ensure, equal, idle_within, model, root, weather_tool } from "./report.mjs";

const question = "Tom has 3 apples and buys 4 more. How many apples does he have?";

async function post(path, body, headers = {}) {
  const response = await fetch(root + path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
}

function chunks_of(answer) {
  equal(answer.status, 200, "status " + answer.text.slice(0, 200));
  ensure(answer.headers.get("content-type").startsWith("text/event-stream"), "content type");
  const events = answer.text.split("\n\n").filter((event) => event.startsWith("data: "));
  equal(events.at(-1), "data: [DONE]", "last event");
  const chunks = events.slice(0, -1).map((event) => JSON.parse(event.slice(6)));
  for (const chunk of chunks) equal(chunk.object, "chat.completion.chunk", "object");
  equal(chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.finish_reason).length, 1, "finishes");
  for (const { delta } of chunks.flatMap((chunk) => chunk.choices)) {
    ensure([delta.content, delta.tool_calls, delta.reasoning_content].filter(Boolean).length <= 1, "several payloads in one delta");
    for (const call of delta.tool_calls ?? []) ensure(call.function && Number.isInteger(call.index), "tool delta without function or index");
  }
  return chunks;
}

const patch_tool = { type: "custom", name: "ApplyPatch", description: "Edits files", format: { type: "grammar", syntax: "lark", definition: "start: /.+/" } };
const flat_tool = { type: "function", name: "read_file", parameters: { type: "object", properties: { path: { type: "string" } } }, strict: false };

const cursor = new Report("Cursor (stand-in)", "captured shapes");
await cursor.check("Ask body", async () => {
  chunks_of(await post("/v1/chat/completions", { model, stream: true, stream_options: { include_usage: true }, user: "u-1", max_tokens: 30, temperature: 0,
    tools: [weather_tool, patch_tool, flat_tool],
    messages: [{ role: "system", content: "You edit code." }, { role: "user", content: [{ type: "text", text: question }] },
      { role: "assistant", content: [], tool_calls: [{ id: "call_1", type: "function", function: { name: "get_weather", arguments: "{}" } }] },
      { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "sunny" }] }] }));
});
await cursor.check("Agent body", async () => {
  const chunks = chunks_of(await post("/v1/chat/completions", { model, stream: true, max_output_tokens: 30, reasoning: { effort: "medium" }, tools: [flat_tool, patch_tool],
    input: [{ role: "system", content: "You edit code." }, { role: "user", content: [{ type: "input_text", text: question }] },
      { type: "function_call", call_id: "call_1", name: "read_file", arguments: "{\"path\":\"a\"}" }, { type: "function_call_output", call_id: "call_1", output: "text" }] }));
  ensure(chunks.length > 1, "chunks");
});
await cursor.check("forced flat tool", async () => {
  const answer = (await post("/v1/chat/completions", { model, max_tokens: 100, temperature: 0, tools: [{ ...flat_tool, parameters: weather_tool.function.parameters }], tool_choice: "required", parallel_tool_calls: false, messages: [{ role: "user", content: question }] })).json();
  equal([answer.choices[0].finish_reason, answer.choices[0].message.tool_calls[0].function.name], ["tool_calls", "read_file"], "call");
});
await cursor.check("behind a tunnel", async () => {
  const answer = await post("/v1/chat/completions", { model, max_tokens: 4, messages: [{ role: "user", content: "Hi" }] }, { "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", Authorization: "Bearer x" });
  equal(answer.status, 200, "status");
});

const raycast = new Report("Raycast, Ollama host (stand-in)", "captured shapes");
await raycast.check("models", async () => {
  const tags = await (await fetch(root + "/api/tags")).json();
  const item = tags.models[0];
  for (const field of ["name", "model", "modified_at", "size", "digest", "details"]) ensure(field in item, field);
  for (const field of ["format", "family", "families", "parameter_size", "quantization_level"]) ensure(field in item.details, "details." + field);
  const show = (await post("/api/show", { model: item.name })).json();
  for (const field of ["capabilities", "model_info", "details", "template", "parameters", "modelfile"]) ensure(field in show, field);
});
await raycast.check("chat with its tool types", async () => {
  const answer = await post("/api/chat", { model, stream: true, options: { num_predict: 30 }, tools: [{ type: "local_tool", function: { name: "calendar", description: "d", parameters: {} } }, { type: "remote_tool", name: "web_search" }],
    messages: [{ role: "user", content: question }, { role: "assistant", content: "", tool_calls: [{ function: { name: "calendar", arguments: {} } }] }, { role: "tool", content: "nothing" }] });
  equal(answer.status, 200, answer.text.slice(0, 200));
  const lines = answer.text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  equal([lines.at(-1).done, lines.filter((line) => line.done).length], [true, 1], "done");
});
await raycast.check("close in the middle", async () => {
  const abort = new AbortController();
  const response = await fetch(root + "/api/chat", { method: "POST", signal: abort.signal, body: JSON.stringify({ model, messages: [{ role: "user", content: question }], options: { num_predict: 900, temperature: 1 } }), headers: { "Content-Type": "application/json" } });
  await response.body.getReader().read();
  abort.abort();
  await idle_within(1000);
});

const smart = new Report("Smart Connections (stand-in)", "captured shapes");
await smart.check("chat, its reader", async () => {
  const answer = await post("/v1/chat/completions", { model, stream: true, max_tokens: 60, temperature: 0, messages: [{ role: "user", content: [{ type: "text", text: "Repeat: data: x" }] }] }, { Authorization: "Bearer no api key required", Origin: "app://obsidian.md" });
  ensure(answer.headers.get("access-control-allow-origin"), "CORS header");
  // Its parser takes the text after the first "data: " of each event.
  for (const event of answer.text.split("\n\n").filter((event) => event.startsWith("data: "))) equal(event.split("data: ").length, 2, "data: inside an event");
});
await smart.check("embeddings", async () => {
  const answer = (await post("/api/embed", { model, input: Array.from({ length: 30 }, (_, i) => "note " + i) })).json();
  equal(answer.embeddings.length, 30, "vectors");
});

const copilot = new Report("Obsidian Copilot, Text Generator (stand-in)", "captured shapes");
await copilot.check("preflight and headers", async () => {
  const wanted = "authorization, content-type, http-referer, x-title, x-stainless-os, x-stainless-helper-method";
  const answer = await fetch(root + "/v1/chat/completions", { method: "OPTIONS", headers: { Origin: "app://obsidian.md", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted } });
  ensure(answer.status < 300, "status " + answer.status);
  const allowed = answer.headers.get("access-control-allow-headers").toLowerCase();
  for (const name of wanted.split(", ")) ensure(allowed.includes(name), name + " in " + allowed);
  const bad = await post("/v1/chat/completions", { model, messages: "no" }, { Origin: "app://obsidian.md" });
  equal(bad.status, 400, "bad request");
  ensure(bad.headers.get("access-control-allow-origin"), "CORS header on an error");
});
await copilot.check("no Authorization header", async () => {
  chunks_of(await post("/v1/chat/completions", { model, stream: true, max_tokens: 8, messages: [{ role: "user", content: "Hi" }] }));
  const list = await (await fetch(root + "/v1/models")).json();
  equal([list.object, typeof list.data[0].id], ["list", "string"], "list");
});

const probes = new Report("Local GPT probes (stand-in)", "captured shapes");
await probes.check("capability probes", async () => {
  const tool = { type: "function", function: { name: "ping", description: "d", parameters: { type: "object", properties: {} } } };
  const forced = (await post("/v1/chat/completions", { model, max_tokens: 60, messages: [{ role: "user", content: "call" }], tools: [tool], tool_choice: "required" })).json();
  equal([forced.choices[0].message.tool_calls[0].function.name, JSON.parse(forced.choices[0].message.tool_calls[0].function.arguments)], ["ping", {}], "tool without properties");
  const image = await post("/v1/chat/completions", { model, messages: [{ role: "user", content: [{ type: "text", text: "?" }, { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] }] });
  equal(image.status, 400, "image");
});

const atomic = new Report("Jan, Atomic Chat (stand-in)", "captured shapes");
await atomic.check("merged parameters", async () => {
  const answer = await post("/v1/chat/completions", { model, stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content: "Hi" }], temperature: 0.7, top_k: 20, top_p: 0.9, repeat_penalty: 1.1, max_output_tokens: 12, presence_penalty: 0, frequency_penalty: 0, stop_sequences: ["zzz"], chat_template_kwargs: { enable_thinking: false }, max_tokens: 12 },
    { Origin: "tauri://localhost", "x-api-key": "x", Authorization: "Bearer x" });
  const chunks = chunks_of(answer);
  ensure(chunks.some((chunk) => chunk.timings?.predicted_n > 0), "timings");
  ensure(/^[\x00-\x7f]*$/.test(answer.text), "stream is ASCII");
});

const ide = new Report("Continue in an IDE (stand-in)", "captured shapes");
await ide.check("tab completion", async () => {
  const answer = await post("/v1/completions", { model, prompt: "<|fim_prefix|>def f(a):\n<|fim_suffix|>\n<|fim_middle|>", stream: true, max_tokens: 20, temperature: 0.01, stop: ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_sep|>", "\n\n", "/src/", "#- coding: utf-8", "```"] });
  equal(answer.status, 200, "status");
  ensure(answer.text.trimEnd().endsWith("data: [DONE]"), "end");
});
await ide.check("ollama provider", async () => {
  const show = (await post("/api/show", { name: model })).json();
  ensure(typeof show.template === "string", "template");
  const answer = await post("/api/generate", { model, prompt: "def f(a):\n", suffix: "\n", raw: false, keep_alive: 1800, options: { num_ctx: 512, num_predict: 12, stop: ["\n\n"], temperature: 0.01 } });
  ensure(answer.status === 200 || answer.status === 400, "suffix: answered, or refused by name: " + answer.status);
  if (answer.status === 400) ensure(typeof answer.json().error === "string", answer.text);
  const lost = await fetch(root + "/no/such/route");
  equal([lost.status, typeof (await lost.json()).error], [404, "object"], "unknown route");
});

const http = new Report("any HTTP client", "");
await http.check("routes without /v1, double slash, keep-alive", async () => {
  equal((await fetch(root + "/models")).status, 200, "/models");
  equal((await fetch(root + "/v1//models")).status, 200, "double slash");
  equal((await post("/chat/completions", { model, max_tokens: 2, messages: [{ role: "user", content: "Hi" }] })).status, 200, "/chat/completions");
  const health = await (await fetch(root + "/health")).json();
  equal(health.status, "ok", "health");
  const plain = await fetch(root + "/");
  equal([plain.status, /running/i.test(await plain.text())], [200, true], "GET / of an API client");
});
await http.check("bad requests", async () => {
  equal((await post("/v1/chat/completions", "{")).status, 400, "bad JSON");
  equal((await post("/v1/chat/completions", { model, messages: [] })).status, 400, "no messages");
  equal((await post("/v1/chat/completions", { model, messages: [{ role: "user", content: "x" }], top_logprobs: 21, logprobs: true })).status, 400, "top_logprobs 21");
  equal((await fetch(root + "/v1/chat/completions", { method: "GET" })).status, 405, "wrong method");
  equal((await post("/v1/chat/completions", { model, max_tokens: 2, messages: [{ role: "user", content: "x" }], pad: "y".repeat(100000) })).status, 200, "100 kB body, unknown field");
});
await http.check("socket dropped before the answer", async () => {
  const url = new URL(root), body = JSON.stringify({ model, max_tokens: 900, ignore_eos: true, temperature: 1, messages: [{ role: "user", content: "Hi" }] });
  await new Promise((done, fail) => {
    const socket = net.connect(Number(url.port), url.hostname, () => {
      socket.write(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      setTimeout(() => { socket.destroy(); done(); }, 150);
    });
    socket.on("error", fail);
  });
  await idle_within(1000);
});
