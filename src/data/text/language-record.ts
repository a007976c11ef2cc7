/** What the records of language data say, before a model's tokenizer and chat template come in. */
import type { TextFormat } from "./text-options.js";
import { type Refuse, show, type TextRecord, textField } from "./text-record.js";
import type { Message } from "./tokenizer.js";

export type LanguageContent =
  /** Every turn of the assistant is an answer. */
  | { readonly kind: "chat"; readonly messages: readonly Message[] }
  | { readonly kind: "instruction"; readonly instruction: string; readonly input: string; readonly answer: string }
  | { readonly kind: "completion"; readonly prompt: string; readonly answer: string }
  /** All of it is learned. */
  | { readonly kind: "text"; readonly text: string };

export type LanguageFormat = Exclude<TextFormat, "classification">;

interface Format {
  /** The fields by which it is known. */
  readonly fields: readonly string[];
  /** Undefined, with problems, if the record is not as it should be. */
  read(record: TextRecord, refuse: Refuse): LanguageContent | undefined;
}

export const languageFormats: Readonly<Record<LanguageFormat, Format>> = {
  messages: {
    fields: ["messages"],
    read: (record, refuse) => chat(record, "messages", ["role", "content"], {}, refuse),
  },
  sharegpt: {
    fields: ["conversations"],
    read: (record, refuse) =>
      chat(record, "conversations", ["from", "value"], { human: "user", gpt: "assistant" }, refuse),
  },
  alpaca: {
    fields: ["instruction", "output"],
    read(record, refuse) {
      const instruction = textField(record, "instruction", refuse);
      const input = (record.fields["input"] ?? "") === "" ? "" : textField(record, "input", refuse);
      const answer = answerField(record, "output", refuse);
      if (instruction === undefined || input === undefined || answer === undefined) return undefined;
      return { kind: "instruction", instruction, input, answer };
    },
  },
  completion: {
    fields: ["prompt", "completion"],
    read(record, refuse) {
      const prompt = textField(record, "prompt", refuse);
      const answer = answerField(record, "completion", refuse);
      return prompt === undefined || answer === undefined ? undefined : { kind: "completion", prompt, answer };
    },
  },
  text: {
    fields: ["text"],
    read(record, refuse) {
      const text = textField(record, "text", refuse);
      if (text?.trim() === "") refuse("the text is empty");
      return text === undefined || text.trim() === "" ? undefined : { kind: "text", text };
    },
  },
};

function answerField(record: TextRecord, key: string, refuse: Refuse): string | undefined {
  const answer = textField(record, key, refuse);
  if (answer?.trim() !== "") return answer;
  refuse(`the answer ("${key}") is empty`);
  return undefined;
}

function chat(
  record: TextRecord,
  key: string,
  [roleKey, contentKey]: readonly [string, string],
  roles: Readonly<Record<string, string>>,
  refuse: Refuse,
): LanguageContent | undefined {
  const list = record.fields[key];
  if (!Array.isArray(list) || list.length === 0) {
    refuse(
      list === undefined
        ? `has no field "${key}" (it has ${Object.keys(record.fields).join(", ") || "none"})`
        : `"${key}" is ${show(list)}; a list of turns is expected`,
    );
    return undefined;
  }
  let sound = true;
  const wrong = (what: string): undefined => {
    sound = false;
    refuse(what);
  };
  const messages = list.map((turn: unknown, i): Message | undefined => {
    const at = `turn ${i + 1}`;
    const { [roleKey]: from, [contentKey]: value } = (turn ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof from !== "string") return wrong(`${at} has no "${roleKey}"`);
    const role = Object.hasOwn(roles, from) ? roles[from]! : from;
    const content = contentText(value);
    if (content === undefined) return wrong(`${at}: "${contentKey}" is ${show(value)}; a text is expected`);
    if (role === "assistant" && content.trim() === "") return wrong(`${at}: the answer is empty`);
    return { role, content };
  });
  if (!sound) return undefined;
  if (!messages.some((message) => message?.role === "assistant")) {
    refuse(`has no turn of the assistant (its turns are of ${list.map((turn) => turn[roleKey]).join(", ")})`);
    return undefined;
  }
  return { kind: "chat", messages: messages.filter((message) => message !== undefined) };
}

/** A text, or OpenAI's list of parts that are all texts. */
function contentText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  const parts = value.map((part) => part?.text);
  return parts.every((part) => typeof part === "string") ? parts.join("") : undefined;
}

/** The format whose fields a record has. */
export const languageFormatOf = (fields: readonly string[]): LanguageFormat | undefined =>
  (Object.keys(languageFormats) as LanguageFormat[]).find((format) =>
    languageFormats[format].fields.every((field) => fields.includes(field)),
  );
