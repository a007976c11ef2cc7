import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { GloraError } from "../base/errors.js";
import { createBuilder, ops } from "../ops/index.js";
import { inferWith } from "../ops/op.js";
import type { InferTypes } from "./builder.js";
import { checkGraph } from "./checker.js";
import { decodeModel, encodeModel } from "./codec.js";
import { type ElementType, Graph, type Node, subgraphsOf, type TensorData, type WeightSource } from "./graph.js";

const fixture = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`../../test/fixtures/onnx/${name}`, import.meta.url)));

/** Rules of the operators in the fixtures: the codec asks for types and does not mind where they come from. */
const infer: InferTypes = (call) => {
  const x = call.inputs[0]!.type;
  const { to } = call.attributes;
  if (call.op === "If") return inferWith(ops)(call);
  if (call.op === "Nonsenses") throw new Error(`${call.name}: the operator Nonsenses is not known.`);
  if (call.op === "Transpose") return [{ ...x, shape: x.shape.toReversed() }];
  return [to?.type === "string" ? { ...x, dtype: to.value as ElementType } : x];
};

const inline = (...values: number[]): TensorData => ({
  kind: "inline",
  dtype: "float32",
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const onDisk: WeightSource = { name: "w.bin", path: "/data/w.bin", read: async () => new Uint8Array() };

/** What a graph says, without identity: to compare graphs. */
const summary = (graph: Graph): unknown => ({
  inputs: graph.inputs,
  initializers: graph.initializers.map(({ name, type, data }) => ({ name, type, data })),
  nodes: graph.nodes.map(({ name, op, domain, inputs, outputs, attributes }: Node) => ({
    ...{ name, op, domain, inputs: inputs.map((v) => v?.name), outputs: outputs.map((v) => [v.name, v.type]) },
    attributes: Object.entries(attributes).map(([k, a]) => [
      k,
      a.type,
      a.type === "graph" ? summary(a.value) : a.value,
    ]),
  })),
  outputs: graph.outputs.map((o) => [o.name, o.value.name]),
});

test("every way in which the onnx package writes numbers is read", () => {
  const graph = decodeModel(fixture("numbers.onnx"), infer);
  const arrays = Object.fromEntries(
    graph.initializers.map(({ name, data }) => [name, data?.kind === "inline" ? data.bytes.slice().buffer : undefined]),
  );
  const number = (name: string) => arrays[name] as ArrayBuffer;
  expect([...new Float32Array(number("float32"))]).toEqual([1.5, -2]);
  expect([...new Float64Array(number("float64"))]).toEqual([1.5, -2]);
  expect([...new Uint16Array(number("float16"))]).toEqual([0x3e00, 0xc000]);
  expect([...new Uint16Array(number("bfloat16"))]).toEqual([0x3fc0, 0xc000]);
  expect([...new BigInt64Array(number("int64"))]).toEqual([2n ** 40n, -3n]);
  expect([...new Int32Array(number("int32"))]).toEqual([7, -3]);
  expect([...new Int16Array(number("int16"))]).toEqual([7, -3]);
  expect([...new Int8Array(number("int8"))]).toEqual([7, -3]);
  expect([...new BigUint64Array(number("uint64"))]).toEqual([7n, 3n]);
  expect([...new Uint32Array(number("uint32"))]).toEqual([7, 2 ** 32 - 1]);
  expect([...new Uint16Array(number("uint16"))]).toEqual([7, 3]);
  expect([...new Uint8Array(number("uint8"))]).toEqual([7, 255]);
  expect([...new Uint8Array(number("bool"))]).toEqual([1, 0]);
  expect([...new Float32Array(number("raw"))]).toEqual([1.5, -2]);
  expect([...new BigInt64Array(number("tensor"))]).toEqual([3n, 4n]);
  expect([...new Float32Array(number("float"))]).toEqual([0.5]);
  expect([...new Float32Array(number("floats"))]).toEqual([0.5, 0.25]);
  expect([...new BigInt64Array(number("int"))]).toEqual([5n]);
  expect([...new BigInt64Array(number("ints"))]).toEqual([0n, -1n]);
  expect(graph.find("ints")?.type.contents).toEqual([0, -1]);
  expect(graph.nodes.map((n) => n.op)).toEqual(["Add"]);
});

test("branches, absent inputs and attributes are read", () => {
  const graph = decodeModel(fixture("if.onnx"), infer);
  checkGraph(graph, infer);
  const [choice, clip, transpose, leaky, gelu, cast] = graph.nodes;
  const [otherwise, then] = subgraphsOf(choice!); // the package sorts attributes by name
  expect(then!.nodes[0]!.inputs).toEqual([graph.find("x"), graph.find("w")]);
  expect(otherwise!.nodes[0]!.op).toBe("Mul");
  expect(clip!.inputs.map((v) => v?.name)).toEqual(["chosen", undefined, "w0"]);
  expect(transpose!.attributes).toEqual({ perm: { type: "ints", value: [1, 0] } });
  expect(leaky!.attributes).toEqual({ alpha: { type: "float", value: 0.25 } });
  expect(gelu!.attributes).toEqual({ approximate: { type: "string", value: "tanh" } });
  expect(cast!.attributes).toEqual({ to: { type: "string", value: "float32" } });
  expect(graph.outputs[0]!.value.type.shape).toEqual([2, "batch"]);
});

test.each(["numbers.onnx", "if.onnx", "external.onnx"])("%s: decoded = encoded and decoded again", (name) => {
  const files = (): WeightSource => onDisk;
  const graph = decodeModel(fixture(name), infer, files);
  const again = decodeModel(encodeModel(graph, { externalDataPath: () => "w.bin" }), infer, files);
  expect(summary(again)).toEqual(summary(graph));
});

test("external data is found by its location", () => {
  const locations: string[] = [];
  const graph = decodeModel(fixture("external.onnx"), infer, (location) => {
    locations.push(location);
    return onDisk;
  });
  expect(locations).toEqual(["far.bin"]);
  expect(graph.find("w")!.data).toEqual({ kind: "external", dtype: "float32", source: onDisk, offset: 5, length: 8 });
  expect(() => decodeModel(fixture("external.onnx"), infer)).toThrow(
    'w: its data lies in another file, "far.bin", which was not given.',
  );
});

test("compound dimensions survive", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", ["batch", "tokens", 4]);
  g.output("rows", g.mul(g.reshape(x, ["batch*tokens", 4]), g.scalar(2)));
  const graph = decodeModel(encodeModel(g.graph), inferWith(ops));
  expect(graph.outputs[0]!.value.type.shape).toEqual(["batch*tokens", 4]);
});

test("outputs have their names, whatever they stand for", () => {
  const g = createBuilder();
  const x = g.input("x", "float32", [2]);
  const w = g.initializer("w", [2], inline(1, 2));
  const y = g.add(x, w);
  const z = g.mul(y, w);
  // `Mul:y` as the name of another output, and `w` as the name of something else.
  for (const [name, value] of [["Mul:y", y], ["again", y], ["w", z], ["input", x], ["weight", w]] as const) // biome-ignore format: pairs
    g.output(name, value);
  const graph = decodeModel(encodeModel(g.graph), infer);
  checkGraph(graph, infer);
  expect(graph.outputs.map((o) => o.name)).toEqual(["Mul:y", "again", "w", "input", "weight"]);
  const producer = (i: number) => graph.nodes.find((n) => n.outputs.includes(graph.outputs[i]!.value))!;
  expect([0, 1, 2, 3, 4].map((i) => producer(i).op)).toEqual(["Add", "Identity", "Mul", "Identity", "Identity"]);
  expect(producer(1).inputs).toEqual([graph.outputs[0]!.value]);
  expect(producer(3).inputs).toEqual([graph.find("x")]);
});

test.each<[string, (g: ReturnType<typeof createBuilder>) => void, string]>([
  [
    "a composite",
    (g) => g.output("y", g.linear(g.input("x", "float32", [2]), g.initializer("w", [1, 2], inline(1, 2)))),
    "Linear: the composite Linear must be lowered before the graph is written.",
  ],
  [
    "a weight that is not widened",
    (g) => g.initializer("w", [4], { kind: "inline", dtype: "float16", bytes: new Uint8Array(8) }, "float32"),
    "w: used as float32 but stored as float16; widen it first.",
  ],
  [
    "external data without a path",
    (g) => g.initializer("w", [2], { kind: "external", dtype: "float32", source: onDisk, offset: 0, length: 8 }),
    "w: lies in w.bin, and no path to it is given.",
  ],
  ["two outputs of one name", (g) => [1, 2].map((v) => g.output("y", g.scalar(v))), "Two inputs or outputs"],
])("%s cannot be written", (_what, build, text) => {
  const g = createBuilder();
  build(g);
  expect(() => encodeModel(g.graph)).toThrow(text);
});

// Hostile files.

/** A model with the first occurrence of some bytes replaced by as many others. */
function patched(name: string, from: string, to: string): Uint8Array {
  const bytes = Buffer.from(fixture(name));
  const at = bytes.indexOf(from, 0, "latin1");
  expect(at).toBeGreaterThan(0);
  expect(to.length).toBe(from.length);
  bytes.write(to, at, "latin1");
  return bytes;
}

test.each<[string, () => Uint8Array, string]>([
  ["no bytes", () => new Uint8Array(), "they hold no graph"],
  ["a picture", () => Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), "These 8 bytes are no ONNX model"],
  ["an old operator set", () => fixture("opset13.onnx"), "operator set 13; 18 to 21 are understood"],
  [
    "an operator without rule",
    () => patched("if.onnx", "LeakyRelu", "Nonsenses"),
    "leaky: the operator Nonsenses is not known.",
  ],
  ["an undefined input", () => patched("if.onnx", "clipped", "clippex"), '"clipped" is used before it is defined'],
  [
    "a data type that ONNX lacks",
    () => patched("external.onnx", "\x10\x01B\x01w", "\x10\x63B\x01w"),
    "element type 99",
  ],
  [
    "data of another length",
    () => patched("external.onnx", "\x06length\x12\x018", "\x06length\x12\x019"),
    "8 bytes of",
  ],
  ["a negative offset", () => patched("external.onnx", "\x06offset\x12\x015", "\x06offset\x12\x01-"), 'the offset "-"'],
  [
    "an output of another type",
    () => patched("if.onnx", "\x08\x01\x12\r\n\x02\x08\x02", "\x08\x02\x12\r\n\x02\x08\x02"),
    "declared as uint8[2, batch], but the graph computes float32[2, batch]",
  ],
])("%s: one clear error", (_what, bytes, text) => {
  const decode = () => decodeModel(bytes(), infer, () => onDisk);
  expect(decode).toThrow(GloraError);
  expect(decode).toThrow(text);
});

test.each(["numbers.onnx", "if.onnx", "external.onnx"])(
  "%s: cut or flipped anywhere, an error of ours or a graph",
  (name) => {
    const whole = fixture(name);
    const survives = (bytes: Uint8Array): void => {
      try {
        expect(decodeModel(bytes, infer, () => onDisk)).toBeInstanceOf(Graph);
      } catch (thrown) {
        if (!(thrown instanceof GloraError)) throw thrown;
        expect(thrown.code).toBe("FILE");
      }
    };
    for (let i = 0; i < whole.length; i++) {
      survives(whole.subarray(0, i));
      for (const flip of [1, 0x80, 0xff]) {
        const bytes = whole.slice();
        bytes[i] = bytes[i]! ^ flip;
        survives(bytes);
      }
    }
  },
);
