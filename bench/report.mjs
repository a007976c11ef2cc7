// Puts the tables of a result into docs/performance.md, between its marks; with --check, tells whether they are there.
//
//     node bench/report.mjs bench/results/<cpu>.json [--check]
import { readFile, writeFile } from "node:fs/promises";
import { IMAGE_GROUPS, MICRO_GROUPS, TEXT_GROUPS } from "./groups.mjs";
import { PRODUCT_GIGAFLOP } from "./products.mjs";
import { PRODUCTS } from "./sides.mjs";

/**
 * @import { Group } from "./groups.mjs"
 * @import { Result, Spread } from "./rounds.mjs"
 * @import { Cost, Profile } from "./tables.mjs"
 * @typedef {Record<string, { sides: Result[], profile: Profile }>} Measured  by the names of the groups
 */

const PAGE = new URL("../docs/performance.md", import.meta.url);
const [BEGIN, END] = ["<!-- tables: begin -->", "<!-- tables: end -->"];
/** Of the kinds of node, those that take at least this share of a step. */
const SHARE = 0.01;

const [path, check] = process.argv.slice(2);
if (!path) throw new Error("Name a file of results.");
const result = JSON.parse(await readFile(path, "utf8"));
const page = await readFile(PAGE, "utf8");
const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
if (begin < 0 || end < begin) throw new Error(`docs/performance.md lacks the marks ${BEGIN} and ${END}.`);
const text = [...machine(), ...steps(), ...forward(), ...roofline()].join("\n");
const told = `${page.slice(0, begin + BEGIN.length)}\n\n${text}\n${page.slice(end)}`;
if (check !== "--check") await writeFile(PAGE, told);
else if (cells(told) !== cells(page))
  throw new Error(`docs/performance.md is not what ${path} says: run node bench/report.mjs ${path}.`);

/** The text however wide the formatter has made its tables' columns. @param {string} text */
function cells(text) {
  return text.replace(/ +/g, " ").replace(/-+/g, "-");
}

/** @returns {string[]} */
function machine() {
  const versions = { "Node.js": result.node, "onnxruntime-node": result.onnxruntime, ...result.peers };
  const libraries = Object.entries(versions).map((pair) => pair.join(" "));
  const rates = result.products?.map(
    (/** @type {Result} */ { name, milliseconds }) =>
      `${name} ${((1000 * PRODUCT_GIGAFLOP) / milliseconds.median).toFixed(0)}`,
  );
  return [
    `${result.cpu} (${result.flags.join(", ")}), ${result.threads} threads; ${libraries.join(", ")}; seed ${result.seed}, ` +
      `${result.rounds} rounds, ${result.date}, load at the start ${result.load.toFixed(1)}. GFLOP/s: ${rates?.join(", ")}.`,
    "",
  ];
}

/** @returns {string[]} */
function steps() {
  return [
    ...compared(IMAGE_GROUPS, result.vit),
    ...(result.smollm2 ? compared(TEXT_GROUPS, result.smollm2) : []),
    ...compared(MICRO_GROUPS, result.micro),
  ];
}

/** @param {Record<string, Group>} groups @param {Measured & { model: string }} measured */
function compared(groups, measured) {
  const lines = Object.entries(groups).flatMap(([key, group]) =>
    (measured[key]?.sides ?? [])
      .filter(({ name }) => !isProduct(name))
      .map(({ name, milliseconds, ratio, products, peak }, i, [first]) => [
        i === 0 ? group.title : "",
        name,
        milliseconds.median.toFixed(0),
        range(milliseconds, 0),
        i === 0 ? "" : `${ratio.median.toFixed(2)} (${range(ratio, 2)})`,
        products?.median.toFixed(1) ?? "",
        `${peak ?? ""}`,
        i === 0 || !peak || !first?.peak ? "" : (first.peak / peak).toFixed(2),
      ]),
  );
  const head = ["step", "by", "ms", "quartiles", "times ours (quartiles)", "own products", "peak MB", "ours / theirs"];
  return [`### ${measured.model}`, "", ...table(head, lines), ""];
}

function forward() {
  /** @type {Result[]} */ const sides = result.merged;
  const lines = sides.map(({ name, milliseconds, ratio }) => [
    name,
    milliseconds.median.toFixed(1),
    range(milliseconds, 1),
    `${ratio.median.toFixed(3)} (${range(ratio, 3)})`,
  ]);
  return [
    "### Forward pass, 8 images",
    "",
    ...table(["model", "ms", "quartiles", "times the base (quartiles)"], lines),
    "",
  ];
}

/** The whole of each step, then the kinds of node of the two that differ most. */
function roofline() {
  /** @type {Measured} */ const all = { ...result.vit, ...result.smollm2 };
  const groups = Object.entries({ ...IMAGE_GROUPS, ...TEXT_GROUPS }).filter(([key]) => all[key]);
  const head = ["ms", "GFLOP", "MB", "GFLOP/s", "GB/s", "% products' rate", "% memory's rate", "% limit"];
  const whole = groups.map(([key, { title }]) => {
    const { profile } = /** @type {Measured[string]} */ (all[key]);
    const share = `${(100 * profile.shareOfProducts).toFixed(1)} %`;
    return [key.startsWith("smollm2") ? `SmolLM2: ${title}` : title, share, ...costs(profile.all, profile)];
  });
  const kinds = ["low-rank", "vector"].flatMap((key) => {
    const profile = all[key]?.profile;
    if (!profile) return [];
    const large = profile.kinds.filter(({ milliseconds }) => milliseconds > SHARE * profile.all.milliseconds);
    const lines = large.map((kind) => [`${kind.op} (${kind.nodes.toFixed(0)})`, ...costs(kind, profile)]);
    return [
      `#### ViT-B/16, ${IMAGE_GROUPS[key]?.title}: by kind of node`,
      "",
      ...table(["kind (nodes)", ...head], lines),
      "",
    ];
  });
  const profiles = groups.map(([key]) => /** @type {Measured[string]} */ (all[key]).profile.machine);
  const rates = (/** @type {"gigaflops" | "gigabytes"} */ what) => profiles.map((machine) => machine[what]);
  const between = (/** @type {number[]} */ values) =>
    `${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)}`;
  return [
    "### Roofline",
    "",
    `The machine, measured beside each step: ${between(rates("gigaflops"))} GFLOP/s in products, ${between(rates("gigabytes"))} GB/s in sums of long vectors.`,
    "",
    ...table(["step", "products", ...head], whole),
    "",
    ...kinds,
  ];
}

/** @param {Cost} cost @param {Profile} profile */
function costs({ milliseconds: ms, flop, bytes, limit }, { machine: { gigaflops, gigabytes } }) {
  return [
    ms.toFixed(1),
    (flop / 1e9).toFixed(2),
    (bytes / 1e6).toFixed(0),
    (flop / ms / 1e6).toFixed(0),
    (bytes / ms / 1e6).toFixed(1),
    (flop / ms / 1e4 / gigaflops).toFixed(0),
    (bytes / ms / 1e4 / gigabytes).toFixed(0),
    ((100 * limit) / ms).toFixed(0),
  ];
}

/** @param {string} name */
function isProduct(name) {
  return PRODUCTS.some((product) => product === name);
}

/** @param {Spread} spread @param {number} digits */
function range({ quartiles: [low, high] }, digits) {
  return `${low.toFixed(digits)}–${high.toFixed(digits)}`;
}

/** @param {string[]} head @param {string[][]} lines */
function table(head, lines) {
  const row = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |`;
  const text = ["step", "by", "model", "kind (nodes)"];
  return [row(head), row(head.map((cell) => (text.includes(cell) ? "---" : "---:"))), ...lines.map(row)];
}
