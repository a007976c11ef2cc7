import { throwProblems } from "../formats/fields.js";
import type { TensorEntry } from "../formats/safetensors.js";

const FLOATS: ReadonlySet<string> = new Set(["F32", "F16", "BF16"]);

/**
 * Checks that a checkpoint holds the tensors that its config speaks of, and nothing else but what is ignored.
 * @param model for messages: what the config says it is
 * @throws {GloraError} "MODEL" with every tensor that is missing, unexpected, misshapen or of a type that is not computed with
 */
export function checkTensors(
  tensors: ReadonlyMap<string, TensorEntry>,
  expected: ReadonlyMap<string, readonly number[]>,
  isIgnored: (name: string) => boolean,
  file: string,
  model: string,
): void {
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (found === undefined) problems.push(`missing: ${name} [${shape}]`);
    else if (`${found.shape}` !== `${shape}`) problems.push(`misshapen: ${name} [${found.shape}], expected [${shape}]`);
    else if (!FLOATS.has(found.dtype))
      problems.push(`unsupported type: ${name} ${found.dtype}, expected F32, F16 or BF16`);
  }
  for (const [name, { shape }] of tensors)
    if (!expected.has(name) && !isIgnored(name)) problems.push(`unexpected: ${name} [${shape}]`);
  throwProblems("MODEL", `${file}: the weights do not fit config.json (${model})`, problems);
}
