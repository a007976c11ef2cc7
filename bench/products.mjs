// The product that a step is compared with, ViT-B's widest at batch 8.
import { createBuilder, rngStream } from "../dist/index.js";

/** @import { Tensor } from "../dist/index.js" */

const PRODUCT = { rows: 1576, in: 768, out: 3072 };

/** Billions of multiplications and additions in one. */
export const PRODUCT_GIGAFLOP = (2 * PRODUCT.rows * PRODUCT.in * PRODUCT.out) / 1e9;

/** x·Wᵀ, x·W, y·Wᵀ and y·W for the two orientations of one weight; of each a number is an output, for outputs are copied. */
export function productsGraph() {
  const g = createBuilder();
  const { rows, in: narrow, out: wide } = PRODUCT;
  const rng = rngStream(0, "products");
  /** @type {Record<string, Tensor>} */ const feeds = {};
  /** @param {string} name @param {number[]} shape */
  const input = (name, shape) => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal());
    feeds[name] = { dtype: "float32", shape, data };
    return g.input(name, "float32", shape);
  };
  const [x, y] = [input("x", [rows, narrow]), input("y", [rows, wide])];
  const [w, v] = [input("w", [wide, narrow]), input("v", [narrow, wide])];
  const all = [
    g.gemm(x, w, undefined, { transB: true }),
    g.gemm(x, v),
    g.gemm(y, v, undefined, { transB: true }),
    g.gemm(y, w),
  ];
  for (const [i, product] of all.entries()) g.output(`${i}`, g.slice(g.slice(product, 0, 0, 1), 1, 0, 1));
  return { graph: g.graph, feeds, count: all.length };
}
