// The same question for programs. A key is never written out: it comes from the environment.

const KEY = "GLORE_API_KEY";

/**
 * @param {object} request the body of POST /solve
 * @param {string} base the gateway's address, without a slash at its end
 * @param {{asks_for_a_key: boolean, strategy: string}} settings the gateway's
 * @returns {{name: string, code: string}[]}
 */
export function snippets(request, base, settings) {
  return [
    { name: "curl", code: curl(request, base, settings.asks_for_a_key) },
    { name: "Python", code: python(request, base) },
    { name: "OpenAI client", code: openai(request, base, settings) },
  ];
}

/** In single quotes for a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(request, base, needsKey) {
  const lines = [`curl -sS ${quoted(`${base}/solve`)}`, `-H 'Content-Type: application/json'`];
  if (needsKey) lines.push(`-H "Authorization: Bearer $${KEY}"`);
  lines.push(`-d ${quoted(JSON.stringify(request))}`);
  return lines.join(" \\\n  ");
}

/** A value as Python writes it; JSON's strings are Python's too. */
function literal(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  return value === null ? "None" : JSON.stringify(value);
}

function python({ question, ...options }, base) {
  const given = Object.entries(options).map(([name, value]) => `    ${name}=${literal(value)},\n`);
  return `from glore_client import Client  # reads ${KEY}

with Client(${literal(base)}) as client:
    result = client.solve(
        ${literal(question)},
${given.map((line) => `    ${line}`).join("")}    )
print(result)`;
}

function openai({ question, strategy, ...options }, base, settings) {
  const model = (strategy ?? settings.strategy).replaceAll("_", "-");
  const items = Object.entries(options).map(([name, value]) => `${literal(name)}: ${literal(value)}`);
  const extra = items.length ? `    extra_body={"glore": {${items.join(", ")}}},\n` : "";
  const key = settings.asks_for_a_key ? `os.environ["${KEY}"]` : literal("none");
  return `${settings.asks_for_a_key ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${literal(`${base}/v1`)}, api_key=${key})
completion = client.chat.completions.create(
    model=${literal(model === "glore" ? model : `glore-${model}`)},
    messages=[{"role": "user", "content": ${literal(question)}}],
${extra})
print(completion.choices[0].message.content)`;
}
