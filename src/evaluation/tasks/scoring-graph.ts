/** Graphs that give the probabilities of tokens behind others, and only these. */
import type { Builder } from "../../ir/builder.js";
import { addDims, type Dim, multiplyDims } from "../../ir/dim.js";
import type { Graph, Value } from "../../ir/graph.js";
import type { KeyValue, Model, Present } from "../../models/model.js";
import { Weights } from "../../models/weights.js";
import { createBuilder } from "../../ops/index.js";

/** Lets an adapter into a graph: declares its inputs, and returns what puts its layers in place once the graph is written. */
export type Adapt = (g: Builder) => (graph: Graph) => Graph;

export interface ScoringGraphOptions {
  /** Texts branch: several continuations go on from one context. */
  readonly branches?: boolean;
  /** Keys and values of prefix and tokens are outputs, `present.<layer>.key` and `.value`. */
  readonly presents?: boolean;
  readonly adapt?: Adapt;
}

/** Names of a layer's keys and values, as inputs (`past`) or outputs (`present`). */
export const cacheNames = (kind: "past" | "present", layer: number) =>
  ({ key: `${kind}.${layer}.key`, value: `${kind}.${layer}.value` }) as const;

/**
 * A language model over texts [prefix, tokens] that share their prefix, whose keys and values are given:
 *
 *     past.<layer>.key, .value   float32 [1, heads, prefix, head width]
 *     input_ids, position_ids    int64 [texts, tokens];  attention_mask  int64 [texts, prefix + tokens], 0 is padding
 *     scored                     int32 [rows]: indices into texts·tokens
 *
 * and, where texts branch, continuations of them, each seeing its whole text:
 *
 *     branch_of                  int32 [branches]: the text that it goes on from
 *     branch_ids, branch_positions   int64 [branches, length];  branch_mask  int64 [branches, prefix + tokens + length]
 *     branch_scored              int32 [branch rows]: indices into branches·length
 *
 * Rows of both, one behind the other, are asked for tokens:
 *
 *     picked_rows, picked_tokens int32 [picked]  →  log_probabilities [picked], and the `largest` of each picked row
 */
export function scoringGraph(model: Model, o: ScoringGraphOptions): Graph {
  const g = createBuilder();
  const adapt = o.adapt?.(g);
  const weights = new Weights(g, model.weights);
  const { heads, headWidth, layers } = model.cache!;
  const total = addDims("prefix", "tokens");

  const ids = g.input("input_ids", "int64", ["texts", "tokens"]);
  const inputs = {
    input_ids: ids,
    attention_mask: g.input("attention_mask", "int64", ["texts", total]),
    position_ids: g.input("position_ids", "int64", ["texts", "tokens"]),
    scored: g.input("scored", "int32", ["rows"]),
  };
  const past = Array.from({ length: layers }, (_, layer): KeyValue => {
    const names = cacheNames("past", layer);
    const read = (name: string): Value =>
      g.expand(g.input(name, "float32", [1, heads, "prefix", headWidth]), ["texts", heads, "prefix", headWidth]);
    return { key: read(names.key), value: read(names.value) };
  });
  const present: Present[] = [];
  let features = model.trunk(g, weights, inputs, { cache: { past, present } }); // [rows, width]
  if (o.branches) features = g.concat([features, branchFeatures(g, model, weights, present, total)], 0);
  pick(g, model.logits(g, weights, features));
  if (o.presents)
    present.forEach(({ key, value }, layer) => {
      const names = cacheNames("present", layer);
      g.output(names.key, key);
      g.output(names.value, value);
    });
  return adapt?.(g.graph) ?? g.graph;
}

function branchFeatures(g: Builder, model: Model, weights: Weights, contexts: readonly KeyValue[], total: Dim): Value {
  const owner = g.input("branch_of", "int32", ["branches"]);
  const inputs = {
    input_ids: g.input("branch_ids", "int64", ["branches", "length"]),
    attention_mask: g.input("branch_mask", "int64", ["branches", addDims(total, "length")]),
    position_ids: g.input("branch_positions", "int64", ["branches", "length"]),
    scored: g.input("branch_scored", "int32", ["branch_rows"]),
  };
  const past = contexts.map(({ key, value }) => ({ key: g.gather(key, owner, 0), value: g.gather(value, owner, 0) }));
  return model.trunk(g, weights, inputs, { cache: { past, present: [] } });
}

/** Log-probabilities of the tokens that are asked for; nothing else of the rows leaves the graph. */
function pick(g: Builder, logits: Value): void {
  const [rows, vocabulary] = logits.type.shape as [Dim, number];
  const row = g.input("picked_rows", "int32", ["picked"]);
  const token = g.input("picked_tokens", "int32", ["picked"]);
  const logProbabilities = g.logSoftmax(logits);
  const flat = g.add(g.mul(g.cast(row, "int64"), g.constant("int64", [], [vocabulary])), g.cast(token, "int64"));
  const all = g.reshape(logProbabilities, [multiplyDims(rows, vocabulary)]);
  g.output("log_probabilities", g.gather(all, flat, 0));
  g.output("largest", g.gather(g.reduceMax(logProbabilities, [1]), row, 0));
}
