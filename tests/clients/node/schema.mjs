// Records answers of our routes and checks them against OpenAI's own schemas (schema/openai.schema.json).
import fs from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";
import { Report, ask, base, ensure, model, version_of, weather_tool } from "./report.mjs";

const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema(JSON.parse(fs.readFileSync(process.env.KAKEYA_SCHEMA, "utf8")), "openai");
const report = new Report("OpenAI's OpenAPI schemas", "ajv " + version_of("ajv"));

// The schema of one event, by its type: errors of a union of 50 say nothing.
function event_schema(type) {
  const defs = ajv.getSchema("openai").schema.$defs;
  const found = defs.ResponseStreamEvent.anyOf.map((item) => item.$ref.split("/").at(-1)).find((item) => defs[item].properties.type.enum?.includes(type));
  ensure(found, "no event type " + type);
  return found;
}

function conforms(value, name) {
  const check = ajv.getSchema("openai#/$defs/" + name);
  ensure(check, "no schema " + name);
  if (check(value)) return;
  const errors = check.errors.slice(0, 4).map((error) => `${error.instancePath || "/"} ${error.message}`);
  throw new Error(`${name}: ${errors.join("; ")} in ${JSON.stringify(value).slice(0, 300)}`);
}

const post = (path, body) => fetch(base + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ model, ...body }) });
const json = async (path, body) => (await post(path, body)).json();
async function events(path, body) {
  const text = await (await post(path, { ...body, stream: true })).text();
  return text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));
}
const chat = { messages: ask, max_tokens: 30, temperature: 0 };
const forced = { ...chat, max_tokens: 120, parallel_tool_calls: false, tools: [weather_tool], tool_choice: "required" };

await report.check("models", async () => {
  const list = await (await fetch(base + "/models")).json();
  conforms(list, "ListModelsResponse");
  conforms(await (await fetch(base + "/models/" + encodeURIComponent(model))).json(), "Model");
});
await report.check("chat", async () => {
  conforms(await json("/chat/completions", chat), "CreateChatCompletionResponse");
  conforms(await json("/chat/completions", { ...chat, logprobs: true, top_logprobs: 2, n: 2 }), "CreateChatCompletionResponse");
  conforms(await json("/chat/completions", forced), "CreateChatCompletionResponse");
});
await report.check("stream", async () => {
  for (const body of [chat, { ...chat, stream_options: { include_usage: true } }, { ...chat, logprobs: true, top_logprobs: 2 }, forced]) {
    for (const chunk of await events("/chat/completions", body)) conforms(chunk, "CreateChatCompletionStreamResponse");
  }
});
await report.check("completions", async () => {
  conforms(await json("/completions", { prompt: "def f():", max_tokens: 8 }), "CreateCompletionResponse");
  conforms(await json("/completions", { prompt: "def f():", max_tokens: 8, logprobs: 2 }), "CreateCompletionResponse");
  for (const chunk of await events("/completions", { prompt: "def f():", max_tokens: 8 })) {
    for (const choice of chunk.choices) choice.finish_reason ??= "stop";  // null until the last one, which the document forgets
    conforms(chunk, "CreateCompletionResponse");
  }
});
await report.check("embeddings", async () => {
  conforms(await json("/embeddings", { input: "apples" }), "CreateEmbeddingResponse");
});
await report.check("errors", async () => {
  for (const body of [{ messages: [] }, { ...chat, temperature: "hot" }, { ...chat, model: "no-such-model" }, { ...chat, messages: [{ role: "user", content: "many words ".repeat(60000) }] }]) {
    const answer = await post("/chat/completions", body);
    ensure(answer.status >= 400 && answer.status < 500, "status " + answer.status);
    conforms(await answer.json(), "ErrorResponse");
  }
  const lost = await fetch(base + "/no/such/route");
  conforms(await lost.json(), "ErrorResponse");
});
const respond = { input: "2 + 2 =", max_output_tokens: 30 };
const flat = { type: "function", ...weather_tool.function, strict: true };
await report.check("responses", async () => {
  conforms(await json("/responses", respond), "Response");
  conforms(await json("/responses", { ...respond, max_output_tokens: 120, parallel_tool_calls: false, tools: [flat], tool_choice: "required" }), "Response");
});
await report.check("responses, streamed", async () => {
  for (const body of [respond, { ...respond, max_output_tokens: 120, parallel_tool_calls: false, tools: [flat], tool_choice: "required" }]) {
    const list = await events("/responses", body);
    ensure(list.length > 4, "events");
    list.forEach((event, i) => { conforms(event, event_schema(event.type)); ensure(event.sequence_number === i, "sequence_number"); });
  }
});
