/** Puts the flags of the command line in place of the names that options have in a program. */
import type { GloraError } from "../base/errors.js";
import { flagsOf, type Options } from "./options.js";

/** Options of a program that have other names here. */
const OTHERS: Readonly<Record<string, string>> = {
  augment: "--flip and --random-crop",
  crop: "--random-crop",
  further: "--no-further",
  maxSeconds: "--max-time",
  modelConfig: "--config",
  taskFitness: "--fitness-tasks",
};

/** A word that stands alone: no part of a path, of a flag or of a quotation. */
const WORD = /(?<![\w.$"'`/\\-])[a-z]\w*(?![\w"'`/\\-]|\.\w)/gi;
/** What differs between a run and what it is to go on with: "  options.train.batchSize: not given in the run, 4 now". */
const PLACE = /^( *)(?:options|model)\.([\w.]+)(?=: )/gm;

/**
 * The text of an error with `--clip-norm` where it says `clipNorm`. A name of one word is taken for an option's where it
 * stands in parentheses, or first in an error that is about it; the fields of files keep their names.
 */
export function inFlags({ code, message, details }: GloraError, options: Options): string {
  const known = new Map([
    ...Object.entries(OTHERS),
    ...Object.entries(options).map(([key, spec]) => [key, flagsOf(key, spec).split(" ")[0]!] as const),
  ]);
  const ofFile = code === "CONFIG" || code === "FILE";
  const named = message.replace(WORD, (word, at: number) => {
    const about = details["option"] === word;
    const parenthesised = message[at - 1] === "(" && message[at + word.length] === ")";
    const meant = parenthesised || (about && at === 0) || (/[A-Z]/.test(word) && (about || !ofFile));
    return (meant && known.get(word)) || word;
  });
  if (!("differences" in details)) return named;
  return named.replace(PLACE, (place, indent: string, path: string) => {
    const key = path.split(".").findLast((part) => known.has(part));
    return key === undefined ? place : indent + known.get(key)!;
  });
}
