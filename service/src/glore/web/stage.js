// The story on the page: everything below the question box.

import { byId, h, morph } from "./dom.js";
import { draftView } from "./draft-view.js";
import { refinementsView } from "./refinement-view.js";
import { answerView, candidatesView } from "./result-view.js";
import { newStory, note } from "./story.js";
import { timelineView } from "./timeline-view.js";
import { nowSentence, problemSentences, secondsText } from "./words.js";

/** Shows one story at a time, at most once a frame. */
export class Stage {
  /** @param {{verifies: boolean}} settings the gateway's */
  constructor(settings) {
    this._settings = settings;
    this._frame = 0;
    this.story = null;
    this._expected = null;
    this._clock = () => 0;
  }

  /**
   * Begin a story.
   * @param {object} request
   * @param {{expected?: string | null, clock: () => number}} how `clock` gives its seconds
   */
  begin(request, { expected = null, clock }) {
    this.story = newStory(request);
    this._expected = expected;
    this._clock = clock;
    byId("message").replaceChildren();
    byId("story").hidden = false;
    this.show();
  }

  /** Take in an event. Throws where it is not as the gateway would send it. */
  note(name, data) {
    note(this.story, name, data);
    this.show();
  }

  show() {
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      try {
        this._render();
      } catch (error) {
        this.break(error);
      }
    });
  }

  /** Say that what was opened or sent cannot be shown. @param {Error} error */
  break(error) {
    this.story = null;
    byId("story").hidden = true;
    this.fail({ title: "The page could not show this answer.", detail: String(error.message) });
  }

  /** Say in words why there is no answer. @param {Record<string, any>} problem */
  fail(problem) {
    const id = typeof problem.request_id === "string" ? problem.request_id : null;
    byId("message").replaceChildren(
      h(
        "div.problem",
        {},
        problemSentences(problem).map((sentence) => h("p", {}, sentence)),
        id && h("p.note", {}, `Request ${id}`),
      ),
    );
    if (this.story && !this.story.answer) this.story.now = "";
    this.show();
  }

  /** Say something that is no error. @param {string} sentence */
  tell(sentence) {
    byId("message").replaceChildren(h("p.told", {}, sentence));
  }

  _render() {
    const { story } = this;
    if (!story) return;
    byId("asked").textContent = story.request.question ?? "";
    byId("now").textContent = story.answer ? "" : nowSentence(story.now);
    byId("now").dataset.seconds = story.answer ? "" : secondsText(this._clock());
    slot("slot-answer", answerView(story, this._expected));
    slot("slot-draft", story.draft ? draftView(story, this._settings) : null);
    slot("slot-refinements", refinementsView(story));
    slot("slot-candidates", candidatesView(story));
    slot("slot-timeline", timelineView(story));
    if (!story.answer && story.now) this.show(); // the clock goes on
  }
}

/** Bring one place of the page in line with what it should show. */
function slot(id, fresh) {
  const place = byId(id);
  const old = place.firstElementChild;
  if (!fresh) place.replaceChildren();
  else if (old) morph(old, fresh);
  else place.append(fresh);
}
