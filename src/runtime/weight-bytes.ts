import { type Graph, subgraphsOf, type TensorData, type WeightSource } from "../ir/graph.js";

/** A graph's weights as ONNX Runtime takes them where there is no file system. */
export interface WeightBytes {
  /** Location of a weight's source for the ONNX file. */
  location(data: TensorData & { kind: "external" }): string;
  /** The sources up to the last byte that is used of each, under their locations. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** @throws {GloraError} FILE if a source ends before a weight does */
export async function readWeightBytes(graph: Graph): Promise<WeightBytes> {
  const ends = new Map<WeightSource, number>();
  const visit = ({ initializers, nodes }: Graph): void => {
    for (const { data } of initializers)
      if (data?.kind === "external")
        ends.set(data.source, Math.max(ends.get(data.source) ?? 0, data.offset + data.length));
    for (const branch of nodes.flatMap(subgraphsOf)) visit(branch);
  };
  visit(graph);
  const locations = new Map([...ends.keys()].map((source, i) => [source, `weights-${i}`]));
  return {
    location: ({ source }) => locations.get(source)!,
    externalData: await Promise.all(
      [...ends].map(async ([source, end]) => ({ path: locations.get(source)!, data: await source.read(0, end) })),
    ),
  };
}
