/**
 * Chance, seeded and replayable. One seed feeds any number of named streams; a stream's state can be saved and restored,
 * so that an interrupted run continues with the same draws.
 */
export interface Rng {
  /** Uniform in [0, 1), 32 bits of resolution. */
  uniform(): number;
  /** Uniform integer in [0, n). */
  int(n: number): number;
  /** Standard normal (Box–Muller, one draw kept out of each pair). */
  normal(): number;
  pick<T>(items: readonly T[]): T;
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
  /** The generator's state: restore with {@link rngFrom}. */
  state(): RngState;
}

export type RngState = readonly [number, number, number, number];

/** The stream `name` of a seed: streams of different names are independent. */
export function rngStream(seed: number, name: string): Rng {
  // FNV-1a of the name and the seed, spread over the state by splitmix32.
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ Math.floor(seed / 2 ** 32), 0x01000193);
  const next = (): number => {
    hash = (hash + 0x9e3779b9) | 0;
    let z = hash;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  return rngFrom([next(), next(), next(), next() | 1]);
}

/** Continues from a saved state. Generator: xoshiro128** (Blackman & Vigna, 2018). */
export function rngFrom(state: RngState): Rng {
  let [a, b, c, d] = state;
  const bits = (): number => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const uniform = (): number => bits() / 2 ** 32;
  const int = (n: number): number => Math.floor(uniform() * n);
  return {
    uniform,
    int,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    pick: (items) => items[int(items.length)]!,
    shuffle: (items) => {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = int(i + 1);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}
