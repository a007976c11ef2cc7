/** How a run went, as a picture: losses and validation over epochs, and what its search found. */
import type { Fitness } from "../search/candidate.js";
import { counted, formatCount } from "../training/progress.js";
import {
  type Axis,
  along,
  axis,
  dot,
  horizontal,
  line,
  type Point,
  picture,
  type Tone,
  text,
  vertical,
} from "./svg.js";

/** A validation, as the run's log has it. */
export interface LoggedValidation {
  readonly phase: string;
  /** Since the start of its phase. */
  readonly epoch: number;
  readonly trainLoss: number;
  /** Undefined without a validation split. */
  readonly loss: number | undefined;
  readonly accuracy: number | undefined;
}

export interface FoundCandidate {
  readonly index: number;
  readonly parameters: number;
  readonly accuracy: number;
  readonly loss: number;
}

export interface SearchFacts {
  readonly candidates: readonly FoundCandidate[];
  readonly front: readonly FoundCandidate[];
  /** Index of the candidate that was taken. */
  readonly chosen: number;
  readonly fitness: Fitness;
}

export interface RunFacts {
  readonly validations: readonly LoggedValidation[];
  /** What `accuracy` is. */
  readonly measure: "accuracy" | "correlation";
  readonly search?: SearchFacts;
}

/** Pixels. */
const [LEFT, WIDTH, TOP, HEIGHT, GAP, BOTTOM] = [72, 600, 66, 190, 84, 52];

type Format = (value: number, decimals: number) => string;
const plain: Format = (value, decimals) => value.toFixed(decimals);
const percent: Format = (value, decimals) => `${(100 * value).toFixed(Math.max(0, decimals - 2))} %`;

/** One chart: what its axes must hold, and what is drawn once they stand. */
interface Chart {
  readonly title: string;
  readonly across: Axis;
  /** What is counted across. */
  readonly unit: string;
  /** Upwards; those that are finite are shown. */
  readonly values: readonly number[];
  readonly format: Format;
  readonly legend: readonly (readonly [name: string, tone: Tone])[];
  draw(at: (across: number, value: number) => Point, up: Axis): string[];
}

/** An SVG with a chart of the losses, one of the validation score, and one of the candidates where there was a search. */
export function pictureCurve({ validations, measure, search }: RunFacts): string {
  const scored = validations.filter(({ accuracy }) => accuracy !== undefined);
  const own = phaseOfChosen(validations, search?.chosen);
  const format = measure === "accuracy" ? percent : plain;
  const charts = [
    epochChart(validations, own, "loss", plain, [
      { name: "training", tone: "orange", of: ({ trainLoss }) => trainLoss },
      { name: "validation", tone: "blue", of: ({ loss }) => loss },
    ]),
    epochChart(scored, own, `validation ${measure}`, format, [
      { name: "validation", tone: "blue", of: ({ accuracy }) => accuracy },
    ]),
    ...(search ? [searchChart(search, measure, format)] : []),
  ].filter(({ values }) => values.some(Number.isFinite));

  const title = "How the run went";
  const best = format(Math.max(...scored.map(({ accuracy }) => accuracy!)), 3);
  const description = [
    `${counted(validations.length, "validation")} of the phases ${phasesOf(validations).join(", ")}.`,
    ...(scored.length > 0 ? [`Best validation ${measure}: ${best}.`] : []),
    ...(search ? [`${counted(search.candidates.length, "candidate")}, ${search.front.length} on the front.`] : []),
  ].join(" ");
  const height = TOP + charts.length * (HEIGHT + GAP) - GAP + BOTTOM;
  return picture({ width: LEFT + WIDTH + 24, height, title, description }, [
    text(LEFT, 20, title, { size: 15, weight: 600 }),
    ...charts.flatMap((chart, i) => drawChart(chart, TOP + i * (HEIGHT + GAP))),
  ]);
}

interface Curve {
  readonly name: string;
  readonly tone: Tone;
  readonly of: (validation: LoggedValidation) => number | undefined;
}

/** The phase in which the chosen candidate was trained; others were trained beside it, and given up. */
function phaseOfChosen(validations: readonly LoggedValidation[], chosen: number | undefined): string | undefined {
  const phases = phasesOf(validations);
  return [`further-${chosen}`, "further"].find((phase) => phases.includes(phase)) ?? phases.at(-1);
}

const phasesOf = (validations: readonly LoggedValidation[]): string[] => [
  ...new Set(validations.map(({ phase }) => phase)),
];

/**
 * Curves over epochs. The later phases all start where the first ended: that of the chosen structure, and those of others
 * that were tried, which are drawn faintly.
 *
 * @param own  the chosen structure's phase
 */
function epochChart(
  validations: readonly LoggedValidation[],
  own: string | undefined,
  title: string,
  format: Format,
  curves: readonly Curve[],
): Chart {
  const phases = phasesOf(validations);
  const first = phases[0];
  const seam = Math.max(0, ...validations.filter(({ phase }) => phase === first).map(({ epoch }) => epoch));
  const epochOf = ({ phase, epoch }: LoggedValidation): number => (phase === first ? epoch : seam + epoch);
  const end = Math.max(1, ...validations.map(epochOf));
  const shown = curves.filter(({ of }) => validations.some((validation) => of(validation) !== undefined));
  return {
    title,
    across: { ...axis(0, end), low: 0, high: end },
    unit: "epochs",
    values: shown.flatMap(({ of }) => validations.map((validation) => of(validation) ?? Number.NaN)),
    format,
    legend: shown.length > 1 ? shown.map(({ name, tone }) => [name, tone] as const) : [],
    draw(at, up) {
      const marks =
        phases.length > 1
          ? phaseMarks(
              at(seam, up.high),
              at(seam, up.low),
              first!,
              phases.length > 2 ? `${own}; faint: others tried` : own!,
            )
          : [];
      const lines = phases.flatMap((phase) => {
        const opacity = phase === first || phase === own ? {} : { opacity: 0.4 };
        return shown.map(({ of, tone }) => {
          const points = validations.flatMap((validation) => {
            const value = validation.phase === phase ? of(validation) : undefined;
            return value === undefined ? [] : [at(epochOf(validation), value)];
          });
          return points.length === 1 ? dot(points[0]!, 3, tone) : line(points, tone, { width: 2, ...opacity });
        });
      });
      return [...marks, ...lines];
    },
  };
}

/** Where the first phase ends, and what stands at both sides. */
const phaseMarks = ([x, top]: Point, [, bottom]: Point, before: string, after: string): string[] => [
  vertical(x, top, bottom, "quiet", { dash: "4 3" }),
  text(x - 6, top + 8, before, { anchor: "end", size: 11, tone: "quiet" }),
  text(x + 6, top + 8, after, { size: 11, tone: "quiet" }),
];

/** Parameters against what the search ranked by: the candidates, the front among them, and the one that was taken. */
function searchChart({ candidates, front, chosen, fitness }: SearchFacts, measure: string, format: Format): Chart {
  const counts = candidates.map(({ parameters }) => parameters);
  return {
    title: `search: ${fitness === "accuracy" ? measure : "loss"} of the candidates`,
    across: axis(Math.min(...counts), Math.max(...counts)),
    unit: "adapter parameters",
    values: candidates.map((candidate) => candidate[fitness]),
    format: fitness === "accuracy" ? format : plain,
    legend: [
      ["candidate", "quiet"],
      ["front", "blue"],
      ["chosen", "orange"],
    ],
    draw(at) {
      const points = (some: readonly FoundCandidate[]) =>
        some
          .filter((candidate) => Number.isFinite(candidate[fitness]))
          .map((candidate) => at(candidate.parameters, candidate[fitness]));
      const taken = candidates.filter(({ index }) => index === chosen);
      return [
        ...points(candidates).map((point) => dot(point, 2.5, "quiet")),
        line(points(front), "blue"),
        ...points(front).map((point) => dot(point, 3.5, "blue")),
        ...points(taken).map((point) => dot(point, 6, "orange")),
      ];
    },
  };
}

function drawChart({ title, across, unit, values, format, legend, draw }: Chart, y: number): string[] {
  const [right, bottom] = [LEFT + WIDTH, y + HEIGHT];
  const finite = values.filter(Number.isFinite);
  const up = axis(Math.min(...finite), Math.max(...finite));
  const [x, height] = [along(across, LEFT, right), along(up, bottom, y)];
  const ticks = across.ticks.filter((tick) => Number.isInteger(tick) && tick <= across.high);
  return [
    text(LEFT, y - 14, title, { weight: 600 }),
    ...legend.flatMap(([name, tone], i) => {
      const start = right - 92 * (legend.length - i);
      return [dot([start, y - 14], 4, tone), text(start + 10, y - 14, name, { size: 11 })];
    }),
    ...up.ticks.flatMap((tick) => [
      horizontal(LEFT, right, height(tick), "faint"),
      text(LEFT - 8, height(tick), format(tick, up.decimals), { anchor: "end", size: 11 }),
    ]),
    horizontal(LEFT, right, bottom, "quiet"),
    ...ticks.map((tick) => text(x(tick), bottom + 14, formatCount(tick), { anchor: "middle", size: 11 })),
    text(right, bottom + 32, unit, { anchor: "end", size: 11, tone: "quiet" }),
    ...draw((n, value) => [x(n), height(value)], up),
  ];
}
