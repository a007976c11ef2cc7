/** The Pareto front of a search, as people read it. */
import type { Fitness } from "../search/candidate.js";
import type { SearchSummary } from "../search/fit.js";
import { counted } from "../training/progress.js";
import { drawFront } from "./front-drawing.js";
import { percent } from "./metrics-table.js";
import type { Paint } from "./terminal.js";

/**
 * Parameters against what the search ranked by: accuracies, or losses, of which smaller ones stand higher. The chosen
 * candidate is shown also where it is not on the front: finalists are chosen by training them.
 */
export function frontText({ front, chosen, evaluated }: SearchSummary, fitness: Fitness, paint: Paint): string {
  const shown = front.some(({ index }) => index === chosen.index) ? front : [...front, chosen];
  const points = shown.map(({ parameters, accuracy, loss, index }) => ({
    parameters,
    score: fitness === "accuracy" ? accuracy : -loss,
    chosen: index === chosen.index,
  }));
  const drawing = drawFront(
    points.filter(({ score }) => Number.isFinite(score)),
    fitness === "accuracy" ? percent : (score) => (-score).toFixed(3),
    paint,
  );
  return `Parameters against ${fitness}, ${counted(evaluated, "candidate")}, inherited weights (● the chosen one):\n\n${drawing}`;
}
