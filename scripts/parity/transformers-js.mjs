// How often transformers.js gives an image the label that glora gives it: both run the same weights, but it resizes images
// in its own way. The second line is with Lanczos (resample 1) in its preprocessor, which it does with antialiasing.
//
//     node scripts/parity/transformers-js.mjs MERGED IMAGES     # the merged folder; images in any folders
import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";
import { imageFiles, openModel, predict } from "glora";

const [merged, images] = process.argv.slice(2);
if (!merged || !images) throw new Error("Name the merged folder and a folder of images.");
const own = join(merged, "transformers-js");
const folder = resolve(existsSync(own) ? own : merged);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);

const model = await openModel(merged);
const labels = model.labels ?? [];
/** @type {import("glora").Prediction[]} */
const ours = [];
for await (const prediction of predict(model, (await imageFiles(images)).prepare(model.input))) ours.push(prediction);
await model.runtime.dispose();

/** @type {import("@huggingface/transformers").ImageClassificationPipeline} */
const classify = await pipeline("image-classification", basename(folder));
for (const resample of [undefined, 1]) {
  if (resample !== undefined) Object.assign(classify.processor.image_processor ?? {}, { resample });
  let [equal, mean, largest] = [0, 0, 0];
  for (const { file, label, logits } of ours) {
    const found = await classify(existsSync(file) ? file : join(images, file), { top_k: labels.length });
    const top = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    const scores = new Map(found.map((answer) => [answer.label, answer.score]));
    const difference = Math.max(
      ...logits.map((logit, i) => Math.abs(Math.exp(logit - top) / total - (scores.get(labels[i] ?? "") ?? 0))),
    );
    if (found[0]?.label === label) equal++;
    mean += difference / ours.length;
    largest = Math.max(largest, difference);
  }
  console.log(
    `${resample === undefined ? "as written" : "Lanczos   "}: ${equal} of ${ours.length} labels equal ` +
      `(${((100 * equal) / ours.length).toFixed(1)} %), probabilities differ by ${mean.toFixed(4)} on average, ${largest.toFixed(3)} at most`,
  );
}
