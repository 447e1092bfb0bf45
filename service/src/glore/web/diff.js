// Which words of a text are new against an older one.

const MOST_WORDS = 600; // of either text; beyond that nothing is marked

/** @param {string} text words, each with the white space behind it @returns {string[]} */
const wordsOf = (text) => text.match(/\S+\s*|\s+/g) ?? [];

/**
 * `text` in runs of words that the older text has in the same order, and others.
 * @param {string} old
 * @param {string} text
 * @returns {{text: string, changed: boolean}[]}
 */
export function changes(old, text) {
  const before = wordsOf(old);
  const after = wordsOf(text);
  if (Math.max(before.length, after.length) > MOST_WORDS) return [{ text, changed: false }];
  const shared = sharedOf(before.map(trimmed), after.map(trimmed));
  const runs = [];
  after.forEach((word, index) => {
    const changed = !shared.has(index);
    if (runs.at(-1)?.changed === changed) runs.at(-1).text += word;
    else runs.push({ text: word, changed });
  });
  return runs;
}

/** @param {string} word */
const trimmed = (word) => word.trim();

/** Indices of `after` that are in a longest common subsequence with `before`. */
function sharedOf(before, after) {
  const width = after.length + 1;
  const longest = new Uint16Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      longest[i * width + j] =
        before[i] === after[j]
          ? longest[(i + 1) * width + j + 1] + 1
          : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const shared = new Set();
  for (let i = 0, j = 0; i < before.length && j < after.length; ) {
    if (before[i] === after[j]) {
      shared.add(j);
      i++;
      j++;
    } else if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
    else j++;
  }
  return shared;
}
