import { GloraError, messageOf } from "../../base/errors.js";
import { throwProblems } from "../../formats/fields.js";
import { type Folder, readText } from "../../formats/folder.js";
import { chatTemplate, type SpecialTexts } from "./chat-template.js";
import { type AddedToken, readAddedToken, sectioner } from "./tokenizer/added-tokens.js";
import { Component } from "./tokenizer/component.js";
import { cleanUp, type Decoder, decoders } from "./tokenizer/decoders.js";
import { readTokenizerJson } from "./tokenizer/json-text.js";
import { type Normalizer, normalizers } from "./tokenizer/normalizers.js";
import { type PostProcessor, postProcessors, type Run } from "./tokenizer/post-processors.js";
import { preTokenizers } from "./tokenizer/pre-tokenizers.js";
import type { WordModel } from "./tokenizer/word-model.js";
import { modelType, wordModels } from "./tokenizer/word-models.js";
import type { EncodeOptions, Encoding, Message, Tokenizer } from "./tokenizer.js";

/**
 * The tokenizer of a Hugging Face folder: tokenizer.json, and what tokenizer_config.json, special_tokens_map.json and
 * chat_template.jinja say of its special tokens and of conversations. Truncation and padding in tokenizer.json are left
 * out: they are the caller's.
 *
 * @throws {GloraError} FILE if there is none, if it is over 64 MiB or nested without end, or if a part of it is damaged
 *   or not known; one error names all that is wrong
 */
export async function openTokenizer(folder: Folder): Promise<Tokenizer> {
  const json = await readTokenizerJson(folder, "tokenizer.json");
  const name = `${folder.name}/tokenizer.json`;
  if (json === undefined)
    throw new GloraError(
      "FILE",
      `${folder.name}: has no tokenizer.json. Save the tokenizer with transformers' save_pretrained (a fast tokenizer).`,
      { folder: folder.name, file: "tokenizer.json" },
    );
  const config = (await optionalObject(folder, "tokenizer_config.json")) ?? new Component({}, [], "");
  const map = (await optionalObject(folder, "special_tokens_map.json")) ?? new Component({}, [], "");
  const problems: string[] = [];
  const pipeline = readPipeline(new Component(json, problems, ""), problems);
  throwProblems("FILE", name, problems);

  const special = (key: string): string | undefined => tokenText(config.raw(key)) ?? tokenText(map.raw(key));
  const texts: SpecialTexts = {};
  for (const key of ["bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token"]) {
    const text = special(key);
    if (text !== undefined) texts[key] = text;
  }
  const template = (await folder.open("chat_template.jinja"))
    ? await readText(folder, "chat_template.jinja")
    : namedTemplate(config.raw("chat_template"));
  const render = template === undefined ? undefined : chatTemplate(template, texts, folder.name);
  return build(folder.name, pipeline, texts, config.raw("clean_up_tokenization_spaces") === true, render);
}

/**
 * Refuses a tokenizer that names tokens for which a model has no embedding.
 * @throws {GloraError} CONFIG
 */
export function checkVocabulary(tokenizer: Tokenizer, vocabulary: number, model: string): void {
  if (tokenizer.vocabulary <= vocabulary) return;
  const largest = tokenizer.vocabulary - 1;
  throw new GloraError(
    "CONFIG",
    `${model}: the tokenizer does not fit the model: its largest id is ${largest} (${JSON.stringify(tokenizer.piece(largest))}), ` +
      `the model has embeddings for ${vocabulary} tokens (0 … ${vocabulary - 1}). Put the tokenizer.json that belongs to these weights beside them.`,
    { largest, vocabulary },
  );
}

async function optionalObject(folder: Folder, file: string): Promise<Component | undefined> {
  const json = await readTokenizerJson(folder, file);
  if (json === undefined) return undefined;
  const problems: string[] = [];
  const part = new Component(json, problems, "");
  throwProblems("FILE", `${folder.name}/${file}`, problems);
  return part;
}

/** A token as a config writes it: its text, or an object with the text in `content`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === "object" && value !== null && "content" in value) return tokenText(value.content);
  return typeof value === "string" ? value : undefined;
}

/** A template, or the default one of a list of named ones. */
function namedTemplate(value: unknown): string | undefined {
  if (!Array.isArray(value)) return typeof value === "string" ? value : undefined;
  const named = value.find((entry) => entry?.name === "default") ?? value[0];
  return typeof named?.template === "string" ? named.template : undefined;
}

interface Pipeline {
  readonly sections: ReturnType<typeof sectioner>;
  readonly words: (piece: { text: string; first: boolean }) => readonly { readonly text: string }[];
  readonly model: WordModel;
  readonly postProcess: PostProcessor;
  readonly decode: Decoder;
  readonly added: readonly AddedToken[];
  readonly normalize: Normalizer;
}

function readPipeline(file: Component, problems: string[]): Pipeline {
  const part = <T>(key: string, table: Readonly<Record<string, (part: Component) => T>>): T | undefined =>
    file.has(key) ? new Component(file.raw(key), problems, key).build(table) : undefined;
  const normalize = part("normalizer", normalizers) ?? ((text) => text);
  const preTokenize = part("pre_tokenizer", preTokenizers);
  const postProcess = part("post_processor", postProcessors) ?? ((runs) => runs);
  const decode = part("decoder", decoders);
  const modelPart = new Component(file.raw("model") ?? {}, problems, "model");
  if (!file.has("model")) file.refuse("model", "is missing");
  const model = modelPart.build(wordModels, modelType(modelPart));
  const added = (file.has("added_tokens") ? file.list("added_tokens") : []).map((token, i) =>
    readAddedToken(new Component(token, problems, `added_tokens[${i}]`)),
  );
  if (problems.length === 0) {
    const ids = new Set([...model!.vocabulary.values(), ...added.map(({ id }) => id)]);
    for (const runs of [1, 2]) {
      const around = postProcess(Array(runs).fill({ ids: [], typeId: 0 }), true);
      const unknown = around.flatMap((run) => run.ids).find((id) => !ids.has(id));
      if (unknown !== undefined) file.refuse("post_processor", `${unknown} is the id of no token`);
    }
  }
  return {
    sections: problems.length > 0 ? () => [] : sectioner(added, normalize),
    words: (piece) => preTokenize?.([piece]) ?? [piece],
    model: model ?? { vocabulary: new Map(), encode: () => [] },
    postProcess,
    decode: decode ?? ((tokens) => [tokens.join(" ")]),
    added,
    normalize,
  };
}

/** Words whose tokens are kept, and the longest of them, in UTF-16 units. */
const CACHED = 50_000;
const LONGEST_CACHED = 64;

function build(
  name: string,
  { sections, words, model, postProcess, decode, added, normalize }: Pipeline,
  texts: SpecialTexts,
  clean: boolean,
  render: ((messages: readonly Message[], addGenerationPrompt: boolean) => string) | undefined,
): Tokenizer {
  const pieces: string[] = [];
  for (const [token, id] of model.vocabulary) pieces[id] = token;
  const specialIds = new Set<number>();
  const byContent = new Map(model.vocabulary);
  for (const { id, content, special, normalized } of added) {
    pieces[id] = normalized ? normalize(content) : content; // as it is found in a text: "▁<new>"
    byContent.set(content, id);
    if (special) specialIds.add(id);
  }
  const idOf = (key: string): number | undefined => {
    const text = texts[key];
    return text === undefined ? undefined : byContent.get(text);
  };

  const cache = new Map<string, readonly number[]>();
  const encodeWord = (word: string): readonly number[] => {
    const known = cache.get(word);
    if (known) return known;
    const ids = model.encode(word);
    if (word.length <= LONGEST_CACHED) {
      if (cache.size >= CACHED) cache.clear();
      cache.set(word, ids);
    }
    return ids;
  };
  const run = (text: string): number[] => {
    const ids: number[] = [];
    try {
      for (const section of sections(text)) {
        if (typeof section === "number") ids.push(section);
        else for (const word of words(section)) for (const id of encodeWord(word.text)) ids.push(id);
      }
    } catch (thrown) {
      throw new GloraError(
        "DATA",
        `${name}/tokenizer.json: the text cannot be tokenized: ${messageOf(thrown)}`,
        { text },
        thrown,
      );
    }
    return ids;
  };
  const encodePair = (text: string, second: string | undefined, special: boolean, maxTokens?: number): Encoding => {
    const whole = [{ ids: run(text), typeId: 0 }];
    if (second !== undefined) whole.push({ ids: run(second), typeId: 1 });
    const around = postProcess(
      whole.map(({ typeId }) => ({ ids: [], typeId })),
      special,
    );
    const runs = maxTokens === undefined ? whole : truncated(whole, maxTokens - countOf(around));
    const done = postProcess(runs, special);
    return {
      ids: Int32Array.from(done.flatMap(({ ids }) => ids)),
      typeIds: Int32Array.from(done.flatMap(({ ids, typeId }) => ids.map(() => typeId))),
      cut: countOf(whole) - countOf(runs),
    };
  };

  return {
    vocabulary: pieces.length,
    bosId: idOf("bos_token"),
    eosId: idOf("eos_token"),
    padId: idOf("pad_token"),
    encode: (text, { special = true }: EncodeOptions = {}) => encodePair(text, undefined, special).ids,
    encodePair: (text, second, { maxTokens } = {}) => encodePair(text, second, true, maxTokens),
    decode: (ids, { skipSpecial = false } = {}) => {
      const tokens: string[] = [];
      for (const id of ids)
        if (pieces[id] !== undefined && !(skipSpecial && specialIds.has(id))) tokens.push(pieces[id]);
      const text = decode(tokens).join("");
      return clean ? cleanUp(text) : text;
    },
    piece: (id) => pieces[id] ?? "",
    isSpecial: (id) => specialIds.has(id),
    chat: render !== undefined,
    renderChat: (messages, { addGenerationPrompt = false } = {}) => {
      if (render) return render(messages, addGenerationPrompt);
      throw new GloraError(
        "CONFIG",
        `${name}: has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json).`,
        {
          folder: name,
        },
      );
    },
  };
}

const countOf = (runs: readonly Run[]): number => runs.reduce((sum, { ids }) => sum + ids.length, 0);

/** Cut to so many tokens in all, at the ends, as transformers' "longest_first" does. */
function truncated(runs: readonly Run[], room: number): readonly Run[] {
  if (countOf(runs) <= room) return runs;
  const [first, second] = runs;
  if (!second) return [{ ...first!, ids: first!.ids.slice(0, Math.max(0, room)) }];
  let [short, long] = [first!.ids.length, second.ids.length].sort((a, b) => a - b) as [number, number];
  long = short > room ? short : Math.max(short, room - short);
  if (short + long > room) {
    short = Math.max(0, Math.floor(room / 2));
    long = Math.max(0, room - short);
  }
  const [a, b] = first!.ids.length > second.ids.length ? [long, short] : [short, long];
  return [
    { ...first!, ids: first!.ids.slice(0, a) },
    { ...second, ids: second.ids.slice(0, b) },
  ];
}
