/** Values of options, read from what was typed. A reader says what it expected; the option adds its own name. */
import { GloraError } from "../base/errors.js";

const refuse = (expected: string, text: string): never => {
  throw new GloraError("USAGE", `${expected}; got "${text}".`, { found: text });
};

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/** A count: 100000, 100_000, 100,000, 100k, 0.1M. */
export function parseCount(text: string): number {
  const [, digits, unit] = /^(\d+(?:[_,]\d{3})*(?:\.\d+)?|\d*\.\d+)([kmg]?)$/i.exec(text.trim()) ?? [];
  // Rounded before it is judged: 1.1k is 1100.0000000000002.
  const count = Number(digits?.replace(/[_,]/g, "")) * UNITS[unit?.toLowerCase() ?? ""]!;
  const whole = Math.round(count);
  if (!Number.isSafeInteger(whole) || Math.abs(count - whole) > 1e-6)
    return refuse("a whole number is expected, such as 100000, 100_000, 100k or 0.1M", text);
  return whole;
}

export function parsePositive(text: string): number {
  const count = parseCount(text);
  return count >= 1 ? count : refuse("a whole number of at least 1 is expected", text);
}

/** Most adapter parameters, or an interval, both ends included: 100k, 100k..200k. */
export function parseBudget(text: string): { readonly min: number; readonly max: number } {
  const ends = text.split("..");
  if (ends.length > 2) return refuse("a budget is a count (100k) or an interval (100k..200k)", text);
  const [first, second] = ends.map(parseCount) as [number, number?];
  const budget = second === undefined ? { min: 0, max: first } : { min: first, max: second };
  return budget.min <= budget.max ? budget : refuse("the smaller end of an interval comes first", text);
}

const SECONDS: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, min: 60, s: 1 };

/** A duration in seconds: 1h, 30m, 90s, 1h30m; a number alone is seconds. */
export function parseDuration(text: string): number {
  const compact = text.trim().toLowerCase().replace(/\s+/g, "");
  const alone = /^\d+(\.\d+)?$/.test(compact);
  const parts = [...(alone ? `${compact}s` : compact).matchAll(/(\d+(?:\.\d+)?)(min|[dhms])/g)];
  const seconds = parts.reduce((sum, [, number, unit]) => sum + Number(number) * SECONDS[unit!]!, 0);
  const read = parts.map(([part]) => part).join("");
  if (read !== (alone ? `${compact}s` : compact) || !(seconds > 0))
    return refuse("a duration is expected, such as 1h, 30m, 90s or 1h30m", text);
  return seconds;
}

/** Any number: 0.001, 1e-3. */
export function parseNumber(text: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : refuse("a number is expected, such as 0.001 or 1e-3", text);
}

/** A share: 0.15 or 15%. */
export function parseShare(text: string): number {
  const percent = /^(.*)%$/.exec(text.trim());
  const share = percent ? parseNumber(percent[1]!) / 100 : parseNumber(text);
  return share >= 0 && share <= 1 ? share : refuse("a share from 0 to 1 is expected, such as 0.15 or 15%", text);
}

/** A seed: any natural number below 2⁵³. */
export function parseSeed(text: string): number {
  const seed = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(seed) ? seed : refuse("a seed is a natural number below 2^53", text);
}

export const parseText = (text: string): string => (text === "" ? refuse("a text is expected", text) : text);

/** Items parted by commas. */
export const listOf =
  <T>(parse: (item: string) => T) =>
  (text: string): readonly T[] =>
    text
      .split(",")
      .map((item) => item.trim())
      .map((item) => (item === "" ? refuse("a list parted by commas is expected", text) : parse(item)));

/** Pairs key=value parted by commas, of these keys alone where they are given. */
export const pairsOf =
  <T, K extends string = string>(parse: (value: string) => T, keys?: readonly K[]) =>
  (text: string): Readonly<Partial<Record<K, T>>> => {
    const pairs = new Map<K, T>();
    for (const item of listOf(parseText)(text)) {
      const at = item.indexOf("=");
      if (at < 1) return refuse("pairs are expected, such as name=1,other=2", text);
      const key = (keys ? oneOf(keys)(item.slice(0, at)) : item.slice(0, at)) as K;
      if (pairs.has(key)) return refuse(`"${key}" is given twice`, text);
      pairs.set(key, parse(item.slice(at + 1)));
    }
    return Object.fromEntries(pairs) as Partial<Record<K, T>>;
  };

export const parseYesNo = (text: string): boolean => oneOf(["yes", "no"])(text) === "yes";

/** One of these names. */
export const oneOf =
  <const T extends string>(names: readonly T[]) =>
  (text: string): T =>
    names.find((name) => name === text) ?? refuse(`one of ${names.join(", ")} is expected`, text);
