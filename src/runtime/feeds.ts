/** Compares what is fed to a session with what its graph asks for, before a device sees it. */
import { GloraError } from "../base/errors.js";
import type { Tensor } from "../base/tensor.js";
import { type Dim, evaluateDim, formatShape, symbolsOf } from "../ir/dim.js";
import { formatType, type Graph, type Value } from "../ir/graph.js";

/**
 * @returns the numbers that the symbols of the inputs' shapes stand for
 * @throws {GloraError} USAGE naming the session and the input that is missing, unknown, of another type or shape
 */
export function checkFeeds(
  graph: Pick<Graph, "inputs">,
  feeds: Readonly<Record<string, Tensor>>,
  session: string,
): Readonly<Record<string, number>> {
  const unknown = Object.keys(feeds).find((name) => !graph.inputs.some((input) => input.name === name));
  if (unknown !== undefined)
    throw new GloraError(
      "USAGE",
      `${session}: there is no input "${unknown}"; the inputs are ${listOf(graph.inputs.map((v) => v.name))}.`,
      { session, input: unknown },
    );
  const symbols: Record<string, number> = {};
  for (const input of graph.inputs) checkFeed(input, feeds[input.name], symbols, session);
  return symbols;
}

/**
 * A matrix product over an empty axis ends the process in ONNX Runtime 1.30's WebGPU (a null buffer), and other kernels fail.
 * @throws {GloraError} USAGE
 */
export function refuseEmpty(feeds: Readonly<Record<string, Tensor>>, session: string): void {
  const empty = Object.entries(feeds).find(([, { data }]) => data.length === 0);
  if (!empty) return;
  const [name, { shape }] = empty;
  throw new GloraError(
    "USAGE",
    `${session}: input "${name}" is empty (${formatShape(shape)}), which the device webgpu cannot compute with. ` +
      "Leave this run out, or use the device cpu.",
    { session, input: name, actual: shape },
  );
}

/**
 * What a device is fed: integers of 64 bits narrowed where its graph has 32, and the shapes that the pass `shapesAsInputs` left
 * to the session, with numbers in the place of their symbols.
 *
 * @param lowered  the graph as the device runs it
 * @param feeds  checked against the graph that was lowered
 */
export function deviceFeeds<T extends Tensor>(
  { inputs }: Pick<Graph, "inputs">,
  feeds: Readonly<Record<string, T>>,
  symbols: Readonly<Record<string, number>>,
): Record<string, T | (Tensor & { readonly data: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> })> {
  const found: ReturnType<typeof deviceFeeds<T>> = { ...feeds };
  for (const { name, type } of inputs) {
    const fed = feeds[name];
    if (type.contents) {
      const data = BigInt64Array.from(type.contents, (dim) => BigInt(evaluateDim(dim, symbols)));
      found[name] = { dtype: "int64", shape: [data.length], data };
    } else if (fed?.dtype === "int64" && type.dtype === "int32")
      found[name] = { dtype: "int32", shape: fed.shape, data: Int32Array.from(fed.data as BigInt64Array, Number) };
  }
  return found;
}

/** `symbols` collects the values of dimensions: "batch" is the same number in every input. */
function checkFeed(input: Value, fed: Tensor | undefined, symbols: Record<string, number>, session: string): void {
  const { name, type } = input;
  const fail = (problem: string): GloraError =>
    new GloraError("USAGE", `${session}: input "${name}" must be ${formatType(type)}; ${problem}.`, {
      session,
      input: name,
      expected: type.shape,
      actual: fed?.shape,
    });
  if (!fed) throw fail("it was not given");
  const found = `${fed.dtype}${formatShape(fed.shape)}`;
  const elements = fed.shape.reduce((a, b) => a * b, 1);
  if (fed.data.length !== elements) throw fail(`${found} was given with ${fed.data.length} elements`);
  if (fed.dtype !== type.dtype || fed.shape.length !== type.shape.length) throw fail(`${found} was given`);
  fed.shape.forEach((actual, axis) => {
    const dim = type.shape[axis]!;
    const expected = expectedDim(dim, actual, symbols);
    if (expected !== actual)
      throw fail(`${found} was given${typeof dim === "string" ? `, where ${dim} is ${expected}` : ""}`);
  });
}

/** A symbol takes the first number that it meets; a sum or product counts once its symbols are known. */
function expectedDim(dim: Dim, actual: number, symbols: Record<string, number>): number {
  if (typeof dim === "string" && symbolsOf(dim)[0] === dim) symbols[dim] ??= actual;
  return symbolsOf(dim).every((s) => symbols[s] !== undefined) ? evaluateDim(dim, symbols) : actual;
}

/** @throws {GloraError} USAGE for an output that the graph does not have */
export function checkOutputs(graph: Pick<Graph, "outputs">, outputs: readonly string[], session: string): void {
  const names = graph.outputs.map((o) => o.name);
  const unknown = outputs.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new GloraError("USAGE", `${session}: there is no output "${unknown}"; the outputs are ${listOf(names)}.`, {
      session,
      output: unknown,
    });
}

const listOf = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ") || "none";
