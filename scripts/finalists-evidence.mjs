/**
 * What choosing among trained structures is worth: fixed structures and the search with its finals, at equal epochs, on
 * examples that took no part in training or in the choice. They are held out of the training split; the test split is not read.
 * docs/search.md shows the numbers. Resumable.
 *
 *     npm run build && node scripts/finalists-evidence.mjs docs/results/finalists.jsonl
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";

const dist = process.env.GLORA_DIST ?? new URL("../dist/", import.meta.url).href;
const { createNodeRuntime, digits, fit, imageFolder, openModel } = await import(new URL("index.js", dist).href);
const { rngStream } = await import(new URL("base/rng.js", dist).href);
const { searchFor } = await import(new URL("search/plan.js", dist).href);

const [out = "docs/results/finalists.jsonl"] = process.argv.slice(2);
const [TRAIN, HELD_OUT, VALIDATION] = [300, 600, 200];
const SETS = ["digits", "rsscn7", "gtsrb-8", "shapes-count"];
const epochs = 10;

const only = (kinds) => Object.fromEntries([..."ABCDE"].map((support) => [support, [kinds[support] ?? "none"]]));
const fixed = (kinds, rank, layers) => ({
  preset: "glora",
  forms: only(kinds),
  ranks: [rank],
  ...(layers && { layers }),
  train: { epochs, validateEvery: 1 },
});
const attention = ["*attn*"];
const TRIALS = {
  "LoRA, rank 1": fixed({ B: "lora" }, 1),
  "LoRA, rank 2": fixed({ B: "lora" }, 2),
  SSF: fixed({ A: "vector", D: "vector", E: "vector" }, 1),
  BitFit: fixed({ E: "vector" }, 1),
  "B and E, rank 1": fixed({ B: "lora", E: "vector" }, 1),
  "attention: B, rank 4": fixed({ B: "lora" }, 4, attention),
  "attention: B, rank 5": fixed({ B: "lora" }, 5, attention),
  "attention: B and E, rank 3": fixed({ B: "lora", E: "vector" }, 3, attention),
  "attention: A, B and E, rank 2": fixed({ A: "vector", B: "lora", E: "vector" }, 2, attention),
  "searched GLoRA": {
    preset: "glora",
    rank: 8,
    budget: 32_000,
    train: { epochs: 3 },
    search: searchFor(30, 0),
    further: { epochs: epochs - 3, learningRate: 0.01 },
  },
};

/** Some examples of a split. */
const part = (split, kept) => {
  const among = (indices) => indices.map((i) => kept[i]);
  return {
    size: kept.length,
    labels: Int32Array.from(kept, (i) => split.labels[i]),
    names: kept.map((i) => split.names[i]),
    rows: (i) => split.rows(kept[i]),
    targets: (indices) => split.targets(among(indices)),
    inputs: (indices, o) => split.inputs(among(indices), o),
  };
};

/** The data whose "test" split is held out of the training examples, drawn by the seed. */
function heldOut(base, prepared, seed) {
  const order = (size, name) => rngStream(seed, name).shuffle(Array.from({ length: size }, (_, i) => i));
  const all = order(prepared.train.size, "held out");
  const count = Math.min(TRAIN, Math.round(0.6 * all.length));
  const splits = {
    train: part(prepared.train, all.slice(0, count)),
    validation: part(prepared.validation, order(prepared.validation.size, "validation").slice(0, VALIDATION)),
    test: part(prepared.train, all.slice(count, count + HELD_OUT)),
  };
  return { ...base, prepare: async () => splits };
}

const done = existsSync(out) ? readFileSync(out, "utf8").split("\n").filter(Boolean).map(JSON.parse) : [];
const runtime = await createNodeRuntime({ threads: 1 });
const model = await openModel(new URL("../models/vit-micro", import.meta.url).pathname, { runtime });
const images = new URL("../../shared/data/images/", import.meta.url).pathname;
for (const name of SETS) {
  const base = name === "digits" ? digits() : await imageFolder(`${images}${name}`);
  const prepared = await base.prepare(model.withTask(base.task).input);
  for (const seed of [1, 2])
    for (const [trial, options] of Object.entries(TRIALS)) {
      if (done.some((row) => row.data === name && row.seed === seed && row.trial === trial)) continue;
      const run = await fit(model, heldOut(base, prepared, seed), {
        ...options,
        train: { ...options.train, learningRate: 0.01 },
        maxSeconds: 1e9,
        seed,
      });
      const { parameters, validation, test, search } = run;
      const finalists = search?.finalists?.map(({ candidate, accuracy, loss }) => {
        const { index, origin } = candidate;
        return { candidate: index, origin, parameters: candidate.parameters, accuracy, loss };
      });
      const score = ({ accuracy, loss }) => ({ accuracy, loss });
      const row = {
        data: name,
        seed,
        trial,
        parameters,
        validation: score(validation),
        heldOut: score(test),
        finalists,
      };
      appendFileSync(out, `${JSON.stringify(row)}\n`);
      console.log(name, seed, trial, validation.accuracy.toFixed(3), test.accuracy.toFixed(3));
    }
}
await runtime.dispose();
