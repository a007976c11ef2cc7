/**
 * Writes nodes into a graph. `emit` infers the types of the outputs by the operator's own shape rule; the methods below
 * it are shorthand for the operators that models, adapters and derivatives are written in.
 */
import { type Dim, formatShape, type Shape, sameShape, size, symbolsOf } from "./dim.js";
import {
  type Attributes,
  type Domain,
  type ElementType,
  float,
  Graph,
  int,
  ints,
  type Node,
  string,
  subgraph,
  type TensorData,
  type TensorType,
  type Value,
} from "./graph.js";

/** What a shape rule sees of a node. */
export interface NodeCall {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;
  /** How many outputs the caller wants. */
  readonly outputCount: number;
}

/** Types of a node's outputs, by the rule of its operator. */
export type InferTypes = (call: NodeCall) => readonly TensorType[];

export interface EmitOptions {
  readonly domain?: Domain;
  readonly outputs?: number;
}

/** Names given so far, shared by a graph and its branches. */
interface Names {
  readonly taken: Map<string, number>;
  /** Blocks begun so far. */
  blocks: number;
}

export class Builder {
  private readonly constants = new Map<string, Value>();
  private readonly shapes = new Map<string, Value>();
  private blockNumber: number | undefined;

  constructor(
    readonly graph: Graph,
    private readonly infer: InferTypes,
    private readonly names: Names = { taken: new Map(), blocks: 0 },
    private readonly parent?: Builder,
    private scopeName = "",
  ) {
    this.reserve(graph);
  }

  /** Takes the names of a graph, so that none of them is given again. */
  reserve(graph: Graph): void {
    for (const v of [...graph.inputs, ...graph.initializers]) this.unique(v.name);
    for (const node of graph.nodes) {
      this.unique(node.name);
      for (const a of Object.values(node.attributes)) if (a.type === "graph") this.reserve(a.value);
    }
  }

  /** A builder for a branch of a node of this graph; the branch sees the values of this graph. */
  branch(): Builder {
    return new Builder(new Graph(), this.infer, this.names, this.root(), this.scopeName);
  }

  /** Returns values from a branch. It must own them: a captured value or a constant goes through Identity. */
  return(values: readonly Value[]): Graph {
    const own = new Set(this.graph.nodes.flatMap((node) => node.outputs));
    values.forEach((value, i) => {
      this.output(`${i}`, own.has(value) ? value : this.one("Identity", [value]));
    });
    return this.graph;
  }

  /** Names of nodes written inside `body` begin with `prefix`, so that errors and profiles say where they belong. */
  scope<T>(prefix: string, body: () => T): T {
    const outer = this.scopeName;
    this.scopeName = outer === "" ? prefix : `${outer}.${prefix}`;
    try {
      return body();
    } finally {
      this.scopeName = outer;
    }
  }

  /** Marks the nodes written inside `body` as one block of the forward pass, whose values may be computed again backward. */
  block<T>(body: () => T): T {
    this.blockNumber = ++this.names.blocks;
    try {
      return body();
    } finally {
      this.blockNumber = undefined;
    }
  }

  /** Nodes written inside `body` belong to the block that `node` belongs to, which they replace. */
  inBlockOf<T>(node: Node, body: () => T): T {
    const outer = this.blockNumber;
    this.blockNumber = node.block;
    try {
      return body();
    } finally {
      this.blockNumber = outer;
    }
  }

  input(name: string, dtype: ElementType, shape: Shape): Value {
    const value: Value = { name: this.unique(name), type: { dtype, shape } };
    this.graph.inputs.push(value);
    return value;
  }

  initializer(name: string, shape: Shape, data: TensorData, dtype: ElementType = data.dtype): Value {
    const value: Value = { name: this.unique(name), type: { dtype, shape }, data };
    this.graph.initializers.push(value);
    return value;
  }

  output(name: string, value: Value): void {
    this.graph.outputs.push({ name, value });
  }

  /** A constant of the enclosing graph; equal small constants are written once. */
  constant(dtype: ConstantType, shape: Shape, values: readonly number[]): Value {
    if (this.parent) return this.parent.constant(dtype, shape, values);
    const key = `${dtype}${formatShape(shape)}${values.join()}`;
    const known = this.constants.get(key);
    if (known) return known;
    const bytes = encodeNumbers(dtype, values);
    const contents = dtype === "int64" && shape.length === 1 ? { contents: [...values] } : {};
    const value: Value = {
      name: this.unique("constant"),
      type: { dtype, shape, ...contents },
      data: { kind: "inline", dtype, bytes },
    };
    this.graph.initializers.push(value);
    this.constants.set(key, value);
    return value;
  }

  scalar(value: number, dtype: ElementType = "float32"): Value {
    if (dtype !== "float32" && dtype !== "float64")
      throw new Error(`A constant of type float32 or float64 expected, found ${dtype}.`);
    return this.constant(dtype, [], [value]);
  }

  /** Appends a node of any operator. */
  emit(op: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, o: EmitOptions = {}): Value[] {
    const name = this.unique(this.scopeName === "" ? op : `${this.scopeName}/${op}`);
    const types = this.infer({ op, name, inputs, attributes, outputCount: o.outputs ?? 1 });
    const outputs: Value[] = [];
    types.forEach((type, i) => {
      outputs.push({ name: i === 0 ? `${name}:y` : `${name}:y${i}`, type });
    });
    const block = this.blockNumber === undefined ? {} : { block: this.blockNumber };
    this.graph.nodes.push({ name, op, domain: o.domain ?? "", inputs, outputs, attributes, ...block });
    return outputs;
  }

  private one(op: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, o?: EmitOptions): Value {
    return this.emit(op, inputs, attributes, o)[0]!;
  }

  private unique(name: string): string {
    const n = this.names.taken.get(name) ?? 0;
    this.names.taken.set(name, n + 1);
    if (n === 0) return name;
    return this.unique(`${name}_${n}`);
  }

  // Element-wise, with ONNX's (NumPy's) broadcasting.
  add = (a: Value, b: Value): Value => this.one("Add", [a, b]);
  sub = (a: Value, b: Value): Value => this.one("Sub", [a, b]);
  mul = (a: Value, b: Value): Value => this.one("Mul", [a, b]);
  div = (a: Value, b: Value): Value => this.one("Div", [a, b]);
  abs = (x: Value): Value => this.one("Abs", [x]);
  neg = (x: Value): Value => this.one("Neg", [x]);
  exp = (x: Value): Value => this.one("Exp", [x]);
  log = (x: Value): Value => this.one("Log", [x]);
  sqrt = (x: Value): Value => this.one("Sqrt", [x]);
  erf = (x: Value): Value => this.one("Erf", [x]);
  tanh = (x: Value): Value => this.one("Tanh", [x]);
  sigmoid = (x: Value): Value => this.one("Sigmoid", [x]);
  relu = (x: Value): Value => this.one("Relu", [x]);
  cos = (x: Value): Value => this.one("Cos", [x]);
  sin = (x: Value): Value => this.one("Sin", [x]);
  cast = (x: Value, to: ElementType): Value => (x.type.dtype === to ? x : this.one("Cast", [x], { to: string(to) }));

  /** Gelu (opset 20): x·Φ(x), or its tanh approximation. */
  gelu = (x: Value, approximate: "none" | "tanh" = "none"): Value =>
    this.one("Gelu", [x], { approximate: string(approximate) });
  /** x·σ(alpha·x) */
  quickGelu = (x: Value, alpha: number): Value =>
    this.one("QuickGelu", [x], { alpha: float(alpha) }, { domain: "com.microsoft" });

  softmax = (x: Value, axis = -1): Value => this.one("Softmax", [x], { axis: int(axis) });
  logSoftmax = (x: Value, axis = -1): Value => this.one("LogSoftmax", [x], { axis: int(axis) });
  /** Over the last axis. Also gives mean and 1/√(variance + epsilon), which the derivative uses. */
  layerNorm = (x: Value, scale: Value, bias: Value | undefined, epsilon: number): Value =>
    this.emit(
      "LayerNormalization",
      bias ? [x, scale, bias] : [x, scale],
      { axis: int(-1), epsilon: float(epsilon) },
      { outputs: 3 },
    )[0]!;

  /** Over the last axis, without mean and bias. Also gives 1/√(mean(x²) + epsilon), which the derivative uses. */
  rmsNorm = (x: Value, scale: Value, epsilon: number): Value =>
    this.emit(
      "SimplifiedLayerNormalization",
      [x, scale],
      { axis: int(-1), epsilon: float(epsilon) },
      { outputs: 2 },
    )[0]!;
  /**
   * Turns the heads of x [batch, tokens, heads·d] by angles: row p of the tables [rows, r/2] belongs to the tokens whose
   * position [batch, tokens] is p; of each head the first r elements are turned (all of them unless r is given).
   */
  rotate(x: Value, positions: Value, cos: Value, sin: Value, heads: number, r?: number): Value {
    const attributes = { num_heads: int(heads), ...(r !== undefined && { rotary_embedding_dim: int(r) }) };
    return this.one("RotaryEmbedding", [x, positions, cos, sin], attributes, { domain: "com.microsoft" });
  }

  /** alpha · op(a)·op(b) over the last two axes, the others broadcast; op transposes where asked. */
  matmul(a: Value, b: Value, o: { transA?: boolean; transB?: boolean; alpha?: number } = {}): Value {
    const { transA = false, transB = false, alpha = 1 } = o;
    if (!transA && !transB && alpha === 1) return this.one("MatMul", [a, b]);
    const attributes = { transA: int(+transA), transB: int(+transB), alpha: float(alpha) };
    return this.one("FusedMatMul", [a, b], attributes, { domain: "com.microsoft" });
  }
  /** op(a)·op(b) + c for matrices; c broadcasts to the result. */
  gemm(a: Value, b: Value, c?: Value, o: { transA?: boolean; transB?: boolean } = {}): Value {
    const attributes = { transA: int(+(o.transA ?? false)), transB: int(+(o.transB ?? false)) };
    return this.one("Gemm", c ? [a, b, c] : [a, b], attributes);
  }
  /** x·Wᵀ + b with W [out, in], or x·W + b where W is stored [in, out] (`transposed`). A composite: see ops/linear.ts. */
  linear(x: Value, weight: Value, bias?: Value, o: { layer?: string; transposed?: boolean } = {}): Value {
    const attributes = { layer: string(o.layer ?? ""), transposed: int(+(o.transposed ?? false)) };
    return this.one("Linear", bias ? [x, weight, bias] : [x, weight], attributes, { domain: "glora" });
  }

  /** The scalar y, whose gradient with respect to x is dx. A composite: see ops/with-gradient.ts. */
  withGradient = (y: Value, x: Value, dx: Value): Value =>
    this.one("WithGradient", [y, x, dx], {}, { domain: "glora" });

  reduceSum = (x: Value, axes: readonly number[], keepdims = false): Value =>
    this.one("ReduceSum", [x, this.int64(axes)], { keepdims: int(+keepdims) });
  reduceMean = (x: Value, axes: readonly number[], keepdims = false): Value =>
    this.one("ReduceMean", [x, this.int64(axes)], { keepdims: int(+keepdims) });

  /** The largest element of all, or along the axes given. */
  reduceMax = (x: Value, axes?: readonly number[]): Value =>
    this.one("ReduceMax", axes ? [x, this.int64(axes)] : [x], { keepdims: int(0) });
  equal = (a: Value, b: Value): Value => this.one("Equal", [a, b]);
  greater = (a: Value, b: Value): Value => this.one("Greater", [a, b]);
  and = (a: Value, b: Value): Value => this.one("And", [a, b]);
  or = (a: Value, b: Value): Value => this.one("Or", [a, b]);

  /** Running sums along an axis: y_i = Σ_{j ≤ i} x_j. */
  cumSum = (x: Value, axis: number): Value => this.one("CumSum", [x, this.constant("int64", [], [axis])]);

  transpose = (x: Value, perm: readonly number[]): Value => this.one("Transpose", [x], { perm: ints(perm) });
  concat = (xs: readonly Value[], axis: number): Value =>
    xs.length === 1 ? xs[0]! : this.one("Concat", xs, { axis: int(axis) });
  split = (x: Value, lengths: Shape, axis: number): Value[] =>
    this.emit("Split", [x, this.shapeTensor(lengths)], { axis: int(axis) }, { outputs: lengths.length });
  /** x[start : end] along one axis; negative bounds count from the end. */
  slice = (x: Value, axis: number, start: number, end: number): Value =>
    this.one("Slice", [x, this.int64([start]), this.int64([end]), this.int64([axis])]);
  /** Zeros in front of and behind every axis. */
  pad = (x: Value, before: readonly number[], after: readonly number[]): Value =>
    this.one("Pad", [x, this.int64([...before, ...after])]);
  gather = (x: Value, indices: Value, axis: number): Value => this.one("Gather", [x, indices], { axis: int(axis) });
  gatherElements = (x: Value, indices: Value, axis: number): Value =>
    this.one("GatherElements", [x, indices], { axis: int(axis) });
  /** A copy of `x` with `updates` added at `indices` along the axis. */
  scatterAdd = (x: Value, indices: Value, updates: Value, axis: number): Value =>
    this.one("ScatterElements", [x, indices, updates], { axis: int(axis), reduction: string("add") });

  /** Elements of a where the condition holds, of b elsewhere, all three broadcast. */
  where = (condition: Value, a: Value, b: Value): Value => this.one("Where", [condition, a, b]);

  /** The same elements under another shape. */
  reshape(x: Value, shape: Shape): Value {
    const from = x.type.shape;
    if (sameShape(from, shape)) return x;
    // 0 copies a dimension, one −1 is computed; only what these cannot say is computed in the graph. They may not meet:
    // −1 is undefined beside a copied dimension that is 0 in this run.
    const code = shape.map((d, i) => (typeof d === "number" && d !== 0 ? d : d === from[i] ? 0 : -1));
    const unknown = code.filter((d) => d === -1).length;
    if (unknown === 0 || (unknown === 1 && !code.includes(0))) return this.one("Reshape", [x, this.int64(code)]);
    return this.one("Reshape", [x, this.shapeTensor(shape)], { allowzero: int(1) });
  }
  /** Broadcasts x to the shape. */
  expand(x: Value, shape: Shape): Value {
    return sameShape(x.type.shape, shape) ? x : this.one("Expand", [x, this.shapeTensor(shape)]);
  }
  zeros = (shape: Shape, dtype: ElementType = "float32"): Value => this.expand(this.scalar(0, dtype), shape);

  /** Runs one of two branches; both return the same number of values of equal types, or of types that broadcast. */
  if(
    condition: Value,
    thenBranch: (g: Builder) => readonly Value[],
    elseBranch: (g: Builder) => readonly Value[],
  ): Value[] {
    const build = (body: (g: Builder) => readonly Value[]): Graph => {
      const inner = this.branch();
      return inner.return(body(inner));
    };
    const [then, otherwise] = [build(thenBranch), build(elseBranch)];
    const attributes = { then_branch: subgraph(then), else_branch: subgraph(otherwise) };
    return this.emit("If", [condition], attributes, { outputs: then.outputs.length });
  }

  /** The builder of the outermost graph: constants and shapes are written there, where every branch sees them. */
  private root(): Builder {
    return this.parent ?? this;
  }

  private int64(values: readonly number[]): Value {
    return this.constant("int64", [values.length], values);
  }

  /** A shape as an int64 tensor; symbols are read off the graph's inputs when it runs. */
  shapeTensor(shape: Shape): Value {
    if (shape.every((d) => typeof d === "number")) return this.int64(shape);
    const key = shape.join();
    const known = this.shapes.get(key) ?? this.parent?.shapes.get(key);
    if (known) return known;
    const value = this.concat(
      shape.map((d) => this.dimTensor(d)),
      0,
    );
    this.shapes.set(key, value);
    return value;
  }

  private dimTensor(dim: Dim): Value {
    if (typeof dim === "number") return this.int64([dim]);
    for (const input of this.root().graph.inputs) {
      const axis = input.type.shape.indexOf(dim);
      if (axis >= 0) return this.one("Shape", [input], { start: int(axis), end: int(axis + 1) });
    }
    const symbols = symbolsOf(dim);
    const terms = dim.split(" + ").map((term) =>
      term
        .split("*")
        .map((f) => {
          if (f === dim) throw new Error(`No graph input has the dimension "${symbols[0]}".`);
          return this.dimTensor(/^\d+$/.test(f) ? Number(f) : f);
        })
        .reduce(this.mul),
    );
    return terms.reduce(this.add);
  }
}

type ConstantType = "float32" | "float64" | "int64" | "int32" | "bool";

/** Row-major little-endian bytes of numbers. */
function encodeNumbers(dtype: ConstantType, values: readonly number[]): Uint8Array {
  switch (dtype) {
    case "float32":
      return new Uint8Array(Float32Array.from(values).buffer);
    case "float64":
      return new Uint8Array(Float64Array.from(values).buffer);
    case "int32":
      return new Uint8Array(Int32Array.from(values).buffer);
    case "int64":
      return new Uint8Array(BigInt64Array.from(values, (v) => BigInt(v)).buffer);
    case "bool":
      return Uint8Array.from(values);
  }
}

/** Bytes of a float32 tensor as an inline initializer. */
export function inlineFloat32(values: Float32Array, shape: Shape): TensorData {
  if (values.length !== size(shape)) throw new Error(`${values.length} values do not fill ${formatShape(shape)}.`);
  return {
    kind: "inline",
    dtype: "float32",
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}
