import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { arcEasy } from "./arc.js";
import { hellaswag } from "./hellaswag.js";
import { hubTasks } from "./hub-data.node.js";
import { localTasks } from "./local-data.node.js";
import { piqa } from "./piqa.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "glora-tasks-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(file: string, content: string | Uint8Array): Promise<void> {
  await mkdir(join(folder, file, ".."), { recursive: true });
  await writeFile(join(folder, file), content);
}

test.each([
  "allenai/ai2_arc/ARC-Easy/test.jsonl",
  "ai2_arc/ARC-Easy/test.jsonl",
  "ARC-Easy/test.json",
  "arc_easy/test.jsonl",
])("a split in %s", async (file) => {
  await put(file, file.endsWith(".json") ? '[{"a":1},\n{"a":2}]' : '{"a":1}\n\n{"a":2}\n');
  expect(await (await localTasks(folder))(arcEasy)("test")).toEqual([{ a: 1 }, { a: 2 }]);
});

test("the parts of a split follow each other; one that is missing is told", async () => {
  await put("piqa/data/train-00000-of-00002.jsonl", '{"a":1}\n');
  const data = (await localTasks(folder))(piqa);
  await expect(data("train")).rejects.toThrow(
    `${join(folder, "piqa/data")}: 1 of the 2 files of the train split are there (train-00000-of-00002.jsonl).`,
  );
  await put("piqa/data/train-00001-of-00002.jsonl", '{"a":2}\n');
  expect(await data("train")).toEqual([{ a: 1 }, { a: 2 }]);
});

test("a split that is not there is told, with where it was looked for", async () => {
  const places = ["allenai/ai2_arc/ARC-Easy", "ai2_arc/ARC-Easy", "ARC-Easy", "arc_easy"].map((place) =>
    join(folder, place),
  );
  await expect((await localTasks(folder))(arcEasy)("test")).rejects.toMatchObject({
    code: "DATA",
    message:
      `${folder}: has no test split of arc_easy. Looked for test.jsonl, test.json, test.parquet and test-00000-of-00001.parquet in ` +
      `${places.join(", ")}. Put the files of https://huggingface.co/datasets/allenai/ai2_arc (ARC-Easy) there.`,
  });
  await expect(localTasks(join(folder, "none"))).rejects.toThrow(`${join(folder, "none")}: no such folder.`);
});

test("every line that is no record is told", async () => {
  await put("piqa/train.jsonl", '{"a":1}\n{"a":\n3\n');
  await expect((await localTasks(folder))(piqa)("train")).rejects.toThrow(
    /train\.jsonl:\n {2}- line 2: not valid JSON: .*\n {2}- line 3: a JSON object is expected$/,
  );
});

const parquet = "test/fixtures/lm-eval/data/Rowan/hellaswag/data/validation-00000-of-00001.parquet";

test("from the hub: listed, fetched once, then read from the cache, which is a local folder too", async () => {
  const bytes = await readFile(parquet);
  const asked: string[] = [];
  const listing = {
    default: {
      validation: ["https://huggingface.co/api/datasets/Rowan/hellaswag/parquet/default/validation/0.parquet"],
    },
  };
  const source = hubTasks({
    cache: folder,
    endpoint: "https://mirror.example/",
    token: "secret",
    fetch: async (url, { headers }) => {
      asked.push(`${url} ${headers["authorization"]}`);
      return url.endsWith("/parquet") ? Response.json(listing) : new Response(bytes);
    },
  });
  const docs = await source(hellaswag)("validation");
  expect(docs).toHaveLength(8);
  expect(await source(hellaswag)("validation")).toEqual(docs);
  expect(asked).toEqual([
    "https://mirror.example/api/datasets/Rowan/hellaswag/parquet Bearer secret",
    "https://mirror.example/api/datasets/Rowan/hellaswag/parquet/default/validation/0.parquet Bearer secret",
  ]);
  expect(await (await localTasks(folder))(hellaswag)("validation")).toEqual(docs);
});

test.each<[string, () => Promise<Response>, RegExp]>([
  [
    "cannot be reached",
    () => Promise.reject(new TypeError("fetch failed", { cause: new Error("ENOTFOUND") })),
    /fetch failed \(ENOTFOUND\)/,
  ],
  [
    "has no such data set",
    async () => new Response("", { status: 404, statusText: "Not Found" }),
    /parquet: 404 Not Found/,
  ],
  [
    "has no such split",
    async () => Response.json({ default: { train: ["u"] } }),
    /Rowan\/hellaswag has no validation files of default/,
  ],
])("a hub that %s: what to put where is told", async (_, fetch, reason) => {
  const fetched = hubTasks({ cache: folder, fetch })(hellaswag)("validation");
  await expect(fetched).rejects.toMatchObject({ code: "DATA", message: expect.stringMatching(reason) });
  await expect(fetched).rejects.toThrow(
    /put its files \(https:\/\/huggingface\.co\/datasets\/Rowan\/hellaswag\) into DIR\/Rowan\/hellaswag\/ as validation\.parquet or validation\.jsonl and give --task-data DIR;/,
  );
});
