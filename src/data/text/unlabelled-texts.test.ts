import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { TextInput } from "./text-input.js";
import type { Tokenizer } from "./tokenizer.js";
import { unlabelledTexts } from "./unlabelled-texts.node.js";

const folder = await mkdtemp(join(tmpdir(), "glora-texts-"));
afterAll(() => rm(folder, { recursive: true }));

async function texts(file: string, content: string, o: Parameters<typeof unlabelledTexts>[1] = {}) {
  const path = join(folder, file);
  await writeFile(path, content);
  return unlabelledTexts(path, o);
}

test("the lines of a text file, empty ones left out", async () => {
  const { names, texts: read } = await texts("a.txt", 'one "two"\r\n\n  \nthree\tfour');
  expect(names).toEqual(["a.txt:1", "a.txt:4"]);
  expect(read).toEqual(['one "two"', "three\tfour"]);
});

test.each<[string, string, string, Parameters<typeof unlabelledTexts>[1]]>([
  ["a column named as texts are, a label beside it", "b.tsv", "label\tsentence\n1\tgood\n0\tbad\n", {}],
  ["the only column", "c.csv", "remark\ngood\nbad\n", { header: true }],
  ["the only column of a table without names", "d.csv", "good\nbad\n", {}],
  ["a column that is named", "e.csv", "sentence,note\nx,good\ny,bad\n", { textColumn: "note" }],
  ["a column that is numbered", "f.tsv", "x\tgood\ny\tbad\n", { textColumn: 2 }],
  ["objects", "g.jsonl", '{"text":"good"}\n{"text":"bad","label":3}\n', {}],
])("%s", async (_what, file, content, o) => {
  expect((await texts(file, content, o)).texts).toEqual(["good", "bad"]);
});

test("what cannot be read is told with its line", async () => {
  await expect(texts("h.tsv", "x\tgood\ny\tbad\n")).rejects.toThrow(
    "its 2 columns have no name that is known: say which holds the texts (textColumn), by its number, or by its name in the first row",
  );
  await expect(texts("i.csv", "id,output,prompt\n1,2,3\n")).rejects.toThrow(
    "it cannot be told which column holds the texts; the columns are id, output, prompt. Name it as textColumn.",
  );
  await expect(texts("j.jsonl", '{"text":"good"}\n{"text":3}\nx\n{"t":1}\n')).rejects.toThrow(
    /j\.jsonl:3: not valid JSON.*j\.jsonl:2: "text" is 3; a text is expected.*j\.jsonl:4: has no field "text"/s,
  );
  await expect(texts("k.txt", "\n")).rejects.toThrow("there is no text in it");
});

test("texts become a split; those that are too long are counted", async () => {
  const tokenizer = {
    vocabulary: 300,
    encodePair(text: string, second: string | undefined, { maxTokens = 99 } = {}) {
      const all = [...new TextEncoder().encode(text + (second ?? ""))];
      const ids = Int32Array.from(all.slice(0, maxTokens));
      return { ids, typeIds: new Int32Array(ids.length), cut: all.length - ids.length };
    },
  } as Tokenizer;
  const input: TextInput = {
    kind: "text",
    tokenizer: async () => tokenizer,
    attention: "bidirectional",
    maxTokens: 10,
    vocabulary: 300,
    padId: 0,
    tokenTypes: false,
  };
  const { split, truncated } = await (await texts("l.txt", "ab\nabcdefgh\nabc\n", { maxTokens: 5 })).prepare(input);
  expect(truncated).toBe(1);
  expect(split.names).toEqual(["l.txt:1", "l.txt:2", "l.txt:3"]);
  expect([...split.labels]).toEqual([-1, -1, -1]);
  const { input_ids: ids, attention_mask: mask } = await split.inputs([0, 1]);
  expect(ids!.shape).toEqual([2, 5]);
  expect([...ids!.data].map(Number)).toEqual([97, 98, 0, 0, 0, 97, 98, 99, 100, 101]);
  expect([...mask!.data].map(Number)).toEqual([1, 1, 0, 0, 0, 1, 1, 1, 1, 1]);
  const images = { kind: "image" } as never;
  await expect((await texts("m.txt", "a")).prepare(images)).rejects.toThrow("holds text, and the model takes images");
});
