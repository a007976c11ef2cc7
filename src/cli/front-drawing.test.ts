import { expect, test } from "vitest";
import { drawFront } from "./front-drawing.js";

const percent = (score: number) => `${(100 * score).toFixed(1)} %`;

test("a front is drawn with parameters to the right and scores upwards", () => {
  const drawn = drawFront(
    [
      { parameters: 1000, score: 0.5 },
      { parameters: 34_000, score: 0.9, chosen: true },
      { parameters: 100_000, score: 0.95 },
    ],
    percent,
  );
  expect(drawn).toBe(`\
95.0 % │                                                       ○
       │                  ●
       │
       │
       │
       │
       │
       │
       │
50.0 % │○
       └────────────────────────────────────────────────────────
        1,000                                            100,000  parameters`);
});

test("one point stands in the middle, and no points are no drawing", () => {
  expect(drawFront([], percent)).toBe("");
  expect(drawFront([{ parameters: 5, score: 0 }], percent).split("\n")[5]).toBe(`      │${" ".repeat(28)}○`);
});
