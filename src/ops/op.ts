/** What an operator of the graph is: its type, its shape rule and its derivative, together in one file each. */
import type { Builder, NodeCall } from "../ir/builder.js";
import { AttributeReader, type Attributes, type Domain, type TensorType, type Value } from "../ir/graph.js";

/** What a shape rule sees. */
export interface InferContext {
  readonly inputs: readonly Value[];
  readonly attrs: AttributeReader;
  readonly outputCount: number;
  /** The node's name, for errors. */
  readonly name: string;
}

/** What a derivative sees of the node that it differentiates. */
export interface VjpContext {
  /** The node's inputs; for `If` also the values that its branches capture, after the condition. */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attrs: AttributeReader;
  readonly attributes: Attributes;
  /** For each input, whether a gradient is wanted: build no other. */
  readonly needs: readonly boolean[];
  /** Differentiates a part of a graph that the node holds (the branches of `If`). */
  readonly differentiate: Differentiate;
  /** The node's name, for errors. */
  readonly name: string;
}

/** Gradients of `seeds` (a gradient for each value) with respect to `wrt`; undefined where there is no path. */
export type Differentiate = (
  g: Builder,
  seeds: ReadonlyMap<Value, Value>,
  wrt: readonly Value[],
) => readonly (Value | undefined)[];

/**
 * Vector–Jacobian product: from the gradients of the outputs (undefined where an output does not matter) the gradients
 * of the inputs, aligned with them; undefined where none is wanted.
 */
type Vjp = (g: Builder, node: VjpContext, grads: readonly (Value | undefined)[]) => readonly (Value | undefined)[];

/** Why no gradient flows through an operator. */
export interface NoGradient {
  readonly noGradient: string;
}
export const noGradient = (reason: string): NoGradient => ({ noGradient: reason });

export interface OpDefinition {
  readonly type: string;
  readonly domain?: Domain;
  infer(context: InferContext): readonly TensorType[];
  readonly vjp: Vjp | NoGradient;
}

export const defineOp = (definition: OpDefinition): OpDefinition => definition;

/** The shape rules of a set of operators as the builder wants them. */
export function inferWith(ops: ReadonlyMap<string, OpDefinition>): (call: NodeCall) => readonly TensorType[] {
  return (call) => {
    const op = ops.get(call.op);
    if (!op) throw new Error(`${call.name}: the operator ${call.op} is not known; add it to src/ops/index.ts.`);
    const attrs = new AttributeReader(call.attributes, call.name);
    // An absent optional input ends the list for a rule: no rule looks behind one.
    const inputs = call.inputs.filter((v): v is Value => v !== undefined);
    return op.infer({ inputs, attrs, outputCount: call.outputCount, name: call.name });
  };
}
