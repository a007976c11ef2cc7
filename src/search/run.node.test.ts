import { existsSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openAdapter } from "../adapters/adapter-file.js";
import type { GloraError } from "../base/errors.js";
import { imageFolder } from "../data/image-folder.node.js";
import { openFolder } from "../formats/folder.node.js";
import type { Model } from "../models/model.js";
import { openModel } from "../models/open.node.js";
import { createNodeRuntime } from "../runtime/node/node-runtime.node.js";
import type { Runtime } from "../runtime/runtime.js";
import { TINY_LABELS, tinyData, tinyFiles, tinyImage } from "../training/tiny.fixtures.js";
import { type FitToFolderOptions, resume, fit as run, search } from "./run.node.js";

let root: string;
let images: string;
let runtime: Runtime;
let model: Model;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "glora-run-"));
  images = join(root, "images");
  await mkdir(join(root, "model"));
  for (const [file, bytes] of tinyFiles()) await writeFile(join(root, "model", file), bytes);
  for (const [label, name] of TINY_LABELS.entries()) {
    await mkdir(join(images, name), { recursive: true });
    for (let i = 0; i < 10; i++) await writeImage(join(images, name, `${i}.png`), label);
  }
  runtime = await createNodeRuntime({ threads: 1 });
  model = await openModel(join(root, "model"), { runtime });
}, 60_000);
afterAll(async () => {
  await runtime.dispose();
  await rm(root, { recursive: true });
});

async function writeImage(path: string, label: number): Promise<void> {
  const { data, width, height } = tinyImage(path.slice(images.length), label);
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

const small = {
  rank: 2,
  budget: 300,
  train: { epochs: 2, batchSize: 8, learningRate: 0.01, validateEvery: 1 },
  search: { population: 4, generations: 2, parents: 2, mutants: 2, crossovers: 1, finalists: 1 },
  further: { epochs: 1 },
} satisfies FitToFolderOptions;
const data = () => imageFolder(images);

let count = 0;
let out: string;
beforeEach(() => {
  out = join(root, `run-${count++}`);
});
const text = (...path: string[]): Promise<string> => readFile(join(...path), "utf8");

/** What must be equal in two runs of the same; the plan differs in measured seconds. */
async function contents(folder: string): Promise<Record<string, string>> {
  const files = ["log.jsonl", "search.jsonl", "result.json", "data.json", "train.safetensors", "further.safetensors"];
  const all = [...files, "adapter/adapter.safetensors"];
  return Object.fromEntries(await Promise.all(all.map(async (f) => [f, await readFile(join(folder, f), "latin1")])));
}

test("a run's folder holds everything: config, data, plan, log, history, checkpoints, result, adapter", async () => {
  const result = await run(model, await data(), { ...small, out });
  expect((await readdir(out)).sort()).toEqual([
    "adapter",
    "config.json",
    "data.json",
    "further.safetensors",
    "log.jsonl",
    "plan.json",
    "result.json",
    "search.jsonl",
    "train.safetensors",
  ]);
  const config = JSON.parse(await text(out, "config.json"));
  expect(config).toMatchObject({
    model: { path: model.folder.path, device: "cpu" },
    data: { name: "images" },
    options: { preset: "glora", seed: 0, ...small },
    origin: { cwd: process.cwd(), node: process.version },
  });
  const described = JSON.parse(await text(out, "data.json"));
  expect(described.splits.train).toHaveLength(3 * 6);
  expect(described.splits.test).toHaveLength(3 * 2);
  const { manifest } = await openAdapter(await openFolder(join(out, "adapter")));
  expect(manifest.labels).toEqual([...TINY_LABELS].sort());
  expect(manifest.training).toMatchObject({ data: "images", parameters: result.parameters });
});

describe("resume", () => {
  test("opens model and data again and ends with the same bits, wherever it was interrupted", async () => {
    const whole = join(root, "whole");
    await run(model, await data(), { ...small, out: whole });
    for (const [phase, done] of [
      ["train", 1],
      ["train", 3],
      ["search", 5],
      ["further", 1],
    ] as const) {
      const folder = join(root, `stopped-${phase}-${done}`);
      const controller = new AbortController();
      const stopped = run(model, await data(), {
        ...small,
        out: folder,
        signal: controller.signal,
        onProgress: (event) => {
          if (event.type === "progress" && event.phase === phase && event.progress.done === done) controller.abort();
        },
      });
      await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
      const notes: string[] = [];
      const result = await resume(folder, {
        runtime,
        onProgress: (event) => {
          if (event.type === "note") notes.push(event.text);
        },
      });
      expect(result.folder).toBe(folder);
      if (phase === "further") expect(notes).toContain("further: going on after step 1 of 3.");
      expect(await contents(folder), `${phase} ${done}`).toEqual(await contents(whole));
    }
  });

  test("remembers that it is not to be merged", async () => {
    const begun = await run(model, await data(), { ...small, out, merge: false, stopAfter: "train" });
    expect(begun.toMerge).toBe(false);
    expect(JSON.parse(await text(out, "config.json")).origin).toMatchObject({ merge: false });
    expect((await resume(out, { runtime, stopAfter: "search" })).toMerge).toBe(false);
    // Another run in the same supernet is one of its own.
    const other = `${out}-other`;
    expect((await search(out, { runtime, out: other, budget: 200, stopAfter: "search" })).toMerge).toBe(true);
    const unmerged = `${out}-unmerged`;
    await search(out, { runtime, out: unmerged, merge: false, stopAfter: "search" });
    expect((await resume(unmerged, { runtime })).toMerge).toBe(false);
  });

  test("takes a runtime of its own where none is given", async () => {
    await run(model, await data(), { ...small, out, stopAfter: "train" });
    const result = await resume(out);
    expect(result.adapted.model.runtime).not.toBe(runtime);
    expect(result.test?.examples).toBe(6);
    await result.adapted.model.runtime.dispose();
  });

  test("with an adapter and a config file of the model's own", async () => {
    await run(model, await data(), { preset: "lora", rank: 2, train: { epochs: 1 }, out: join(root, "first") });
    const modelConfig = join(root, "model", "config.json");
    const adapter = await openAdapter(await openFolder(join(root, "first", "adapter")));
    const o = { ...small, modelConfig, adapter, out };
    await run(model, await data(), { ...o, stopAfter: "train" });
    await rm(join(out, "train.safetensors")); // as if it was interrupted before its first checkpoint
    await rm(join(out, "log.jsonl"));
    const result = await resume(out, { runtime });
    const direct = await run(model, await data(), { ...small, modelConfig, adapter });
    expect(result.adapted.parameters).toEqual(direct.adapted.parameters);
  });

  test("is refused where the images have changed, and says how", async () => {
    const folder = join(root, "changing");
    const label = join(images, TINY_LABELS[0]!);
    await run(model, await data(), { ...small, out: folder, stopAfter: "train" });
    await writeImage(join(label, "new.png"), 0);
    try {
      await expect(resume(folder, { runtime })).rejects.toMatchObject({
        code: "CONFIG",
        message: expect.stringMatching(/data\.splits\.\w+: .*new since then: \d+ \(.*"north\/new\.png"/),
      });
    } finally {
      await rm(join(label, "new.png"));
    }
    await writeFile(join(images, "notes.txt"), "no example");
    expect((await resume(folder, { runtime })).test).toBeDefined();
  });

  test("says what to do where there is no run, or data from a program", async () => {
    await expect(resume(join(root, "nowhere"))).rejects.toThrow("nowhere: holds no run (it has no config.json).");
    await run(model, tinyData(), { ...small, out, stopAfter: "train" });
    await expect(resume(out)).rejects.toThrow(
      "its data was given by a program and cannot be opened from here. Call fit again with the same model, data, options and folder (out).",
    );
    expect((await run(model, tinyData(), { ...small, out })).test).toBeDefined();
  });
});

describe("search", () => {
  test("goes on with a trained supernet", async () => {
    await run(model, await data(), { ...small, out, stopAfter: "train" });
    const whole = await run(model, await data(), small);
    const found = await search(out, { runtime });
    expect(found.adapted.parameters).toEqual(whole.adapted.parameters);
    expect(found.test).toEqual(whole.test);
  });

  test("of another budget: in the run itself before its first search, then in a folder of its own", async () => {
    await run(model, await data(), { ...small, out, stopAfter: "train" });
    const first = await search(out, { runtime, budget: 150 });
    expect(first.parameters).toBeLessThanOrEqual(150);
    expect(JSON.parse(await text(out, "config.json")).options.budget).toBe(150);

    await expect(search(out, { runtime, budget: 250 })).rejects.toThrow(
      "its search has begun already, with its own settings. Name a new folder (out) for one with others.",
    );
    const before = await contents(out);
    const other = `${out}-250`;
    const second = await search(out, {
      runtime,
      budget: { min: 200, max: 250 },
      further: false,
      search: { generations: 1 },
      out: other,
    });
    expect(await contents(out)).toEqual(before);
    expect(second.parameters).toBeGreaterThanOrEqual(200);
    expect(second.search?.evaluated).toBe(8);
    expect(second.plan.further).toBeUndefined();
    expect(await text(other, "log.jsonl")).toBe(
      (before["log.jsonl"] ?? "")
        .split(/(?<=\n)/)
        .slice(0, 2)
        .join(""),
    );
    await expect(search(out, { runtime, budget: 250, out: other })).rejects.toThrow("is not empty");
    // The same supernet from the start gives the same.
    const alone = await run(model, await data(), {
      ...small,
      budget: { min: 200, max: 250 },
      further: false,
      search: { ...small.search, generations: 1 },
    });
    expect(second.adapted.parameters).toEqual(alone.adapted.parameters);
  });

  test("settings that are refused leave everything as it was", async () => {
    await run(model, await data(), { ...small, out, stopAfter: "train" });
    const files = async () => Promise.all((await readdir(out)).map(async (file) => [file, await text(out, file)]));
    const before = await files();
    const other = `${out}-refused`;
    const impossible = { min: 1e6, max: 1e7 };
    await expect(search(out, { runtime, budget: impossible })).rejects.toThrow("No structure has between");
    await expect(search(out, { runtime, budget: impossible, out: other })).rejects.toThrow("No structure has between");
    const taskFitness = { tasks: ["piqa"], data: root };
    await expect(search(out, { runtime, taskFitness, out: other })).rejects.toThrow("has no train split of piqa");
    expect(await files()).toEqual(before);
    expect(existsSync(other)).toBe(false);
    expect((await search(out, { runtime, budget: 150, out: other })).parameters).toBeLessThanOrEqual(150);
  });

  test("needs a choice", async () => {
    await run(model, await data(), { preset: "bitfit", train: { epochs: 1 }, out });
    await expect(search(out, { runtime })).rejects.toThrow(
      "its preset leaves one structure; there is nothing to search.",
    );
  });
});

test("a folder with something else in it, or with a run of other settings, is refused", async () => {
  const folder = join(root, "taken");
  await mkdir(folder);
  await writeFile(join(folder, "thesis.tex"), "");
  await expect(run(model, await data(), { ...small, out: folder })).rejects.toThrow(
    `${folder}: is not empty and holds no run. Choose another folder for the run.`,
  );
  expect(await readdir(folder)).toEqual(["thesis.tex"]);

  await run(model, await data(), { ...small, out, stopAfter: "train" });
  const refused = run(model, await data(), { ...small, rank: 4, train: { ...small.train, epochs: 3 }, out });
  await expect(refused).rejects.toThrow(
    /options\.rank: 2 in the run, 4 now\n {2}options\.train\.epochs: 2 in the run, 3 now/,
  );
});

test("an unreadable image is an error that leaves no folder", async () => {
  const broken = join(images, TINY_LABELS[1]!, "broken.png");
  await writeFile(broken, "no image");
  try {
    await expect(run(model, await data(), { ...small, out })).rejects.toThrow("broken.png");
    await expect(readdir(out)).rejects.toThrow("ENOENT");
  } finally {
    await rm(broken);
  }
});

test("a run merges and saves; one that stopped after training has nothing to merge yet", async () => {
  const finished = await run(model, await data(), small);
  const merged = await finished.merge(`${out}-merged`);
  expect(merged.report.logits).toBeLessThanOrEqual(merged.report.logitsLimit);
  await finished.save(`${out}-adapter`);
  expect((await readdir(`${out}-adapter`)).sort()).toEqual(["adapter.json", "adapter.safetensors"]);
  // The head alone was trained without the model: merging it needs the model all the same.
  const linear = await run(model, await data(), { preset: "linear", train: { epochs: 2 } });
  const head = await linear.merge(`${out}-linear`);
  expect(head.report.logits).toBeLessThanOrEqual(head.report.logitsLimit);

  const net = await run(model, await data(), { ...small, stopAfter: "train" });
  await expect(net.merge(`${out}-none`)).rejects.toThrow("no structure is chosen yet");
  await expect(net.save(`${out}-none`)).rejects.toThrow("no structure is chosen yet");
});

test("a run inside its model's or its images' folder, or in a file's place, is refused before anything is written", async () => {
  const inside = join(root, "model", "runs", "a");
  await expect(run(model, await data(), { ...small, out: inside })).rejects.toMatchObject({
    code: "USAGE",
    message: `${inside}: the run cannot be kept in the folder of its model, ${model.folder.path}. Choose another folder.`,
  });
  for (const place of [images, join(images, "run")])
    await expect(run(model, await data(), { ...small, out: place })).rejects.toThrow(
      `${place}: the run cannot be kept in the folder of its data, ${images}.`,
    );
  await run(model, await data(), { ...small, out, stopAfter: "train" });
  await expect(search(out, { runtime, out: join(images, "run") })).rejects.toThrow("in the folder of its data");
  expect(await readdir(images)).not.toContain("run");
  expect((await readdir(join(root, "model"))).sort()).toEqual(["config.json", "model.safetensors"]);
  const file = join(out, "plan.json");
  await expect(run(model, await data(), { ...small, out: file })).rejects.toThrow(
    `${file}: is a file, or lies in one; a folder is expected.`,
  );
  await expect(resume(file)).rejects.toThrow(`${file}: is a file, or lies in one; a folder is expected.`);
});

describe("a damaged run", () => {
  let whole: string;
  beforeAll(async () => {
    whole = join(root, "undamaged");
    const controller = new AbortController();
    const stopped = run(model, await data(), {
      ...small,
      out: whole,
      signal: controller.signal,
      onProgress: (event) => {
        if (event.type === "progress" && event.phase === "search" && event.progress.done === 5) controller.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  });
  beforeEach(() => cp(whole, out, { recursive: true }));

  test.each<[string, (text: string) => string, string]>([
    ["plan.json", () => "{", "plan.json: not valid JSON"],
    ["plan.json", () => "{}", "plan.json:\n  - recipe: is missing"],
    [
      "config.json",
      (t) => JSON.stringify({ ...JSON.parse(t), options: undefined }),
      "config.json: options: is missing",
    ],
    ["data.json", () => '{"kind":5}', "data.json: kind: a text is expected, not 5"],
    ["log.jsonl", (t) => `{"phase":\n${t}`, "log.jsonl, line 1: not valid JSON. Restore the file"],
    ["search.jsonl", (t) => `{"index":\n${t}`, "search.jsonl, line 1: not valid JSON. Restore the file"],
    ["train.safetensors", (t) => t.slice(0, 500), "It is a checkpoint of the run: delete it to train that phase anew."],
    ["result.json", () => "[", "result.json: not valid JSON"],
  ])("%s is named, case %#", async (file, change, message) => {
    const path = join(out, file);
    await writeFile(path, change(await readFile(path, "latin1").catch(() => "")), "latin1");
    const failed = await resume(out, { runtime }).catch((thrown: unknown) => thrown as GloraError);
    expect(failed).toMatchObject({ name: "GloraError", code: expect.stringMatching(/FILE|CONFIG/) });
    expect((failed as GloraError).message).toContain(message);
    expect((failed as GloraError).message.startsWith(path)).toBe(true);
  });

  test.each(["", "\n"])("a torn last line of a log is dropped, ended by %j", async (end) => {
    for (const file of ["log.jsonl", "search.jsonl"]) await appendFile(join(out, file), `{"phase":"tr${end}`);
    await resume(out, { runtime });
    const straight = join(root, `straight-${count}`);
    await run(model, await data(), { ...small, out: straight });
    expect(await contents(out)).toEqual(await contents(straight));
  });
});
