// Processes that take turns: one step here, one step there, round after round, so that whatever else the machine does meets all
// of them alike. Compared are the steps of one round.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * @import { Structures } from "./configurations.mjs"
 * @typedef {{ name: string, command: string, args: string[], unit?: string }} Side  `unit`: the side of its own library's products
 * @typedef {{ median: number, quartiles: [number, number], best: number, worst: number }} Spread
 * @typedef {{ structures?: Structures }} Request
 * @typedef {{ milliseconds: number, processor: number, loss?: number, peak?: number }} Answer
 * @typedef {{ name: string, milliseconds: Spread, ratio: Spread, processor: Spread, processorRatio: Spread, products?: Spread,
 *   peak?: number, growth?: number, loss?: number, rounds: number[] }} Result  milliseconds by the clock, and of all processors
 *   together; `ratio`: to the first side's of the same round; `products`: how many of its own library's products of that round;
 *   `peak`, `growth`: resident megabytes, in all and since before the model was opened; `rounds`: milliseconds of each
 */

/** Rounds that are run and not counted: the first allocate. */
export const WARM_UP = 2;
/** Milliseconds between two steps, in which the threads of the last one go to sleep. */
const PAUSE = 30;

/**
 * @param {Side[]} sides  the first is the one that the others are compared with
 * @param {{ rounds: number, request: () => Request }} o
 * @returns {Promise<Result[]>}
 */
export async function takeTurns(sides, { rounds, request }) {
  /** @type {Awaited<ReturnType<typeof start>>[]} */ const open = [];
  try {
    for (const side of sides) open.push(await start(side));
    for (let round = 0; round < WARM_UP + rounds; round++) {
      const asked = request();
      // Each comes first as often as the others.
      for (const side of [...open.slice(round % open.length), ...open.slice(0, round % open.length)]) {
        const answer = await side.ask(asked);
        if (round >= WARM_UP) side.answers.push(answer);
        await new Promise((done) => setTimeout(done, PAUSE));
      }
    }
  } finally {
    for (const side of open) await side.stop();
  }
  const [first] = open;
  return open.map((side) => {
    const { name, before, answers } = side;
    const unit = open.find((other) => side.unit === other.name);
    const last = answers.at(-1);
    return {
      name,
      milliseconds: spreadOf(answers.map(({ milliseconds }) => milliseconds)),
      ratio: ratioOf(answers, first?.answers, "milliseconds"),
      processor: spreadOf(answers.map(({ processor }) => processor)),
      processorRatio: ratioOf(answers, first?.answers, "processor"),
      ...(unit && { products: ratioOf(answers, unit.answers, "milliseconds") }),
      ...(last?.peak !== undefined && { peak: last.peak, growth: last.peak - before }),
      ...(last?.loss !== undefined && { loss: last.loss }),
      rounds: answers.map(({ milliseconds }) => rounded(milliseconds)),
    };
  });
}

/** @param {Answer[]} mine @param {Answer[] | undefined} others @param {"milliseconds" | "processor"} what */
function ratioOf(mine, others, what) {
  return spreadOf(mine.map((answer, i) => answer[what] / (others?.[i]?.[what] ?? Number.NaN)));
}

/** What one process answers to one request. @param {Side} side @param {Request} request */
export async function askOnce(side, request) {
  const { ask, stop } = await start(side);
  const answer = await ask(request);
  await stop();
  return answer;
}

/** @param {Side} side */
async function start({ name, command, args, unit }) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (text) => {
    complaint = `${complaint}${text}`.slice(-2000);
  });
  child.stdin.on("error", () => undefined); // the answer that does not come says it
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const exited = new Promise((done) => child.once("close", done));
  const read = async () => {
    const { value, done } = await lines.next();
    if (!done) return JSON.parse(value);
    await exited;
    throw new Error(`${name}: stopped without an answer.\n${complaint}`);
  };
  const { before } = await read();
  return {
    name,
    unit,
    before,
    /** @type {Answer[]} */ answers: [],
    ask: async (/** @type {Request} */ request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return read();
    },
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

/** @param {number[]} values @returns {Spread} */
function spreadOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (/** @type {number} */ q) => rounded(sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN);
  return { median: at(0.5), quartiles: [at(0.25), at(0.75)], best: at(0), worst: at(1) };
}

/** @param {number} value */
function rounded(value) {
  return Number(value.toPrecision(4));
}
