// What was done when, what it cost, and what the draft alone would have cost.

import { h } from "./dom.js";
import { counted, secondsText, stageName } from "./words.js";

/** @param {ReturnType<typeof import("./story.js").newStory>} story */
export function timelineView(story) {
  const { answer } = story;
  if (!answer) return null;
  const { usage } = answer;
  const end = Math.max(usage.seconds, ...usage.stages.map((each) => each.started + each.seconds), 0.001);
  return h(
    "section.timeline",
    { "aria-labelledby": "timeline-title" },
    h("h2", { id: "timeline-title" }, "Time and cost"),
    h("p.cost", {}, costSentence(answer), " ", alone(answer)),
    h(
      "ol.stages",
      {},
      usage.stages.map((each, place) =>
        h(
          "li.stage",
          {},
          h("span.stage-name", {}, nameOf(usage.stages, place)),
          h(
            "span.track",
            { "aria-hidden": "true", vars: { "--from": each.started / end, "--share": each.seconds / end } },
            h("span.span"),
          ),
          h("span.stage-cost", {}, stageCost(each)),
        ),
      ),
    ),
  );
}

/** What a stage did: the student writes the draft first, and samples afterwards. */
function nameOf(stages, place) {
  const { stage } = stages[place];
  const first = stages.findIndex((each) => each.stage === "draft");
  return stage === "draft" && place > first ? "Sample" : stageName(stage);
}

function stageCost({ seconds, engine_calls: calls, generated_tokens: tokens, prompt_tokens: read }) {
  const written = tokens ? counted(tokens, "token") : `${read.toLocaleString("en")} read`;
  return `${secondsText(seconds)}, ${written}${calls === 1 ? "" : `, ${counted(calls, "call")}`}`;
}

function costSentence({ usage, rounds }) {
  const calls = counted(usage.engine_calls, "engine call");
  const tokens = counted(usage.generated_tokens, "generated token");
  const more = rounds > 1 ? ` in ${rounds} rounds` : "";
  return `The answer took ${secondsText(usage.seconds)}, ${calls} and ${tokens}${more}.`;
}

/** The cost of the draft alone; samples are drawn in its call, so then its share of the text. */
function alone({ usage, candidates, strategy }) {
  const drafts = usage.stages.filter((each) => each.stage === "draft");
  const calls = usage.stages.length;
  if (!drafts.length || calls <= 1 && strategy !== "best_of_n") return "That is the draft alone.";
  const [first] = drafts;
  const together = strategy === "best_of_n" ? candidates : candidates.slice(0, 1);
  const text = together.reduce((sum, each) => sum + each.solution.length, 0);
  const share = text ? candidates[0].solution.length / text : 1;
  const tokens = Math.round(first.generated_tokens * share);
  const about = share < 1 ? "about " : "";
  const times = tokens ? usage.generated_tokens / tokens : 0;
  const ratio = times >= 1.05 ? ` The whole took ${times.toFixed(1)} times the tokens.` : "";
  const time = share < 1 ? "" : `${secondsText(first.seconds)} and `;
  return `The draft alone would have taken ${time}${about}${counted(tokens, "token")}.${ratio}`;
}
