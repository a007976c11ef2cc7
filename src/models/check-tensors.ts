import { GloraError } from "../base/errors.js";
import { throwProblems } from "../formats/fields.js";
import type { TensorEntry } from "../formats/safetensors.js";

const FLOATS: ReadonlySet<string> = new Set(["F32", "F16", "BF16"]);
/** Buffers of older checkpoints, of any family: numbers that the config implies. */
const BUFFER = /(^|\.)(position_ids|token_type_ids|inv_freq|cos_cached|sin_cached)$/;

/**
 * Checks that a checkpoint holds the tensors that its config speaks of, and nothing else but buffers and what may be unused.
 * @param model for messages: what the config says it is
 * @returns the names of those that are unused, buffers left out
 * @throws {GloraError} "MODEL" with every tensor that is missing, unexpected, misshapen or of a type that is not computed with
 */
export function checkTensors(
  tensors: ReadonlyMap<string, TensorEntry>,
  expected: ReadonlyMap<string, readonly number[]>,
  mayBeUnused: (name: string) => boolean,
  file: string,
  model: string,
): readonly string[] {
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (found === undefined) problems.push(`missing: ${name} [${shape}]`);
    else if (`${found.shape}` !== `${shape}`) problems.push(`misshapen: ${name} [${found.shape}], expected [${shape}]`);
    else if (!FLOATS.has(found.dtype))
      problems.push(`unsupported type: ${name} ${found.dtype}, expected F32, F16, BF16 or F64`);
  }
  const others = [...tensors.keys()].filter((name) => !expected.has(name) && !BUFFER.test(name));
  for (const name of others) if (!mayBeUnused(name)) problems.push(`unexpected: ${name} [${tensors.get(name)!.shape}]`);
  throwProblems("MODEL", `${file}: the weights do not fit config.json (${model})`, problems);
  return others;
}

/**
 * A depth above the file's would name layers without end; a file without any layer is told tensor by tensor.
 * @param prefix what the names of the layers begin with, up to the number
 * @param model  for messages: what the config says it is
 * @throws {GloraError} "MODEL" if the config says more layers than the weights hold
 */
export function checkDepth(
  tensors: ReadonlyMap<string, unknown>,
  prefix: string,
  depth: number,
  file: string,
  model: string,
): void {
  const numbers = [...tensors.keys()].flatMap((name) =>
    name.startsWith(prefix) ? (/^\d+(?=\.)/.exec(name.slice(prefix.length)) ?? []) : [],
  );
  const found = new Set(numbers).size;
  if (depth <= (found || tensors.size)) return;
  const layers = (count: number): string => `${count} layer${count === 1 ? "" : "s"}`;
  throw new GloraError(
    "MODEL",
    `${file}: config.json (${model}) says ${layers(depth)}, but the weights hold ${layers(found)} (${prefix}0 and so on). ` +
      "Give the config and the weights of one model.",
    { file, expected: depth, actual: found },
  );
}
