// Drives the built-in chat page and OpenAI's library inside Chromium, and leaves pictures in KAKEYA_SCREENS.
// The page is tried twice: on the mock server (errors, reasoning, Markdown at will) and on the real one.
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import puppeteer from "puppeteer-core";
import { Report, base, ensure, equal, idle_within, model, root, version_of } from "./report.mjs";
import { start } from "./mock_server.mjs";

const screens = process.env.KAKEYA_SCREENS;
fs.mkdirSync(screens, { recursive: true });
const browser = await puppeteer.launch({ executablePath: process.env.KAKEYA_CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
const version = (await browser.version()).replace(/.*\//, "");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

class Chat {
  static async open(url, name) {
    const chat = new Chat();
    chat.context = await browser.createBrowserContext();
    chat.page = await chat.context.newPage();
    chat.name = name;
    chat.faults = [];
    chat.page.on("pageerror", (error) => chat.faults.push("pageerror " + error.message));
    chat.page.on("console", (line) => { if (/Content Security|Uncaught/i.test(line.text())) chat.faults.push(line.text()); });
    await chat.page.setViewport({ width: 1180, height: 820 });
    await chat.page.goto(url);
    await chat.page.waitForFunction(() => document.querySelector("#model option"));
    return chat;
  }
  async send(text, finish = true) {
    await this.page.focus("#text");
    await this.page.keyboard.type(text);
    await this.page.keyboard.press("Enter");
    if (finish) await this.finished();
  }
  finished() { return this.page.waitForFunction(() => document.getElementById("go").getAttribute("aria-label") === "Send", { timeout: 60000 }); }
  text(selector) { return this.page.$$eval(selector, (nodes) => nodes.map((node) => node.textContent)); }
  shot(name) { return this.page.screenshot({ path: path.join(screens, this.name + "-" + name + ".png") }); }
  clean() { equal(this.faults, [], "faults in the page"); }
}

async function drive_mock(report) {
  const server = await start(0), url = `http://127.0.0.1:${server.address().port}/`;
  const chat = await Chat.open(url, "mock"), { page } = chat;
  await report.check("reasoning, Markdown", async () => {
    await chat.shot("empty");
    await chat.send("think, then show markdown");
    equal([(await page.$$("details.think:not([hidden])")).length, (await page.$$(".md table")).length, (await page.$$(".md .block")).length, (await page.$$(".md script")).length], [1, 1, 2, 0], "reasoning, tables, code blocks, scripts");
    equal(await page.$$eval(".md a", (links) => links.map((link) => new URL(link.href).protocol)), ["https:", "https:"], "links");
    await chat.shot("markdown");
    chat.clean();
  });
  await report.check("drafted tokens tinted", async () => {
    await page.click("#gear");
    await page.click("#s-tint");
    await chat.shot("settings");
    await page.keyboard.press("Escape");
    await page.waitForSelector("#log .draft");
    await chat.shot("tint");
  });
  await report.check("errors shown kindly", async () => {
    for (const [prompt, title] of [["error 429", "busy"], ["error 503", "not ready"], ["overflow", "no longer fits"], ["cut off", "went wrong"], ["error 401", "API key"]]) {
      await chat.send(prompt);
      const [text] = (await chat.text(".fail strong")).slice(-1);
      ensure(text?.includes(title), `${prompt}: shown ${text}`);
    }
    await chat.shot("errors");
    chat.clean();
  });
  await report.check("edit, regenerate", async () => {
    await page.click("#new");
    await chat.send("first");
    await chat.send("second");
    await page.$$eval(".msg.assistant", (nodes) => nodes.at(-1).querySelectorAll(".acts .icon")[1].click());
    await chat.finished();
    equal((await page.$$(".msg.assistant")).length, 2, "answers after regenerating");
    await page.$eval(".msg.user .acts .icon:last-child", (button) => button.click());
    await page.$eval(".edit textarea", (area) => { area.value = "changed"; });
    await page.$eval(".edit .solid", (button) => button.click());
    await chat.finished();
    equal(await chat.text(".said"), ["changed"], "messages after editing the first");
  });
  await report.check("stop keeps the text", async () => {
    await chat.send("slow long answer", false);
    await pause(1500);
    await page.keyboard.press("Escape");
    await chat.finished();
    ensure((await chat.text(".note")).includes("Stopped."), "note");
    await chat.shot("stopped");
  });
  await report.check("export, import", async () => {
    const text = await page.evaluate(async () => {
      let blob = null;
      const old = URL.createObjectURL;
      URL.createObjectURL = (value) => { blob = value; return old.call(URL, value); };
      HTMLAnchorElement.prototype.click = () => {};
      document.getElementById("export").click();
      URL.createObjectURL = old;
      return blob.text();
    });
    equal([JSON.parse(text).format, JSON.parse(text).chats.length], ["kakeya-chats", 2], "export");
    const file = path.join(screens, "chats.json");
    fs.writeFileSync(file, text);
    const other = await Chat.open(url, "mock");
    await (await other.page.$("#file")).uploadFile(file);
    await other.page.waitForSelector("#chats .open");
    equal((await other.page.$$("#chats .open")).length, 2, "imported");
    await other.context.close();
  });
  await chat.context.close();
  server.close();
}

async function drive_real(report) {
  const chat = await Chat.open(root + "/", "kakeya"), { page } = chat;
  await report.check("chat", async () => {
    await chat.shot("empty");
    await page.select("#spec", "fixed");
    await chat.send("Tom has 3 apples and buys 4 more. How many apples does he have?");
    const [answer] = await chat.text(".msg.assistant > .md");
    ensure(answer.trim(), "answer");
    const [stat] = await chat.text(".stat");
    ensure(/tok\/s/.test(stat) && /per pass/.test(stat), "speed and acceptance: " + stat);
    await chat.shot("answer");
    chat.clean();
  });
  await report.check("cache and speculation pickers", async () => {
    for (const id of ["#kv", "#spec"]) ensure((await page.$$(id + " option")).length > 1, "options of " + id);
    const last = await page.$eval("#kv", (select) => select.options[select.options.length - 1].value);
    await page.select("#kv", last);
    await chat.send("And 2 more?");
    ensure((await chat.text(".stat")).at(-1).includes(last), `channel ${last} in ${(await chat.text(".stat")).at(-1)}`);
    equal((await chat.text(".fail")).length, 0, "failures");
  });
  await report.check("drafted tokens tinted", async () => {
    await page.click("#gear");
    await page.click("#s-tint");
    await page.keyboard.press("Escape");
    await page.click("#new");
    await chat.send("A shop sells 5 pens for 2 dollars each. How much do all the pens cost?");
    ensure((await page.$$("#log .draft")).length > 0, "tinted text");
    await chat.shot("tint");
  });
  await report.check("stop", async () => {
    await page.click("#new");
    await page.click("#gear");
    await page.$eval("#s-temperature", (input) => { input.value = "1.8"; });
    await page.keyboard.press("Escape");
    await chat.send("Write a very long story with many people in it.", false);
    await page.waitForFunction(() => document.querySelector(".msg.assistant > .md")?.textContent.length > 2, { timeout: 30000 });
    await page.keyboard.press("Escape");
    await chat.finished();
    await idle_within(1000);
  });
  await report.check("history stays over a reload", async () => {
    const before = await chat.text(".said");
    await page.reload();
    await page.waitForSelector(".said");
    equal(await chat.text(".said"), before, "messages");
    ensure((await page.$$("#chats .open")).length >= 2, "list");
  });
  await report.check("dark mode, 360 px", async () => {
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.click("#theme");
    ensure(await background() !== light, "background after the switch");
    await chat.shot("dark");
    await page.setViewport({ width: 360, height: 720, isMobile: true, hasTouch: true });
    await pause(300);
    equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, "width of the content");
    await chat.shot("narrow");
    await page.click("#menu");
    await pause(400);
    await chat.shot("drawer");
    chat.clean();
  });
  await report.check("keyboard alone", async () => {
    await page.setViewport({ width: 1180, height: 820 });
    await page.focus(".skip");
    await page.keyboard.press("Enter");
    const stops = [await page.evaluate(() => document.activeElement.id)];
    while (stops.length < 5) {
      await page.keyboard.press("Tab");
      stops.push(await page.evaluate(() => document.activeElement.id));
    }
    equal(stops, ["text", "model", "kv", "spec", "go"], "stops of the focus");
  });
  await chat.context.close();
}

// A page of another origin with OpenAI's library in it, as web interfaces and Obsidian plugins have it.
async function drive_library(report) {
  const modules = path.join(path.dirname(new URL(import.meta.url).pathname), "node_modules");
  const server = http.createServer((request, response) => {
    const file = path.join(modules, path.normalize(request.url.split("?")[0]));
    const script = file.endsWith(".mjs") || file.endsWith(".js");
    if (!script || !file.startsWith(modules) || !fs.existsSync(file)) { response.writeHead(request.url === "/" ? 200 : 404, { "Content-Type": "text/html" }); return response.end("<!doctype html><title>x</title>"); }
    response.writeHead(200, { "Content-Type": "text/javascript" });
    response.end(fs.readFileSync(file));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const ask = (body, key = "x") => page.evaluate(async (url, request, api_key) => {
    const { default: OpenAI } = await import("/openai6/index.mjs");
    const client = new OpenAI({ baseURL: url, apiKey: api_key, dangerouslyAllowBrowser: true, maxRetries: 0 });
    try {
      let text = "";
      for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) text += chunk.choices[0]?.delta.content ?? "";
      return text;
    } catch (error) {
      return `${error.constructor.name} ${error.status} ${error.message}`;
    }
  }, base, body, key);
  await report.check("stream", async () => {
    const text = await ask({ model, messages: [{ role: "user", content: "Tom has 3 apples and buys 4 more. How many?" }], max_tokens: 20, temperature: 0 });
    ensure(text && !/Error/.test(text), text);
  });
  await report.check("errors", async () => {
    const text = await ask({ model, messages: [] });
    ensure(/ 400 /.test(text), "an error across origins: " + text);
  });
  server.close();
}

await drive_mock(new Report("Chat page in Chromium, mock server", version));
await drive_real(new Report("Chat page in Chromium", version));
await drive_library(new Report("openai (Node) 6 in Chromium", `${version_of("openai6")}, Chromium ${version}`));
await browser.close();
process.exit(0);
