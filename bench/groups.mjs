// Which steps are compared with which.

/**
 * @typedef {{ title: string, ours: string, peers: Record<string, string>, drawn?: true, same?: true }} Group
 *   `ours`: a configuration of configurations.mjs, by which those of peers/torch_side.py are measured; `drawn`: new structures
 *   each round, the same for all; `same`: nothing random is added, so that the losses must agree
 */

const AUTHORS = "the authors' layer";

/** @type {Record<string, Group>} */
export const IMAGE_GROUPS = {
  drawn: {
    title: "supernet, a structure drawn at every step",
    ours: "supernet",
    peers: { [AUTHORS]: "authors-drawn" },
    drawn: true,
  },
  "low-rank": {
    title: "GLoRA, A and B of rank 4, C, D, E vectors",
    ours: "low-rank",
    peers: { [AUTHORS]: "authors-low-rank", PEFT: "peft-low-rank" },
  },
  vector: {
    title: "GLoRA, all five vectors",
    ours: "vector",
    peers: { [AUTHORS]: "authors-vector", PEFT: "peft-vector" },
  },
  lora: { title: "LoRA of rank 4", ours: "lora", peers: { PEFT: "peft-lora" } },
  frozen: { title: "frozen base, forward and backward", ours: "frozen", peers: { PyTorch: "frozen" }, same: true },
  linear: { title: "head alone: forward through the trunk", ours: "linear", peers: { PyTorch: "linear" } },
};

const { drawn, lora, frozen, vector } = /** @type {Record<"drawn" | "lora" | "frozen" | "vector", Group>} */ (
  IMAGE_GROUPS
);

/** Without biases, as a LLaMA's layers are, PEFT has no C, D and E: neither have we here. @type {Record<string, Group>} */
export const TEXT_GROUPS = {
  "smollm2-low-rank": { title: "GLoRA, A and B of rank 4", ours: "low-rank", peers: { PEFT: "peft-low-rank" } },
  "smollm2-vector": { title: "GLoRA, A and B vectors", ours: "vector", peers: { PEFT: "peft-vector" } },
  "smollm2-lora": lora,
  "smollm2-frozen": frozen,
};

/** Of a model this small a step is overhead for the most part: ours alone. @type {Record<string, Group>} */
export const MICRO_GROUPS = {
  "micro-drawn": { ...drawn, peers: {} },
  "micro-vector": { ...vector, peers: {} },
  "micro-lora": { ...lora, peers: {} },
};
