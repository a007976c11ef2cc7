import { type ErrorCode, GloraError } from "../base/errors.js";

/** Height and width, as every library orders them. */
export type Size = readonly [height: number, width: number];

/**
 * Reads the fields of a JSON object, and collects all that is wrong with them instead of stopping at the first, so that
 * one error can tell everything about a file. `null` counts as absent. A field without a fallback must be there.
 * What a method returns after a problem is a placeholder: {@link throwProblems} comes before any use of it.
 */
export class Fields {
  readonly problems: string[];
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #prefix: string;

  constructor(value: unknown, problems: string[] = [], prefix = "") {
    this.problems = problems;
    this.#prefix = prefix;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isObject) problems.push(`${prefix.slice(0, -1) || "the file"}: an object is expected, not ${show(value)}`);
    this.#object = isObject ? (value as Record<string, unknown>) : {};
  }

  get keys(): string[] {
    return Object.keys(this.#object);
  }

  /** The raw value; undefined if it is absent or null. */
  raw(key: string): unknown {
    return (Object.hasOwn(this.#object, key) ? this.#object[key] : undefined) ?? undefined;
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  /** The object in a field; an empty one if it is absent. */
  object(key: string): Fields {
    return new Fields(this.raw(key) ?? {}, this.problems, `${this.#prefix}${key}.`);
  }

  natural(key: string, fallback?: number, least = 1): number {
    const expected = least === 0 ? "a natural number" : "a positive whole number";
    return this.#read(key, fallback, expected, (value) => (isWhole(value, least) ? value : undefined)) ?? 1;
  }

  /** A number that float32 can hold. */
  positive(key: string, fallback?: number): number {
    const accept = (value: unknown): number | undefined =>
      isNumber(value) && value > 0 && Number.isFinite(Math.fround(value)) ? value : undefined;
    return this.#read(key, fallback, "a positive number", accept) ?? 1;
  }

  boolean(key: string, fallback?: boolean): boolean {
    const accept = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);
    return this.#read(key, fallback, "true or false", accept) ?? false;
  }

  text(key: string, fallback?: string): string {
    const accept = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
    return this.#read(key, fallback, "a text", accept) ?? "";
  }

  /** One of the keys of `choices`, as its value. */
  choice<T>(key: string, fallback: string | undefined, choices: Readonly<Record<string, T>>): T {
    const accept = (value: unknown): string | undefined =>
      (typeof value === "string" || typeof value === "number") && Object.hasOwn(choices, value)
        ? `${value}`
        : undefined;
    const names = Object.keys(choices);
    return choices[this.#read(key, fallback, `one of ${names.join(", ")}`, accept) ?? names[0]!]!;
  }

  /** A number for both edges, or [height, width]. */
  size(key: string, fallback?: Size): Size {
    const accept = (value: unknown): Size | undefined => {
      if (isWhole(value, 1)) return [value, value];
      const pair = Array.isArray(value) && value.length === 2 && value.every((edge) => isWhole(edge, 1));
      return pair ? (value as unknown as Size) : undefined;
    };
    return this.#read(key, fallback, "a positive whole number or [height, width]", accept) ?? [1, 1];
  }

  /** Numbers, at least one; a single number counts as a list of one. */
  numbers(key: string, fallback?: readonly number[]): readonly number[] {
    const accept = (value: unknown): readonly number[] | undefined => {
      const list = Array.isArray(value) ? value : [value];
      return list.length > 0 && list.every(isNumber) ? list : undefined;
    };
    return this.#read(key, fallback, "a list of numbers", accept) ?? [1];
  }

  /** Notes a problem of a field. */
  refuse(key: string, what: string): void {
    this.problems.push(`${this.#prefix}${key}: ${what}`);
  }

  #read<T>(
    key: string,
    fallback: T | undefined,
    expected: string,
    accept: (value: unknown) => T | undefined,
  ): T | undefined {
    const value = this.raw(key);
    if (value === undefined) {
      if (fallback === undefined) this.refuse(key, `is missing; ${expected} is expected`);
      return fallback;
    }
    const accepted = accept(value);
    if (accepted === undefined) this.refuse(key, `${expected} is expected, not ${show(value)}`);
    return accepted;
  }
}

/** One error for all problems of a file; returns if there are none. */
export function throwProblems(code: ErrorCode, file: string, found: readonly string[]): void {
  const problems = [...new Set(found)]; // a field may be read twice
  if (problems.length === 0) return;
  const text = problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n  - ${problem}`).join("");
  throw new GloraError(code, `${file}:${text}`, { file, problems });
}

const isNumber = (value: unknown): value is number => Number.isFinite(value);
const isWhole = (value: unknown, least: number): value is number =>
  Number.isSafeInteger(value) && Number(value) >= least;

/** A value of a file for a message, cut if it is long. */
function show(value: unknown): string {
  if (typeof value === "object" && value !== null)
    return Array.isArray(value) ? `a list of ${value.length}` : "an object";
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
