import { expect, test } from "vitest";
import { typed } from "../cli.fixtures.js";

const model = "test/fixtures/run/timm-product";

test("inspect counts what the model has and what methods would train", async () => {
  const { code, stdout } = await typed(["inspect", model, "--json"]);
  expect(code).toBe(0);
  const facts = JSON.parse(stdout);
  // By hand, width 8, 2 blocks of hidden size 16, qkv without a bias, patches 3·4·4, 2·3 positions, 3 classes.
  const block = 24 * 8 + (64 + 8) + (128 + 16) + (128 + 8) + 2 * 16;
  expect(facts).toMatchObject({
    family: "vit",
    parameters: 2 * block + (8 * 48 + 8) + 6 * 8 + 16 + 3 * 9,
    head: { layers: [{ name: "head" }], in: 8, out: 3 },
    labels: null,
    loss: "cross-entropy",
  });
  expect(facts.layers.slice(0, 2)).toEqual([
    { name: "blocks.0.attn.qkv", in: 8, out: 24, bias: false, addableBias: true, parameters: 192 },
    { name: "blocks.0.attn.proj", in: 8, out: 8, bias: true, addableBias: false, parameters: 72 },
  ]);
  const cost = (method: string, rank?: number) =>
    facts.methods.find((m: { method: string; rank?: number }) => m.method === method && m.rank === rank).largest;
  expect(cost("lora", 1)).toBe(2 * (32 + 16 + 24 + 24));
  expect(cost("lora", 8)).toBe(8 * cost("lora", 1)); // 16 is more than a width of 8 can have
  expect(cost("bitfit")).toBe(2 * (24 + 8 + 16 + 8)); // with the bias that qkv can be given
  expect(cost("vpt")).toBe(2 * (8 + 8 + 8 + 16));
  expect(cost("ssf")).toBe(2 * (2 * 24 + 3 * (8 + 16 + 8))); // no D without a bias
  // 1, 16 and 81 parameters: one of LoRA's ranks takes 192, VPT 80, BitFit 112, and GLoRA's scalars meet any count.
  const linear = { method: "linear", parameters: 0 };
  expect(facts.budgets).toEqual([
    { share: 0.001, parameters: 1, methods: [linear, { method: "glora", parameters: 1 }] },
    { share: 0.01, parameters: 16, methods: [linear, { method: "glora", parameters: 16 }] },
    {
      share: 0.05,
      parameters: 81,
      methods: [{ method: "vpt", parameters: 80 }, linear, { method: "glora", parameters: 81 }],
    },
  ]);
});

test("a budget names the largest rank that it allows", async () => {
  const { stdout } = await typed(["inspect", "models/vit-micro"]);
  // 6 blocks of width 192: rank 1 takes 6·(768 + 384 + 960 + 960) = 18,432; 2,748,680 parameters in all.
  expect(stdout).toContain(`What a budget of the model's parameters allows
method  0.1 %: 2,748  1 %: 27,486     5 %: 137,434
lora    –             18,432, rank 1  129,024, rank 7
hira    –             18,432, rank 1  129,024, rank 7
bitfit  –             10,368          10,368
ssf     –             –               31,104
vpt     –             8,064           8,064
linear  0             0               0
glora   up to 2,748   up to 27,486    up to 137,434
`);
});

test("inspect prints tables for people", async () => {
  const { code, stdout } = await typed(["inspect", model]);
  expect(code).toBe(0);
  expect(stdout).toContain(`${model}
family      vit
parameters  1,635
head        head, 3 outputs
image       8 × 12, 3 channels, bicubic, mean 0.5 0.5 0.5, std 0.5 0.5 0.5

8 linear layers that can be adapted
layer               in  out  bias          parameters
blocks.0.attn.qkv    8   24  can be added         192
blocks.0.attn.proj   8    8  yes                   72
`);
  expect(stdout).toContain("\nmethod  rank  parameters  of the model\nlora       1         192          12 %\n");
});

test("a folder that is no model is exit code 1", async () => {
  expect(await typed(["inspect", "src/cli"])).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("model.safetensors"),
  });
});
