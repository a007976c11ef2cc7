/** What may be said of text data; all of it JSON, so that a run remembers it. */
export interface TextOptions {
  /** What the records are; found out from their fields unless said. */
  readonly format?: TextFormat;
  /** What is learned from the label column: one class (default), any number of labels, a number, the likeness of two texts. */
  readonly task?: "classes" | "multi-label" | "regression" | "similarity";
  /** Columns by name, or by number from 1 where a table has no header. */
  readonly textColumn?: string | number;
  readonly secondColumn?: string | number;
  readonly labelColumn?: string | number;
  /** What parts the labels of a multi-label cell. */
  readonly labelSeparator?: string;
  /** The classes in the order of their numbers; found in the training data unless said. */
  readonly labels?: readonly string[];
  /** Whether the first row of a table names its columns; found out unless said. */
  readonly header?: boolean;
  /** Score the answers alone (default), or every token. */
  readonly lossOn?: "answers" | "all";
  /** Put several examples in one row of `maxTokens`; no token sees another example. */
  readonly pack?: boolean;
  /** Longest example, tokens; what goes beyond is cut off and counted. The model's own limit, at most 512, unless said. */
  readonly maxTokens?: number;
  /** Share of the training records, 0 … 1, for the splits that have no file; 0.15 each unless said. */
  readonly split?: { readonly validation?: number; readonly test?: number };
  /** Seed of the split; 0 unless said. */
  readonly seed?: number;
}

export const textFormats = ["alpaca", "completion", "sharegpt", "messages", "text", "classification"] as const;
export type TextFormat = (typeof textFormats)[number];
