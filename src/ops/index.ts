/** Every operator that a graph may hold. A new one is a file, its test and a line here. */
import { Builder } from "../ir/builder.js";
import { Graph } from "../ir/graph.js";
import { abs } from "./abs.js";
import { add } from "./add.js";
import { and } from "./and.js";
import { cast } from "./cast.js";
import { concat } from "./concat.js";
import { cos } from "./cos.js";
import { cumSum } from "./cum-sum.js";
import { div } from "./div.js";
import { equal } from "./equal.js";
import { erf } from "./erf.js";
import { exp } from "./exp.js";
import { expand } from "./expand.js";
import { gather } from "./gather.js";
import { gatherElements } from "./gather-elements.js";
import { gelu } from "./gelu.js";
import { gemm } from "./gemm.js";
import { greater } from "./greater.js";
import { identity } from "./identity.js";
import { ifOp } from "./if.js";
import { layerNormalization } from "./layer-normalization.js";
import { linear } from "./linear.js";
import { log } from "./log.js";
import { logSoftmax } from "./log-softmax.js";
import { fusedMatMul, matmul } from "./matmul.js";
import { mul } from "./mul.js";
import { neg } from "./neg.js";
import { inferWith, type OpDefinition } from "./op.js";
import { or } from "./or.js";
import { pad } from "./pad.js";
import { quickGelu } from "./quick-gelu.js";
import { reduceMax } from "./reduce-max.js";
import { reduceMean } from "./reduce-mean.js";
import { reduceSum } from "./reduce-sum.js";
import { relu } from "./relu.js";
import { reshape } from "./reshape.js";
import { rotaryEmbedding } from "./rotary-embedding.js";
import { scatterElements } from "./scatter-elements.js";
import { shape } from "./shape.js";
import { sigmoid } from "./sigmoid.js";
import { simplifiedLayerNormalization } from "./simplified-layer-normalization.js";
import { sin } from "./sin.js";
import { slice } from "./slice.js";
import { softmax } from "./softmax.js";
import { split } from "./split.js";
import { sqrt } from "./sqrt.js";
import { sub } from "./sub.js";
import { tanh } from "./tanh.js";
import { transpose } from "./transpose.js";
import { where } from "./where.js";
import { withGradient } from "./with-gradient.js";

const definitions = [
  abs,
  add,
  and,
  cast,
  concat,
  cos,
  cumSum,
  div,
  equal,
  erf,
  exp,
  expand,
  fusedMatMul,
  gather,
  gatherElements,
  gelu,
  gemm,
  greater,
  identity,
  ifOp,
  layerNormalization,
  linear,
  log,
  logSoftmax,
  matmul,
  mul,
  neg,
  or,
  pad,
  quickGelu,
  reduceMax,
  reduceMean,
  reduceSum,
  relu,
  reshape,
  rotaryEmbedding,
  scatterElements,
  shape,
  sigmoid,
  simplifiedLayerNormalization,
  sin,
  slice,
  softmax,
  split,
  sqrt,
  sub,
  tanh,
  transpose,
  where,
  withGradient,
];

export const ops: ReadonlyMap<string, OpDefinition> = new Map(definitions.map((op) => [op.type, op]));

/** A builder that knows these operators; it continues `graph` or begins a new one. */
export const createBuilder = (graph: Graph = new Graph()): Builder => new Builder(graph, inferWith(ops));
