// What the page asks its gateway. Paths are relative, so that a proxy may put it below a prefix.

import { eventsIn } from "./sse.js";

/** What a problem (RFC 9457) says, or a sentence where there was none. */
export class AskError extends Error {
  /** @param {{status?: number, title?: string, detail?: string, [name: string]: any}} problem */
  constructor(problem) {
    super(problem.detail ?? problem.title ?? "");
    this.problem = problem;
  }
}

/**
 * Ask a question; `onEvent` gets the name and the data of each event as it comes.
 * Throws AskError; an AbortError when `signal` says so.
 * @param {object} request the body of POST /solve
 * @param {{key: string, signal: AbortSignal, onEvent: (name: string, data: any) => void}} how
 */
export async function ask(request, { key, signal, onEvent }) {
  const headers = { "Content-Type": "application/json", Accept: "text/event-stream" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const body = JSON.stringify(request);
  const response = await connected(fetch("solve", { method: "POST", headers, body, signal }));
  if (!response.ok) throw new AskError(await problemIn(response));
  let last = "";
  for await (const [name, data] of eventsIn(textOf(response))) {
    if (name === "error") throw new AskError(data);
    onEvent(name, data);
    last = name;
  }
  if (last !== "done") throw new AskError({ title: "The stream ended before the answer was there." });
}

/**
 * The text of a response in pieces. Who stops reading closes the connection.
 * @param {Response} response
 */
async function* textOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { value, done } = await connected(reader.read());
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * What a promise of the network gives. Throws AskError when the connection is lost.
 * @template Value
 * @param {Promise<Value>} promise
 */
async function connected(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new AskError({ title: "The connection to the gateway broke off." });
  }
}

/** @param {Response} response */
async function problemIn(response) {
  try {
    return { status: response.status, ...(await response.json()) };
  } catch {
    return { status: response.status, title: `The gateway answered with status ${response.status}.` };
  }
}

/**
 * What /readyz says; `status` is "unreachable" when nothing answers.
 * @returns {Promise<{status: string, engines: Record<string, string>}>}
 */
export async function readiness() {
  try {
    const response = await fetch("readyz", { cache: "no-store" });
    const { status = "unreachable", engines = {} } = await response.json();
    return { status, engines };
  } catch {
    return { status: "unreachable", engines: {} };
  }
}

/**
 * A JSON file of the page.
 * @param {string} name
 */
export async function file(name) {
  const response = await fetch(`page/${name}`);
  if (!response.ok) throw new Error(`${name}: status ${response.status}`);
  return response.json();
}
