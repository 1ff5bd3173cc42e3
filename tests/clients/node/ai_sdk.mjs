// Vercel's AI SDK: the network layer of Jan, Atomic Chat and opencode.
import { Report, base, ensure, equal, idle_within, model, version_of } from "./report.mjs";
import { generateText, streamText, generateObject, embedMany, tool } from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenAI } from "@ai-sdk/openai";
import { z } from "zod";

const prompt = "Tom has 3 apples and buys 4 more. How many apples does he have?";
const settings = { prompt, temperature: 0, maxRetries: 0 };
const weather = tool({ description: "The weather", inputSchema: z.object({ city: z.string().max(20), unit: z.enum(["C", "F"]) }) });
// The embedded model would go on calling until its limit.
const single = { openai: { parallelToolCalls: false }, kakeya: { parallel_tool_calls: false } };
const shape = z.object({ answer: z.number().int(), ok: z.boolean() });

async function drive(report, chat) {
  await report.check("chat", async () => {
    const answer = await generateText({ ...settings, model: chat, maxOutputTokens: 40 });
    ensure(answer.text && ["stop", "length"].includes(answer.finishReason), "text, finish " + answer.finishReason);
    equal(answer.usage.totalTokens, answer.usage.inputTokens + answer.usage.outputTokens, "usage");
  });
  await report.check("stream", async () => {
    const result = streamText({ ...settings, model: chat, maxOutputTokens: 40, onError: ({ error }) => { throw error; } });
    let text = "";
    for await (const part of result.textStream) text += part;
    ensure(text && ["stop", "length"].includes(await result.finishReason), "text, finish " + await result.finishReason);
  });
  await report.check("tools", async () => {
    const answer = await generateText({ ...settings, model: chat, maxOutputTokens: 120, tools: { get_weather: weather }, toolChoice: "required", providerOptions: single });
    equal([answer.finishReason, answer.toolCalls[0].toolName], ["tool-calls", "get_weather"], "finish and call");
    ensure(!answer.toolCalls[0].invalid, "call is valid");
  });
  await report.check("tools, streamed", async () => {
    const result = streamText({ ...settings, model: chat, maxOutputTokens: 120, tools: { get_weather: weather }, toolChoice: "required", providerOptions: single, onError: () => {} });
    const calls = await result.toolCalls;
    ensure(calls.length > 0 && !calls[0].invalid, "calls " + JSON.stringify(calls));
  });
  await report.check("structured output", async () => {
    const { object } = await generateObject({ ...settings, model: chat, maxOutputTokens: 120, schema: shape });
    ensure(Number.isInteger(object.answer), JSON.stringify(object));
  });
  await report.check("abort", async () => {
    const abort = new AbortController();
    const result = streamText({ ...settings, model: chat, maxOutputTokens: 900, abortSignal: abort.signal, onError: () => {} });
    for await (const part of result.textStream) if (part) { abort.abort(); break; }
    await idle_within(1000);
  });
}

const compatible = createOpenAICompatible({ name: "kakeya", baseURL: base, apiKey: "x", includeUsage: true, supportsStructuredOutputs: true });
const report = new Report("AI SDK, openai-compatible", `${version_of("ai")} / ${version_of("@ai-sdk/openai-compatible")}`);
await drive(report, compatible(model));
await report.check("embeddings", async () => {
  const { embeddings } = await embedMany({ model: compatible.textEmbeddingModel(model), values: ["apples", "pears"], maxRetries: 0 });
  ensure(embeddings.length === 2 && embeddings[0].length > 8, "vectors");
});
const openai = createOpenAI({ baseURL: base, apiKey: "x" });
await drive(new Report("AI SDK, openai (responses)", `${version_of("ai")} / ${version_of("@ai-sdk/openai")}`), openai(model));
