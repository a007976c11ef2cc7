import { expect, test } from "vitest";
import { readSource } from "./data-sources.js";

test("options behind a path replace those for all", () => {
  const common = { splitShares: { validation: 0.2 }, dataSeed: 4 };
  expect(readSource("a/flowers", common)).toEqual({
    name: undefined,
    source: { path: "a/flowers", split: { validation: 0.2 }, seed: 4 },
  });
  expect(readSource("a/flowers?name=small&split-shares=validation=0.3,test=0.1", common)).toEqual({
    name: "small",
    source: { path: "a/flowers", split: { validation: 0.3, test: 0.1 }, seed: 4 },
  });
  expect(readSource("digits?data-seed=7", {})).toEqual({ name: undefined, source: { path: "digits", seed: 7 } });
});

test.each([
  ["x?colour=red", '--data: x?colour=red: "colour" is none of name, split-shares, data-seed'],
  ["x?data=y", '--data: x?data=y: "data" is none of name, '],
  ["x?data-seed=-1", '--data-seed: a seed is a natural number below 2^53; got "-1".'],
])("%s is refused", (text, message) => {
  expect(() => readSource(text, {})).toThrow(message);
});
