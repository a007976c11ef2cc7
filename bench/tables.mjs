// How results are printed.
import { PRODUCT_GIGAFLOP } from "./products.mjs";
import { PRODUCTS } from "./sides.mjs";

/**
 * @import { limits, profileGraph } from "./profile.mjs"
 * @import { Result, Spread } from "./rounds.mjs"
 * @typedef {Awaited<ReturnType<typeof profileGraph>> & { machine: Awaited<ReturnType<typeof limits>> }} Profile
 * @typedef {{ milliseconds: number, flop: number, bytes: number, limit: number }} Cost
 */

/** A line for each side; the first is what the others are measured by. @param {string} title @param {Result[]} results */
export function printComparison(title, results) {
  console.log(`\n${title}`);
  const [first] = results;
  line(["", "ms", "quartiles", "ratio", "quartiles", "processor", "ratio", "products", "peak MB", "ratio", "grown MB"]);
  for (const { name, milliseconds, ratio, processor, processorRatio, products, peak, growth } of results) {
    const isProduct = PRODUCTS.includes(name);
    const rate = `${name}: ${((1000 * PRODUCT_GIGAFLOP) / milliseconds.median).toFixed(0)} GFLOP/s`;
    line([
      isProduct ? rate : name,
      milliseconds.median.toFixed(1),
      range(milliseconds, 1),
      ratio.median.toFixed(2),
      range(ratio, 2),
      processor.median.toFixed(1),
      processorRatio.median.toFixed(2),
      products ? products.median.toFixed(1) : "",
      `${peak ?? ""}`,
      isProduct || !peak || !first?.peak ? "" : (peak / first.peak).toFixed(2),
      `${growth ?? ""}`,
    ]);
  }
}

/** @param {Profile} profile */
export function shareOf({ shareOfProducts }) {
  return `${(100 * shareOfProducts).toFixed(1)} %`;
}

/** The roofline of a step. `% limit`: of a node's time, what the machine needs at least. @param {Profile} profile */
export function printProfile({ machine, all, kinds, slowest }) {
  const { gigaflops, gigabytes } = machine;
  const peaks = `${gigaflops.toFixed(0)} GFLOP/s in products, ${gigabytes.toFixed(1)} GB/s in sums of long vectors`;
  console.log(`\n  the machine: ${peaks}`);
  const columns = ["ms", "%", "GFLOP", "MB", "FLOP/B", "GFLOP/s", "GB/s", "% products", "% memory", "% limit"];
  const cells = (/** @type {Cost} */ { milliseconds: ms, flop, bytes, limit }) => [
    ms.toFixed(2),
    ((100 * ms) / all.milliseconds).toFixed(1),
    (flop / 1e9).toFixed(2),
    (bytes / 1e6).toFixed(1),
    bytes > 0 ? (flop / bytes).toFixed(1) : "",
    (flop / ms / 1e6).toFixed(1),
    (bytes / ms / 1e6).toFixed(1),
    (flop / ms / 1e4 / gigaflops).toFixed(0),
    (bytes / ms / 1e4 / gigabytes).toFixed(0),
    ((100 * limit) / ms).toFixed(0),
  ];
  wide(["kind (nodes)", ...columns]);
  for (const kind of kinds.filter(({ milliseconds }) => milliseconds > all.milliseconds / 1000))
    wide([`${kind.op} (${kind.nodes.toFixed(0)})`, ...cells(kind)]);
  wide([`all (${all.nodes.toFixed(0)})`, ...cells(all)]);
  wide(["slowest nodes", ...columns]);
  for (const node of slowest) wide([`${node.op} ${node.shapes}`, ...cells(node)]);
}

/** @param {Spread} spread @param {number} digits */
function range({ quartiles: [low, high] }, digits) {
  return `${low.toFixed(digits)}–${high.toFixed(digits)}`;
}

/** @param {string[]} cells */
function line([name = "", ...cells]) {
  console.log(`${name.padEnd(36)}${cells.map((cell) => cell.padStart(13)).join("")}`);
}

/** @param {string[]} cells */
function wide([name = "", ...cells]) {
  console.log(`  ${name.padEnd(60)}${cells.map((cell) => cell.padStart(11)).join("")}`);
}
