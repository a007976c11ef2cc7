import { type Candidate, type Fitness, ranking } from "./candidate.js";

/**
 * The candidates that no other beats on parameters and fitness at once, from the fewest parameters up: each one has
 * strictly better fitness than all with as many parameters or fewer. Of equals the first in {@link ranking} is kept.
 */
export function paretoFront<G>(candidates: readonly Candidate<G>[], fitness: Fitness): Candidate<G>[] {
  const better = ranking(fitness);
  const front: Candidate<G>[] = [];
  for (const candidate of [...candidates].sort((a, b) => a.parameters - b.parameters || better(a, b))) {
    const last = front.at(-1);
    const gain = last && (fitness === "accuracy" ? candidate.accuracy - last.accuracy : last.loss - candidate.loss);
    if (gain === undefined || gain > 0) front.push(candidate);
  }
  return front;
}
