import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { fetchFolder, filesFolder, writableFilesFolder } from "./files-folder.js";
import { readJson, readText } from "./folder.js";

test("lists what lies directly inside, and opens files by their paths", async () => {
  const blob = new Blob(["[1]"]);
  const folder = filesFolder(
    "dropped",
    new Map([
      ["b.json", blob],
      ["a.json", blob],
      ["onnx/model.onnx", blob],
    ]),
  );
  expect(await folder.list()).toEqual(["a.json", "b.json"]);
  expect(await readJson(folder, "b.json")).toEqual([1]);
  expect((await folder.open("onnx/model.onnx"))?.size).toBe(3);
  expect(await folder.open("none")).toBeUndefined();
  await expect(readText(folder, "none")).rejects.toThrow("dropped: has no none.");
});

test("takes text, bytes and pieces; a file whose pieces fail is not there", async () => {
  const files = new Map<string, Blob>();
  const folder = writableFilesFolder("made", files);
  async function* pieces(fails: boolean) {
    yield new Uint8Array([104, 97]);
    if (fails) throw new Error("stopped");
    yield new Uint8Array([108, 102]);
  }
  await folder.write("text", "whole");
  await folder.write("bytes", new Uint8Array([98, 105, 116]).subarray(1));
  await folder.write("in/pieces", pieces(false));
  await expect(folder.write("broken", pieces(true))).rejects.toThrow("stopped");
  const texts = await Promise.all([...files].map(async ([name, blob]) => [name, await blob.text()]));
  expect(texts).toEqual([
    ["text", "whole"],
    ["bytes", "it"],
    ["in/pieces", "half"],
  ]);
  await folder.remove("text");
  await folder.remove("text");
  expect(await folder.list()).toEqual(["bytes"]);
});

/** Runs `use` with the address of a server. */
async function serving(answer: RequestListener, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  try {
    await use(`http://localhost:${(server.address() as AddressInfo).port}/model`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("fetches the files that it is told of, and says which address failed, and how", async () => {
  const answer: RequestListener = ({ url }, response) => {
    if (url === "/model/config.json") response.end('{"a":1}');
    else if (url === "/model/slow") response.writeHead(200).flushHeaders();
    else response.writeHead(404, "Nowhere").end();
  };
  await serving(answer, async (url) => {
    const folder = await fetchFolder(`${url}/`, ["config.json"]);
    expect(folder.name).toBe(url);
    expect(await readJson(folder, "config.json")).toEqual({ a: 1 });
    expect(await folder.open("model.safetensors")).toBeUndefined();
    await expect(fetchFolder(url, ["config.json", "b"])).rejects.toMatchObject({
      code: "FILE",
      message: `${url}/b: cannot be fetched: the server answered 404 Nowhere.`,
    });
    const signal = AbortSignal.timeout(50);
    await expect(fetchFolder(url, ["slow"], { signal })).rejects.toMatchObject({ code: "ABORTED" });
  });
  await expect(fetchFolder("http://localhost:1", ["a"])).rejects.toThrow(
    "http://localhost:1/a: cannot be fetched: fetch failed.",
  );
});
