// OpenAI's library for Node, unchanged. OPENAI_PACKAGE names the installed copy (openai7, openai6, openai).
import { Report, ask, base, check_usage, check_weather, ensure, equal, idle_within, model, version_of, weather_tool } from "./report.mjs";
import { z } from "zod";

const name = process.env.OPENAI_PACKAGE ?? "openai";
const { default: OpenAI, BadRequestError, NotFoundError, APIUserAbortError } = await import(name);
const { zodResponseFormat } = await import(name + "/helpers/zod");
const client = new OpenAI({ baseURL: base, apiKey: "sk-local", maxRetries: 0 });
const version = version_of(name);
const report = new Report("openai (Node) " + version.split(".")[0], version);
const chat = (more) => client.chat.completions.create({ model, messages: ask, max_tokens: 40, temperature: 0, ...more });

await report.check("models", async () => {
  const list = await client.models.list();
  ensure(list.data.some((item) => item.id === model && item.object === "model"), "the model is not in the list");
  equal((await client.models.retrieve(model)).id, model, "retrieve");
  try { await client.models.retrieve("no-such/model:x"); } catch (error) {
    ensure(error instanceof NotFoundError, "class " + error.constructor.name);
    return;
  }
  throw new Error("an unknown model was found");
});

await report.check("chat", async () => {
  const answer = await chat({});
  equal(answer.object, "chat.completion", "object");
  const [choice] = answer.choices;
  equal(choice.message.role, "assistant", "role");
  ensure(typeof choice.message.content === "string" && choice.message.content.length, "content");
  ensure(["stop", "length"].includes(choice.finish_reason), "finish " + choice.finish_reason);
  check_usage(answer.usage);
  const one = await chat({ max_tokens: 1 });
  equal([one.choices[0].finish_reason, one.usage.completion_tokens], ["length", 1], "max_tokens 1");
});

await report.check("stream", async () => {
  const whole = await chat({});
  let text = "", finish = [], ids = new Set(), usage = 0, roles = 0, first = true;
  for await (const chunk of await chat({ stream: true, stream_options: { include_usage: true } })) {
    ids.add(chunk.id + chunk.created + chunk.model);
    if (chunk.usage && !chunk.choices.length) { check_usage(chunk.usage); ++usage; }
    for (const choice of chunk.choices) {
      ensure(!usage, "a choice after the usage chunk");
      if (first) equal(choice.delta.role, "assistant", "role of the first chunk");
      first = false;
      roles += choice.delta.role ? 1 : 0;
      text += choice.delta.content ?? "";
      if (choice.finish_reason) finish.push(choice.finish_reason);
    }
  }
  equal([ids.size, finish.length, usage, roles], [1, 1, 1, 1], "ids, finishes, usage chunks, roles");
  equal(text, whole.choices[0].message.content, "streamed text");
  for await (const chunk of await chat({ stream: true })) ensure(!chunk.usage && chunk.choices.length, "usage that was not asked for");
});

await report.check("stream helper", async () => {
  const runner = client.chat.completions.stream({ model, messages: ask, max_tokens: 20, temperature: 0 });
  const final = await runner.finalChatCompletion();
  ensure(final.choices[0].message.content.length, "content");
});

await report.check("structured output", async () => {
  const shape = z.object({ answer: z.number().int(), ok: z.boolean() });
  const body = { model, messages: ask, max_tokens: 100, temperature: 0, response_format: zodResponseFormat(shape, "result") };
  const answer = await client.chat.completions.parse(body);
  const parsed = answer.choices[0].message.parsed;
  ensure(Number.isInteger(parsed.answer) && typeof parsed.ok === "boolean", JSON.stringify(parsed));
  const streamed = await client.chat.completions.stream(body).finalChatCompletion();
  equal(streamed.choices[0].message.parsed, parsed, "streamed");
  const object = await chat({ max_tokens: 300, response_format: { type: "json_object" } });
  if (object.choices[0].finish_reason === "stop") ensure(typeof JSON.parse(object.choices[0].message.content) === "object", "json_object");
});

await report.check("tools", async () => {
  const one = { tool_choice: "required", parallel_tool_calls: false, max_tokens: 120 };
  const forced = await chat({ tools: [weather_tool], ...one });
  equal(forced.choices[0].finish_reason, "tool_calls", "finish");
  const [call] = forced.choices[0].message.tool_calls;
  equal([call.type, call.function.name], ["function", "get_weather"], "call");
  ensure(call.id, "id");
  check_weather(call.function.arguments);
  const named = await chat({ tools: [weather_tool, { type: "function", function: { name: "other", parameters: {} } }], tool_choice: { type: "function", function: { name: "get_weather" } }, parallel_tool_calls: false, max_tokens: 120 });
  equal(named.choices[0].message.tool_calls[0].function.name, "get_weather", "named tool");
  const back = await chat({ tools: [weather_tool], messages: [...ask, forced.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }] });
  ensure(back.choices[0].finish_reason, "answer after a tool result");
});

await report.check("tools, streamed", async () => {
  let text = "", name = "", id = "", finish = "";
  for await (const chunk of await chat({ tools: [weather_tool], tool_choice: "required", parallel_tool_calls: false, max_tokens: 120, stream: true })) {
    const choice = chunk.choices[0];
    for (const call of choice?.delta.tool_calls ?? []) {
      if (call.id) { equal([call.index, call.type, id], [0, "function", ""], "first delta of the call"); id = call.id; }
      name += call.function?.name ?? "";
      text += call.function?.arguments ?? "";
      ensure(!choice.delta.content, "content beside a call");
    }
    finish = choice?.finish_reason ?? finish;
  }
  equal([name, finish], ["get_weather", "tool_calls"], "name and finish");
  check_weather(text);
});

await report.check("runTools", async () => {
  let called = 0;
  const tool = { ...weather_tool, function: { ...weather_tool.function, parse: JSON.parse, function: () => { ++called; return "sunny"; } } };
  // A forced choice runs the tool once and ends; "auto" would need a model that calls tools by itself.
  const runner = client.chat.completions.runTools({ model, messages: ask, max_tokens: 120, temperature: 0, parallel_tool_calls: false, tools: [tool], tool_choice: { type: "function", function: { name: "get_weather" } } });
  await runner.done();
  equal(called, 1, "times that the tool ran");
});

await report.check("sampling fields", async () => {
  const body = { temperature: 0.9, top_p: 0.9, seed: 7, presence_penalty: 0.5, frequency_penalty: 0.5, logit_bias: {}, max_tokens: 12, n: 2 };
  const [a, b] = [await chat(body), await chat(body)];
  equal(a.choices.length, 2, "n");
  equal(a.choices.map((c) => c.message.content), b.choices.map((c) => c.message.content), "same seed");
  const stopped = await chat({ stop: ["\n", ".", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8"] });
  ensure(!/[\n.]/.test(stopped.choices[0].message.content), "stop strings: " + stopped.choices[0].message.content);
  const nulls = await chat({ temperature: null, top_p: null, stop: null, tools: null, tool_choice: null, response_format: null, seed: null, n: null, logprobs: null });
  ensure(nulls.choices.length === 1, "null fields");
});

await report.check("logprobs", async () => {
  const answer = await chat({ logprobs: true, top_logprobs: 3, max_tokens: 8 });
  const list = answer.choices[0].logprobs.content;
  equal(list.map((item) => item.token).join(""), answer.choices[0].message.content, "tokens joined");
  ensure(list.every((item) => item.logprob <= 0 && item.top_logprobs.length === 3), "values");
});

await report.check("completions", async () => {
  const answer = await client.completions.create({ model, prompt: "def add(a, b):", max_tokens: 16, temperature: 0 });
  equal(answer.object, "text_completion", "object");
  let text = "", finish = 0;
  for await (const chunk of await client.completions.create({ model, prompt: "def add(a, b):", max_tokens: 16, temperature: 0, stream: true })) {
    text += chunk.choices[0]?.text ?? "";
    finish += chunk.choices[0]?.finish_reason ? 1 : 0;
  }
  equal([text, finish], [answer.choices[0].text, 1], "streamed");
  const many = await client.completions.create({ model, prompt: ["one", "two"], max_tokens: 4 });
  equal(many.choices.map((c) => c.index), [0, 1], "two prompts");
});

await report.check("embeddings", async () => {
  const coded = await client.embeddings.create({ model, input: ["apples", "pears"] });
  const plain = await client.embeddings.create({ model, input: ["apples", "pears"], encoding_format: "float" });
  equal(plain.data.map((d) => d.index), [0, 1], "order");
  ensure(plain.data[0].embedding.length > 8 && plain.data[0].embedding.some((x) => x !== 0), "values");
  equal(coded.data[0].embedding.map((x) => x.toFixed(4)), plain.data[0].embedding.map((x) => x.toFixed(4)), "base64 and float");
});

await report.check("responses", async () => {
  const answer = await client.responses.create({ model, input: "2 + 2 =", max_output_tokens: 16 });
  equal(answer.object, "response", "object");
  ensure(typeof answer.output_text === "string", "output_text");
  const kinds = [];
  for await (const event of await client.responses.create({ model, input: "2 + 2 =", max_output_tokens: 16, stream: true })) kinds.push(event.type);
  equal([kinds[0], ["response.completed", "response.incomplete"].includes(kinds.at(-1))], ["response.created", true], "events");
});

await report.check("errors", async () => {
  const thrown = async (run) => { try { await run(); } catch (error) { return error; } throw new Error("nothing was thrown"); };
  const overflow = await thrown(() => chat({ messages: [{ role: "user", content: "many words ".repeat(60000) }] }));
  ensure(overflow instanceof BadRequestError && overflow.code === "context_length_exceeded" && /maximum context length/.test(overflow.message), String(overflow));
  const bad = await thrown(() => chat({ temperature: "hot" }));
  ensure(bad instanceof BadRequestError && bad.type === "invalid_request_error", String(bad));
  const missing = await thrown(() => chat({ model: "no-such-model" }));
  ensure(missing instanceof NotFoundError && missing.code === "model_not_found", String(missing));
  const image = await thrown(() => chat({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] }] }));
  ensure(image instanceof BadRequestError, String(image));
});

await report.check("abort", async () => {
  const stream = await chat({ stream: true, max_tokens: 900, temperature: 1, messages: [{ role: "user", content: "Count." }], ignore_eos: true });
  let n = 0;
  for await (const chunk of stream) if (++n > 3 && chunk) break;
  await idle_within(1000);
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  try {
    await client.chat.completions.create({ model, messages: ask, max_tokens: 900, temperature: 1, ignore_eos: true }, { signal: abort.signal });
  } catch (error) {
    ensure(error instanceof APIUserAbortError, "class " + error.constructor.name);
  }
  await idle_within(1000);
});
