import type { Tensor } from "../base/tensor.js";
import type { Dataset } from "../data/dataset.js";
import type { Model } from "../models/model.js";

/** How many examples base, adapted and merged model are compared on; texts have logits of a vocabulary for every token. */
const COMPARED = { examples: 16, tokens: 4 };

/** The first examples of the data's validation split, or of its training split, as a merge is checked on them. */
export async function mergeInputs(model: Model, data: Dataset): Promise<Readonly<Record<string, Tensor>>> {
  const splits = await data.prepare(model.input);
  const split = splits.validation.size > 0 ? splits.validation : splits.train;
  return split.inputs(Array.from({ length: Math.min(COMPARED[model.rows], split.size) }, (_, i) => i));
}
