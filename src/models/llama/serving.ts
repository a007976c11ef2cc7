/** The graph of a decoder that transformers.js runs, token by token. */
import type { Builder } from "../../ir/builder.js";
import { addDims, elements } from "../../ir/dim.js";
import type { KeyValueCache } from "../model.js";
import type { Weights } from "../weights.js";
import { type LlamaTrunk, languageHead, llamaTrunk } from "./forward.js";
import { counted } from "./rope.js";

/**
 * Inputs `input_ids`, `attention_mask` over past and new tokens, `position_ids`, `past_key_values.{i}.key` and `.value`;
 * outputs `logits` [batch, tokens, vocabulary], `present.{i}.key` and `.value`.
 */
export function serveLanguage(g: Builder, w: Weights, trunk: LlamaTrunk): void {
  const { config } = trunk;
  const shape = ["batch", "tokens"] as const;
  const ids = g.input("input_ids", "int64", shape);
  const mask = g.input("attention_mask", "int64", ["batch", addDims("past", "tokens")]);
  const positions = g.input("position_ids", "int64", shape);
  const past = trunk.names.blocks.map((_, i) => {
    const input = (part: string) =>
      g.input(`past_key_values.${i}.${part}`, "float32", ["batch", config.keyValueHeads, "past", config.headWidth]);
    return { key: input("key"), value: input("value") };
  });
  const cache: KeyValueCache = { past, present: [] };
  const scored = g.cast(counted(g, elements(shape)), "int32");
  const features = llamaTrunk(g, w, { ids, mask, positions, scored }, trunk, { cache });
  g.output("logits", g.reshape(languageHead(g, w, features, trunk), [...shape, config.vocabulary]));
  cache.present.forEach(({ key, value }, i) => {
    g.output(`present.${i}.key`, key);
    g.output(`present.${i}.value`, value);
  });
}
