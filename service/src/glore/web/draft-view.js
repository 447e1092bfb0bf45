// The draft, a row for each step: text, verdicts, and the score against the threshold.

import { h } from "./dom.js";
import { isAnswerStep, stepsOf } from "./story.js";
import { findingSentence, scoreText } from "./words.js";

/**
 * @param {ReturnType<typeof import("./story.js").newStory>} story
 * @param {{verifies: boolean}} known
 */
export function draftView(story, { verifies }) {
  const whole = story.steps.length > 0;
  const steps = whole ? story.steps : stepsOf(story.draft);
  const error = story.firstError;
  const findings = story.candidates[0]?.findings ?? [];
  const rows = steps.flatMap((step, index) => {
    const isFirst = error !== null && error.index === index;
    const row = stepRow(story, step, index, {
      isFirst,
      findings: findings.filter((finding) => finding.step === index),
      verified: verifies && whole && story.request.verify !== false,
      writing: !whole && index === steps.length - 1,
    });
    return isFirst ? [badRow(error), row] : [row];
  });
  return h(
    "section.draft",
    { "aria-labelledby": "draft-title" },
    h("h2", { id: "draft-title" }, "The draft"),
    legend(story),
    h("ol.steps", { vars: { "--threshold": error?.threshold ?? 0.5 } }, rows),
    whole && error && error.index === null && h("p.note", {}, noError(story)),
  );
}

function legend(story) {
  const scores = story.scores[0];
  const threshold = story.firstError?.threshold;
  if (!scores || threshold === undefined) return null;
  return h(
    "p.legend",
    {},
    "The number beside a step says how likely it still leads to the right answer. ",
    h("span.tick", { "aria-hidden": "true" }),
    ` Below ${scoreText(threshold)} a step counts as wrong.`,
  );
}

function badRow(error) {
  const by = error.found_by === "sorm" ? "its score is below the threshold" : "a verifier refutes it";
  return h(
    "li.bad",
    { "data-key": "bad" },
    h("span.bad-mark", {}, "[BAD]"),
    h("span", {}, ` First error: ${error.found_by ? by : "marked here"}.`),
  );
}

function stepRow(story, step, index, { isFirst, findings, verified, writing }) {
  const score = story.scores[0]?.[index];
  const threshold = story.firstError?.threshold;
  const wrong = findings.length > 0;
  const low = threshold !== undefined && typeof score === "number" && score < threshold;
  const kinds = [isFirst && "first-error", wrong && "refuted", isAnswerStep(step) && "answer-step"];
  return h(
    ["li.step", ...kinds.filter(Boolean)].join("."),
    { "data-key": `step-${index}` },
    h(
      "div.step-text",
      {},
      h("span.text", {}, markedText(step, findings)),
      writing && h("span.caret", { "aria-hidden": "true" }),
      findings.map((finding) =>
        h("span.verdict.no", {}, h("span.sign", { "aria-hidden": "true" }, "✗ "), findingSentence(finding)),
      ),
      verified && !wrong && step.includes("=") &&
        h("span.verdict.yes", {}, h("span.sign", { "aria-hidden": "true" }, "✓ "), "not refuted"),
    ),
    typeof score === "number" && scoreBar(score, low),
  );
}

/** A score as a bar and a number; words say what the colour says. */
export function scoreBar(score, low, words = low ? "below the threshold" : "above the threshold") {
  const share = Math.min(1, Math.max(0, score));
  return h(
    `div.score${low ? ".low" : ""}`,
    { vars: { "--score": share } },
    h("span.bar", { "aria-hidden": "true" }, h("span.fill")),
    h("span.number", {}, scoreText(score), h("span.unseen", {}, ` of 1, ${words}`)),
  );
}

/** The text of a step with the claims that are refuted marked in it. */
export function markedText(step, findings) {
  const characters = [...step]; // places count characters, not UTF-16 units
  const parts = [];
  let from = 0;
  for (const { start, end } of [...findings].sort((one, other) => one.start - other.start)) {
    if (!(start >= from && end > start)) continue; // overlaps the one before
    parts.push(characters.slice(from, start).join(""));
    parts.push(h("mark.refuted", {}, characters.slice(start, end).join("")));
    from = end;
  }
  parts.push(characters.slice(from).join(""));
  return parts;
}

function noError(story) {
  const scored = story.scores[0];
  const checks = scored ? "No verifier refutes a step, and none scores below the threshold" : "No verifier refutes a step";
  return `${checks}. So there is no first error.`;
}
