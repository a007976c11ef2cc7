import { expect, test } from "vitest";
import { splitClass } from "./stratify.js";

const names = Array.from({ length: 20 }, (_, i) => `image-${i}`);

test("a class is divided without loss, in order, and the same way for the same seed", () => {
  const shares = { validation: 0.15, test: 0.25 };
  const parts = splitClass("cat", names, shares, 1)!;
  expect([parts.train.length, parts.validation.length, parts.test.length]).toEqual([12, 3, 5]);
  expect(new Set([...parts.train, ...parts.validation, ...parts.test])).toEqual(new Set(names));
  const position = (name: string): number => names.indexOf(name);
  expect(parts.train).toEqual([...parts.train].sort((a, b) => position(a) - position(b)));
  expect(splitClass("cat", names, shares, 1)).toEqual(parts);
  expect(splitClass("cat", names, shares, 2)).not.toEqual(parts);
  expect(splitClass("dog", names, shares, 1)).not.toEqual(parts);
});

test("a small class gives one example to each split, or says that it cannot", () => {
  const shares = { validation: 0.15, test: 0.15 };
  const parts = splitClass("cat", names.slice(0, 3), shares, 0)!;
  expect([parts.train.length, parts.validation.length, parts.test.length]).toEqual([1, 1, 1]);
  expect(splitClass("cat", names.slice(0, 2), shares, 0)).toBeUndefined();
  expect(splitClass("cat", names.slice(0, 2), { validation: 0.5, test: 0 }, 0)!.test).toEqual([]);
});
