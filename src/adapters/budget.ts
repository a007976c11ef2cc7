import { GloraError } from "../base/errors.js";
import type { Rng } from "../base/rng.js";
import { parametersOf } from "./forms/index.js";
import { drawFrom, formsOf, type Space } from "./space.js";
import {
  type AForm,
  type Form,
  type Genome,
  type LayerShape,
  NO_CHANGE,
  type Structure,
  SUPPORTS,
  type Support,
} from "./structure.js";

/** Adapter parameters that a genome may have, both ends included; the head is not counted. */
export interface Budget {
  readonly min: number;
  readonly max: number;
}

/** Adapter parameters of a genome; what does not act is not counted. */
export function count(genome: Genome, layers: Iterable<LayerShape>, a: AForm = "elementwise"): number {
  let total = 0;
  for (const layer of layers) {
    const structure = genome.get(layer.name) ?? NO_CHANGE;
    for (const support of SUPPORTS) total += parametersOf(structure[support], support, layer, a);
  }
  return total;
}

export interface Feasibility {
  readonly feasible: boolean;
  /** The fewest and the most parameters that a genome of the space has. */
  readonly smallest: number;
  readonly largest: number;
  /** The reachable counts nearest to the budget, at or below `max` and at or above `min`. */
  readonly below: number | undefined;
  readonly above: number | undefined;
}

/** Whether any genome of the space has a count inside the budget: exact, for any interval. */
export function feasibility(space: Space, budget: Budget): Feasibility {
  const reachable = choicesOf(space).reachable.at(-1)!;
  const min = Math.ceil(budget.min);
  const below = lastAtMost(reachable, Math.floor(budget.max));
  return {
    feasible: below !== undefined && below >= min,
    smallest: reachable[0]!,
    largest: reachable.at(-1)!,
    below,
    above: firstAtLeast(reachable, min),
  };
}

/**
 * @returns the budget, cut to what the space can reach
 * @throws {GloraError} BUDGET with the counts that can be reached, if no genome is inside the budget
 */
export function assertFeasible(space: Space, budget: Budget): Budget {
  const { feasible, smallest, largest, below, above } = feasibility(space, budget);
  if (feasible)
    return { min: Math.max(Math.ceil(budget.min), smallest), max: Math.min(Math.floor(budget.max), largest) };
  const near = [
    ...(below === undefined ? [] : [`${text(below)} below`]),
    ...(above === undefined ? [] : [`${text(above)} above`]),
  ];
  throw new GloraError(
    "BUDGET",
    `No structure has between ${text(budget.min)} and ${text(budget.max)} adapter parameters. This space reaches from ` +
      `${text(smallest)} to ${text(largest)}; nearest to the budget: ${near.join(", ")}. Change the budget, the ranks or the layers.`,
    { ...budget, smallest, largest, below, above },
  );
}

/**
 * Brings a genome inside the budget. Over it, a uniformly chosen support moves to a uniformly chosen cheaper form, under
 * it to a dearer one, until it is inside. A narrow budget can be jumped over again and again: then a count inside it is
 * drawn and met exactly, with as many forms kept as this allows.
 *
 * @throws {GloraError} BUDGET if no genome of the space is inside
 */
export function repair(genome: Genome, space: Space, budget: Budget, rng: Rng): Genome {
  const { min, max } = assertFeasible(space, budget);
  const { slots, reachable } = choicesOf(space);
  const chosen = slots.map((slot) => indexIn(slot, genome));
  let total = chosen.reduce((sum, form, i) => sum + slots[i]!.counts[form]!, 0);

  // The way down (or up) alone is at most this long, so a budget of ordinary width is met before the moves run out.
  let moves = 2 * slots.reduce((sum, slot) => sum + slot.forms.length, 0);
  for (; moves > 0 && (total < min || total > max); moves--) {
    const over = total > max;
    const movable = [...slots.keys()].filter((i) => {
      const now = slots[i]!.counts[chosen[i]!]!;
      return over ? now > slots[i]!.fewest : now < slots[i]!.most;
    });
    const at = rng.pick(movable);
    const slot = slots[at]!;
    const before = slot.counts[chosen[at]!]!;
    const better = slot.forms.filter((_, i) => (over ? slot.counts[i]! < before : slot.counts[i]! > before));
    chosen[at] = slot.forms.indexOf(drawFrom(better, rng));
    total += slot.counts[chosen[at]]! - before;
  }
  if (total < min || total > max) meetExactly(slots, reachable, { min, max }, chosen, rng);
  return genomeFrom(space, slots, chosen);
}

/** One choice of a space: the forms of one support of one layer, with their parameters. */
interface Slot {
  readonly layer: string;
  readonly support: Support;
  readonly forms: readonly Form[];
  readonly counts: readonly number[];
  readonly fewest: number;
  readonly most: number;
}

/** Every choice of the space; small counts first, so that the reachable counts grow together into few runs early. */
function slotsOf(space: Space): Slot[] {
  const slots = space.layers.flatMap((layer) =>
    SUPPORTS.map((support): Slot => {
      const forms = formsOf(space, layer.name)[support];
      const counts = forms.map((form) => parametersOf(form, support, layer, space.a));
      return { layer: layer.name, support, forms, counts, fewest: Math.min(...counts), most: Math.max(...counts) };
    }),
  );
  return slots.sort((x, y) => x.most - y.most);
}

function indexIn(slot: Slot, genome: Genome): number {
  const form = genome.get(slot.layer)?.[slot.support] ?? "none";
  const index = slot.forms.indexOf(form);
  if (index >= 0) return index;
  throw new GloraError("ADAPTER", `The space does not offer ${form} for support ${slot.support} of "${slot.layer}".`, {
    layer: slot.layer,
    support: slot.support,
    found: form,
    expected: slot.forms,
  });
}

function genomeFrom(space: Space, slots: readonly Slot[], chosen: readonly number[]): Genome {
  const structures = new Map<string, Record<Support, Form>>(space.layers.map(({ name }) => [name, { ...NO_CHANGE }]));
  for (const [i, slot] of slots.entries()) structures.get(slot.layer)![slot.support] = slot.forms[chosen[i]!]!;
  return structures as ReadonlyMap<string, Structure>;
}

/** Draws a reachable count inside the budget and walks back through the choices that lead to it. */
function meetExactly(
  slots: readonly Slot[],
  reachable: readonly Runs[],
  budget: Budget,
  chosen: number[],
  rng: Rng,
): void {
  const wish = budget.min + rng.int(budget.max - budget.min + 1);
  const all = reachable.at(-1)!;
  const above = firstAtLeast(all, wish);
  let rest = above !== undefined && above <= budget.max ? above : lastAtMost(all, wish)!;
  for (let i = slots.length - 1; i >= 0; i--) {
    const { forms, counts } = slots[i]!;
    const possible = (form: number) => lastAtMost(reachable[i]!, rest - counts[form]!) === rest - counts[form]!;
    if (!possible(chosen[i]!)) {
      const form = drawFrom(
        forms.filter((_, j) => possible(j)),
        rng,
      );
      chosen[i] = forms.indexOf(form);
    }
    rest -= counts[chosen[i]!]!;
  }
}

/**
 * A set of integers as ascending runs [first, last, first, last, …] with gaps between them. Counts are sums of multiples
 * of the layers' widths and of a few small numbers, so that they lie in some thousand runs where a bitset would have
 * millions of bits.
 */
type Runs = readonly number[];

/** The choices of a space, and in element i of `reachable` every count that the first i of them reach together. */
interface Choices {
  readonly slots: readonly Slot[];
  readonly reachable: readonly Runs[];
}

/** Search repairs a thousand genomes of one space. */
const cache = new WeakMap<Space, Choices>();

function choicesOf(space: Space): Choices {
  let choices = cache.get(space);
  if (!choices) {
    const slots = slotsOf(space);
    const reachable: Runs[] = [[0, 0]];
    for (const slot of slots) {
      const before = reachable.at(-1)!;
      const shifted = [...new Set(slot.counts)].map((c) => (c === 0 ? before : before.map((n) => n + c)));
      reachable.push(shifted.reduce(union));
    }
    choices = { slots, reachable };
    cache.set(space, choices);
  }
  return choices;
}

function union(x: Runs, y: Runs): Runs {
  const out: number[] = [];
  let i = 0;
  let j = 0;
  let last = Number.NEGATIVE_INFINITY;
  while (i < x.length || j < y.length) {
    const takeX = j >= y.length || (i < x.length && x[i]! <= y[j]!);
    const start = takeX ? x[i]! : y[j]!;
    const end = takeX ? x[i + 1]! : y[j + 1]!;
    if (takeX) i += 2;
    else j += 2;
    if (start > last + 1) out.push(start, end);
    else if (end > last) out[out.length - 1] = end;
    last = Math.max(last, end);
  }
  return out;
}

/** The largest member ≤ n. */
function lastAtMost(runs: Runs, n: number): number | undefined {
  const run = runsStartingUpTo(runs, n) - 1;
  return run < 0 ? undefined : Math.min(n, runs[2 * run + 1]!);
}

/** The smallest member ≥ n. */
function firstAtLeast(runs: Runs, n: number): number | undefined {
  return lastAtMost(runs, n) === n ? n : runs[2 * runsStartingUpTo(runs, n)];
}

/** How many runs start at or before n: binary search. */
function runsStartingUpTo(runs: Runs, n: number): number {
  let low = 0;
  let high = runs.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[2 * middle]! <= n) low = middle + 1;
    else high = middle;
  }
  return low;
}

const text = (n: number): string => n.toLocaleString("en-US");
