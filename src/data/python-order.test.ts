import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { asPython } from "./python-order.js";

test("orders strings as the bytes of their UTF-8 are ordered, which is by code point", () => {
  const rng = rngStream(0, "strings");
  const letters = ["a", "b", "Z", "é", "\uffff", "😀", "\u{10ffff}", "1"];
  const strings = Array.from({ length: 300 }, () =>
    Array.from({ length: rng.int(5) }, () => rng.pick(letters)).join(""),
  );
  const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  expect([...strings].sort(asPython)).toEqual([...strings].sort(byBytes));
  expect([...strings].sort()).not.toEqual([...strings].sort(byBytes)); // JavaScript's own order is another
});
