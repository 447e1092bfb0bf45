// A trace is a stream with the time of each event. Answers and streams become traces too.

import { eventsIn } from "./sse.js";
import { stepsOf } from "./story.js";

const FORMAT = 1;
const NAMES = new Set([
  "draft.delta", "draft", "scores", "first_error", "refined.delta", "refined", "selected", "done",
]);

/**
 * @typedef {{trace: number, recorded: string | null, request: object,
 *   events: [number, string, any][]}} Trace
 */

/** @param {object} request @param {[number, string, any][]} events @returns {Trace} */
export function traceOf(request, events, recorded = new Date().toISOString()) {
  return { trace: FORMAT, recorded, request, events };
}

/**
 * The trace in a text: a trace, an answer of POST /solve, a completion of /v1, or a stream.
 * Throws an Error that says in words what is wrong.
 * @param {string} text
 * @returns {Promise<Trace>}
 */
export async function read(text) {
  const trimmed = text.trim();
  if (!trimmed) throw new Error("There is nothing to open.");
  if (/^(id|event|data|:)/.test(trimmed)) return fromStream(trimmed);
  let value;
  try {
    value = JSON.parse(trimmed);
  } catch {
    throw new Error("This is no JSON. Paste a whole answer of POST /solve, or a trace.");
  }
  if (value?.trace !== undefined) return checked(value);
  const answer = value?.glore ?? value;
  const fault = faultIn(answer);
  if (fault) throw new Error(`This is no answer of POST /solve and no trace: ${fault}.`);
  return checked(traceOf({ question: null, strategy: answer.strategy }, eventsOf(answer), null));
}

async function fromStream(text) {
  const events = [];
  try {
    for await (const [name, data] of eventsIn([text])) events.push([events.length / 30, name, data]);
  } catch {
    throw new Error("This looks like a stream, but not every event in it holds JSON.");
  }
  return checked(traceOf({ question: null }, events, null));
}

/** @param {any} value @returns {Trace} */
function checked(value) {
  if (value.trace !== FORMAT) throw new Error("This trace is of another version.");
  const events = Array.isArray(value.events) ? value.events : [];
  const known = events.filter(
    (each) => Array.isArray(each) && Number.isFinite(each[0]) && NAMES.has(each[1]) && each[2],
  );
  const done = known.find(([, name]) => name === "done");
  if (!done) throw new Error("This trace does not end with an answer.");
  const fault = faultIn(done[2]);
  if (fault) throw new Error(`The answer in this trace cannot be read: ${fault}.`);
  return { ...value, request: value.request ?? {}, events: known };
}

/** What an answer lacks of what the page reads; null if nothing. */
function faultIn(answer) {
  const lists = [
    ["candidates", answer?.candidates],
    ["draft.steps", answer?.draft?.steps],
    ["usage.stages", answer?.usage?.stages],
    ["degraded", answer?.degraded],
  ];
  for (const [name, list] of lists) if (!Array.isArray(list)) return `it has no list ${name}`;
  if (!answer.candidates.length) return "it has no candidate";
  for (const each of answer.candidates) {
    if (typeof each?.solution !== "string" || typeof each.kind !== "string") {
      return "a candidate has no kind or no solution";
    }
    const findings = Array.isArray(each.findings) ? each.findings : []; // an older gateway has none
    each.findings = findings.filter((finding) => Number.isInteger(finding?.step));
  }
  if (!answer.candidates[answer.selected?.candidate]) return "it selects no candidate";
  return null;
}

/** @param {object} answer @returns {Trace["events"]} */
function eventsOf(answer) {
  try {
    return replayed(answer);
  } catch (error) {
    throw new Error(`The page could not show this answer: ${error.message}.`);
  }
}

/** An answer as the events that would have led to it, at the times its stages say. */
function replayed(answer) {
  const events = [];
  const [draft, ...others] = answer.candidates;
  const stages = answer.usage.stages;
  const drafted = stages.find((each) => each.stage === "draft") ?? { started: 0, seconds: 1 };
  const { steps, threshold, first_error: index, first_error_by: foundBy, critique } = answer.draft;
  write(events, drafted, draft.solution, (text) => ["draft.delta", { text }]);
  const samples = answer.strategy === "best_of_n" ? others : [];
  const ended = drafted.started + drafted.seconds;
  events.push([ended, "draft", { candidate: draft, samples, steps: steps.map((step) => step.text) }]);
  const scored = stages.find((each) => each.stage === "score");
  const judged = draft.findings.length || !scored ? ended : scored.started + scored.seconds;
  if (scored && steps.every((step) => typeof step.score === "number")) {
    const data = { candidate: 0, scores: steps.map((step) => step.score) };
    events.push([scored.started + scored.seconds, "scores", data]);
  }
  events.push([judged, "first_error", { index, found_by: foundBy, threshold, critique }]);
  const left = { global_refinement: [], local_refinement: [] };
  for (const each of stages) {
    if (each.stage === "refine_globally") left.global_refinement.push(each);
    if (each.stage === "refine_locally") left.local_refinement.push(each);
  }
  let last = ended;
  const rounds = {};
  if (!samples.length) {
    others.forEach((candidate, index) => {
      const stage = left[candidate.kind]?.shift() ?? { started: last, seconds: 0 };
      const key = candidate.kind;
      const round = (rounds[key] = (rounds[key] ?? 0) + 1);
      if (candidate.kind !== "sample") {
        const base = candidate.base ?? 0;
        const kept = sharedSteps(answer.candidates[base]?.solution ?? "", candidate);
        const text = candidate.solution.slice(kept);
        write(events, stage, text, (text) => ["refined.delta", { kind: key, base, round, text }]);
      }
      last = Math.max(last, stage.started + stage.seconds);
      events.push([stage.started + stage.seconds, "refined", { candidate, place: index + 1 }]);
    });
  }
  const end = Math.max(answer.usage.seconds, ...events.map(([at]) => at));
  events.sort(([one], [other]) => one - other);
  return [...events, [end, "selected", answer.selected], [end, "done", answer]];
}

/** The characters of a local refinement that are steps of what it refines. */
function sharedSteps(old, candidate) {
  if (candidate.kind !== "local_refinement") return 0;
  const before = stepsOf(old);
  let length = 0;
  for (const [index, line] of candidate.solution.split("\n").entries()) {
    if (line.trim() !== before[index]) break;
    length += line.length + 1;
  }
  return Math.min(length, candidate.solution.length);
}

/** Spread a text over the time of a stage. */
function write(events, { started, seconds }, text, event) {
  const words = text.match(/\S+\s*|\s+/g) ?? [];
  words.forEach((word, place) => {
    events.push([started + (seconds * (place + 1)) / (words.length + 1), ...event(word)]);
  });
}
