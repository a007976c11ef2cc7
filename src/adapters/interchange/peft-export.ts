/** Our adapters as PEFT's: LoRA or GLORA, whichever says the same function. */
import { GloraError } from "../../base/errors.js";
import { fromFloat32 } from "../../base/float.js";
import { encodeSafetensors } from "../../formats/safetensors-writer.js";
import type { Model } from "../../models/model.js";
import { readWeight } from "../../models/weights.js";
import type { AdaptedModel } from "../adapted-model.js";
import type { NamedTensor } from "../adapter-file.js";
import { acts, type LayerShape, NO_CHANGE, SUPPORTS, type Support } from "../structure.js";
import { type ModuleNames, moduleNames, moduleOf } from "./module-names.js";
import { PEFT_CONFIG, PEFT_PREFIX, PEFT_TENSORS } from "./peft.js";
import { gloraTensors, loraTensors } from "./peft-tensors.js";

export type PeftType = "LORA" | "GLORA";

export interface PeftExport {
  readonly type: PeftType;
  /** The folder's two files, by name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * An adapter as PEFT would have saved it, with its head in `modules_to_save`.
 *
 * LoRA says B, and as the bias of lora_B all that is added to a layer's bias: b ⊙ D + E + W·C. A product A is low-rank too,
 * (W·Xd)·Xu. GLORA says A to E in forms that are wide enough for all layers, but C, D and E only where a layer has a bias.
 * Numbers that are computed for it (W·Xd, W·C) are summed in float64 and rounded once.
 *
 * @param wanted  default: LoRA where no layer has more than B and E; else GLORA where it can say the same, else LoRA
 * @throws {GloraError} ADAPTER with the reason for each layer that cannot be said; USAGE for a supernet
 */
export async function encodePeft(adapted: AdaptedModel, wanted?: PeftType): Promise<PeftExport> {
  const { model, genome, space } = adapted;
  if (!genome) throw new GloraError("USAGE", "A supernet has no one structure to export: search one first.");
  const forms = (layer: LayerShape) => genome.get(layer.name) ?? NO_CHANGE;
  const acting = space.layers
    .map((layer) => ({ layer, acting: SUPPORTS.filter((support) => acts(forms(layer)[support], support, layer)) }))
    .filter(({ acting }) => acting.length > 0);
  const type = chooseType(acting, adapted, wanted);
  // PEFT opens no adapter without a layer: one of zeros for a head alone.
  const layers = acting.length > 0 ? acting.map(({ layer }) => layer) : model.layers.slice(0, 1);
  const names = moduleNames(model);
  const fused = layers.find(({ name }) => names.isFused(name));
  if (fused)
    throw new GloraError(
      "ADAPTER",
      `PEFT cannot say this adapter: ${fused.name} is two layers to transformers, gate_proj and up_proj. Merge it (the ` +
        `merged ${model.name} is a plain model), or train without it: --layers takes globs.`,
      { layer: fused.name },
    );
  const { tensors, config } = type === "LORA" ? await loraTensors(adapted, layers) : gloraTensors(adapted, layers);
  const saved = await savedModules(adapted, names);
  const entries = [
    ...tensors.map((tensor) => ({ ...tensor, name: `${names.spell(tensor.layer)}.${tensor.name}` })),
    ...saved.tensors,
  ];
  const json = {
    peft_type: type,
    task_type: taskType(model),
    base_model_name_or_path: model.name,
    inference_mode: true,
    target_modules: layers.map(({ name }) => names.spell(name)),
    modules_to_save: saved.modules.length > 0 ? saved.modules : null,
    bias: "none",
    ...config((layer) => names.spell(layer)),
  };
  const stored = entries.map(({ name, shape, values }) => ({
    name: PEFT_PREFIX + name,
    shape,
    dtype: "F32" as const,
    data: fromFloat32(values, "F32"),
  }));
  return {
    type,
    files: new Map([
      [PEFT_TENSORS, encodeSafetensors(stored, { format: "pt" })],
      [PEFT_CONFIG, new TextEncoder().encode(`${JSON.stringify(json, null, 2)}\n`)],
    ]),
  };
}

interface ActingLayer {
  readonly layer: LayerShape;
  readonly acting: readonly Support[];
}

function chooseType(layers: readonly ActingLayer[], { model, space }: AdaptedModel, wanted?: PeftType): PeftType {
  const why = new Map<PeftType, Map<string, string>>([
    ["LORA", new Map()],
    ["GLORA", new Map()],
  ]);
  for (const { layer, acting } of layers) {
    const added = acting.filter((support) => support === "C" || support === "E");
    if (space.a === "elementwise" && acting.includes("A"))
      why.get("LORA")!.set(layer.name, "A scales W element by element, which low rank cannot say");
    if (space.a === "product" && acting.includes("A"))
      why.get("GLORA")!.set(layer.name, "A multiplies W as a matrix, where PEFT's acts element by element");
    else if (!layer.bias && added.length > 0)
      why
        .get("GLORA")!
        .set(
          layer.name,
          `${added.length > 1 ? "C and E act" : `${added[0]} acts`} on a layer without a bias, where PEFT drops ${added.length > 1 ? "them" : "it"}`,
        );
  }
  const plain =
    layers.some(({ acting }) => acting.includes("B")) && layers.every(({ acting }) => !/[ACD]/.test(acting.join("")));
  const order: readonly PeftType[] = wanted ? [wanted] : plain || layers.length === 0 ? ["LORA"] : ["GLORA", "LORA"];
  const exact = order.find((type) => why.get(type)!.size === 0);
  if (exact) return exact;

  const reasons = order.flatMap((type) => [...why.get(type)!].map(([layer, text]) => ({ type, layer, text })));
  const shown = reasons.slice(0, 20).map(({ type, layer, text }) => `\n  - as ${type}, ${layer}: ${text}`);
  if (reasons.length > 20) shown.push(`\n  … and ${reasons.length - 20} more`);
  throw new GloraError(
    "ADAPTER",
    `PEFT cannot say this adapter exactly:${shown.join("")}\nMerge it (the merged ${model.name} is a plain model), or train without these supports.`,
    { reasons },
  );
}

/** The head and whatever else of the base the adapter brings, whole: a module with all of its tensors. */
async function savedModules(
  { model, tensors, table, parameters, replaced = new Map() }: AdaptedModel,
  names: ModuleNames,
): Promise<{ readonly modules: readonly string[]; readonly tensors: readonly NamedTensor[] }> {
  const spell = (tensor: string): string => `${names.spell(moduleOf(tensor))}${tensor.slice(moduleOf(tensor).length)}`;
  const head = tensors.slice(table.tensors.length).map(({ name, shape, offset, length }) => ({
    name: spell(name),
    shape,
    values: parameters.slice(offset, offset + length),
  }));
  const whole = [...new Set([...replaced.keys()].map(moduleOf))];
  const others: NamedTensor[] = [];
  for (const [name, weight] of model.weights) {
    if (whole.some((module) => name.startsWith(`${module}.`)))
      others.push({ name: spell(name), shape: weight.shape, values: await readWeight(weight) });
  }
  return {
    // Of a head with several layers the module around them all: "classifier" of "classifier.dense".
    modules: [...new Set([...head.map(({ name }) => name.split(".")[0]!), ...whole.map(names.spell)])],
    tensors: [...head, ...others],
  };
}

/** What PEFT's own wrappers go by; an image model has none. */
function taskType({ head, input }: Model): string | null {
  if (input.kind === "image" || !head) return null;
  return head.trained ? "SEQ_CLS" : "CAUSAL_LM";
}
