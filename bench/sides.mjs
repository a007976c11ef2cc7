// The processes that take turns.
import { fileURLToPath } from "node:url";

/** @import { Side } from "./rounds.mjs" */

const OUR_SCRIPT = fileURLToPath(new URL("./worker.mjs", import.meta.url));
export const TORCH_SCRIPT = fileURLToPath(new URL("./peers/torch_side.py", import.meta.url));
/** Names of the sides that multiply matrices: of each library one. */
export const PRODUCTS = /** @type {const} */ (["ONNX Runtime's product", "PyTorch's product"]);

/**
 * Makers of processes: `python` is absent where PyTorch is.
 * @param {{ seed: number, threads: number, python?: string }} o
 */
export function sidesOf({ python, ...common }) {
  /** @param {string} name @param {Record<string, unknown>} options @returns {Side} */
  const ours = (name, options) => ({
    name,
    command: process.execPath,
    args: [OUR_SCRIPT, JSON.stringify({ ...common, ...options })],
    unit: PRODUCTS[0],
  });
  /** @param {string} name @param {Record<string, unknown>} options @returns {Side[]} */
  const torch = (name, options) =>
    python
      ? [
          {
            name,
            command: python,
            args: ["-P", TORCH_SCRIPT, JSON.stringify({ ...common, ...options })],
            unit: PRODUCTS[1],
          },
        ]
      : [];
  const products = () => [ours(PRODUCTS[0], { task: "products" }), ...torch(PRODUCTS[1], { task: "products" })];
  return { ours, torch, products };
}
