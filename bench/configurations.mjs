// What is measured: adapted models, the graphs of their training steps, and what each step is fed.
import {
  adaptedGraph,
  createSpace,
  drawGenome,
  fixedModel,
  INPUTS,
  pullBack,
  rngStream,
  supernet,
  trainableFeeds,
} from "../dist/index.js";

/**
 * @import { AdaptedModel, Genome, Model, Rng, Space, Structure, Tensor } from "../dist/index.js"
 * @typedef {{ kind: "images", batch: number, size: number, classes: number, seed: number }} Images
 * @typedef {{ kind: "texts", batch: number, tokens: number, vocabulary: number, seed: number }} Texts
 * @typedef {Record<string, Structure>} Structures  of each layer, as they are sent to a process
 * @typedef {{ graph: import("../dist/index.js").Graph, feeds: (structures?: Structures) => Record<string, Tensor>,
 *   pullBack: (outputs: Record<string, Tensor>, structures?: Structures) => void }} Step
 */

/** The rank of every low-rank support. */
const RANK = 4;
/** The layers of a language model that are adapted. */
const ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"];

/** @type {(A: Structure["A"], B: Structure["B"], C: Structure["C"], D: Structure["D"], E: Structure["E"]) => Structure} */
const structure = (A, B, C, D, E) => ({ A, B, C, D, E });
const NONE = structure("none", "none", "none", "none", "none");
export const LOW_RANK = structure("lora_4", "lora_4", "vector", "vector", "vector");
const VECTOR = structure("vector", "vector", "vector", "vector", "vector");
const LORA = structure("none", "lora_4", "none", "none", "none");

/**
 * Names and descriptions. `net`: a supernet, which runs the structures that it is given; `fixed`: a graph of this structure
 * alone; neither: no layer is adapted, `backward` asks for gradients through the whole frozen model.
 * @type {Record<string, { text: string, net?: true, fixed?: Structure, backward?: boolean }>}
 */
const CONFIGURATIONS = {
  supernet: { text: "supernet", net: true },
  "low-rank": { text: "GLoRA, A and B lora_4, C D E vector", fixed: LOW_RANK },
  vector: { text: "GLoRA, all five vector", fixed: VECTOR },
  lora: { text: "LoRA, B lora_4", fixed: LORA },
  frozen: { text: "frozen base, forward and backward", backward: true },
  linear: { text: "head alone: forward", backward: false },
};

/** @param {Model} model */
const spaceOf = (model) =>
  createSpace(model.layers, {
    ranks: [RANK],
    // On a layer without a bias PEFT has no C and E: what is compared is the same.
    addBiases: false,
    ...(isLanguageModel(model) && { layers: ATTENTION.map((name) => `*.${name}`) }),
  });

/** @param {Model} model */
const isLanguageModel = ({ rows }) => rows === "tokens";

/** Every layer of one structure, as far as it knows the supports. @param {Space} space @param {Structure} s @returns {Genome} */
const everywhere = (space, s) =>
  new Map(
    space.layers.map(({ name }) => {
      const forms = /** @type {Record<string, readonly string[]>} */ (space.forms.get(name));
      const known = Object.entries(s).map(([support, form]) => [
        support,
        forms[support]?.includes(form) ? form : "none",
      ]);
      return [name, /** @type {Structure} */ (Object.fromEntries(known))];
    }),
  );

/** An endless row of structures for a whole model. @param {Model} model @param {Rng} rng @returns {() => Structures} */
export function structuresOf(model, rng) {
  const space = spaceOf(model);
  return () => Object.fromEntries(drawGenome(space, rng));
}

/** A model of one structure, as after some training: supports start at zero, which no later step does. @param {Model} model @param {Structure} s @param {Rng} rng */
export function trainedModel(model, s, rng) {
  const space = spaceOf(model);
  return perturb(fixedModel(model, space, everywhere(space, s), rng), rng);
}

/** @param {AdaptedModel} adapted @param {Rng} rng */
function perturb(adapted, rng) {
  for (let i = 0; i < adapted.headOffset; i++) adapted.parameters[i] = 0.02 * rng.normal();
  return adapted;
}

/**
 * The training step of one configuration.
 * @param {Model} model @param {string} name @param {Record<string, Tensor>} data @param {number} seed @returns {Step}
 */
export function stepOf(model, name, data, seed) {
  const configuration = CONFIGURATIONS[name];
  if (!configuration) throw new Error(`No configuration is called ${name}.`);
  const { net, fixed, backward } = configuration;
  const rng = rngStream(seed, "adapter");
  const adapted = net ? perturb(supernet(model, spaceOf(model), rng), rng) : unadapted(model, fixed, backward, rng);
  const language = isLanguageModel(model);
  // Of images nothing is trained then: asked for is the gradient of what enters the first block, which passes every layer.
  const bare = backward && !language;
  const graph = adaptedGraph(model, {
    ...(bare ? { head: "frozen" } : { head: "trainable", layout: adapted.layout }),
    loss: { kind: "cross-entropy" },
    gradients: true,
    ...(language && { logits: false }),
    ...(bare && { weightGradients: (weight) => weight === "pos_embed" }),
  });
  const genome = (/** @type {Structures | undefined} */ structures) =>
    net && structures ? new Map(Object.entries(structures)) : undefined;
  const gradients = new Float32Array(adapted.parameters.length);
  return {
    graph,
    feeds: (structures) => ({ ...data, ...(!bare && trainableFeeds(adapted, genome(structures))) }),
    pullBack: ({ gradients: packed }, structures) => {
      if (packed) pullBack(adapted, /** @type {Float32Array} */ (packed.data), gradients, genome(structures));
    },
  };
}

/** @param {Model} model @param {Structure | undefined} fixed @param {boolean | undefined} backward @param {Rng} rng */
function unadapted(model, fixed, backward, rng) {
  if (fixed) return trainedModel(model, fixed, rng);
  const space = spaceOf(model);
  const genome = everywhere(space, NONE);
  // A language model's first layer has LoRA at zero, so that a gradient has somewhere to go; its embedding is its head too.
  const [first] = space.layers;
  if (backward && isLanguageModel(model) && first) genome.set(first.name, LORA);
  return fixedModel(model, space, genome, rng);
}

/** Random examples: `pixel_values` or `input_ids`, and a label for each image or token. @param {Images | Texts} o @returns {Record<string, Tensor>} */
export function examples(o) {
  const rng = rngStream(o.seed, "examples");
  const rows = o.kind === "images" ? o.batch : o.batch * o.tokens;
  const outputs = o.kind === "images" ? o.classes : o.vocabulary;
  /** @type {Record<string, Tensor>} */ const inputs = {};
  if (o.kind === "images") {
    const shape = [o.batch, 3, o.size, o.size];
    const data = Float32Array.from({ length: o.batch * 3 * o.size ** 2 }, () => rng.normal());
    inputs["pixel_values"] = { dtype: "float32", shape, data };
  } else {
    const data = BigInt64Array.from({ length: rows }, () => BigInt(rng.int(o.vocabulary)));
    inputs["input_ids"] = { dtype: "int64", shape: [o.batch, o.tokens], data };
  }
  const labels = Int32Array.from({ length: rows }, () => rng.int(outputs));
  const weights = new Float32Array(rows).fill(1 / rows);
  return {
    ...inputs,
    [INPUTS.labels]: { dtype: "int32", shape: [rows], data: labels },
    [INPUTS.rowWeights]: { dtype: "float32", shape: [rows], data: weights },
  };
}
