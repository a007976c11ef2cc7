import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fromFloat32 } from "../../base/float.js";
import { rngStream } from "../../base/rng.js";
import { openFile } from "../../formats/file.node.js";
import { readBytes, readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { encodeSafetensors } from "../../formats/safetensors-writer.js";
import { typed } from "../cli.fixtures.js";

// Written by scripts/fixtures/run.py: PyTorch in float64 on timm's and transformers' own models.
const fixtures = "test/fixtures/run";
const cases = ["timm-elementwise", "timm-product", "transformers-resampled", "transformers-regression"] as const;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "glora-run-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Numbers {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

async function readTensors(path: string): Promise<Map<string, Numbers>> {
  const { tensors } = await readSafetensors(await openFile(path));
  const read = [...tensors.values()].map(
    async (entry) => [entry.name, { shape: entry.shape, values: await readFloat32(entry) }] as const,
  );
  return new Map(await Promise.all(read));
}

const float = (name: string, shape: readonly number[], values: Float32Array) =>
  ({ name, shape, dtype: "F32", data: fromFloat32(values, "F32") }) as const;

const int = (name: string, values: readonly number[]) =>
  ({
    name,
    shape: [values.length],
    dtype: "I64",
    data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
  }) as const;

/** A file of inputs: four images of the timm fixtures' size, and what else is asked for. */
async function inputs(...tensors: Parameters<typeof encodeSafetensors>[0]): Promise<string> {
  const path = join(folder, "inputs.safetensors");
  const rng = rngStream(1, "pixels");
  const pixels = float("pixel_values", [4, 3, 8, 12], Float32Array.from({ length: 4 * 3 * 8 * 12 }, rng.normal));
  await writeFile(
    path,
    encodeSafetensors([...(tensors.some(({ name }) => name === "pixel_values") ? [] : [pixels]), ...tensors]),
  );
  return path;
}

/** Runs the command; `out` reads what it wrote. */
async function run(model: string, from: string, ...more: string[]) {
  const to = join(folder, "outputs.safetensors");
  await rm(to, { force: true });
  const result = await typed(["run", model, "--inputs", from, "--outputs", to, ...more]);
  return { ...result, out: () => readTensors(to) };
}

const timm = join(fixtures, "timm-elementwise");
const files = async (path: string) =>
  Promise.all(
    (await readdir(path, { recursive: true }))
      .sort()
      .map(async (name) => [name, await readFile(join(path, name)).catch(() => undefined)]),
  );

describe.each(cases)("%s, with an adapter", (name) => {
  const model = join(fixtures, name);
  const withAdapter = ["--adapter", join(model, "adapter")];

  test("logits, loss and every gradient are PyTorch's, and the model's folder stays as it is", async () => {
    const before = await files(model);
    const { code, stderr, out } = await run(model, join(model, "inputs.safetensors"), ...withAdapter, "--grad", "*");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [found, expected] = [await out(), await readTensors(join(model, "expected.safetensors"))];
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
    const layerOf = (tensor: string) => tensor.replace(/(\.[A-E]\.X[du]?|\.weight|\.bias)$/, "");
    const largest = new Map<string, number>();
    for (const [tensor, { values }] of expected)
      largest.set(layerOf(tensor), Math.max(largest.get(layerOf(tensor)) ?? 0, max(values)));
    for (const [tensor, { shape, values }] of expected) {
      const actual = found.get(tensor)!;
      expect(actual.shape, tensor).toEqual(shape);
      // float32 against float64: sums of some hundred products round by about 1e-6. Gradients that are zero in exact
      // arithmetic (key biases, scalars in front of a norm) keep the rounding of the layer's other numbers.
      const tolerance = 1e-5 * max(values) + 3e-6 * largest.get(layerOf(tensor))!;
      expect(max(values.map((value, i) => value - actual.values[i]!)), tensor).toBeLessThanOrEqual(tolerance);
    }
    expect(await files(model)).toEqual(before);
  });

  test("the adapter has an effect, and without labels there is no loss", async () => {
    const adapted = await readTensors(join(model, "expected.safetensors"));
    const { code, out } = await run(model, join(model, "inputs.safetensors"));
    expect(code).toBe(0);
    const plain = await out();
    const loss = (tensors: ReadonlyMap<string, Numbers>) => tensors.get("loss")!.values[0]!;
    expect(Math.abs(loss(plain) - loss(adapted))).toBeGreaterThan(1e-3);
    const unlabelled = join(folder, "unlabelled.safetensors");
    const { tensors } = await readSafetensors(await openFile(join(model, "inputs.safetensors")));
    const pixels = tensors.get("pixel_values")!;
    await writeFile(unlabelled, encodeSafetensors([{ ...pixels, data: await readBytes(pixels) }]));
    const bare = await (await run(model, unlabelled)).out();
    expect([...bare.keys()]).toEqual(["logits"]);
    expect(bare.get("logits")).toEqual(plain.get("logits"));
  });
});

const max = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

test("gradients of an adapter agree with central differences of the command's own loss", async () => {
  const adapter = join(folder, "moved");
  await cp(join(timm, "adapter"), adapter, { recursive: true });
  const trained = await readTensors(join(adapter, "adapter.safetensors"));
  const from = join(timm, "inputs.safetensors");
  const { out } = await run(timm, from, "--adapter", adapter, "--grad", "blocks.*.?.X*");
  const gradients = await out();
  const supports = [...trained.keys()].filter((name) => gradients.has(`grad.${name}`));
  expect(new Set(supports.map((name) => /\.([A-E])\./.exec(name)![1]))).toEqual(new Set(["A", "B", "C", "D", "E"]));

  const rng = rngStream(2, "direction");
  const direction = new Map(supports.map((name) => [name, trained.get(name)!.values.map(() => rng.normal())]));
  const lossAt = async (step: number): Promise<number> => {
    const moved = [...trained].map(([name, { shape, values }]) =>
      float(
        name,
        shape,
        values.map((value, i) => value + step * (direction.get(name)?.[i] ?? 0)),
      ),
    );
    await writeFile(join(adapter, "adapter.safetensors"), encodeSafetensors(moved));
    const { out } = await run(timm, from, "--adapter", adapter);
    return (await out()).get("loss")!.values[0]!;
  };
  const h = 1e-3;
  const slope = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
  const expected = supports.reduce((sum, name) => {
    const gradient = gradients.get(`grad.${name}`)!.values;
    return sum + direction.get(name)!.reduce((dot, d, i) => dot + d * gradient[i]!, 0);
  }, 0);
  expect(Math.abs(expected)).toBeGreaterThan(0.1);
  // The loss is a float32 near 1.7: rounding of 1e-7·1.7 over 2h is 1e-4; truncation h²/6 of a third derivative of order 10.
  expect(Math.abs(slope - expected)).toBeLessThan(1e-3 * Math.max(1, Math.abs(expected)));
});

test("a pattern takes the gradients whose names it matches, and no others", async () => {
  const { code, stdout, out } = await run(
    timm,
    join(timm, "inputs.safetensors"),
    "--grad",
    "blocks.?.norm1.*",
    "--json",
  );
  const names = ["blocks.0.norm1.bias", "blocks.0.norm1.weight", "blocks.1.norm1.bias", "blocks.1.norm1.weight"];
  expect([...(await out()).keys()].sort()).toEqual([...names.map((name) => `grad.${name}`), "logits", "loss"].sort());
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ loss: expect.any(Number), tensors: { logits: [4, 3], loss: [] } });
});

test("labels of −100 count for nothing, and of all images they leave no loss to speak of", async () => {
  const some = await (await run(timm, await inputs(int("labels", [1, -100, 2, -100])))).out();
  const logits = some.get("logits")!.values;
  const crossEntropy = (image: number, label: number) => {
    const row = [...logits.slice(3 * image, 3 * image + 3)];
    return Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)) - row[label]!;
  };
  expect(some.get("loss")!.values[0]).toBeCloseTo((crossEntropy(0, 1) + crossEntropy(2, 2)) / 2, 5); // float32
  const none = await (await run(timm, await inputs(int("labels", [-100, -100, -100, -100])))).out();
  expect(none.get("loss")!.values[0]).toBeNaN(); // as torch.nn.functional.cross_entropy
});

test("a model without a head gives features; labels are not used, and that is said", async () => {
  const bare = join(folder, "bare");
  await cp(timm, bare, { recursive: true });
  const config = JSON.parse(await readFile(join(bare, "config.json"), "utf8"));
  await writeFile(join(bare, "config.json"), JSON.stringify({ ...config, num_classes: 0 }));
  const tensors = await readTensors(join(bare, "model.safetensors"));
  const trunk = [...tensors].filter(([name]) => !name.startsWith("head."));
  await writeFile(
    join(bare, "model.safetensors"),
    encodeSafetensors(trunk.map(([name, { shape, values }]) => float(name, shape, values))),
  );
  const from = join(timm, "inputs.safetensors");
  const { code, stderr, out } = await run(bare, from);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: `${bare} has no head, so that labels are not used: "features" are written, and no loss.\n`,
  });
  const outputs = await out();
  expect([...outputs.keys()]).toEqual(["features"]);
  // The head on these features gives the whole model's logits.
  const { shape, values: features } = outputs.get("features")!;
  const whole = (await (await run(timm, from)).out()).get("logits")!.values;
  const [W, b] = [tensors.get("head.weight")!.values, tensors.get("head.bias")!.values];
  const width = shape[1]!;
  const logits = Float32Array.from({ length: whole.length }, (_, i) => {
    const [image, label] = [Math.floor(i / b.length), i % b.length];
    let sum = b[label]!;
    for (let j = 0; j < width; j++) sum += W[label * width + j]! * features[image * width + j]!;
    return sum;
  });
  expect(max(logits.map((value, i) => value - whole[i]!))).toBeLessThan(1e-5);

  // An adapter that brings a head gives it one.
  const adapted = await run(bare, from, "--adapter", join(timm, "adapter"));
  const expected = await readTensors(join(timm, "expected.safetensors"));
  expect(
    max((await adapted.out()).get("logits")!.values.map((v, i) => v - expected.get("logits")!.values[i]!)),
  ).toBeLessThan(1e-4);
});

test("--config says what a folder without config.json lacks", async () => {
  const bare = join(folder, "no-config");
  await cp(timm, bare, { recursive: true });
  await rm(join(bare, "config.json"));
  const from = join(timm, "inputs.safetensors");
  expect(await run(bare, from)).toMatchObject({ code: 1, stderr: expect.stringContaining("--config FILE") });
  const { code, out } = await run(bare, from, "--config", join(timm, "config.json"));
  expect(code).toBe(0);
  expect(await out()).toEqual(await (await run(timm, from)).out());
});

test("whole numbers of any width, and yes or no, are read as token ids and masks", async () => {
  const ids = [3, 4, 5, 6];
  const wide = (name: string, values: readonly number[]) => ({ ...int(name, values), shape: [2, 2] });
  const narrow = {
    name: "input_ids",
    shape: [2, 2],
    dtype: "I32",
    data: new Uint8Array(Int32Array.from(ids).buffer),
  } as const;
  const yes = { name: "attention_mask", shape: [2, 2], dtype: "BOOL", data: Uint8Array.of(1, 1, 0, 1) } as const;
  const file = join(folder, "texts.safetensors");
  const llama = "test/fixtures/llama/llama-biases";
  await writeFile(file, encodeSafetensors([wide("input_ids", ids), wide("attention_mask", [1, 1, 0, 1])]));
  const expected = await (await run(llama, file)).out();
  expect(expected.get("logits")!.shape).toEqual([2, 2, 40]);
  await writeFile(file, encodeSafetensors([narrow, yes]));
  expect(await (await run(llama, file)).out()).toEqual(expected);
});

describe("what is wrong", () => {
  test("--grad without labels, or matching nothing, is wrong use", async () => {
    const unlabelled = await inputs();
    expect(await run(timm, unlabelled, "--grad", "*")).toMatchObject({
      code: 2,
      stderr: `--grad needs a loss: ${unlabelled} has no "labels".\nSee glora run --help.\n`,
    });
    const { code, stderr } = await run(timm, join(timm, "inputs.safetensors"), "--grad", "layers.*");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^No name matches "layers\.\*"\. There are 32, among them patch_embed\.proj\.weight, /);
  });

  test.each([
    [
      "a label out of range",
      () => inputs(int("labels", [0, 1, 3, 2])),
      "labels[2] is 3; the model has 3 classes: 0 to 2 is expected, or -100 to leave it out of the loss.\n",
    ],
    ["a label below", () => inputs(int("labels", [0, -1, 1, 2])), /^labels\[1\] is -1;/],
    [
      "too few labels",
      () => inputs(int("labels", [0, 1])),
      "labels: one for each of the 4 images is expected, [4]; found [2].\n",
    ],
    [
      "labels of floats",
      () => inputs(float("labels", [4], new Float32Array(4))),
      "labels: int64 or int32 is expected, found float32.\n",
    ],
    [
      "an unknown input",
      () => inputs(int("label", [0, 1, 1, 2])),
      'The model has no input "label"; it takes "pixel_values", "labels".\n',
    ],
    [
      "a wrong number of channels",
      () => inputs(float("pixel_values", [1, 1, 8, 12], new Float32Array(96))),
      /^pixel_values: float32 \[images, 3, height, width\] expected/,
    ],
    [
      "another dtype",
      () => inputs({ name: "labels", shape: [4], dtype: "U8", data: new Uint8Array(4) }),
      /inputs\.safetensors: "labels" is U8; F32, I64, I32 or BOOL is expected\.\n$/,
    ],
    [
      "no pixels",
      async () => {
        const path = join(folder, "none.safetensors");
        await writeFile(path, encodeSafetensors([int("labels", [0])]));
        return path;
      },
      'The input "pixel_values" is missing; the model takes "pixel_values", "labels".\n',
    ],
    [
      "a truncated file",
      async () => {
        const path = join(folder, "short.safetensors");
        await writeFile(path, (await readFile(join(timm, "inputs.safetensors"))).subarray(0, 300));
        return path;
      },
      /not a valid safetensors file: .*truncated/,
    ],
  ])("%s in the inputs is exit code 1, and nothing is written", async (_, from, text) => {
    const { code, stderr, out } = await run(timm, await from());
    expect(code).toBe(1);
    expect(stderr).toEqual(typeof text === "string" ? text : expect.stringMatching(text));
    await expect(out()).rejects.toThrow("cannot be read");
  });

  test("an adapter of another model is exit code 1", async () => {
    const other = join(fixtures, "timm-product", "adapter");
    const { code, stderr } = await run(
      join(fixtures, "transformers-resampled"),
      join(timm, "inputs.safetensors"),
      "--adapter",
      other,
    );
    expect(code).toBe(1);
    expect(stderr).toContain('Layer "blocks.0.attn.qkv" is not among the model\'s 12 linear layers.');
  });

  test("outputs never replace a file of the model or one that is read, and need a folder", async () => {
    const model = join(folder, "own");
    await cp(timm, model, { recursive: true });
    const from = join(model, "inputs.safetensors");
    const before = await files(model);
    const write = (to: string, ...more: string[]) =>
      typed(["run", model, "--inputs", from, "--outputs", to, "--adapter", join(model, "adapter"), ...more]);
    for (const [to, text] of [
      [join(model, "model.safetensors"), "is a file that this run reads."],
      [join(model, "config.json"), "would be a file of the model, whose folder is not written to."],
      [join(model, "new.json"), "would be a file of the model, whose folder is not written to."],
      [from, "is a file that this run reads."],
      [join(model, "adapter", "adapter.safetensors"), "is a file that this run reads."],
      [model, "is a folder; a file is expected."],
      [join(model, "nowhere", "out.safetensors"), `there is no folder ${join(model, "nowhere")}.`],
    ] as const)
      expect(await write(to)).toEqual({
        code: 2,
        stdout: "",
        stderr: `--outputs ${to}: ${text}\nSee glora run --help.\n`,
      });
    expect(await files(model)).toEqual(before);
    expect((await write(join(model, "outputs.safetensors"))).code).toBe(0);
    expect((await write(join(model, "outputs.safetensors"))).code).toBe(0); // its own result may be replaced
  });
});
