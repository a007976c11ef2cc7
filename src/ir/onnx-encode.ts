/** Writes a graph as an ONNX model: https://github.com/onnx/onnx/blob/main/docs/IR.md */
import { create, toBinary } from "@bufbuild/protobuf";
import { GloraError } from "../base/errors.js";
import { onnxNumberOf } from "./element-type.js";
import {
  type Attribute,
  type Graph,
  type Node,
  subgraphsOf,
  type TensorData,
  type TensorType,
  type Value,
} from "./graph.js";
import {
  AttributeProto_AttributeType as AttributeKind,
  type AttributeProto,
  AttributeProtoSchema,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type TensorShapeProto_Dimension,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx-pb.js";

/** The operator set that the rules in src/ops follow, and the file version that came with it. */
const OPSET = 21n;
const IR_VERSION = 10n;

interface EncodeOptions {
  /** Name of the graph in the file. */
  name?: string;
  /** Where the reader of the file finds an external initializer; offset and length are written as they are. */
  externalDataPath?: (data: TensorData & { kind: "external" }) => string;
  /** Bytes of external initializers that the file shall hold itself. */
  embedded?: ReadonlyMap<TensorData, Uint8Array>;
}

/**
 * The bytes of an ONNX model (operator set 21, file version 10).
 *
 * Nodes keep their order. Inputs and outputs keep their names; another value is renamed where it would clash with one.
 * Inline initializers are embedded, external ones referred to by location, offset and length.
 *
 * @throws {GloraError} GRAPH if a composite is left, a weight is not widened, or an external initializer has no location
 */
export function encodeModel(graph: Graph, o: EncodeOptions = {}): Uint8Array<ArrayBuffer> {
  const names = new FileNames(graph);
  const microsoft = usesMicrosoft(graph) ? [{ domain: "com.microsoft", version: 1n }] : [];
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: "glora",
    opsetImport: [{ domain: "", version: OPSET }, ...microsoft].map((id) => create(OperatorSetIdProtoSchema, id)),
    graph: encodeGraph(graph, names, o, o.name ?? "glora"),
  });
  return toBinary(ModelProtoSchema, model);
}

const usesMicrosoft = (graph: Graph): boolean =>
  graph.nodes.some((node) => node.domain === "com.microsoft" || subgraphsOf(node).some(usesMicrosoft));

/**
 * Names of values in the file. The interface comes first: inputs keep their names, and a value that a node computes takes
 * the name of the first output that it stands for.
 */
class FileNames {
  private readonly names = new Map<Value, string>();
  private readonly taken: Set<string>;

  constructor(graph: Graph) {
    this.taken = new Set([...graph.inputs.map((v) => v.name), ...graph.outputs.map((o) => o.name)]);
    if (this.taken.size < graph.inputs.length + graph.outputs.length)
      throw new GloraError("GRAPH", "Two inputs or outputs of the graph have one name; each needs its own.");
    for (const input of graph.inputs) this.names.set(input, input.name);
    const computed = new Set(graph.nodes.flatMap((node) => node.outputs));
    for (const { name, value } of graph.outputs)
      if (computed.has(value) && !this.names.has(value)) this.names.set(value, name);
  }

  of(value: Value): string {
    const known = this.names.get(value);
    if (known !== undefined) return known;
    const name = this.fresh(value.name);
    this.names.set(value, name);
    return name;
  }

  /** A name that no value has yet. */
  fresh(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.taken.has(name); i++) name = `${wanted}_${i}`;
    this.taken.add(name);
    return name;
  }
}

function encodeGraph(graph: Graph, names: FileNames, o: EncodeOptions, name: string, branch = false): GraphProto {
  const initializer = graph.initializers.map((value) => encodeInitializer(value, names.of(value), o));
  const node = graph.nodes.map((n) => encodeNode(n, names, o));
  const own = new Set(graph.nodes.flatMap((n) => n.outputs));
  const output = graph.outputs.map((out) => {
    // The outputs of a branch are known by their place, those of the graph by name. What is not computed here, or stands
    // for several outputs, is copied.
    const wanted = branch ? names.of(out.value) : out.name;
    if (own.delete(out.value) && names.of(out.value) === wanted) return encodeValueInfo(wanted, out.value.type);
    const copy = branch ? names.fresh(`${name}:${out.name}`) : out.name;
    node.push(
      create(NodeProtoSchema, { opType: "Identity", name: copy, input: [names.of(out.value)], output: [copy] }),
    );
    return encodeValueInfo(copy, out.value.type);
  });
  const input = graph.inputs.map((value) => encodeValueInfo(names.of(value), value.type));
  return create(GraphProtoSchema, { name, initializer, node, input, output });
}

function encodeNode(node: Node, names: FileNames, o: EncodeOptions): NodeProto {
  if (node.domain === "glora")
    throw new GloraError(
      "GRAPH",
      `${node.name}: the composite ${node.op} must be lowered before the graph is written.`,
      {
        node: node.name,
      },
    );
  return create(NodeProtoSchema, {
    name: node.name,
    opType: node.op,
    domain: node.domain,
    input: node.inputs.map((v) => (v ? names.of(v) : "")),
    output: node.outputs.map((v) => names.of(v)),
    attribute: Object.entries(node.attributes).map(([name, a]) => encodeAttribute(name, a, node, names, o)),
  });
}

function encodeAttribute(name: string, a: Attribute, node: Node, names: FileNames, o: EncodeOptions): AttributeProto {
  switch (a.type) {
    case "int":
      return create(AttributeProtoSchema, { name, type: AttributeKind.INT, i: BigInt(a.value) });
    case "float":
      return create(AttributeProtoSchema, { name, type: AttributeKind.FLOAT, f: a.value });
    case "ints":
      return create(AttributeProtoSchema, { name, type: AttributeKind.INTS, ints: a.value.map(BigInt) });
    case "string": {
      // Cast names its element type by a word here, by a number in the file.
      if (node.op === "Cast" && name === "to")
        return create(AttributeProtoSchema, { name, type: AttributeKind.INT, i: BigInt(onnxNumberOf(a.value) ?? 0) });
      return create(AttributeProtoSchema, { name, type: AttributeKind.STRING, s: new TextEncoder().encode(a.value) });
    }
    case "graph": {
      const g = encodeGraph(a.value, names, o, `${node.name}.${name}`, true);
      return create(AttributeProtoSchema, { name, type: AttributeKind.GRAPH, g });
    }
  }
}

function encodeInitializer(value: Value, name: string, o: EncodeOptions): TensorProto {
  const { data, type } = value;
  if (!data) throw new GloraError("GRAPH", `${value.name}: an initializer without data.`, { value: value.name });
  if (data.dtype !== type.dtype)
    throw new GloraError("GRAPH", `${value.name}: used as ${type.dtype} but stored as ${data.dtype}; widen it first.`, {
      value: value.name,
    });
  const dims = type.shape.map((d) => {
    if (typeof d === "number") return BigInt(d);
    throw new GloraError("GRAPH", `${value.name}: an initializer with the unknown dimension "${d}".`);
  });
  const header = { name, dims, dataType: onnxNumberOf(type.dtype)! };
  if (data.kind === "inline") return create(TensorProtoSchema, { ...header, rawData: data.bytes });
  const embedded = o.embedded?.get(data);
  if (embedded) return create(TensorProtoSchema, { ...header, rawData: embedded });
  if (!o.externalDataPath)
    throw new GloraError("GRAPH", `${value.name}: lies in ${data.source.name}, and no path to it is given.`);
  const place = { location: o.externalDataPath(data), offset: String(data.offset), length: String(data.length) };
  return create(TensorProtoSchema, {
    ...header,
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(place).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  });
}

function encodeValueInfo(name: string, type: TensorType): ValueInfoProto {
  const dim = type.shape.map((d): TensorShapeProto_Dimension => {
    const value =
      typeof d === "number"
        ? ({ case: "dimValue", value: BigInt(d) } as const)
        : ({ case: "dimParam", value: d } as const);
    return create(TensorShapeProto_DimensionSchema, { value });
  });
  const shape = create(TensorShapeProtoSchema, { dim });
  const tensor = create(TypeProto_TensorSchema, { elemType: onnxNumberOf(type.dtype)!, shape });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: "tensorType", value: tensor } }),
  });
}
