import { expect, test } from "vitest";
import type { Comparison, Outcome } from "../search/compare.js";
import type { Trial } from "../search/compare-log.js";
import { summarize } from "../search/compare-summary.js";
import { drawComparison } from "./compare-drawing.js";
import { comparisonCsv, comparisonJson, comparisonMarkdown, comparisonText } from "./compare-report.js";
import { plain } from "./terminal.js";

const METHODS = ["ssf", "lora", "glora"] as const;
const ACCURACY = { key: "accuracy", title: "accuracy" } as const;

function outcome(data: string, method: Outcome["method"], seed: number, accuracy: number, loss: number): Outcome {
  const metrics = { examples: 100, accuracy, loss };
  const trial: Trial = {
    ...{
      data,
      method,
      seed,
      learningRate: method === "lora" ? 0.001 : 0.003,
      parameters: method === "glora" ? 90 + seed : 64,
    },
    ...(method !== "ssf" && { rank: 2 }),
    ...{ trainExamples: 50, validation: metrics, test: metrics },
    ...{ seconds: 10, searchSeconds: method === "glora" ? 5 : 0, candidates: method === "glora" ? 8 : 0 },
  };
  return { data, method, seed, trials: [trial], chosen: trial };
}

/** Three seeds of LoRA and GLoRA on two data sets; SSF is over the budget. */
function comparison(measure: Comparison["data"][number]["measure"] = ACCURACY): Comparison {
  const scores = { lora: [0.8, 0.82, 0.84], glora: [0.83, 0.83, 0.88], ssf: [] };
  return {
    model: "tiny",
    plan: {
      methods: METHODS.map((method) => ({
        method,
        rank: method === "ssf" ? undefined : 2,
        parameters: method === "glora" ? undefined : method === "ssf" ? 900 : 64,
        overBudget: method === "ssf",
      })),
      ...{ budget: 100, epochs: 10, furtherEpochs: 7, learningRates: [0.001, 0.003, 0.01] },
      ...{ seed: 0, seeds: [0, 1, 2], selectOnFirstSeed: true, trainExamples: 50 },
      search: { seed: 0 },
    },
    data: ["one", "a|b"].map((name) => ({ name, measure })),
    outcomes: ["one", "a|b"].flatMap((data, i) =>
      METHODS.flatMap((method) => scores[method].map((s, seed) => outcome(data, method, seed, s - 0.1 * i, 1 - s))),
    ),
  };
}

test("means, deviations and paired differences", () => {
  const { reference, methods } = summarize(comparison());
  expect(reference).toBe("lora");
  const glora = methods[2]!;
  expect(glora.scores["one"]!.mean).toBeCloseTo(0.84667, 5);
  expect(glora.scores["one"]!.deviation).toBeCloseTo(0.028868, 6); // numpy.std(ddof=1)
  expect(glora.mean!.mean).toBeCloseTo(0.79667, 5);
  expect(glora.parameters).toEqual([90, 92]);
  // scipy.stats.ttest_rel of the six pairs 0.03, 0.01, 0.04 twice
  expect(glora.difference).toMatchObject({ n: 6, positive: 6, negative: 0 });
  expect(glora.difference!.mean).toBeCloseTo(0.0266667, 6);
  expect(glora.difference!.t).toBeCloseTo(4.7809144, 5);
  expect(glora.difference!.p).toBeCloseTo(0.0049669, 6);
  expect(glora.differences["one"]!.n).toBe(3);
  expect(methods[1]!.difference).toBeUndefined();
  expect(() => summarize(comparison(), "ssf")).toThrow(
    "reference: ssf takes no part; the methods that do are lora, glora.",
  );
});

test("as Markdown: what is over the budget is said, and cells keep their columns", () => {
  const all = comparison();
  const text = comparisonMarkdown(all, summarize(all));
  expect(text).toContain("| method | parameters | rate | one | a\\|b | mean | time | its search |");
  expect(text).toContain("| ssf | 900, over the budget |  | – | – | – | – |  |");
  expect(text).toContain("| lora r=2 | 64 | 0.001 | 82.0 ± 2.0 | 72.0 ± 2.0 | 77.0 ± 2.0 | 10 s |  |");
  expect(text).toContain("| searched GLoRA | 90 to 92 | 0.003 | 84.7 ± 2.9 | 74.7 ± 2.9 | 79.7 ± 2.9 | 10 s | 5.0 s |");
  expect(text).toContain("| searched GLoRA | all | +2.67 | 0.56 | 4.78 | 0.005 | 6 | 6 / 0 / 0 |");
  expect(text).toContain("## Difference from lora r=2 in accuracy, percentage points");
  expect(text).toContain("all 12 trials took 2 min 30 s, the searches' 48 candidates included.");
  expect(text).toContain("Over the budget of 100, and not run: ssf.");
  expect(text).toContain("The best rate is at an end of the grid, so that a better one may lie beyond: lora r=2.");
  expect(text).toContain(
    "10 epochs (searched GLoRA: 3 of the supernet and 7 of its winner), learning rates 0.001, 0.003, 0.01",
  );
  expect(comparisonText(all, summarize(all), plain)).toContain(
    "searched GLoRA              90 to 92  0.003  84.7 ± 2.9",
  );
});

test("a lower loss is better", () => {
  const all = comparison({ key: "loss", title: "loss" });
  const text = comparisonMarkdown(all, summarize(all));
  expect(text).toContain("| lora r=2 | 64 | 0.001 | 0.180 ± 0.020 |");
  expect(text).toContain("| searched GLoRA | all | -0.0267 | 0.0056 | -4.78 | 0.005 | 6 | 6 / 0 / 0 |");
  expect(text).toContain("Test loss (lower is better): mean ± standard deviation over 3 seeds");
});

test("what is not there yet, or diverged, is counted and not averaged away", () => {
  const whole = comparison();
  const outcomes = whole.outcomes.flatMap((o): Outcome[] => {
    if (o.method !== "glora" || o.data !== "one") return [o];
    return o.seed === 2 ? [{ ...o, chosen: undefined }] : [o];
  });
  const text = comparisonMarkdown({ ...whole, outcomes }, summarize({ ...whole, outcomes }));
  expect(text).toContain("83.0 ± 0.0 (2 of 3)");
  expect(text).toContain("Training diverged at every rate, and has no score there: searched GLoRA.");
  expect(comparisonCsv({ ...whole, outcomes })).toContain("one,glora,2,diverged,,,");
});

test("CSV has a line for each trial that was tested, JSON everything", () => {
  const all = comparison();
  const lines = comparisonCsv(all).trimEnd().split("\n");
  expect(lines).toHaveLength(1 + 12 + 1);
  expect(lines[1]).toBe("one,lora,0,tested,2,64,0.001,50,0.8,0.19999999999999996,0.8,0.19999999999999996,10,0,0");
  expect(lines.at(-1)).toBe(",ssf,,over the budget,,900,,,,,,,,,");
  const json = JSON.parse(JSON.stringify(comparisonJson(all, summarize(all)))) as {
    outcomes: unknown[];
    settings: unknown;
  };
  expect(json.outcomes).toHaveLength(12);
  expect(json.settings).toMatchObject({ methods: ["ssf", "lora", "glora"], budget: 100, seeds: [0, 1, 2] });
});

test("the picture has a panel for each data set and the mean, and a dot for each method", () => {
  const all = comparison();
  const svg = drawComparison(all, summarize(all));
  expect(svg.match(/<circle/g)).toHaveLength(2 * 3);
  expect(svg).toContain("a|b (accuracy, %)");
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  const parts = [...svg.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)];
  expect(parts.filter(([, close]) => close).length).toBe(parts.filter(([, close, , empty]) => !close && !empty).length);
  // A single seed has no spread, and one method alone an axis all the same.
  const one = { ...all, outcomes: [all.outcomes[0]!] };
  expect(drawComparison(one, summarize(one))).not.toMatch(/NaN|undefined|Infinity/);
});
