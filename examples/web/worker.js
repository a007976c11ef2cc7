// Fine-tunes the small ViT on the images that the page sends, and sends the merged model's files back. In a worker, so that
// the page stays responsive.
import {
  createWebRuntime,
  fetchFolder,
  fit,
  labelledImages,
  mergedFiles,
  mergeInputs,
  openModelFolder,
} from "./web.bundle.js";

const tell = (line) => postMessage({ line });

self.onmessage = async ({ data: { images, device, settings } }) => {
  try {
    const runtime = await createWebRuntime({ device });
    tell(`device ${runtime.device} (${runtime.reason})`);
    const model = await openModelFolder(await fetchFolder("vit-micro", ["config.json", "model.safetensors"]), runtime);
    const data = labelledImages(images);
    const onProgress = (event) => {
      if (event.type === "validation") tell(`${event.phase}, epoch ${event.epoch}: loss ${event.trainLoss.toFixed(6)}`);
    };
    const run = await fit(model, data, { ...settings, onProgress });
    tell(`test accuracy ${run.test.accuracy}, ${run.parameters} adapter parameters`);
    const inputs = await mergeInputs(run.adapted.model, data);
    const { files, report } = await mergedFiles(run.adapted, { inputs });
    tell(`merged; logits differ by ${report.logits.toExponential(1)} of the largest`);
    postMessage({ files });
  } catch (error) {
    tell(String(error));
  }
};
