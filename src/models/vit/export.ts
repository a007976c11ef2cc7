/** What a ViT's folder says once its head or biases have changed: the library's own fields, the rest as it was. */
import type { Size } from "../../formats/fields.js";
import type { ExportOptions, ExportSpec, Head } from "../model.js";
import type { VitConfig } from "./config.js";
import type { VitNames } from "./names.js";

export interface VitToExport {
  readonly config: VitConfig;
  /** config.json as it was read. */
  readonly rawConfig: Json;
  readonly names: VitNames;
  readonly head: Head | undefined;
  readonly labels: readonly string[] | undefined;
}

type Json = Readonly<Record<string, unknown>>;

export function exportVit(model: VitToExport, o: ExportOptions): ExportSpec {
  const { config, rawConfig, names, head } = model;
  const ofTimm = config.library === "timm";
  const written = "architecture" in rawConfig ? timmConfig(model, o) : transformersConfig(model, o);
  // A bare ViTModel has no prefix; as the trunk of a classifier its modules are called vit.…
  const wasBare = !ofTimm && config.classes === 0 && !names.classToken.startsWith("vit.");
  return {
    config: written,
    ...(wasBare && head && { rename: (name: string) => nameInClassifier(name, head) }),
    // transformers.js does not know timm's config, and transformers would take one with model_type "vit" for its own.
    ...(ofTimm && { onnxConfig: transformersFacts(model) }),
  };
}

/** @see timm 1.0.31, models/_hub.py */
function timmConfig({ rawConfig, head, labels }: VitToExport, { addedBiases }: ExportOptions): Json {
  const changed: Record<string, unknown> = { ...rawConfig };
  const published = changed["pretrained_cfg"];
  const args = changed["model_args"];
  if (head && !head.pretrained) {
    changed["num_classes"] = head.out;
    changed["label_names"] = labels;
    delete changed["label_descriptions"];
    if (isObject(published))
      changed["pretrained_cfg"] = {
        ...without(published, "label_names", "label_descriptions"),
        num_classes: head.out,
      };
    if (isObject(args)) changed["model_args"] = without(args, "num_classes");
  }
  if (addedBiases) changed["model_args"] = { ...(changed["model_args"] as object), qkv_bias: true };
  return changed;
}

const TORCH_DTYPES = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** @see transformers 5.23, models/vit/configuration_vit.py */
function transformersConfig({ config, rawConfig, head, labels }: VitToExport, o: ExportOptions): Json {
  const changed: Record<string, unknown> = { ...rawConfig };
  // A file that states every fact itself need not name its family; the library must find it.
  if (config.library === "transformers") changed["model_type"] = "vit";
  if (head && !head.pretrained) {
    changed["architectures"] = ["ViTForImageClassification"];
    Object.assign(changed, labelFields(head, labels));
    delete changed["num_labels"];
    // One output is a regression to the library, which refuses to be told otherwise.
    if (head.out === 1) delete changed["problem_type"];
    else if (config.loss !== "cross-entropy") changed["problem_type"] = "single_label_classification";
  }
  if (o.addedBiases) changed["qkv_bias"] = true;
  if (o.dtype) changed["torch_dtype" in rawConfig ? "torch_dtype" : "dtype"] = TORCH_DTYPES[o.dtype];
  return changed;
}

/** A ViT in transformers' terms, as far as transformers.js looks. */
const transformersFacts = ({ config, head, labels }: VitToExport): Json => ({
  architectures: [head ? "ViTForImageClassification" : "ViTModel"],
  model_type: "vit",
  image_size: oneOrTwo(config.imageSize),
  patch_size: oneOrTwo(config.patchSize),
  num_channels: config.channels,
  hidden_size: config.width,
  num_hidden_layers: config.depth,
  num_attention_heads: config.heads,
  intermediate_size: config.hidden,
  ...(head && labelFields(head, labels)),
});

const oneOrTwo = ([height, width]: Size): number | Size => (height === width ? height : [height, width]);

/** Where no names are known, those that the library gives. */
function labelFields(head: Head, labels: readonly string[] | undefined): Json {
  const names = labels ?? Array.from({ length: head.out }, (_, i) => `LABEL_${i}`);
  return {
    id2label: Object.fromEntries(names.map((label, i) => [i, label])),
    label2id: Object.fromEntries(names.map((label, i) => [label, i])),
  };
}

/** The name of a bare trunk's tensor in a classifier; a classifier has no pooler and no mask token. */
function nameInClassifier(name: string, head: Head): string | undefined {
  if (/^(pooler\.|embeddings\.mask_token$)/.test(name)) return undefined;
  return name.startsWith(`${head.layers[0]!.name}.`) ? name : `vit.${name}`;
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;

const without = (object: Json, ...keys: string[]): Json =>
  Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
