import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyFiles } from "../../training/tiny.fixtures.js";
import { typed } from "../cli.fixtures.js";

let model: string;
beforeAll(async () => {
  model = await mkdtemp(join(tmpdir(), "glora-resume-"));
  for (const [name, bytes] of tinyFiles()) await writeFile(join(model, name), bytes);
});
afterAll(() => rm(model, { recursive: true }));

test("a run that was begun with --no-merge is not merged, and says how it can be", async () => {
  const out = await mkdtemp(join(tmpdir(), "glora-resumed-"));
  try {
    const settings = ["--preset", "bitfit", "--epochs", "1", "--learning-rate", "0.01", "--no-merge", "--quiet"];
    const begun = await typed(["fit", "--model", model, "--data", "digits", "--out", out, ...settings]);
    expect(begun).toMatchObject({ code: 0, stderr: "" });
    const resumed = await typed(["resume", out]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain(
      `Not merged: the run was begun with --no-merge. Merge it with: glora merge --model ${model} --adapter ${out}/adapter`,
    );
    expect(await readdir(out)).not.toContain("merged");
  } finally {
    await rm(out, { recursive: true });
  }
}, 60_000);
