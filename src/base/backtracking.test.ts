import { describe, expect, test } from "vitest";
import { openTokenizer } from "../data/text/open-tokenizer.js";
import { folderOf } from "../data/text/text-data.fixtures.js";
import { isBounded } from "./backtracking.js";

const tokenizer = (Regex: string, normalizer?: object) =>
  openTokenizer(
    folderOf({
      "tokenizer.json": {
        ...(normalizer && { normalizer }),
        pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Isolated" },
        model: { type: "BPE", vocab: { a: 0, b: 1, aa: 2 }, merges: [["a", "a"]] },
      },
    }),
  );

/** Expressions in the tokenizer.json of these models, or in the tiktoken files that it was made from, as llama.cpp quotes them too. */
const known: Readonly<Record<string, readonly string[]>> = {
  "GPT-2, Phi-2, OLMo, StarCoder, Whisper": [
    String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  ],
  "Llama 3, SmolLM3, cl100k": [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
  ],
  "Qwen2, Qwen3": [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  "Qwen3.5": [
    String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  "o200k, Phi-4-mini, Llama 4": [
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  "Mistral NeMo (tekken)": [
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  "Kimi K2": [
    String.raw`[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  "DeepSeek V3, Hunyuan": [
    String.raw`\p{N}{1,3}`,
    "[一-龥぀-ゟ゠-ヿ]+",
    String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  ],
  "DeepSeek LLM, DeepSeek Coder": [
    String.raw`[\r\n]`,
    String.raw`\s?[!-/:-~！-／：-～‘-‟　-。]+`,
    String.raw`\s?\p{L}+`,
    String.raw`\s+$`,
    "[一-龥ࠀ-一가-퟿]+",
  ],
  Falcon: ["[0-9][0-9][0-9]"],
  "BLOOM, Poro, Viking": [` ?[^(\\s|[.,!?…。，、।۔،])]+`],
  CLIP: [
    String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`,
    String.raw`\s+`,
  ],
  "XLM-RoBERTa, T5, Gemma (normalizers)": [" {2,}"],
  "SuperBPE (digits from the right)": [String.raw`(?=(\d{3})+(?!\d))`],
  "MoLFormer, ChemBERTa (SMILES)": [
    String.raw`(\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>|\*|\$|\%[0-9]{2}|[0-9])`,
  ],
};

test.each(Object.entries(known).flatMap(([model, list]) => list.map((source) => [model, source])))(
  "%s: %s is taken",
  async (_model, source) => {
    await expect(tokenizer(source!)).resolves.toHaveProperty("vocabulary");
  },
);

const endless = [
  "(a+)+$",
  "(a*)*b",
  "(a|aa)+$",
  "(a|a)*$",
  "(.*)*x",
  String.raw`(\w+\s?)*$`,
  "(?:(?:a+){2,9})+b",
  "a*a*a*a*a*a*b",
  "(x+x+)+y",
  "(a?){50}a{50}",
  `${"a?".repeat(40)}${"a".repeat(40)}`,
  "(a{1,50}){1,50}$",
  "(?=(a+)+$)b",
  "(?<!(a+)+b)c",
  "(?<word>a+)+$",
  "((a+))*?b",
];

test.each(endless)("%s is refused", async (source) => {
  await expect(tokenizer(source)).rejects.toMatchObject({
    code: "FILE",
    message: expect.stringContaining(
      `pre_tokenizer.pattern: the expression ${JSON.stringify(source)} can take hours for a text of a few lines`,
    ),
  });
});

test("in a normalizer too", async () => {
  const replace = { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "" };
  await expect(tokenizer("a", replace)).rejects.toThrow(/normalizer\.pattern: the expression "\(a\+\)\+\$" can take/);
});

describe("isBounded", () => {
  // Each as JavaScript has it.
  test.each([
    [String.raw`\u{61}+(?:\[+|[)(]+)`, true],
    [String.raw`\u{12}+\u{12}+\u{12}+x`, false],
    [String.raw`[(a+)+$]+\(\)+`, true],
    [String.raw`[\]+]+[^\]]+b`, false], // two classes, each repeated, and a b
    ["a{3}b{4000}", true],
    ["(?:ab){2,5}c", true],
    ["(?:ab){2,5000}c+d", false],
    ["a+(?=b+)", true], // behind b+ nothing can fail
    ["a+(?=b+c)", false],
    [String.raw`(?:\p{L}\p{M}*)+`, true],
    [String.raw`(?:\r?\n){2,}`, false], // the second time round may fail
    [String.raw`(?:\r?\n)+|a`, true],
    [String.raw`(?:\r?\n)+a`, false],
    ["(?:a*b)+", false],
    ["a*b*c*", true],
    ["a+b?c*", true],
    ["a+?b*?", true],
    ["", true],
    ["a||b", true],
    ["(".repeat(51) + ")".repeat(51), false],
    ["(".repeat(50) + ")".repeat(50), true],
  ])("%s: %s", (source, bounded) => {
    expect(new RegExp(source, "u")).toBeDefined();
    expect(isBounded(source)).toBe(bounded);
  });
});

test("what is taken is fast on texts that make it turn back: the square of the length at most", async () => {
  const text = `${"a".repeat(20_000)}b`;
  // Each fails at the end, from each of 20,000 places; two repetitions in front of it would take hours.
  for (const source of ["a+c", "(?=(a{3})+c)", "a{1,3}a+c"]) {
    const start = performance.now();
    (await tokenizer(source)).encode(text);
    expect(performance.now() - start, source).toBeLessThan(20_000); // below 1 s each
  }
});
