import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
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

describe("a hub that answers over HTTP", () => {
  type Answer = (request: IncomingMessage, response: ServerResponse) => void;
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  async function serve(answers: Readonly<Record<string, Answer>>): Promise<string> {
    const server = createServer((request, response) => {
      const answer = answers[request.url!];
      if (answer) answer(request, response);
      else response.writeHead(404).end("no such page");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const LIST = "/api/datasets/Rowan/hellaswag/parquet";
  const part = (i: number): string => `${LIST}/default/validation/${i}.parquet`;
  const list =
    (...urls: string[]): Answer =>
    (_, response) =>
      response.end(JSON.stringify({ default: { validation: urls } }));
  const listed = list(`https://huggingface.co${part(0)}`, `https://huggingface.co${part(1)}`);
  const bytes = readFile(parquet);
  const file: Answer = async (_, response) => response.end(await bytes);
  /** Says that more comes than does. */
  const cut: Answer = async (_, response) => {
    response.writeHead(200, { "content-length": (await bytes).length });
    response.write((await bytes).subarray(0, 1000), () => response.destroy());
  };
  const status =
    (code: number): Answer =>
    (_, response) =>
      response.writeHead(code).end();
  const fetched = (endpoint: string) =>
    hubTasks({ cache: join(folder, "cache"), endpoint, token: "secret" })(hellaswag)("validation");
  const kept = (): Promise<string[]> => readdir(join(folder, "cache", "Rowan/hellaswag")).catch(() => []);

  test("redirects are followed; another host is not shown the key", async () => {
    const keys: Record<string, string | undefined> = {};
    const elsewhere = await serve({
      "/blob": (request, response) => {
        keys["elsewhere"] = request.headers.authorization;
        void file(request, response);
      },
    });
    const endpoint = await serve({
      [LIST]: (request, response) => {
        keys["list"] = request.headers.authorization;
        list(`https://huggingface.co${part(0)}`, `${elsewhere}/blob`)(request, response);
      },
      [part(0)]: (_, response) => response.writeHead(302, { location: "/cached" }).end(),
      "/cached": (request, response) => {
        keys["cached"] = request.headers.authorization;
        response.writeHead(307, { location: `${elsewhere}/blob` }).end();
      },
    });
    expect(await fetched(endpoint)).toHaveLength(16);
    expect(keys).toEqual({ list: "Bearer secret", cached: "Bearer secret", elsewhere: undefined });
    expect(await kept()).toEqual(["validation-00000-of-00002.parquet", "validation-00001-of-00002.parquet"]);
  });

  test.each<[string, Answer, RegExp]>([
    ["is cut", cut, /1\.parquet: terminated \(.+\)\. Where/],
    ["is not there", status(404), /1\.parquet: 404 Not Found\. Where/],
    ["asks for a key", status(401), /1\.parquet: 401 Unauthorized\. Where .*, HF_TOKEN a key\.$/],
    ["is another's page", (_, response) => response.end("<html>Sign in</html>"), /1\.parquet.*: .*Parquet.*\. Where/i],
    [
      "turns in a circle",
      (_, response) => response.writeHead(302, { location: part(1) }).end(),
      /redirect count exceeded/,
    ],
  ])("a second file that %s: told, nothing is kept, and the next time all is fetched", async (_, second, reason) => {
    const answers: Record<string, Answer> = { [LIST]: listed, [part(0)]: file, [part(1)]: second };
    const endpoint = await serve(answers);
    const failed = fetched(endpoint);
    await expect(failed).rejects.toMatchObject({ code: "DATA", message: expect.stringMatching(reason) });
    await expect(failed).rejects.toThrow(
      `The validation split of hellaswag cannot be fetched from ${endpoint}: ${endpoint}${part(1)}`,
    );
    expect(await kept()).toEqual([]);
    answers[part(1)] = file;
    expect(await fetched(endpoint)).toHaveLength(16);
  });

  test("a list that is none is told with its address", async () => {
    const endpoint = await serve({ [LIST]: (_, response) => response.end("<html>") });
    await expect(fetched(endpoint)).rejects.toThrow(`${endpoint}${LIST}: Unexpected token`);
  });
});
