/** Shows how far a job is: one line that is drawn over on a terminal, a few plain lines in a log. */
import type { FitEvent } from "../search/fit.js";
import { counted, formatCount, formatDuration, formatRate } from "../training/progress.js";
import { cutToWidth, type OutputStream, type Terminal } from "./terminal.js";

type ProgressEvent = Extract<FitEvent, { type: "progress" }>;

export interface ProgressReporter {
  show(event: FitEvent): void;
  note(text: string): void;
  /** Clears the line that is being drawn over, if there is one: text that is no progress takes its place. */
  makeWay(): void;
  /** Ends the line that is being drawn over, if there is one: whatever is written next starts a line of its own. */
  end(): void;
}

/** Drawing more often costs time and reads no better. Seconds. */
const REDRAW = 0.1;
/** A log gets a line of progress at most this often, and then for another tenth of the work, or after this long. Seconds. */
const LOG = { pause: 10, silence: 300 };

const CLEAR = "\x1b[K"; // from the cursor to the end of the line

/** @param now  the clock, in seconds */
export function reportProgress(stream: OutputStream, terminal: Terminal, now: () => number): ProgressReporter {
  const { live, paint } = terminal;
  /** The phase under way: its last event, when it began, when it was last written, and at which tenth of it. */
  let shown: { event: ProgressEvent; since: number; at: number; tenth: number } | undefined;
  let restedAt = now();

  const draw = (event: ProgressEvent): void => {
    stream.write(live ? `\r${liveLine(event, terminal)}${CLEAR}` : `${plainLine(event)}\n`);
  };
  const line = (text: string): void => {
    stream.write(live && shown ? `\r${text}${CLEAR}\n` : `${text}\n`);
    if (live && shown) draw(shown.event);
  };
  const end = (): void => {
    if (!shown) return;
    const { event, since } = shown;
    shown = undefined;
    restedAt = now();
    const text = finishedLine(event, restedAt - since);
    stream.write(live ? `\r${cutToWidth(text, terminal.width() - 1)}${CLEAR}\n` : `${text}\n`);
  };

  const advance = (event: ProgressEvent): void => {
    const { done, total } = event.progress;
    if (shown && (shown.event.phase !== event.phase || done < shown.event.progress.done)) end();
    const time = now();
    const tenth = Math.floor((10 * done) / total);
    // A phase began when the one before it ended: its first event comes after its first item.
    const last = shown ?? { since: restedAt, at: live ? Number.NEGATIVE_INFINITY : restedAt, tenth: 0 };
    shown = { ...last, event };
    if (done >= total) {
      end();
      return;
    }
    const passed = time - last.at;
    const due = live ? passed >= REDRAW : passed >= LOG.pause && (tenth > last.tenth || passed >= LOG.silence);
    if (!due) return;
    shown = { ...shown, at: time, tenth };
    draw(event);
  };

  return {
    end,
    makeWay: () => {
      if (live && shown) stream.write(`\r${CLEAR}`);
    },
    note: (text) => line(text),
    show(event) {
      if (event.type === "progress") advance(event);
      else for (const text of describe(event)) line(event.type === "validation" ? paint("dim", text) : text);
    },
  };
}

/** Columns of the names of phases. */
const NAME = 8;

const shareOf = ({ progress }: ProgressEvent): number => progress.done / progress.total;

const percent = (share: number): string => `${Math.floor(100 * share)} %`.padStart(5);

/** How far it is, without a bar. */
function parts(event: ProgressEvent): string[] {
  const { progress, unit, detail } = event;
  const { done, total, rate, secondsLeft } = progress;
  return [
    percent(shareOf(event)),
    `${formatCount(done)}/${counted(total, unit)}`,
    ...(rate === undefined ? [] : [formatRate(rate, unit)]),
    ...(secondsLeft === undefined ? [] : [`${formatDuration(secondsLeft)} left`]),
    ...(detail === "" ? [] : [detail]),
  ];
}

const plainLine = (event: ProgressEvent): string => [event.phase.padEnd(NAME), ...parts(event)].join("  ");

/** The same with a bar, cut to the terminal; its last column stays free, or some terminals would wrap. */
function liveLine(event: ProgressEvent, { paint, width }: Terminal): string {
  const columns = width() - 1;
  const length = Math.min(24, Math.floor(columns / 5));
  const filled = Math.round(length * Math.min(1, shareOf(event)));
  const name = event.phase.padEnd(NAME);
  const rest = cutToWidth(parts(event).join("  "), Math.max(1, columns - NAME - length - 4));
  return `${name}  ${paint("green", "█".repeat(filled))}${paint("dim", "░".repeat(length - filled))}  ${rest}`;
}

function finishedLine({ phase, progress, unit, detail }: ProgressEvent, seconds: number): string {
  const { done, total } = progress;
  const work = done >= total ? counted(done, unit) : `${formatCount(done)} of ${counted(total, unit)}`;
  return [phase.padEnd(NAME), `${work} in ${formatDuration(seconds)}`, ...(detail === "" ? [] : [detail])].join("  ");
}

/** Lines that stay. */
function describe(event: Exclude<FitEvent, ProgressEvent>): string[] {
  switch (event.type) {
    case "note":
      return [event.text];
    case "validation": {
      const { phase, part, epoch, accuracy, loss, trainLoss } = event;
      const scores = `accuracy ${(100 * accuracy).toFixed(1)} %, loss ${loss.toFixed(3)} (training ${trainLoss.toFixed(3)})`;
      return [`${phase.padEnd(NAME)}  ${part === undefined ? "" : `${part}, `}epoch ${epoch}: validation ${scores}`];
    }
    case "plan": {
      const { plan, space, budget } = event;
      const { train, search, further, seconds } = plan;
      const steps = [
        `${counted(train.epochs, "epoch")} (batch ${train.batchSize}, learning rate ${train.learningRate})`,
        ...(search ? [counted((search.population ?? 50) * ((search.generations ?? 20) + 1), "candidate")] : []),
        ...(further ? [`${counted(further.epochs, "epoch")} of the winner`] : []),
      ];
      const time = seconds === undefined ? "" : `; about ${formatDuration(seconds)}`;
      const range = budget.min === budget.max ? "" : `${formatCount(budget.min)} to `;
      return [
        `${"plan".padEnd(NAME)}  ${steps.join(", then ")}${time}`,
        `${"".padEnd(NAME)}  ${counted(space.layers.length, "adapted layer")}, ${range}${counted(budget.max, "adapter parameter")}`,
      ];
    }
  }
}
