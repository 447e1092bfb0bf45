// Elements as plain values: views make new ones, `morph` brings the page in line with them.
// Text is set as text nodes alone, so what a model wrote can never become markup.

/**
 * Make an element.
 * @param {string} name its tag, with classes behind dots, as "p.note"
 * @param {Record<string, unknown>} attributes false and null leave one out; `on` holds listeners,
 *   `vars` CSS variables
 * @param {...(Node | string | null | false | undefined | Array)} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (key === "vars") {
      for (const [variable, given] of Object.entries(value)) element.style.setProperty(variable, given);
    } else {
      element.setAttribute(key, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child || child === 0).map(asNode));
  return element;
}

/** @param {unknown} child */
function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(visible(String(child)));
}

// Control and bidirectional characters could make a text look like another one.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * A text with what would not show, or change what shows, replaced by its escape.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(HIDDEN, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Make `old` look as `fresh` does, and keep the nodes that are the same: focus, selection and
 * animations stay. Listeners of kept elements stay those of `old`.
 * @param {Element} old
 * @param {Element} fresh
 */
export function morph(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (name !== "style" && name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  // The policy of the page forbids style attributes and allows this.
  if (old.style.cssText !== fresh.style.cssText) old.style.cssText = fresh.style.cssText;
  const wanted = [...fresh.childNodes];
  wanted.forEach((child, place) => {
    const there = old.childNodes[place];
    if (!there) old.append(child);
    else if (there.nodeType === Node.TEXT_NODE && child.nodeType === Node.TEXT_NODE) {
      if (there.data !== child.data) there.data = child.data;
    } else if (isSame(there, child)) morph(there, child);
    else there.replaceWith(child);
  });
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

/**
 * Whether one node can become the other: elements of one tag with one `data-key`.
 * @param {Node} old
 * @param {Node} fresh
 */
function isSame(old, fresh) {
  return (
    old instanceof Element &&
    fresh instanceof Element &&
    old.tagName === fresh.tagName &&
    old.getAttribute("data-key") === fresh.getAttribute("data-key")
  );
}

/**
 * The element with this id; the page has it.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}
