/** What a fit tells while it runs, and how long its phases take. */
import type { Budget } from "../adapters/budget.js";
import type { Space } from "../adapters/space.js";
import { type Progress, trackProgress } from "../training/progress.js";
import type { Plan } from "./plan.js";

export type Phase =
  | "data"
  | "features"
  | "measure"
  | "train"
  | "search"
  | "finals"
  | "further"
  | "scores"
  | "predict"
  | "trials";

export type FitEvent =
  | { readonly type: "plan"; readonly plan: Plan; readonly space: Space; readonly budget: Budget }
  | {
      readonly type: "progress";
      readonly phase: Phase;
      readonly progress: Progress;
      readonly unit: string;
      readonly detail: string;
    }
  | {
      readonly type: "validation";
      readonly phase: Phase;
      /** Which of several trainings of the phase: "finalist 2 of 4". */
      readonly part?: string;
      readonly epoch: number;
      readonly accuracy: number;
      readonly loss: number;
      readonly trainLoss: number;
    }
  | { readonly type: "note"; readonly text: string };

/** Reports how many items of a phase are done. */
export interface Report {
  (detail: string, done: number): void;
  /** Time since the last report was not spent on items, and does not count towards their rate. */
  skip(): void;
}

/** Times phases, and reports how far they are. */
export function stopwatch(tell: (event: FitEvent) => void) {
  const seconds: Partial<Record<Phase, number>> = {};
  const clock = () => performance.now() / 1000;
  return {
    seconds,
    async timed<T>(phase: Phase, body: () => Promise<T>): Promise<T> {
      const start = clock();
      try {
        return await body();
      } finally {
        seconds[phase] = clock() - start;
      }
    },
    /** @param before  items that an earlier call did */
    progress(phase: Phase, unit: string, total: number, before = 0): Report {
      const tracker = trackProgress(total, clock, before);
      let last = before;
      const report = (detail: string, done: number): void => {
        tell({ type: "progress", phase, unit, progress: tracker.advance(done - last), detail });
        last = done;
      };
      return Object.assign(report, { skip: tracker.skip });
    },
  };
}
