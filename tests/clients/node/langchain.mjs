// LangChain for JavaScript: the network layer of Obsidian Copilot and Text Generator.
import { Report, base, ensure, equal, model, root, version_of } from "./report.mjs";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { ChatOllama, OllamaEmbeddings } from "@langchain/ollama";
import { tool } from "@langchain/core/tools";
import { z } from "zod";

const options = { model, apiKey: "sk-local", maxRetries: 0, temperature: 0, configuration: { baseURL: base } };
const make = (more) => new ChatOpenAI({ ...options, maxTokens: 60, ...more });
const question = "Tom has 3 apples and buys 4 more. How many apples does he have?";
const weather = tool(() => "sunny", { name: "get_weather", description: "The weather", schema: z.object({ city: z.string().max(20), unit: z.enum(["C", "F"]) }) });
const shape = z.object({ answer: z.number().int(), ok: z.boolean() });
const openai = new Report("LangChain JS, ChatOpenAI", version_of("@langchain/openai"));

await openai.check("chat", async () => {
  const answer = await make().invoke(question);
  ensure(typeof answer.content === "string" && answer.content, "content");
  equal(answer.usage_metadata.total_tokens, answer.usage_metadata.input_tokens + answer.usage_metadata.output_tokens, "usage");
  const native = await make({ maxTokens: undefined, modelKwargs: { chat_template_kwargs: { enable_thinking: false }, top_k: 5, max_completion_tokens: 8 } }).invoke(question);
  ensure(native.usage_metadata.output_tokens <= 8, "max_completion_tokens");
});
await openai.check("stream", async () => {
  let text = "", usage;
  for await (const chunk of await make().stream(question)) { text += chunk.content; usage = chunk.usage_metadata ?? usage; }
  ensure(text && usage?.total_tokens > 0, "text and usage");
});
await openai.check("tools", async () => {
  const answer = await make({ maxTokens: 120 }).bindTools([weather], { tool_choice: "any", parallel_tool_calls: false }).invoke(question);
  equal(answer.tool_calls.map((call) => call.name).slice(0, 1), ["get_weather"], "calls");
  ensure(["C", "F"].includes(answer.tool_calls[0].args.unit), "arguments");
  equal(answer.invalid_tool_calls?.length ?? 0, 0, "invalid calls");
});
await openai.check("tools, streamed", async () => {
  let whole;
  for await (const chunk of await make({ maxTokens: 120 }).bindTools([weather], { tool_choice: "any", parallel_tool_calls: false }).stream(question)) whole = whole ? whole.concat(chunk) : chunk;
  equal(whole.tool_calls[0].name, "get_weather", "name");
});
for (const method of ["jsonSchema", "functionCalling"]) {
  await openai.check("structured output, " + method, async () => {
    const value = await make({ maxTokens: 120 }).withStructuredOutput(shape, { method, name: "result" }).invoke(question);
    ensure(Number.isInteger(value.answer) && typeof value.ok === "boolean", JSON.stringify(value));
  });
}
await openai.check("embeddings", async () => {
  const embed = new OpenAIEmbeddings({ model, apiKey: "x", maxRetries: 0, configuration: { baseURL: base } });
  const [a, b] = await embed.embedDocuments(["apples", "pears"]);
  ensure(a.length > 8 && a.length === b.length && a.some((x) => x !== 0), "vectors");
});
await openai.check("responses", async () => {
  const answer = await make({ useResponsesApi: true }).invoke(question);
  ensure(answer.text, "text");
  let text = "";
  for await (const chunk of await make({ useResponsesApi: true }).stream(question)) text += chunk.text;
  ensure(text, "streamed text");
});

const ollama = new Report("LangChain JS, ChatOllama", version_of("@langchain/ollama"));
const local = (more) => new ChatOllama({ model, baseUrl: root, temperature: 0, numPredict: 60, maxRetries: 0, ...more });
await ollama.check("chat", async () => {
  const answer = await local().invoke(question);
  ensure(answer.content && answer.usage_metadata.total_tokens > 0, "content and usage");
});
await ollama.check("stream", async () => {
  let n = 0, text = "";
  for await (const chunk of await local().stream(question)) { ++n; text += chunk.content; }
  ensure(n > 1 && text, "chunks");
});
await ollama.check("structured output", async () => {
  const value = await local({ numPredict: 120 }).withStructuredOutput(shape, { method: "jsonSchema" }).invoke(question);
  ensure(Number.isInteger(value.answer), JSON.stringify(value));
});
await ollama.check("tools", async () => {  // no way to force one there: only that the request is taken
  ensure((await local().bindTools([weather]).invoke(question)) !== null, "answer");
});
await ollama.check("embeddings", async () => {
  const [vector] = await new OllamaEmbeddings({ model, baseUrl: root, maxRetries: 0 }).embedDocuments(["apples"]);
  ensure(vector.length > 8, "vector");
});
