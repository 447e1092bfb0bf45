// The page: puts its parts together and lets the visitor's actions drive them.

import { ask, AskError, file, readiness } from "./client.js";
import { byId, h } from "./dom.js";
import { Form, fragmentOf, requestIn } from "./form.js";
import { Playback } from "./playback.js";
import { Stage } from "./stage.js";
import { confirm, copy, download, showSnippets } from "./tools.js";
import { read, traceOf } from "./trace.js";
import { readySentence } from "./words.js";

const LOOK_AGAIN_MS = 15_000;

class App {
  constructor(settings, examples) {
    this.settings = settings;
    this.examples = examples;
    this.form = new Form(settings);
    this.stage = new Stage(settings);
    this.playback = new Playback(this.stage);
    this.trace = null; // of what is shown, once it is whole
    this.running = null; // the AbortController of the question that is asked now
    this.ready = { status: "ready", engines: {} };
  }

  start() {
    byId("version").textContent = `GLoRe ${this.settings.version}`;
    byId("examples").replaceChildren(...this.examples.map((example) => this.exampleItem(example)));
    byId("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    byId("question").addEventListener("input", () => this.noteQuestion());
    byId("stop").addEventListener("click", () => this.running?.abort());
    byId("play-example").addEventListener("click", () => this.playExample(this.example));
    byId("copy-link").addEventListener("click", () => this.copyLink());
    byId("download").addEventListener("click", () => {
      download("glore-trace.json", JSON.stringify(this.trace));
    });
    byId("open").addEventListener("click", () => this.open(byId("pasted").value));
    byId("file").addEventListener("change", async ({ target }) => {
      if (target.files[0]) this.open(await target.files[0].text());
    });
    addEventListener("hashchange", () => this.follow());
    this.follow();
    this.look();
    setInterval(() => document.visibilityState === "visible" && this.look(), LOOK_AGAIN_MS);
  }

  exampleItem(example) {
    const choose = () => {
      this.form.request = example.request;
      this.noteQuestion();
      if (!this.answers) this.playExample(example);
    };
    const button = h("button.example", { type: "button", on: { click: choose } }, example.title);
    button.dataset.id = example.id;
    return h("li", {}, button, h("span.note", {}, example.note));
  }

  /** The example whose question is in the box, if it is one. */
  get example() {
    const question = this.form.question.value.trim();
    return this.examples.find((each) => each.request.question === question) ?? null;
  }

  /** Whether a question would be answered now. */
  get answers() {
    return ["ready", "degraded"].includes(this.ready.status);
  }

  noteQuestion() {
    const { example } = this;
    byId("play-example").hidden = example === null;
    for (const button of byId("examples").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.id === example?.id));
    }
  }

  async look() {
    this.ready = await readiness();
    byId("ready").textContent = readySentence(this.ready);
    byId("ready").dataset.status = this.ready.status;
  }

  /** Fill the form as the link says. */
  follow() {
    const linked = requestIn(location.hash);
    const example = this.examples.find((each) => each.id === linked?.example);
    this.form.request = example?.request ?? (linked?.question ? linked : this.examples[0].request);
    this.noteQuestion();
    if (example) this.playExample(example);
  }

  async ask() {
    const { request, example } = { request: this.form.request, example: this.example };
    if (!this.answers && example) {
      await this.playExample(example);
      this.stage.tell("No engine is up. This is the recorded answer to the same question.");
      return;
    }
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    this.playback.close();
    const events = [];
    const start = performance.now();
    const seconds = () => (performance.now() - start) / 1000;
    const recorded = new Date().toISOString();
    this.begin();
    this.stage.begin(request, { expected: example?.expected, clock: seconds });
    byId("story").focus({ preventScroll: true });
    byId("story").scrollIntoView({ block: "start" });
    try {
      const onEvent = (name, data) => {
        events.push([Number(seconds().toFixed(3)), name, data]);
        this.stage.note(name, data);
      };
      await ask(request, { key: this.form.key, signal: running.signal, onEvent });
      this.offer(traceOf(request, events, recorded));
    } catch (error) {
      if (this.running === running) this.fail(error);
    } finally {
      if (this.running === running) this.end();
    }
  }

  begin() {
    this.trace = null;
    byId("tools").hidden = true;
    byId("stop").hidden = false;
    byId("ask").disabled = true;
  }

  end() {
    this.running = null;
    byId("stop").hidden = true;
    byId("ask").disabled = false;
  }

  fail(error) {
    if (error.name === "AbortError") this.stage.fail({ title: "Stopped. The gateway drops the work." });
    else if (error instanceof AskError) {
      this.stage.fail(error.problem);
      if (error.problem.status === 401) this.form.askForKey();
      this.look();
    } else this.stage.break(error);
  }

  /** @param {import("./trace.js").Trace} trace */
  offer(trace) {
    this.trace = trace;
    byId("tools").hidden = false;
    byId("copy-link").hidden = !trace.request.question;
    if (trace.request.question) showSnippets(trace.request, this.settings);
    else byId("snippets").replaceChildren();
  }

  async playExample(example) {
    this.running?.abort();
    try {
      const trace = await file(`trace-${example.id}.json`);
      const when = new Date(trace.recorded).toLocaleDateString("en", { dateStyle: "long" });
      const words = `Recorded on ${when} on two busy cores, strategy ${trace.request.strategy}.`;
      this.offer(trace);
      this.playback.open(trace, { expected: example.expected, words });
    } catch (error) {
      this.stage.fail({ title: "The recording could not be loaded.", detail: String(error.message) });
    }
  }

  async open(text) {
    this.running?.abort();
    try {
      const trace = await read(text);
      this.offer(trace);
      this.playback.open(trace, { words: trace.recorded ? "A trace that you opened." : "An answer that you opened." });
      byId("story").focus();
    } catch (error) {
      this.stage.fail({ title: error.message });
    }
  }

  async copyLink() {
    const url = new URL(location.href);
    url.hash = fragmentOf(this.trace.request);
    history.replaceState(null, "", url);
    if (await copy(url.href)) confirm(byId("copy-link"), "Copied");
  }
}

const [settings, examples] = await Promise.all([file("settings.json"), file("examples.json")]);
new App(settings, examples).start();
document.documentElement.dataset.ready = "";
