// Refinements and samples, side by side, a row of columns for each round.

import { h } from "./dom.js";
import { changes } from "./diff.js";
import { markedText } from "./draft-view.js";
import { isAnswerStep, stepsOf } from "./story.js";
import { candidateNames, capital, counted, findingSentence, kindName } from "./words.js";

/** @param {ReturnType<typeof import("./story.js").newStory>} story */
export function refinementsView(story) {
  const columns = columnsOf(story);
  if (!columns.length) return null;
  const rounds = [...new Set(columns.map((column) => column.round))];
  const onlySamples = columns.every((column) => column.kind === "sample");
  return h(
    "section.refinements",
    { "aria-labelledby": "refinements-title" },
    h("h2", { id: "refinements-title" }, onlySamples ? "Further samples" : "Refinements"),
    !onlySamples &&
      h("p.legend", {}, h("ins", {}, "Marked"), " words differ from the text that is refined."),
    rounds.map((round) => [
      rounds.length > 1 && h("h3.round", { "data-key": `round-${round}` }, `Round ${round}`),
      h(
        "div.columns",
        { "data-key": `columns-${round}` },
        columns
          .filter((column) => column.round === round)
          .map((column) => columnView(story, column, rounds.length > 1 ? "h4" : "h3")),
      ),
    ]),
  );
}

/** What is being written, and samples that came whole with the draft. */
function columnsOf(story) {
  const written = story.writings;
  const places = new Set(written.map((writing) => writing.place));
  const whole = story.candidates
    .map((candidate, place) => ({ ...candidate, place }))
    .filter(({ place }) => place > 0 && !places.has(place))
    .map(({ kind, base, solution, place }) => ({
      kind, base: base ?? 0, round: 1, text: solution, kept: 0, whole: true, place,
    }));
  return [...written, ...whole];
}

function columnView(story, column, heading) {
  const base = column.kind === "sample" ? "" : (story.candidates[column.base]?.solution ?? "");
  const steps = stepsOf(column.text);
  const findings = story.candidates[column.place]?.findings ?? [];
  const fresh = changedSteps(column, base, steps);
  return h(
    "article.column",
    { "data-key": keyOf(column) },
    h(`${heading}.column-title`, {}, capital(kindName(column.kind))),
    h("p.note", {}, explained(story, column)),
    h(
      "ol.steps",
      {},
      steps.map((step, index) =>
        stepView(step, {
          locked: index < column.kept,
          runs: fresh?.[index],
          findings: findings.filter((finding) => finding.step === index),
          writing: !column.whole && index === steps.length - 1,
        }),
      ),
    ),
    !column.whole && h("p.note.unseen", {}, "still being written"),
  );
}

const keyOf = ({ kind, base, round, place }) =>
  kind === "sample" ? `sample-${place}` : `${kind}-${base}-${round}`;

function explained(story, { kind, base, kept }) {
  const of = base ? `the ${candidateNames(story.candidates)[base]}` : "the draft";
  if (kind === "sample") return "A further solution of the student.";
  if (kind !== "local_refinement") return `Written anew, from the question and ${of}.`;
  if (!kept) return `The first step of ${of} is wrong, so none is kept.`;
  return `Keeps ${counted(kept, "step")} of ${of} and goes on from there.`;
}

/** For each step its runs of old and new words; null for what refines nothing. */
function changedSteps(column, base, steps) {
  if (!base) return null;
  const runs = changes(stepsOf(base).join("\n"), steps.join("\n"));
  const byStep = [[]];
  for (const { text, changed } of runs) {
    text.split("\n").forEach((part, index) => {
      if (index) byStep.push([]);
      if (part) byStep.at(-1).push({ text: part, changed });
    });
  }
  return byStep;
}

function stepView(step, { locked, runs, findings, writing }) {
  const kinds = [locked && "locked", isAnswerStep(step) && "answer-step", findings.length && "refuted"];
  const plain = findings.length || !runs || locked;
  return h(
    ["li.step", ...kinds.filter(Boolean)].join("."),
    {},
    h(
      "div.step-text",
      {},
      locked && h("span.lock", {}, h("span.unseen", {}, "kept: ")),
      h("span.text", {}, plain ? markedText(step, findings) : runs.map(wordRun)),
      writing && h("span.caret", { "aria-hidden": "true" }),
      findings.map((finding) =>
        h("span.verdict.no", {}, h("span.sign", { "aria-hidden": "true" }, "✗ "), findingSentence(finding)),
      ),
    ),
  );
}

function wordRun({ text, changed }) {
  if (!changed) return text;
  const words = text.trimEnd();
  return [h("ins", {}, words), text.slice(words.length)];
}
