/** What every operator must show, on every device: its cases, by operator and property. */
import type { Builder } from "../ir/builder.js";
import { int, type Value } from "../ir/graph.js";
import type { Call, GradientOptions, Operand } from "./testing.fixtures.js";

/** What every operator must show, or say why it does not apply. */
const properties = [
  "a value used twice",
  "broadcasting",
  "rank 0",
  "axes of size 1",
  "empty batch",
  "negative axis",
] as const;
type Property = (typeof properties)[number];

interface Case {
  readonly call: Call;
  readonly operands: readonly Operand[];
}

type Suite = Readonly<Record<Property, Case | readonly Case[] | string>> & {
  readonly options?: GradientOptions;
};

const c = (call: Call, ...operands: readonly (Operand | Operand["shape"])[]): Case => ({
  call,
  operands: operands.map((x) => (Array.isArray(x) ? { shape: x } : (x as Operand))),
});

const batch = "batch";
const positive = (...shape: Operand["shape"]): Operand => ({ shape, values: [0.5, 1.2, 2.3, 0.9, 1.7] });
/** Σ x², its gradient 2x given beside it. */
const squareOf = (g: Builder, x: Value): Value => {
  const axes = x.type.shape.map((_, i) => i);
  const square = g.mul(x, x);
  return g.withGradient(axes.length > 0 ? g.reduceSum(square, axes) : square, x, g.add(x, x));
};
const bool = (...shape: Operand["shape"]): Operand => ({ shape, dtype: "bool", values: [1, 0, 0, 1, 1] });
const indices = (shape: Operand["shape"], ...values: readonly number[]): Operand => ({ shape, dtype: "int32", values });

const noAxis = "no axis attribute";
const oneOperand = "one operand";
/** ONNX Runtime has no float64 kernel. */
const float32: GradientOptions = { dtype: "float32" };

/** Two nodes that read the same operands: the gradients add up. */
const twice =
  (call: Call): Call =>
  (g, xs) => [...call(g, xs), ...call(g, xs)];

function unary(call: Call, make: (...shape: Operand["shape"]) => Operand = (...shape) => ({ shape })): Suite {
  return {
    "a value used twice": c(twice(call), make(2, 3)),
    broadcasting: oneOperand,
    "rank 0": c(call, make()),
    "axes of size 1": c(call, make(1, 3, 1)),
    "empty batch": c(call, make(batch, 3)),
    "negative axis": noAxis,
  };
}

function binary(call: Call, make: (...shape: Operand["shape"]) => Operand = (...shape) => ({ shape })): Suite {
  const pairs: [Operand["shape"], Operand["shape"]][] = [
    [
      [2, 3],
      [2, 1],
    ],
    [
      [1, 3],
      [2, 3],
    ],
    [
      [2, 1, 3],
      [4, 1],
    ],
    [[3], [2, 3]],
    [[2, 3], []],
    [[], [2, 3]],
    [[1, 1, 1], [3]],
  ];
  return {
    "a value used twice": [c((g, [x]) => call(g, [x!, x!]), make(2, 3)), c(twice(call), make(2, 3), make(3))],
    broadcasting: pairs.map(([a, b]) => c(call, make(...a), make(...b))),
    "rank 0": c(call, make(), make()),
    "axes of size 1": c(call, make(1, 3, 1), make(1, 1, 1)),
    "empty batch": [
      c(call, make(batch, 3), make(3)),
      c(call, make(1, 3), make(batch, 1)),
      c(call, make(), make(batch)),
    ],
    "negative axis": noAxis,
  };
}

/** Softmax and LogSoftmax. */
function alongAxis(call: (axis: number) => Call): Suite {
  return {
    "a value used twice": c(twice(call(1)), [2, 3]),
    broadcasting: oneOperand,
    "rank 0": "needs an axis",
    "axes of size 1": [c(call(1), [2, 1, 3]), c(call(2), [1, 3, 1])],
    "empty batch": c(call(1), [batch, 3, 2]),
    "negative axis": [c(call(-1), [2, 3]), c(call(-3), [2, 3, 2])],
  };
}

function reduction(call: (axes: readonly number[], keepdims: boolean) => Call): Suite {
  return {
    "a value used twice": c(twice(call([0], false)), [2, 3]),
    broadcasting: oneOperand,
    "rank 0": [c(call([], false), []), c(call([], false), [2, 3])],
    "axes of size 1": [c(call([1], false), [2, 1, 3]), c(call([0], true), [1, 3])],
    "empty batch": [c(call([1], false), [batch, 3]), c(call([1], true), [batch, 3, 2])],
    "negative axis": [c(call([-1], false), [2, 3]), c(call([-1, 0], true), [2, 3, 2])],
  };
}

function product(call: Call, transA: boolean, transB: boolean): Suite {
  const a = (...shape: Operand["shape"]) => (transA ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape);
  const b = (...shape: Operand["shape"]) => (transB ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape);
  return {
    "a value used twice": [c((g, [x]) => call(g, [x!, x!]), [3, 3]), c(twice(call), a(2, 3), b(3, 2))],
    broadcasting: [
      c(call, a(2, 2, 3), b(3, 2)),
      c(call, a(2, 3), b(2, 3, 2)),
      c(call, a(2, 1, 2, 3), b(2, 3, 2)),
      c(call, a(1, 2, 3), b(2, 3, 1)),
    ],
    "rank 0": "operands have two axes or more",
    "axes of size 1": [c(call, a(1, 3), b(3, 1)), c(call, a(2, 1), b(1, 2))],
    "empty batch": [c(call, a(batch, 2, 3), b(3, 2)), c(call, a(batch, 2, 3), b(batch, 3, 2))],
    "negative axis": noAxis,
  };
}

const either: Call = (g, [condition, a, b]) =>
  g.if(
    condition!,
    (h) => [h.mul(a!, b!)],
    (h) => [h.tanh(a!)],
  );
const taken = (value: boolean): Operand => ({ shape: [], dtype: "bool", values: [Number(value)] });

/** Turns heads by the angles (row + 1)(column + 1) / 4. */
const turn =
  (heads: number, turned?: number): Call =>
  (g, [x, positions]) => {
    const table = (f: (angle: number) => number) =>
      g.constant(
        "float32",
        [6, 2],
        [1, 2, 2, 4, 3, 6, 4, 8, 5, 10, 6, 12].map((quarters) => f(quarters / 4)),
      );
    return [g.rotate(x!, positions!, table(Math.cos), table(Math.sin), heads, turned)];
  };
const rows = (...shape: Operand["shape"]): Operand => ({ shape, dtype: "int64", values: [0, 5, 2, 4, 1, 1] });

export const suites: Readonly<Record<string, Suite>> = {
  Abs: unary((g, [x]) => [g.abs(x!)]),
  Add: binary((g, [a, b]) => [g.add(a!, b!)]),
  And: binary((g, [a, b]) => [g.and(a!, b!)], bool),
  Cast: { ...unary((g, [x]) => [g.cast(x!, "float64"), g.cast(x!, "int32")]), options: float32 },
  Concat: {
    "a value used twice": c((g, [x]) => [g.concat([x!, x!], 0)], [2, 3]),
    broadcasting: "operands are as long as each other",
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [a, b]) => [g.concat([a!, b!], 1)], [1, 1, 2], [1, 3, 2]),
    "empty batch": [
      c((g, [a, b]) => [g.concat([a!, b!], 1)], [batch, 1], [batch, 2]),
      c((g, [a, b]) => [g.concat([a!, b!], 0)], [batch, 2], [1, 2]),
    ],
    "negative axis": c((g, [a, b]) => [g.concat([a!, b!], -2)], [1, 3], [2, 3]),
  },
  Cos: { ...unary((g, [x]) => [g.cos(x!)]), options: float32 },
  CumSum: {
    ...alongAxis((axis) => (g, [x]) => [g.cumSum(x!, axis)]),
    broadcasting: [true, false].map((exclusive) =>
      c(
        (g, [x]) => {
          const axis = g.constant("int64", [], [0]);
          return g.emit("CumSum", [x, axis], { exclusive: int(+exclusive), reverse: int(1) });
        },
        [3, 2],
      ),
    ),
  },
  Div: binary((g, [a, b]) => [g.div(a!, b!)], positive),
  Equal: binary((g, [a, b]) => g.emit("Equal", [a, b]), positive),
  Erf: { ...unary((g, [x]) => [g.erf(x!)]), options: float32 },
  Exp: unary((g, [x]) => [g.exp(x!)]),
  Expand: {
    "a value used twice": c(
      twice((g, [x]) => [g.expand(x!, [2, 3])]),
      [3],
    ),
    broadcasting: [
      c((g, [x]) => [g.expand(x!, [2, 3])], [2, 1]),
      c((g, [x]) => [g.expand(x!, [2, 3])], [1, 3]),
      c((g, [x]) => [g.expand(x!, [4, 2, 3])], [2, 1]),
    ],
    "rank 0": [c((g, [x]) => [g.expand(x!, [2, 3])], []), c((g, [x]) => g.emit("Expand", [x, g.shapeTensor([])]), [])],
    "axes of size 1": c((g, [x]) => [g.expand(x!, [1, 2, 1])], [1, 1]),
    "empty batch": c((g, [x]) => [g.expand(x!, [batch, 3])], [1, 3], [batch]),
    "negative axis": noAxis,
  },
  FusedMatMul: product((g, [a, b]) => [g.matmul(a!, b!, { transB: true, alpha: 0.5 })], false, true),
  Gather: {
    "a value used twice": c(
      twice((g, [x, i]) => [g.gather(x!, i!, 0)]),
      [3, 2],
      indices([2, 2], 0, 2, 0, 1),
    ),
    broadcasting: "every index picks by itself",
    "rank 0": c((g, [x, i]) => [g.gather(x!, i!, 1)], [2, 3], indices([], 2)),
    "axes of size 1": c((g, [x, i]) => [g.gather(x!, i!, 1)], [1, 1, 2], indices([1, 3], 0, 0, 0)),
    "empty batch": [
      c((g, [x, i]) => [g.gather(x!, i!, 1)], [batch, 3], indices([2], 2, 0)),
      c((g, [x, i]) => [g.gather(x!, i!, 0)], [3, 2], indices([batch, 2], 2, 0, 2)),
    ],
    "negative axis": c((g, [x, i]) => [g.gather(x!, i!, -1)], [2, 3], indices([2], -1, 0)),
  },
  GatherElements: {
    "a value used twice": c(
      twice((g, [x, i]) => [g.gatherElements(x!, i!, 0)]),
      [3, 2],
      indices([2, 2], 0, 2, 0, 1),
    ),
    broadcasting: "indices have the rank of the data",
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [x, i]) => [g.gatherElements(x!, i!, 1)], [1, 1], indices([1, 3], 0, 0, 0)),
    "empty batch": c((g, [x, i]) => [g.gatherElements(x!, i!, 1)], [batch, 3], indices([batch, 1], 2, 0)),
    "negative axis": c((g, [x, i]) => [g.gatherElements(x!, i!, -1)], [2, 3], indices([2, 2], -1, 0, 2, 2)),
  },
  Gelu: { ...unary((g, [x]) => [g.gelu(x!), g.gelu(x!, "tanh")]), options: float32 },
  Gemm: {
    "a value used twice": c((g, [x]) => [g.gemm(x!, x!, x!)], [3, 3]),
    broadcasting: [[3], [1, 3], [2, 1], [1], []].map((shape) =>
      c((g, [a, b, bias]) => [g.gemm(a!, b!, bias!)], [2, 4], [4, 3], shape),
    ),
    "rank 0": "operands are matrices",
    "axes of size 1": c((g, [a, b, bias]) => [g.gemm(a!, b!, bias!, { transA: true })], [3, 1], [3, 1], [1]),
    "empty batch": [
      c((g, [a, b, bias]) => [g.gemm(a!, b!, bias!, { transB: true })], [batch, 3], [2, 3], [2]),
      c((g, [a, b]) => [g.gemm(a!, b!, undefined, { transA: true })], [batch, 3], [batch, 2]),
    ],
    "negative axis": noAxis,
  },
  Greater: binary((g, [a, b]) => [g.greater(a!, b!)], positive),
  Identity: unary((g, [x]) => g.emit("Identity", [x])),
  If: {
    "a value used twice": [true, false].map((value) =>
      c(
        (g, [condition, a, b]) => [...either(g, [condition!, a!, b!]), ...either(g, [condition!, b!, a!])],
        taken(value),
        [2, 3],
        [2, 3],
      ),
    ),
    broadcasting: "the condition is one bool",
    "rank 0": [true, false].map((value) => c(either, taken(value), [], [])),
    "axes of size 1": [true, false].map((value) => c(either, taken(value), [1, 2], [1, 1])),
    "empty batch": [true, false].map((value) => c(either, taken(value), [batch, 3], [3])),
    "negative axis": noAxis,
  },
  LayerNormalization: {
    "a value used twice": c(
      twice((g, [x, s, b]) => [g.layerNorm(x!, s!, b!, 1e-5)]),
      [2, 3],
      [3],
      [3],
    ),
    broadcasting: "scale and bias are as long as the last axis",
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [x, s]) => [g.layerNorm(x!, s!, undefined, 1e-5)], [1, 1, 3], [3]),
    "empty batch": c((g, [x, s, b]) => [g.layerNorm(x!, s!, b!, 1e-5)], [batch, 2, 3], [3], [3]),
    "negative axis": c((g, [x, s]) => g.emit("LayerNormalization", [x, s], { axis: int(1) }), [2, 3], [3]),
    options: { dtype: "float32", atol: 1e-3 }, // mean and inv are float32; a row of 3 bends more than the other operators
  },
  Linear: {
    "a value used twice": c((g, [x]) => [g.linear(x!, x!)], [3, 3]),
    broadcasting: "the weight is shared by all rows",
    "rank 0": "needs an axis",
    "axes of size 1": [
      c((g, [x, w, b]) => [g.linear(x!, w!, b!)], [1, 1, 3], [2, 3], [2]),
      c((g, [x, w, b]) => [g.linear(x!, w!, b!)], [2, 1], [1, 1], [1]),
      c((g, [x, w, b]) => [g.linear(x!, w!, b!)], [3], [2, 3], [2]),
    ],
    "empty batch": c((g, [x, w, b]) => [g.linear(x!, w!, b!, { transposed: true })], [batch, 2, 3], [3, 2], [2]),
    "negative axis": noAxis,
  },
  Log: unary((g, [x]) => [g.log(x!)], positive),
  LogSoftmax: alongAxis((axis) => (g, [x]) => [g.logSoftmax(x!, axis)]),
  MatMul: product((g, [a, b]) => [g.matmul(a!, b!)], false, false),
  Mul: binary((g, [a, b]) => [g.mul(a!, b!)]),
  Neg: unary((g, [x]) => [g.neg(x!)]),
  Or: binary((g, [a, b]) => [g.or(a!, b!)], bool),
  Pad: {
    "a value used twice": c(
      twice((g, [x]) => [g.pad(x!, [1, 0], [0, 2])]),
      [2, 3],
    ),
    broadcasting: oneOperand,
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [x]) => [g.pad(x!, [0, 1], [1, 0])], [1, 1]),
    "empty batch": c((g, [x]) => [g.pad(x!, [0, 1], [0, 2])], [batch, 2]),
    "negative axis": noAxis,
  },
  QuickGelu: unary((g, [x]) => [g.quickGelu(x!, 1.5)]),
  ReduceMax: reduction((axes, keepdims) => (g, [x]) => {
    const list = g.constant("int64", [axes.length], axes);
    return g.emit("ReduceMax", [x, list], { keepdims: int(+keepdims) });
  }),
  ReduceMean: reduction((axes, keepdims) => (g, [x]) => [g.reduceMean(x!, axes, keepdims)]),
  ReduceSum: reduction((axes, keepdims) => (g, [x]) => [g.reduceSum(x!, axes, keepdims)]),
  Relu: unary(
    (g, [x]) => [g.relu(x!)],
    (...shape) => ({ shape, values: [0.5, -1.2, 2.3, -0.9, 1.7] }),
  ),
  Reshape: {
    "a value used twice": c(
      twice((g, [x]) => [g.reshape(x!, [6])]),
      [2, 3],
    ),
    broadcasting: oneOperand,
    "rank 0": [c((g, [x]) => [g.reshape(x!, [])], [1, 1]), c((g, [x]) => [g.reshape(x!, [1])], [])],
    "axes of size 1": c((g, [x]) => [g.reshape(x!, [1, 3, 1])], [3]),
    "empty batch": [
      c((g, [x]) => [g.reshape(x!, ["6*batch"])], [batch, 2, 3]),
      c((g, [x]) => [g.reshape(x!, [batch, 3, 2])], [batch, 6]),
      c((g, [x]) => [g.reshape(x!, [3, "2*batch"])], [3, 2, batch]),
      c((g, [x]) => [g.reshape(x!, [2, "3*batch", "tokens"])], [batch, 2, 3, "tokens"]),
      c((g, [x]) => [g.reshape(x!, ["tokens", batch])], [batch, "tokens"]),
    ],
    "negative axis": noAxis,
  },
  RotaryEmbedding: {
    "a value used twice": c(twice(turn(2)), [2, 3, 8], rows(2, 3)),
    broadcasting: "the angles are shared by all heads",
    "rank 0": "needs three axes",
    "axes of size 1": [c(turn(1), [1, 1, 4], rows(1, 1)), c(turn(2, 4), [1, 2, 12], rows(1, 2))],
    "empty batch": c(turn(2, 4), [batch, 3, 12], rows(batch, 3)),
    "negative axis": noAxis,
    options: float32,
  },
  ScatterElements: {
    "a value used twice": c((g, [x, i]) => [g.scatterAdd(x!, i!, x!, 0)], [2, 2], indices([2, 2], 0, 1, 0, 1)),
    broadcasting: "indices have the rank of the data",
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [x, i, u]) => [g.scatterAdd(x!, i!, u!, 1)], [1, 1], indices([1, 3], 0, 0, 0), [1, 3]),
    "empty batch": c((g, [x, i, u]) => [g.scatterAdd(x!, i!, u!, 1)], [batch, 3], indices([batch, 1], 2, 0), [
      batch,
      1,
    ]),
    "negative axis": c((g, [x, i, u]) => [g.scatterAdd(x!, i!, u!, -1)], [2, 3], indices([2, 2], -1, 0, 2, 2), [2, 2]),
  },
  Shape: unary((g, [x]) => g.emit("Shape", [x], {})),
  Sigmoid: unary((g, [x]) => [g.sigmoid(x!)]),
  SimplifiedLayerNormalization: {
    "a value used twice": c(
      twice((g, [x, s]) => [g.rmsNorm(x!, s!, 1e-5)]),
      [2, 3],
      [3],
    ),
    broadcasting: "the scale is as long as the last axis",
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [x, s]) => [g.rmsNorm(x!, s!, 1e-5)], [1, 1, 3], [3]),
    "empty batch": c((g, [x, s]) => [g.rmsNorm(x!, s!, 1e-5)], [batch, 2, 3], [3]),
    "negative axis": c((g, [x, s]) => g.emit("SimplifiedLayerNormalization", [x, s], { axis: int(1) }), [2, 3], [3]),
    options: { dtype: "float32", atol: 1e-3 }, // as LayerNormalization
  },
  Sin: { ...unary((g, [x]) => [g.sin(x!)]), options: float32 },
  Slice: {
    "a value used twice": c((g, [x]) => [g.slice(x!, 1, 0, 2), g.slice(x!, 1, 1, 3)], [2, 3]),
    broadcasting: oneOperand,
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [x]) => [g.slice(x!, 0, 0, 1)], [1, 3]),
    "empty batch": c((g, [x]) => [g.slice(x!, 1, 1, 2)], [batch, 3]),
    "negative axis": c((g, [x]) => [g.slice(x!, -1, -2, -1)], [2, 3]),
  },
  Softmax: alongAxis((axis) => (g, [x]) => [g.softmax(x!, axis)]),
  Split: {
    "a value used twice": c(
      twice((g, [x]) => g.split(x!, [1, 2], 1)),
      [2, 3],
    ),
    broadcasting: oneOperand,
    "rank 0": "needs an axis",
    "axes of size 1": c((g, [x]) => g.split(x!, [1], 1), [2, 1]),
    "empty batch": [
      c((g, [x]) => g.split(x!, [1, 2], 1), [batch, 3]),
      c((g, [x, y]) => g.split(g.concat([x!, y!], 0), [batch, 1], 0), [batch, 2], [1, 2]),
    ],
    "negative axis": c((g, [x]) => g.split(x!, [1, 1], -2), [2, 3]),
  },
  Sqrt: unary((g, [x]) => [g.sqrt(x!)], positive),
  Sub: binary((g, [a, b]) => [g.sub(a!, b!)]),
  Tanh: unary((g, [x]) => [g.tanh(x!)]),
  Transpose: {
    "a value used twice": c((g, [x]) => [g.transpose(x!, [1, 0]), g.transpose(x!, [0, 1])], [2, 3]),
    broadcasting: oneOperand,
    "rank 0": c((g, [x]) => [g.transpose(x!, [])], []),
    "axes of size 1": c((g, [x]) => [g.transpose(x!, [2, 0, 1])], [1, 3, 1]),
    "empty batch": c((g, [x]) => [g.transpose(x!, [0, 2, 1])], [batch, 2, 3]),
    "negative axis": "an order of axes, which counts from the front",
  },
  Where: {
    "a value used twice": c((g, [condition, x]) => [g.where(condition!, x!, x!)], bool(2, 3), [2, 3]),
    broadcasting: [
      c((g, [condition, a, b]) => [g.where(condition!, a!, b!)], bool(3), [2, 3], [2, 3]),
      c((g, [condition, a, b]) => [g.where(condition!, a!, b!)], bool(2, 3), [2, 1], []),
      c((g, [condition, a, b]) => [g.where(condition!, a!, b!)], bool(2, 1, 1), [3], [2, 1]),
    ],
    "rank 0": c((g, [condition, a, b]) => [g.where(condition!, a!, b!)], bool(), [], []),
    "axes of size 1": c((g, [condition, a, b]) => [g.where(condition!, a!, b!)], bool(1, 1), [1, 3], [1, 1]),
    "empty batch": c((g, [condition, a, b]) => [g.where(condition!, a!, b!)], bool(batch, 3), [batch, 1], []),
    "negative axis": noAxis,
  },
  WithGradient: {
    "a value used twice": c(
      twice((g, [x]) => [squareOf(g, x!)]),
      [2, 3],
    ),
    broadcasting: "the gradient has the operand's shape",
    "rank 0": c((g, [x]) => [squareOf(g, x!)], []),
    "axes of size 1": c((g, [x]) => [squareOf(g, x!)], [1, 3, 1]),
    "empty batch": c((g, [x]) => [squareOf(g, x!)], [batch, 3]),
    "negative axis": noAxis,
  },
};

export interface NamedCase extends Case {
  readonly op: string;
  readonly name: string;
  readonly options: GradientOptions;
}

/** Each case by its name; one whose shapes have symbols twice, for the empty batch and for one of two. */
export function conformanceCases(): NamedCase[] {
  return Object.entries(suites).flatMap(([op, suite]) =>
    properties.flatMap((property) => {
      const found = suite[property];
      if (typeof found === "string") return []; // the reason why it does not apply
      const cases = "call" in found ? [found] : found;
      return cases.flatMap((one, i): NamedCase[] => {
        const symbolic = one.operands.some((x) => x.shape.some((d) => typeof d === "string"));
        const name = `${property}${cases.length > 1 ? ` (${i + 1})` : ""}`;
        return (symbolic ? [0, 2] : [undefined]).map((size) => ({
          ...one,
          op,
          name: size === undefined ? name : `${name}, batch = ${size}`,
          options: { ...suite.options, symbols: { batch: size ?? 0, tokens: 3 } },
        }));
      });
    }),
  );
}
