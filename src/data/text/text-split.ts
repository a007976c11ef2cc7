import type { Tensor } from "../../base/tensor.js";
import type { Split } from "../dataset.js";

/** A split of texts, whose tokens can be looked at. */
export interface TextSplit extends Split {
  readonly lengths: Int32Array;
  /** The tokens of an example, and whether the loss scores them; of a classifier none is scored. */
  tokens(index: number): { readonly ids: Int32Array; readonly scored: ReadonlySet<number> };
}

/** One row of a batch; a packed row holds several examples. */
export interface TokenRow {
  readonly ids: Int32Array;
  readonly typeIds?: Int32Array;
  /** Where each example of the row begins; [0] for a single one. */
  readonly starts: readonly number[];
}

export interface RowShape {
  readonly padId: number;
  /** No row gets longer than this by padding. */
  readonly maxTokens: number;
  readonly positions: boolean;
  readonly tokenTypes: boolean;
}

/**
 * Rows as a model's inputs, padded on the right to the longest, rounded up to a multiple of eight: `input_ids`,
 * `attention_mask` (0 for padding, else the number of the example within its row, from 1), and where the model takes them
 * `position_ids` (from 0 in each example) and `token_type_ids`, all int64 [rows, tokens].
 */
export function rowInputs(rows: readonly TokenRow[], shape: RowShape): Record<string, Tensor> {
  const longest = rows.reduce((most, { ids }) => Math.max(most, ids.length), 1);
  const tokens = Math.min(Math.ceil(longest / 8) * 8, Math.max(longest, shape.maxTokens));
  const tensor = (fill: number): BigInt64Array => new BigInt64Array(rows.length * tokens).fill(BigInt(fill));
  const ids = tensor(shape.padId);
  const mask = tensor(0);
  const positions = tensor(0);
  const types = tensor(0);
  rows.forEach((row, i) => {
    let example = 0;
    row.ids.forEach((id, t) => {
      if (row.starts[example] === t) example++;
      const at = i * tokens + t;
      ids[at] = BigInt(id);
      mask[at] = BigInt(example);
      positions[at] = BigInt(t - row.starts[example - 1]!);
      types[at] = BigInt(row.typeIds?.[t] ?? 0);
    });
  });
  const int64 = (data: BigInt64Array): Tensor => ({ dtype: "int64", shape: [rows.length, tokens], data });
  return {
    input_ids: int64(ids),
    attention_mask: int64(mask),
    ...(shape.positions && { position_ids: int64(positions) }),
    ...(shape.tokenTypes && { token_type_ids: int64(types) }),
  };
}
