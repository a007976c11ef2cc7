/** Frozen weights where they lie: ONNX Runtime maps them from the user's own files, or gets their bytes. */
import { realpath, stat } from "node:fs/promises";
import { parse, relative, sep } from "node:path";
import { GloraError, messageOf } from "../../base/errors.js";
import { type Graph, type Node, subgraphsOf, type TensorData, type Value, type WeightSource } from "../../ir/graph.js";
import type { Device } from "../runtime.js";
import { readWeightBytes } from "../weight-bytes.js";

type External = TensorData & { kind: "external" };

/** Where ONNX Runtime finds the weights of a graph: all of them in files (or in the ONNX file), or all of them as bytes. */
export interface PlacedWeights {
  /** Location of a weight's source for the ONNX file. */
  location(data: External): string;
  /** Bytes of weights that the ONNX file shall hold itself. */
  readonly embedded: ReadonlyMap<TensorData, Uint8Array>;
  /** The folder that locations start from: the root of the file system, since weights may lie anywhere. */
  readonly folder?: string;
  /** The sources themselves, by their locations. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array<ArrayBuffer> }[];
}

/**
 * Places the weights as a device can have them. Bytes are given where there are no files to map: always to wasm, and to WebGPU
 * where weights were widened for it.
 *
 * @throws {GloraError} FILE if a file is missing or ends before a weight does, or its bytes do not have its checksum
 */
export async function placeWeights(graph: Graph, device: Device): Promise<PlacedWeights> {
  const inNoFile = (): boolean => [...bySource(graph).keys()].some(({ path }) => path === undefined);
  if (device !== "wasm" && !(device === "webgpu" && inNoFile())) return findWeightFiles(graph);
  const { location, externalData } = await readWeightBytes(graph);
  // Copies: they are handed over to the worker, and what a source gives may be shared with it.
  const copies = externalData.map(({ path, data }) => ({ path, data: new Uint8Array(data) }));
  return { location, embedded: new Map(), externalData: copies };
}

/** Finds the files of a graph's weights, and reads the weights that lie in none. */
async function findWeightFiles(graph: Graph): Promise<PlacedWeights> {
  const folder = parse(process.cwd()).root;
  const locations = new Map<WeightSource, string>();
  const embedded = new Map<TensorData, Uint8Array>();
  for (const [source, values] of bySource(graph)) {
    const path = source.path === undefined ? undefined : await realPathOf(source);
    if (path !== undefined && parse(path).root === folder) {
      await checkLength(source, path, values);
      for (const { data } of values) await source.verify?.(data.offset, data.length);
      locations.set(source, relative(folder, path).split(sep).join("/"));
    } else
      for (const { data } of values)
        if (!embedded.has(data)) embedded.set(data, await source.read(data.offset, data.length));
  }
  return { location: (data) => locations.get(data.source)!, embedded, folder, externalData: [] };
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
