import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import { checkRange, checkTexts, type Feeds, filled, forEveryText } from "../text-feeds.js";
import { type BertConfig, maxTokens } from "./config.js";

/** A mask of ones, and all tokens of the first kind of text; the graph counts positions that are not given. */
export function completeFeeds(inputs: Feeds, { tokenTypes }: BertConfig): Record<string, Tensor> {
  const ids = inputs["input_ids"]!;
  const positions = inputs["position_ids"];
  return {
    input_ids: ids,
    attention_mask: inputs["attention_mask"] ?? filled(ids, () => 1),
    ...(tokenTypes > 0 && { token_type_ids: inputs["token_type_ids"] ?? filled(ids, () => 0) }),
    ...(positions && { position_ids: forEveryText(positions, ids) }),
  };
}

/** @throws {GloraError} DATA if an input is not int64 [texts, tokens], too long, or has a number that no embedding stands for */
export function checkFeeds(inputs: Feeds, config: BertConfig): void {
  const tokens = checkTexts(inputs, config.vocabulary);
  if (tokens > maxTokens(config))
    throw new GloraError(
      "DATA",
      `input_ids: ${tokens} tokens are more than the ${maxTokens(config)} that the model has positions for. Cut the texts.`,
      { input: "input_ids", tokens, limit: maxTokens(config) },
    );
  const { token_type_ids: types, position_ids: positions } = inputs;
  if (types) checkRange("token_type_ids", types, config.tokenTypes, "Leave them out where all are 0.");
  if (positions) checkRange("position_ids", positions, config.positions, "Leave them out, and they are counted.");
}
