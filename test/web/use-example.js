// Uses the example's page as a person would, and posts to the server what came out. The test adds it to the page.

import { chosenFolder, post, posting } from "./page.js";
import { createWebRuntime, filesFolder, openModelFolder, runModel } from "./web.bundle.js";

const element = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const device = query.get("device");

/** Waits for the links to the merged model's files, or for the line of an error. */
const finished = () =>
  new Promise((resolve, reject) => {
    setInterval(() => {
      const error = /^\w*Error.*/ms.exec(element("log").textContent);
      if (error) reject(new Error(error[0]));
      if (element("files").children.length > 0) resolve();
    }, 50);
  });

await posting(async () => {
  Object.defineProperty(element("images"), "files", { value: await chosenFolder(query.get("images")) });
  element("device").value = device;
  element("start").click();
  await finished();
  await post("log", element("log").textContent);
  const files = new Map();
  for (const link of element("files").querySelectorAll("a"))
    files.set(link.textContent, await (await fetch(link.href)).blob());
  for (const [name, blob] of files) await post(`merged/${name}`, blob);

  // The merged model is an ordinary one, for the browser too.
  const runtime = await createWebRuntime({ device });
  const model = await openModelFolder(filesFolder("merged", files), runtime);
  const data = new Float32Array(await (await fetch("inputs")).arrayBuffer());
  const pixel_values = { dtype: "float32", shape: [data.length / (3 * 32 * 32), 3, 32, 32], data };
  await post("logits", new Blob([(await runModel(model, { pixel_values })).logits.data]));
});
