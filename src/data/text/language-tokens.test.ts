import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { LanguageSplit, packedRows } from "./language-split.js";
import { languageTokens } from "./language-tokens.js";
import { smallTokenizer } from "./text-data.fixtures.js";
import type { Message } from "./tokenizer.js";

interface Chat {
  readonly tokenizer: string;
  readonly special: object;
  readonly template: string;
  readonly cases: readonly {
    readonly messages: readonly Message[];
    readonly text: string;
    readonly prompt: string;
    readonly ids: readonly number[];
    readonly mask: readonly number[];
  }[];
}

const chats: Record<string, Chat> = JSON.parse(readFileSync("test/fixtures/text/chat.json", "utf8"));
const options = { lossOn: "answers", maxTokens: 1000 } as const;

describe("chat templates: text, ids and assistant masks as transformers has them", () => {
  test.each(Object.keys(chats))("%s", async (name) => {
    const { tokenizer: base, special, template, cases } = chats[name]!;
    const tokenizer = await smallTokenizer(base, { ...special, chat_template: template });
    for (const { messages, text, prompt, ids, mask } of cases) {
      expect(tokenizer.renderChat(messages)).toBe(text);
      expect(tokenizer.renderChat(messages.slice(0, -1), { addGenerationPrompt: true })).toBe(prompt);
      const { examples } = languageTokens({ kind: "chat", messages }, tokenizer, options);
      expect(Array.from(examples[0]!.ids)).toEqual(ids);
      expect(Array.from(examples[0]!.scored)).toEqual(mask.flatMap((on, i) => (on ? [i] : [])));
    }
  });

  test("the default one of a list of named templates", async () => {
    const messages = [{ role: "user", content: "x" }];
    const named = await smallTokenizer("qwen2", {
      chat_template: [
        { name: "tools", template: "no" },
        { name: "default", template: "yes {{ messages[0].content }} {{ strftime_now('%Y')|length }}" },
      ],
    });
    expect(named.renderChat(messages)).toBe("yes x 4");
  });
});

describe("what a template refuses", () => {
  const talk = (template: string) => smallTokenizer("qwen2", { chat_template: template, eos_token: "<|im_end|>" });
  const messages = [
    { role: "user", content: "a" },
    { role: "assistant", content: "b" },
    { role: "user", content: "c" },
    { role: "assistant", content: "d" },
  ];

  test("raise_exception is told", async () => {
    const tokenizer = await talk("{{ raise_exception('Roles must alternate') }}");
    expect(() => tokenizer.renderChat(messages)).toThrow(
      /the chat template refuses the messages: Roles must alternate/,
    );
  });

  test("a range that would fill the memory, as Jinja's sandbox blocks it", async () => {
    const most = await talk("{{ range(100000)|length }} {{ range(9, 0, -3)|list }}");
    expect(most.renderChat(messages)).toBe("100000 [9, 6, 3]");
    for (const range of ["range(100001)", "range(5, 1000000000)", "range(0, 1, 0)"]) {
      const tokenizer = await talk(`{% for i in ${range} %}{% endfor %}`);
      expect(() => tokenizer.renderChat(messages)).toThrow(
        /the chat template cannot be run: a range of at most 100000 numbers is expected/,
      );
    }
  });

  test("a prefix that is written otherwise than within the whole", async () => {
    // As templates do that leave earlier thoughts out: how a turn is written depends on what follows.
    const tokenizer = await talk(
      "{% for m in messages %}[{{ m.role }}{% if loop.last %}!{% endif %}]{{ m.content }}{% endfor %}",
    );
    expect(() => languageTokens({ kind: "chat", messages }, tokenizer, options)).toThrow(
      /turn 2: the chat template writes the conversation up to here otherwise than within the whole.*"!\]a" against "\]a\[assistant\]b/,
    );
  });

  test("a conversation without a template", async () => {
    const tokenizer = await smallTokenizer("qwen2");
    expect(() => languageTokens({ kind: "chat", messages }, tokenizer, options)).toThrow(/has no chat template/);
  });
});

describe("without a template", () => {
  const config = { eos_token: "<|im_end|>", pad_token: "<|im_end|>" };

  test("Alpaca's prompts, the answer and the end token scored", async () => {
    const tokenizer = await smallTokenizer("llama2", { eos_token: "</s>" });
    const content = { kind: "instruction", instruction: "Add.", input: "1 2", answer: "It is 3" } as const;
    const { ids, scored } = languageTokens(content, tokenizer, options).examples[0]!;
    expect(tokenizer.decode(ids.subarray(1))).toBe(
      "Below is an instruction that describes a task, paired with an input that provides further context. Write a response " +
        "that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:It is 3</s>",
    );
    expect(tokenizer.decode(Array.from(scored, (at) => ids[at]!))).toBe("It is 3</s>");
  });

  test("a token across the border of prompt and answer is scored, none of the prompt before it", async () => {
    const tokenizer = await smallTokenizer("qwen2", config);
    const { ids, scored } = languageTokens(
      { kind: "completion", prompt: "the qui", answer: "ck fox" },
      tokenizer,
      options,
    ).examples[0]!;
    const whole = tokenizer.encode("the quick fox");
    expect(Array.from(ids)).toEqual([...whole, tokenizer.eosId]);
    const text = tokenizer.decode(Array.from(scored, (at) => ids[at]!));
    expect("the quick fox<|im_end|>".endsWith(text)).toBe(true);
    expect(text.length).toBeGreaterThanOrEqual("ck fox<|im_end|>".length);
    expect(text.startsWith("the")).toBe(false);
  });

  test("loss on all scores every token but the first", async () => {
    const tokenizer = await smallTokenizer("qwen2", config);
    const content = { kind: "completion", prompt: "a b", answer: " c" } as const;
    const { ids, scored } = languageTokens(content, tokenizer, { ...options, lossOn: "all" }).examples[0]!;
    expect(Array.from(scored)).toEqual(Array.from(ids.subarray(1), (_, i) => i + 1));
  });

  test("an end token is asked for", async () => {
    const content = { kind: "completion", prompt: "a", answer: "b" } as const;
    const tokenizer = await smallTokenizer("qwen2");
    expect(() => languageTokens(content, tokenizer, options)).toThrow(/has no end token/);
  });

  test("what lies beyond the limit is cut and counted, an answer that is cut away whole is no example", async () => {
    const tokenizer = await smallTokenizer("qwen2", config);
    const content = { kind: "completion", prompt: "one two three four five six", answer: " seven" } as const;
    const { length } = languageTokens(content, tokenizer, options).examples[0]!.ids;
    const cut = languageTokens(content, tokenizer, { ...options, maxTokens: length - 1 });
    expect([cut.cut, cut.examples.length]).toEqual([1, 1]);
    expect(languageTokens(content, tokenizer, { ...options, maxTokens: 4 })).toEqual({ examples: [], cut: length - 4 });
  });

  test("a plain text is cut into windows in which every token but the first is scored once", async () => {
    const tokenizer = await smallTokenizer("llama3", { eos_token: "<|eot_id|>" });
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(5);
    const { examples } = languageTokens({ kind: "text", text }, tokenizer, { ...options, maxTokens: 16 });
    const whole = [...tokenizer.encode(text), tokenizer.eosId!];
    expect(whole[0]).toBe(tokenizer.encode("")[0]); // begins with BOS
    expect(examples.flatMap(({ ids, scored }) => Array.from(scored, (at) => ids[at]!))).toEqual(whole.slice(1));
    expect(Math.max(...examples.map(({ ids }) => ids.length))).toBe(16);
  });
});

test("packed rows: mask numbers the examples, positions start again, and the same tokens are scored", async () => {
  const example = (name: string, ids: number[], scored: number[]) => ({
    name,
    ids: Int32Array.from(ids),
    scored: Int32Array.from(scored),
  });
  const examples = [example("a", [5, 6, 7], [2]), example("b", [8, 9], [1]), example("c", [1, 2, 3, 4], [1, 3])];
  const rows = packedRows(examples, 6);
  const split = new LanguageSplit(rows, { padId: 0, maxTokens: 6, positions: true, tokenTypes: false });
  expect(split.names).toEqual(["a and 1 more", "c"]);
  const inputs = await split.inputs([0, 1]);
  const values = (name: string) => Array.from(inputs[name]!.data, Number);
  expect(inputs["input_ids"]!.shape).toEqual([2, 6]); // not 8: no row is padded beyond the limit
  expect(values("input_ids")).toEqual([5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 0, 0]);
  expect(values("attention_mask")).toEqual([1, 1, 1, 2, 2, 0, 1, 1, 1, 1, 0, 0]);
  expect(values("position_ids")).toEqual([0, 1, 2, 0, 1, 0, 0, 1, 2, 3, 0, 0]);
  expect(values("scored")).toEqual([1, 3, 6, 8]);
  expect(split.targets([0, 1])).toEqual({ kind: "labels", labels: Int32Array.from([7, 9, 2, 4]) });
  expect([split.rows(0), split.rows(1)]).toEqual([2, 2]);
  expect(Array.from(split.lengths)).toEqual([5, 4]);
});
