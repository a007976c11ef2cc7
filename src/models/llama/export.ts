/** What a folder says once its head or biases have changed: the config's own fields, the rest as it was. */
import type { ExportOptions, ExportSpec, Head } from "../model.js";
import { problemFields } from "../problem.js";
import { classesOf, type LlamaConfig } from "./config.js";
import type { LlamaNames } from "./names.js";

export interface LlamaToExport {
  readonly config: LlamaConfig;
  /** config.json as it was read. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  readonly names: LlamaNames;
  readonly head: Head | undefined;
  readonly labels: readonly string[] | undefined;
}

const TORCH_DTYPES = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** @see transformers 5.23, modeling_layers.py: GenericForSequenceClassification */
export function exportLlama({ config, rawConfig, names, head, labels }: LlamaToExport, o: ExportOptions): ExportSpec {
  const changed: Record<string, unknown> = { ...rawConfig };
  const fresh = head !== undefined && !head.pretrained;
  if (fresh) {
    changed["architectures"] = [`${classesOf(config.family)}ForSequenceClassification`];
    Object.assign(changed, problemFields(labels ?? [], config.loss));
    changed["pad_token_id"] = config.padId;
    delete changed["num_labels"];
  }
  if (o.addedBiases) {
    if (config.flagged.inputs) changed["attention_bias"] = true;
    if (config.flagged.mlp) changed["mlp_bias"] = true;
  }
  if (o.dtype) changed["torch_dtype" in rawConfig ? "torch_dtype" : "dtype"] = TORCH_DTYPES[o.dtype];
  return { config: changed, ...(fresh && { rename: (name: string) => nameInClassifier(name, names) }) };
}

/** A classifier has no head for the next token, and its trunk is called "model". */
function nameInClassifier(name: string, { prefix, languageHead, labelHead }: LlamaNames): string | undefined {
  if (name.startsWith(`${languageHead}.`)) return undefined;
  return prefix !== "" || name.startsWith(`${labelHead}.`) ? name : `model.${name}`;
}
