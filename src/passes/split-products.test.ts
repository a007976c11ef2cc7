import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { inlineFloat32 } from "../ir/builder.js";
import { checkGraph } from "../ir/checker.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import { runAsWritten } from "./execution.fixtures.js";
import { lowerLinear } from "./lower-linear.js";
import { splitProducts } from "./split-products.js";

const rng = rngStream(6, "split-products");
const normal = (n: number): Float32Array => Float32Array.from({ length: n }, () => rng.normal());

/** A linear layer of three axes, as it is and with its product split. */
function arrange(width: number, transposed: boolean, bias: boolean) {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 3, width]);
  const shape = transposed ? [width, 4] : [4, width];
  const weight = g.initializer("W", shape, inlineFloat32(normal(4 * width), shape));
  g.output(
    "y",
    g.linear(x, weight, bias ? g.initializer("b", [4], inlineFloat32(normal(4), [4])) : undefined, { transposed }),
  );
  const split = splitProducts(g.graph);
  checkGraph(split, inferWith(ops), "splitProducts");
  return { graph: g.graph, split };
}

test.each([
  { width: 64, transposed: false, bias: true },
  { width: 65, transposed: true, bias: false },
])("the same function, its sums in another order: $width, transposed: $transposed", async (o) => {
  const { graph, split } = arrange(o.width, o.transposed, o.bias);
  expect(split.nodes.filter(({ op }) => op === "Linear").map(({ inputs }) => inputs.length)).toEqual(
    o.bias ? [3, 2] : [2, 2],
  );
  const x = { shape: [5, 3, o.width], data: normal(15 * o.width) };
  const [whole, halves] = await Promise.all(
    [graph, split].map(async (g) => (await runAsWritten(lowerLinear(g), { x })).outputs["y"]!),
  );
  const differences = whole!.map((value, i) => Math.abs(value - halves![i]!));
  // Sums of 64 products of deviation 1 are near 8: 6e-8 of that, a few times.
  expect(Math.max(...differences)).toBeLessThan(1e-5);
  expect(Math.max(...differences)).toBeGreaterThan(0); // the order did change
});

test("a product of one term has no other order", () => {
  const { graph, split } = arrange(1, false, true);
  expect(split.nodes).toEqual(graph.nodes);
});
