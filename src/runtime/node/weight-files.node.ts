/** Frozen weights where they lie: ONNX Runtime maps them from the user's own files. */
import { realpath, stat } from "node:fs/promises";
import { parse, relative, sep } from "node:path";
import { GloraError, messageOf } from "../../base/errors.js";
import { type Graph, type Node, subgraphsOf, type TensorData, type Value, type WeightSource } from "../../ir/graph.js";

type External = TensorData & { kind: "external" };

export interface WeightFiles {
  /** The folder that locations start from: the root of the file system, since weights may lie anywhere. */
  readonly folder: string;
  /** Location of a weight's file for the ONNX file. */
  location(data: External): string;
  /** Bytes of the weights that lie in no file. */
  readonly embedded: ReadonlyMap<TensorData, Uint8Array>;
}

/**
 * Finds the files of a graph's weights, and reads the weights that lie in none.
 * @throws {GloraError} FILE if a file is missing or ends before a weight does
 */
export async function findWeightFiles(graph: Graph): Promise<WeightFiles> {
  const folder = parse(process.cwd()).root;
  const locations = new Map<WeightSource, string>();
  const embedded = new Map<TensorData, Uint8Array>();
  for (const [source, values] of bySource(graph)) {
    const path = source.path === undefined ? undefined : await realPathOf(source);
    if (path !== undefined && parse(path).root === folder) {
      await checkLength(source, path, values);
      locations.set(source, relative(folder, path).split(sep).join("/"));
    } else
      for (const { data } of values)
        if (!embedded.has(data)) embedded.set(data, await source.read(data.offset, data.length));
  }
  return { folder, location: (data) => locations.get(data.source)!, embedded };
}

interface ExternalValue {
  readonly name: string;
  readonly data: External;
}

function bySource(graph: Graph): Map<WeightSource, ExternalValue[]> {
  const groups = new Map<WeightSource, ExternalValue[]>();
  const visit = (g: Graph): void => {
    for (const { name, data } of g.initializers as readonly Value[])
      if (data?.kind === "external") groups.set(data.source, [...(groups.get(data.source) ?? []), { name, data }]);
    for (const branch of g.nodes.flatMap((node: Node) => subgraphsOf(node))) visit(branch);
  };
  visit(graph);
  return groups;
}

/** ONNX Runtime resolves symbolic links and refuses a file outside the folder; a Hugging Face cache is made of them. */
async function realPathOf(source: WeightSource): Promise<string> {
  try {
    return await realpath(source.path!);
  } catch (cause) {
    throw new GloraError(
      "FILE",
      `${source.name}: cannot be opened: ${messageOf(cause)}.`,
      { file: source.name },
      cause,
    );
  }
}

async function checkLength(source: WeightSource, path: string, values: readonly ExternalValue[]): Promise<void> {
  const { size } = await stat(path);
  const beyond = values.find(({ data }) => data.offset + data.length > size);
  if (!beyond) return;
  const { offset, length } = beyond.data;
  throw new GloraError(
    "FILE",
    `${source.name}: has ${size} bytes, but "${beyond.name}" needs those from ${offset} to ${offset + length}. ` +
      "The file may be truncated; fetch it again.",
    { file: source.name, tensor: beyond.name, expected: offset + length, actual: size },
  );
}
