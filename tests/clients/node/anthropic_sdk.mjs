// Anthropic's library for Node, unchanged.
import { Report, ensure, equal, idle_within, model, root, version_of } from "./report.mjs";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: root, apiKey: "sk-local", maxRetries: 0 });
const report = new Report("@anthropic-ai/sdk", version_of("@anthropic-ai/sdk"));
const body = (more) => ({ model, max_tokens: 40, temperature: 0, system: "Be brief.", messages: [{ role: "user", content: "Tom has 3 apples and buys 4 more. How many apples does he have?" }], ...more });
const tools = [{ name: "get_weather", description: "The weather", input_schema: { type: "object", properties: { city: { type: "string", maxLength: 20 }, unit: { enum: ["C", "F"] } }, required: ["city", "unit"], additionalProperties: false } }];

await report.check("chat", async () => {
  const answer = await client.messages.create(body({}));
  equal([answer.type, answer.role, answer.content[0].type], ["message", "assistant", "text"], "shape");
  ensure(["end_turn", "max_tokens"].includes(answer.stop_reason), "stop_reason " + answer.stop_reason);
  ensure(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0, "usage");
  const parts = await client.messages.create(body({ system: [{ type: "text", text: "Be brief." }], messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }], stop_sequences: ["."] }));
  ensure(parts.stop_reason, "parts");
  const { input_tokens } = await client.messages.countTokens(body({ max_tokens: undefined, temperature: undefined }));
  equal(input_tokens, answer.usage.input_tokens + answer.usage.cache_read_input_tokens, "count_tokens");
});
await report.check("stream", async () => {
  const stream = client.messages.stream(body({}));
  const kinds = [];
  for await (const event of stream) kinds.push(event.type);
  const final = await stream.finalMessage();
  equal([kinds[0], kinds[1], ...kinds.slice(-3)], ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"], "events");
  equal(final.content[0].text, (await client.messages.create(body({}))).content[0].text, "text");
});
await report.check("tools", async () => {
  const request = body({ tools, tool_choice: { type: "any", disable_parallel_tool_use: true }, max_tokens: 120 });
  const answer = await client.messages.create(request);
  equal(answer.stop_reason, "tool_use", "stop_reason");
  const use = answer.content.find((part) => part.type === "tool_use");
  ensure(["C", "F"].includes(use.input.unit), JSON.stringify(use));
  const streamed = await client.messages.stream(request).finalMessage();
  equal(streamed.content.find((part) => part.type === "tool_use").input, use.input, "streamed input");
  await client.messages.create(body({ tools, messages: [...request.messages, { role: "assistant", content: answer.content }, { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "sunny" }] }] }));
});
await report.check("errors", async () => {
  const thrown = async (more) => { try { await client.messages.create(body(more)); } catch (error) { return error; } throw new Error("nothing was thrown"); };
  const missing = await thrown({ model: "no-such-model" });
  equal([missing.status, missing.error?.error?.type], [404, "not_found_error"], "unknown model");
  const bad = await thrown({ max_tokens: -1 });
  equal([bad.status, bad.error?.error?.type], [400, "invalid_request_error"], "bad field");
});
await report.check("abort", async () => {
  const stream = client.messages.stream(body({ max_tokens: 900, temperature: 1 }));
  for await (const event of stream) if (event.type === "content_block_delta") { stream.abort(); break; }
  await idle_within(1000);
});
