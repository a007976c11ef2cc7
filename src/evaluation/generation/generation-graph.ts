/** The graph of a language model that goes on from the keys and values of the tokens before. */
import { addDims } from "../../ir/dim.js";
import type { Graph, Value } from "../../ir/graph.js";
import type { KeyValue, Model, Present } from "../../models/model.js";
import { Weights } from "../../models/weights.js";
import { createBuilder } from "../../ops/index.js";
import type { Adapt } from "../tasks/scoring-graph.js";

/** The inputs of the cache, each with the output that it grows by. */
type GrowingInputs = Readonly<Record<string, string>>;

/**
 * Inputs, as the model's own:
 *
 *     input_ids, position_ids   int64 [batch, tokens];  attention_mask  int64 [batch, past + tokens], 0 is padding
 *     scored                    int32 [rows]: indices into batch·tokens  →  logits [rows, vocabulary]
 *     past.<layer>.key, .value  float32 [past, batch, heads, head width]
 *
 * and `new.<layer>.key`, `.value` [tokens, batch, heads, head width]. Time is the first axis: the cache grows at its end and
 * is cut there, and what leaves the graph is new alone, not all that went in.
 */
export function generationGraph(
  model: Model,
  adapt?: Adapt,
): { readonly graph: Graph; readonly memory: GrowingInputs } {
  const g = createBuilder();
  const adapted = adapt?.(g);
  const weights = new Weights(g, model.weights);
  const { layers, heads, headWidth } = model.cache!;
  const inputs = {
    input_ids: g.input("input_ids", "int64", ["batch", "tokens"]),
    attention_mask: g.input("attention_mask", "int64", ["batch", addDims("past", "tokens")]),
    position_ids: g.input("position_ids", "int64", ["batch", "tokens"]),
    scored: g.input("scored", "int32", ["rows"]),
  };
  const memory: Record<string, string> = {};
  const past = Array.from({ length: layers }, (_, layer): KeyValue => {
    const read = (part: string): Value => {
      memory[`past.${layer}.${part}`] = `new.${layer}.${part}`;
      const input = g.input(`past.${layer}.${part}`, "float32", ["past", "batch", heads, headWidth]);
      return g.transpose(input, [1, 2, 0, 3]);
    };
    return { key: read("key"), value: read("value") };
  });
  const present: Present[] = [];
  const features = model.trunk(g, weights, inputs, { cache: { past, present } });
  g.output("logits", model.logits(g, weights, features));
  present.forEach(({ added: { key, value } }, layer) => {
    g.output(`new.${layer}.key`, g.transpose(key, [2, 0, 1, 3]));
    g.output(`new.${layer}.value`, g.transpose(value, [2, 0, 1, 3]));
  });
  return { graph: adapted?.(g.graph) ?? g.graph, memory };
}
