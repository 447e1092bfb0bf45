// The answer, why it won, and all candidates with their scores.

import { h } from "./dom.js";
import { scoreBar } from "./draft-view.js";
import { candidateNames, capital, counted, degradedSentence, findingSentence, scoreText } from "./words.js";

/**
 * @param {ReturnType<typeof import("./story.js").newStory>} story
 * @param {string | null} expected the right answer, where it is known
 */
export function answerView(story, expected) {
  const { answer, selected } = story;
  if (!selected) return null;
  const winner = story.candidates[selected.candidate];
  if (!winner) return null;
  return h(
    "section.answer",
    { "aria-labelledby": "answer-title" },
    h("h2", { id: "answer-title" }, "The answer"),
    h(
      "p.answer-line",
      {},
      winner.answer === null
        ? h("span.no-answer", {}, "No answer is stated.")
        : h("output.big", {}, winner.answer),
      expected !== null && verdictOnAnswer(winner.answer, expected),
    ),
    h("p.why", {}, selected.explanation),
    winner.finish_reason === "length" && h("p.warning", {}, "The text was cut off at the limit on tokens."),
    story.candidates.every((each) => each.findings.length) &&
      h("p.warning", {}, refutedSentence(story.candidates.length)),
    (answer?.degraded ?? []).map((each) => h("p.warning", {}, degradedSentence(each))),
  );
}

/** What to think of an answer where no candidate is left. @param {number} count */
function refutedSentence(count) {
  const all = count > 1 ? "every candidate, this answer too" : "this answer";
  return `A verifier refutes ${all}: do not rely on it.`;
}

function verdictOnAnswer(answer, expected) {
  const right = answer === expected;
  const text = right ? "✓ right" : `✗ wrong: the right answer is ${expected}`;
  return h(`span.checked.${right ? "yes" : "no"}`, {}, text);
}

/** @param {ReturnType<typeof import("./story.js").newStory>} story */
export function candidatesView(story) {
  const { answer, selected, candidates } = story;
  if (!answer || candidates.length < 2) return null;
  const names = candidateNames(candidates);
  const first = new Map();
  candidates.forEach(({ solution }, place) => first.has(solution) || first.set(solution, place));
  return h(
    "section.candidates",
    { "aria-labelledby": "candidates-title" },
    h("h2", { id: "candidates-title" }, "The candidates"),
    h(
      "ol.ranking",
      {},
      candidates.map((candidate, place) =>
        row(candidate, {
          name: names[place],
          won: place === selected.candidate,
          twin: first.get(candidate.solution) < place ? names[first.get(candidate.solution)] : null,
        }),
      ),
    ),
    marginSentences(answer).map((sentence) => h("p.note", {}, sentence)),
  );
}

function row(candidate, { name, won, twin }) {
  const refuted = candidate.findings.length > 0;
  return h(
    `li.candidate${won ? ".won" : ""}${refuted ? ".out" : ""}`,
    {},
    h("span.candidate-name", {}, capital(name), won && h("span.winner", {}, " won")),
    h("span.candidate-answer", {}, candidate.answer ?? "no answer"),
    h(
      "span.candidate-score",
      {},
      typeof candidate.outcome_score === "number"
        ? scoreBar(candidate.outcome_score, false, "outcome score")
        : h("span.note", {}, "not scored"),
    ),
    h(
      "span.candidate-verdict",
      {},
      refuted && h("span.verdict.no", {}, `✗ refuted: ${findingSentence(candidate.findings[0])}`),
      refuted && candidate.findings.length > 1 && ` and ${counted(candidate.findings.length - 1, "more error")}`,
      candidate.finish_reason === "stopped" && ", stopped there",
      refuted && twin && ". ",
      twin && h("span.note", {}, `The same text as the ${twin}.`),
    ),
  );
}

/** By how much the winner leads, in words. */
function marginSentences(answer) {
  const { candidates, selected } = answer;
  const winner = candidates[selected.candidate];
  const score = winner.outcome_score;
  if (typeof score !== "number") return [];
  const others = candidates.filter(
    (each) => each.solution !== winner.solution && typeof each.outcome_score === "number",
  );
  const ranked = others.filter((each) => !each.findings.length || winner.findings.length);
  const sentences = [];
  if (ranked.length) {
    const second = Math.max(...ranked.map((each) => each.outcome_score));
    sentences.push(`Margin over the next different text: ${scoreText(score - second)}.`);
  }
  const draft = candidates[0].outcome_score;
  if (selected.candidate !== 0 && typeof draft === "number") {
    sentences.push(`Margin over the draft: ${scoreText(score - draft)}.`);
  }
  const beaten = others.filter((each) => each.outcome_score > score && each.findings.length).length;
  if (beaten && !winner.findings.length) {
    sentences.push("A refuted candidate ranks last, whatever its score.");
  }
  return sentences;
}
