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
  /** The most parameters that a structure of the whole space has within it; null: none has so few. */
  readonly glora: number | null;
  /** The largest rank of LoRA on every layer within it; 0: none. */
  readonly loraRank: number;
  /** Methods without a rank that fit into it. */
  readonly fits: readonly PresetName[];
}

const RANKED = ["lora", "hira"] as const;
const UNRANKED = ["bitfit", "ssf", "vpt"] as const;
const RANKS = [1, 4, 8, 16];
const SHARES = [0.001, 0.01, 0.05];

export function inspectModel(model: Model): ModelFacts {
  const { name, family, weights, head, labels, input, loss } = model;
  const parameters = [...weights.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const layers = model.layers.map((layer) => ({ ...layer, parameters: layer.out * (layer.in + Number(layer.bias)) }));
  const chosen = selectLayers(layers, model.targets);
  const glora = presetSpace("glora", chosen);
  const full = fullRank(chosen);
  const methods: MethodCost[] = [
    ...RANKED.flatMap((method) =>
      RANKS.filter((rank) => rank <= full).map((rank) => ({
        method,
        rank,
        ...range(presetSpace(method, chosen, { rank })),
      })),
    ),
    ...UNRANKED.map((method) => ({ method, ...range(presetSpace(method, chosen)) })),
    { method: "glora", rank: Math.min(8, full), ...range(glora) },
  ];
  const loraStep = methods.find(({ method, rank }) => method === "lora" && rank === 1)!.largest;
  const budgets = SHARES.map((share): BudgetFacts => {
    const budget = Math.floor(share * parameters);
    return {
      share,
      parameters: budget,
      glora: feasibility(glora, { min: 0, max: budget }).below ?? null,
      loraRank: Math.floor(budget / loraStep),
      fits: methods.filter(({ rank, largest }) => rank === undefined && largest <= budget).map(({ method }) => method),
    };
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
