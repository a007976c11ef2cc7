import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import type { Candidate, Fitness } from "./candidate.js";
import { paretoFront } from "./pareto.js";

const candidate = (index: number, parameters: number, accuracy: number, loss: number): Candidate<null> => ({
  ...{ index, parameters, accuracy, loss },
  ...{ generation: 0, origin: "random", parents: [], key: String(index), genome: null },
});

test.each(["accuracy", "loss"] as const)("the front by %s is exactly what nothing dominates", (fitness: Fitness) => {
  const rng = rngStream(1, "pareto");
  for (let round = 0; round < 200; round++) {
    const all = Array.from({ length: 30 }, (_, i) => candidate(i, rng.int(12), rng.int(8) / 8, rng.int(8)));
    const value = (c: Candidate<null>) => (fitness === "accuracy" ? c.accuracy : -c.loss);
    const dominated = (c: Candidate<null>) =>
      all.some(
        (d) =>
          d.parameters <= c.parameters && value(d) >= value(c) && (d.parameters < c.parameters || value(d) > value(c)),
      );
    const point = (c: Candidate<null>) => `${c.parameters} ${value(c)}`;
    const expected = new Set(all.filter((c) => !dominated(c)).map(point));
    const front = paretoFront(all, fitness);
    expect(front.map(point)).toEqual([...new Set(front.map(point))]); // one of equals
    expect(new Set(front.map(point))).toEqual(expected);
    expect(front.map((c) => c.parameters)).toEqual(front.map((c) => c.parameters).sort((a, b) => a - b));
  }
});

test("of candidates with equal accuracy and parameters the one with the lower loss is kept", () => {
  const all = [candidate(0, 10, 0.5, 2), candidate(1, 10, 0.5, 1), candidate(2, 20, 0.5, 0)];
  expect(paretoFront(all, "accuracy").map((c) => c.index)).toEqual([1]);
  expect(paretoFront([], "accuracy")).toEqual([]);
});
