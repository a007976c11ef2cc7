/**
 * Adapters of Hugging Face PEFT: a folder of `adapter_config.json` and `adapter_model.safetensors`, as save_pretrained
 * writes it. Read are LoRA (W' = W + s · B · A, b' = b + s · bias of B) and PEFT's GLoRA.
 *
 * @see https://github.com/huggingface/peft, tuners/lora/layer.py and tuners/glora/layer.py (0.21)
 */
import { GloraError } from "../../base/errors.js";
import { type Folder, readJson } from "../../formats/folder.js";
import { readFloat32, readSafetensors, type TensorEntry } from "../../formats/safetensors.js";
import type { Model } from "../../models/model.js";
import type { NamedTensor } from "../adapter-file.js";
import { type Form, NO_CHANGE, type Structure, type Support } from "../structure.js";
import { type ForeignAdapter, type ForeignModule, isSharedHead, refuse } from "./foreign.js";
import { moduleNames, moduleOf } from "./module-names.js";
import { type PeftConfig, parsePeftConfig } from "./peft-config.js";
import { scaled } from "./tensors.js";

export const PEFT_CONFIG = "adapter_config.json";
export const PEFT_TENSORS = "adapter_model.safetensors";

/** What every key starts with: the model inside PEFT's own two wrappers. */
export const PEFT_PREFIX = "base_model.model.";

/** A folder of PEFT's, whose config and header are read. */
export interface PeftFolder {
  readonly name: string;
  readonly config: PeftConfig;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** @throws {GloraError} FILE if the tensors are missing or no safetensors; CONFIG if the config cannot be read */
export async function openPeft(folder: Folder): Promise<PeftFolder> {
  const config = parsePeftConfig(await readJson(folder, PEFT_CONFIG), `${folder.name}/${PEFT_CONFIG}`);
  const source = await folder.open(PEFT_TENSORS);
  if (source) return { name: folder.name, config, tensors: (await readSafetensors(source)).tensors };
  const pickled = await folder.open("adapter_model.bin");
  throw new GloraError(
    "FILE",
    `${folder.name}: has no ${PEFT_TENSORS}.${pickled ? " adapter_model.bin is a Python pickle, which is not read: save the adapter as safetensors." : ""}`,
    { folder: folder.name, file: PEFT_TENSORS },
  );
}

/**
 * A folder's tensors as supports of a model's modules.
 *
 * @throws {GloraError} ADAPTER with every tensor that is not known, or whose module the model has not
 */
export async function readPeft({ name, config, tensors }: PeftFolder, model: Model): Promise<ForeignAdapter> {
  const names = moduleNames(model);
  const problems: string[] = tensors.size === 0 ? [`${PEFT_TENSORS} holds no tensors`] : [];
  const parts = new Map<string, Map<string, TensorEntry>>();
  const whole = new Map<string, TensorEntry>();
  for (const entry of tensors.values()) {
    const key = parseKey(entry.name, config.type);
    if (key.kind === "ignored") continue;
    if (key.kind === "refused") {
      problems.push(`${entry.name}: ${key.why}`);
      continue;
    }
    const module = names.find(key.module);
    if (module === undefined) {
      problems.push(
        isSharedHead(key.module, model)
          ? `${entry.name}: the model's output layer shares the embedding's weights, and cannot have its own`
          : `${entry.name}: the model has no module ${key.module}`,
      );
    } else if (key.kind === "whole") {
      whole.set(`${module}.${key.part}`, entry);
    } else {
      const ofModule = parts.get(key.module) ?? new Map<string, TensorEntry>();
      if (ofModule.has(key.part))
        problems.push(`${entry.name}: a second adapter of this module; give one adapter a folder`);
      parts.set(key.module, ofModule.set(key.part, entry));
    }
  }
  refuse(name, problems);

  const modules = new Map<string, ForeignModule>();
  for (const [module, ofModule] of parts) {
    const own = names.find(module)!;
    const read = config.type === "LORA" ? loraModule(config, module, ofModule) : gloraModule(ofModule);
    const found = await read;
    if (typeof found === "string") problems.push(`${module}: ${found}`);
    else modules.set(own, config.type === "GLORA" ? asPeftActs(found, own, model) : found);
  }
  refuse(name, problems);
  return {
    name,
    a: "elementwise",
    tied: config.tied,
    modules,
    whole: await Promise.all([...whole].map(([tensor, entry]) => scaled(entry, tensor))),
  };
}

type Key =
  | { readonly kind: "part" | "whole"; readonly module: string; readonly part: string }
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "ignored" };

/** The name of the adapter stands in a key only where the state dict was saved as it is. */
const PARTS = {
  LORA: /^(.+)\.lora_([AB])\.(?:[^.]+\.)?(weight|bias)$/,
  GLORA: /^(.+)\.glora_([A-E])\.(?:[^.]+\.)?(Xd|Xu|X|zeros)$/,
};

function parseKey(name: string, type: PeftConfig["type"]): Key {
  const key = name.startsWith(PEFT_PREFIX) ? name.slice(PEFT_PREFIX.length) : name;
  const [, module, tensor, part] = PARTS[type].exec(key) ?? [];
  if (module !== undefined) return { kind: "part", module, part: `${tensor}.${part}` };
  // The untrained original beside a module that was saved, and VeLoRA's buffer for the backward pass.
  if (key.includes(".original_module.") || key.includes(".lora_velora_embed")) return { kind: "ignored" };
  const why = REFUSED.find(([pattern]) => pattern.test(key))?.[1];
  if (why !== undefined) return { kind: "refused", why };
  const plain = key.replace(".base_layer.", ".").replace(/\.modules_to_save\.(default\.)?/, ".");
  return { kind: "whole", module: moduleOf(plain), part: plain.slice(moduleOf(plain).length + 1) };
}

const REFUSED: readonly (readonly [RegExp, string])[] = [
  [
    /\.lora_magnitude_vector/,
    "DoRA normalises each row of the adapted weight; only plain LoRA is read. Merge it with PEFT first",
  ],
  [/\.lora_embedding_[AB]/, "LoRA of an embedding; only linear layers can be adapted"],
  [
    /\.token_adapter\.|trainable_tokens_/,
    "single tokens of an embedding are trained; only linear layers can be adapted",
  ],
  [/\.(lora|glora)_[^.]+(\.|$)/, "no tensor of plain LoRA or GLORA"],
];

/** B = (s · lora_B) · lora_A, E = s · bias of lora_B. */
async function loraModule(
  config: PeftConfig,
  module: string,
  parts: ReadonlyMap<string, TensorEntry>,
): Promise<ForeignModule | string> {
  const [down, up, bias] = [parts.get("B.weight"), parts.get("A.weight"), parts.get("B.bias")];
  if (!down || !up) return `lora_${down ? "A" : "B"}.weight is missing`;
  const rank = up.shape[0] ?? 0;
  const ranks = config.ranks(module);
  if (!ranks.includes(rank))
    return `adapter_config.json says rank ${ranks.join(" or ")}, but lora_A.weight is [${up.shape.join(", ")}]`;
  const factor = config.scale(module, rank);
  const tensors = [await scaled(down, "B.Xd", factor), await scaled(up, "B.Xu")];
  if (bias) tensors.push(await scaled(bias, "E.X", factor));
  return { structure: { ...NO_CHANGE, B: `lora_${rank}`, E: bias ? "vector" : "none" }, tensors };
}

/** PEFT's parts have our names and shapes; a path that is `none` is stored as zeros. */
async function gloraModule(parts: ReadonlyMap<string, TensorEntry>): Promise<ForeignModule | string> {
  const structure: Record<Support, Form> = { ...NO_CHANGE };
  const tensors: NamedTensor[] = [];
  for (const [name, entry] of parts) {
    const [support, part] = name.split(".") as [Support, string];
    if (part === "zeros") {
      if ((await readFloat32(entry)).some((value) => value !== 0))
        return `glora_${name} holds numbers that are not zero`;
      continue;
    }
    if (part === "X") structure[support] = String(entry.shape) === "1" ? "scalar" : "vector";
    else structure[support] = `lora_${part === "Xd" ? (entry.shape[1] ?? 0) : (entry.shape[0] ?? 0)}`;
    tensors.push(await scaled(entry, name));
  }
  return { structure, tensors };
}

/** In PEFT C, D and E do nothing on a layer without a bias. */
function asPeftActs(found: ForeignModule, module: string, { layers }: Model): ForeignModule {
  const layer = layers.find(({ name }) => name === module);
  if (!layer || layer.bias) return found;
  const structure: Structure = { ...found.structure, C: "none", D: "none", E: "none" };
  return { structure, tensors: found.tensors.filter(({ name }) => /^[AB]/.test(name)) };
}
