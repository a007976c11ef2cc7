/** What a training step needs of memory, known before it runs; and whether its activations are kept or computed again. */
import { type AdaptedGraphOptions, adaptedGraph } from "../adapters/adapted-graph.js";
import type { Tensor } from "../base/tensor.js";
import { elements, evaluateDim, symbolsOf } from "../ir/dim.js";
import { bytesPerElement } from "../ir/element-type.js";
import { dependenciesOf, type Value } from "../ir/graph.js";
import type { Model } from "../models/model.js";

export interface MemoryEstimate {
  /** Of the weights as they are stored: mapped from their files. */
  readonly weights: number;
  /** Of what the backward pass reads of the forward pass. */
  readonly activations: number;
}

/**
 * Bytes of a step with these feeds. The largest single layer's temporaries come on top: its weight in 32 bits, its output.
 */
export function estimateMemory(
  model: Model,
  o: AdaptedGraphOptions,
  feeds: Readonly<Record<string, Tensor>>,
): MemoryEstimate {
  const graph = adaptedGraph(model, o);
  const forward = adaptedGraph(model, { ...o, gradients: false }).nodes.length;
  const symbols: Record<string, number> = {};
  for (const input of graph.inputs)
    input.type.shape.forEach((dim, axis) => {
      const actual = feeds[input.name]?.shape[axis];
      if (typeof dim === "string" && symbolsOf(dim)[0] === dim && actual !== undefined) symbols[dim] = actual;
    });
  const made = new Set(graph.nodes.slice(0, forward).flatMap((node) => node.outputs));
  const kept = new Set<Value>();
  for (const node of graph.nodes.slice(forward))
    for (const value of dependenciesOf(node)) if (value && made.has(value)) kept.add(value);
  const bytes = ({ type }: Value): number => evaluateDim(elements(type.shape), symbols) * bytesPerElement[type.dtype];
  return {
    weights: graph.initializers.reduce((sum, { data }) => sum + (data?.kind === "external" ? data.length : 0), 0),
    activations: [...kept].reduce((sum, value) => sum + bytes(value), 0),
  };
}
