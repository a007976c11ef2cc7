/**
 * Names of a model's modules. Ours are those of its checkpoint; other libraries name modules as they stand in memory, with
 * or without the name of the bare model in front.
 */
import { GloraError } from "../../base/errors.js";
import { type Head, headTensors, type Model } from "../../models/model.js";

export interface ModuleNames {
  /** The checkpoint's name of the module that another library calls `name`. */
  find(name: string): string | undefined;
  /** The same for names whose dots have become underscores: the module, and what stands in front of its name. */
  findFlat(name: string): readonly FlatName[];
  /** What transformers 5 (or timm) calls the module that the checkpoint calls `name`. */
  spell(name: string): string;
  /** The checkpoint's module is two to transformers: gate and up of DINOv2's SwiGLU. */
  isFused(name: string): boolean;
}

export interface FlatName {
  readonly module: string;
  readonly prefix: string;
}

/** What models with a head call the bare model inside them, by `model_type`; "model" unless said. */
const NAMES_OF_BARE: Readonly<Record<string, string>> = {
  vit: "vit",
  vit_msn: "vit",
  vit_mae: "vit",
  ijepa: "ijepa",
  deit: "deit",
  dinov2: "dinov2",
  dinov2_with_registers: "dinov2_with_registers",
  clip: "vision_model",
  siglip: "vision_model",
  bert: "bert",
  roberta: "roberta",
  "xlm-roberta": "roberta",
  camembert: "roberta",
  distilbert: "distilbert",
  mpnet: "mpnet",
};

const BARE = new RegExp(`^(${[...new Set(["model", ...Object.values(NAMES_OF_BARE)])].join("|")})\\.`);

type Rules = readonly (readonly [pattern: RegExp, inMemory: string])[];

/** A ViT's modules: as transformers writes them to disk, and as version 5 names them in memory. */
const VIT_IN_MEMORY: Rules = [
  [/^encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)$/, "layers.$1.attention.$2"],
  [/^encoder\.layer\.(\d+)\.attention\.output\.dense$/, "layers.$1.attention.o_proj"],
  [/^encoder\.layer\.(\d+)\.intermediate\.dense$/, "layers.$1.mlp.fc1"],
  [/^encoder\.layer\.(\d+)\.output\.dense$/, "layers.$1.mlp.fc2"],
  [/^encoder\.layer\.(\d+)\.(layernorm_before|layernorm_after)$/, "layers.$1.$2"],
];

const DINOV2_IN_MEMORY: Rules = [
  [/^(encoder\.layer\.\d+\.attention)\.attention\.(query|key|value)$/, "$1.$2"],
  [/^(encoder\.layer\.\d+\.attention)\.output\.dense$/, "$1.o_proj"],
  [/^(encoder\.layer\.\d+\.mlp)\.weights_out$/, "$1.down_proj"],
];

const PROJECTIONS: Readonly<Record<string, string>> = { query: "q_proj", key: "k_proj", value: "v_proj" };

/** The `model_type` that transformers knows the model by; of a ViT several have one family here. */
const typeOf = (model: Model): string =>
  model.family === "vit" ? String(model.exportSpec({ addedBiases: false }).config["model_type"]) : model.family;

function rulesOf(type: string): Rules {
  if (type.startsWith("dinov2")) return DINOV2_IN_MEMORY;
  return ["vit", "vit_msn", "vit_mae", "ijepa", "deit"].includes(type) ? VIT_IN_MEMORY : [];
}

/** One name for all spellings of a module: without the bare model's name, as it stands in memory. */
function canonical(name: string, rules: Rules): string {
  const bare = name.replace(BARE, "");
  const rule = rules.find(([pattern]) => pattern.test(bare));
  return rule ? bare.replace(...rule).replace(/(query|key|value)$/, (part) => PROJECTIONS[part]!) : bare;
}

export function moduleNames(model: Model): ModuleNames {
  const type = typeOf(model);
  const rules = rulesOf(type);
  const head = trainedHead(model);
  const modules = [
    ...model.layers.map(({ name }) => name),
    ...(head?.layers ?? []).map(({ name }) => name),
    ...[...model.weights.keys()].map(moduleOf),
  ];
  const known = new Map(modules.map((name) => [canonical(name, rules), name]));
  const headModules = new Set(headTensors(head).map(({ name }) => moduleOf(name)));
  const bare = NAMES_OF_BARE[type] ?? "model";
  const spell = (name: string): string => {
    const own = canonical(name, rules);
    if (headModules.has(name) || own === "lm_head") return own;
    // timm's names know no bare model; a bare model of transformers gets its name with a head in front of it.
    const inside = BARE.test(name) || (model.head !== undefined && !isTimm(model));
    return inside ? `${BARE.exec(name)?.[1] ?? bare}.${own}` : own;
  };
  return {
    find: (name) => known.get(canonical(name, rules)),
    findFlat: (name) => {
      const found = new Map<string, string>();
      for (const module of new Set(modules)) {
        for (const spelling of [module, spell(module), canonical(module, rules)]) {
          const flat = spelling.replaceAll(".", "_");
          if (name !== flat && !name.endsWith(`_${flat}`)) continue;
          const prefix = name.slice(0, name.length - flat.length);
          if (prefix.length < (found.get(module) ?? name).length) found.set(module, prefix);
        }
      }
      const shortest = Math.min(...[...found.values()].map((prefix) => prefix.length));
      return [...found].flatMap(([module, prefix]) => (prefix.length === shortest ? [{ module, prefix }] : []));
    },
    spell,
    isFused: (name) => name.endsWith(".mlp.weights_in"),
  };
}

const isTimm = ({ weights }: Model): boolean => weights.has("patch_embed.proj.weight");

/** The module that holds a tensor. */
export const moduleOf = (tensor: string): string => tensor.replace(/\.[^.]*$/, "");

/** The head that an adapter may bring: the model's own, or that of a classifier of its family. */
export function trainedHead(model: Model): Head | undefined {
  if (model.head?.trained) return model.head;
  try {
    return model.withTask({ kind: "classes", labels: ["any"] }).head;
  } catch (thrown) {
    if (thrown instanceof GloraError) return undefined; // the family has no classifier
    throw thrown;
  }
}
