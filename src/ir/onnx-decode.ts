/** Reads an ONNX model into a graph: https://github.com/onnx/onnx/blob/main/docs/IR.md. Nothing in the file is trusted. */
import { fromBinary } from "@bufbuild/protobuf";
import { GloraError, messageOf } from "../base/errors.js";
import type { InferTypes } from "./builder.js";
import { type Dim, formatShape, multiplyDims, type Shape, size } from "./dim.js";
import { bytesPerElement, elementTypeOf } from "./element-type.js";
import {
  type Attribute,
  type Domain,
  type ElementType,
  float,
  formatType,
  Graph,
  int,
  ints,
  string,
  subgraph,
  type TensorData,
  type TensorType,
  type Value,
  type WeightSource,
} from "./graph.js";
import {
  AttributeProto_AttributeType as AttributeKind,
  type AttributeProto,
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from "./onnx-pb.js";

/** Operator sets that mean the same as ours for the operators that we know. */
const OPSETS = { from: 18n, to: 21n };

/** Gives the file that an initializer's `location` names. */
type ExternalFiles = (location: string) => WeightSource;

/**
 * The graph of an ONNX model. Types are inferred by the operators' own rules; `Constant` nodes become initializers.
 * Inline weights are views of `bytes`.
 *
 * @param external  finds external data by its location; without it a model that has some is refused
 * @throws {GloraError} FILE for bytes that are no ONNX model, a malformed graph, or one that holds what we do not know
 */
export function decodeModel(bytes: Uint8Array, infer: InferTypes, external?: ExternalFiles): Graph {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (cause) {
    throw new GloraError("FILE", `These ${bytes.length} bytes are no ONNX model: ${messageOf(cause)}.`, {}, cause);
  }
  if (!model.graph) throw new GloraError("FILE", "These bytes are no ONNX model: they hold no graph.");
  const opset = model.opsetImport.find((o) => isOnnxDomain(o.domain))?.version ?? 0n;
  if (opset < OPSETS.from || opset > OPSETS.to)
    throw new GloraError(
      "FILE",
      `The model uses ONNX operator set ${opset}; ${OPSETS.from} to ${OPSETS.to} are understood. ` +
        `Convert it with onnx.version_converter.convert_version(model, ${OPSETS.to}).`,
      { expected: [Number(OPSETS.from), Number(OPSETS.to)], actual: Number(opset) },
    );
  return new Decoder(infer, external).graph(model.graph);
}

const isOnnxDomain = (domain: string): boolean => domain === "" || domain === "ai.onnx";

const fail = (place: string, problem: string, cause?: unknown): never => {
  throw new GloraError("FILE", `${place}: ${problem}`, { place }, cause);
};

class Decoder {
  private readonly nodeNames = new Set<string>();
  /** Names across the graph and its branches: ONNX lets none be defined twice. */
  private readonly defined = new Set<string>();

  constructor(
    private readonly infer: InferTypes,
    private readonly external: ExternalFiles | undefined,
  ) {}

  graph(proto: GraphProto, outer?: Scope): Graph {
    const graph = new Graph();
    const scope: Scope = { values: new Map(), ...(outer && { outer }) };
    if (proto.sparseInitializer.length > 0) fail(proto.name, "sparse initializers are not supported.");
    for (const tensor of proto.initializer) {
      const value = this.initializer(tensor, tensor.name);
      graph.initializers.push(value);
      this.define(scope, value);
    }
    for (const info of proto.input) {
      // Files of version 3 list their initializers among the inputs.
      if (scope.values.has(info.name)) continue;
      if (outer) fail(proto.name, `the input "${info.name}"; a branch of If has none.`);
      const value: Value = { name: info.name, type: this.inputType(info) };
      graph.inputs.push(value);
      this.define(scope, value);
    }
    for (const node of proto.node) this.node(node, graph, scope);
    for (const info of proto.output) {
      const value = lookUp(scope, info.name) ?? fail(proto.name, `nothing computes the output "${info.name}".`);
      if (graph.outputs.some((o) => o.name === info.name)) fail(proto.name, `two outputs are named "${info.name}".`);
      checkDeclared(info, value.type);
      graph.outputs.push({ name: info.name, value });
    }
    return graph;
  }

  private define(scope: Scope, value: Value): void {
    if (value.name === "") fail("graph", "a value without a name.");
    if (this.defined.has(value.name)) fail(value.name, "defined twice.");
    this.defined.add(value.name);
    scope.values.set(value.name, value);
  }

  private inputType(info: ValueInfoProto): TensorType {
    const declared = declaredType(info);
    if (!declared?.dtype) return fail(info.name, "an input must be a tensor of a known element type.");
    const shape = declared.shape ?? fail(info.name, "an input of unknown rank.");
    return { dtype: declared.dtype, shape: shape.map((d, i): Dim => d ?? `${info.name}.${i}`) };
  }

  private node(proto: NodeProto, graph: Graph, scope: Scope): void {
    const name = this.nodeName(proto);
    const domain = isOnnxDomain(proto.domain) ? "" : proto.domain;
    if (domain === "" && proto.opType === "Constant") {
      const value = this.constant(proto, name);
      graph.initializers.push(value);
      this.define(scope, value);
      return;
    }
    if (domain !== "" && domain !== "com.microsoft")
      fail(name, `the operator ${proto.opType} of the domain "${domain}" is not known.`);
    const inputs = proto.input.map((input) =>
      input === ""
        ? undefined
        : (lookUp(scope, input) ?? fail(name, `"${input}" is used before it is defined; the file may be damaged.`)),
    );
    const attributes: Record<string, Attribute> = {};
    for (const a of proto.attribute) attributes[a.name] = this.attribute(a, proto.opType, name, scope);

    const outputCount = proto.output.length;
    let types: readonly TensorType[] = [];
    try {
      types = this.infer({ op: proto.opType, name, inputs, attributes, outputCount });
    } catch (cause) {
      // A rule names the node itself.
      throw new GloraError("FILE", messageOf(cause), { node: name }, cause);
    }
    if (types.length < outputCount) fail(name, `${proto.opType} gives ${types.length} outputs, not ${outputCount}.`);
    const outputs = proto.output.map((output, i): Value => {
      const value = { name: output === "" ? `${name}:unused${i}` : output, type: types[i]! };
      this.define(scope, value);
      return value;
    });
    graph.nodes.push({ name, op: proto.opType, domain: domain as Domain, inputs, outputs, attributes });
  }

  /** Names of nodes are optional in a file and may repeat there. */
  private nodeName(proto: NodeProto): string {
    const wanted = proto.name || proto.output.find((o) => o !== "") || proto.opType;
    let name = wanted;
    for (let i = 1; this.nodeNames.has(name); i++) name = `${wanted}_${i}`;
    this.nodeNames.add(name);
    return name;
  }

  private attribute(a: AttributeProto, op: string, node: string, scope: Scope): Attribute {
    switch (a.type) {
      case AttributeKind.INT:
        if (op === "Cast" && a.name === "to") return string(elementType(Number(a.i), node));
        return int(safeNumber(a.i, `${node}, ${a.name}`));
      case AttributeKind.FLOAT:
        return float(a.f);
      case AttributeKind.INTS:
        return ints(a.ints.map((i) => safeNumber(i, `${node}, ${a.name}`)));
      case AttributeKind.STRING:
        return string(new TextDecoder().decode(a.s));
      case AttributeKind.GRAPH:
        return subgraph(this.graph(a.g ?? fail(node, `the attribute "${a.name}" holds no graph.`), scope));
      default:
        return fail(node, `the attribute "${a.name}" of ${op} has a type that is not supported (${a.type}).`);
    }
  }

  private constant(proto: NodeProto, node: string): Value {
    const [a, more] = proto.attribute;
    const name = proto.output[0] ?? fail(node, "a Constant without output.");
    if (!a || more) return fail(node, `a Constant has one attribute, not ${proto.attribute.length}.`);
    const inline = (dtype: ElementType, shape: Shape, array: ArrayBufferView): Value =>
      withContents(name, dtype, shape, { kind: "inline", dtype, bytes: bytesOf(array) });
    switch (a.name) {
      case "value":
        return this.initializer(a.t ?? fail(node, "a Constant without value."), name);
      case "value_float":
        return inline("float32", [], Float32Array.of(a.f));
      case "value_floats":
        return inline("float32", [a.floats.length], Float32Array.from(a.floats));
      case "value_int":
        return inline("int64", [], BigInt64Array.of(a.i));
      case "value_ints":
        return inline("int64", [a.ints.length], BigInt64Array.from(a.ints));
      default:
        return fail(node, `a Constant given by "${a.name}" is not supported.`);
    }
  }

  private initializer(t: TensorProto, name: string): Value {
    const dtype = elementType(t.dataType, name);
    const shape = t.dims.map((d) => (d < 0n ? fail(name, `the dimension ${d}.`) : safeNumber(d, name)));
    const length = safeNumber(BigInt(size(shape)) * BigInt(bytesPerElement[dtype]), name);
    if (t.dataLocation === DataLocation.EXTERNAL)
      return { name, type: { dtype, shape }, data: this.externalData(t, name, dtype, length) };
    const bytes = t.rawData.length > 0 ? t.rawData : typedFields(t, dtype);
    if (bytes.length !== length)
      fail(name, `${dtype}${formatShape(shape)} takes ${length} bytes; the file holds ${bytes.length}.`);
    return withContents(name, dtype, shape, { kind: "inline", dtype, bytes });
  }

  private externalData(t: TensorProto, name: string, dtype: ElementType, length: number): TensorData {
    const entries = new Map(t.externalData.map(({ key, value }) => [key, value]));
    const location = entries.get("location");
    if (!location) return fail(name, "external data without a location.");
    const number = (key: string, fallback: number): number => {
      const text = entries.get(key) ?? String(fallback);
      return /^\d{1,15}$/.test(text) ? Number(text) : fail(name, `the ${key} "${text}" of its external data.`);
    };
    const [offset, given] = [number("offset", 0), number("length", length)];
    if (given !== length) fail(name, `${length} bytes of external data expected, the file says ${given}.`);
    if (!this.external) return fail(name, `its data lies in another file, "${location}", which was not given.`);
    return { kind: "external", dtype, source: this.external(location), offset, length };
  }
}

interface Scope {
  readonly values: Map<string, Value>;
  readonly outer?: Scope;
}

const lookUp = (scope: Scope | undefined, name: string): Value | undefined =>
  scope && (scope.values.get(name) ?? lookUp(scope.outer, name));

/** The type that a file states; element type and dimensions may be missing. */
function declaredType(info: ValueInfoProto): { dtype?: ElementType; shape?: (Dim | undefined)[] } | undefined {
  if (info.type?.value.case !== "tensorType") return undefined;
  const { elemType, shape } = info.type.value.value;
  const dtype = elementTypeOf(elemType);
  const dims = shape?.dim.map(({ value }): Dim | undefined => {
    if (value.case === "dimParam" && value.value !== "") return multiplyDims(value.value, 1); // in canonical form
    if (value.case !== "dimValue") return undefined;
    return value.value < 0n ? undefined : safeNumber(value.value, info.name);
  });
  return { ...(dtype && { dtype }), ...(dims && { shape: dims }) };
}

/** Symbols may differ from those that the rules derive; element type, rank and numbers may not. */
function checkDeclared(info: ValueInfoProto, type: TensorType): void {
  const declared = declaredType(info);
  const { dtype = type.dtype, shape = type.shape } = declared ?? {};
  const fits = (d: Dim | undefined, i: number) => typeof d !== "number" || d === type.shape[i] || isText(type.shape[i]);
  if (dtype !== type.dtype || shape.length !== type.shape.length || !shape.every(fits))
    fail(
      info.name,
      `declared as ${dtype}${formatShape(shape.map((d) => d ?? "?"))}, but the graph computes ${formatType(type)}.`,
    );
}
const isText = (d: Dim | undefined): boolean => typeof d === "string";

const elementType = (onnxNumber: number, place: string): ElementType =>
  elementTypeOf(onnxNumber) ?? fail(place, `the element type ${onnxNumber} of ONNX is not supported.`);

function safeNumber(n: bigint, place: string): number {
  const value = Number(n);
  return Number.isSafeInteger(value) ? value : fail(place, `the number ${n} is too large.`);
}

/** An initializer; what a short list of integers holds is kept for the rules that read shapes. */
function withContents(name: string, dtype: ElementType, shape: Shape, data: TensorData & { kind: "inline" }): Value {
  if (dtype !== "int64" || shape.length !== 1 || data.bytes.length > 64 * 8)
    return { name, type: { dtype, shape }, data };
  const contents = Array.from(new BigInt64Array(new Uint8Array(data.bytes).buffer), Number);
  return { name, type: { dtype, shape, contents }, data };
}

const bytesOf = (a: ArrayBufferView): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

/** The bytes of a tensor whose elements are written as protobuf numbers. */
function typedFields(t: TensorProto, dtype: ElementType): Uint8Array {
  switch (dtype) {
    case "float32":
      return bytesOf(Float32Array.from(t.floatData));
    case "float64":
      return bytesOf(Float64Array.from(t.doubleData));
    case "int64":
      return bytesOf(BigInt64Array.from(t.int64Data));
    case "uint64":
      return bytesOf(BigUint64Array.from(t.uint64Data));
    case "uint32":
      return bytesOf(Uint32Array.from(t.uint64Data, Number));
    case "int32":
      return bytesOf(Int32Array.from(t.int32Data));
    case "int16":
    case "uint16":
    case "float16":
    case "bfloat16":
      return bytesOf(Uint16Array.from(t.int32Data));
    case "int8":
    case "uint8":
    case "bool":
      return bytesOf(Uint8Array.from(t.int32Data));
  }
}
