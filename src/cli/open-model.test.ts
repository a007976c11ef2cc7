import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TINY_LABELS, tinyFiles, tinyImage } from "../training/tiny.fixtures.js";
import { typed } from "./cli.fixtures.js";

let root: string;
let adapter: string;
let own: readonly string[];

/** A model for images of 8 × 8 pixels, and an adapter trained on it at 12 × 12. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "glora-sizes-"));
  const [model, images, out] = ["model", "images", "run"].map((name) => join(root, name)) as [string, string, string];
  await mkdir(model);
  for (const [file, bytes] of tinyFiles()) await writeFile(join(model, file), bytes);
  for (const [label, name] of TINY_LABELS.entries()) {
    await mkdir(join(images, name), { recursive: true });
    for (let i = 0; i < 6; i++) {
      const { data, width, height } = tinyImage(`${name} ${i}`, label);
      const file = join(images, name, `${i}.png`);
      await sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toFile(file);
    }
  }
  adapter = join(out, "adapter");
  own = ["--model", model, "--data", images];
  const training = ["--preset", "lora", "--rank", "1", "--epochs", "2", "--learning-rate", "0.05"];
  const trained = await typed(["train", ...own, "--out", out, ...training, "--image-size", "12", "--quiet"]);
  expect(trained).toMatchObject({ code: 0, stderr: "" });
}, 60_000);
afterAll(() => rm(root, { recursive: true }));

const json = async (...path: string[]) => JSON.parse(await readFile(join(root, ...path), "utf8"));
const typedHere = async (command: string, ...more: string[]) => {
  const { code, stdout, stderr } = await typed([
    command,
    ...own,
    "--adapter",
    adapter,
    ...more,
    "--json",
    "--progress",
  ]);
  expect(code, stderr).toBe(0);
  const notes = stderr.split("\n").filter((line) => line.startsWith("The adapter"));
  return { result: stdout, notes };
};
const USED = (name: string) =>
  `The adapter ${adapter} was trained on images of 12 × 12 pixels: these are used, not the 8 × 8 pixels of ${name}.`;
const ASKED = () =>
  `The adapter ${adapter} was trained on images of 12 × 12 pixels; it now gets the 8 × 8 pixels that were asked for.`;

test("an adapter and the result of its run remember the size of their images", async () => {
  expect(await json("run", "adapter", "adapter.json")).toMatchObject({ imageSize: [12, 12] });
  expect(await json("run", "result.json")).toMatchObject({ imageSize: [12, 12] });
});

test.each(["predict", "eval"])(
  "%s runs an adapter at its own size, and says so, unless another is asked for",
  async (command) => {
    const { result, notes } = await typedHere(command);
    expect(notes).toEqual([USED(join(root, "model"))]);
    expect(await typedHere(command, "--image-size", "12")).toEqual({ result, notes: [] });
    const asked = await typedHere(command, "--image-size", "8");
    expect(asked.notes).toEqual([ASKED()]);
    expect(asked.result).not.toBe(result);
  },
);

test("a merged model is one for images of that size, and says of them the same", async () => {
  const { notes } = await typedHere("merge", "--out", join(root, "merged"));
  expect(notes).toEqual([USED(join(root, "model"))]);
  expect(await json("merged", "config.json")).toMatchObject({
    model_args: { img_size: 12 },
    pretrained_cfg: { input_size: [3, 12, 12] },
  });
  const adapted = await typedHere("eval");
  const merged = await typed(["eval", "--model", join(root, "merged"), ...own.slice(2), "--json"]);
  // The same examples are right; the loss differs by the rounding of merged weights.
  const [a, b] = [adapted.result, merged.stdout].map((text) => JSON.parse(text)) as {
    accuracy: number;
    loss: number;
  }[];
  expect(b!.accuracy).toBe(a!.accuracy);
  expect(b!.loss).toBeCloseTo(a!.loss, 4);
});

test("a warm start trains at the adapter's size, and its own adapter says the same", async () => {
  const again = join(root, "again");
  const training = ["--preset", "lora", "--rank", "1", "--epochs", "1"];
  const { notes } = await typedHere("train", "--out", again, ...training);
  expect(notes).toEqual([USED(join(root, "model"))]);
  expect(await json("again", "adapter", "adapter.json")).toMatchObject({ imageSize: [12, 12] });
  const resumed = await typed(["resume", again, "--no-merge", "--quiet"]);
  expect(resumed).toMatchObject({ code: 0, stderr: "" });
});
