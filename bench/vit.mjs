// A ViT-B/16 of random weights as a folder in timm's layout: speed does not depend on what the weights are.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors, rngStream } from "../dist/index.js";

const WIDTH = 768;
const PATCH = [3, 16, 16];
const TOKENS = 197;

/**
 * Writes config.json and model.safetensors (float32).
 * @param {string} folder @param {{ layers: number, classes: number, seed: number }} o
 */
export async function writeVit(folder, { layers, classes, seed }) {
  const rng = rngStream(seed, "weights of the benchmark's ViT");
  /** @type {{ name: string, dtype: "F32", shape: number[], data: Uint8Array }[]} */
  const tensors = [];
  /** @param {string} name @param {number[]} shape @param {number} deviation @param {number} [mean] */
  const add = (name, shape, deviation, mean = 0) => {
    const length = shape.reduce((a, b) => a * b, 1);
    const width = deviation * Math.sqrt(12); // of the uniform distribution
    const values = Float32Array.from({ length }, () => mean + width * (rng.uniform() - 0.5));
    tensors.push({ name, dtype: "F32", shape, data: new Uint8Array(values.buffer) });
  };
  /** @param {string} name @param {number} out @param {number[]} input */
  const linear = (name, out, ...input) => {
    add(`${name}.weight`, [out, ...input], 1 / Math.sqrt(input.reduce((a, b) => a * b, 1)));
    add(`${name}.bias`, [out], 0.02);
  };
  /** @param {string} name */
  const norm = (name) => {
    add(`${name}.weight`, [WIDTH], 0.1, 1);
    add(`${name}.bias`, [WIDTH], 0.1);
  };
  add("cls_token", [1, 1, WIDTH], 0.02);
  add("pos_embed", [1, TOKENS, WIDTH], 0.02);
  linear("patch_embed.proj", WIDTH, ...PATCH);
  for (let i = 0; i < layers; i++) {
    norm(`blocks.${i}.norm1`);
    linear(`blocks.${i}.attn.qkv`, 3 * WIDTH, WIDTH);
    linear(`blocks.${i}.attn.proj`, WIDTH, WIDTH);
    norm(`blocks.${i}.norm2`);
    linear(`blocks.${i}.mlp.fc1`, 4 * WIDTH, WIDTH);
    linear(`blocks.${i}.mlp.fc2`, WIDTH, 4 * WIDTH);
  }
  norm("norm");
  linear("head", classes, WIDTH);
  const config = { architecture: "vit_base_patch16_224", num_classes: classes, model_args: { depth: layers } };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "model.safetensors"), encodeSafetensors(tensors));
}
