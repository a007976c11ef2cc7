/**
 * The words of GLoRA: five support tensors of a linear layer, the forms in which each may be stored, the structure of a
 * layer (one form a support) and the genome of a model (one structure a layer).
 */

export const SUPPORTS = ["A", "B", "C", "D", "E"] as const;
export type Support = (typeof SUPPORTS)[number];

export type Form = `lora_${number}` | "vector" | "scalar" | "none";
/** A form without its rank. */
export type FormKind = "lora" | "vector" | "scalar" | "none";

export type Structure = Readonly<Record<Support, Form>>;
/** A structure for every adapted layer, keyed by layer name, in the model's order. */
export type Genome = ReadonlyMap<string, Structure>;

/** What GLoRA must know of a linear layer y = x·Wᵀ + b with W [out, in]. */
export interface LayerShape {
  readonly name: string;
  readonly in: number;
  readonly out: number;
  /** It has a bias. */
  readonly bias: boolean;
  /** It has none, but the model's config can say that one is added. */
  readonly addableBias: boolean;
}

/** How A acts: `elementwise` is W ⊙ A (the authors' code), `product` is W·A (the paper's figure). */
export type AForm = "elementwise" | "product";

/** The structure that leaves a layer as it is. */
export const NO_CHANGE: Structure = { A: "none", B: "none", C: "none", D: "none", E: "none" };

const KINDS: Readonly<Record<Support, readonly FormKind[]>> = {
  A: ["lora", "vector", "scalar", "none"],
  B: ["lora", "vector", "scalar", "none"],
  C: ["lora", "vector", "none"],
  D: ["vector", "scalar", "none"],
  E: ["vector", "scalar", "none"],
};

/** The kinds of form that a support knows: 4·4·3·3·3 = 432 structures at one rank; a product A is low-rank or absent. */
export const kindsOf = (support: Support, a: AForm): readonly FormKind[] =>
  support === "A" && a === "product" ? ["lora", "none"] : KINDS[support];

/** The rank of `lora_r`; 0 for every other form. */
export const rankOf = (form: Form): number => (form.startsWith("lora_") ? Number(form.slice("lora_".length)) : 0);

export const kindOf = (form: Form): FormKind => (form.startsWith("lora_") ? "lora" : (form as FormKind));

/** Reads a form's name; undefined where the support has no such form. */
export function parseForm(text: unknown, support: Support, a: AForm): Form | undefined {
  if (typeof text !== "string" || !/^(lora_[1-9]\d{0,5}|vector|scalar|none)$/.test(text)) return undefined;
  return kindsOf(support, a).includes(kindOf(text as Form)) ? (text as Form) : undefined;
}

/** Whether a support of this form changes the layer: D scales the bias, so it does nothing where there is none. */
export const acts = (form: Form, support: Support, layer: LayerShape): boolean =>
  form !== "none" && (support !== "D" || layer.bias);

/** The extent [rows, columns] to which a support tensor is broadcast. */
export function supportShape(support: Support, layer: LayerShape, a: AForm): readonly [number, number] {
  if (support === "A") return a === "product" ? [layer.in, layer.in] : [layer.out, layer.in];
  if (support === "B") return [layer.out, layer.in];
  return [support === "C" ? layer.in : layer.out, 1];
}

/**
 * A text that two genomes share exactly when they are the same function of the same stored supports: what does not act
 * is left out. Layers follow the order of `layers`; one that the genome does not name is unchanged.
 */
export function genomeKey(genome: Genome, layers: Iterable<LayerShape>): string {
  const keys: string[] = [];
  for (const layer of layers) {
    const structure = genome.get(layer.name) ?? NO_CHANGE;
    const active = SUPPORTS.filter((support) => acts(structure[support], support, layer));
    if (active.length > 0) keys.push(`${layer.name}:${active.map((s) => s + structure[s]).join("")}`);
  }
  return keys.join(";");
}

/** The genome as JSON writes it: absent supports and unchanged layers are left out. */
export function genomeToJson(genome: Genome): Record<string, Partial<Record<Support, Form>>> {
  const json: Record<string, Partial<Record<Support, Form>>> = {};
  for (const [name, structure] of genome) {
    const present = SUPPORTS.filter((support) => structure[support] !== "none");
    if (present.length > 0) json[name] = Object.fromEntries(present.map((support) => [support, structure[support]]));
  }
  return json;
}
