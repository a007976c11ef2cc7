import { expect, test } from "vitest";
import { createSpace } from "../adapters/space.js";
import type { Genome, LayerShape } from "../adapters/structure.js";
import type { Candidate } from "./candidate.js";
import { evolve } from "./evolution.js";
import { gloraGenes } from "./genes.js";
import { decodeHistory, encodeCandidate } from "./history.js";
import { jsonLines } from "./json-lines.js";
import { seedGenomes } from "./seeds.js";

const layers: LayerShape[] = [
  { name: "a", in: 8, out: 8, bias: true, addableBias: false },
  { name: "b", in: 8, out: 16, bias: false, addableBias: true },
];
const space = createSpace(layers, { ranks: [1, 2] });
const decode = (text: string, file = "history.jsonl") => decodeHistory(jsonLines(text, file), space, file);

const search = (file: string[], history?: Candidate<Genome>[]) =>
  evolve({
    genes: gloraGenes(space, { min: 0, max: 60 }),
    // Losses with many digits, some infinite.
    score: async (genome) => ({
      accuracy: genome.get("a")!.A.length / 7,
      loss: genome.get("b")!.B === "none" ? Number.NaN : genome.get("b")!.E.length / 3,
    }),
    seeds: seedGenomes(space, { min: 0, max: 60 }),
    ...{ seed: 1, population: 8, generations: 2, parents: 3, mutants: 4, crossovers: 4, history },
    onCandidate: (candidate) => void file.push(encodeCandidate(candidate)),
  });

test("a written history reads back to the bit", async () => {
  const file: string[] = [];
  const { history } = await search(file);
  expect(file).toHaveLength(history.length);
  expect(history.some(({ loss }) => loss === Number.POSITIVE_INFINITY)).toBe(true);
  expect(decode(file.join(""))).toEqual(history);
  expect(decode(history.map(encodeCandidate).join(""))).toEqual(history);
});

test("a line is readable", async () => {
  const file: string[] = [];
  await search(file);
  expect(Object.keys(JSON.parse(file[0]!))).toEqual(
    "index generation origin parents key parameters accuracy loss layers".split(" "),
  );
  expect(file[0]).toMatch(/^\{"index":0,"generation":0,"origin":"seed","parents":\[\],"key":".*\}\n$/);
});

test("a search cut at any byte of its history continues to the same end", async () => {
  const file: string[] = [];
  const whole = await search(file);
  const text = file.join("");
  const cuts = [...Array(60).keys()].map((i) => Math.floor((i / 59) * text.length));
  for (const cut of [...cuts, text.length - 1]) {
    const kept = decode(text.slice(0, cut));
    const lines = text.slice(0, cut).split("\n").length - 1;
    // A line whose newline alone is missing counts.
    expect(kept.length).toBeGreaterThanOrEqual(lines);
    expect(kept.length).toBeLessThanOrEqual(lines + 1);
    expect(await search([], kept)).toEqual(whole);
  }
});

test("broken lines are reported with file and line", async () => {
  const file: string[] = [];
  await search(file);
  const read = (lines: string[]) => decode(lines.join(""), "run/history.jsonl");
  const changed = (change: (json: { [field: string]: unknown }) => void): string[] => {
    const json = JSON.parse(file[1]!);
    change(json);
    return [file[0]!, `${JSON.stringify(json)}\n`, ...file.slice(2)];
  };
  expect(() => read([file[0]!, `${file[1]!.slice(0, 40)}\n`, file[2]!])).toThrow(
    "run/history.jsonl, line 2: not valid JSON. Restore the file, or start anew without it.",
  );
  expect(() => read([file[0]!, file[2]!])).toThrow(
    "run/history.jsonl, line 2: expected candidate 1, found 2: lines are missing or repeated.",
  );
  expect(() => read(changed((json) => Object.assign(json, { accuracy: "high" })))).toThrow(
    /^run\/history.jsonl, line 2: not a candidate \(accuracy: .*number.* is expected, not "high"\)/,
  );
  expect(() => read(changed((json) => Object.assign(json, { layers: { c: {} } })))).toThrow(
    'line 2: layer "c" is not adapted in this run.',
  );
  expect(() => read(changed((json) => Object.assign(json, { layers: { a: { C: "scalar" } } })))).toThrow(
    'line 2: support C of "a" has no form "scalar".',
  );
  expect(() => read(["[]\n"])).toThrow("line 1: not a candidate");
});

test("an empty file is an empty history", () => {
  expect(decode("")).toEqual([]);
  expect(decode('{"index":0,"gen')).toEqual([]);
});
