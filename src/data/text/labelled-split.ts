import type { Tensor } from "../../base/tensor.js";
import type { Targets } from "../dataset.js";
import { type RowShape, rowInputs, type TextSplit, type TokenRow } from "./text-split.js";

/** A text, a pair of texts in one row, or two texts in two rows, and what is to be said of it. */
export interface LabelledRows {
  readonly name: string;
  readonly rows: readonly TokenRow[];
  /** The number of the class; −1 where classes are not what is said. */
  readonly label: number;
  readonly values: readonly number[];
}

/** Texts with a class each, or with numbers. Two texts whose likeness is asked for are rows that follow each other. */
export class LabelledSplit implements TextSplit {
  readonly size: number;
  readonly labels: Int32Array;
  readonly names: readonly string[];
  readonly lengths: Int32Array;

  constructor(
    private readonly examples: readonly LabelledRows[],
    private readonly kind: Targets["kind"],
    private readonly shape: RowShape,
  ) {
    this.size = examples.length;
    this.labels = kind === "labels" ? Int32Array.from(examples, ({ label }) => label) : new Int32Array(0);
    this.names = examples.map(({ name }) => name);
    this.lengths = Int32Array.from(examples, ({ rows }) => Math.max(...rows.map(({ ids }) => ids.length)));
  }

  rows(): number {
    return 1;
  }

  targets(indices: readonly number[]): Targets {
    const chosen = indices.map((index) => this.examples[index]!);
    return this.kind === "labels"
      ? { kind: "labels", labels: Int32Array.from(chosen, ({ label }) => label) }
      : { kind: "values", values: Float32Array.from(chosen.flatMap(({ values }) => values)) };
  }

  async inputs(indices: readonly number[]): Promise<Record<string, Tensor>> {
    return rowInputs(
      indices.flatMap((index) => this.examples[index]!.rows),
      this.shape,
    );
  }

  tokens(index: number): ReturnType<TextSplit["tokens"]> {
    const ids = this.examples[index]!.rows.flatMap((row) => Array.from(row.ids));
    return { ids: Int32Array.from(ids), scored: new Set() };
  }
}
