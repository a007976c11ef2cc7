/** The graphs of decoders that transformers.js runs. */
import type { Builder } from "../../ir/builder.js";
import { addDims, elements } from "../../ir/dim.js";
import { counted } from "../counted.js";
import { type Head, type KeyValueCache, linearHead } from "../model.js";
import type { Weights } from "../weights.js";
import { type LlamaTrunk, languageHead, llamaTrunk } from "./forward.js";

/**
 * Token by token. Inputs `input_ids`, `attention_mask` over past and new tokens, `position_ids`, `past_key_values.{i}.key` and `.value`;
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

/** Inputs `input_ids` and `attention_mask`, all that transformers.js feeds a classifier; output `logits` [batch, labels]. */
export function serveLabels(g: Builder, w: Weights, trunk: LlamaTrunk, head: Head): void {
  const input = (name: string) => g.input(name, "int64", ["batch", "tokens"]);
  const features = llamaTrunk(g, w, { ids: input("input_ids"), mask: input("attention_mask") }, trunk, {});
  g.output("logits", linearHead(w, head, features));
}
