import { assertFeasible, type Budget, count, repair } from "../adapters/budget.js";
import { drawFrom, drawGenome, formsOf, type Space } from "../adapters/space.js";
import { type Form, type Genome, genomeKey, SUPPORTS, type Support } from "../adapters/structure.js";
import type { Genes } from "./evolution.js";

/**
 * GLoRA's genes: one for each support of each layer of a space, its alleles the forms offered there. A redrawn gene is
 * uniform over the kinds of form, then over the ranks, as in training.
 *
 * @throws {GloraError} BUDGET if no structure of the space meets the budget, with the nearest counts that can be reached
 */
export function gloraGenes(space: Space, budget: Budget): Genes<Genome> {
  assertFeasible(space, budget);

  const child = (form: (layer: string, support: Support) => Form): Genome =>
    new Map(
      space.layers.map(({ name }) => {
        const structure = Object.fromEntries(SUPPORTS.map((support) => [support, form(name, support)]));
        return [name, structure as Record<Support, Form>];
      }),
    );

  return {
    random: (rng) => drawGenome(space, rng),
    mutate: (parent, rate, rng) =>
      child((layer, support) =>
        rng.uniform() < rate ? drawFrom(formsOf(space, layer)[support], rng) : parent.get(layer)![support],
      ),
    crossover: (a, b, rng) => child((layer, support) => (rng.int(2) ? b : a).get(layer)![support]),
    repair: (genome, rng) => repair(genome, space, budget, rng),
    key: (genome) => genomeKey(genome, space.layers),
    count: (genome) => count(genome, space.layers, space.a),
  };
}
