import { expect, test } from "vitest";
import type { Genome } from "../adapters/structure.js";
import type { Candidate } from "../search/candidate.js";
import { frontText } from "./search-front.js";

const candidate = (index: number, parameters: number, accuracy: number, loss: number): Candidate<Genome> => ({
  index,
  generation: 0,
  origin: "random",
  parents: [],
  key: `${index}`,
  genome: new Map(),
  parameters,
  accuracy,
  loss,
});

const plain = (_: string, text: string) => text;
/** Rows of the drawing that hold a point, from the top: their label and the point. */
const rows = (text: string) =>
  text.split("\n").flatMap((line) => {
    const [label, point] = line.split("│");
    return /[○●]/.test(point ?? "") ? [`${label!.trim()} ${point!.trim()}`] : [];
  });

test("a front is drawn by what its search ranked by; of losses the smaller stands higher", () => {
  const front = [candidate(0, 100, 0.9, 2), candidate(1, 200, 0.8, 1)];
  const found = { front, best: front[0]!, chosen: front[1]!, evaluated: 7 };
  const byLoss = frontText(found, "loss", plain);
  expect(byLoss).toContain("Parameters against loss, 7 candidates, inherited weights (● the chosen one):");
  expect(rows(byLoss)).toEqual(["1.000 ●", "2.000 ○"]);
  const byAccuracy = frontText(found, "accuracy", plain);
  expect(byAccuracy).toContain("Parameters against accuracy");
  expect(rows(byAccuracy)).toEqual(["90.0 % ○", "80.0 % ●"]);
});

test("the chosen candidate is shown where it is not on the front; a loss without bound is not", () => {
  const front = [candidate(0, 100, 0.5, Number.POSITIVE_INFINITY), candidate(1, 200, 0.5, 1)];
  const text = frontText({ front, best: front[1]!, chosen: candidate(2, 300, 0.5, 1.5), evaluated: 3 }, "loss", plain);
  expect(rows(text)).toEqual(["1.000 ○", "1.500 ●"]);
});
