// A small stand-in for `kakeya-llm serve`, to work on the chat page alone. usage: node mock_server.mjs [port]
// A prompt steers it: "error 429", "overflow", "slow", "cut", "think", "markdown"; anything else is a short answer.
import http from "node:http";
import fs from "node:fs";
import crypto from "node:crypto";

const page = process.env.KAKEYA_PAGE ?? new URL("../../../src/serve/page/chat.html", import.meta.url);

const markdown = `# A heading

Some **bold**, *italic*, ~~struck~~ and \`code\`, a [link](https://example.org/a_b) and <script>alert(1)</script>.
A [bad link](javascript:alert(1)) stays text; snake_case_names stay whole. 2 * 3 * 4 = 24.

1. First
2. Second
   - nested one
   - nested *two*

   \`\`\`python
   print("inside a list")
   \`\`\`
3. Third

> A quotation
> over two lines

| channel | bits | note |
|---|---:|---|
| e8-q38 | 864 | *default* |
| bf16 | 2048 | baseline |

\`\`\`cpp
template <class T>
T twice(T x) { return x + x; }  // a rather long line of code that has to scroll sideways on a narrow screen
\`\`\`

---
Done, see https://example.org/path?q=1.`;

function pieces(text) {
  return text.match(/\s?\S{1,6}|\s/g) ?? [];
}

async function stream(request, body, response) {
  const prompt = body.messages.at(-1).content;
  const text = prompt.includes("markdown") ? markdown : prompt.includes("long") ? "word ".repeat(400) : "Hello there! You said: " + prompt.slice(0, 60) + ". Grüße, 你好 🙂.";
  const slow = prompt.includes("slow");
  let closed = false;
  response.on("close", () => { closed = true; });
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  const base = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: body.model };
  const send = (object) => response.write("data: " + JSON.stringify({ ...base, ...object }) + "\n\n");
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  response.write(": queued\n\n");
  if (slow) for (let i = 1; i <= 4; ++i) { send({ choices: [], prompt_progress: { total: 4000, cache: 0, processed: 1000 * i, time_ms: 1 } }); await wait(150); }
  send({ choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] });
  if (prompt.includes("think")) {
    for (const part of pieces("The person greets me. I should answer kindly, and briefly.")) { send({ choices: [{ index: 0, delta: { reasoning_content: part }, finish_reason: null }] }); await wait(15); }
  }
  let n = 0;
  for (const part of pieces(text)) {
    if (closed) { console.log("closed after", n); return; }
    if (prompt.includes("cut") && n === 5) { response.destroy(); return; }
    ++n;
    send({ choices: [{ index: 0, delta: { content: part }, finish_reason: null }], timings: { predicted_n: n, predicted_per_second: 87.3, cache_n: 12 },
           kakeya: { drafted: [[part, n % 4 ? 1 : 0]], drafted_n: Math.floor(n * 0.75) } });
    await wait(slow ? 60 : 4);
  }
  send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }], kakeya: { acceptance_length: 3.4, kv_channel: body.kakeya.kv ?? "e8-q38" } });
  send({ choices: [], usage: { prompt_tokens: 20, completion_tokens: n, total_tokens: 20 + n, prompt_tokens_details: { cached_tokens: 12 } }, timings: { predicted_n: n, predicted_per_second: 91.2 } });
  response.end("data: [DONE]\n\n");
}

function refuse(response, status, error, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(JSON.stringify({ error: { type: "invalid_request_error", param: null, code: null, ...error } }));
}

// The policy that the build writes: hashes of the one script and the one style.
export function policy(html) {
  const hash = (tag) => "'sha256-" + crypto.createHash("sha256").update(html.match(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`))[1]).digest("base64") + "'";
  return `default-src 'none'; script-src ${hash("script")}; style-src ${hash("style")}; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
}

export function start(port) {
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (part) => { text += part; });
    request.on("end", () => {
      const json = (value) => { response.writeHead(200, { "Content-Type": "application/json" }); response.end(JSON.stringify(value)); };
      if (request.url === "/") {
        const html = fs.readFileSync(page, "utf8");
        response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy(html) });
        return response.end(html);
      }
      if (request.url === "/v1/models") return json({ object: "list", data: [{ id: "tiny" }, { id: "qwen3-8b-q4_0-with-a-long-name" }] });
      if (request.url === "/props") return json({ kakeya: { kv: "e8-q38", kv_allowed: ["e8-q38", "e8-q10", "bf16"], draft: "tiny" } });
      if (request.url !== "/v1/chat/completions") return refuse(response, 404, { message: "No such route" });
      const body = JSON.parse(text), prompt = body.messages.at(-1).content;
      if (prompt.includes("error 429")) return refuse(response, 429, { message: "The queue is full" }, { "retry-after": "3" });
      if (prompt.includes("error 503")) return refuse(response, 503, { message: "The model is being loaded." }, { "retry-after": "5" });
      if (prompt.includes("error 401")) return refuse(response, 401, { message: "Wrong API key", code: "invalid_api_key" });
      if (prompt.includes("overflow")) return refuse(response, 400, { message: "This model's maximum context length is 2048 tokens. However, your messages have 4000 tokens.", code: "context_length_exceeded" });
      stream(request, body, response);
    });
  });
  return new Promise((done) => server.listen(port, "127.0.0.1", () => done(server)));
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const server = await start(Number(process.argv[2] ?? 0));
  console.log("http://127.0.0.1:" + server.address().port + "/");
}
