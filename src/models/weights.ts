/** Weights of a checkpoint as values of a graph, asked for by name. */
import { type FloatDtype, toFloat32 } from "../base/float.js";
import type { Checkpoint } from "../formats/checkpoint.js";
import type { Dtype } from "../formats/dtype.js";
import type { Builder } from "../ir/builder.js";
import { formatShape, type Shape, sameShape, size } from "../ir/dim.js";
import type { ElementType, TensorData, Value } from "../ir/graph.js";

/** A weight of a model: its shape as the forward pass uses it and where its bytes lie. */
export interface Weight {
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** The weights of a checkpoint by name: those of 16 and 32 bits, which a forward pass computes with. */
export function weightsOf({ tensors }: Pick<Checkpoint, "tensors">): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  for (const { name, shape, dtype, source, offset, length } of tensors.values()) {
    const stored = ELEMENT_TYPES[dtype];
    if (stored) weights.set(name, { shape, data: { kind: "external", dtype: stored, source, offset, length } });
  }
  return weights;
}

const ELEMENT_TYPES: Partial<Record<Dtype, ElementType>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** Values that stand in for weights of the checkpoint: pieces of a trainable buffer, merged weights. */
export type WeightOverrides = ReadonlyMap<string, Value>;

/**
 * Gives weights to a forward pass. A weight enters the graph when it is first asked for, as a float32 value over the
 * bytes that the checkpoint stores (a later pass widens 16-bit ones where they are used).
 */
export class Weights {
  private readonly used = new Map<string, Value>();

  constructor(
    private readonly g: Builder,
    private readonly weights: ReadonlyMap<string, Weight>,
    private readonly overrides: WeightOverrides = new Map(),
  ) {}

  has(name: string): boolean {
    return this.overrides.has(name) || this.weights.has(name);
  }

  /** The weight `name`, under another shape of as many elements where one is given. */
  get(name: string, shape?: Shape): Value {
    const override = this.overrides.get(name);
    if (override) return shape ? this.g.reshape(override, shape) : override;
    const known = this.used.get(name);
    if (known) {
      if (shape && !sameShape(known.type.shape, shape)) return this.g.reshape(known, shape);
      return known;
    }
    const weight = this.weights.get(name);
    if (!weight) throw new Error(`The forward pass asks for "${name}", which the checkpoint check let pass.`);
    if (shape && size(shape) !== size(weight.shape))
      throw new Error(`"${name}" ${formatShape(weight.shape)} does not fill ${formatShape(shape)}.`);
    const value = this.g.initializer(name, shape ?? weight.shape, weight.data, "float32");
    this.used.set(name, value);
    return value;
  }

  shape(name: string): readonly number[] {
    return this.weights.get(name)!.shape;
  }

  /** Rows [from, to) of a weight of the checkpoint, a value of its own over a part of the same bytes. */
  rows(name: string, from: number, to: number): Value {
    const { shape, data } = this.weights.get(name)!;
    const [count, ...rest] = shape as [number, ...number[]];
    const bytes = data.kind === "inline" ? data.bytes.length : data.length;
    const [start, end] = [(bytes / count) * from, (bytes / count) * to];
    const part: TensorData =
      data.kind === "inline"
        ? { ...data, bytes: data.bytes.subarray(start, end) }
        : { ...data, offset: data.offset + start, length: end - start };
    return this.g.initializer(`${name}[${from}:${to}]`, [to - from, ...rest], part, "float32");
  }

  /** The weight, or undefined where the checkpoint has none: biases that are absent. */
  optional(name: string): Value | undefined {
    return this.has(name) ? this.get(name) : undefined;
  }

  /** A linear layer `module` of the checkpoint applied to x: y = x·Wᵀ + b. */
  linear(module: string, x: Value): Value {
    const weight = this.get(`${module}.weight`);
    return this.g.scope(module, () => this.g.linear(x, weight, this.optional(`${module}.bias`), { layer: module }));
  }

  /** A layer normalisation `module` of the checkpoint over the last axis of x. */
  layerNorm(module: string, x: Value, epsilon: number): Value {
    const [scale, bias] = [this.get(`${module}.weight`), this.optional(`${module}.bias`)];
    return this.g.scope(module, () => this.g.layerNorm(x, scale, bias, epsilon));
  }

  /** The weights that entered the graph, by name. */
  entries(): ReadonlyMap<string, Value> {
    return this.used;
  }
}

const STORED: Partial<Record<ElementType, FloatDtype>> = {
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float64: "F64",
};

/** A weight's values as float32. */
export async function readWeight({ data }: Weight): Promise<Float32Array> {
  const dtype = STORED[data.dtype];
  if (!dtype) throw new Error(`A weight of ${data.dtype} has no float values.`);
  const bytes = data.kind === "inline" ? data.bytes : await data.source.read(data.offset, data.length);
  return toFloat32(bytes, dtype);
}
