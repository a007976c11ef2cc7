import { elements, formatShape } from "../ir/dim.js";
import { sumTo } from "./broadcast.js";
import { defineOp } from "./op.js";

/**
 * The composite linear layer: y = x·Wᵀ + b with W [out, in], or y = x·W + b where W is stored [in, out] (`transposed`);
 * x [..., in], b [out]. Models build it, adapters replace it (by its attribute `layer`, the name in the checkpoint), and
 * the pass `lowerLinear` turns what is left into products for the device.
 */
export const linear = defineOp({
  type: "Linear",
  domain: "glora",
  infer({ inputs: [x, weight, bias], attrs, name }) {
    const [w, shape] = [weight!.type.shape, x!.type.shape];
    const [out, width] = attrs.int("transposed", 0) === 1 ? [w[1], w[0]] : [w[0], w[1]];
    if (w.length !== 2 || shape.length < 1 || shape.at(-1) !== width)
      throw new Error(`${name}: input ${formatShape(shape)} does not fit the weight ${formatShape(w)}.`);
    if (bias && (bias.type.shape.length !== 1 || bias.type.shape[0] !== out))
      throw new Error(`${name}: bias [${out}] expected, found ${formatShape(bias.type.shape)}.`);
    return [{ dtype: x!.type.dtype, shape: [...shape.slice(0, -1), out!] }];
  },
  // dx = dy·W, dW = dyᵀ·x and db = Σ dy over all rows.
  vjp(g, { inputs: [x, weight, bias], attrs, needs }, [dy]) {
    const transposed = attrs.int("transposed", 0) === 1;
    const rows = (v: typeof x) => g.reshape(v!, [elements(v!.type.shape.slice(0, -1)), v!.type.shape.at(-1)!]);
    const dW = () =>
      transposed
        ? g.gemm(rows(x), rows(dy), undefined, { transA: true })
        : g.gemm(rows(dy), rows(x), undefined, { transA: true });
    return [
      needs[0] ? g.linear(dy!, weight!, undefined, { transposed: !transposed }) : undefined,
      needs[1] ? dW() : undefined,
      bias && needs[2] ? sumTo(g, dy!, bias.type.shape) : undefined,
    ];
  },
});
