/** The pictures that a run's folder holds. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fields } from "../formats/fields.js";
import { writeFileAtomic } from "../formats/folder.node.js";
import { brokenLine, jsonLines } from "../search/json-lines.js";
import type { Run } from "../search/run.node.js";
import { type FoundCandidate, type LoggedValidation, pictureCurve } from "./curve-picture.js";
import { pictureStructure } from "./structure-picture.js";

/**
 * Writes `structure.svg`, where a structure is chosen, and `curve.svg`, from the run's logs: equal logs give equal bytes.
 *
 * @returns their paths; none for a run without a folder
 */
export async function writePictures({ folder, adapted, genome, plan, search }: Run): Promise<readonly string[]> {
  if (folder === undefined) return [];
  const { layers, a } = adapted.space;
  const written: string[] = [];
  const write = async (file: string, svg: string): Promise<void> => {
    await writeFileAtomic(join(folder, file), svg);
    written.push(join(folder, file));
  };
  if (genome && layers.length > 0) await write("structure.svg", pictureStructure(layers, genome, a));
  const validations = await entriesOf(folder, "log.jsonl", validationOf);
  if (validations.length === 0) return written;
  const found = search && {
    candidates: await entriesOf(folder, "search.jsonl", candidateOf),
    front: search.front,
    chosen: search.chosen.index,
    fitness: plan.search?.fitness ?? "accuracy",
  };
  const measure = adapted.model.loss === "mse" ? "correlation" : "accuracy";
  await write("curve.svg", pictureCurve({ validations, measure, ...(found && { search: found }) }));
  return written;
}

/** @throws {GloraError} FILE, naming the line, for one that is no entry of the log */
async function entriesOf<T>(folder: string, file: string, read: (fields: Fields) => T): Promise<T[]> {
  const path = join(folder, file);
  return jsonLines(await readFile(path, "utf8"), path).map(({ json, number }) => {
    const fields = new Fields(json);
    const entry = read(fields);
    if (fields.problems.length > 0) throw brokenLine(path, number, fields.problems[0]!);
    return entry;
  });
}

const validationOf = (fields: Fields): LoggedValidation => ({
  phase: fields.text("phase"),
  epoch: numberOf(fields, "epoch")!,
  trainLoss: numberOf(fields, "trainLoss")!,
  loss: numberOf(fields, "loss"),
  accuracy: numberOf(fields, "accuracy"),
});

const candidateOf = (fields: Fields): FoundCandidate => ({
  index: fields.natural("index", undefined, 0),
  parameters: fields.natural("parameters", undefined, 0),
  accuracy: numberOf(fields, "accuracy")!,
  loss: numberOf(fields, "loss") ?? Number.POSITIVE_INFINITY,
});

/** JSON has null for what is no finite number. */
const numberOf = (fields: Fields, key: string): number | undefined =>
  fields.has(key) ? fields.numbers(key)[0] : undefined;
