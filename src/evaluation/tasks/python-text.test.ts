import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { capitalize, codePoints, strip, words } from "./python-text.js";

interface Text {
  readonly text: string;
  readonly strip: string;
  readonly words: number;
  readonly length: number;
  readonly capitalized: string;
}

// Written by Python (scripts/fixtures/lm-eval.py).
const { texts } = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/lm-eval/random.fixtures.json", import.meta.url), "utf8"),
) as { texts: readonly Text[] };

test.each(texts)("$text is stripped, counted and capitalised as in Python", (expected) => {
  const { text } = expected;
  expect(strip(text)).toBe(expected.strip);
  expect(words(text)).toHaveLength(expected.words);
  expect(codePoints(text)).toBe(expected.length);
  expect(capitalize(text)).toBe(expected.capitalized);
});
