/** The process can be left at any time: each way of leaving, in the middle of a step, in a process of its own. */
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Device } from "../runtime.js";
import { noWebgpu } from "./vulkan.fixtures.js";

const here = fileURLToPath(new URL(".", import.meta.url));
/** Inside the project, so that onnxruntime-node is found. */
const folder = fileURLToPath(new URL(`../../../.cache/leave-${process.pid}/`, import.meta.url));

/** A program with a session on a device whose step takes about half a second, and a way to leave while it runs. */
const program = `
  import { createBuilder } from "../../ops/index.js";
  import { interruptible } from "./interruptible.node.js";
  import { createNodeRuntime } from "./node-runtime.node.js";

  const [way, device, size] = process.argv.slice(2);
  const SIZE = Number(size);
  const g = createBuilder();
  let y = g.input("x", "float32", [SIZE, SIZE]);
  for (let i = 0; i < 60; i++) y = g.matmul(y, y);
  g.output("y", y);
  const runtime = await createNodeRuntime({ device, threads: 1 });
  const session = await runtime.open(g.graph);
  const x = { dtype: "float32", shape: [SIZE, SIZE], data: new Float32Array(SIZE * SIZE) };
  const step = (signal) => session.run({ x }, { signal, outputs: ["y"] });
  const soon = (action) => setTimeout(action, 150);

  const ways = {
    async exit() {
      step();
      soon(() => process.exit(3));
    },
    async throw() {
      step();
      soon(() => { throw new Error("on purpose"); });
    },
    async reject() {
      step();
      soon(() => Promise.reject(new Error("on purpose")));
    },
    async idle() {
      // Neither disposed nor running: nothing keeps the process.
    },
    async end() {
      await step();
      console.log("done");
    },
    async queued() {
      step(); step(); step();
      soon(() => process.exit(3));
    },
    async dispose() {
      const running = step();
      await runtime.dispose();
      await running;
      console.log("done");
    },
    async interrupt() {
      try {
        await interruptible(async (signal) => {
          const running = step(signal);
          console.log("running");
          await running;
        });
      } catch (error) {
        console.log(error.code);
        process.exitCode = 130;
      }
    },
    async die() {
      step();
      console.log("running");
    },
  };
  await ways[way]();
`;

beforeAll(async () => {
  mkdirSync(folder, { recursive: true });
  await build({
    stdin: { contents: program, resolveDir: here, loader: "ts" },
    ...{ bundle: true, format: "esm", platform: "node", packages: "external", outfile: `${folder}program.mjs` },
  });
  copyFileSync(`${here}worker.node.js`, `${folder}worker.node.js`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ending {
  code: number | null;
  signal: string | null;
  output: string;
  errors: string;
}

/** Runs the program; sends as many SIGINT as asked, 150 ms apart, once it says that it is running. */
function leave(way: string, interrupts = 0, device: Device = "cpu", size = 1024): Promise<Ending> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [`${folder}program.mjs`, way, device, `${size}`], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [output, errors] = ["", ""];
    child.stdout.on("data", (text) => {
      output += text;
      if (`${text}`.includes("running"))
        for (let i = 1; i <= interrupts; i++) setTimeout(() => child.kill("SIGINT"), 150 * i);
    });
    child.stderr.on("data", (text) => {
      errors += text;
    });
    child.on("close", (code, signal) => resolve({ code, signal, output, errors }));
  });
}

test.each<[string, number, string]>([
  ["exit", 3, ""],
  ["queued", 3, ""],
  ["throw", 1, "on purpose"],
  ["reject", 1, "on purpose"],
  ["idle", 0, ""],
])("%s in the middle of a step: exit code %i", async (way, code, errors) => {
  const ending = await leave(way);
  expect(ending).toMatchObject({ code, signal: null, output: "" });
  expect(ending.errors).toContain(errors);
});

test.each(["end", "dispose"])("%s: a running step keeps the process, a finished one does not", async (way) => {
  expect(await leave(way)).toMatchObject({ code: 0, signal: null, output: "done\n", errors: "" });
});

// Products of 128 rows take SwiftShader as long as those of 1024 take a CPU.
test.each<[Device, number]>([["wasm", 512], ...(noWebgpu ? [] : [["webgpu", 128] satisfies [Device, number]])])(
  "%s: the process ends as it does on the CPU",
  async (device, size) => {
    expect(await leave("exit", 0, device, size)).toMatchObject({ code: 3, signal: null });
    expect(await leave("idle", 0, device, size)).toMatchObject({ code: 0, signal: null });
    for (const way of ["end", "dispose"])
      expect(await leave(way, 0, device, size)).toMatchObject({ code: 0, signal: null, output: "done\n" });
  },
);

test("the first SIGINT aborts, and the command ends when the step has", async () => {
  expect(await leave("interrupt", 1)).toMatchObject({ code: 130, output: "running\nABORTED\n", errors: "" });
});

test("a second SIGINT ends the process at once", async () => {
  // Killed by the signal, which a shell shows as 130; the step did not come to its end.
  expect(await leave("interrupt", 2)).toMatchObject({ signal: "SIGINT", output: "running\n", errors: "" });
});

test("without interruptible, SIGINT ends the process as usual", async () => {
  expect(await leave("die", 1)).toMatchObject({ signal: "SIGINT", output: "running\n", errors: "" });
});
