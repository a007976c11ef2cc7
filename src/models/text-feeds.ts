/** What a text model is fed: token ids, and beside them what a caller may leave out. */
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";

export type Feeds = Readonly<Record<string, Tensor>>;

/** int64 numbers in the shape of another tensor. */
export const filled = ({ shape, data }: Tensor, value: (i: number) => number): Tensor => ({
  dtype: "int64",
  shape,
  data: BigInt64Array.from({ length: data.length }, (_, i) => BigInt(value(i))),
});

/** Numbers for each text; one row is that of all of them. */
export const forEveryText = (given: Tensor, ids: Tensor): Tensor =>
  given.shape[0] === ids.shape[0] ? given : filled(ids, (i) => Number(given.data[i % given.data.length]));

/**
 * @returns the number of tokens in a row
 * @throws {GloraError} DATA unless the ids are int64 [texts, tokens], at least one of each and all of the vocabulary, and what
 *   else is given is like them; positions may be one row for all texts
 */
export function checkTexts(inputs: Feeds, vocabulary: number): number {
  const ids = inputs["input_ids"];
  const [texts, tokens] = ids?.shape.length === 2 ? (ids.shape as [number, number]) : [];
  const expected = tokens === undefined ? "[texts, tokens]" : `[${texts}, ${tokens}]`;
  for (const name of ["input_ids", "attention_mask", "token_type_ids", "position_ids"]) {
    const given = inputs[name];
    if (given === undefined && name !== "input_ids") continue;
    const found = given && `[${given.shape.join(", ")}]`;
    const fits = found === expected || (name === "position_ids" && found === `[1, ${tokens}]`);
    if (given?.dtype === "int64" && fits) continue;
    const actual = given ? `${given.dtype} ${found}` : "nothing";
    throw new GloraError("DATA", `${name}: int64 ${expected} expected, found ${actual}.`, {
      input: name,
      actual: given?.shape,
    });
  }
  if (ids!.data.length === 0)
    throw new GloraError("DATA", `input_ids: at least one text of one token is expected, found ${expected}.`, {
      input: "input_ids",
      actual: ids!.shape,
    });
  checkRange("input_ids", ids!, vocabulary, "Do tokenizer and model belong together?");
  return tokens!;
}

/** @throws {GloraError} DATA for a number that no row of an embedding table stands for */
export function checkRange(input: string, { data }: Tensor, count: number, advice: string): void {
  const wrong = (data as BigInt64Array).find((value) => value < 0n || value >= BigInt(count));
  if (wrong === undefined) return;
  throw new GloraError("DATA", `${input}: ${wrong} is none of the model's, which are 0 to ${count - 1}. ${advice}`, {
    input,
    actual: Number(wrong),
    count,
  });
}
