// What a time depends on.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus, loadavg, totalmem } from "node:os";
import { promisify } from "node:util";
import { physicalCores } from "../dist/runtime/node/threads.node.js";
import { TORCH_SCRIPT } from "./sides.mjs";

const FLAGS = ["avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile"];

export async function machine() {
  const { version: glora } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  const { version: onnxruntime } = createRequire(import.meta.url)("onnxruntime-node/package.json");
  const info = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const found = new Set(/^flags\s*:\s*(.*)$/m.exec(info)?.[1]?.split(" "));
  const cpu = cpus()[0]?.model.trim() ?? "unknown";
  const widest = ["amx_tile", "avx512f", "avx2"].find((flag) => found.has(flag));
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu,
    slug: [cpu, widest]
      .join(" ")
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-"),
    cores: physicalCores(),
    flags: FLAGS.filter((flag) => found.has(flag)),
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0] ?? 0,
    node: process.versions.node,
    glora,
    onnxruntime,
  };
}

/** The versions of PyTorch and the libraries beside it; undefined where this Python lacks one. @param {string} python */
export async function peersOf(python) {
  try {
    const { stdout } = await promisify(execFile)(python, ["-P", TORCH_SCRIPT, "versions"]);
    return /** @type {Record<string, string>} */ (JSON.parse(stdout));
  } catch {
    return undefined;
  }
}
