/**
 * Shapes that a graph computes become inputs, which the session feeds: the numbers behind a shape's symbols are known when
 * a run begins. For devices whose kernels do no integer arithmetic of 64 bits.
 */
import { dependenciesOf, Graph, type Value } from "../ir/graph.js";
import { rebuild } from "./rebuild.js";

/** @returns the graph; an input of it that has `contents` is such a shape */
export function shapesAsInputs(graph: Graph): Graph {
  const inputs = new Map<string, Value>();
  const results = new Set(graph.outputs.map(({ value }) => value));
  const copied = rebuild(graph, (_, { outputs: [value] }) => {
    const contents = value!.type.contents;
    if (!contents || results.has(value!) || contents.some((d) => String(d).includes("?"))) return undefined;
    const key = contents.join(" ");
    const known = inputs.get(key) ?? { ...value!, name: `shape: ${contents.join(", ")}` };
    inputs.set(key, known);
    return [known];
  });
  // Shapes of which others were computed are read no more.
  const read = new Set(copied.nodes.flatMap(dependenciesOf));
  const result = new Graph();
  result.inputs.push(...copied.inputs, ...[...inputs.values()].filter((input) => read.has(input)));
  result.initializers.push(...copied.initializers);
  result.nodes.push(...copied.nodes);
  result.outputs.push(...copied.outputs);
  return result;
}
