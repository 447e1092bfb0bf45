// Server-sent events as POST /solve sends them.

/**
 * Each event of a text that comes in pieces: [name, data].
 * @param {AsyncIterable<string> | Iterable<string>} pieces
 * @returns {AsyncGenerator<[string, any]>}
 */
export async function* eventsIn(pieces) {
  let rest = "";
  for await (const piece of pieces) {
    const blocks = (rest + piece.replaceAll("\r", "")).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = eventOf(block);
      if (event) yield event;
    }
  }
  const last = eventOf(rest);
  if (last) yield last;
}

/**
 * The event of one block; null for a comment. Throws SyntaxError for data that is no JSON.
 * @param {string} block
 * @returns {[string, any] | null}
 */
function eventOf(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length ? [name, JSON.parse(data.join("\n"))] : null;
}
