import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { relativeDifference } from "../../adapters/merge-model.js";
import { openFile } from "../../formats/file.node.js";
import { readBytes, readFloat32, readSafetensors } from "../../formats/safetensors.js";
import { encodeSafetensors } from "../../formats/safetensors-writer.js";
import { typed } from "../cli.fixtures.js";

const fixtures = new URL("../../../test/fixtures/interchange/", import.meta.url).pathname;
const vit = join(fixtures, "vit");
const folder = await mkdtemp(join(tmpdir(), "glora-export-"));
afterAll(() => rm(folder, { recursive: true }));

/** A file of a case's inputs alone, and the logits that its library gave. */
async function expectedOf(name: string): Promise<{ inputs: string; logits: Float32Array }> {
  const { tensors } = await readSafetensors(await openFile(join(vit, name, "expected.safetensors")));
  const pixels = tensors.get("pixel_values")!;
  const inputs = join(folder, `${name}.safetensors`);
  await writeFile(inputs, encodeSafetensors([{ ...pixels, data: await readBytes(pixels) }]));
  return { inputs, logits: await readFloat32(tensors.get("logits")!) };
}

const logitsOf = async (file: string) =>
  readFloat32((await readSafetensors(await openFile(file))).tensors.get("logits")!);

test("writes PEFT's folder, which every command takes as an adapter", async () => {
  const out = join(folder, "peft");
  const { inputs, logits } = await expectedOf("lycoris");
  const exported = await typed([
    "export-adapter",
    "--model",
    vit,
    "--adapter",
    join(vit, "lycoris"),
    "--out",
    out,
    "--json",
  ]);
  expect(exported).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(exported.stdout)).toEqual({ exported: out, type: "LORA" });
  const outputs = join(folder, "out.safetensors");
  expect((await typed(["run", vit, "--inputs", inputs, "--outputs", outputs, "--adapter", out])).code).toBe(0);
  // A product A became a low-rank B, W·Xd rounded once.
  expect(relativeDifference(await logitsOf(outputs), logits)).toBeLessThan(1e-5);
});

test("an adapter that is one file is named by its path", async () => {
  const { inputs, logits } = await expectedOf("lycoris-1.8");
  const outputs = join(folder, "single.safetensors");
  const adapter = join(vit, "lycoris-1.8", "lycoris.safetensors");
  expect((await typed(["run", vit, "--inputs", inputs, "--outputs", outputs, "--adapter", adapter])).code).toBe(0);
  expect(relativeDifference(await logitsOf(outputs), logits)).toBeLessThan(1e-5);
  const over = await typed(["run", vit, "--inputs", inputs, "--outputs", adapter, "--adapter", adapter]);
  expect(over.stderr).toContain("is a file that this run reads.");
});

test("what cannot be said is refused, and no folder is left", async () => {
  const out = join(folder, "refused");
  const command = [
    "export-adapter",
    "--model",
    vit,
    "--adapter",
    join(vit, "lycoris"),
    "--out",
    out,
    "--type",
    "GLORA",
  ];
  const { code, stderr } = await typed(command);
  expect(code).toBe(1);
  expect(stderr).toContain("as GLORA, vit.encoder.layer.0.attention.attention.query: A multiplies W as a matrix");
  expect((await typed(["run", out])).code).not.toBe(0);
});

test("an adapter that replaces norms and biases of the base merges, and is no start for training", async () => {
  const { inputs, logits } = await expectedOf("lora-bias-all");
  const adapter = join(vit, "lora-bias-all");
  const merged = join(folder, "merged");
  expect(await typed(["merge", "--model", vit, "--adapter", adapter, "--out", merged])).toMatchObject({ code: 0 });
  const outputs = join(folder, "merged.safetensors");
  expect((await typed(["run", merged, "--inputs", inputs, "--outputs", outputs])).code).toBe(0);
  expect(relativeDifference(await logitsOf(outputs), logits)).toBeLessThan(1e-5);
  const fit = ["fit", "--model", vit, "--data", "digits", "--adapter", adapter, "--out", join(folder, "run")];
  const { code, stderr } = await typed([...fit, "--preset", "lora", "--epochs", "1"]);
  expect(code).toBe(1);
  expect(stderr).toContain("which training starts from as they are: merge it, and train on the merged model.");
});
