// Two evaluations of the same benchmark documents compared in pairs: difference, standard error, t and p of each metric.
//
//     node scripts/paired-tasks.mjs OUT_OF_ONE OUT_OF_OTHER      folders that `glora eval --tasks --out` wrote; after npm run build
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pairedTest } from "../dist/search/compare-statistics.js";

const [one, other] = process.argv.slice(2);
if (!one || !other) throw new Error("usage: paired-tasks.mjs OUT_OF_ONE OUT_OF_OTHER");

/** Scores by task, then by document. @param {string} folder */
function samples(folder) {
  const tasks = new Map();
  for (const file of readdirSync(folder).sort()) {
    const task = /^samples_(.+)_\d{4}-[^_]*\.jsonl$/.exec(file)?.[1];
    if (!task) continue;
    const lines = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
    tasks.set(task, new Map(lines.map((line) => JSON.parse(line)).map((sample) => [sample.doc_id, sample])));
  }
  return tasks;
}

const [first, second] = [samples(one), samples(other)];
console.log(
  "| task | metric | documents | difference (points) | standard error | t | p |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |",
);
for (const [task, documents] of first) {
  const others = second.get(task);
  if (!others || [...documents.keys()].some((id) => !others.has(id)) || documents.size !== others.size)
    throw new Error(`${task}: the two evaluations are not of the same documents.`);
  for (const metric of ["acc", "acc_norm"]) {
    if (typeof documents.values().next().value[metric] !== "number") continue;
    const differences = [...documents].map(([id, sample]) => 100 * (others.get(id)[metric] - sample[metric]));
    const { mean, standardError, t, p } = pairedTest(differences);
    const cells = [task, metric, documents.size, mean.toFixed(2), standardError.toFixed(2), t.toFixed(2), p.toFixed(3)];
    console.log(`| ${cells.join(" | ")} |`);
  }
}
