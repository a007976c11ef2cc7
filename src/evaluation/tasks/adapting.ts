/** An adapter as the scoring graphs take it. */
import { unpack } from "../../adapters/adapted-graph.js";
import { type AdaptedModel, trainableFeeds } from "../../adapters/adapted-model.js";
import { adaptLinears } from "../../adapters/emit.js";
import type { Genome } from "../../adapters/structure.js";
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
      const { layers } = unpack(g, adapted.model, { layout: adapted.layout, head: "frozen" });
      return (graph) => adaptLinears(graph, layers);
    },
  };
}
