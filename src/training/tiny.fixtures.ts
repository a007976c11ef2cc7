/** A model and data so small that a whole fit takes a second: two blocks of width 16 on images of 8 × 8 pixels. */
import { rngStream } from "../base/rng.js";
import type { Dataset, SplitName } from "../data/dataset.js";
import { imageDataset } from "../data/image-dataset.js";
import type { ImageSource } from "../data/image-split.js";
import type { Folder } from "../formats/folder.js";
import { encodeSafetensors } from "../formats/safetensors-writer.js";
import { memorySource } from "../formats/source.js";
import type { Model } from "../models/model.js";
import { openModelFolder } from "../models/open.js";
import type { Runtime } from "../runtime/runtime.js";

const [WIDTH, DEPTH, IMAGE, PATCH] = [16, 2, 8, 4];
export const TINY_LABELS = ["north", "east", "south"];

const config = {
  architecture: "vit_tiny_patch16_224",
  num_classes: TINY_LABELS.length,
  label_names: TINY_LABELS,
  model_args: { img_size: IMAGE, patch_size: PATCH, embed_dim: WIDTH, depth: DEPTH, num_heads: 2 },
  pretrained_cfg: {
    input_size: [3, IMAGE, IMAGE],
    interpolation: "bicubic",
    crop_pct: 1,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  },
};

/** Files of the model, in timm's layout; random weights. */
export function tinyFiles(): ReadonlyMap<string, Uint8Array> {
  const rng = rngStream(1, "tiny model");
  const linear = (name: string, out: number, width: number): [string, number[]][] => [
    [`${name}.weight`, [out, width]],
    [`${name}.bias`, [out]],
  ];
  const norm = (name: string): [string, number[]][] => [
    [`${name}.weight`, [WIDTH]],
    [`${name}.bias`, [WIDTH]],
  ];
  const shapes: [string, number[]][] = [
    ["cls_token", [1, 1, WIDTH]],
    ["pos_embed", [1, (IMAGE / PATCH) ** 2 + 1, WIDTH]],
    ["patch_embed.proj.weight", [WIDTH, 3, PATCH, PATCH]],
    ["patch_embed.proj.bias", [WIDTH]],
    ...Array.from({ length: DEPTH }, (_, i) => `blocks.${i}`).flatMap((block) => [
      ...norm(`${block}.norm1`),
      ...linear(`${block}.attn.qkv`, 3 * WIDTH, WIDTH),
      ...linear(`${block}.attn.proj`, WIDTH, WIDTH),
      ...norm(`${block}.norm2`),
      ...linear(`${block}.mlp.fc1`, 4 * WIDTH, WIDTH),
      ...linear(`${block}.mlp.fc2`, WIDTH, 4 * WIDTH),
    ]),
    ...norm("norm"),
    ...linear("head", TINY_LABELS.length, WIDTH),
  ];
  const tensors = shapes.map(([name, shape]) => {
    const scale = name.includes("norm") && name.endsWith("weight") ? 0 : 0.3;
    const values = Float32Array.from(
      { length: shape.reduce((a, b) => a * b) },
      () => 1 - scale / 0.3 + scale * rng.normal(),
    );
    return { name, shape, dtype: "F32" as const, data: new Uint8Array(values.buffer) };
  });
  return new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(config))],
    ["model.safetensors", encodeSafetensors(tensors)],
  ]);
}

export function openTiny(runtime: Runtime): Promise<Model> {
  const files = tinyFiles();
  const folder: Folder = {
    name: "tiny",
    list: async () => [...files.keys()],
    open: async (file) => {
      const bytes = files.get(file);
      return bytes && memorySource(`tiny/${file}`, bytes);
    },
  };
  return openModelFolder(folder, runtime);
}

export interface TinyDataOptions {
  readonly labels?: readonly string[];
  /** Examples of a split; their classes take turns. */
  readonly counts?: Partial<Record<SplitName, number>>;
}

/** Noise with one corner lit, a corner for each class. */
export function tinyData({ labels = TINY_LABELS, counts = {} }: TinyDataOptions = {}): Dataset {
  const sizes = { train: 22, validation: 12, test: 9, ...counts };
  const sources = (split: SplitName): ImageSource[] =>
    Array.from({ length: sizes[split] }, (_, i) => {
      const label = i % labels.length;
      return { name: `${split}/${i}`, label, decode: async () => tinyImage(`${split} ${i}`, label) };
    });
  return imageDataset({
    name: "corners",
    labels,
    splits: { train: sources("train"), validation: sources("validation"), test: sources("test") },
    describe: () => ({ kind: "corners", labels, counts: sizes }),
  });
}

export function tinyImage(name: string, label: number) {
  const rng = rngStream(2, name);
  const data = Uint8Array.from({ length: 3 * IMAGE * IMAGE }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % IMAGE, Math.floor(i / 3 / IMAGE)];
    const corner = 2 * Math.floor(y / PATCH) + Math.floor(x / PATCH);
    return rng.int(160) + (corner === label ? 60 : 0);
  });
  return { width: IMAGE, height: IMAGE, channels: 3, data };
}
