/** Structures that a search starts from: known methods, and mixtures of them that no single method has. */
import { type Budget, count } from "../adapters/budget.js";
import { parametersOf } from "../adapters/forms/index.js";
import { formsOf, type Space } from "../adapters/space.js";
import {
  type Form,
  type FormKind,
  type Genome,
  genomeKey,
  kindOf,
  type LayerShape,
  NO_CHANGE,
  rankOf,
  type Structure,
  SUPPORTS,
  type Support,
} from "../adapters/structure.js";

/** The kind of form that each support takes, and in which layers. */
interface Pattern {
  readonly kinds: Partial<Record<Support, FormKind>>;
  readonly layers: (name: string) => boolean;
}

const everywhere = (): boolean => true;
/** `attn` of timm, `attention` of BERT, `self_attn` of LLaMA. */
const inAttention = (name: string): boolean => /attn|attention/.test(name);

/** The most promising first: where there are fewer finalists than seeds, the last ones have no place (docs/search.md). */
const PATTERNS: readonly Pattern[] = [
  { kinds: { B: "lora" }, layers: inAttention },
  { kinds: { B: "lora" }, layers: everywhere },
  { kinds: { A: "vector", D: "vector", E: "vector" }, layers: everywhere },
  { kinds: { A: "vector", B: "lora", E: "vector" }, layers: inAttention },
  { kinds: { B: "lora", E: "vector" }, layers: everywhere },
  { kinds: { E: "vector" }, layers: everywhere },
];

/** Every pattern, as large as the budget and the space allow; none twice, and none that the space does not offer. */
export function seedGenomes(space: Space, budget: Budget): Genome[] {
  const seeds = new Map<string, Genome>();
  for (const pattern of PATTERNS) {
    const genome = filled(space, pattern, budget.max);
    const parameters = count(genome, space.layers, space.a);
    const key = genomeKey(genome, space.layers);
    if (parameters > 0 && parameters >= budget.min && !seeds.has(key)) seeds.set(key, genome);
  }
  return [...seeds.values()];
}

/**
 * The pattern in as many layers as the budget allows, the last first; then, in the same order, at the next rank and the
 * next: a budget between two ranks is used to its end.
 */
function filled(space: Space, { kinds, layers }: Pattern, most: number): Genome {
  const genome = new Map<string, Structure>(space.layers.map(({ name }) => [name, NO_CHANGE]));
  const chosen = space.layers.filter(({ name }) => layers(name)).reverse();
  let left = most - count(genome, space.layers, space.a);
  for (const rank of ranksOf(space))
    for (const layer of chosen) {
      const before = genome.get(layer.name)!;
      const after = structureAt(space, layer, kinds, rank);
      const more = parametersIn(after, layer, space) - parametersIn(before, layer, space);
      if (more <= 0 || more > left) continue;
      genome.set(layer.name, after);
      left -= more;
    }
  return genome;
}

/** Ranks that the space offers, ascending; one turn at least, for what has none. */
function ranksOf({ forms }: Space): number[] {
  const ranks = [...forms.values()].flatMap((layer) => SUPPORTS.flatMap((support) => layer[support].map(rankOf)));
  return [...new Set(ranks)]
    .filter((rank) => rank > 0)
    .sort((a, b) => a - b)
    .concat(ranks.some(Boolean) ? [] : [1]);
}

/** The kinds in one layer, at the largest rank up to the given one; what is not offered there is absent. */
function structureAt(space: Space, { name }: LayerShape, kinds: Pattern["kinds"], rank: number): Structure {
  const forms = formsOf(space, name);
  const form = (support: Support): Form => {
    const kind = kinds[support] ?? "none";
    const offered = forms[support].filter((some) => kindOf(some) === kind && rankOf(some) <= rank);
    return offered.sort((x, y) => rankOf(y) - rankOf(x))[0] ?? "none";
  };
  return Object.fromEntries(SUPPORTS.map((support) => [support, form(support)])) as Record<Support, Form>;
}

const parametersIn = (structure: Structure, layer: LayerShape, { a }: Space): number =>
  SUPPORTS.reduce((sum, support) => sum + parametersOf(structure[support], support, layer, a), 0);
