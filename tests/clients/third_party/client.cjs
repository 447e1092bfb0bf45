// The Node client of OpenAI, used as its documentation shows; prints what it saw as JSON.
const { writeFileSync } = require("node:fs");
const OpenAI = require("openai");

const { GATEWAY, GATEWAY_WITHOUT_ENGINE, GATEWAY_KEY, OWN_MODEL } = process.env;
const messages = [
  { role: "user", content: "Tom has 3 boxes with 12 pens each. How many pens has he?" },
];

function client(baseURL = `${GATEWAY}/v1`, apiKey = GATEWAY_KEY, maxRetries = 0) {
  return new OpenAI({ baseURL, apiKey, maxRetries });
}

function ask(to, changes = {}) {
  return to.chat.completions.create({ model: "glore", messages, ...changes });
}

async function caught(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.message];
  }
  return ["nothing", ""];
}

async function read(changes) {
  let text = "";
  let usage = null;
  for await (const chunk of await ask(client(), { stream: true, ...changes })) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return [text, usage?.completion_tokens];
}

async function main() {
  const whole = await ask(client(), { seed: 7, temperature: 0.7, user: "me" });
  const [stream, streamedUsage] = await read({ stream_options: { include_usage: true } });
  const helper = await client().chat.completions.stream({ model: "glore", messages }).finalContent();
  const half = [{ role: "user", content: "emoji \ud83d" }];
  return {
    answer: (await ask(client())).choices[0].message.content,
    stream,
    helper,
    usage: [whole.usage.completion_tokens, streamedUsage],
    ignored: whole.glore.ignored,
    models: (await client().models.list()).data.map((model) => model.id),
    "wrong model": await caught(() => ask(client(), { model: "gpt-5" })),
    "too long": await caught(() =>
      ask(client(), { messages: [{ role: "user", content: "x".repeat(20_001) }] }),
    ),
    invalid: await caught(() => ask(client(), { n: 2 })),
    "half a character": await caught(() => ask(client(), { messages: half })),
    "wrong key": await caught(() => ask(client(undefined, "wrong"))),
    "no engine": await caught(() =>
      ask(client(`${GATEWAY_WITHOUT_ENGINE}/v1`, GATEWAY_KEY, 1), { model: OWN_MODEL }),
    ),
    "without /v1": await caught(() => ask(client(GATEWAY))),
    "/v1 twice": await caught(() => ask(client(`${GATEWAY}/v1/v1`))),
  };
}

main().then((observed) => writeFileSync(process.argv[2], JSON.stringify(observed)));
