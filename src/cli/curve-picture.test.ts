import { expect, test } from "vitest";
import { pictureCurve } from "./curve-picture.js";
import { rendered } from "./svg.fixtures.js";

const validation = (phase: string, epoch: number, accuracy?: number) => ({
  ...{ phase, epoch, accuracy },
  trainLoss: 2 / epoch,
  loss: accuracy === undefined ? undefined : 1 - accuracy,
});
const candidate = (index: number, parameters: number, loss: number) => ({ index, parameters, accuracy: 0.5, loss });

/** Points of the lines in a tone, in the order in which they are drawn. */
const lines = (svg: string, tone: string): [number, number][][] =>
  [...svg.matchAll(new RegExp(`points="([^"]*)" class="s-${tone}"`, "g"))].map(([, points]) =>
    points!.split(" ").map((point) => point.split(",").map(Number) as [number, number]),
  );

test("the later phases start where the first ended; better scores stand higher, smaller losses lower", async () => {
  const phases = [validation("train", 1, 0.4), validation("train", 2, 0.5)];
  const further = [validation("further", 1, 0.6), validation("further", 2, 0.9)];
  const svg = pictureCurve({ validations: [...phases, ...further], measure: "accuracy" });
  await rendered(svg);
  const [lossOfTrain, lossOfFurther, scoreOfTrain, scoreOfFurther] = lines(svg, "blue");
  // Four epochs over 600 pixels from 72.
  expect([scoreOfTrain!, scoreOfFurther!].map((points) => points.map(([x]) => x))).toEqual([
    [222, 372],
    [522, 672],
  ]);
  expect(lossOfTrain![0]![1]).toBeLessThan(lossOfFurther![1]![1]); // pixels count downwards
  expect(scoreOfTrain![0]![1]).toBeGreaterThan(scoreOfFurther![1]![1]);
  // A line through equal steps of accuracy is straight: 0.4 to 0.5 is a third of 0.6 to 0.9.
  const rise = (points: [number, number][]) => points[0]![1] - points[1]![1];
  expect(rise(scoreOfFurther!) / rise(scoreOfTrain!)).toBeCloseTo(3, 1);
  expect(svg).toContain("<desc>4 validations of the phases train, further. Best validation accuracy: 90.0 %.</desc>");
  expect(svg).toMatch(/text-anchor="end"[^>]*>train<.*\n.*>further</);
});

test("structures that were only tried are faint", () => {
  const validations = ["train", "further-3", "further-7"].flatMap((name) => [
    validation(name, 1, 0.5),
    validation(name, 2, name === "further-3" ? 0.8 : 0.6),
  ]);
  const found = [candidate(3, 100, 0.5), candidate(7, 200, 0.4)];
  const search = { candidates: found, front: found, chosen: 3, fitness: "loss" as const };
  const svg = pictureCurve({ validations, measure: "accuracy", search });
  const faint = svg.split("\n").filter((line) => line.includes('opacity="0.4"'));
  expect(faint).toHaveLength(3); // of the other structure: two losses and a score
  expect(svg).toContain(">further-3; faint: others tried<");
  const heights = (line: string) => [...line.matchAll(/,([\d.]+)/g)].map(([, y]) => Number(y));
  const [, chosen, other] = lines(svg, "blue").filter(([, end]) => end![1] > 340 && end![1] < 540); // of the scores
  expect(heights(faint.at(-1)!).at(-1)).toBe(other!.at(-1)![1]);
  expect(chosen!.at(-1)![1]).toBeLessThan(other!.at(-1)![1]);
});

test("candidates lie by parameters and fitness, the chosen one and the front marked", async () => {
  const candidates = [
    candidate(0, 100, 0.8),
    candidate(1, 200, 0.6),
    candidate(2, 300, 0.7),
    candidate(3, 250, Infinity),
  ];
  const svg = pictureCurve({
    validations: [validation("train", 1, 0.5)],
    measure: "accuracy",
    search: { candidates, front: candidates.slice(0, 2), chosen: 1, fitness: "loss" },
  });
  const dots = (radius: number) =>
    [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"/g)].filter(([, , , r]) => Number(r) === radius);
  expect([dots(2.5).length, dots(3.5).length, dots(6).length]).toEqual([3, 2, 1]); // the unbounded loss is left out
  const [, x, y] = dots(6)[0]!;
  const { at } = await rendered(svg);
  expect(at(Number(x), Number(y))).toBe("#bc4c00");
  // 100 to 300 parameters with 6 % of their range at both ends: 200 lies in the middle.
  expect(Number(x)).toBe(72 + 300);
});

test("without a validation split there is a training loss alone", () => {
  const svg = pictureCurve({ validations: [validation("train", 1), validation("train", 2)], measure: "correlation" });
  expect([lines(svg, "orange").length, lines(svg, "blue").length]).toEqual([1, 0]);
  expect(svg).not.toMatch(/validation (loss|correlation)|NaN|Infinity/);
});
