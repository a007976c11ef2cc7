// What is measured: adapted models, the graphs of their training steps, and what each step is fed.
import {
  adaptedGraph,
  createSpace,
  drawGenome,
  fixedModel,
  INPUTS,
  rngStream,
  supernet,
  trainableFeeds,
} from "../dist/index.js";

/**
 * @import { AdaptedModel, Genome, Model, Rng, Structure, Tensor } from "../dist/index.js"
 * @typedef {{ graph: import("../dist/index.js").Graph, feeds: () => Record<string, Tensor> }} Step
 */

/** @type {(A: Structure["A"], B: Structure["B"], C: Structure["C"], D: Structure["D"], E: Structure["E"]) => Structure} */
const structure = (A, B, C, D, E) => ({ A, B, C, D, E });
const NONE = structure("none", "none", "none", "none", "none");
const LOW_RANK = structure("lora_4", "lora_4", "vector", "vector", "vector");
const VECTOR = structure("vector", "vector", "vector", "vector", "vector");
const LORA = structure("none", "lora_4", "none", "none", "none");

/**
 * Names and descriptions, in the order of the report. `net`: the supernet runs the structure, or draws one at every step
 * where it is absent; `fixed`: a graph of this structure alone; neither: nothing but the head is trained, `backward` asks
 * for gradients through the whole frozen model.
 * @type {Record<string, { text: string, net?: Structure | "drawn", fixed?: Structure, backward?: boolean }>}
 */
export const CONFIGURATIONS = {
  "supernet-drawn": { text: "supernet, a structure drawn at every step", net: "drawn" },
  "supernet-low-rank": { text: "supernet, all low-rank", net: LOW_RANK },
  "supernet-none": { text: "supernet, nothing drawn", net: NONE },
  "low-rank": { text: "GLoRA, A and B lora_4, C D E vector", fixed: LOW_RANK },
  vector: { text: "GLoRA, all five vector", fixed: VECTOR },
  lora: { text: "LoRA, B lora_4", fixed: LORA },
  frozen: { text: "frozen base, forward and backward", backward: true },
  linear: { text: "head alone: forward", backward: false },
};

/**
 * The training step of one configuration. `size`: pixels of an image's edge.
 * @param {Model} model @param {string} name @param {{ batch: number, size: number, seed: number }} o @returns {Step}
 */
export function stepOf(model, name, { batch, size, seed }) {
  const configuration = CONFIGURATIONS[name];
  if (!configuration) throw new Error(`No configuration is called ${name}.`);
  const { net, fixed, backward } = configuration;
  const rng = rngStream(seed, "benchmark");
  const space = createSpace(model.layers, { ranks: [4] });
  /** @param {Structure} s @returns {Genome} */
  const everywhere = (s) => new Map(model.layers.map((layer) => [layer.name, s]));
  const adapted = net ? supernet(model, space, rng) : fixedModel(model, space, everywhere(fixed ?? NONE), rng);
  perturb(adapted, rng);
  const graph = adaptedGraph(model, {
    layout: adapted.layout,
    head: "trainable",
    loss: { kind: "cross-entropy" },
    gradients: true,
    // The gradient of what enters the first block: it passes every layer.
    ...(backward && { weightGradients: (weight) => weight === "pos_embed" }),
  });
  const data = examples(batch, size, model.head?.out ?? 1, rng);
  const draw = () => (net === "drawn" ? drawGenome(space, rng) : net && everywhere(net));
  return { graph, feeds: () => ({ ...data, ...trainableFeeds(adapted, draw()) }) };
}

/**
 * Supports start at zero, which no later step does.
 * @param {AdaptedModel} adapted @param {Rng} rng
 */
function perturb({ parameters, headOffset }, rng) {
  for (let i = 0; i < headOffset; i++) parameters[i] = 0.02 * rng.normal();
}

/** @param {number} batch @param {number} size @param {number} classes @param {Rng} rng @returns {Record<string, Tensor>} */
function examples(batch, size, classes, rng) {
  const pixels = Float32Array.from({ length: batch * 3 * size * size }, () => rng.normal());
  const labels = Int32Array.from({ length: batch }, () => rng.int(classes));
  const weights = new Float32Array(batch).fill(1 / batch);
  return {
    pixel_values: { dtype: "float32", shape: [batch, 3, size, size], data: pixels },
    [INPUTS.labels]: { dtype: "int32", shape: [batch], data: labels },
    [INPUTS.rowWeights]: { dtype: "float32", shape: [batch], data: weights },
  };
}
