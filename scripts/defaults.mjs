// Chooses the default training settings on validation splits: a grid of learning rates for every method, and what the
// searched GLoRA's own settings bring. Resumable: results that are in the file are not computed again.
//
//     node scripts/defaults.mjs [--data digits,../shared/data/images/rsscn7] [--seeds 2] [--out docs/results/defaults.json]
//
// docs/defaults.md says what was concluded.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { parseArgs } from "node:util";
import { digits, fit, imageFolder, openModel } from "../dist/index.js";

const { values } = parseArgs({
  options: {
    data: { type: "string", default: "digits,../shared/data/images/rsscn7" },
    model: { type: "string", default: "models/vit-micro" },
    seeds: { type: "string", default: "2" },
    epochs: { type: "string", default: "10" },
    out: { type: "string", default: "docs/results/defaults.json" },
  },
});
const epochs = Number(values.epochs);
const BUDGET = 31_104; // SSF's count on vit-micro
const SEARCH = { population: 15, generations: 3, parents: 5, mutants: 7, crossovers: 7 };

/** Every trial by name: what `fit` is told. Searched trials spend the same number of epochs in two parts. */
const trials = new Map();
for (const learningRate of [1e-3, 3e-3, 1e-2, 3e-2])
  for (const preset of ["linear", "bitfit", "ssf", "vpt", "lora", "hira"])
    trials.set(`${preset} lr ${learningRate}`, { preset, rank: 1, train: { epochs, learningRate } });
const searched = (name, { share = 0.5, rate = 3e-3, further = 1, rank = 4, ...train }) => {
  const first = Math.round(share * epochs);
  trials.set(`glora ${name}`, {
    preset: "glora",
    rank,
    budget: BUDGET,
    train: { epochs: first, learningRate: rate, ...train },
    search: SEARCH,
    further: { epochs: epochs - first, learningRate: rate * further },
  });
};
for (const rate of [1e-3, 3e-3, 1e-2]) searched(`lr ${rate}`, { rate });
for (const further of [0.3, 3]) searched(`lr 0.003, further ${further}×`, { further });
for (const share of [0.3, 0.7]) searched(`lr 0.003, further 3×, share ${share}`, { further: 3, share });
searched("lr 0.01, further 1×, share 0.3", { rate: 1e-2, share: 0.3 });
for (const rank of [1, 2, 8]) searched(`lr 0.003, further 3×, rank ${rank}`, { further: 3, rank });
searched("lr 0.003, further 3×, vectors 3×", { further: 3, rateFactors: { vector: 3, scalar: 3 } });
searched("lr 0.003, further 3×, low rank 0.3×", { further: 3, rateFactors: { lora: 0.3 } });
searched("lr 0.003, further 3×, skip undrawn", { further: 3, undrawn: "skip" });

const results = existsSync(values.out) ? JSON.parse(readFileSync(values.out, "utf8")) : [];
mkdirSync(dirname(values.out), { recursive: true });
const model = await openModel(values.model);
for (let seed = 0; seed < Number(values.seeds); seed++)
  for (const source of values.data.split(","))
    for (const [trial, options] of trials) {
      const data = basename(source);
      if (results.some((r) => r.trial === trial && r.data === data && r.seed === seed)) continue;
      const dataset = source === "digits" ? digits() : await imageFolder(source);
      const start = performance.now();
      const { validation, test, parameters, search } = await fit(model, dataset, { ...options, seed });
      results.push({
        trial,
        data,
        seed,
        parameters,
        validation: { accuracy: validation.accuracy, loss: validation.loss },
        test: { accuracy: test.accuracy, loss: test.loss },
        ...(search && { inherited: search.best.accuracy }),
        seconds: Math.round((performance.now() - start) / 1000),
      });
      writeFileSync(values.out, `${JSON.stringify(results, null, 1)}\n`);
      console.log(data, seed, trial, validation.accuracy.toFixed(3), validation.loss.toFixed(3));
    }
await model.runtime.dispose();
