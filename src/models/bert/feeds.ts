/** What an encoder is fed: token ids, and beside them what a caller may leave out. */
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import { type BertConfig, maxTokens } from "./config.js";

type Feeds = Readonly<Record<string, Tensor>>;

/** A mask of ones, and all tokens of the first kind of text. */
export function completeFeeds(inputs: Feeds, { tokenTypes }: BertConfig): Record<string, Tensor> {
  const { shape, data } = inputs["input_ids"]!;
  const filled = (value: bigint): Tensor => ({
    dtype: "int64",
    shape,
    data: new BigInt64Array(data.length).fill(value),
  });
  return {
    input_ids: inputs["input_ids"]!,
    attention_mask: inputs["attention_mask"] ?? filled(1n),
    ...(tokenTypes > 0 && { token_type_ids: inputs["token_type_ids"] ?? filled(0n) }),
  };
}

/** @throws {GloraError} DATA if an input is not int64 [texts, tokens], too long, or has a number that no embedding stands for */
export function checkFeeds(inputs: Feeds, config: BertConfig): void {
  const ids = inputs["input_ids"];
  const expected = ids?.shape.length === 2 ? `[${ids.shape.join(", ")}]` : "[texts, tokens]";
  for (const name of ["input_ids", "attention_mask", "token_type_ids"]) {
    const given = inputs[name];
    if (given === undefined && name !== "input_ids") continue;
    const found = given && `[${given.shape.join(", ")}]`;
    if (given?.dtype !== "int64" || found !== expected)
      throw new GloraError(
        "DATA",
        `${name}: int64 ${expected} expected, found ${given ? `${given.dtype} ${found}` : "nothing"}.`,
        { input: name, actual: given?.shape },
      );
  }
  const [, tokens] = ids!.shape as [number, number];
  if (tokens > maxTokens(config))
    throw new GloraError(
      "DATA",
      `input_ids: ${tokens} tokens are more than the ${maxTokens(config)} that the model has positions for. Cut the texts.`,
      { input: "input_ids", tokens, limit: maxTokens(config) },
    );
  checkRange("input_ids", ids!, config.vocabulary, "Do tokenizer and model belong together?");
  if (inputs["token_type_ids"])
    checkRange("token_type_ids", inputs["token_type_ids"], config.tokenTypes, "Leave them out where all are 0.");
}

function checkRange(input: string, { data }: Tensor, count: number, advice: string): void {
  const wrong = (data as BigInt64Array).find((value) => value < 0n || value >= BigInt(count));
  if (wrong === undefined) return;
  throw new GloraError("DATA", `${input}: ${wrong} is none of the model's, which are 0 to ${count - 1}. ${advice}`, {
    input,
    actual: Number(wrong),
    count,
  });
}
