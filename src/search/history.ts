import type { Space } from "../adapters/space.js";
import { type Genome, genomeToJson, NO_CHANGE, parseForm, type Structure, SUPPORTS } from "../adapters/structure.js";
import type { GloraError } from "../base/errors.js";
import { Fields } from "../formats/fields.js";
import type { Candidate, Origin, Score } from "./candidate.js";
import { brokenLine, type JsonLine } from "./json-lines.js";

/** A candidate as one line of a history file (JSON Lines), its newline included. */
export function encodeCandidate({ genome, ...rest }: Candidate<Genome>): string {
  return `${JSON.stringify({ ...rest, layers: genomeToJson(genome) })}\n`;
}

/**
 * The candidates of a history file's lines.
 *
 * @param file  the file's name, for errors
 * @throws {GloraError} FILE, naming the line, if one is no candidate of the space or candidates are missing
 */
export function decodeHistory(lines: readonly JsonLine[], space: Space, file: string): Candidate<Genome>[] {
  const history: Candidate<Genome>[] = [];
  for (const { number, json } of lines) {
    const fail = (problem: string) => brokenLine(file, number, problem);
    const fields = new Fields(json);
    const index = fields.natural("index", undefined, 0);
    const candidate = {
      index,
      generation: fields.natural("generation", undefined, 0),
      origin: fields.choice<Origin>("origin", undefined, {
        seed: "seed",
        random: "random",
        mutant: "mutant",
        crossover: "crossover",
      }),
      parents: readParents(fields),
      parameters: fields.natural("parameters", undefined, 0),
      key: fields.text("key"),
      ...readScore(fields),
    };
    const genome = readGenome(fields.object("layers"), space, fail);
    if (fields.problems.length > 0) throw fail(`not a candidate (${fields.problems[0]})`);
    if (index !== history.length)
      throw fail(`expected candidate ${history.length}, found ${index}: lines are missing or repeated`);
    history[index] = { ...candidate, genome };
  }
  return history;
}

/** JSON has no infinity: the loss of a candidate that diverged is null. */
const readScore = (fields: Fields): Score => ({
  accuracy: fields.numbers("accuracy")[0]!,
  loss: fields.has("loss") ? fields.numbers("loss")[0]! : Number.POSITIVE_INFINITY,
});

function readParents(fields: Fields): readonly number[] {
  const parents = fields.raw("parents");
  if (Array.isArray(parents) && parents.every((p) => Number.isSafeInteger(p) && p >= 0)) return parents;
  fields.refuse("parents", "a list of natural numbers is expected");
  return [];
}

function readGenome(layers: Fields, space: Space, fail: (problem: string) => GloraError): Genome {
  const unknown = layers.keys.find((name) => !space.forms.has(name));
  if (unknown !== undefined) throw fail(`layer "${unknown}" is not adapted in this run`);
  const structure = (name: string): Structure => {
    const found = layers.object(name);
    const forms = SUPPORTS.map((support) => {
      const text = found.raw(support) ?? "none";
      const form = parseForm(text, support, space.a);
      if (!form) throw fail(`support ${support} of "${name}" has no form "${text}"`);
      return [support, form];
    });
    return { ...NO_CHANGE, ...Object.fromEntries(forms) };
  };
  return new Map(space.layers.map(({ name }) => [name, structure(name)]));
}
