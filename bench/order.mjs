// Peak memory of one training step in the natural order of nodes and in ours (src/passes/order.ts): 16 blocks of an MLP,
// every weight trained. Each order runs in a process of its own, for its peak resident size.
//
//     npm run build && node bench/order.mjs
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { gradientsOf } from "../dist/autodiff/backward.js";
import { encodeModel } from "../dist/ir/codec.js";
import { createBuilder } from "../dist/ops/index.js";
import { eliminateDead } from "../dist/passes/eliminate-dead.js";
import { lowerLinear } from "../dist/passes/lower-linear.js";
import { orderNodes } from "../dist/passes/order.js";

const [ROWS, WIDTH, HIDDEN, BLOCKS] = [2048, 256, 1024, 16];

/** x ← x + W₂·gelu(W₁·norm(x)); the gradient of the mean square of the last x with respect to every W₁ and W₂. */
function network() {
  const g = createBuilder();
  let x = g.input("x", "float32", ["rows", WIDTH]);
  const scale = g.constant("float32", [WIDTH], Array(WIDTH).fill(1));
  const weights = [];
  for (let i = 0; i < BLOCKS; i++) {
    const [w1, w2] = [g.input(`w1.${i}`, "float32", [HIDDEN, WIDTH]), g.input(`w2.${i}`, "float32", [WIDTH, HIDDEN])];
    x = g.add(x, g.linear(g.gelu(g.linear(g.layerNorm(x, scale, undefined, 1e-6), w1)), w2));
    weights.push(w1, w2);
  }
  const loss = g.reduceMean(g.mul(x, x), [0, 1]);
  gradientsOf(g, loss, weights).forEach((gradient, i) => {
    g.output(`grad.${weights[i].name}`, gradient);
  });
  g.output("loss", loss);
  return lowerLinear(eliminateDead(g.graph));
}

async function measure(order) {
  const graph = order === "ours" ? orderNodes(network()) : network();
  const session = await InferenceSession.create(encodeModel(graph), {
    graphOptimizationLevel: "disabled",
    enableMemPattern: false,
    enableCpuMemArena: false,
    logSeverityLevel: 3,
  });
  const tensor = (shape) => new Tensor("float32", new Float32Array(shape[0] * shape[1]).fill(1e-2), shape);
  const feeds = Object.fromEntries(
    graph.inputs.map(({ name, type }) => [name, tensor(type.shape.map((d) => (d === "rows" ? ROWS : d)))]),
  );
  const before = process.memoryUsage().rss;
  await session.run(feeds, ["loss"]);
  console.log(JSON.stringify({ megabytes: process.resourceUsage().maxRSS / 1024 - before / 2 ** 20 }));
}

const order = process.argv[2];
if (order) await measure(order);
else {
  console.log(`${cpus()[0].model}, Node ${process.version}; ${BLOCKS} blocks, ${ROWS}×${WIDTH}, hidden ${HIDDEN}`);
  for (const each of ["natural", "ours"]) {
    const runs = Array.from({ length: 3 }, () => {
      const { stdout } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), each], { encoding: "utf8" });
      return JSON.parse(stdout).megabytes;
    }).sort((a, b) => a - b);
    console.log(`${each}: +${runs[1].toFixed(0)} MB (of 3 runs: ${runs.map((mb) => mb.toFixed(0)).join(", ")})`);
  }
}
