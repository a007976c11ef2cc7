import { expect, test } from "vitest";
import { createBuilder } from "./index.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Reshape", { "": (g, [x]) => [g.reshape(x!, [4, 6])] });

test("Reshape: codes 0 and −1 are read as ONNX reads them", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 12, 5]);
  const to = (...code: number[]) => g.emit("Reshape", [x, g.constant("int64", [code.length], code)])[0]!.type.shape;
  expect(to(0, 3, 4, 5)).toEqual(["batch", 3, 4, 5]);
  expect(to(-1, 5)).toEqual(["12*batch", 5]);
  expect(to(0, -1)).toEqual(["batch", 60]);
});

test("Reshape: what does not fill the target is refused", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 12]);
  expect(() => g.reshape(x, ["batch", 5])).toThrow("Reshape: [batch, 12] does not fill [0, 5].");
  expect(() => g.reshape(x, ["batch", 5, "tokens"])).toThrow('No graph input has the dimension "tokens".');
  expect(() => g.emit("Reshape", [x, g.constant("int64", [2], [-1, 7])])).toThrow("[batch, 12] does not fill [-1, 7].");
  expect(() => g.emit("Reshape", [x, g.input("to", "int64", [2])])).toThrow(
    "the target shape is not known before the graph runs.",
  );
});
