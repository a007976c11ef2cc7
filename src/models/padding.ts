/** The token that fills texts up, as the configs of transformers say it. */
import type { Fields } from "../formats/fields.js";

/**
 * `pad_token_id`; undefined: no token is set aside. A field that says null is not the same as one that is absent, which
 * leaves the class's own.
 */
export function readPadId(fields: Fields, fallback?: number): number | undefined {
  const id = fields.raw("pad_token_id");
  if (id === undefined) return fields.keys.includes("pad_token_id") ? undefined : fallback;
  if (Number.isSafeInteger(id)) return id as number;
  fields.refuse("pad_token_id", "a whole number is expected");
  return undefined;
}

/** PyTorch's `padding_idx`, the row of the table that is not trained: counted from the end if it is negative. */
export function paddingRow(padId: number | undefined, vocabulary: number): number | undefined {
  const row = padId !== undefined && padId < 0 ? padId + vocabulary : padId;
  return row !== undefined && row >= 0 && row < vocabulary ? row : undefined;
}

/** The id that stands in rows which are filled up: the padding token, or any, as the mask hides it. */
export const fillerId = (padId: number | undefined, vocabulary: number): number =>
  Math.min(Math.max(padId ?? 0, 0), vocabulary - 1);
