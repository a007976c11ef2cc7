/** The structure of a model, layer by layer, as text for people. */
import { count } from "../adapters/budget.js";
import {
  type AForm,
  type Form,
  type Genome,
  kindOf,
  type LayerShape,
  NO_CHANGE,
  SUPPORTS,
} from "../adapters/structure.js";
import { FORM_KINDS, FORM_LOOKS, signOf } from "./form-looks.js";
import { type Cell, table } from "./table.js";
import { type Paint, plain } from "./terminal.js";

/**
 * One row a layer, the name of its block on the block's first row; a low-rank form is shown by its rank.
 *
 *     block     layer      A  B  C  D  E  parameters
 *     blocks.0  attn.qkv   4  v  ·  ·  s       1,337
 *               attn.proj  ·  ·  ·  ·  ·           0
 *
 * @param layers  those that the genome is about; one that it does not name is unchanged
 */
export function drawStructure(
  layers: readonly LayerShape[],
  genome: Genome,
  a: AForm = "elementwise",
  paint: Paint = plain,
): string {
  const glyph = (form: Form): string => paint(FORM_LOOKS[kindOf(form)].style, signOf(form));
  let before: string | undefined;
  const rows = layers.map((layer): Cell[] => {
    const { block, rest } = splitName(layer.name);
    const structure = genome.get(layer.name) ?? NO_CHANGE;
    const shown = block === before ? "" : block;
    before = block;
    return [shown, rest, ...SUPPORTS.map((support) => glyph(structure[support])), count(genome, [layer], a)];
  });
  const supports = SUPPORTS.map((title) => ({ title, align: "right" }) as const);
  const drawing = table(
    ["block", "layer", ...supports, "parameters"],
    [...rows, ["", "all", ...SUPPORTS.map(() => ""), count(genome, layers, a)]],
    paint,
  );
  const kinds = FORM_KINDS.map((kind) => {
    const { style, sign, name } = FORM_LOOKS[kind];
    return `${paint(style, sign ?? "1, 2, 4 …")} ${name}`;
  });
  const legend = `${kinds.join("  ")}${a === "product" ? "  (A as W·A)" : ""}`;
  return `${drawing}\n${legend}`;
}

/** A name up to its first number, and what follows: "blocks.0" and "attn.qkv". */
export function splitName(name: string): { block: string; rest: string } {
  const [, block, rest] = /^(.*?\.\d+)\.(.+)$/.exec(name) ?? [];
  return block !== undefined && rest !== undefined ? { block, rest } : { block: "", rest: name };
}
