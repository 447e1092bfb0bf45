// What the events of one question have told so far. Views read it, `note` writes it.

/** @typedef {{kind: string, base: number, round: number, text: string, kept: number,
 *   whole: boolean, place: number | null}} Writing a refinement or a later sample */

/**
 * A story of which nothing is told yet.
 * @param {object} request the body of POST /solve
 */
export function newStory(request) {
  return {
    request,
    draft: "",
    steps: /** @type {string[]} */ ([]), // of the whole draft
    scores: /** @type {Record<number, number[]>} */ ({}), // by candidate, of its steps
    firstError: /** @type {null | object} */ (null),
    writings: /** @type {Writing[]} */ ([]),
    candidates: /** @type {object[]} */ ([]),
    selected: null,
    answer: null, // the whole one of `done`
    now: "waiting", // what is being done, for `words.js`
  };
}

/**
 * Take in one event.
 * @param {ReturnType<typeof newStory>} story
 * @param {string} name
 * @param {any} data
 */
export function note(story, name, data) {
  switch (name) {
    case "draft.delta":
      story.draft += data.text;
      story.now = "draft";
      break;
    case "draft":
      story.draft = data.candidate.solution;
      story.steps = data.steps;
      story.candidates = [data.candidate, ...data.samples];
      story.now = "checking";
      break;
    case "scores":
      story.scores[data.candidate] = data.scores;
      break;
    case "first_error":
      story.firstError = data;
      break;
    case "refined.delta":
      add(story, data);
      story.now = "refining";
      break;
    case "refined":
      complete(story, data);
      story.now = "ranking";
      break;
    case "selected":
      story.selected = data;
      break;
    case "done":
      finish(story, data);
      break;
  }
}

/** The steps of a text: its lines that are not blank. */
export function stepsOf(text) {
  return text.split("\n").map((line) => line.trim()).filter((line) => line);
}

/** The number the text states after ####, as far as it is written. */
export function isAnswerStep(step) {
  return step.startsWith("####");
}

/** How many steps a local refinement of the candidate `base` keeps. */
function keptOf(story, base) {
  const candidate = story.candidates[base];
  if (!candidate || !story.firstError) return 0;
  const refuted = candidate.findings.map((finding) => finding.step);
  if (refuted.length) return Math.min(...refuted);
  const scores = story.scores[base] ?? [];
  return Math.max(0, scores.findIndex((score) => score < story.firstError.threshold));
}

function add(story, { kind, base, round, text }) {
  const same = (each) => each.kind === kind && each.base === base && each.round === round;
  let writing = story.writings.find(same);
  if (!writing) {
    const kept = kind === "local_refinement" ? keptOf(story, base) : 0;
    const before = kept ? stepsOf(story.candidates[base].solution).slice(0, kept) : [];
    const start = before.map((step) => `${step}\n`).join("");
    writing = { kind, base, round, text: start, kept, whole: false, place: null };
    story.writings.push(writing);
  }
  writing.text += text;
}

function complete(story, { candidate, place }) {
  story.candidates[place] = candidate;
  const base = candidate.base ?? 0;
  const same = (each) => !each.whole && each.kind === candidate.kind && each.base === base;
  let writing = story.writings.findLast(same);
  if (!writing) {
    const round = story.writings.at(-1)?.round ?? 1;
    const kept = candidate.kind === "local_refinement" ? keptOf(story, base) : 0;
    writing = { kind: candidate.kind, base, round, text: "", kept, whole: true, place };
    story.writings.push(writing);
  }
  Object.assign(writing, { text: candidate.solution, whole: true, place });
  const steps = stepsOf(candidate.solution);
  const old = stepsOf(story.candidates[base]?.solution ?? "");
  const different = steps.findIndex((step, index) => step !== old[index]);
  if (different >= 0) writing.kept = Math.min(writing.kept, different);
}

function finish(story, answer) {
  story.answer = answer;
  story.selected = answer.selected;
  story.candidates = answer.candidates;
  const { steps, first_error: index, first_error_by: foundBy, threshold, critique } = answer.draft;
  story.steps = steps.map((step) => step.text);
  if (steps.some((step) => step.score !== null)) story.scores[0] = steps.map((step) => step.score);
  story.firstError ??= { index, found_by: foundBy, threshold, critique };
  story.writings = story.writings.filter((writing) => writing.whole);
  story.now = "done";
}
