/** What a decoder is fed: token ids, and beside them what a caller may leave out. */
import { GloraError } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";

type Feeds = Readonly<Record<string, Tensor>>;

/** A mask of ones, positions counted from 0 whatever the mask says (as transformers' forward counts them), all scored. */
export function completeFeeds(inputs: Feeds, perToken: boolean): Record<string, Tensor> {
  const ids = inputs["input_ids"];
  if (!ids) return { ...inputs };
  const [batch, tokens] = ids.shape as [number, number];
  const filled = (value: (i: number) => number): Tensor => ({
    dtype: "int64",
    shape: [batch, tokens],
    data: BigInt64Array.from({ length: batch * tokens }, (_, i) => BigInt(value(i))),
  });
  // One row of positions is that of every text.
  const positionsOf = (given: Tensor | undefined): Tensor | undefined =>
    given && batch > 1 && given.shape[0] === 1 && given.shape[1] === tokens
      ? filled((i) => Number(given.data[i % tokens]))
      : given;
  const every = (): Tensor => ({
    dtype: "int32",
    shape: [batch * tokens],
    data: Int32Array.from({ length: batch * tokens }, (_, i) => i),
  });
  return {
    ...inputs,
    attention_mask: inputs["attention_mask"] ?? filled(() => 1),
    position_ids: positionsOf(inputs["position_ids"]) ?? filled((i) => i % tokens),
    ...(perToken && { scored: inputs["scored"] ?? every() }),
  };
}

/** @throws {GloraError} DATA if the ids are not int64 [batch, tokens], or one of them lies outside the vocabulary */
export function checkTokens(inputs: Feeds, vocabulary: number): void {
  const ids = inputs["input_ids"];
  if (ids?.dtype !== "int64" || ids.shape.length !== 2)
    throw new GloraError(
      "DATA",
      `input_ids: int64 [batch, tokens] expected, found ${ids ? `${ids.dtype} [${ids.shape.join(", ")}]` : "nothing"}.`,
      { input: "input_ids", expected: ["batch", "tokens"], actual: ids?.shape },
    );
  const wrong = (ids.data as BigInt64Array).find((id) => id < 0n || id >= BigInt(vocabulary));
  if (wrong !== undefined)
    throw new GloraError(
      "DATA",
      `input_ids: ${wrong} is no token of the model, which knows 0 … ${vocabulary - 1}. Do tokenizer and model belong together?`,
      { input: "input_ids", vocabulary, actual: Number(wrong) },
    );
}
