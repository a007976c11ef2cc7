/** An adapter as the scoring graphs take it. */
import { INPUTS } from "../../adapters/adapted-graph.js";
import { type AdaptedModel, trainableFeeds } from "../../adapters/adapted-model.js";
import type { SegmentName } from "../../adapters/effective.js";
import { type AdaptedLayer, adaptLinears } from "../../adapters/emit.js";
import type { Genome } from "../../adapters/structure.js";
import type { Builder } from "../../ir/builder.js";
import { size } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";
import type { TokenScorerOptions } from "./token-scorer.js";

/**
 * What lets a scorer see a model through its adapter.
 * @param genome  of a supernet, the structure to score; asked for at every run, so that one scorer serves a whole search
 */
export function adapting(
  adapted: AdaptedModel,
  genome?: () => Genome | undefined,
): NonNullable<TokenScorerOptions["adapter"]> {
  return {
    feeds: () => (adapted.layout.size === 0 ? {} : trainableFeeds(adapted, genome?.())),
    adapt: (g) => {
      const layers = effectiveLayers(g, adapted);
      return (graph) => adaptLinears(graph, layers);
    },
  };
}

/** The effective tensors of each adapted layer: pieces of the packed input. */
function effectiveLayers(g: Builder, { layout }: AdaptedModel): Map<string, AdaptedLayer> {
  if (layout.size === 0) return new Map();
  const segments = [...layout.layers].flatMap(([layer, { segments }]) =>
    Object.entries(segments).map(([part, { shape }]) => ({ layer, part: part as SegmentName, shape })),
  );
  const input = g.input(INPUTS.trainable, "float32", [layout.size]);
  const lengths = segments.map(({ shape }) => size(shape) as number);
  const pieces = segments.length === 1 ? [input] : g.split(input, lengths, 0);
  const effective = new Map<string, Partial<Record<SegmentName, Value>>>();
  segments.forEach(({ layer, part, shape }, i) => {
    effective.set(layer, { ...effective.get(layer), [part]: g.reshape(pieces[i]!, shape) });
  });

  const choosing = [...layout.layers].flatMap(([layer, { plan }]) => (plan.choose ? [layer] : []));
  const bits =
    choosing.length === 0
      ? []
      : g.split(g.input(INPUTS.choices, "bool", [2 * choosing.length]), Array<number>(2 * choosing.length).fill(1), 0);
  return new Map(
    [...layout.layers.keys()].map((layer): [string, AdaptedLayer] => {
      const at = choosing.indexOf(layer);
      const choices = at < 0 ? {} : { choices: { lowA: bits[2 * at]!, drawnC: bits[2 * at + 1]! } };
      return [layer, { effective: effective.get(layer) ?? {}, ...choices }];
    }),
  );
}
