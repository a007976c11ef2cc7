/** What a model is, and what each method would train on it. */
import type { LinearLayer, Model } from "../models/model.js";
import { count, feasibility } from "./budget.js";
import { sizeOf } from "./forms/index.js";
import { type PresetName, presetSpace } from "./presets.js";
import { fullRank, largestGenome, type Space, selectLayers, smallestGenome } from "./space.js";

export interface ModelFacts {
  readonly name: string;
  readonly family: string;
  /** Numbers in the checkpoint. */
  readonly parameters: number;
  /** Every linear layer but the head. */
  readonly layers: readonly (LinearLayer & { readonly parameters: number })[];
  /** Names of those that are adapted unless others are named. */
  readonly targets: readonly string[];
  readonly head: Model["head"] | null;
  readonly labels: readonly string[] | null;
  readonly input: Model["input"];
  readonly loss: Model["loss"];
  readonly methods: readonly MethodCost[];
  readonly budgets: readonly BudgetFacts[];
}

/** Adapter parameters of a method, the head not counted. */
export interface MethodCost {
  readonly method: PresetName;
  readonly rank?: number;
  /** Of its smallest and largest structure: equal where the method leaves no choice. */
  readonly smallest: number;
  readonly largest: number;
}

export interface BudgetFacts {
  /** Of the model's parameters. */
  readonly share: number;
  readonly parameters: number;
  /** Methods of which a structure is within it, with the most parameters that one has there. */
  readonly methods: readonly MethodWithin[];
}

export interface MethodWithin {
  readonly method: PresetName;
  /** The largest that the budget allows; absent where the method has none, or chooses a rank for each layer. */
  readonly rank?: number;
  readonly parameters: number;
}

const RANKED = ["lora", "hira"] as const;
const UNRANKED = ["bitfit", "ssf", "vpt", "linear"] as const;
const RANKS = [1, 4, 8, 16];
const SHARES = [0.001, 0.01, 0.05];

export function inspectModel(model: Model): ModelFacts {
  const { name, family, weights, head, labels, input, loss } = model;
  const parameters = [...weights.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const layers = model.layers.map((layer) => ({ ...layer, parameters: layer.out * (layer.in + Number(layer.bias)) }));
  const chosen = selectLayers(layers, model.targets);
  const glora = presetSpace("glora", chosen);
  const full = fullRank(chosen);
  const unranked = UNRANKED.map((method) => ({ method, space: presetSpace(method, chosen) }));
  const methods: MethodCost[] = [
    ...RANKED.flatMap((method) =>
      RANKS.filter((rank) => rank <= full).map((rank) => ({
        method,
        rank,
        ...range(presetSpace(method, chosen, { rank })),
      })),
    ),
    ...unranked.map(({ method, space }) => ({ method, ...range(space) })),
    { method: "glora", rank: Math.min(8, full), ...range(glora) },
  ];
  const budgets = SHARES.map((share): BudgetFacts => {
    const budget = Math.floor(share * parameters);
    const ranked = RANKED.flatMap((method) => {
      // The count is linear in the rank.
      const rank = Math.min(full, Math.floor(budget / range(presetSpace(method, chosen, { rank: 1 })).largest));
      return rank === 0 ? [] : [{ method, rank, space: presetSpace(method, chosen, { rank }) }];
    });
    const within = [...ranked, ...unranked, { method: "glora" as const, space: glora }].flatMap(
      ({ space, ...method }) => {
        const { below } = feasibility(space, { min: 0, max: budget });
        return below === undefined ? [] : [{ ...method, parameters: below }];
      },
    );
    return { share, parameters: budget, methods: within };
  });
  return {
    name,
    family,
    parameters,
    layers,
    targets: chosen.map((layer) => layer.name),
    head: head ?? null,
    labels: labels ?? null,
    input,
    loss,
    methods,
    budgets,
  };
}

const range = (space: Space): { smallest: number; largest: number } => ({
  smallest: count(smallestGenome(space), space.layers, space.a),
  largest: count(largestGenome(space), space.layers, space.a),
});
