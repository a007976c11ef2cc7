import { writeFileSync, rmSync } from "node:fs";
import { pipeline, env } from "@huggingface/transformers";
import { expect, test } from "vitest";
import { fixedModel, trainableFeeds } from "../../adapters/adapted-model.js";
import { adaptedGraph } from "../../adapters/adapted-graph.js";
import { mergeModel } from "../../adapters/export.node.js";
import { createSpace, drawGenome } from "../../adapters/space.js";
import { rngStream } from "../../base/rng.js";
import { openFolder } from "../../formats/folder.node.js";
import { createNodeRuntime } from "../../runtime/node/node-runtime.node.js";
import { openModelFolder } from "../open.js";
env.allowRemoteModels = false; env.localModelPath = "/tmp/bertmerge/";
rmSync("/tmp/bertmerge", { recursive: true, force: true });
const runtime = await createNodeRuntime();
const tasks = { classes: { kind: "classes", labels: ["neg", "pos", "meh"] }, multi: { kind: "multi-label", labels: ["neg", "pos"] }, similar: { kind: "similarity" } } as const;
const folders = { minilm: "/tmp/minilm", masked: "test/fixtures/bert/bert-masked-lm", distil: "test/fixtures/bert/distilbert-masked-lm", roberta: "test/fixtures/bert/roberta-bare", mpnet: "test/fixtures/bert/mpnet" };
for (const [fname, path] of Object.entries(folders)) for (const [tname, task] of Object.entries(tasks))
  test(`${fname} ${tname}`, async () => {
    const model = (await openModelFolder(await openFolder(path), runtime)).withTask(task);
    const rng = rngStream(1, fname);
    const space = createSpace(model.layers, { ranks: [2] });
    const adapted = fixedModel(model, space, drawGenome(space, rng), rng);
    adapted.parameters.forEach((_, i) => { adapted.parameters[i] = 0.05 * rng.normal(); });
    const ids = fname === "minilm" ? [101, 2023, 2003, 102] : [4, 5, 6, 7];
    const inputs = model.feeds({ input_ids: { dtype: "int64", shape: [1, 4], data: BigInt64Array.from(ids, BigInt) } });
    const out = `/tmp/bertmerge/${fname}-${tname}`;
    const result = await mergeModel(adapted, out, { inputs });
    const s = await runtime.open(adaptedGraph(model, { layout: adapted.layout, head: model.head ? "trainable" : "none" }));
    const f = await s.run({ ...inputs, ...trainableFeeds(adapted) }); await s.dispose();
    writeFileSync(`${out}/adapted.json`, JSON.stringify({ ids, out: [...(f["logits"] ?? f["features"])!.data].map(Number) }));
    console.log(fname, tname, result.report.logits, result.storage, result.onnxFolder);
    if (fname === "minilm") {
      if (tname === "similar") { const p = await pipeline("feature-extraction", `${fname}-${tname}`); const r = await p("this is", { pooling: "mean" }); const o = [...f["features"]!.data].map(Number); console.log(Math.max(...[...r.data].map((v, i) => Math.abs(Number(v) - o[i]!)))); }
      else { const p = await pipeline("text-classification", `${fname}-${tname}`); console.log(await p("this is", { top_k: 3 }), [...f["logits"]!.data]); }
    }
    expect(1).toBe(1);
  }, 60000);
