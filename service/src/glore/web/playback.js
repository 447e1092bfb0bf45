// The controls of the player.

import { byId } from "./dom.js";
import { Player } from "./player.js";
import { secondsText } from "./words.js";

/** Plays traces onto a stage. */
export class Playback {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this._stage = stage;
    this.player = null;
    this._expected = null;
    byId("play").addEventListener("click", () => this._toggle());
    byId("end").addEventListener("click", () => this.player.finish());
    byId("speed").addEventListener("input", () => this._setSpeed());
  }

  /**
   * Show a trace from its beginning; it plays at once, or stands at its end for those who want
   * no motion.
   * @param {import("./trace.js").Trace} trace
   * @param {{expected?: string | null, words: string}} how
   */
  open(trace, { expected = null, words }) {
    this.close();
    this._expected = expected;
    byId("player").hidden = false;
    byId("player-words").textContent = words;
    this._load(trace);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.player.finish();
    else this.player.play();
  }

  close() {
    this.player?.pause();
    this.player = null;
    byId("player").hidden = true;
  }

  _load(trace) {
    const player = new Player(trace, {
      onEvent: (name, data) => this._note(name, data),
      onChange: () => this._update(),
    });
    this.player = player;
    this._setSpeed();
    this._stage.begin(trace.request, { expected: this._expected, clock: () => player.at });
  }

  _note(name, data) {
    if (!this._stage.story) return;
    try {
      this._stage.note(name, data);
    } catch (error) {
      this._stage.break(error);
      this.close();
    }
  }

  _toggle() {
    if (this.player.playing) this.player.pause();
    else {
      if (this.player.ended) this._load(this.player.trace);
      this.player.play();
    }
  }

  _setSpeed() {
    const speed = Number(byId("speed").value);
    byId("speed-words").textContent = `${speed}x`;
    if (this.player) this.player.speed = speed;
  }

  _update() {
    const { player } = this;
    if (!player) return;
    byId("play").textContent = player.playing ? "Pause" : player.ended ? "Play again" : "Play";
    byId("end").disabled = player.ended;
    const progress = byId("progress");
    progress.value = player.length ? player.at / player.length : 1;
    progress.title = `${secondsText(player.at)} of ${secondsText(player.length)}`;
    this._stage.show();
  }
}
