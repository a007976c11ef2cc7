/** What a merge found, as people read it. */
import type { MergeResult } from "../adapters/export.node.js";
import { counted } from "../training/progress.js";

/** The check of a merge: logits, each layer (or only the worst), rounding and storage. */
export function mergeLines(
  { report, storage, onnxFolder, notes }: MergeResult,
  which: "every layer" | "worst layer",
): string {
  const { examples, logits, logitsLimit, rounding, layers, layerLimit } = report;
  const worst = layers.reduce<(typeof layers)[number] | undefined>(
    (a, b) => (a && a.difference >= b.difference ? a : b),
    undefined,
  );
  const column = Math.max(32, ...layers.map(({ name }) => name.length));
  const e = (n: number) => n.toExponential(1);
  return [
    `Merge check on ${counted(examples, "example")}, relative to the largest value (float32):`,
    `  logits, merged against adapted   ${e(logits)}  (limit ${e(logitsLimit)}; the base against itself, summed in another order: ${e(rounding)})`,
    ...(which === "every layer"
      ? layers.map(({ name, difference }) => `  ${name.padEnd(column)} ${e(difference)}`)
      : []),
    ...(worst
      ? [
          `  largest of ${counted(layers.length, "layer")}            ${e(worst.difference)}  (limit ${e(layerLimit)}), ${worst.name}`,
        ]
      : []),
    `  rounding to the stored type      ${e(storage)}  (apart: not an error of merging)`,
    `For transformers.js: ${onnxFolder}`,
    ...notes.map((note) => `Note: ${note}`),
  ].join("\n");
}
