/**
 * One suite for every operator of the index: outputs and gradients have the types that the shape rules say, and the
 * gradients agree with central differences. Run by ONNX Runtime on the CPU; src/runtime/node compares the devices with it.
 */
import { describe, expect, test } from "vitest";
import { differentiate } from "../autodiff/backward.js";
import { eliminateDead } from "../passes/eliminate-dead.js";
import { conformanceCases, type NamedCase, suites } from "./conformance.fixtures.js";
import { createBuilder, ops } from "./index.js";
import { expectGradient, torchCases } from "./testing.fixtures.js";

test("every operator of the index has a suite, and PyTorch's values if it has a derivative", () => {
  expect(Object.keys(suites).sort()).toEqual([...ops.keys()].sort());
  const differentiable = [...ops.values()].filter((op) => typeof op.vjp === "function").map((op) => op.type);
  expect(Object.keys(torchCases).sort()).toEqual(differentiable.sort());
});

describe.each([...ops.keys()])("%s", (op) => {
  const cases = conformanceCases().filter((one) => one.op === op);
  test.each(cases.map((one) => [one.name, one] as const))("%s", (_, { call, operands, options }) =>
    expectGradient(call, operands, options),
  );
  const differentiable = cases.filter(({ options }) => options.gradient !== false);
  test.each(differentiable.map((one) => [one.name, one] as const))(
    "%s: a gradient for one operand builds nothing for the others",
    (_, one) => expectNothingDead(one),
  );
});

function expectNothingDead({ call, operands }: NamedCase): void {
  operands.forEach(({ dtype = "float32" }, wanted) => {
    if (dtype !== "float32") return;
    const g = createBuilder();
    const inputs = operands.map((x, k) => g.input(`x${k}`, x.dtype ?? "float32", x.shape));
    const seeds = new Map(call(g, inputs).map((y, k) => [y, g.input(`dy${k}`, y.type.dtype, y.type.shape)]));
    const forward = new Set(g.graph.nodes);
    const [gradient] = differentiate(g, seeds, [inputs[wanted]!]);
    if (gradient) g.output("gradient", gradient);
    const live = new Set(eliminateDead(g.graph).nodes.map((node) => node.name));
    const dead = g.graph.nodes.filter((node) => !forward.has(node) && !live.has(node.name));
    expect(dead.map((node) => node.name)).toEqual([]);
  });
}
