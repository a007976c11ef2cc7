/**
 * A typed ONNX graph in static single assignment: nodes stand in an order in which every value is defined before its use.
 * The branches of `If` are graphs without inputs whose nodes refer to values of the enclosing graph directly.
 */
import { type Dim, formatShape, type Shape } from "./dim.js";

export type ElementType =
  | "float32"
  | "float16"
  | "bfloat16"
  | "float64"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint64"
  | "uint32"
  | "uint16"
  | "uint8"
  | "bool";

export interface TensorType {
  readonly dtype: ElementType;
  readonly shape: Shape;
  /** What a small int64 tensor holds, as far as it is known before the graph runs (shapes that are computed). */
  readonly contents?: readonly Dim[];
}

/** Where the bytes of a frozen weight lie: a file of the user, or anything else that can read a range of bytes. */
export interface WeightSource {
  readonly name: string;
  /** Absolute real path, when it is a local file that the runtime can map. */
  readonly path?: string;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Present where the file holds checksums, which `read` compares: who maps the file asks for it. */
  verify?(offset: number, length: number): Promise<void>;
}

/** The bytes of an initializer, row-major and little-endian, in the element type that they are stored in. */
export type TensorData =
  | { readonly kind: "inline"; readonly dtype: ElementType; readonly bytes: Uint8Array }
  | {
      readonly kind: "external";
      readonly dtype: ElementType;
      readonly source: WeightSource;
      readonly offset: number;
      readonly length: number;
    };

export interface Value {
  readonly name: string;
  readonly type: TensorType;
  /** Present on initializers. `type.dtype` may be wider than `data.dtype` until the pass `widenWeights` has run. */
  readonly data?: TensorData;
}

export type Attribute =
  | { readonly type: "int"; readonly value: number }
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "ints"; readonly value: readonly number[] }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "graph"; readonly value: Graph };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  readonly name: string;
  readonly op: string;
  /** "" is ONNX's own, "com.microsoft" ONNX Runtime's, "glora" a composite that a pass lowers before the graph runs. */
  readonly domain: Domain;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
  /** The block of the forward pass that it belongs to. */
  readonly block?: number;
}

export type Domain = "" | "com.microsoft" | "glora";

/** Output names are the graph's interface; several may stand for one value. */
export interface GraphOutput {
  readonly name: string;
  readonly value: Value;
}

export class Graph {
  readonly inputs: Value[] = [];
  readonly initializers: Value[] = [];
  readonly nodes: Node[] = [];
  readonly outputs: GraphOutput[] = [];

  /** The input or initializer of this name. */
  find(name: string): Value | undefined {
    return this.inputs.find((v) => v.name === name) ?? this.initializers.find((v) => v.name === name);
  }
}

export const int = (value: number): Attribute => ({ type: "int", value });
export const float = (value: number): Attribute => ({ type: "float", value });
export const ints = (value: readonly number[]): Attribute => ({ type: "ints", value });
export const string = (value: string): Attribute => ({ type: "string", value });
export const subgraph = (value: Graph): Attribute => ({ type: "graph", value });

/** Reads attributes by name and type; an absent one takes the default that the operator's specification gives. */
export class AttributeReader {
  constructor(
    private readonly attributes: Attributes,
    private readonly place: string,
  ) {}

  has(name: string): boolean {
    return this.attributes[name] !== undefined;
  }
  int(name: string, fallback?: number): number {
    return this.read("int", name, fallback);
  }
  float(name: string, fallback?: number): number {
    return this.read("float", name, fallback);
  }
  ints(name: string, fallback?: readonly number[]): readonly number[] {
    return this.read("ints", name, fallback);
  }
  string(name: string, fallback?: string): string {
    return this.read("string", name, fallback);
  }
  graph(name: string): Graph {
    return this.read<"graph", Graph>("graph", name, undefined);
  }

  private read<T extends Attribute["type"], V>(type: T, name: string, fallback: V | undefined): V {
    const attribute = this.attributes[name];
    if (attribute === undefined && fallback !== undefined) return fallback;
    if (attribute?.type !== type)
      throw new Error(
        `${this.place}: attribute "${name}" of type ${type} expected, found ${attribute?.type ?? "none"}.`,
      );
    return attribute.value as V;
  }
}

/** The graphs among a node's attributes: the branches of `If`. */
export const subgraphsOf = (node: Node): Graph[] =>
  Object.values(node.attributes).flatMap((a) => (a.type === "graph" ? [a.value] : []));

/** Values of the enclosing graphs that the branches of a node use, each once, in order of first use. */
export function capturesOf(node: Node): Value[] {
  const captured = new Set<Value>();
  for (const graph of subgraphsOf(node)) {
    const own = new Set<Value>(graph.initializers);
    const use = (value: Value | undefined): void => {
      if (value !== undefined && !own.has(value)) captured.add(value);
    };
    for (const inner of graph.nodes) {
      inner.inputs.forEach(use);
      capturesOf(inner).forEach(use);
      for (const output of inner.outputs) own.add(output);
    }
    for (const output of graph.outputs) use(output.value);
  }
  return [...captured];
}

/** Everything that a node reads: its inputs, then what its branches capture. */
export const dependenciesOf = (node: Node): (Value | undefined)[] => {
  const captures = capturesOf(node);
  return captures.length === 0 ? [...node.inputs] : [...node.inputs, ...captures];
};

export const formatType = (type: TensorType): string => `${type.dtype}${formatShape(type.shape)}`;
