// Names and sentences for people.

const KINDS = {
  draft: "draft",
  sample: "sample",
  global_refinement: "global refinement",
  local_refinement: "local refinement",
};
const STAGES = {
  draft: "Draft",
  score: "Step scores",
  refine_globally: "Global refinement",
  refine_locally: "Local refinement",
  rerank: "Outcome scores",
};
const MISSING = {
  draft: "a part of the draft",
  score: "step scores",
  refine_globally: "a global refinement",
  refine_locally: "a local refinement",
  rerank: "outcome scores",
};
const REASONS = {
  unreachable: "the engine could not be reached",
  timeout: "the engine did not answer in time",
  rejected: "the engine refused the request",
  overloaded: "the engine was too busy",
  failed: "the engine failed",
  bad_response: "the engine's answer could not be read",
  wrong_scores: "the engine gave another number of scores than there are steps",
  circuit_open: "the engine failed too often just now, so it was not asked",
  deadline: "the time of the request was up",
  call_cap: "no engine call was left",
  token_cap: "the limit on tokens cut it short",
};
const ENGINE_STATES = {
  unreachable: "does not answer",
  unhealthy: "is not healthy",
  missing_models: "lacks a model",
  misfit: "serves a model that does not fit",
  unauthorized: "refuses the gateway's key",
};
const NOW = {
  waiting: "Waiting for the first words.",
  draft: "The student writes the draft.",
  checking: "The draft is checked.",
  refining: "The draft is refined.",
  ranking: "The candidates are compared.",
  done: "Done.",
};

/** A word with its first letter large. @param {string} text */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A name that is not known yet is shown as it is. @param {string} name */
const plain = (name) => String(name).replaceAll("_", " ");

export const kindName = (kind) => KINDS[kind] ?? plain(kind);
export const stageName = (stage) => STAGES[stage] ?? capital(plain(stage));
export const nowSentence = (now) => NOW[now] ?? "";

/** A score as it is printed everywhere. @param {number | null | undefined} score */
export const scoreText = (score) => (typeof score === "number" ? score.toFixed(2) : "–");

/** @param {number} seconds */
export const secondsText = (seconds) => `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;

/** @param {number} count @param {string} one */
export const counted = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

/** What is missing in an answer, and why. @param {{stage: string, reason: string}} missing */
export function degradedSentence({ stage, reason }) {
  const what = MISSING[stage] ?? plain(stage);
  const why = REASONS[reason] ?? plain(reason);
  if (reason === "token_cap") return `${capital(what)} is not whole: ${why}.`;
  return `This answer comes without ${what}: ${why}.`;
}

/** The verdict on an equation. @param {{expression: string, claimed: string, expected: string}} finding */
export function findingSentence({ expression, claimed, expected }) {
  const claim = expression ? `${expression} = ${claimed}` : claimed;
  return `${claim}: it is ${expected}`;
}

/**
 * Each candidate's name; what is there more than once has a number.
 * @param {object[]} candidates
 */
export function candidateNames(candidates) {
  const total = {};
  for (const { kind } of candidates) total[kind] = (total[kind] ?? 0) + 1;
  const seen = {};
  return candidates.map(({ kind }) => {
    seen[kind] = (seen[kind] ?? 0) + 1;
    return total[kind] > 1 ? `${kindName(kind)} ${seen[kind]}` : kindName(kind);
  });
}

/** Why there is no answer. @param {Record<string, any>} problem @returns {string[]} */
export function problemSentences(problem) {
  const sentences = [problem.title, problem.detail].filter((text) => typeof text === "string");
  const faults = Array.isArray(problem.errors) ? problem.errors : [];
  sentences.push(...faults.map(({ field, message }) => `${field}: ${message}`));
  if (problem.retry_after) sentences.push(`Try again in ${problem.retry_after} s.`);
  return sentences.map((text) => (/[.!?:]$/.test(text) ? text : `${text}.`));
}

/** What the engines can do now. @param {{status: string, engines: Record<string, string>}} ready */
export function readySentence({ status, engines }) {
  const down = Object.entries(engines).filter(([, state]) => state !== "ready");
  const list = down.map(([name, state]) => `${name} ${ENGINE_STATES[state] ?? plain(state)}`);
  const why = list.length ? ` (${list.join("; ")})` : "";
  switch (status) {
    case "ready":
      return "The engines are ready.";
    case "degraded":
      return `The engines answer in part${why}. Answers may lack scores or refinements.`;
    case "stopping":
      return "The gateway is stopping. The recorded examples still play.";
    case "not_ready":
      return `No engine is up${why}. The recorded examples still play.`;
    default:
      return "The gateway does not answer. What is on the page still works.";
  }
}
