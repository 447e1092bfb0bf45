// The question box: what is asked, and links that hold it.

import { byId, h } from "./dom.js";

const KEY = "glore.key"; // in the session's storage alone: it goes when the tab is closed
const STRATEGIES = {
  glore: "Draft, both refinements, then the outcome model picks one: the paper's way.",
  gated: "A draft that passes is the answer. Any other goes on as with glore.",
  adaptive: "One candidate after the other, until no verifier refutes one.",
  best_of_n: "The draft and two samples. The outcome model picks one.",
  draft: "The draft alone.",
  global: "The global refinement of the draft, unranked.",
  local: "The local refinement of the draft, unranked.",
};
const WITH_ROUNDS = new Set(["glore", "gated", "adaptive"]);

/** The form of the page. */
export class Form {
  /** @param {{strategy: string, max_rounds: number, max_question: number, asks_for_a_key: boolean,
   *   verifies: boolean}} settings the gateway's */
  constructor(settings) {
    this._settings = settings;
    this.question = byId("question");
    this._strategy = byId("strategy");
    this._rounds = byId("rounds");
    this._verify = byId("verify");
    this._key = byId("key");
    this.question.maxLength = settings.max_question;
    this._strategy.options[0].textContent = `the server's choice: ${settings.strategy}`;
    const rounds = Array.from({ length: settings.max_rounds }, (_, index) => index + 1);
    this._rounds.replaceChildren(...rounds.map((round) => h("option", {}, String(round))));
    if (!settings.verifies) {
      this._verify.checked = false;
      this._verify.disabled = true;
    }
    if (settings.asks_for_a_key) this._key.placeholder = "a key of this gateway";
    this._key.value = sessionStorage.getItem(KEY) ?? "";
    this._key.addEventListener("change", () => sessionStorage.setItem(KEY, this._key.value));
    this._strategy.addEventListener("change", () => this._explain());
    this.question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("form").requestSubmit();
    });
    this._explain();
  }

  get key() {
    return this._key.value.trim();
  }

  /** What is asked; options that are the server's choice are left out. */
  get request() {
    const request = { question: this.question.value };
    if (this._strategy.value) request.strategy = this._strategy.value;
    if (!this._rounds.disabled && this._rounds.value !== "1") request.rounds = Number(this._rounds.value);
    if (this._settings.verifies && !this._verify.checked) request.verify = false;
    return request;
  }

  /** @param {{question?: string | null, strategy?: string, rounds?: number, verify?: boolean}} request */
  set request({ question, strategy = "", rounds = 1, verify = true }) {
    if (typeof question === "string") this.question.value = question;
    choose(this._strategy, strategy);
    choose(this._rounds, String(rounds));
    if (this._settings.verifies) this._verify.checked = verify;
    this._explain();
  }

  askForKey() {
    this._key.focus();
    this._key.select();
  }

  _explain() {
    const strategy = this._strategy.value || this._settings.strategy;
    const takesRounds = WITH_ROUNDS.has(strategy);
    this._rounds.disabled = !takesRounds;
    const rounds = takesRounds ? "" : " It takes no rounds.";
    byId("strategy-words").textContent = `${STRATEGIES[strategy] ?? ""}${rounds}`;
  }
}

function choose(select, value) {
  const known = [...select.options].some((option) => option.value === value);
  select.value = known ? value : select.options[0].value;
}

/**
 * The fragment of a link that holds a question and its options.
 * @param {{question: string, strategy?: string, rounds?: number, verify?: boolean}} request
 */
export function fragmentOf({ question, strategy, rounds, verify }) {
  const fields = new URLSearchParams({ question });
  if (strategy) fields.set("strategy", strategy);
  if (rounds) fields.set("rounds", String(rounds));
  if (verify === false) fields.set("verify", "false");
  return `#${fields}`;
}

/**
 * What a fragment asks: an example by its id, or a question; null if neither.
 * @param {string} fragment
 */
export function requestIn(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  if (fields.has("example")) return { example: fields.get("example") };
  if (!fields.get("question")) return null;
  return {
    question: fields.get("question"),
    strategy: fields.get("strategy") ?? "",
    rounds: Number(fields.get("rounds") ?? 1),
    verify: fields.get("verify") !== "false",
  };
}
