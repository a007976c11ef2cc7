/** Probabilities of continuations of tokens: contexts run once, their continuations go on from there. */
import { GloraError, throwIfAborted } from "../../base/errors.js";
import type { Tensor } from "../../base/tensor.js";
import type { Model } from "../../models/model.js";
import type { Session } from "../../runtime/runtime.js";
import type { Likelihood, ScoreOptions } from "./scorer.js";
import { type Adapt, cacheNames, type ScoringGraphOptions, scoringGraph } from "./scoring-graph.js";

/** A context and what may follow it, neither of them empty. */
export interface TokenRequest {
  readonly context: readonly number[];
  readonly continuations: readonly (readonly number[])[];
}

export interface TokenScorerOptions {
  /** Most requests that run through the graph at once. Default: as many as {@link TOKENS} allow. */
  readonly batchSize?: number | undefined;
  /** An adapter on the model, and what is fed for it: asked for at every run, so that its numbers and structure may change. */
  readonly adapter?: { readonly adapt: Adapt; readonly feeds: () => Readonly<Record<string, Tensor>> };
}

export interface TokenScorer {
  score(requests: readonly TokenRequest[], o?: ScoreOptions): Promise<Likelihood[][]>;
  /** log p of each of the last tokens of a text, behind all before it; the text has more tokens than that. */
  last(count: number, text: readonly number[], o?: Pick<ScoreOptions, "signal">): Promise<Likelihood[]>;
  dispose(): Promise<void>;
}

/** Tokens that run through the graph at once: products of matrices are at their fastest from a few hundred rows on. */
const TOKENS = 2048;
/** Bytes that the keys and values of a batch may take. */
const CACHE_BYTES = 2 ** 28;
/** Numbers that the logits of a batch may have. */
const LOGITS = 2 ** 25;
/** A beginning that all contexts share is computed once if it is at least so long. */
const SHORTEST_PREFIX = 16;
/** Tokens of a long text that run at once, each seeing all before it. */
const CHUNK = 512;

/** What was computed for a beginning: keys and values of each layer, [1, heads, length, head width]. */
interface Prefix {
  readonly length: number;
  readonly cache: Readonly<Record<string, Tensor>>;
}

/** A request behind the shared prefix. */
interface Item {
  readonly index: number;
  /** At least one token. */
  readonly context: readonly number[];
  readonly continuations: readonly (readonly number[])[];
}

export function tokenScorer(model: Model, o: TokenScorerOptions = {}): TokenScorer {
  const sessions = new Map<string, Promise<Session>>();
  const open = (kind: string, graph: ScoringGraphOptions): Promise<Session> => {
    const known = sessions.get(kind);
    if (known) return known;
    const adapt = o.adapter ? { adapt: o.adapter.adapt } : {};
    const session = model.runtime.open(scoringGraph(model, { ...graph, ...adapt }), { name: kind });
    sessions.set(kind, session);
    return session;
  };
  const { layers, heads, headWidth } = model.cache!;
  const vocabulary = model.head!.out;
  const bytesOfToken = layers * 2 * heads * headWidth * 4;

  const nothing: Prefix = {
    length: 0,
    cache: Object.fromEntries(
      Array.from({ length: layers }, (_, layer) => Object.values(cacheNames("past", layer))).flatMap((names) =>
        names.map((name): [string, Tensor] => [
          name,
          { dtype: "float32", shape: [1, heads, 0, headWidth], data: new Float32Array(0) },
        ]),
      ),
    ),
  };

  /** Runs one batch of requests; where none branches, a continuation but its last token is a part of its context. */
  async function runBatch(items: readonly Item[], prefix: Prefix, signal: AbortSignal | undefined) {
    const branches = items.some(isBranching);
    const session = await open(branches ? "branching continuations" : "continuations", { branches });
    const { feeds, places } = batchFeeds(items, prefix.length, branches);
    const outputs = await session.run({ ...feeds, ...prefix.cache, ...o.adapter?.feeds() }, signal ? { signal } : {});
    const likelihoods = likelihoodsOf(outputs, model.name);
    return places.map((continuations) => continuations.map(([start, end]) => total(likelihoods.slice(start, end))));
  }

  /** Goes on from a prefix by tokens that all are real, and gives the likelihoods of those asked for. */
  async function extend(
    prefix: Prefix,
    tokens: readonly number[],
    next: readonly number[],
    signal: AbortSignal | undefined,
  ) {
    const session = await open("prefix", { presents: true });
    const rows = next.map((_, i) => tokens.length - next.length + i);
    const outputs = await session.run(
      {
        ...textFeeds([tokens], prefix.length, tokens.length),
        ...pickFeeds(
          rows,
          next.map((_, i) => i),
          next,
        ),
        ...prefix.cache,
        ...o.adapter?.feeds(),
      },
      signal ? { signal } : {},
    );
    const cache: Record<string, Tensor> = {};
    for (let layer = 0; layer < layers; layer++) {
      const [from, to] = [cacheNames("present", layer), cacheNames("past", layer)];
      cache[to.key] = outputs[from.key]!;
      cache[to.value] = outputs[from.value]!;
    }
    return {
      prefix: { length: prefix.length + tokens.length, cache },
      likelihoods: likelihoodsOf(outputs, model.name),
    };
  }

  return {
    async score(requests, { signal, onResult } = {}) {
      const shared = sharedLength(requests, longestGap(model));
      let prefix = nothing;
      for (let at = 0; at < shared; at += CHUNK) {
        throwIfAborted(signal);
        const chunk = requests[0]!.context.slice(at, Math.min(at + CHUNK, shared));
        // A graph must be asked for something: the last chunk token's successor is not needed.
        ({ prefix } = await extend(prefix, chunk, [requests[0]!.context[Math.min(at + CHUNK, shared)]!], signal));
      }
      const items = requests.map(({ context, continuations }, index) => ({
        index,
        context: context.slice(shared),
        continuations,
      }));
      const results: Likelihood[][] = new Array(requests.length);
      for (const batch of batchesOf(items, shared, { ...o, vocabulary, bytesOfToken })) {
        throwIfAborted(signal);
        const answers = await runBatch(batch, prefix, signal);
        for (const [i, { index }] of batch.entries()) {
          results[index] = answers[i]!;
          onResult?.(index, answers[i]!);
        }
      }
      return results;
    },
    async last(count, text, { signal } = {}) {
      const chunk = Math.min(CHUNK, Math.max(1, Math.floor(LOGITS / vocabulary)));
      const all: Likelihood[] = [];
      let prefix = nothing;
      for (let at = 0; at + 1 < text.length; at += chunk) {
        throwIfAborted(signal);
        const end = Math.min(at + chunk, text.length - 1);
        // A graph must be asked for something, also where none of the tokens counts yet.
        const from = Math.min(Math.max(at, text.length - 1 - count), end - 1);
        const step = await extend(prefix, text.slice(at, end), text.slice(from + 1, end + 1), signal);
        all.push(...step.likelihoods);
        prefix = step.prefix;
      }
      return all.slice(-count);
    },
    async dispose() {
      for (const session of sessions.values()) await (await session).dispose();
      sessions.clear();
    },
  };
}

/** Whether continuations need a pass of their own behind the context: one of several is longer than a token. */
const isBranching = ({ continuations }: Item): boolean =>
  continuations.length > 1 && continuations.some(({ length }) => length > 1);

/** Tokens of the text in front of the continuations. */
const textOf = (item: Item): readonly number[] =>
  item.continuations.length === 1 ? [...item.context, ...item.continuations[0]!.slice(0, -1)] : item.context;

/**
 * Batches of requests alike in length and kind, the longest first: what needs most memory fails at once, and padding is
 * short.
 */
function batchesOf(
  items: readonly Item[],
  shared: number,
  o: { readonly batchSize?: number | undefined; readonly vocabulary: number; readonly bytesOfToken: number },
): Item[][] {
  const sizes = new Map(
    items.map((item) => {
      const text = textOf(item).length;
      const longest = isBranching(item) ? Math.max(...item.continuations.map(({ length }) => length - 1)) : 0;
      return [item, { text, longest, branching: isBranching(item) }];
    }),
  );
  const sorted = [...items].sort((a, b) => {
    const [x, y] = [sizes.get(a)!, sizes.get(b)!];
    return +y.branching - +x.branching || y.text - x.text || y.longest - x.longest;
  });
  const batches: Item[][] = [];
  let batch: Item[] = [];
  let [text, longest, choices, rows] = [0, 0, 0, 0];
  for (const item of sorted) {
    const size = sizes.get(item)!;
    const next = {
      text: Math.max(text, size.text),
      longest: Math.max(longest, size.longest),
      choices: choices + item.continuations.length,
      rows: rows + item.continuations.reduce((sum, { length }) => sum + length, 0),
    };
    const count = batch.length + 1;
    const fits =
      count <= (o.batchSize ?? Number.POSITIVE_INFINITY) &&
      count * next.text + next.choices * next.longest <= TOKENS &&
      count * (shared + next.text) * o.bytesOfToken <= CACHE_BYTES &&
      next.rows * o.vocabulary <= LOGITS;
    const alike = batch.length === 0 || isBranching(batch[0]!) === size.branching;
    if (batch.length > 0 && !(fits && alike)) {
      batches.push(batch);
      batch = [];
      [text, longest, choices, rows] = [0, 0, 0, 0];
    }
    batch.push(item);
    text = Math.max(text, size.text);
    longest = Math.max(longest, size.longest);
    choices += item.continuations.length;
    rows += item.continuations.reduce((sum, { length }) => sum + length, 0);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

type Range = readonly [start: number, end: number];

/** What a batch is fed, and where the likelihoods of each request's continuations come out. */
function batchFeeds(items: readonly Item[], shared: number, branching: boolean) {
  const texts = items.map(textOf);
  const width = Math.max(...texts.map(({ length }) => length));
  const scored: number[] = [];
  const branches: { readonly owner: number; readonly tokens: readonly number[] }[] = [];
  const picks: { row: () => number; token: number }[] = [];
  const branchRows: number[] = [];
  const length = Math.max(0, ...items.flatMap(({ continuations }) => continuations.map((tokens) => tokens.length - 1)));

  const places = items.map(({ continuations }, i) => {
    const end = (i + 1) * width - 1; // texts are padded on the left: they end at the same place
    const single = continuations.length === 1;
    const firstRow = scored.length;
    if (single) for (let k = continuations[0]!.length - 1; k >= 0; k--) scored.push(end - k);
    else scored.push(end);
    return continuations.map((tokens): Range => {
      const start = picks.length;
      const branch = branches.length;
      if (!single && tokens.length > 1) branches.push({ owner: i, tokens: tokens.slice(0, -1) });
      for (const [k, token] of tokens.entries()) {
        if (k === 0 || single) picks.push({ row: () => firstRow + k, token });
        else {
          const at = branchRows.push(branch * length + k - 1) - 1;
          picks.push({ row: () => scored.length + at, token });
        }
      }
      return [start, picks.length];
    });
  });
  const feeds = {
    ...textFeeds(texts, shared, width),
    ...pickFeeds(
      scored,
      picks.map(({ row }) => row()),
      picks.map(({ token }) => token),
    ),
    ...(branching && branchFeeds(branches, branchRows, texts, shared, width, length)),
  };
  return { feeds, places };
}

/** Texts behind a prefix, padded on the left. */
function textFeeds(texts: readonly (readonly number[])[], shared: number, width: number): Record<string, Tensor> {
  const ids = new BigInt64Array(texts.length * width);
  const positions = new BigInt64Array(texts.length * width);
  const mask = new BigInt64Array(texts.length * (shared + width));
  for (const [i, tokens] of texts.entries()) {
    const padding = width - tokens.length;
    mask.fill(1n, i * (shared + width), i * (shared + width) + shared);
    mask.fill(1n, i * (shared + width) + shared + padding, (i + 1) * (shared + width));
    for (const [k, token] of tokens.entries()) {
      ids[i * width + padding + k] = BigInt(token);
      positions[i * width + padding + k] = BigInt(shared + k);
    }
  }
  const shape = [texts.length, width];
  return {
    input_ids: { dtype: "int64", shape, data: ids },
    position_ids: { dtype: "int64", shape, data: positions },
    attention_mask: { dtype: "int64", shape: [texts.length, shared + width], data: mask },
  };
}

/** Continuations of the texts, padded on the right. */
function branchFeeds(
  branches: readonly { readonly owner: number; readonly tokens: readonly number[] }[],
  rows: readonly number[],
  texts: readonly (readonly number[])[],
  shared: number,
  width: number,
  length: number,
): Record<string, Tensor> {
  const ids = new BigInt64Array(branches.length * length);
  const positions = new BigInt64Array(branches.length * length);
  const total = shared + width + length;
  const mask = new BigInt64Array(branches.length * total);
  for (const [i, { owner, tokens }] of branches.entries()) {
    const text = texts[owner]!.length;
    mask.fill(1n, i * total, i * total + shared);
    mask.fill(1n, i * total + shared + width - text, i * total + shared + width + tokens.length);
    for (const [k, token] of tokens.entries()) {
      ids[i * length + k] = BigInt(token);
      positions[i * length + k] = BigInt(shared + text + k);
    }
  }
  const shape = [branches.length, length];
  return {
    branch_of: int32(branches.map(({ owner }) => owner)),
    branch_ids: { dtype: "int64", shape, data: ids },
    branch_positions: { dtype: "int64", shape, data: positions },
    branch_mask: { dtype: "int64", shape: [branches.length, total], data: mask },
    branch_scored: int32(rows),
  };
}

const pickFeeds = (scored: readonly number[], rows: readonly number[], tokens: readonly number[]) => ({
  scored: int32(scored),
  picked_rows: int32(rows),
  picked_tokens: int32(tokens),
});

const int32 = (values: readonly number[]): Tensor => ({
  dtype: "int32",
  shape: [values.length],
  data: Int32Array.from(values),
});

/** @throws {GloraError} MODEL if one is not a number */
function likelihoodsOf(outputs: Readonly<Record<string, Tensor>>, model: string): Likelihood[] {
  const values = outputs["log_probabilities"]!.data as Float32Array;
  const largest = outputs["largest"]!.data as Float32Array;
  if (values.some(Number.isNaN))
    throw new GloraError(
      "MODEL",
      `${model} gives a probability that is not a number: its weights, or those of its adapter, are damaged.`,
    );
  return Array.from(values, (logLikelihood, i) => ({ logLikelihood, greedy: logLikelihood === largest[i] }));
}

const total = (tokens: readonly Likelihood[]): Likelihood => ({
  logLikelihood: tokens.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0),
  greedy: tokens.every(({ greedy }) => greedy),
});

/**
 * How many tokens all contexts begin with, one less than the shortest has; 0 where it is not worth while, or where a text
 * is longer than a model's attention window: between prefix and context there may be padding, which would count.
 */
function sharedLength(requests: readonly TokenRequest[], longest: number): number {
  const [first, ...others] = requests;
  if (!first || others.length === 0) return 0;
  let shared = first.context.length - 1;
  for (const { context } of others) {
    shared = Math.min(shared, context.length - 1);
    for (let i = 0; i < shared; i++) if (context[i] !== first.context[i]) shared = i;
  }
  const lengths = requests.map(
    ({ context, continuations }) => context.length + Math.max(...continuations.map((c) => c.length)),
  );
  return shared >= SHORTEST_PREFIX && Math.max(...lengths) <= longest ? shared : 0;
}

/** Tokens that a token sees at most, where the model's config limits it. */
function longestGap(model: Model): number {
  const window = model.exportSpec({ addedBiases: false }).config["sliding_window"];
  return typeof window === "number" ? window : Number.POSITIVE_INFINITY;
}
