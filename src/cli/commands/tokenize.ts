import { GloraError, messageOf } from "../../base/errors.js";
import { openTokenizer } from "../../data/text/open-tokenizer.js";
import type { Tokenizer } from "../../data/text/tokenizer.js";
import { openFolder } from "../../formats/folder.node.js";
import { type Line, linesOf } from "../../formats/lines.js";
import { defineCommand } from "../command.js";
import { table } from "../table.js";

const INPUT = "standard input";

export const tokenize = defineCommand({
  name: "tokenize",
  summary: "Print the token ids of a text, and the piece of text that each stands for.",
  details:
    "The text is the argument, or else standard input; the tokens that the model puts around it are shown too. With --json " +
    "no tokens are added: one JSON string a line is read from standard input (without the argument), one array of ids a line " +
    "is printed.",
  arguments: { model: "folder of the model, with its tokenizer.json" },
  optional: { text: "the text" },
  options: {},
  examples: [
    { command: "glora tokenize models/smollm2 'unbelievable'", text: "The tokens of a word" },
    {
      command: "glora tokenize models/smollm2 --json",
      text: "Ids of the JSON strings on standard input, for a program",
    },
  ],
  async run({ model, text }, context) {
    const tokenizer = await openTokenizer(await openFolder(model));
    const plainIds = (input: string): Int32Array => tokenizer.encode(input, { special: false });
    if (!context.json) {
      context.print(tokenTable(tokenizer, text ?? (await inputText())));
    } else if (text !== undefined) {
      context.emit(plainIds(text));
    } else {
      for await (const line of linesOf(process.stdin, INPUT)) context.emit(plainIds(jsonString(line)));
    }
  },
});

function tokenTable(tokenizer: Tokenizer, text: string): string {
  // Ids are names, not counts: without separators.
  const rows = Array.from(tokenizer.encode(text), (id) => [String(id), JSON.stringify(tokenizer.piece(id))]);
  return table([{ title: "id", align: "right" }, "piece"], rows);
}

async function inputText(): Promise<string> {
  const lines: string[] = [];
  for await (const line of linesOf(process.stdin, INPUT)) lines.push(line.text);
  return lines.join("\n");
}

function jsonString({ number, text }: Line): string {
  const refuse = (what: string, cause?: unknown): never => {
    throw new GloraError(
      "DATA",
      `${INPUT}, line ${number}: ${what}; a JSON string a line is expected.`,
      { line: number },
      cause,
    );
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (thrown) {
    return refuse(text.trim() === "" ? "is empty" : `not valid JSON: ${messageOf(thrown)}`, thrown);
  }
  return typeof value === "string"
    ? value
    : refuse(`is no string but ${text.length > 40 ? `${text.slice(0, 37)}...` : text}`);
}
