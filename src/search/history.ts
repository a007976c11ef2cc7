import { z } from "zod";
import type { Space } from "../adapters/space.js";
import { type Genome, genomeToJson, NO_CHANGE, parseForm, type Structure, SUPPORTS } from "../adapters/structure.js";
import { GloraError } from "../base/errors.js";
import type { Candidate } from "./candidate.js";

const score = z.object({
  accuracy: z.number(),
  // JSON has no infinity: the loss of a candidate that diverged is null.
  loss: z
    .number()
    .nullable()
    .transform((loss) => loss ?? Number.POSITIVE_INFINITY),
});
const line = score.extend({
  index: z.int().nonnegative(),
  generation: z.int().nonnegative(),
  origin: z.enum(["random", "mutant", "crossover"]),
  parents: z.array(z.int().nonnegative()),
  parameters: z.int().nonnegative(),
  key: z.string(),
  layers: z.record(z.string(), z.record(z.string(), z.string())),
  rescored: score.optional(),
});

/**
 * A candidate as one line of a history file (JSON Lines), its newline included. A finalist that is scored again is a
 * second line of the same index, which takes the place of the first.
 */
export function encodeCandidate({ genome, ...rest }: Candidate<Genome>): string {
  return `${JSON.stringify({ ...rest, layers: genomeToJson(genome) })}\n`;
}

/**
 * Reads a history file. A last line that is only half written, as a killed process leaves it, is dropped: whoever goes
 * on writing must first write the file anew from the candidates returned.
 *
 * @param file  the file's name, for errors
 * @throws {GloraError} FILE, naming the line, if another line is no candidate of the space or candidates are missing
 */
export function decodeHistory(text: string, space: Space, file: string): Candidate<Genome>[] {
  const history: Candidate<Genome>[] = [];
  const lines = text.split("\n");
  for (const [number, content] of lines.entries()) {
    if (content === "") continue;
    const fail = (problem: string) =>
      new GloraError("FILE", `${file}, line ${number + 1}: ${problem}. Restore the file, or start the search anew.`, {
        file,
        line: number + 1,
      });
    const json = parseJson(content);
    // A line that was cut is never valid JSON, and only the last one can have been.
    if (json === undefined && number === lines.length - 1) break;
    const { data, error } = line.safeParse(json);
    if (!data) throw fail(`not a candidate (${json === undefined ? "no JSON" : issueText(error)})`);
    if (data.index > history.length) {
      throw fail(`expected candidate ${history.length}, found ${data.index}: lines before it are missing`);
    }
    const { layers, rescored, ...rest } = data;
    const genome = readGenome(layers, space, fail);
    history[data.index] = { ...rest, genome, ...(rescored && { rescored }) };
  }
  return history;
}

function readGenome(
  layers: Record<string, Record<string, string>>,
  space: Space,
  fail: (problem: string) => GloraError,
): Genome {
  const unknown = Object.keys(layers).find((name) => !space.forms.has(name));
  if (unknown !== undefined) throw fail(`layer "${unknown}" is not adapted in this run`);
  const structure = (name: string): Structure => {
    const found = layers[name] ?? {};
    const forms = SUPPORTS.map((support) => {
      const form = parseForm(found[support] ?? "none", support, space.a);
      if (!form) throw fail(`support ${support} of "${name}" has no form "${found[support]}"`);
      return [support, form];
    });
    return { ...NO_CHANGE, ...Object.fromEntries(forms) };
  };
  return new Map(space.layers.map(({ name }) => [name, structure(name)]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function issueText(error: z.ZodError): string {
  const issue = error.issues[0]!;
  return `field "${issue.path.join(".")}": ${issue.message}`;
}
