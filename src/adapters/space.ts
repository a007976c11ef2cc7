import { GloraError } from "../base/errors.js";
import { type Rng, rngStream } from "../base/rng.js";
import { parametersOf } from "./forms/index.js";
import { globMatch } from "./glob.js";
import {
  type AForm,
  type Form,
  type FormKind,
  type Genome,
  genomeKey,
  kindOf,
  kindsOf,
  type LayerShape,
  type Structure,
  SUPPORTS,
  type Support,
} from "./structure.js";

/** The forms that each support of a layer may draw, none of them empty. */
export type LayerForms = Readonly<Record<Support, readonly Form[]>>;

/** Every structure that training draws and search may choose. */
export interface Space {
  readonly a: AForm;
  /** The adapted layers, in the model's order. */
  readonly layers: readonly LayerShape[];
  readonly forms: ReadonlyMap<string, LayerForms>;
}

export interface SpaceOptions {
  /** How A acts. Default: element-wise, as the authors' code. */
  a?: AForm;
  /** Ranks at which the low-rank form is offered. Default: of 1, 2, 4, 8 those up to {@link fullRank}. */
  ranks?: readonly number[];
  /** Kinds of form that a support may take. Default: all that it knows. */
  forms?: Partial<Record<Support, readonly FormKind[]>>;
  /** Globs over layer names; a layer is adapted when one of them matches. Default: every layer. */
  layers?: readonly string[];
  /**
   * Offer C and E on layers that have no bias, where the model's config can say that one is added, as the authors' code
   * does. False drops them there, as Hugging Face PEFT does. Default: true.
   */
  addBiases?: boolean;
}

/**
 * The space of structures over a model's layers. C, D and E are offered only where there is a bias, or one can be added;
 * D, which scales the bias, only where there is one.
 *
 * @throws {GloraError} USAGE if a pattern matches no layer, a rank is no positive integer or above {@link fullRank}, or a support knows no such form
 */
export function createSpace(layers: readonly LayerShape[], options: SpaceOptions = {}): Space {
  const { a = "elementwise", addBiases = true } = options;
  const adapted = selectLayers(layers, options.layers);
  const full = fullRank(adapted);
  const ranks = [...new Set(options.ranks ?? [1, 2, 4, 8].filter((rank) => rank <= full))].sort((x, y) => x - y);
  const wrong = ranks.find((rank) => !Number.isInteger(rank) || rank < 1);
  if (wrong !== undefined)
    throw new GloraError("USAGE", `A rank is a positive integer; got ${wrong}.`, { rank: wrong });
  const largest = ranks.at(-1);
  if (largest !== undefined && largest > full)
    throw new GloraError(
      "USAGE",
      `A rank of ${largest} is more than any adapted layer can have: at most ${full}, the smaller of its in and out. ` +
        `Ask for ${full} or less.`,
      { rank: largest, most: full },
    );
  if (ranks.length === 0) throw new GloraError("USAGE", "Name at least one rank; got none.");

  const offered = (support: Support): readonly Form[] => {
    const known = kindsOf(support, a);
    const kinds = options.forms?.[support] ?? known;
    const unknown = kinds.find((kind) => !known.includes(kind));
    if (unknown !== undefined || kinds.length === 0) {
      throw new GloraError(
        "USAGE",
        `Support ${support}${support === "A" && a === "product" ? " in product form" : ""} offers ${known.join(", ")}; ` +
          `got ${unknown ?? "no form at all"}.`,
        { support, found: unknown },
      );
    }
    return kinds.flatMap((kind): Form[] => (kind === "lora" ? ranks.map((r) => `lora_${r}` as const) : [kind]));
  };
  const everywhere: LayerForms = {
    A: offered("A"),
    B: offered("B"),
    C: offered("C"),
    D: offered("D"),
    E: offered("E"),
  };
  const withoutD: LayerForms = { ...everywhere, D: ["none"] };
  const withoutBias: LayerForms = { ...everywhere, C: ["none"], D: ["none"], E: ["none"] };

  return {
    a,
    layers: adapted,
    forms: new Map(
      adapted.map((layer) => {
        if (layer.bias) return [layer.name, everywhere];
        return [layer.name, layer.addableBias && addBiases ? withoutD : withoutBias];
      }),
    ),
  };
}

/** The largest rank that a matrix [out, in] of one of the layers can have; no limit where there are none. */
export const fullRank = (layers: readonly LayerShape[]): number =>
  layers.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...layers.map((layer) => Math.min(layer.in, layer.out)));

export function selectLayers<L extends LayerShape>(
  layers: readonly L[],
  patterns: readonly string[] | undefined,
): readonly L[] {
  if (patterns === undefined) return layers;
  for (const pattern of patterns) {
    if (layers.some((layer) => globMatch(pattern, layer.name))) continue;
    const some = layers.slice(0, 6).map((layer) => layer.name);
    throw new GloraError(
      "USAGE",
      `No linear layer matches "${pattern}". The model has ${layers.length}: ${some.join(", ")}` +
        `${layers.length > some.length ? ", …" : ""}.`,
      { pattern },
    );
  }
  return layers.filter((layer) => patterns.some((pattern) => globMatch(pattern, layer.name)));
}

/** One form of a list: uniform over the kinds, then over the ranks, so that more ranks do not make low rank likelier. */
export function drawFrom(forms: readonly Form[], rng: Rng): Form {
  const kind = rng.pick([...new Set(forms.map(kindOf))]);
  return rng.pick(forms.filter((form) => kindOf(form) === kind));
}

/** The forms of one layer of the space. */
export function formsOf(space: Space, layer: string): LayerForms {
  const forms = space.forms.get(layer);
  if (!forms) throw new GloraError("ADAPTER", `Layer "${layer}" is not adapted in this space.`, { layer });
  return forms;
}

/** Draws every support of one layer, uniformly and independently. */
export function drawStructure(space: Space, layer: string, rng: Rng): Structure {
  const forms = formsOf(space, layer);
  return eachSupport((support) => drawFrom(forms[support], rng));
}

/** Draws every layer, independently of the others. */
export const drawGenome = (space: Space, rng: Rng): Genome =>
  new Map(space.layers.map(({ name }) => [name, drawStructure(space, name, rng)]));

/** The genome of fewest parameters. */
export const smallestGenome = (space: Space): Genome => extreme(space, (count, best) => count < best);

/** The genome of most parameters. */
export const largestGenome = (space: Space): Genome => extreme(space, (count, best) => count > best);

/** The one genome of a space that leaves no choice, as presets do; undefined where there is a choice. */
export function onlyGenome(space: Space): Genome | undefined {
  for (const forms of space.forms.values()) if (SUPPORTS.some((support) => forms[support].length > 1)) return undefined;
  return smallestGenome(space);
}

/**
 * Structures to watch while a supernet trains, the same in every run and never the ones drawn last: `smallest`,
 * `largest`, and `draws` fixed draws; of equal ones the first.
 */
export function namedGenomes(space: Space, draws = 3): ReadonlyMap<string, Genome> {
  const named = new Map([
    ["smallest", smallestGenome(space)],
    ["largest", largestGenome(space)],
  ]);
  const rng = rngStream(0, "named genomes");
  for (let i = 1; i <= draws; i++) named.set(`draw-${i}`, drawGenome(space, rng));
  const seen = new Set<string>();
  for (const [name, genome] of named) {
    const key = genomeKey(genome, space.layers);
    if (seen.has(key)) named.delete(name);
    seen.add(key);
  }
  return named;
}

function extreme(space: Space, better: (count: number, best: number) => boolean): Genome {
  return new Map(
    space.layers.map((layer) => {
      const forms = formsOf(space, layer.name);
      const count = (form: Form, support: Support) => parametersOf(form, support, layer, space.a);
      const best = (support: Support) =>
        forms[support].reduce((x, y) => (better(count(y, support), count(x, support)) ? y : x));
      return [layer.name, eachSupport(best)];
    }),
  );
}

const eachSupport = (form: (support: Support) => Form): Structure => ({
  A: form("A"),
  B: form("B"),
  C: form("C"),
  D: form("D"),
  E: form("E"),
});
