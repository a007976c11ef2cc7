import { expect, test } from "vitest";
import { createBuilder } from "./index.js";

test("an operator that is not in the index is named", () => {
  const g = createBuilder();
  expect(() => g.scope("block.0", () => g.emit("Mish", [g.input("x", "float32", [2])]))).toThrow(
    "block.0/Mish: the operator Mish is not known; add it to src/ops/index.ts.",
  );
});
