// Uses glora/web on a page of its own: how images are decoded, what a session promises, what is told of failures.

import { chosenFolder, post, posting } from "./page.js";
import { createBuilder, createWebRuntime, fetchFolder, fit, labelledImages, openModelFolder } from "./web.bundle.js";

const device = new URLSearchParams(location.search).get("device");
/** The error that a promise is rejected with. */
const errorOf = (promise) =>
  promise.then(
    () => undefined,
    ({ code, message }) => ({ code, message }),
  );

await posting(async () => {
  const runtime = await createWebRuntime({ device, threads: 2, wasmPaths: "ort" });
  const facts = { crossOriginIsolated, reason: runtime.reason };
  const auto = await createWebRuntime({ wasmPaths: "ort" });
  facts.auto = { device: auto.device, reason: auto.reason };
  await auto.dispose();

  // y = the sum of all rows so far; the rows are what the session remembers.
  const g = createBuilder();
  const [past, x] = [g.input("past", "float32", ["past", 2]), g.input("x", "float32", ["rows", 2])];
  g.output("y", g.reduceSum(g.concat([past, x], 0), [0]));
  g.output("grown", g.mul(x, g.scalar(1)));
  const session = await runtime.open(g.graph, { name: "sums", memory: { past: "grown" } });
  const feed = (...data) => ({ x: { dtype: "float32", shape: [data.length / 2, 2], data: new Float32Array(data) } });
  const sums = [];
  const run = async (feeds, o) => sums.push([...(await session.run(feeds, o)).y.data]);
  const reused = feed(1, 2);
  const first = run(reused);
  reused.x.data.fill(9); // copied when the call was made
  await Promise.all([first, run(feed(3, 4, 5, 6)), run(feed(10, 20), { remember: 2 })]); // in the order of the calls
  facts.sums = sums;
  facts.tooMany = await errorOf(session.run(feed(0, 0), { remember: 7 }));
  facts.wrongFeed = await errorOf(session.run({ x: { dtype: "float32", shape: [1, 3], data: new Float32Array(3) } }));
  facts.aborted = await errorOf(session.run(feed(0, 0), { signal: AbortSignal.abort() }));
  await session.dispose();
  await session.dispose();
  facts.disposed = await errorOf(session.run(feed(0, 0)));

  const folder = await fetchFolder("vit-micro/", ["config.json", "model.safetensors"]);
  facts.missing = await errorOf(fetchFolder("vit-micro", ["weights.npz"]));
  const model = await openModelFolder(folder, runtime);
  const images = (await chosenFolder("kinds")).map((image) => {
    const [, label] = image.webkitRelativePath.split("/");
    return { name: `${label}/${image.name}`, label, image };
  });
  const alone = { split: { validation: 0, test: 0 } };
  const { train } = await labelledImages(images, alone).prepare(model.input);
  facts.names = train.names;
  await post("pixels", new Blob([(await train.inputs([...train.labels.keys()])).pixel_values.data]));
  const broken = { name: "a/broken.png", label: "a", image: new Blob(["no image"]) };
  facts.broken = await errorOf(labelledImages([...images, broken], alone).prepare(model.input));

  // A page is heard while its training runs.
  const controller = new AbortController();
  setTimeout(() => controller.abort("enough"), 1000);
  const plan = {
    recipe: "default",
    seconds: 1,
    train: { epochs: 10_000, batchSize: 2, learningRate: 1e-3, seed: 0 },
  };
  const long = { preset: "lora", layers: ["blocks.5.mlp.*"], plan, signal: controller.signal };
  facts.stopped = await errorOf(fit(model, labelledImages(images, alone), long));

  await runtime.dispose();
  facts.runtimeDisposed = await errorOf(runtime.open(g.graph));
  await post("facts", JSON.stringify(facts));
});
