import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeSafetensors } from "../../formats/safetensors-writer.js";
import { typed } from "../cli.fixtures.js";

const model = "../shared/data/models/deit-tiny";
const photo = "../shared/data/images/caltech101/Leopards/image_0001.jpg";

/** One number that is added to a bias: the model's own head stays. */
async function writeAdapter(folder: string): Promise<void> {
  await mkdir(folder);
  const layers = { "blocks.0.attn.proj": { E: "scalar" } };
  await writeFile(join(folder, "adapter.json"), JSON.stringify({ format: "glora-adapter", version: 1, layers }));
  const data = new Uint8Array(Float32Array.of(0.01).buffer);
  const tensor = { name: "blocks.0.attn.proj.E.X", shape: [1], dtype: "F32", data } as const;
  await writeFile(join(folder, "adapter.safetensors"), encodeSafetensors([tensor]));
}

describe.skipIf(!existsSync(model) || !existsSync(photo))("DeiT-Ti (skipped where ../shared/data is missing)", () => {
  test("what is on a photograph has a name, though timm's config states none", async () => {
    const { code, stdout } = await typed(["predict", "--model", model, "--data", photo]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^image_0001\.jpg {2}(leopard|jaguar|cheetah|snow leopard), .* {2}\d+\.\d %\n$/);
    const inspected = await typed(["inspect", model]);
    expect(inspected.stdout).toContain("head, 1000 outputs (tench, Tinca tinca; goldfish, Carassius auratus; ");
  });

  test("a merged model has the names too, also for transformers.js", async () => {
    const folder = await mkdtemp(join(tmpdir(), "glora-names-"));
    try {
      const [adapter, merged] = [join(folder, "adapter"), join(folder, "merged")];
      await writeAdapter(adapter);
      const result = await typed(["merge", "--model", model, "--adapter", adapter, "--data", photo, "--out", merged]);
      expect(result.code, result.stderr).toBe(0);
      const { stdout } = await typed(["predict", "--model", merged, "--data", photo]);
      expect(stdout).toMatch(/^image_0001\.jpg {2}(leopard|jaguar|cheetah|snow leopard), /);
      const config = JSON.parse(await readFile(join(merged, "transformers-js", "config.json"), "utf8"));
      expect(config.id2label[281]).toBe("tabby, tabby cat");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
