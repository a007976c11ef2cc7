/**
 * Time and memory of one training step of a LLaMA of random bfloat16 weights, which stay mapped from their file.
 *
 *     node bench/memory.mjs --shape tinyllama --folder FOLDER [--tokens 512] [--batch 1] [--preset lora] [--rank 4] [--keep]
 *
 * `--shape` is one of SHAPES below; the folder is written unless it is there. Activations are computed again a block at a
 * time, unless `--keep`. Memory is the process's own, from the system's account of it (Linux).
 */
import { mkdir, open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  adaptedGraph,
  fixedModel,
  lossFeeds,
  onlyGenome,
  openModel,
  presetSpace,
  rngStream,
  trainableFeeds,
} from "glora";

/** Shapes of published models: TinyLlama-1.1B, LLaMA-2-7B whole, and two of its layers. */
const SHAPES = {
  tinyllama: { width: 2048, hidden: 5632, layers: 22, heads: 32, keyValueHeads: 4, vocabulary: 32_000 },
  "llama-7b": { width: 4096, hidden: 11_008, layers: 32, heads: 32, keyValueHeads: 32, vocabulary: 32_000 },
  "llama-7b-2": { width: 4096, hidden: 11_008, layers: 2, heads: 32, keyValueHeads: 32, vocabulary: 32_000 },
  "llama-7b-4": { width: 4096, hidden: 11_008, layers: 4, heads: 32, keyValueHeads: 32, vocabulary: 32_000 },
};

const { values: o } = parseArgs({
  options: {
    shape: { type: "string", default: "tinyllama" },
    folder: { type: "string" },
    tokens: { type: "string", default: "512" },
    batch: { type: "string", default: "1" },
    preset: { type: "string", default: "lora" },
    rank: { type: "string", default: "4" },
    steps: { type: "string", default: "3" },
    keep: { type: "boolean", default: false },
    arena: { type: "boolean", default: false },
  },
});
const shape = SHAPES[o.shape];
if (!shape || !o.folder)
  throw new Error(`--shape must be one of ${Object.keys(SHAPES).join(", ")}, and --folder be given.`);
await writeModel(o.folder, shape);

const [tokens, batch] = [Number(o.tokens), Number(o.batch)];
const model = await openModel(o.folder);
const attention = ["*.q_proj", "*.k_proj", "*.v_proj", "*.o_proj"];
const space = presetSpace(o.preset, model.layers, { layers: attention, rank: Number(o.rank) });
const adapted = fixedModel(model, space, onlyGenome(space), rngStream(0, "values"));
const graph = adaptedGraph(model, {
  layout: adapted.layout,
  head: "trainable",
  loss: { kind: "cross-entropy" },
  logits: false,
  gradients: true,
  recompute: !o.keep,
});
const before = await memory();
const session = await model.runtime.open(graph, { name: "step", keepArena: o.arena });
const ids = BigInt64Array.from({ length: batch * tokens }, (_, i) => BigInt((i * 7919) % shape.vocabulary));
const rows = batch * tokens;
const labels = Int32Array.from({ length: rows }, (_, i) => (i * 104_729) % shape.vocabulary);
const feeds = {
  ...model.feeds({ input_ids: { dtype: "int64", shape: [batch, tokens], data: ids } }),
  ...lossFeeds(model, { kind: "labels", labels }, new Float32Array(rows).fill(1 / rows)),
  ...trainableFeeds(adapted),
};
let peak = { anonymous: 0, mapped: 0, total: 0 };
let running = true;
const watch = (async () => {
  while (running) {
    const now = await memory();
    for (const key of Object.keys(peak)) peak = { ...peak, [key]: Math.max(peak[key], now[key]) };
    await new Promise((done) => setTimeout(done, 20));
  }
})();
const seconds = [];
for (let i = 0; i < Number(o.steps); i++) {
  const start = performance.now();
  await session.run(feeds);
  seconds.push((performance.now() - start) / 1000);
}
running = false;
await watch;
const file = (await stat(join(o.folder, "model.safetensors"))).size;
const block = blockBytes(shape, rows, tokens);
console.log(
  JSON.stringify(
    {
      shape: o.shape,
      tokens: rows,
      preset: o.preset,
      recompute: !o.keep,
      seconds: seconds.map((s) => Number(s.toFixed(2))),
      fileMB: mega(file),
      beforeMB: { anonymous: mega(before.anonymous), total: mega(before.total) },
      peakMB: { anonymous: mega(peak.anonymous), mapped: mega(peak.mapped), total: mega(peak.total) },
      blockActivationsMB: mega(block),
      limitMB: mega(1.3 * file + block),
      within: peak.total <= 1.3 * file + block,
    },
    null,
    2,
  ),
);
await session.dispose();
await model.runtime.dispose();

function mega(bytes) {
  return Math.round(bytes / 1e6);
}

/** What one block's forward and backward pass hold in float32: its inputs, projections, scores and MLP. */
function blockBytes({ width, hidden, heads, keyValueHeads }, rows, tokens) {
  const perRow = 8 * width + (2 * keyValueHeads * width) / heads + 5 * hidden + 3 * heads * tokens;
  return 4 * rows * perRow;
}

async function memory() {
  const status = await readFile("/proc/self/status", "utf8");
  const bytes = (key) => 1024 * Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)[1]);
  const [anonymous, mapped] = [bytes("RssAnon"), bytes("RssFile")];
  return { anonymous, mapped, total: anonymous + mapped };
}

/** A folder in Hugging Face layout, its weights normal of deviation 0.02. */
async function writeModel(folder, { width, hidden, layers, heads, keyValueHeads, vocabulary }) {
  const path = join(folder, "model.safetensors");
  if (await stat(path).catch(() => undefined)) return;
  await mkdir(folder, { recursive: true });
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    vocab_size: vocabulary,
    max_position_embeddings: 2048,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
    hidden_act: "silu",
    tie_word_embeddings: false,
    torch_dtype: "bfloat16",
  };
  await writeFile(join(folder, "config.json"), JSON.stringify(config, null, 2));
  const small = (keyValueHeads * width) / heads;
  const block = (i) =>
    Object.entries({
      input_layernorm: [width],
      "self_attn.q_proj": [width, width],
      "self_attn.k_proj": [small, width],
      "self_attn.v_proj": [small, width],
      "self_attn.o_proj": [width, width],
      post_attention_layernorm: [width],
      "mlp.gate_proj": [hidden, width],
      "mlp.up_proj": [hidden, width],
      "mlp.down_proj": [width, hidden],
    }).map(([name, shape]) => [`model.layers.${i}.${name}.weight`, shape]);
  const tensors = [
    ["model.embed_tokens.weight", [vocabulary, width]],
    ...Array.from({ length: layers }, (_, i) => block(i)).flat(),
    ["model.norm.weight", [width]],
    ["lm_head.weight", [vocabulary, width]],
  ];
  let end = 0;
  const header = Object.fromEntries(
    tensors.map(([name, shape]) => {
      const start = end;
      end += 2 * shape.reduce((a, b) => a * b);
      return [name, { dtype: "BF16", shape, data_offsets: [start, end] }];
    }),
  );
  const json = JSON.stringify(header);
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const rng = rngStream(1, "random weights");
  // One block of noise serves all weights: no two rows of a matrix share a phase, which is all that matters here.
  const noise = Float32Array.from({ length: 1_000_003 }, () => 0.02 * rng.normal());
  const bits = new Uint16Array(noise.length);
  new Uint32Array(noise.buffer).forEach((word, i) => {
    bits[i] = word >>> 16;
  });
  const file = await open(path, "w");
  await file.writeFile(Buffer.concat([length, text]));
  for (const [, shape] of tensors) {
    let left = shape.reduce((a, b) => a * b);
    if (shape.length === 1) {
      await file.writeFile(new Uint8Array(new Uint16Array(left).fill(0x3f80).buffer));
      continue;
    }
    for (; left > 0; left -= bits.length)
      await file.writeFile(new Uint8Array(bits.buffer, 0, 2 * Math.min(left, bits.length)));
  }
  await file.close();
}
