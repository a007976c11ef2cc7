import { type InputSpec, labelsOf, type SplitName, type Targets } from "../dataset.js";
import type { TextDataset, TextReport } from "./text-dataset.js";
import type { Tokenizer } from "./tokenizer.js";

/** Text data as a model will see it. */
export interface TextPreview {
  readonly examples: readonly {
    readonly name: string;
    /** What is to be said of it, of a text with a label: its class or classes, or its numbers. */
    readonly label?: string;
    readonly tokens: readonly { readonly id: number; readonly text: string; readonly scored: boolean }[];
  }[];
  /** Its examples by length, in tokens: `from` … `to`, both included. */
  readonly lengths: readonly { readonly from: number; readonly to: number; readonly count: number }[];
  readonly split: SplitName;
  readonly report: Readonly<Record<SplitName, TextReport>>;
}

/**
 * The first examples of a split as a model will see them, and how long all of them are.
 * @throws {GloraError} as `prepare` of the data does
 */
export async function previewExamples(
  dataset: TextDataset,
  input: InputSpec,
  { count, split = "train" }: { readonly count: number; readonly split?: SplitName },
): Promise<TextPreview> {
  const examples = (await dataset.prepare(input))[split];
  const tokenizer = input.kind === "text" ? await input.tokenizer() : undefined;
  const shown = Array.from({ length: Math.min(count, examples.size) }, (_, i) => {
    const { ids, scored } = examples.tokens(i);
    const texts = tokenTexts(ids, tokenizer!);
    return {
      name: examples.names[i]!,
      ...(dataset.task.kind !== "language" && { label: labelOf(examples.targets([i]), labelsOf(dataset.task)) }),
      tokens: Array.from(ids, (id, at) => ({ id, text: texts[at]!, scored: scored.has(at) })),
    };
  });
  return { split, examples: shown, lengths: histogram(examples.lengths), report: dataset.report()! };
}

function labelOf(targets: Targets, names: readonly string[]): string {
  if (targets.kind === "labels") return names[targets.labels[0]!]!;
  const values = Array.from(targets.values);
  return values.length === names.length && names.length > 1
    ? names.filter((_, i) => values[i] === 1).join(", ") || "none"
    : values.map((value) => Number(value.toPrecision(6))).join(", ");
}

/** What each token adds to the text; a token that ends within a character adds nothing, the next one all of it. */
function tokenTexts(ids: Int32Array, tokenizer: Tokenizer): string[] {
  let written = "";
  return Array.from(ids, (_, at) => {
    const text = tokenizer.decode(ids.subarray(0, at + 1));
    if (text.endsWith("\ufffd") && at + 1 < ids.length) return "";
    const added = text.slice(written.length);
    written = text;
    return added;
  });
}

/** About ten bins of equal width, a power of two. */
function histogram(lengths: Int32Array): TextPreview["lengths"] {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1);
  const width = 2 ** Math.max(0, Math.ceil(Math.log2(longest / 12)));
  const counts = new Array<number>(Math.ceil(longest / width)).fill(0);
  for (const length of lengths) counts[Math.max(0, Math.ceil(length / width) - 1)]!++;
  return counts.map((count, i) => ({ from: i * width + 1, to: (i + 1) * width, count }));
}
