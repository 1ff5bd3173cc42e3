// Ollama's client for JavaScript: the routes of Local GPT, Smart Connections and Raycast.
import { Report, ask, ensure, equal, idle_within, model, root, version_of, weather_tool } from "./report.mjs";
import { Ollama } from "ollama";

const client = new Ollama({ host: root });
const report = new Report("ollama (JS)", version_of("ollama"));
const chat = (more) => client.chat({ model, messages: ask, options: { temperature: 0, num_predict: 40 }, ...more });

function check_last(part) {
  equal(part.done, true, "done");
  for (const field of ["total_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"]) {
    ensure(Number.isInteger(part[field]) && part[field] > 0, field + " " + part[field]);
  }
  ensure(part.total_duration >= part.eval_duration, "durations");
}

await report.check("models", async () => {
  const { models } = await client.list();
  const [item] = models;
  ensure(item.name && item.size > 0 && item.digest && item.details.family && !Number.isNaN(Date.parse(item.modified_at)), JSON.stringify(item));
  for (const name of [item.name, model, model + ":latest"]) {
    const shown = await client.show({ model: name });
    const architecture = shown.model_info["general.architecture"];
    ensure(shown.capabilities.includes("completion") && shown.model_info[architecture + ".context_length"] > 0, JSON.stringify(shown.model_info));
  }
  ensure(Array.isArray((await client.ps()).models), "ps");
  ensure((await client.version()).version, "version");
});
await report.check("chat", async () => {
  const answer = await chat({});
  ensure(answer.message.role === "assistant" && answer.message.content, "message");
  ensure(["stop", "length"].includes(answer.done_reason), "done_reason " + answer.done_reason);
  check_last(answer);
});
await report.check("stream", async () => {
  let text = "", last, n = 0;
  for await (const part of await chat({ stream: true })) { text += part.message.content; last = part; ++n; }
  check_last(last);
  ensure(n > 1, "lines");
  equal(text, (await chat({})).message.content, "text");
});
await report.check("generate", async () => {
  const answer = await client.generate({ model, prompt: "2 + 2 =", options: { temperature: 0, num_predict: 12 } });
  ensure(typeof answer.response === "string", "response");
  check_last(answer);
  const raw = await client.generate({ model, prompt: "def add(a, b):", raw: true, options: { temperature: 0, num_predict: 12, stop: ["\n\n"] } });
  ensure(typeof raw.response === "string", "raw");
  const loaded = await client.generate({ model, prompt: "" });
  equal(loaded.done, true, "empty prompt only loads");
});
await report.check("structured output", async () => {
  const format = { type: "object", properties: { answer: { type: "integer" } }, required: ["answer"], additionalProperties: false };
  const answer = await chat({ format, options: { temperature: 0, num_predict: 100 } });
  ensure(Number.isInteger(JSON.parse(answer.message.content).answer), answer.message.content);
  const json = await client.generate({ model, prompt: "2 + 2", format: "json", options: { temperature: 0, num_predict: 300 } });
  if (json.done_reason === "stop") JSON.parse(json.response);
});
await report.check("tools", async () => {  // Ollama has no forced choice; the request and the turn back must be taken
  await chat({ tools: [weather_tool] });
  await chat({ tools: [weather_tool], messages: [...ask, { role: "assistant", content: "", tool_calls: [{ function: { name: "get_weather", arguments: { city: "Oslo", unit: "C" } } }] }, { role: "tool", content: "sunny", tool_name: "get_weather" }] });
});
await report.check("reasoning", async () => {
  await chat({ think: false });
  await chat({ think: true });
});
await report.check("embeddings", async () => {
  const { embeddings } = await client.embed({ model, input: ["apples", "pears"] });
  ensure(embeddings.length === 2 && embeddings[0].length > 8, "vectors");
  const { embedding } = await client.embeddings({ model, prompt: "apples" });
  ensure(embedding.length === embeddings[0].length, "old route");
});
await report.check("errors", async () => {
  try { await client.chat({ model: "no-such-model", messages: ask }); } catch (error) {
    equal(error.status_code, 404, "status");
    ensure(/no-such-model/.test(error.message), error.message);
    return;
  }
  throw new Error("nothing was thrown");
});
await report.check("abort", async () => {
  const stream = await chat({ stream: true, options: { num_predict: 900, temperature: 1 } });
  for await (const part of stream) if (part) { stream.abort(); break; }
  await idle_within(1000);
});
