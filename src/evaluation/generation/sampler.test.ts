import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { rngStream } from "../../base/rng.js";
import { checkSampling, nextToken, type SamplingOptions } from "./sampler.js";

interface Fixture {
  readonly logits: readonly number[];
  readonly previous: readonly number[];
  readonly cases: readonly { readonly options: SamplingOptions; readonly probabilities: readonly number[] }[];
}

const { logits, previous, cases }: Fixture = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/sampling/sampling.fixtures.json", import.meta.url), "utf8"),
);

const DRAWS = 20_000;

test.each(cases)("$options: tokens are drawn as often as transformers gives them probability", (o) => {
  const rng = rngStream(1, "draws");
  const drawn = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < DRAWS; i++) drawn[nextToken(Float32Array.from(logits), previous, o.options, rng)]!++;
  o.probabilities.forEach((p, token) => {
    // Five deviations of the count; a token that is ruled out is never drawn.
    const deviation = Math.sqrt(DRAWS * p * (1 - p));
    expect(Math.abs(drawn[token]! - DRAWS * p)).toBeLessThanOrEqual(5 * deviation + 1e-2);
  });
});

test("greedy: the likeliest, behind the penalty; of equal ones the first", () => {
  const rng = rngStream(0, "none");
  const greedy = (values: number[], before: number[], repetitionPenalty?: number) =>
    nextToken(Float32Array.from(values), before, repetitionPenalty === undefined ? {} : { repetitionPenalty }, rng);
  expect(greedy([1, 3, 2, 3], [])).toBe(1);
  expect(greedy([1, 3, 2, 1], [1, 1], 2)).toBe(2); // 3 / 2 once
  expect(greedy([-1, -3, -1.5], [0], 2)).toBe(2); // −1 · 2
});

test.each<[SamplingOptions, string]>([
  [{ temperature: -1 }, "temperature must be 0 (greedy) or more, not -1."],
  [{ topK: 0 }, "topK must be a whole number of at least 1, not 0."],
  [{ topP: 1.5 }, "topP must be above 0 and at most 1, not 1.5."],
  [{ repetitionPenalty: 0 }, "repetitionPenalty must be above 0, not 0."],
])("%j is refused", (o, text) => {
  expect(() => checkSampling(o)).toThrow(text);
});
