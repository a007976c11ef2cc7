import * as library from "@huggingface/tokenizers";
import { isBounded } from "../../../base/backtracking.js";
import { messageOf } from "../../../base/errors.js";
import { Fields } from "../../../formats/fields.js";

// The package's own declarations cannot be resolved from a module: their imports have no file endings.
const { SplitPreTokenizer } = library as unknown as {
  readonly SplitPreTokenizer: new (config: {
    readonly type: "Split";
    readonly pattern: { readonly Regex: string };
    readonly invert: boolean;
  }) => { readonly pattern: RegExp | null };
};

/** A part of a tokenizer.json: an object with a "type"; its problems are collected in the file's list. */
export class Component extends Fields {
  readonly #where: string;

  constructor(value: unknown, problems: string[], where: string) {
    super(value, problems, where === "" ? "" : `${where}.`);
    this.#where = where;
  }

  get type(): string {
    const type = this.raw("type");
    return typeof type === "string" ? type : "";
  }

  /** What a table makes of this part by its type. */
  build<T>(table: Readonly<Record<string, (part: Component) => T>>, type = this.type): T | undefined {
    const make = Object.hasOwn(table, type) ? table[type] : undefined;
    if (make) return make(this);
    this.refuse("type", `${JSON.stringify(this.raw("type"))} is not known; known are ${Object.keys(table).join(", ")}`);
    return undefined;
  }

  /** The parts in a list; those that a table does not know are left out, with a problem. */
  parts<T>(key: string, table: Readonly<Record<string, (part: Component) => T>>): T[] {
    return this.list(key)
      .map((item, i) => new Component(item, this.problems, `${this.#where}.${key}[${i}]`).build(table))
      .filter((part) => part !== undefined);
  }

  list(key: string): readonly unknown[] {
    const value = this.raw(key);
    if (!Array.isArray(value)) this.refuse(key, "a list is expected");
    return Array.isArray(value) ? value : [];
  }

  /**
   * A pattern: {"String": …} or {"Regex": …} in Oniguruma's syntax, as a global Unicode expression. @huggingface/tokenizers
   * translates that syntax; within (?i:…) it folds the case of ASCII alone, where Oniguruma takes ſ for an s and K (the
   * Kelvin sign) for a k as well.
   */
  pattern(key: string): RegExp {
    const pattern = this.object(key);
    const source = pattern.has("String") ? escapeRegExp(pattern.text("String")) : pattern.text("Regex");
    if (pattern.has("String")) return new RegExp(source, "gu");
    try {
      const expression = new SplitPreTokenizer({ type: "Split", pattern: { Regex: source }, invert: false }).pattern;
      if (expression && isBounded(expression.source)) return expression;
      this.refuse(
        key,
        `the expression ${JSON.stringify(source)} can take hours for a text of a few lines: repetitions without a limit stand ` +
          "within each other, or behind each other. No tokenizer that we know needs that; is the file what it should be?",
      );
    } catch (error) {
      this.refuse(key, `the expression cannot be read: ${messageOf(error)}`);
    }
    return NEVER;
  }
}

const NEVER = /(?!)/gu;

export const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
