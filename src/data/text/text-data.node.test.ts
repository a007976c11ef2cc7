import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { describePreview } from "../../cli/text-preview.js";
import { labelsOf, splitNames } from "../dataset.js";
import { openData } from "../open.node.js";
import { previewExamples } from "./preview.js";
import { filesOnDisk, smallTokenizer, textInput } from "./text-data.fixtures.js";
import { textData } from "./text-data.node.js";
import type { TextOptions } from "./text-options.js";

const made: string[] = [];
afterEach(async () => {
  for (const root of made.splice(0)) await rm(root, { recursive: true });
});

async function files(content: Readonly<Record<string, string>>): Promise<string> {
  const root = await filesOnDisk(content);
  made.push(root);
  return root;
}

const jsonl = (values: readonly unknown[]): string => values.map((value) => JSON.stringify(value)).join("\n");
const whole = { split: { validation: 0, test: 0 } } as const;

/** The problems of data that is refused. */
async function problemsOf(content: Readonly<Record<string, string>>, options: TextOptions = {}): Promise<string[]> {
  const root = await files(content);
  return textData(root, options).then(
    () => [],
    (error) => error.details.problems ?? [error.message],
  );
}

const qwen = () => smallTokenizer("qwen2", { eos_token: "<|im_end|>", pad_token: "<|im_end|>" });
const bert = () => smallTokenizer("bert", { pad_token: "[PAD]" });
const encoder = async () => textInput(await bert(), { attention: "bidirectional", tokenTypes: true });

describe("language records", () => {
  const records = {
    alpaca: { instruction: "say", input: "", output: "it" },
    completion: { prompt: "say", completion: " it" },
    sharegpt: {
      conversations: [
        { from: "human", value: "say" },
        { from: "gpt", value: "it" },
      ],
    },
    messages: {
      messages: [
        { role: "user", content: [{ type: "text", text: "say" }] },
        { role: "assistant", content: "it" },
      ],
    },
    text: { text: "say it" },
  };

  test.each(Object.entries(records))("%s is known by its fields, and read", async (format, record) => {
    const root = await files({ "train.jsonl": jsonl([record, record]), "dev.jsonl": jsonl([record]) });
    const data = await textData(root, { split: { test: 0 } });
    expect(data.task).toEqual({ kind: "language" });
    expect(data.describe()).toMatchObject({ kind: "text", format, splits: { validation: ["dev.jsonl:1"], test: [] } });
    const hash = (content: string) => createHash("sha256").update(content).digest("hex");
    expect(data.describe()).toMatchObject({
      content: { "train.jsonl": hash(jsonl([record, record])), "dev.jsonl": hash(jsonl([record])) },
    });
    const template =
      "{% for m in messages %}{{ m.role + ':' + m.content + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
    const tokenizer = await smallTokenizer("qwen2", { eos_token: "<|im_end|>", chat_template: template });
    const { train } = await data.prepare(textInput(tokenizer));
    const { labels } = train.targets([1]) as { labels: Int32Array };
    expect(tokenizer.decode(labels)).toMatch(format === "text" ? /ay it<\|im_end\|>$/ : /^ ?it<\|im_end\|>$/);
    expect(train.rows(1)).toBe(labels.length);
  });

  test("one report of all that is wrong, with lines; nothing else is lost", async () => {
    const problems = await problemsOf({
      "train.jsonl": [
        '{"instruction":"a","output":"b"}',
        '{"instruction":"a","output":"  "}',
        '{"instruction":"a"}',
        "",
        '{"instruction":7,"output":"b"}',
        "{not json",
        "[]",
      ].join("\n"),
      "test.json": '[{"instruction":"a","output":"b"},\n\n{"instruction":"a","output":null}]',
    });
    expect(problems).toEqual([
      expect.stringMatching(/^train\.jsonl:6: not valid JSON: /),
      "train.jsonl:7: [] is no object of fields",
      'train.jsonl:2: the answer ("output") is empty',
      'train.jsonl:3: has no field "output" (it has instruction)',
      'train.jsonl:5: "instruction" is 7; a text is expected',
      'test.json:3 (record 2): "output" is null; a text is expected',
    ]);
  });

  test("turns that are wrong", async () => {
    const turn = (from: string, value: unknown) => ({ from, value });
    const problems = await problemsOf({
      "train.jsonl": jsonl([
        { conversations: [turn("human", "a"), turn("gpt", "b")] },
        { conversations: [turn("human", "a"), turn("gpt", "")] },
        { conversations: [turn("human", "a")] },
        { conversations: "no" },
        { conversations: [turn("human", 5), { from: 3 }] },
      ]),
    });
    expect(problems).toEqual([
      "train.jsonl:2: turn 2: the answer is empty",
      "train.jsonl:3: has no turn of the assistant (its turns are of human)",
      'train.jsonl:4: "conversations" is "no"; a list of turns is expected',
      'train.jsonl:5: turn 1: "value" is 5; a text is expected',
      'train.jsonl:5: turn 2 has no "from"',
    ]);
  });

  test("what the template refuses is one report with lines", async () => {
    const say = (role: string) => ({
      messages: [
        { role, content: "a" },
        { role: "assistant", content: "b" },
      ],
    });
    const root = await files({ "train.jsonl": jsonl([say("user"), say("tool"), say("tool")]) });
    const template = "{% if messages[0].role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}ok";
    const tokenizer = await smallTokenizer("qwen2", { chat_template: template });
    const error = await (await textData(root, whole)).prepare(textInput(tokenizer)).catch((thrown) => thrown);
    expect(error.details.problems).toEqual([
      "train.jsonl:2: the chat template refuses the messages: no tools",
      "train.jsonl:3: the chat template refuses the messages: no tools",
    ]);
  });

  test("batches are padded on the right; the end token is scored though it is the padding token too", async () => {
    const root = await files({
      "train.jsonl": jsonl([
        { prompt: "a", completion: " b" },
        { prompt: "a b c d", completion: " e f g h i" },
      ]),
    });
    const tokenizer = await qwen();
    const { train } = await (await textData(root, whole)).prepare(textInput(tokenizer));
    const { input_ids: ids, attention_mask: mask, scored } = await train.inputs([0, 1]);
    const length = train.lengths[0]!;
    expect(ids!.shape[1]! % 8).toBe(0);
    expect(Number(ids!.data[length - 1])).toBe(tokenizer.eosId);
    expect(Array.from(mask!.data.subarray(0, ids!.shape[1]), Number)).toEqual(
      Array.from({ length: ids!.shape[1]! }, (_, i) => (i < length ? 1 : 0)),
    );
    const targets = train.targets([0, 1]) as { labels: Int32Array };
    expect(Array.from(scored!.data as Int32Array, (at) => Number(ids!.data[at + 1]))).toEqual(
      Array.from(targets.labels),
    );
    expect(targets.labels.filter((id) => id === tokenizer.eosId)).toHaveLength(2);
  });

  test("truncated and dropped records are counted", async () => {
    const root = await files({
      "train.jsonl": jsonl([
        { prompt: "a", completion: " b" },
        { prompt: "a b c d e f g h i j k l m n", completion: " b" },
        { prompt: "a", completion: " b c d e f g h i j k l m n o p" },
      ]),
    });
    const data = await textData(root, { ...whole, maxTokens: 8 });
    const { train } = await data.prepare(textInput(await qwen()));
    expect(train.size).toBe(2);
    const report = data.report()!.train;
    expect(report).toMatchObject({
      records: 3,
      rows: 2,
      truncated: 2,
      dropped: ["train.jsonl:2"],
      maxTokens: 8,
      longest: 8,
    });
    expect(data.notes!()[0]).toMatch(
      /^train: 2 of 3 records lose \d+ tokens beyond the limit of 8; 1 of them keep nothing of their answer/,
    );
  });

  test("a text file is cut into splits at lines", async () => {
    const lines = Array.from({ length: 20 }, (_, i) => `line ${i}\n`);
    const root = await files({ "book.txt": lines.join("") });
    const data = await textData(join(root, "book.txt"));
    expect(data.describe()).toMatchObject({
      splits: { train: ["book.txt:1"], validation: ["book.txt:15"], test: ["book.txt:18"] },
    });
  });
});

describe("labelled records", () => {
  const rows = (count: number) => Array.from({ length: count }, (_, i) => `text ${i}\t${i % 2}`).join("\n");

  test("a table without names: the label is the column of few values; splits are stratified, seeded, complete", async () => {
    const root = await files({ "data.tsv": rows(40) });
    const data = await textData(root);
    expect(data.task).toEqual({ kind: "classes", labels: ["0", "1"] });
    const { train, validation, test } = await data.prepare(await encoder());
    expect([train.size, validation.size, test.size]).toEqual([28, 6, 6]);
    expect(new Set([...train.names, ...validation.names, ...test.names]).size).toBe(40);
    expect(validation.labels.filter((label) => label === 1)).toHaveLength(3);
    expect(train.labels[0]).toBe((Number(train.names[0]!.split(":")[1]) - 1) % 2);
    const again = await textData(root, { seed: 1 });
    expect(again.describe()).not.toEqual(data.describe());
  });

  test.each([
    ["csv", 'id,title,description,category\n1,"a, b",c,x\n2,d,e,y\n', ["x", "y"]],
    [
      "jsonl",
      jsonl([
        { text: "a", text_pair: "c", label: true },
        { text: "d", text_pair: "e", label: false },
      ]),
      ["false", "true"],
    ],
    [
      "json",
      JSON.stringify([
        { premise: "a", hypothesis: "b", label: 2 },
        { premise: "c", hypothesis: "d", label: 1 },
      ]),
      ["1", "2"],
    ],
  ])("columns are found by their names: %s", async (ending, text, labels) => {
    const root = await files({ [`train.${ending}`]: text });
    const data = await textData(root, whole);
    expect(labelsOf(data.task)).toEqual(labels);
    const { train } = await data.prepare(await encoder());
    const { input_ids: ids, token_type_ids: types } = await train.inputs([0]);
    expect(ids!.shape).toEqual(types!.shape);
    expect(Array.from(types!.data, Number)).toContain(1); // the second text
    expect(Object.keys(await train.inputs([0]))).not.toContain("position_ids");
  });

  test("columns by name and by number, labels by name", async () => {
    const root = await files({ "train.csv": "x,y,z\na,1,u\nb,0,v\n" });
    const data = await textData(root, {
      ...whole,
      textColumn: "z",
      labelColumn: 2,
      labels: ["no", "yes"],
      header: true,
    });
    expect(data.task).toEqual({ kind: "classes", labels: ["no", "yes"] });
    expect(Array.from((await data.prepare(await encoder())).train.labels)).toEqual([1, 0]);
  });

  test("several labels, from lists and from cells", async () => {
    const cells = await files({ "train.csv": "text,labels\na,x;y\nb,\nc,z" });
    const lists = await files({
      "train.jsonl": jsonl([
        { text: "a", labels: ["x", "y"] },
        { text: "b", labels: [] },
        { text: "c", labels: ["z"] },
      ]),
    });
    for (const [root, o] of [
      [cells, { labelSeparator: ";" }],
      [lists, {}],
    ] as const) {
      const data = await textData(root, { ...whole, ...o });
      expect(data.task).toEqual({ kind: "multi-label", labels: ["x", "y", "z"] });
      const { train } = await data.prepare(await encoder());
      expect(train.targets([0, 1, 2])).toEqual({
        kind: "values",
        values: Float32Array.from([1, 1, 0, 0, 0, 0, 0, 0, 1]),
      });
    }
  });

  test("numbers, and the likeness of two texts, which are neighbouring rows", async () => {
    const regression = await files({ "train.csv": "text,score\na,1.5\nb,-2\n" });
    const data = await textData(regression, { ...whole, task: "regression" });
    expect(data.task).toEqual({ kind: "regression", labels: ["score"] });
    const { train } = await data.prepare(await encoder());
    expect(train.targets([1, 0])).toEqual({ kind: "values", values: Float32Array.from([-2, 1.5]) });

    const pairs = await files({ "train.csv": "sentence1,sentence2,score\na,bb,0.5\nc,d,1\n" });
    const alike = await textData(pairs, { ...whole, task: "similarity" });
    const split = (await alike.prepare(await encoder())).train;
    const tokenizer = await bert();
    const { input_ids: ids } = await split.inputs([0]);
    expect(ids!.shape[0]).toBe(2);
    expect(Array.from(ids!.data, Number).slice(0, 3)).toEqual(Array.from(tokenizer.encode("a")));
    expect(split.rows(0)).toBe(1);
    expect(split.targets([0])).toEqual({ kind: "values", values: Float32Array.from([0.5]) });
    expect(await problemsOf({ "train.csv": "sentence1,sentence2,score\na,b,5\n" }, { task: "similarity" })).toContain(
      'train.csv:2: "score" is 5; a number from 0 to 1 is expected',
    );
  });

  test("Parquet", async () => {
    const data = await textData("test/fixtures/text/zstd.parquet");
    expect(data.task).toEqual({ kind: "classes", labels: ["0", "1"] });
    expect(JSON.stringify(data.describe())).toContain("zstd.parquet row 1");
  });

  test("one report of all that is wrong, with lines", async () => {
    const problems = await problemsOf(
      { "train.csv": "text,label\na,0\nb,1\n,1\nc,7\nd,\ne,-1\nf\n", "test.csv": "text,label\na,2\n" },
      { split: { validation: 0 } },
    );
    expect(problems).toEqual([
      "train.csv:8: 1 cells, where the first row has 2",
      'train.csv:4: the text ("text") is empty',
      'train.csv:5: the label "7" is out of range: the 2 labels are 0, 1; no training record has 2',
      'train.csv:6: the label ("label") is empty',
      'train.csv:7: the label "-1" is out of range: the 2 labels are 0, 1; no training record has 2',
      'test.csv:2: the label "2" is out of range: the 2 labels are 0, 1; no training record has 2',
    ]);
    expect(await problemsOf({ "train.csv": "text,text,label\na,b,0\nc,d,1\n" }, whole)).toEqual([
      'train.csv:1: two columns are called "text"',
    ]);
    await expect(textData("x.csv", { labels: ["a", "b", "a"] })).rejects.toThrow('The label "a" stands twice');
    expect(await problemsOf({ "train.csv": "text,label\na,0\nb,1\n" }, { ...whole, textColumn: "nope" })).toEqual([
      'there is no column "nope" for the text; the columns are text, label',
    ]);
    const listed = [
      { text: "a", label: 0 },
      { text: "b", label: 1 },
      { text: "c", label: [1] },
    ];
    expect(await problemsOf({ "train.jsonl": jsonl(listed) }, whole)).toEqual([
      "train.jsonl:3: the label is [1]; a text or a whole number is expected",
    ]);
    expect(await problemsOf({ "train.jsonl": jsonl([{ a: 1, b: 2, c: 3 }]) })).toEqual([
      "it cannot be told which column holds the text; the columns are a, b, c. Name them as textColumn and labelColumn.",
    ]);
    expect(await problemsOf({ "train.csv": "text,label\na,x\nb,x\n" }, whole)).toEqual([
      'at least two classes are needed; found only "x"',
    ]);
    expect(await problemsOf({ "train.csv": "text,label\na,x\nb,y\n" })).toEqual([
      'class "x" has 1 record (train.csv:2), too few to have one in each split; add records',
      'class "y" has 1 record (train.csv:3), too few to have one in each split; add records',
    ]);
  });

  test("long texts are cut, the special tokens kept, and counted", async () => {
    const root = await files({ "train.csv": `text,label\n${"the ".repeat(50)},0\nb,1\n` });
    const data = await textData(root, { ...whole, maxTokens: 10 });
    const { train } = await data.prepare(await encoder());
    const { input_ids: ids } = await train.inputs([0]);
    expect(ids!.shape).toEqual([1, 10]);
    expect(Number(ids!.data[9])).toBe((await bert()).encode("").at(-1)); // [SEP]
    expect(data.report()!.train).toMatchObject({ truncated: 1, longest: 10 });
  });
});

describe("what a folder is", () => {
  test("files of splits are text, class folders images, a file alone text", async () => {
    const root = await files({
      "t/train.csv": "text,label\na,x\nb,y\n",
      "images/cat/a.png": "",
      "images/readme.txt": "",
      "one.tsv": "a\tx\nb\ty\n",
    });
    expect((await openData({ path: join(root, "t"), ...whole })).describe()).toMatchObject({ kind: "text" });
    expect((await openData({ path: join(root, "one.tsv"), ...whole })).describe()).toMatchObject({ kind: "text" });
    await expect(openData({ path: join(root, "images") })).rejects.toThrow(/cannot be used as a data set of images/);
  });

  test("a folder without a file to train on is refused, and so is data of the wrong kind", async () => {
    const root = await files({ "test.csv": "text,label\na,x\n" });
    await expect(textData(root)).rejects.toThrow(/has no train\.jsonl.*it holds test\.csv\. Name the file itself/);
    await expect(textData(join(root, "missing"))).rejects.toThrow(/missing" cannot be read/);
    const data = await textData("test/fixtures/text/zstd.parquet");
    await expect(data.prepare({ kind: "image" } as never)).rejects.toThrow(/holds text, and the model takes images/);
    await expect(data.prepare(textInput(await bert(), { vocabulary: 50 }))).rejects.toThrow(/does not fit the model/);
  });
});

test("the preview shows what is scored, how long examples are, and what was cut", async () => {
  const root = await files({
    "train.jsonl": jsonl([
      { prompt: "the quick", completion: " brown fox" },
      ...Array.from({ length: 9 }, () => ({ prompt: "a", completion: " b c d e f g h i j k" })),
    ]),
  });
  const data = await textData(root, { ...whole, maxTokens: 12 });
  const preview = await previewExamples(data, textInput(await qwen()), { count: 1 });
  expect(preview.examples).toHaveLength(1);
  expect(
    preview.examples[0]!.tokens.filter(({ scored }) => scored)
      .map(({ text }) => text)
      .join(""),
  ).toBe(" brown fox<|im_end|>");
  expect(preview.lengths.reduce((sum, { count }) => sum + count, 0)).toBe(10);
  const text = describePreview(preview, (style, painted) => `<${style}>${painted}</${style}>`);
  expect(text).toContain("<dim>the quick</dim> brown fox<|im_end|>");
  expect(text).toMatch(/<bold>split +records +rows +tokens +scored +truncated +dropped<\/bold>\ntrain +10 +10 /);
  if (preview.report.train.truncated > 0) expect(text).toContain("lie beyond the limit of 12 tokens");
});

test("the preview of texts with labels says them", async () => {
  const labelOf = async (csv: string, o: TextOptions) => {
    const data = await textData(await files({ "train.csv": csv }), { ...whole, ...o });
    const preview = await previewExamples(data, textInput(await bert()), { count: 1 });
    return [preview.examples[0]!.label, describePreview(preview, (_, text) => text).split("\n")[0]];
  };
  expect(await labelOf("text,label\na,no\nb,yes\n", {})).toEqual(["no", "train.csv:2: 3 tokens, label no"]);
  expect((await labelOf("text,labels\na,x|y\nb,y\n", { labelSeparator: "|" }))[0]).toBe("x, y");
  expect((await labelOf("text,score\na,0.1\nb,2\n", { task: "regression" }))[0]).toBe("0.1");
});

const shared = "../shared/data/text";
describe.skipIf(!existsSync(shared))(`real files in ${shared}`, () => {
  test.each([
    ["classification/sst2", {}, ["0", "1"], [6920, 872, 1821]],
    ["classification/sms", {}, ["ham", "spam"], [3902, 836, 836]],
    ["classification/ag_news/test.csv", {}, ["1", "2", "3", "4"], [5320, 1140, 1140]],
  ])("%s", async (path, options, labels, sizes) => {
    const data = await openData({ path: join(shared, path), ...options });
    expect(labelsOf(data.task)).toEqual(labels);
    const { splits } = data.describe() as { splits: Record<string, string[]> };
    expect(splitNames.map((split) => splits[split]!.length)).toEqual(sizes);
  });

  test.each([
    ["alpaca_en_demo.json", 999],
    ["rasbt_instruction-data.json", 1100],
  ])("%s", async (file, count) => {
    const data = await openData({ path: join(shared, "instruct", file) });
    const { splits, format } = data.describe() as { splits: Record<string, string[]>; format: string };
    expect(format).toBe("alpaca");
    expect(splitNames.reduce((sum, split) => sum + splits[split]!.length, 0)).toBe(count);
  });
});
