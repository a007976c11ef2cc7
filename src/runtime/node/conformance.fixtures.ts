/** The conformance suite of the operators on another device than the CPU, whose outputs and gradients it must agree with. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Tensor } from "../../base/tensor.js";
import { conformanceCases } from "../../ops/conformance.fixtures.js";
import { evaluate, gradientCase, type Sample } from "../../ops/testing.fixtures.js";
import type { Device, Runtime } from "../runtime.js";
import { createNodeRuntime } from "./node-runtime.node.js";

/**
 * Registers a test for every case.
 * @param skipped  cases by "operator: case", each with the reason why the device has none
 */
export function testConformance(device: Device, skipped: readonly (readonly [RegExp, string])[] = []): void {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createNodeRuntime({ device, threads: 1 });
  });
  // Sessions end with it: to dispose of one takes a device longer than all of its runs here.
  afterAll(() => runtime?.dispose());

  for (const { op, name, call, operands, options } of conformanceCases()) {
    const title = `${op}: ${name}`;
    const reason = skipped.find(([cases]) => cases.test(title))?.[1];
    test.skipIf(reason)(reason ? `${title} (${reason})` : title, async () => {
      const { graph, feeds } = await gradientCase(call, operands, { ...options, dtype: "float32" });
      const expected = await evaluate(graph, feeds);
      const session = await runtime.open(graph);
      const tensors = Object.entries(feeds).map(([input, sample]) => [input, tensorOf(sample)] as const);
      const found = await session.run(Object.fromEntries(tensors));
      expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
      for (const [output, { dtype, shape, data }] of Object.entries(found)) {
        const { values, ...type } = expected[output]!;
        expect({ dtype, shape }, output).toEqual(type);
        // Sums of a few products of size 1, each rounded to 6e-8 of it, in another order.
        const scale = Math.max(1, ...values.map(Math.abs));
        const worst = Math.max(
          0,
          ...Array.from<number | bigint, number>(data, (value, i) => Math.abs(Number(value) - values[i]!)),
        );
        expect(worst, `${output}: [${data}], on the CPU [${values}]`).toBeLessThanOrEqual(5e-6 * scale);
      }
    });
  }
}

function tensorOf({ dtype, shape, values }: Sample): Tensor {
  switch (dtype) {
    case "float32":
      return { dtype, shape, data: Float32Array.from(values) };
    case "int32":
      return { dtype, shape, data: Int32Array.from(values) };
    case "int64":
      return { dtype, shape, data: BigInt64Array.from(values, BigInt) };
    case "bool":
      return { dtype, shape, data: Uint8Array.from(values) };
    default:
      throw new Error(`No test feeds ${dtype}.`);
  }
}
