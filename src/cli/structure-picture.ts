/** The structure of a model as a picture: a row for each layer, a cell for each support. */
import { count } from "../adapters/budget.js";
import {
  type AForm,
  type Form,
  type FormKind,
  type Genome,
  kindOf,
  type LayerShape,
  NO_CHANGE,
  SUPPORTS,
} from "../adapters/structure.js";
import { counted, formatCount } from "../training/progress.js";
import { FORM_KINDS, FORM_LOOKS, signOf } from "./form-looks.js";
import { splitName } from "./structure-drawing.js";
import { box, picture, text, titled } from "./svg.js";

/** Pixels. */
const [ROW, CELL, TOP, LEGEND, CHARACTER, COUNT, BAR, GAP] = [18, 26, 64, 40, 7.2, 76, 60, 36];
/** More rows than this stand in columns beside each other, which part between blocks. */
const ROWS = 48;

/**
 * An SVG: forms by colour and letter, the rank in place of a letter; to the right the layer's adapter parameters, as a
 * number and as a bar.
 *
 * @param layers  those that the genome is about; one that it does not name is unchanged
 */
export function pictureStructure(layers: readonly LayerShape[], genome: Genome, a: AForm = "elementwise"): string {
  const rows = layers.map((layer) => {
    const structure = genome.get(layer.name) ?? NO_CHANGE;
    return { ...splitName(layer.name), layer, structure, parameters: count(genome, [layer], a) };
  });
  const most = Math.max(1, ...rows.map(({ parameters }) => parameters));
  const columns = inColumns(rows);
  const names = CHARACTER * Math.max(...rows.map(({ block, rest }) => (block ? block.length + 2 : 0) + rest.length));
  const width = names + SUPPORTS.length * CELL + COUNT + BAR;
  const left = (column: number): number => 24 + column * (width + GAP);
  const bottom = TOP + ROW * Math.max(...columns.map(({ length }) => length));

  const drawn = columns.flatMap((column, i) => {
    const cells = left(i) + names + 12;
    const supports = SUPPORTS.map((support, j) =>
      text(cells + (j + 0.5) * CELL, TOP - 12, support, { anchor: "middle", weight: 600 }),
    );
    const counts = cells + SUPPORTS.length * CELL + COUNT;
    return [
      ...supports,
      text(counts, TOP - 12, "parameters", { anchor: "end", size: 11, tone: "quiet" }),
      ...column.map(({ block, rest, layer, structure, parameters }, row) => {
        const y = TOP + ROW * (row + 0.5);
        const forms = SUPPORTS.map((support) => `${support} ${structure[support]}`).join(", ");
        return titled(`${layer.name}: ${forms}; ${counted(parameters, "parameter")}`, [
          ...(block === (column[row - 1]?.block ?? "") ? [] : [text(left(i), y, block, { tone: "quiet" })]),
          text(cells - 12, y, rest, { anchor: "end" }),
          ...SUPPORTS.flatMap((support, j) => cell(cells + j * CELL, y, structure[support])),
          text(counts, y, formatCount(parameters), { anchor: "end", size: 11 }),
          ...(parameters > 0 ? [box([counts + 8, y - 4], (BAR - 8) * (parameters / most), 8, "quiet")] : []),
        ]);
      }),
    ];
  });

  const total = counted(count(genome, layers, a), "adapter parameter");
  const of = (kind: FormKind): number =>
    rows.reduce((n, row) => n + SUPPORTS.filter((support) => kindOf(row.structure[support]) === kind).length, 0);
  const title = `${total} in ${counted(layers.length, "layer")}${a === "product" ? ", A as W·A" : ""}`;
  const description =
    `Rows are layers, columns the supports A, B, C, D and E. ` +
    `${FORM_KINDS.map((kind) => `${FORM_LOOKS[kind].name}: ${of(kind)}`).join(", ")}.`;
  const legend = FORM_KINDS.flatMap((kind, i) => {
    const x = 24 + 104 * i;
    return [
      ...cell(x, bottom + 20, kind === "lora" ? "lora_1" : kind),
      text(x + CELL + 6, bottom + 20, FORM_LOOKS[kind].name),
    ];
  });
  return picture(
    {
      width: Math.max(left(columns.length), 24 + 104 * FORM_KINDS.length),
      height: bottom + LEGEND,
      title,
      description,
    },
    [text(24, 20, title, { size: 15, weight: 600 }), ...drawn, ...legend],
  );
}

function cell(x: number, y: number, form: Form): string[] {
  const shape = box([x + 1, y - ROW / 2 + 1], CELL - 2, ROW - 2, FORM_LOOKS[kindOf(form)].tone);
  if (form === "none") return [shape];
  return [shape, text(x + CELL / 2, y, signOf(form), { anchor: "middle", size: 11, weight: 600, tone: "back" })];
}

/** The rows in as few columns as can be, none much longer than another; a block stays whole. */
function inColumns<T extends { readonly block: string }>(rows: readonly T[]): T[][] {
  const wanted = Math.ceil(rows.length / Math.ceil(rows.length / ROWS));
  const columns: T[][] = [[]];
  for (const [i, row] of rows.entries()) {
    const starts = row.block !== rows[i - 1]?.block;
    if (starts && columns.at(-1)!.length >= wanted) columns.push([]);
    columns.at(-1)!.push(row);
  }
  return columns;
}
