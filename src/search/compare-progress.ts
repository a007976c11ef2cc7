/** How far a comparison is, and how long it will take: from the trials that are done, and from the plan of the one under way. */
import type { PresetName } from "../adapters/presets.js";
import type { Dataset } from "../data/dataset.js";
import type { TrialLog } from "./compare-log.js";
import { type ComparePlan, type TrialKey, trialName } from "./compare-plan.js";
import type { FitEvent } from "./events.js";

export interface TrialsProgress {
  /** What a trial's event says of the whole; undefined for what is of no interest there. */
  event(key: TrialKey, event: FitEvent, seconds: number): FitEvent | undefined;
  finished(key: TrialKey): FitEvent;
}

interface Place {
  readonly data: string;
  readonly method: PresetName;
}

export function trialsProgress(plan: ComparePlan, data: readonly Dataset[], log: TrialLog): TrialsProgress {
  const { seeds, selectOnFirstSeed, methods } = plan;
  const rates = plan.learningRates.length;
  const each = selectOnFirstSeed ? rates + seeds.length - 1 : rates * seeds.length;
  const places = data.flatMap(({ name }) =>
    methods.filter(({ overBudget }) => !overBudget).map(({ method }): Place => ({ data: name, method })),
  );
  const here = (place: Place) => (trial: TrialKey) => trial.data === place.data && trial.method === place.method;
  const among = log.all().filter((trial) => seeds.includes(trial.seed) && places.some((place) => here(place)(trial)));
  /** Finished trials with their time, and planned times. */
  const done = among.map((trial) => ({ ...trial, total: trial.seconds + trial.searchSeconds }));
  const planned = new Map<string, number>();
  const told = new Set<string>();
  let current = { key: undefined as TrialKey | undefined, seconds: 0 };

  const estimate = (place: Place): number | undefined => {
    const own = done.filter(here(place));
    const known = planned.get(`${place.data} ${place.method}`);
    if (own.length === 0 && known !== undefined) return known;
    const like = done.filter(({ method }) => method === place.method);
    const some = [own, like, done].find(({ length }) => length > 0);
    if (some) return some.reduce((sum, { total }) => sum + total, 0) / some.length;
    return planned.values().next().value;
  };
  const left = (): number | undefined => {
    let sum = 0;
    for (const place of places) {
      const time = estimate(place);
      if (time === undefined) return undefined;
      const spent = current.key && here(place)(current.key) ? Math.min(time, current.seconds) : 0;
      sum += Math.max(0, each - done.filter(here(place)).length) * time - spent;
    }
    return Math.max(0, sum);
  };
  const total = each * places.length;
  const progress = (detail: string): FitEvent => ({
    type: "progress",
    phase: "trials",
    unit: "trial",
    progress: { done: done.length, total, rate: undefined, secondsLeft: left() },
    detail,
  });
  return {
    event(key, event, seconds) {
      current = { key, seconds };
      if (event.type === "note") {
        const said = `${key.data}: ${event.text}`; // what is true of the data, every trial says
        if (told.has(said)) return undefined;
        told.add(said);
        return { type: "note", text: `${trialName(key)}: ${event.text}` };
      }
      if (event.type === "plan") planned.set(`${key.data} ${key.method}`, event.plan.seconds);
      if (event.type !== "progress") return undefined;
      const { phase, detail, progress: own } = event;
      return progress(`${trialName(key)}: ${phase} ${own.done}/${own.total}${detail === "" ? "" : `, ${detail}`}`);
    },
    finished(key) {
      const { seconds, searchSeconds } = log.find(key)!;
      done.push({ ...log.find(key)!, total: seconds + searchSeconds });
      current = { key: undefined, seconds: 0 };
      return progress("");
    },
  };
}
