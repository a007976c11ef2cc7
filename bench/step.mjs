// Time and memory of training steps, against the machine's own products: what bench/README.md explains.
//
//     npm run bench [-- --quick] [--out FILE] [--only vector,lora]
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { embeddedModel } from "../dist/index.js";
import { CONFIGURATIONS } from "./configurations.mjs";
import { writeVit } from "./vit.mjs";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    out: { type: "string" },
    only: { type: "string" },
    seed: { type: "string", default: "0" },
  },
});
const seed = Number(values.seed);
const sizes = values.quick
  ? { layers: 1, steps: 3, microSteps: 5, candidates: 3 }
  : { layers: 6, steps: 15, microSteps: 60, candidates: 20 };
const names = values.only?.split(",") ?? Object.keys(CONFIGURATIONS);

/** One measurement in a process of its own. @param {string} what @param {Record<string, unknown>} options */
async function measure(what, options) {
  const script = fileURLToPath(new URL("./measure.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, what, JSON.stringify(options)]);
  return JSON.parse(stdout);
}

const folder = await mkdtemp(join(tmpdir(), "glora-bench-"));
try {
  const about = { ...(await machine()), seed, ...(values.quick && { quick: true }) };
  console.log(`${about.cpu}, ${about.cores} cores, ${about.flags.join(" ") || "no vector flags found"}`);
  console.log(`node ${about.node}, glora ${about.glora}, onnxruntime-node ${about.onnxruntime}, seed ${seed}`);
  if (about.load > 0.5) console.log(`The machine is not quiet: load ${about.load}. Compare the ratios, not the times.`);

  const setting = { model: folder, batch: 8, size: 224, steps: sizes.steps, seed };
  console.log(
    `\nViT-B/16, ${sizes.layers} layers, batch ${setting.batch}, ${setting.size} pixels, float32, ${setting.steps} steps`,
  );
  await writeVit(folder, { layers: sizes.layers, classes: 100, seed });
  const steps = await table(names, setting);

  const small = { model: embeddedModel, batch: 32, size: 32, steps: sizes.microSteps, seed };
  console.log(`\nvit-micro, batch ${small.batch}, ${small.size} pixels, ${small.steps} steps`);
  const micro = await table(
    names.filter((name) => ["supernet-drawn", "vector", "lora"].includes(name)),
    small,
  );

  const search = await measure("search", { candidates: sizes.candidates, seed });
  const rate = 1000 / search.milliseconds.median;
  console.log(
    `\nsearch of the embedded default: ${rate.toFixed(1)} candidates a second (${search.images} validation images each)`,
  );

  const result = {
    ...about,
    vit: { layers: sizes.layers, ...setting, model: "random ViT-B/16", steps },
    micro: { ...small, model: "vit-micro", steps: micro },
    search,
  };
  const out =
    values.out ?? (values.quick ? undefined : fileURLToPath(new URL(`./results/${about.slug}.json`, import.meta.url)));
  if (out) {
    await mkdir(dirname(out), { recursive: true });
    await writeFile(out, `${JSON.stringify(result, undefined, 2)}\n`);
    console.log(`\nwritten to ${out}`);
  }
} finally {
  await rm(folder, { recursive: true });
}

/** Measures configurations one after the other and prints a line for each. @param {string[]} which @param {Record<string, unknown>} setting */
async function table(which, setting) {
  console.log(row(["", "ms a step", "best", "products", "share", "GFLOP/s", "MB"]));
  const rows = [];
  for (const name of which) {
    const m = await measure("step", { ...setting, configuration: name });
    rows.push(m);
    const text = CONFIGURATIONS[name]?.text ?? name;
    const share = `${(100 * m.shareOfProducts).toFixed(1)} %`;
    const { milliseconds: ms, productGflops: peak } = m;
    console.log(
      row([
        text,
        ms.median.toFixed(1),
        ms.best.toFixed(1),
        m.products.median.toFixed(1),
        share,
        peak.median.toFixed(0),
        `${m.megabytes}`,
      ]),
    );
  }
  return rows;
}

/** @param {string[]} cells */
function row([name = "", ...cells]) {
  return name.padEnd(42) + cells.map((cell) => cell.padStart(10)).join("");
}

/** What a time depends on. */
async function machine() {
  const packageJson = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  const require = createRequire(import.meta.url);
  const { version: onnxruntime } = require("onnxruntime-node/package.json");
  const info = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const found = new Set(/^flags\s*:\s*(.*)$/m.exec(info)?.[1]?.split(" "));
  const flags = ["avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile"].filter((f) =>
    found.has(f),
  );
  const cpu = cpus()[0]?.model.trim() ?? "unknown";
  const widest = ["amx_tile", "avx512f", "avx2"].find((f) => found.has(f));
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu,
    slug: [cpu, widest]
      .join(" ")
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-"),
    cores: cpus().length,
    flags,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0] ?? 0,
    node: process.versions.node,
    glora: packageJson.version,
    onnxruntime,
  };
}
