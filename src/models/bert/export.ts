/** What an encoder's folder says once its head has changed: transformers' own fields, the rest as it was. */
import type { Loss } from "../loss.js";
import type { ExportOptions, ExportSpec, Head } from "../model.js";
import { problemFields } from "../problem.js";
import { type BertConfig, classOf } from "./config.js";
import type { Family } from "./families.js";
import type { BertNames } from "./names.js";

export interface BertToExport {
  readonly config: BertConfig;
  /** config.json as it was read. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly names: BertNames;
  /** Tensors of the file that play no part. */
  readonly unused: readonly string[];
  readonly head: Head | undefined;
  readonly labels: readonly string[] | undefined;
  readonly loss: Loss;
}

const TORCH_DTYPES = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** @see transformers 5.23, configuration_utils.py */
export function exportBert(model: BertToExport, o: ExportOptions): ExportSpec {
  const { config, rawConfig, names, unused, head } = model;
  const { family } = config;
  const changed: Record<string, unknown> = { ...rawConfig };
  if (o.dtype) changed["torch_dtype" in rawConfig ? "torch_dtype" : "dtype"] = TORCH_DTYPES[o.dtype];
  if (head && !head.pretrained) {
    changed["architectures"] = [classOf(family, "classifier")];
    delete changed["num_labels"];
    Object.assign(changed, problemFields(model.labels!, model.loss));
    return {
      config: changed,
      rename: (name) => (unused.includes(name) ? undefined : nameInClassifier(name, names, family)),
    };
  }
  if (head || config.labels.length === 0) return { config: changed };
  // A classifier without its head is the bare encoder.
  changed["architectures"] = [classOf(family, "model")];
  for (const field of ["id2label", "label2id", "num_labels", "problem_type"]) delete changed[field];
  const own = new Set(names.head);
  return { config: changed, rename: (name) => (own.has(name.replace(/\.(weight|bias)$/, "")) ? undefined : name) };
}

/** Behind the trunk's prefix, which a bare encoder lacks; a new pooler is part of the trunk there. */
function nameInClassifier(name: string, { prefix }: BertNames, family: Family): string {
  const own = /^(pre_)?classifier\./.test(name);
  return prefix === "" && !own ? family.prefix + name : name;
}
