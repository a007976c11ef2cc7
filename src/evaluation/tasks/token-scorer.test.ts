/** Batches, shared beginnings and branches against one text at a time through the graph that trains. */
import { expect, test } from "vitest";
import { adaptedGraph } from "../../adapters/adapted-graph.js";
import { rngStream } from "../../base/rng.js";
import type { Model } from "../../models/model.js";
import { openModel } from "../../models/open.node.js";
import { type TokenRequest, tokenScorer } from "./token-scorer.js";

/** log p of the tokens behind the context: the whole text in one pass, without a cache. */
async function direct(model: Model, context: readonly number[], continuation: readonly number[]): Promise<number> {
  const ids = [...context, ...continuation];
  const session = await model.runtime.open(adaptedGraph(model, { head: "frozen" }));
  const input = { dtype: "int64", shape: [1, ids.length], data: BigInt64Array.from(ids, BigInt) } as const;
  const { logits } = await session.run(model.feeds({ input_ids: input }));
  await session.dispose();
  const width = model.head!.out;
  let sum = 0;
  for (let at = context.length; at < ids.length; at++) {
    const row = (logits!.data as Float32Array).subarray((at - 1) * width, at * width);
    sum += row[ids[at]!]! - Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
  }
  return sum;
}

// Tiny models that transformers wrote; the windows of the first three are a few tokens, shorter than the texts here.
test.each(["mistral-window", "qwen2-window", "qwen3-layer-types", "qwen2-tied"])(
  "%s: texts of many lengths, with and without a common beginning",
  async (name) => {
    const model = await openModel(`test/fixtures/llama/${name}`);
    const rng = rngStream(5, name);
    const draw = (count: number) => Array.from({ length: count }, () => rng.int(model.head!.out));
    const beginning = draw(18);
    const request = (context: readonly number[], ...lengths: number[]): TokenRequest => ({
      context,
      continuations: lengths.map(draw),
    });
    const sets: TokenRequest[][] = [
      [
        request(draw(3), 1, 4, 2),
        request(draw(9), 3, 1),
        request(draw(1), 1, 1),
        request(draw(6), 5),
        request(draw(2), 1),
      ],
      [1, 4, 2].map((length) => request([...beginning, ...draw(length)], 1, 3, 2)),
      [1, 5].map((length) => request([...beginning, ...draw(length)], 1, 1)),
    ];
    const scorer = tokenScorer(model);
    for (const requests of sets) {
      const found = await scorer.score(requests);
      for (const [i, { context, continuations }] of requests.entries())
        for (const [k, continuation] of continuations.entries()) {
          const expected = await direct(model, context, continuation);
          // The same float32 arithmetic in other shapes.
          expect(Math.abs(found[i]![k]!.logLikelihood - expected)).toBeLessThan(2e-5);
        }
    }
    const text = draw(30);
    const last = await scorer.last(7, text);
    expect(last).toHaveLength(7);
    const sum = last.reduce((total, { logLikelihood }) => total + logLikelihood, 0);
    expect(Math.abs(sum - (await direct(model, text.slice(0, -7), text.slice(-7))))).toBeLessThan(2e-5);
    await scorer.dispose();
    await model.runtime.dispose();
  },
);
