/** From the cells of a label column to what a model is trained to say. */
import type { Task } from "../task.js";
import type { TextOptions } from "./text-options.js";
import { show } from "./text-record.js";

export interface Labelled {
  readonly task: Task;
  /** The class of a cell, or its values; else what is wrong with it. */
  read(value: unknown): { readonly label: number; readonly values: readonly number[] } | string;
}

/** @param values the label cells of the training records; `name` of their column */
export function labelsFrom(values: readonly unknown[], name: string, o: TextOptions): Labelled {
  const lists = 2 * values.filter(Array.isArray).length > values.length; // fewer are mistakes
  const kind = o.task ?? (lists || o.labelSeparator !== undefined ? "multi-label" : "classes");
  if (kind === "regression") return numbers({ kind, labels: [name] }, name);
  if (kind === "similarity") return numbers({ kind }, name, 0, 1);
  return kind === "classes" ? classes(values, o) : multiLabel(values, o);
}

function numbers(
  task: Task,
  name: string,
  least = Number.NEGATIVE_INFINITY,
  most = Number.POSITIVE_INFINITY,
): Labelled {
  return {
    task,
    read(value) {
      const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      if (typeof number !== "number" || !Number.isFinite(number))
        return `"${name}" is ${show(value)}; a number is expected`;
      if (number < least || number > most)
        return `"${name}" is ${number}; a number from ${least} to ${most} is expected`;
      return { label: -1, values: [number] };
    },
  };
}

/** A class as a text; undefined for what cannot be one. */
function className(value: unknown): string | undefined {
  if (typeof value === "string") return value.trim() === "" ? undefined : value.trim();
  return Number.isSafeInteger(value) || typeof value === "boolean" ? String(value) : undefined;
}

function classes(values: readonly unknown[], o: TextOptions): Labelled {
  const found = new Set(values.map(className).filter((name) => name !== undefined));
  const { labels, missing } = o.labels ? { labels: o.labels, missing: undefined } : orderOf(found);
  const numbers = new Map(labels.map((label, i) => [label, i]));
  return {
    task: { kind: "classes", labels },
    read(value) {
      const name = className(value);
      if (name === undefined) return `the label is ${show(value ?? "")}; a text or a whole number is expected`;
      const label =
        numbers.get(name) ?? (o.labels && WHOLE.test(name) && Number(name) < labels.length ? Number(name) : undefined);
      if (label !== undefined) return { label, values: [] };
      const some = labels.length > 8 ? `${labels.slice(0, 8).join(", ")}, …` : labels.join(", ");
      const why = missing === undefined ? "" : `; no training record has ${missing}`;
      return `the label ${JSON.stringify(name)} is out of range: the ${labels.length} labels are ${some}${why}`;
    },
  };
}

const WHOLE = /^\d+$/;

/**
 * Whole numbers from 0 or 1 on keep their order up to the first that does not occur: what lies beyond is a mistake, or
 * the classes must be named. Other labels are sorted, as Python sorts.
 */
function orderOf(found: ReadonlySet<string>): {
  readonly labels: readonly string[];
  readonly missing: number | undefined;
} {
  const whole = [...found].every((name) => /^-?\d+$/.test(name));
  if (!whole) return { labels: [...found].sort(byCodePoint), missing: undefined };
  const sorted = [...found].map(Number).sort((a, b) => a - b);
  const first = [0, 1].find((start) => found.has(String(start)));
  if (first === undefined) return { labels: sorted.map(String), missing: undefined };
  let end = first;
  while (found.has(String(end))) end++;
  const labels = Array.from({ length: end - first }, (_, i) => String(first + i));
  return { labels, missing: sorted.at(-1)! > end ? end : undefined };
}

function byCodePoint(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < Math.min(left.length, right.length); i++)
    if (left[i] !== right[i]) return left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!;
  return left.length - right.length;
}

function multiLabel(values: readonly unknown[], o: TextOptions): Labelled {
  const split = (value: unknown): readonly unknown[] => {
    if (Array.isArray(value)) return value;
    if (o.labelSeparator === undefined || typeof value !== "string") return [value];
    return value.split(o.labelSeparator).filter((part) => part.trim() !== "");
  };
  const found = new Set(
    values
      .flatMap(split)
      .map(className)
      .filter((name) => name !== undefined),
  );
  const whole = [...found].every((name) => WHOLE.test(name));
  const labels = o.labels ?? [...found].sort(whole ? (a, b) => Number(a) - Number(b) : byCodePoint);
  return {
    task: { kind: "multi-label", labels },
    read(value) {
      const row = labels.map(() => 0);
      for (const part of split(value)) {
        const at = labels.indexOf(className(part) ?? "");
        if (at < 0)
          return `the label ${show(part)} is out of range: the ${labels.length} labels are ${labels.slice(0, 8).join(", ")}`;
        row[at] = 1;
      }
      return { label: -1, values: row };
    },
  };
}
