/** Log-likelihoods of a real LLaMA against lm-evaluation-harness on PyTorch: scripts/fixtures/lm-eval.py. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adaptedGraph } from "../../adapters/adapted-graph.js";
import { type AdaptedModel, fixedModel, supernet, trainableFeeds } from "../../adapters/adapted-model.js";
import { presetSpace } from "../../adapters/presets.js";
import { drawGenome } from "../../adapters/space.js";
import type { Genome } from "../../adapters/structure.js";
import { GloraError } from "../../base/errors.js";
import { rngStream } from "../../base/rng.js";
import type { Model } from "../../models/model.js";
import { openModel } from "../../models/open.node.js";
import { adapting } from "./adapting.js";
import { type ModelScorer, modelScorer, rollingWindows } from "./language-scorer.js";
import type { LikelihoodRequest } from "./prompts.js";

interface Fixture {
  readonly maxLength: number;
  readonly cases: readonly {
    readonly name: string;
    readonly requests: readonly LikelihoodRequest[];
    readonly expected: readonly (readonly [value: number, greedy: boolean][])[];
  }[];
  readonly rolling: readonly [text: string, value: number][];
  readonly windows: readonly [count: number, length: number, windows: [number[], number[]][]][];
}
const fixture = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/lm-eval/likelihoods.fixtures.json", import.meta.url), "utf8"),
) as Fixture;
const folder = fileURLToPath(new URL("../../../../shared/data/models/stories260K-hf", import.meta.url));

test.each(fixture.windows)("windows of %i tokens, %i at a time", (count, length, expected) => {
  const tokens = Array.from({ length: count }, (_, i) => i + 1);
  const found = rollingWindows(tokens, 0, length).map(({ window, predicted }) => [
    window.slice(0, -predicted),
    window.slice(-predicted),
  ]);
  expect(found).toEqual(expected);
});

// The models are not part of the project.
describe.skipIf(!existsSync(folder))("stories260K (skipped where ../shared/data is missing)", () => {
  let model: Model;
  let scorer: ModelScorer;
  beforeAll(async () => {
    model = await openModel(folder);
    scorer = await modelScorer(model);
  });
  afterAll(async () => {
    await scorer.dispose();
    await model.runtime.dispose();
  });

  test("its longest input is the harness's", () => expect(scorer.maxLength).toBe(fixture.maxLength));

  // Both compute in float32, in other orders: 1e-6 of a sum that reaches −300, and some 1e-5 for small ones.
  const tolerance = (value: number): number => 5e-5 + 1e-6 * Math.abs(value);

  test.each(fixture.cases)("$name", async ({ requests, expected }) => {
    const answered: number[] = [];
    const found = await scorer.logLikelihoods(requests, { onResult: (index) => answered.push(index) });
    expect(answered.sort((a, b) => a - b)).toEqual([...requests.keys()]);
    for (const [i, answers] of expected.entries())
      for (const [k, [value, greedy]] of answers.entries()) {
        const { logLikelihood, greedy: ours } = found[i]![k]!;
        expect(Math.abs(logLikelihood - value)).toBeLessThan(tolerance(value));
        expect(ours).toBe(greedy);
      }
  });

  test("all at once, a few at a time, and each alone give the same", async () => {
    const requests = fixture.cases.flatMap((one) => one.requests);
    const expected = fixture.cases.flatMap((one) => one.expected).flat();
    for (const batchSize of [undefined, 3, 1]) {
      const some = await modelScorer(model, { batchSize });
      const found = (await some.logLikelihoods(requests)).flat();
      await some.dispose();
      found.forEach(({ logLikelihood }, i) => {
        expect(Math.abs(logLikelihood - expected[i]![0])).toBeLessThan(tolerance(expected[i]![0]));
      });
    }
  });

  test.each(fixture.rolling)("a text as a whole: %.20s", async (text, expected) => {
    const progress: number[] = [];
    const found = await scorer.rolling(text, { onProgress: (done) => progress.push(done) });
    expect(Math.abs(found - expected)).toBeLessThan(tolerance(expected));
    expect(progress.at(-1) ?? 0).toBeGreaterThanOrEqual(text === "" ? 0 : 1);
  });

  test("a continuation without a token is refused", async () => {
    const asked = scorer.logLikelihoods([{ context: "a", continuations: [" b", ""] }]);
    await expect(asked).rejects.toThrow('"" has 0 tokens behind its context; between 1 and 512 can be scored.');
  });

  test("an aborted call stops", async () => {
    const signal = AbortSignal.abort();
    await expect(scorer.logLikelihoods(fixture.cases[0]!.requests, { signal })).rejects.toThrow(GloraError);
  });

  /** Σ log p from the logits of the whole text, by the graph that trains: no cache, no batch. */
  async function direct(adapted: AdaptedModel, genome: Genome | undefined, context: string, text: string) {
    const before = scorer.tokenizer.encode(context);
    const ids = scorer.tokenizer.encode(context + text);
    const graph = adaptedGraph(model, { layout: adapted.layout, head: "frozen" });
    const session = await model.runtime.open(graph);
    const input = { dtype: "int64", shape: [1, ids.length], data: BigInt64Array.from(ids, BigInt) } as const;
    const outputs = await session.run({ ...model.feeds({ input_ids: input }), ...trainableFeeds(adapted, genome) });
    await session.dispose();
    const logits = outputs["logits"]!.data as Float32Array;
    const width = model.head!.out;
    let sum = 0;
    for (let at = before.length; at < ids.length; at++) {
      const row = logits.subarray((at - 1) * width, at * width);
      sum += row[ids[at]!]! - Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
    }
    return sum;
  }

  const rng = rngStream(3, "adapter");
  const space = () => presetSpace("glora", model.layers, { rank: 2 });
  const shaken = (adapted: AdaptedModel): AdaptedModel => {
    for (let i = 0; i < adapted.parameters.length; i++) adapted.parameters[i]! += 0.02 * rng.normal();
    return adapted;
  };

  test.each(["fixed", "supernet"] as const)("a %s adapter acts on contexts and continuations alike", async (kind) => {
    const genome = drawGenome(space(), rng);
    const adapted = shaken(kind === "fixed" ? fixedModel(model, space(), genome, rng) : supernet(model, space(), rng));
    const chosen = kind === "fixed" ? undefined : genome;
    const some = await modelScorer(model, { adapter: adapting(adapted, () => chosen) });
    const request = { context: "Once upon a time, there was", continuations: [" a little girl named Lily.", " x"] };
    const [found] = await some.logLikelihoods([request]);
    const [plain] = await scorer.logLikelihoods([request]);
    await some.dispose();
    for (const [i, text] of request.continuations.entries()) {
      const expected = await direct(adapted, chosen, request.context, text);
      expect(Math.abs(found![i]!.logLikelihood - expected)).toBeLessThan(1e-4);
      expect(Math.abs(plain![i]!.logLikelihood - expected)).toBeGreaterThan(0.01); // the adapter does something
    }
  });
});
