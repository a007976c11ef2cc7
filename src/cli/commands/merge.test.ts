import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fromFloat32 } from "../../base/float.js";
import { writeSafetensors } from "../../formats/safetensors-file.node.js";
import { typed } from "../cli.fixtures.js";

test("a language model without a tokenizer is compared on tokens drawn at random", async () => {
  const folder = await mkdtemp(join(tmpdir(), "glora-merge-"));
  const [layer, form] = ["model.layers.0.self_attn.q_proj", "scalar"];
  await writeFile(
    join(folder, "adapter.json"),
    JSON.stringify({ format: "glora-adapter", version: 1, layers: { [layer]: { A: form } } }),
  );
  const data = fromFloat32(Float32Array.of(0.5), "F32");
  await writeSafetensors(join(folder, "adapter.safetensors"), [
    { name: `${layer}.A.X`, shape: [1], dtype: "F32", data },
  ]);
  const [model, out] = ["test/fixtures/llama/llama-biases", join(folder, "merged")];
  const { code, stdout } = await typed(["merge", "--model", model, "--adapter", folder, "--out", out, "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ merged: out, examples: 4 });
  await rm(folder, { recursive: true });
});
