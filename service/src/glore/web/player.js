// Plays the events of a trace at the times they came, or faster.

/** One trace that is being played. Events are handed over in order, each once. */
export class Player {
  /**
   * @param {import("./trace.js").Trace} trace
   * @param {{onEvent: (name: string, data: any) => void, onChange: () => void}} listeners
   */
  constructor(trace, { onEvent, onChange }) {
    this.trace = trace;
    this.speed = 1;
    this.at = 0; // seconds of the recording
    this.playing = false;
    this._next = 0;
    this._onEvent = onEvent;
    this._onChange = onChange;
    this._timer = 0;
    this._last = 0;
  }

  /** Seconds of the whole recording. */
  get length() {
    return this.trace.events.at(-1)?.[0] ?? 0;
  }

  get ended() {
    return this._next >= this.trace.events.length;
  }

  play() {
    if (this.playing || this.ended) return;
    this.playing = true;
    this._last = performance.now();
    this._timer = setInterval(() => this._advance(), 33);
    this._onChange();
  }

  pause() {
    clearInterval(this._timer);
    this.playing = false;
    this._onChange();
  }

  /** Hand over all that is left, at once. */
  finish() {
    this._until(this.length);
    this.pause();
  }

  _advance() {
    const now = performance.now();
    const at = this.at + ((now - this._last) / 1000) * this.speed;
    this._last = now;
    this._until(at);
    if (this.ended) this.pause();
  }

  _until(at) {
    this.at = Math.min(at, this.length);
    const { events } = this.trace;
    while (!this.ended && events[this._next][0] <= at) {
      const [, name, data] = events[this._next];
      this._next += 1;
      this._onEvent(name, data);
    }
    this._onChange();
  }
}
