// From a folder of images and a pretrained ViT to a searched, merged ViT of the original shape.
//
//     node examples/fit-and-merge.mjs [IMAGES] [MERGED]
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { embeddedModel, fit, imageFiles, imageFolder, openModel, predict } from "glora";
import { drawImages } from "./images.mjs";

const temporary = mkdtempSync(join(tmpdir(), "glora-example-"));
const [images = join(temporary, "images"), merged = join(temporary, "merged")] = process.argv.slice(2);
if (process.argv.length < 3) await drawImages(images);

const model = await openModel(embeddedModel);
const data = await imageFolder(images, { split: { validation: 0.2 } });
const run = await fit(model, data, { budget: 20_000, maxSeconds: 20 });
const { report } = await run.merge(merged);
console.log(`test accuracy ${run.test?.accuracy}, ${run.parameters} adapter parameters`);
console.log(`merged into ${merged}; logits differ by ${report.logits.toExponential(1)} of the largest`);

// The merged folder is an ordinary model.
const plain = await openModel(merged, { runtime: model.runtime });
for await (const { file, label } of predict(
  plain,
  (await imageFiles(join(images, data.task.labels[0]))).prepare(plain.input),
)) {
  console.log(file, label);
  break;
}
await model.runtime.dispose();
