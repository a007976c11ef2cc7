import { type AForm, acts, type Form, type LayerShape, rankOf, type Support } from "../structure.js";
import { lora } from "./lora.js";
import { none } from "./none.js";
import type { FormRule } from "./rule.js";
import { scalar } from "./scalar.js";
import { vector } from "./vector.js";

const rules = new Map<Form, FormRule>([
  ["vector", vector],
  ["scalar", scalar],
  ["none", none],
]);

/** The rule of a form; one for each rank, made when it is first asked for. */
export function ruleOf(form: Form): FormRule {
  let rule = rules.get(form);
  if (!rule) {
    rule = lora(rankOf(form));
    rules.set(form, rule);
  }
  return rule;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/**
 * Adapter parameters of one support: A, B: r·(out + in), out, 1, 0 (a product A: 2·r·in); C: r·(in + 1), in, 0;
 * D, E: out, 1, 0. D on a layer without a bias has no effect and counts nothing.
 */
export const parametersOf = (form: Form, support: Support, layer: LayerShape, a: AForm): number =>
  acts(form, support, layer)
    ? ruleOf(form)
        .stored(support, layer, a)
        .reduce((sum, tensor) => sum + sizeOf(tensor.shape), 0)
    : 0;
