import { GloraError } from "../base/errors.js";
import { ruleOf } from "./forms/index.js";
import type { ParameterTable } from "./parameters.js";
import { type LayerShape, rankOf, type Structure, type Support } from "./structure.js";

/** A frozen linear layer: W [out, in] row by row, b [out] where it has one. */
export interface LinearWeights {
  readonly W: Float32Array;
  readonly b?: Float32Array;
}

/**
 * Folds the trained supports of one layer into its weights, so that inference needs no adapter code.
 *
 *     W' = W + W ⊙ A + B        b' = b + b ⊙ D + E + W·C        (product form: W' = W + W·A + B)
 *
 * Accumulated in float64 from the original W (W·C too) and rounded once, to float32.
 *
 * @param layer      its shapes and name
 * @param frozen     W [out, in], b [out] or none (taken as zero), float32; not modified
 * @param structure  the forms of its supports
 * @param params     stored supports in the layout of `table`
 * @returns new weights of the same shapes; a bias is added only where C or E acts on a layer that had none
 * @throws {GloraError} MERGE if a stored support or a merged value is not finite, naming layer and support
 * @see Chavan et al., 2023, arXiv:2306.07967; ⊙ is element-wise, as in the authors' code. Unlike Hugging Face PEFT,
 *   C and E also act on a layer without a bias.
 */
export function mergeLinear(
  layer: LayerShape,
  frozen: LinearWeights,
  structure: Structure,
  params: Float32Array,
  table: ParameterTable,
): LinearWeights {
  const { W, b } = frozen;
  const addRow = (support: Support, i: number, row: Float64Array): void => {
    const view = table.views.get(layer.name)?.[support];
    if (view) ruleOf(structure[support]).addRow(params, view, i, row);
  };
  checkStored(layer, structure, params, table);

  const merged = new Float32Array(W.length);
  const a = new Float64Array(layer.in);
  const row = new Float64Array(layer.in);
  const addProduct = table.a === "product" ? productRow(layer, structure, params, table) : undefined;
  for (let i = 0; i < layer.out; i++) {
    const at = i * layer.in;
    a.fill(0);
    row.fill(0);
    if (addProduct) addProduct(W, at, row);
    else addRow("A", i, a);
    addRow("B", i, row);
    for (let j = 0; j < layer.in; j++) merged[at + j] = W[at + j]! * (1 + a[j]!) + row[j]!;
  }
  checkMerged(layer, "weight", "A or B", merged);
  if (!b && structure.C === "none" && structure.E === "none") return { W: merged };

  const one = new Float64Array(1);
  const scalarRow = (support: Support, i: number): number => {
    one[0] = 0;
    addRow(support, i, one);
    return one[0];
  };
  const c = structure.C === "none" ? undefined : Float64Array.from({ length: layer.in }, (_, j) => scalarRow("C", j));
  const bias = new Float32Array(layer.out);
  for (let i = 0; i < layer.out; i++) {
    let value = (b?.[i] ?? 0) * (1 + scalarRow("D", i)) + scalarRow("E", i);
    if (c) for (let j = 0; j < layer.in; j++) value += W[i * layer.in + j]! * c[j]!;
    bias[i] = value;
  }
  checkMerged(layer, "bias", "C, D or E", bias);
  return { W: merged, b: bias };
}

/** Adds row i of W·A = (W·Xd)·Xu, without forming A [in, in]. */
function productRow(
  layer: LayerShape,
  structure: Structure,
  params: Float32Array,
  table: ParameterTable,
): (W: Float32Array, at: number, row: Float64Array) => void {
  const rank = rankOf(structure.A);
  const view = table.views.get(layer.name)?.A;
  return (W, at, row) => {
    for (let k = 0; view && k < rank; k++) {
      let sum = 0;
      for (let j = 0; j < layer.in; j++) sum += W[at + j]! * params[view.down + j * view.stride + k]!;
      const from = view.up + k * layer.in;
      for (let j = 0; j < layer.in; j++) row[j]! += sum * params[from + j]!;
    }
  };
}

function checkStored(layer: LayerShape, structure: Structure, params: Float32Array, table: ParameterTable): void {
  for (const tensor of table.tensors) {
    if (tensor.layer !== layer.name || structure[tensor.support] === "none") continue;
    const size = tensor.shape.reduce((product, n) => product * n, 1);
    const values = params.subarray(tensor.offset, tensor.offset + size);
    const at = values.findIndex((value) => !Number.isFinite(value));
    if (at >= 0) throw notFinite(layer, tensor.support, `${tensor.name} holds ${values[at]} at element ${at}`);
  }
}

function checkMerged(layer: LayerShape, what: string, supports: string, values: Float32Array): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw notFinite(layer, supports, `the merged ${what} would hold ${values[at]} at element ${at}`);
}

const notFinite = (layer: LayerShape, supports: string, what: string): GloraError =>
  new GloraError(
    "MERGE",
    `Support ${supports} of "${layer.name}" cannot be merged: ${what}. Nothing was written; train again with a lower ` +
      `learning rate, or check the base model's own values.`,
    { layer: layer.name, supports },
  );
