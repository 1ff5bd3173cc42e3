// Records what a client can do against our server: one JSON line for each capability on standard output.
import fs from "node:fs";
import path from "node:path";

export const root = process.env.KAKEYA_BASE;  // http://127.0.0.1:PORT
export const base = root + "/v1";
export const model = process.env.KAKEYA_MODEL;

export function ensure(condition, text) {
  if (!condition) throw new Error(text);
}

export function equal(found, expected, what) {
  const a = JSON.stringify(found), b = JSON.stringify(expected);
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}

// The version of an installed package, from its package.json beside this script.
export function version_of(name) {
  const file = path.join(path.dirname(new URL(import.meta.url).pathname), "node_modules", name, "package.json");
  return JSON.parse(fs.readFileSync(file, "utf8")).version;
}

export class Report {
  constructor(client, version) { this.client = client; this.version = version; }
  async check(capability, run, limit_s = 60) {
    let timer;
    const limit = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`no result after ${limit_s} s`)), limit_s * 1000); });
    try {
      const note = await Promise.race([run(), limit]);
      this.line(capability, "pass", typeof note === "string" ? note : "");
    } catch (error) {
      this.line(capability, "fail", String(error?.stack ?? error).split("\n").slice(0, 3).join(" | ").slice(0, 500));
    }
    clearTimeout(timer);
  }
  line(capability, result, detail = "") {
    console.log(JSON.stringify({ client: this.client, version: this.version, capability, result, detail }));
  }
}

export const weather_tool = {
  type: "function",
  function: { name: "get_weather", description: "The weather of a city",
              parameters: { type: "object", properties: { city: { type: "string", maxLength: 20 }, unit: { enum: ["C", "F"] } }, required: ["city", "unit"], additionalProperties: false } },
};
export const ask = [{ role: "user", content: "Tom has 3 apples and buys 4 more. How many apples does he have?" }];

export function check_usage(usage) {
  ensure(usage.prompt_tokens > 0 && usage.completion_tokens > 0, "usage counts " + JSON.stringify(usage));
  equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens, "usage total");
}

export function check_weather(text) {
  const value = JSON.parse(text);
  ensure(typeof value.city === "string" && ["C", "F"].includes(value.unit), "arguments " + text);
}

// Waits until no slot is busy; the test that closed a connection wants to see its request end.
export async function idle_within(ms) {
  const until = Date.now() + ms;
  for (;;) {
    const slots = await (await fetch(root + "/slots")).json();
    const list = Array.isArray(slots) ? slots : slots.slots;
    if (!list.some((slot) => slot.is_processing ?? slot.busy)) return;
    if (Date.now() > until) throw new Error(`a slot is still busy ${ms} ms after the client closed`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
