// What a visitor takes along: links, traces, code.

import { byId, h } from "./dom.js";
import { snippets } from "./snippets.js";

/** The address of the gateway, without a slash at its end. */
const base = () => new URL(".", location.href).href.replace(/\/$/, "");

/**
 * Copy a text and say so. Where a browser forbids it, the text is marked for copying by hand.
 * @param {string} text
 * @param {Element | null} shown where the text stands on the page
 */
export async function copy(text, shown = null) {
  const said = byId("said");
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied.";
    return true;
  } catch {
    if (shown) getSelection().selectAllChildren(shown);
    said.textContent = "The browser does not let the page copy. The text is marked: press Ctrl+C.";
    return false;
  }
}

/** Offer a text as a file. @param {string} name @param {string} text */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Let a button say for a moment that it has done its work. @param {Element} button */
export function confirm(button, done = "Copied") {
  const before = button.dataset.label ?? button.textContent;
  button.dataset.label = before;
  button.textContent = done;
  setTimeout(() => (button.textContent = before), 1500);
}

/**
 * Show how a program asks the same.
 * @param {object} request
 * @param {{asks_for_a_key: boolean, strategy: string}} settings the gateway's
 */
export function showSnippets(request, settings) {
  const parts = snippets(request, base(), settings).map(({ name, code }) => {
    const shown = h("pre", { tabindex: "0", "aria-label": `${name} code` }, h("code", {}, code));
    const button = h("button.copy", { type: "button", "aria-label": `Copy as ${name}` }, "Copy");
    button.addEventListener("click", async () => {
      if (await copy(code, shown)) confirm(button);
    });
    return h("details.snippet", {}, h("summary", {}, name), h("div.code", {}, button, shown));
  });
  byId("snippets").replaceChildren(...parts);
}
