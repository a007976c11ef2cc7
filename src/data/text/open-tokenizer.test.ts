import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Folder } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import { memorySource } from "../../formats/source.js";
import { checkVocabulary, openTokenizer } from "./open-tokenizer.js";
import { folderOf, readTokenizerFixture } from "./text-data.fixtures.js";
import type { Tokenizer } from "./tokenizer.js";

interface Expected {
  readonly ids: readonly number[][];
  readonly special: readonly number[][];
  readonly empty: readonly number[];
  readonly pairs: readonly { readonly ids: readonly number[]; readonly types: readonly number[] }[];
  readonly decoded: readonly string[];
  readonly decodedAll: readonly string[];
}

const { texts, pairs }: { texts: string[]; pairs: [string, string][] } = readTokenizerFixture("texts");
const small: Record<string, { tokenizer: object; expected: Expected }> = readTokenizerFixture("small");

const withText = <T>(values: readonly T[]): [string, T][] => values.map((value, i) => [texts[i]!, value]);

/** Ids, pairs and decoded texts are those of Hugging Face's `tokenizers`. */
function expectSame(tokenizer: Tokenizer, expected: Expected): void {
  const ids = texts.map((text) => Array.from(tokenizer.encode(text, { special: false })));
  expect(withText(ids)).toEqual(withText(expected.ids));
  expect(expected.special.map((_, i) => Array.from(tokenizer.encode(texts[i]!)))).toEqual(expected.special);
  expect(Array.from(tokenizer.encode(""))).toEqual(expected.empty);
  const encoded = pairs.map(([first, second]) => tokenizer.encodePair(first, second));
  expect(encoded.map(({ ids, typeIds }) => ({ ids: Array.from(ids), types: Array.from(typeIds) }))).toEqual(
    expected.pairs,
  );
  const decode = (at: number, skipSpecial: boolean) => tokenizer.decode(ids[at]!, { skipSpecial });
  expect(expected.decoded.map((_, i) => decode(2 * i, true))).toEqual(expected.decoded);
  expect(expected.decodedAll.map((_, i) => decode(100 + i, false))).toEqual(expected.decodedAll);
}

describe("ids as Hugging Face tokenizers gives them", () => {
  test.each(Object.keys(small))("%s", async (name) => {
    const { tokenizer, expected } = small[name]!;
    expectSame(await openTokenizer(folderOf({ "tokenizer.json": tokenizer })), expected);
  });

  const real = {
    smollm2: process.env["GLORA_SMOLLM2"] ?? "(GLORA_SMOLLM2 is not set)",
    minilm: process.env["GLORA_MINILM"] ?? "(GLORA_MINILM is not set)",
    stories260k: "../shared/data/models/stories260K-hf",
  };
  for (const [name, folder] of Object.entries(real))
    test.skipIf(!existsSync(folder))(`${name}: ${folder}`, async () => {
      expectSame(await openTokenizer(await openFolder(folder)), readTokenizerFixture(name));
    });
});

const tokenizerJson = (change: (json: Record<string, unknown>) => void): Folder => {
  const json = structuredClone(small["bert"]!.tokenizer) as Record<string, unknown>;
  change(json);
  return folderOf({ "tokenizer.json": json });
};

describe("a tokenizer.json that cannot be used", () => {
  test("is refused before it is parsed when it is too large or nested without end", async () => {
    const nested = folderOf({ "tokenizer.json": "[".repeat(2e6) });
    await expect(openTokenizer(nested)).rejects.toMatchObject({
      code: "FILE",
      message: "model/tokenizer.json: lists and objects are nested more than 100 deep; this is no tokenizer.",
    });
    const source = { ...memorySource("tokenizer.json", new Uint8Array()), size: 200e6 };
    await expect(openTokenizer({ ...nested, open: async () => source })).rejects.toMatchObject({
      code: "FILE",
      message: "model/tokenizer.json: 191 MiB is too large for it; tokenizers have at most 64 MiB. Fetch it again.",
    });
  });

  test("has one error for all that is wrong", async () => {
    const broken = tokenizerJson((json) => {
      json["normalizer"] = { type: "Sequence", normalizers: [{ type: "Magic" }, { type: "Lowercase" }] };
      json["pre_tokenizer"] = { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" };
      json["model"] = { type: "BPE", vocab: { a: 0, b: -1 }, merges: [["a", "c"]] };
      json["added_tokens"] = [{ id: "x", content: 5 }];
    });
    await expect(openTokenizer(broken)).rejects.toMatchObject({ code: "FILE" });
    const problems = await openTokenizer(broken).catch((error) => error.details.problems);
    expect(problems).toEqual([
      expect.stringContaining('normalizer.normalizers[0].type: "Magic" is not known; known are Sequence, NFC'),
      expect.stringContaining("pre_tokenizer.pattern: the expression cannot be read: "),
      'model.vocab: the id of "b" is -1; a natural number is expected',
      'model.merges: entry 0 is no pair of tokens whose join is a token: ["a","c"]',
      'added_tokens[0].id: a natural number is expected, not "x"',
      "added_tokens[0].content: a text is expected, not 5",
    ]);
  });

  test.each([
    ["null", /the file: an object is expected, not null/],
    ["[1, 2]", /an object is expected, not a list of 2/],
    ['{"model": 7}', /model: an object is expected, not 7/],
    ["{}", /model: is missing/],
    ['{"model": {"type": "constructor"}}', /model\.type: "constructor" is not known; known are BPE, Unigram/],
    [
      JSON.stringify({
        model: { type: "WordLevel", vocab: { "[UNK]": 0 } },
        post_processor: { type: "BertProcessing", sep: ["[SEP]", -4], cls: ["[CLS]", 0] },
      }),
      /post_processor: -4 is the id of no token/,
    ],
    ['{"model": {"type": "Unigram", "vocab": [["a"]]}}', /model\.vocab: entry 0 is no token with its score/],
    ['{"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": 3}', /added_tokens: a list is expected/],
    ['{"model": {"type": "WordPiece", "vocab": {"a": 0}}}', /unk_token: "\[UNK\]" is not in the vocabulary/],
    ["{", /tokenizer\.json: not valid JSON/],
  ])("%s", async (text, message) => {
    await expect(openTokenizer(folderOf({ "tokenizer.json": text }))).rejects.toMatchObject({
      code: "FILE",
      message: expect.stringMatching(message),
    });
  });

  test("is missing", async () => {
    await expect(openTokenizer(folderOf({}))).rejects.toThrow(/model: has no tokenizer\.json\. Save the tokenizer/);
  });
});

test("an added token is written as the normalizer makes it, with the space in front of it", async () => {
  const text = (content: string) => ({ type: "Replace", pattern: { String: " " }, content });
  const tokenizer = await openTokenizer(
    folderOf({
      "tokenizer.json": {
        added_tokens: [{ id: 4, content: "<New>", normalized: true }],
        normalizer: {
          type: "Sequence",
          normalizers: [{ type: "Prepend", prepend: "▁" }, text("▁"), { type: "Lowercase" }],
        },
        decoder: { type: "Sequence", decoders: [{ ...text(" "), pattern: { String: "▁" } }, { type: "Fuse" }] },
        model: { type: "BPE", vocab: { "▁": 0, a: 1, b: 2, "▁a": 3 }, merges: [["▁", "a"]] },
      },
    }),
  );
  // tokenizers 0.23.3
  const ids = tokenizer.encode("a <New> b");
  expect([Array.from(ids), tokenizer.decode(ids), tokenizer.piece(4)]).toEqual([[3, 4, 0, 2], " a <new> b", "▁<new>"]);
});

test("a long white space takes no time that grows with its square", async () => {
  const model = { type: "BPE", vocab: { a: 0 }, merges: [] };
  const tokenizer = await openTokenizer(folderOf({ "tokenizer.json": { normalizer: { type: "Strip" }, model } }));
  const start = performance.now();
  expect(Array.from(tokenizer.encode(`a${" ".repeat(300_000)}a`))).toEqual([0, 0]);
  expect(performance.now() - start).toBeLessThan(2000); // 30 ms; with the square, minutes
});

test("a normalizer that doubles a text forty times is stopped", async () => {
  const double = { type: "Replace", pattern: { String: "a" }, content: "aa" };
  const json = {
    normalizer: { type: "Sequence", normalizers: Array(40).fill(double) },
    model: { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] },
  };
  const message = /the normalizer of tokenizer\.json makes 2048 characters of 1, and more with each step/;
  const tokenizer = await openTokenizer(folderOf({ "tokenizer.json": json }));
  expect(Array.from(tokenizer.encode("b"))).toEqual([1]);
  expect(() => tokenizer.encode("a")).toThrow(message);
  const added = { ...json, added_tokens: [{ id: 2, content: "a", normalized: true }] };
  await expect(openTokenizer(folderOf({ "tokenizer.json": added }))).rejects.toThrow(message);
});

test("special tokens come from the config as texts or objects, and from the map where it has none", async () => {
  const tokenizer = await openTokenizer(
    folderOf({
      "tokenizer.json": small["roberta"]!.tokenizer,
      "tokenizer_config.json": { bos_token: "<s>", eos_token: { content: "</s>", lstrip: false } },
      "special_tokens_map.json": { pad_token: "<pad>", bos_token: "</s>" },
    }),
  );
  expect([tokenizer.bosId, tokenizer.padId, tokenizer.eosId]).toEqual([0, 1, 2]);
  expect(tokenizer.chat).toBe(false);
  expect(() => tokenizer.renderChat([])).toThrow(/has no chat template/);
});

test("a tokenizer with more tokens than the model has embeddings is refused", async () => {
  const tokenizer = await openTokenizer(folderOf({ "tokenizer.json": small["bert"]!.tokenizer }));
  checkVocabulary(tokenizer, tokenizer.vocabulary, "model");
  expect(() => checkVocabulary(tokenizer, 100, "model")).toThrow(
    /model: the tokenizer does not fit the model: its largest id is \d+ \(".*"\), the model has embeddings for 100 tokens \(0 … 99\)/,
  );
});
