/** How far a job is. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Items a second, weighted towards the last half minute; undefined until some time has passed. */
  readonly rate: number | undefined;
  /** Estimated seconds to the end; undefined as long as the rate is. */
  readonly secondsLeft: number | undefined;
}

export interface ProgressTracker {
  /** Counts `items` as done now. */
  advance(items?: number): Progress;
  /** Leaves out the time since the last call: what passed was no work on items. */
  skip(): void;
}

/** Seconds after which a measured stretch of work counts 1/e as much. */
const MEMORY = 30;

/**
 * Follows a job of `total` items.
 *
 *     rate = N / T        at each advance: N ← N·e^(−Δt/30) + items,  T ← T·e^(−Δt/30) + Δt
 *
 * @param now   the clock, in seconds; it starts at the call
 * @param done  items that an earlier, interrupted part of the job did; they do not count towards the rate
 */
export function trackProgress(total: number, now: () => number, done = 0): ProgressTracker {
  let count = done;
  let last = now();
  let items = 0;
  let seconds = 0;
  return {
    advance(more = 1) {
      const time = now();
      const passed = time - last;
      const memory = Math.exp(-passed / MEMORY);
      last = time;
      items = items * memory + more;
      seconds = seconds * memory + passed;
      count += more;
      const rate = seconds > 0 && items > 0 ? items / seconds : undefined;
      const secondsLeft = rate === undefined ? undefined : Math.max(0, total - count) / rate;
      return { done: count, total, rate, secondsLeft };
    },
    skip() {
      last = now();
    },
  };
}

/** "3.4 s", "42 s", "2 min 05 s", "1 h 02 min", "3 d 04 h". */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${twoDigits(s % 60)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${twoDigits(hours % 24)} h`;
}

/** "150,000". */
export const formatCount = (count: number): string => count.toLocaleString("en-US");

/** "1 step", "1,000 steps". */
export const counted = (count: number, unit: string): string =>
  `${formatCount(count)} ${unit}${count === 1 ? "" : "s"}`;

/** "3.4 steps/s"; below one a second the time of one: "2.5 s/step", "1 min 40 s/step". */
export function formatRate(perSecond: number, unit: string): string {
  if (perSecond < 1) return `${formatDuration(1 / perSecond)}/${unit}`;
  return `${perSecond < 100 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond))} ${unit}s/s`;
}

const twoDigits = (n: number): string => String(n).padStart(2, "0");
