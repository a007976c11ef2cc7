import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import type { AdaptedModel } from "../../adapters/adapted-model.js";
import { inference } from "../../adapters/inference.js";
import type { Model } from "../../models/model.js";
import { openModel } from "../../models/open.node.js";
import { noStories, randomAdapter, runtime, stories } from "./generation.fixtures.js";
import { type GenerateOptions, generate, openGenerator, type Prompt, type TextPiece } from "./generator.js";

const openStories = (): Promise<Model> => openModel(stories, { runtime });

async function collect(pieces: AsyncIterable<TextPiece>) {
  const texts: { text: string; tokens: number[]; end: TextPiece["end"] | undefined }[] = [];
  for await (const { prompt, text, token, end } of pieces) {
    texts[prompt] ??= { text: "", tokens: [], end: undefined };
    texts[prompt].text += text;
    if (token !== undefined) texts[prompt].tokens.push(token);
    texts[prompt].end = end;
  }
  return texts;
}

/** Greedy, the whole text again for each token: what a cache must not change. */
async function withoutCache(subject: Model | AdaptedModel, prompt: string, count: number): Promise<number[]> {
  const { model, graph, feeds } = inference(subject);
  if (model.input.kind !== "text") throw new Error("No text model.");
  const ids = Array.from((await model.input.tokenizer()).encode(prompt));
  const start = ids.length;
  const session = await runtime.open(graph);
  for (let i = 0; i < count; i++) {
    const shape = [1, ids.length];
    const inputs = model.feeds({ input_ids: { dtype: "int64", shape, data: BigInt64Array.from(ids, BigInt) } });
    const { logits } = await session.run({ ...inputs, ...feeds });
    const last = (logits!.data as Float32Array).slice(-model.head!.out);
    ids.push(last.indexOf(Math.max(...last)));
  }
  await session.dispose();
  return ids.slice(start);
}

test.skipIf(noStories)("writes what the model without a cache says, base and adapted, packed or not", async () => {
  const model = await openStories();
  const adapted = randomAdapter(model, 3);
  const prompt = "Once upon a time";
  const written: number[][] = [];
  for (const subject of [model, adapted])
    for (const packWeights of [true, false]) {
      const [text] = await collect(generate(subject, [prompt], { maxTokens: 40, packWeights }));
      expect(text!.tokens).toEqual(await withoutCache(subject, prompt, 40));
      expect(text!.end).toBe("length");
      written.push(text!.tokens);
    }
  expect(written[0]).not.toEqual(written[2]); // the adapter acts
});

test.skipIf(noStories)("several prompts at once, one after another, and as pieces of one length", async () => {
  const model = await openStories();
  const prompts = ["Once upon a time", "Lily", "The big dog ran to the park and saw", "Tom and"];
  const o = { maxTokens: 30 };
  const alone = await Promise.all(prompts.map(async (prompt) => (await collect(generate(model, [prompt], o)))[0]));
  expect(await collect(generate(model, prompts, o))).toEqual(alone);
  expect(await collect(generate(model, prompts, { ...o, batchSize: 3 }))).toEqual(alone);
});

test.skipIf(noStories)(
  "a conversation goes on from what is known, and says the same as from the beginning",
  async () => {
    const model = await openStories();
    const fed: number[] = [];
    const counting: Model = {
      ...model,
      runtime: {
        ...runtime,
        open: async (graph, o) => {
          const session = await runtime.open(graph, o);
          return {
            device: session.device,
            dispose: () => session.dispose(),
            run: (feeds, options) => {
              fed.push(feeds["input_ids"]!.data.length);
              return session.run(feeds, options);
            },
          };
        },
      },
    };
    const generator = await openGenerator(counting);
    const [first] = await collect(generator.generate(["Once upon a time"], { maxTokens: 10 }));
    const longer = Int32Array.from([...generator.tokenizer.encode("Once upon a time"), ...first!.tokens, 365, 401]);
    fed.length = 0;
    const [second] = await collect(generator.generate([longer], { maxTokens: 10 }));
    expect(fed[0]).toBe(3); // the last token written, and the two behind it
    await generator.dispose();
    expect(second).toEqual((await collect(generate(model, [longer], { maxTokens: 10 })))[0]);
  },
);

test.skipIf(noStories)("prompts longer than what is read at once", async () => {
  const model = await openStories();
  const longer = { ...model, input: { ...model.input, maxTokens: 4096 } } as Model;
  const prompt = "Once upon a time there was a little girl. ".repeat(50);
  const [text] = await collect(generate(longer, [prompt], { maxTokens: 3 }));
  expect(text!.tokens).toEqual(await withoutCache(model, prompt, 3));
});

const smollm2 = process.env["GLORA_SMOLLM2"];
test.skipIf(!smollm2 || !existsSync(smollm2))(
  "16-bit weights, packed and not: the same text",
  async () => {
    const model = await openModel(smollm2!, { runtime });
    const answers = [];
    for (const packWeights of [true, false]) {
      const prompts: Prompt[] = [[{ role: "user", content: "What is the capital of France?" }]];
      answers.push(await collect(generate(model, prompts, { maxTokens: 20, packWeights })));
    }
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]![0]).toMatchObject({ text: "The capital of France is Paris.", end: "eos" });
  },
  60_000,
);

test.skipIf(noStories)(
  "ends: a stop string in front of which the text ends, the model's own token, its limit",
  async () => {
    const model = await openStories();
    const write = async (o: GenerateOptions, m = model) =>
      (await collect(generate(m, ["Once upon a time"], { maxTokens: 12, ...o })))[0]!;
    const whole = (await write({})).text;
    expect(whole).toContain(" little girl");
    const stopped = await write({ stop: ["xyz", "le girl"] });
    expect(stopped).toMatchObject({ text: whole.slice(0, whole.indexOf("le girl")), end: "stop" });
    const token = (await write({})).tokens[4]!;
    const ending = { ...model, exportSpec: () => ({ config: { eos_token_id: [511, token] } }) };
    const ended = await write({}, ending);
    expect(ended).toMatchObject({ end: "eos", tokens: (await write({})).tokens.slice(0, 5) });
    expect(whole.startsWith(ended.text)).toBe(true);
    const short = { ...model, input: { ...model.input, maxTokens: 8 } } as Model;
    const limited = await write({}, short);
    expect(limited.end).toBe("length");
    expect(limited.tokens.length).toBeLessThan(8);
  },
);

test.skipIf(noStories)("what is drawn comes from the seed", async () => {
  const model = await openStories();
  const draw = async (seed: number) =>
    (await collect(generate(model, ["Once"], { maxTokens: 20, temperature: 1, topP: 0.95, seed })))[0]!.tokens;
  expect(await draw(1)).toEqual(await draw(1));
  expect(await draw(1)).not.toEqual(await draw(2));
});

test.skipIf(noStories)("what cannot be is told", async () => {
  const model = await openStories();
  const write = (prompts: Prompt[], o: GenerateOptions = {}) =>
    collect(generate(model, prompts, { maxTokens: 2, ...o }));
  await expect(write([new Int32Array(0)])).rejects.toThrow("The prompt is empty: there is nothing to go on from.");
  await expect(write([new Int32Array(600).fill(5), "a"])).rejects.toThrow(
    `Prompt 1 has 600 tokens, and ${model.name} is made for 512 at most, new ones included.`,
  );
  await expect(write(["a"], { topP: 0 })).rejects.toThrow("topP must be above 0 and at most 1, not 0.");
  await expect(write(["a"], { stop: [""] })).rejects.toThrow("A stop string must not be empty.");
  await expect(write([[{ role: "user", content: "Hi" }]])).rejects.toThrow("has no chat template");
  const { cache: _, ...encoder } = model;
  await expect(openGenerator(encoder)).rejects.toThrow(`${model.name} is no causal language model`);
  await expect(write(["a"], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });

  const generator = await openGenerator(model);
  const first = generator.generate(["Once"]);
  await first.next();
  await expect(generator.generate(["Twice"]).next()).rejects.toThrow("The generator is writing");
  await first.return(undefined);
  await expect(generator.generate(["Twice"]).next()).resolves.toHaveProperty("value");
  await generator.dispose();
});
