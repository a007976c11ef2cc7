/** The example of docs/browser.md in headless Chromium, from chosen images to a merged model; and what else only a browser does. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-node";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mergeModel } from "../../src/adapters/export.node.js";
import { mergeInputs } from "../../src/adapters/merge-inputs.js";
import { relativeDifference } from "../../src/adapters/merge-model.js";
import { runModel } from "../../src/adapters/run-model.js";
import { rngStream } from "../../src/base/rng.js";
import type { Tensor } from "../../src/base/tensor.js";
import { imageFolder } from "../../src/data/image-folder.node.js";
import { embeddedModel } from "../../src/models/embedded.node.js";
import { openModel } from "../../src/models/open.node.js";
import { createNodeRuntime } from "../../src/runtime/node/node-runtime.node.js";
import { type FitOptions, fit } from "../../src/search/fit.js";
import { browse, findChromium } from "./chromium.js";

const chromium = findChromium();
const root = new URL("../../", import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, root), "utf8");
const page = textOf("examples/web/index.html");
const SETTINGS = /const settings = (\{.*?\n {4}\});/s;

const scratch = mkdtempSync(join(tmpdir(), "glora-web-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const at = (...path: string[]): string => join(scratch, ...path);

/** Writes a file, in folders that are made for it. */
function writeFile(path: string, bytes: Uint8Array | string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

/** Seconds that a page takes: 10 on wasm, 30 on WebGPU, on two cores of their own; with others at work many more. */
const LIMIT = 300_000;

/** What the pages find on their server. */
const served = new Map<string, string | Uint8Array | URL>();

/** Images for the pages, and for Node.js below `scratch`, by their paths in `folder`. */
function serveImages(folder: string, images: Readonly<Record<string, Uint8Array>>): void {
  for (const [path, bytes] of Object.entries(images)) {
    served.set(`${folder}/${path}`, bytes);
    writeFile(at(folder, path), bytes);
  }
  served.set(`${folder}.json`, JSON.stringify(Object.keys(images)));
}

/** Noise around a colour, of another shape than the model's images. */
function noise(name: string, [r, g, b]: readonly [number, number, number]): Sharp {
  const rng = rngStream(0, name);
  const raw = { width: 40, height: 36, channels: 3 } as const;
  const data = Uint8Array.from({ length: 40 * 36 * 3 }, (_, i) => [r, g, b][i % 3]! + rng.int(100) - 50);
  return sharp(data, { raw });
}

const COLOURS = { blue: [60, 70, 190], green: [60, 180, 60], red: [190, 60, 60] } as const;

async function colourful(perClass: number, classes: readonly (keyof typeof COLOURS)[]) {
  const images: Record<string, Uint8Array> = {};
  for (const name of classes)
    for (let i = 0; i < perClass; i++)
      images[`${name}/${i}.png`] = await noise(`${name} ${i}`, COLOURS[name]).png().toBuffer();
  return images;
}

/** Pixels of two images, as they enter the model. */
const pixels = Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => Math.sin(i));
const INPUTS: Tensor = { dtype: "float32", shape: [2, 3, 32, 32], data: pixels };

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(new Uint8Array(bytes).buffer);

/** WebGPU is emulated here, a hundred times slower than wasm: two layers, and few steps of each kind, unmeasured. */
const FEW_STEPS: FitOptions = {
  budget: 2000,
  layers: ["blocks.5.mlp.*"],
  plan: {
    recipe: "default",
    seconds: 1,
    train: { epochs: 3, batchSize: 2, learningRate: 5e-3, schedule: "constant", seed: 0 },
    search: { population: 2, generations: 1, parents: 2, mutants: 1, crossovers: 1, fitness: "loss", seed: 0 },
    further: { epochs: 2, batchSize: 2, learningRate: 5e-3, schedule: "constant", seed: 0 },
  },
};

test("docs/browser.md shows the example as it is", () => {
  const docs = textOf("docs/browser.md");
  expect(docs).toContain(`\`\`\`html\n${page}\`\`\`\n`);
  expect(docs).toContain(`\`\`\`js\n${textOf("examples/web/worker.js")}\`\`\`\n`);
});

describe.skipIf(!chromium)("in Chromium (skipped where there is none; GLORA_CHROMIUM names it)", async () => {
  const runtime = await createNodeRuntime();
  afterAll(() => runtime.dispose());

  beforeAll(async () => {
    execFileSync(process.execPath, ["scripts/bundle-core.mjs", at("web.bundle.js")], { cwd: fileURLToPath(root) });
    served.set("web.bundle.js", readFileSync(at("web.bundle.js")));
    for (const build of ["", ".asyncify"])
      for (const ending of ["mjs", "wasm"]) {
        const file = `ort-wasm-simd-threaded${build}.${ending}`;
        // Beside the bundle, and in a folder of their own.
        for (const place of ["", "ort/"])
          served.set(`${place}${file}`, new URL(`node_modules/onnxruntime-web/dist/${file}`, root));
      }
    for (const file of ["config.json", "model.safetensors"])
      served.set(`vit-micro/${file}`, new URL(`models/vit-micro/${file}`, root));
    const script = (name: string): string => `<script type="module" src="${name}"></script>`;
    const few = page.replace(SETTINGS, `const settings = ${JSON.stringify(FEW_STEPS)};`);
    served.set("index.html", page + script("use-example.js"));
    served.set("few.html", few + script("use-example.js"));
    served.set("library.html", `<!doctype html><body>${script("use-library.js")}`);
    served.set(
      "missing.html",
      `<!doctype html><body><script type="module">
        import { createWebRuntime } from "./web.bundle.js";
        import { post, posting } from "./page.js";
        await posting(() => createWebRuntime({ device: "wasm", wasmPaths: "nowhere" }).catch((e) => post("error", e.message)));
      </script>`,
    );
    served.set("worker.js", textOf("examples/web/worker.js"));
    for (const file of ["page.js", "use-example.js", "use-library.js"])
      served.set(file, new URL(`test/web/${file}`, root));
    served.set("inputs", new Uint8Array(pixels.buffer));
    serveImages("images", await colourful(8, ["blue", "green", "red"]));
    serveImages("few", await colourful(3, ["blue", "red"]));
    const image = noise("kinds", [120, 130, 140]);
    serveImages("kinds", {
      "a/colour.png": await image.clone().png().toBuffer(),
      "a/colour.webp": await image.clone().webp({ lossless: true }).toBuffer(),
      "a/grey.png": await image.clone().toColourspace("b-w").png().toBuffer(),
      "a/palette.gif": await image.clone().gif({ colours: 16 }).toBuffer(),
      "a/profile.png": await image.clone().withIccProfile("p3").png().toBuffer(),
      "b/turned.jpg": await image.clone().blur(4).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    });
  });

  /** The fit of the page on Node's CPU, merged. */
  async function fitHere(images: string, options: FitOptions) {
    const model = await openModel(embeddedModel, { runtime });
    const data = await imageFolder(at(images));
    const losses: number[] = [];
    const run = await fit(model, data, {
      ...options,
      onProgress: (event) => {
        if (event.type === "validation") losses.push(event.trainLoss);
      },
    });
    const inputs = await mergeInputs(run.adapted.model, data);
    const merged = at(`merged here from ${images}`);
    await mergeModel(run.adapted, merged, { inputs });
    return { merged, losses, parameters: run.parameters };
  }

  const logitsOf = async (folder: string): Promise<Float32Array> => {
    const model = await openModel(folder, { runtime });
    return (await runModel(model, { pixel_values: INPUTS }))["logits"]!.data as Float32Array;
  };

  test.each([
    {
      device: "wasm",
      path: "index.html",
      images: "images",
      options: new Function(`return ${SETTINGS.exec(page)![1]}`)() as FitOptions,
    },
    { device: "webgpu", path: "few.html", images: "few", options: FEW_STEPS },
  ])(
    "the example on $device: images in, a merged model out",
    { timeout: LIMIT },
    async ({ device, path, images, options }) => {
      const posted = await browse(chromium!, served, {
        page: `${path}?device=${device}&images=${images}`,
        isolated: true,
      });
      const log = String(posted.get("log"));
      expect(log).toMatch(new RegExp(`^device ${device} \\(${device} was asked for`));
      const losses = [...log.matchAll(/epoch \d+: loss (\S+)$/gm)].map(([, loss]) => Number(loss));
      expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);

      // The same fit by other kernels: rounding, grown over the steps. Measured up to 1e-5; the winner of the search leads by 5e-4.
      const here = await fitHere(images, options);
      expect(log).toContain(`, ${here.parameters} adapter parameters\n`);
      expect(losses).toHaveLength(here.losses.length);
      here.losses.forEach((loss, i) => {
        expect(losses[i]).toBeCloseTo(loss, 4);
      });

      const merged = at(`merged on ${device}`);
      for (const [name, bytes] of posted)
        if (name.startsWith("merged/")) writeFile(join(merged, name.slice("merged/".length)), bytes);
      for (const file of ["config.json", "preprocessor_config.json", "transformers-js/config.json"])
        expect(readFileSync(join(merged, file), "utf8"), file).toBe(readFileSync(join(here.merged, file), "utf8"));
      const logits = await logitsOf(merged);
      const ofPage = floats(posted.get("logits")!);
      // Of one model: rounding alone. Of two, trained on different devices: measured up to 8e-5.
      expect(relativeDifference(ofPage, logits)).toBeLessThan(1e-5);
      expect(relativeDifference(logits, await logitsOf(here.merged))).toBeLessThan(1e-3);

      const session = await ort.InferenceSession.create(join(merged, "transformers-js", "onnx", "model.onnx"));
      const found = await session.run({ pixel_values: new ort.Tensor("float32", pixels, INPUTS.shape) });
      expect(relativeDifference(found["logits"]!.data as Float32Array, logits)).toBeLessThan(1e-5);
    },
  );

  test.each([
    { device: "wasm", isolated: true },
    { device: "wasm", isolated: false },
    { device: "webgpu", isolated: true },
  ])(
    "the library on $device, on a page that is isolated: $isolated",
    { timeout: LIMIT },
    async ({ device, isolated }) => {
      const posted = await browse(chromium!, served, { page: `library.html?device=${device}`, isolated });
      const facts = JSON.parse(String(posted.get("facts")));
      expect(facts.crossOriginIsolated).toBe(isolated);
      expect(facts.reason).toMatch(device === "wasm" ? /^wasm was asked for$/ : /^webgpu was asked for: .*swiftshader/);
      const emulated = expect.stringMatching(/^auto: the only GPU is emulated in software \(.*swiftshader/);
      expect(facts.auto).toEqual({ device: "wasm", reason: emulated });
      // [1, 2]; [3, 4] and [5, 6]; then of these three the first two, and [10, 20].
      expect(facts.sums).toEqual([
        [1, 2],
        [9, 12],
        [14, 26],
      ]);
      const graph = (message: string) => ({ code: "GRAPH", message });
      expect(facts.tooMany).toEqual(
        graph('sums: the run failed: 7 rows of "past" are to be remembered, and there are 3.'),
      );
      expect(facts.wrongFeed).toMatchObject({
        code: "USAGE",
        message: expect.stringMatching(/^sums: input "x" must be/),
      });
      expect(facts.aborted.code).toBe("ABORTED");
      expect(facts.disposed).toEqual({ code: "USAGE", message: "sums: the session has been disposed." });
      expect(facts.missing).toEqual({
        code: "FILE",
        message: "vit-micro/weights.npz: cannot be fetched: the server answered 404 Not Found.",
      });
      expect(facts.broken.message).toMatch(
        /^An image cannot be read; replace or remove:\n {2}- a\/broken.png: no image of a kind that this browser reads/,
      );
      expect(facts.stopped).toEqual({ code: "ABORTED", message: "Interrupted." });
      expect(facts.runtimeDisposed).toEqual({ code: "USAGE", message: "The runtime has been disposed." });

      // Decoded as Node.js decodes: to the bit, but for a JPEG, whose decoders may round differently.
      const data = await imageFolder(at("kinds"), { split: { validation: 0, test: 0 } });
      const { input } = await openModel(embeddedModel, { runtime });
      const { train } = await data.prepare(input);
      expect(facts.names).toEqual(train.names);
      const expected = (await train.inputs([...train.labels.keys()]))["pixel_values"]!.data as Float32Array;
      const found = floats(posted.get("pixels")!);
      const size = expected.length / train.size;
      for (const [i, name] of train.names.entries()) {
        const [a, b] = [expected, found].map((all) => all.subarray(i * size, (i + 1) * size));
        expect(relativeDifference(a!, b!), name).toBeLessThan(name.endsWith(".jpg") ? 0.03 : 1e-12);
      }
    },
  );

  test("ONNX Runtime's files are missed by name", async () => {
    const posted = await browse(chromium!, served, { page: "missing.html", isolated: true });
    expect(String(posted.get("error"))).toMatch(
      /^ONNX Runtime cannot be started on wasm \(.*\)\. Its files ort-wasm-simd-threaded\.mjs and ort-wasm-simd-threaded\.wasm must/s,
    );
  });
});
