import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Builder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { createBuilder } from "../ops/index.js";
import { evaluate, expectClose, type Sample } from "../ops/testing.fixtures.js";
import { differentiate, gradientsOf } from "./backward.js";

/** Written by scripts/fixtures/networks.py. */
interface Network {
  readonly tensors: Readonly<Record<string, Sample>>;
  readonly loss: Sample;
  readonly gradients: Readonly<Record<string, Sample>>;
}
const networks: Readonly<Record<"mlp" | "attention", Network>> = JSON.parse(
  readFileSync(new URL("../../test/fixtures/networks/networks.fixtures.json", import.meta.url), "utf8"),
);

type Tensors = Readonly<Record<string, Value>>;

/** Mean cross-entropy of an MLP: linear, LayerNorm, GELU, linear. */
function mlp(g: Builder, t: Tensors): Value {
  const hidden = g.gelu(g.layerNorm(g.linear(t["x"]!, t["w1"]!, t["b1"]!), t["scale"]!, t["bias"]!, 1e-6)); // [batch, 6]
  const logP = g.logSoftmax(g.linear(hidden, t["w2"]!, t["b2"]!)); // [batch, 4]
  const own = g.gatherElements(logP, g.reshape(t["labels"]!, ["batch", 1]), 1); // [batch, 1]
  return g.neg(g.reduceMean(own, [0, 1]));
}

/** A pre-norm attention block of two heads; mean squared error of its first token. */
function attention(g: Builder, t: Tensors): Value {
  const x = t["x"]!;
  const qkv = g.linear(g.layerNorm(x, t["scale"]!, t["bias"]!, 1e-6), t["qkv"]!, t["qkv_bias"]!);
  const heads = g.transpose(g.reshape(qkv, ["batch", 5, 3, 2, 4]), [2, 0, 3, 1, 4]);
  const [q, k, v] = g.split(heads, [1, 1, 1], 0).map((part) => g.reshape(part, ["batch", 2, 5, 4]));
  const weights = g.softmax(g.matmul(q!, k!, { transB: true, alpha: 0.5 })); // [batch, heads, tokens, tokens]
  const mixed = g.reshape(g.transpose(g.matmul(weights, v!), [0, 2, 1, 3]), ["batch", 5, 8]);
  const y = g.add(x, g.linear(mixed, t["proj"]!, t["proj_bias"]!));
  const error = g.sub(g.reshape(g.slice(y, 1, 0, 1), ["batch", 8]), t["target"]!);
  return g.reduceMean(g.mul(error, error), [0, 1]);
}

test.each([
  ["mlp", mlp],
  ["attention", attention],
] as const)("%s: loss and gradients of every tensor are PyTorch's", async (name, loss) => {
  const { tensors, loss: expectedLoss, gradients } = networks[name];
  const g = createBuilder();
  const batched = new Set(["x", "labels", "target"]);
  const inputs = Object.fromEntries(
    Object.entries(tensors).map(([n, { dtype, shape }]) => {
      return [n, g.input(n, dtype, batched.has(n) ? ["batch", ...shape.slice(1)] : shape)];
    }),
  );
  const scalar = loss(g, inputs);
  g.output("loss", scalar);
  const names = Object.keys(gradients);
  gradientsOf(
    g,
    scalar,
    names.map((n) => inputs[n]!),
  ).forEach((d, i) => {
    g.output(`grad.${names[i]}`, d);
  });
  const found = await evaluate(g.graph, tensors);
  expectClose(found["loss"]!, expectedLoss, "loss");
  for (const n of names) expectClose(found[`grad.${n}`]!, gradients[n]!, `gradient of ${n}`);
});

/** Three linear layers without bias; gives the weights, what each layer returns and a graph input for its gradient. */
function chain(g: Builder): { weights: Value[]; outputs: Value[]; dy: Value } {
  const weights = [0, 1, 2].map((i) => g.input(`w${i}`, "float32", [4, 4]));
  const outputs: Value[] = [];
  for (const w of weights) outputs.push(g.linear(outputs.at(-1) ?? g.input("x", "float32", ["batch", 4]), w));
  return { weights, outputs, dy: g.input("dy", "float32", ["batch", 4]) };
}

/** Operators that `body` appends. */
function appended(g: Builder, body: () => void): string[] {
  const before = g.graph.nodes.length;
  body();
  return g.graph.nodes.slice(before).map((node) => node.op);
}

test("nothing is built below the first trainable tensor", () => {
  const g = createBuilder();
  const { weights, outputs, dy } = chain(g);
  const seeds = new Map([[outputs[2]!, dy]]);
  const nodes = (wrt: Value[]) => appended(g, () => differentiate(g, seeds, wrt));
  expect(nodes([weights[2]!])).toEqual(["Gemm"]);
  expect(nodes([weights[1]!])).toEqual(["Linear", "Gemm"]);
  expect(nodes([weights[0]!])).toEqual(["Linear", "Linear", "Gemm"]);
  expect(nodes([weights[0]!, weights[2]!])).toEqual(["Linear", "Gemm", "Linear", "Gemm"]);
  expect(nodes([outputs[1]!])).toEqual(["Linear"]); // a value in the middle: neither its layer nor those before it
});

test("nothing is built for operands that depend on no trainable tensor", () => {
  const g = createBuilder();
  const [x, a, b] = ["x", "a", "b"].map((n) => g.input(n, "float32", [3])) as [Value, Value, Value];
  const frozen = g.exp(g.tanh(b));
  const y = g.mul(g.add(x, a), frozen);
  expect(appended(g, () => differentiate(g, new Map([[y, x]]), [a]))).toEqual(["Mul"]);
  expect(appended(g, () => differentiate(g, new Map([[y, x]]), []))).toEqual([]);
});

const row = (...values: number[]): Sample => ({ dtype: "float32", shape: [values.length], values });

test("a value used many times, directly and through an If, gets the sum of all gradients", async () => {
  // L = Σ x² + x·eˣ + x + (c ? x³ : −x)  ⇒  dL/dx = 2x + (1 + x)·eˣ + 1 + (c ? 3x² : −1)
  const g = createBuilder();
  const [x, c] = [g.input("x", "float32", [3]), g.input("c", "bool", [])];
  const [chosen] = g.if(
    c,
    (h) => [h.mul(h.mul(x, x), x)],
    (h) => [h.neg(x)],
  );
  const sum = [g.mul(x, x), g.mul(x, g.exp(x)), x, chosen!].reduce(g.add);
  g.output("dx", gradientsOf(g, g.reduceSum(sum, [0]), [x])[0]!);
  const values = [-1, 0.5, 2];
  for (const taken of [0, 1]) {
    const found = await evaluate(g.graph, { x: row(...values), c: { dtype: "bool", shape: [], values: [taken] } });
    const expected = values.map((v) => 2 * v + (1 + v) * Math.exp(v) + 1 + (taken ? 3 * v * v : -1));
    expectClose(found["dx"]!, row(...expected), `condition ${taken}`);
  }
});

test("a tensor that the loss does not depend on gets zeros, by `differentiate` nothing", async () => {
  const g = createBuilder();
  const [x, other] = [g.input("x", "float32", [3]), g.input("other", "float32", ["batch", 2])];
  const loss = g.reduceSum(g.mul(x, x), [0]);
  expect(differentiate(g, new Map([[loss, g.scalar(1)]]), [other])).toEqual([undefined]);
  const [dx, dOther] = gradientsOf(g, loss, [x, other]);
  g.output("dx", dx!);
  g.output("dOther", dOther!);
  const zeros: Sample = { dtype: "float32", shape: [2, 2], values: [0, 0, 0, 0] };
  const found = await evaluate(g.graph, { x: row(1, -2, 3), other: { ...zeros, values: [5, 6, 7, 8] } });
  expect(found["dOther"]).toEqual(zeros);
  expect(found["dx"]).toEqual(row(2, -4, 6));
});

test("two losses: together by their weights, or one after the other", async () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [3]);
  const shared = g.exp(x);
  const [a, b] = [g.reduceSum(shared, [0]), g.reduceSum(g.mul(shared, shared), [0])];
  const [both] = differentiate(
    g,
    new Map([
      [a, g.scalar(2)],
      [b, g.scalar(0.5)],
    ]),
    [x],
  );
  g.output("both", both!);
  g.output("a", gradientsOf(g, a, [x])[0]!);
  g.output("b", gradientsOf(g, b, [x])[0]!);
  const found = await evaluate(g.graph, { x: row(-1, 0, 1) });
  const [da, db] = [[-1, 0, 1].map(Math.exp), [-1, 0, 1].map((v) => 2 * Math.exp(2 * v))];
  expectClose(found["a"]!, row(...da), "first loss");
  expectClose(found["b"]!, row(...db), "second loss");
  expectClose(found["both"]!, row(...da.map((v, i) => 2 * v + 0.5 * db[i]!)), "both");
});

test("a loss that another one is computed from keeps the gradient of both", async () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [2]);
  const y = g.mul(x, x);
  const z = g.mul(y, y); // dz/dx = 4x³, and y itself counts with 2x
  const ones = g.constant("float32", [2], [1, 1]);
  const [dx] = differentiate(
    g,
    new Map([
      [y, ones],
      [z, ones],
    ]),
    [x],
  );
  g.output("dx", dx!);
  expect((await evaluate(g.graph, { x: row(2, -3) }))["dx"]).toEqual(row(36, -114));
});

test("no gradient passes integers: their path ends without a node", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", 3]);
  const y = g.mul(g.cast(g.cast(x, "int32"), "float32"), g.zeros(["batch", 3]));
  expect(appended(g, () => expect(differentiate(g, new Map([[y, x]]), [x])).toEqual([undefined]))).toEqual([]);
});

test("errors: a loss that is no scalar", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [3]);
  expect(() => gradientsOf(g, x, [x])).toThrow("x: only a scalar has a gradient.");
});
