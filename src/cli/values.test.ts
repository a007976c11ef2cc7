import { expect, test } from "vitest";
import * as values from "./values.js";

type Case = readonly [typed: string, value: unknown];

const read: Record<string, { readonly parse: (text: string) => unknown; readonly good: readonly Case[] }> = {
  parseCount: {
    parse: values.parseCount,
    good: [
      ["0", 0],
      ["100000", 100_000],
      ["100_000", 100_000],
      ["100,000", 100_000],
      ["100k", 100_000],
      ["0.1M", 100_000],
      [".5k", 500],
      ["1.1k", 1100],
      ["2G", 2e9],
    ],
  },
  parsePositive: { parse: values.parsePositive, good: [["1", 1]] },
  parseBudget: {
    parse: values.parseBudget,
    good: [
      ["100k", { min: 0, max: 100_000 }],
      ["100k..0.2M", { min: 100_000, max: 200_000 }],
      ["7..7", { min: 7, max: 7 }],
    ],
  },
  parseDuration: {
    parse: values.parseDuration,
    good: [
      ["1h", 3600],
      ["30m", 1800],
      ["30min", 1800],
      ["90s", 90],
      ["90", 90],
      ["1h30m", 5400],
      ["1 h 30 min", 5400],
      ["1.5h", 5400],
      ["2d", 172_800],
    ],
  },
  parseNumber: {
    parse: values.parseNumber,
    good: [
      ["1e-3", 0.001],
      ["-2", -2],
    ],
  },
  parseShare: {
    parse: values.parseShare,
    good: [
      ["0.15", 0.15],
      ["15%", 0.15],
      ["0", 0],
      ["1", 1],
    ],
  },
  parseSeed: {
    parse: values.parseSeed,
    good: [
      ["0", 0],
      ["9007199254740991", 2 ** 53 - 1],
    ],
  },
  parseText: { parse: values.parseText, good: [["a b", "a b"]] },
  listOf: { parse: values.listOf(values.parseCount), good: [["1, 2k", [1, 2000]]] },
  pairsOf: {
    parse: values.pairsOf(values.parseNumber, ["lora", "head"]),
    good: [["lora=1,head=0.5", { lora: 1, head: 0.5 }]],
  },
  oneOf: { parse: values.oneOf(["cosine", "linear"]), good: [["linear", "linear"]] },
};

test.each(
  Object.entries(read).flatMap(([name, { parse, good }]) =>
    good.map(([typed, value]) => [name, typed, value, parse] as const),
  ),
)("%s reads %j", (_, typed, value, parse) => {
  expect(parse(typed)).toEqual(value);
});

test.each([
  ["parseCount", "1.5", 'a whole number is expected, such as 100000, 100_000, 100k or 0.1M; got "1.5".'],
  ["parseCount", "1,5", 'a whole number is expected, such as 100000, 100_000, 100k or 0.1M; got "1,5".'],
  ["parseCount", "-3", 'a whole number is expected, such as 100000, 100_000, 100k or 0.1M; got "-3".'],
  ["parseCount", "", 'a whole number is expected, such as 100000, 100_000, 100k or 0.1M; got "".'],
  ["parseCount", "1e400", 'a whole number is expected, such as 100000, 100_000, 100k or 0.1M; got "1e400".'],
  ["parsePositive", "0", 'a whole number of at least 1 is expected; got "0".'],
  ["parseBudget", "1..2..3", 'a budget is a count (100k) or an interval (100k..200k); got "1..2..3".'],
  ["parseBudget", "200k..100k", 'the smaller end of an interval comes first; got "200k..100k".'],
  ["parseDuration", "1x", 'a duration is expected, such as 1h, 30m, 90s or 1h30m; got "1x".'],
  ["parseDuration", "0s", 'a duration is expected, such as 1h, 30m, 90s or 1h30m; got "0s".'],
  ["parseDuration", "1h 30", 'a duration is expected, such as 1h, 30m, 90s or 1h30m; got "1h 30".'],
  ["parseNumber", "", 'a number is expected, such as 0.001 or 1e-3; got "".'],
  ["parseNumber", "Infinity", 'a number is expected, such as 0.001 or 1e-3; got "Infinity".'],
  ["parseShare", "15", 'a share from 0 to 1 is expected, such as 0.15 or 15%; got "15".'],
  ["parseSeed", "-1", 'a seed is a natural number below 2^53; got "-1".'],
  ["parseSeed", "9007199254740992", 'a seed is a natural number below 2^53; got "9007199254740992".'],
  ["parseText", "", 'a text is expected; got "".'],
  ["listOf", "1,,2", 'a list parted by commas is expected; got "1,,2".'],
  ["pairsOf", "lora", 'pairs are expected, such as name=1,other=2; got "lora".'],
  ["pairsOf", "lora=1,lora=2", '"lora" is given twice; got "lora=1,lora=2".'],
  ["pairsOf", "loar=1", 'one of lora, head is expected; got "loar".'],
  ["oneOf", "paper", 'one of cosine, linear is expected; got "paper".'],
])("%s refuses %j", (name, typed, message) => {
  expect(() => read[name]!.parse(typed)).toThrow(expect.objectContaining({ code: "USAGE", message }));
});
