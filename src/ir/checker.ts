/** Validates a graph: run after every pass, so that a mistake is found where it was made. */
import { GloraError, messageOf } from "../base/errors.js";
import type { InferTypes } from "./builder.js";
import { sameShape, size } from "./dim.js";
import { bytesPerElement } from "./element-type.js";
import { formatType, type Graph, type Node, subgraphsOf, type Value } from "./graph.js";

/**
 * Throws unless every value is defined once and before its use, names are unique, types are those that the operators'
 * rules infer, initializers have as many bytes as their shape says, and every output exists.
 *
 * @param after  the pass that made the graph, for the error
 * @throws {GloraError} GRAPH naming the pass and the node or value at fault
 */
export function checkGraph(graph: Graph, infer: InferTypes, after?: string): void {
  new Checker(infer, after).graph(graph, "graph");
}

class Checker {
  private readonly valueNames = new Set<string>();
  private readonly nodeNames = new Set<string>();
  /** What the node at hand may use. */
  private readonly defined = new Set<Value>();

  constructor(
    private readonly infer: InferTypes,
    private readonly after: string | undefined,
  ) {}

  graph(graph: Graph, place: string): void {
    for (const value of [...graph.inputs, ...graph.initializers]) this.define(value, place);
    for (const value of graph.initializers) this.initializer(value);
    for (const node of graph.nodes) this.node(node);
    const names = new Set<string>();
    for (const { name, value } of graph.outputs) {
      if (names.has(name)) this.fail(place, `two outputs are named "${name}".`);
      names.add(name);
      if (!this.defined.has(value)) this.fail(place, `nothing computes "${value.name}", the output "${name}".`);
    }
    // The values of a branch end with it.
    for (const value of [...graph.initializers, ...graph.nodes.flatMap((node) => node.outputs)])
      this.defined.delete(value);
  }

  private node(node: Node): void {
    if (this.nodeNames.has(node.name)) this.fail(node.name, "two nodes have this name.");
    this.nodeNames.add(node.name);
    for (const value of node.inputs)
      if (value && !this.defined.has(value)) this.fail(node.name, `"${value.name}" is used before it is defined.`);
    for (const branch of subgraphsOf(node)) {
      if (branch.inputs.length > 0) this.fail(node.name, "a branch has inputs; it can only capture.");
      this.graph(branch, node.name);
    }
    this.types(node);
    for (const value of node.outputs) this.define(value, node.name);
  }

  private types({ name, op, inputs, attributes, outputs }: Node): void {
    let types: ReturnType<InferTypes> = [];
    try {
      types = this.infer({ op, name, inputs, attributes, outputCount: outputs.length });
    } catch (cause) {
      const text = messageOf(cause); // a rule begins with the node's name
      this.fail(name, text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text, cause);
    }
    if (types.length !== outputs.length)
      this.fail(name, `${op} gives ${types.length} outputs; the node has ${outputs.length}.`);
    outputs.forEach(({ name: output, type }, i) => {
      const expected = types[i]!;
      if (type.dtype !== expected.dtype || !sameShape(type.shape, expected.shape))
        this.fail(name, `"${output}" is ${formatType(type)}, but ${op} gives ${formatType(expected)}.`);
    });
  }

  private define(value: Value, place: string): void {
    if (this.valueNames.has(value.name)) this.fail(place, `two values are named "${value.name}".`);
    this.valueNames.add(value.name);
    this.defined.add(value);
  }

  private initializer({ name, type, data }: Value): void {
    if (!data) this.fail(name, "an initializer without data.");
    if (type.shape.some((d) => typeof d === "string"))
      this.fail(name, `an initializer of unknown size, ${formatType(type)}.`);
    const expected = size(type.shape) * bytesPerElement[data.dtype];
    const actual = data.kind === "inline" ? data.bytes.length : data.length;
    if (actual !== expected)
      this.fail(name, `${formatType({ ...type, dtype: data.dtype })} takes ${expected} bytes; its data has ${actual}.`);
  }

  private fail(place: string, problem: string, cause?: unknown): never {
    const when = this.after === undefined ? "" : ` after ${this.after}`;
    const details = { node: place, ...(this.after !== undefined && { pass: this.after }) };
    throw new GloraError("GRAPH", `${place}${when}: ${problem}`, details, cause);
  }
}
