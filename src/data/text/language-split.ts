import type { Tensor } from "../../base/tensor.js";
import type { Targets } from "../dataset.js";
import type { ScoredTokens } from "./language-tokens.js";
import { type RowShape, rowInputs, type TextSplit, type TokenRow } from "./text-split.js";

/** A row of one example or of several that are packed. */
export interface LanguageRow extends TokenRow {
  readonly name: string;
  /** Places of the scored tokens in the row, in order. */
  readonly scored: Int32Array;
}

export interface NamedTokens extends ScoredTokens {
  readonly name: string;
}

/** Each example in a row of its own. */
export const singleRows = (examples: readonly NamedTokens[]): LanguageRow[] =>
  examples.map((example) => ({ ...example, starts: [0] }));

/** Examples put together in rows of at most `maxTokens`, each in the fullest row that it fits (best fit, in order). */
export function packedRows(examples: readonly NamedTokens[], maxTokens: number): LanguageRow[] {
  const rows: NamedTokens[][] = [];
  /** Rows by the tokens that are left in them. */
  const open: number[][] = Array.from({ length: maxTokens + 1 }, () => []);
  for (const example of examples) {
    const { length } = example.ids;
    let left = length;
    while (left <= maxTokens && open[left]!.length === 0) left++;
    if (left > maxTokens) {
      left = maxTokens;
      open[left]!.push(rows.push([]) - 1);
    }
    const row = open[left]!.pop()!;
    rows[row]!.push(example);
    open[left - length]!.push(row);
  }
  return rows.map(joined);
}

function joined(parts: readonly NamedTokens[]): LanguageRow {
  const starts: number[] = [];
  let length = 0;
  for (const { ids } of parts) {
    starts.push(length);
    length += ids.length;
  }
  const others = parts.length - 1;
  return {
    name: parts[0]!.name + (others > 0 ? ` and ${others} more` : ""),
    ids: Int32Array.from(parts.flatMap(({ ids }) => Array.from(ids))),
    scored: Int32Array.from(parts.flatMap(({ scored }, i) => Array.from(scored, (place) => starts[i]! + place))),
    starts,
  };
}

/** Rows of which each scored token is to be foretold from those before it. */
export class LanguageSplit implements TextSplit {
  readonly size: number;
  readonly labels = new Int32Array(0);
  readonly names: readonly string[];
  readonly lengths: Int32Array;

  constructor(
    private readonly all: readonly LanguageRow[],
    private readonly shape: RowShape,
  ) {
    this.size = all.length;
    this.names = all.map(({ name }) => name);
    this.lengths = Int32Array.from(all, ({ ids }) => ids.length);
  }

  rows(index: number): number {
    return this.all[index]!.scored.length;
  }

  targets(indices: readonly number[]): Targets {
    const labels = indices.flatMap((index) => {
      const { ids, scored } = this.all[index]!;
      return Array.from(scored, (place) => ids[place]!);
    });
    return { kind: "labels", labels: Int32Array.from(labels) };
  }

  async inputs(indices: readonly number[]): Promise<Record<string, Tensor>> {
    const rows = indices.map((index) => this.all[index]!);
    const inputs = rowInputs(rows, this.shape);
    const [, tokens] = inputs["input_ids"]!.shape as [number, number];
    // The position before a token is the one that foretells it.
    const scored = rows.flatMap((row, i) => Array.from(row.scored, (place) => i * tokens + place - 1));
    return { ...inputs, scored: { dtype: "int32", shape: [scored.length], data: Int32Array.from(scored) } };
  }

  tokens(index: number): ReturnType<TextSplit["tokens"]> {
    const { ids, scored } = this.all[index]!;
    return { ids, scored: new Set(scored) };
  }
}
