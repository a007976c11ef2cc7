import { expect, test } from "vitest";
import { createBuilder } from "../ops/index.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import { ACTIVATIONS, type ActivationName } from "./activations.js";

/** transformers 5.23, ACT2FN[name] of −2, −0.5, 0.75 and 3. */
const EXPECTED: Partial<Record<ActivationName, readonly number[]>> = {
  gelu: [-0.04550028, -0.15426877, 0.58002949, 2.99594975],
  gelu_new: [-0.04540229, -0.154286, 0.57996058, 2.99636269],
  quick_gelu: [-0.06434137, -0.14961156, 0.58639002, 2.98192883],
  silu: [-0.23840584, -0.18877034, 0.50938398, 2.85772252],
  relu: [0, 0, 0.75, 3],
  relu2: [0, 0, 0.5625, 9],
  tanh: [-0.96402758, -0.46211717, 0.63514894, 0.99505478],
  sigmoid: [0.11920292, 0.37754068, 0.67917871, 0.95257413],
  linear: [-2, -0.5, 0.75, 3],
};

test("each is the function that transformers has under the name", async () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [4]);
  for (const name of Object.keys(EXPECTED) as ActivationName[])
    g.output(name, g.add(ACTIVATIONS[name](g, x), g.scalar(0)));
  const runtime = await createNodeRuntime();
  const session = await runtime.open(g.graph, { name: "activations" });
  const found = await session.run({ x: { dtype: "float32", shape: [4], data: Float32Array.of(-2, -0.5, 0.75, 3) } });
  for (const [name, values] of Object.entries(EXPECTED))
    values.forEach((value, i) => {
      expect(Math.abs(Number(found[name]!.data[i]) - value), name).toBeLessThan(2e-6); // float32 beside float32
    });
  await runtime.dispose();
});
