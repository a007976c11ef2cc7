/**
 * CPython's `random.Random`, number for number: where a published protocol draws with it, equal draws need equal chance.
 * Everything else takes `Rng`.
 *
 * @see Matsumoto & Nishimura, 1998, "Mersenne Twister"; CPython 3.11, Modules/_randommodule.c and Lib/random.py
 */
export interface PythonRandom {
  /** Uniform in [0, 1), 53 bits. */
  random(): number;
  /** A whole number of `bits` random bits, 1 to 32. */
  bits(bits: number): number;
  /** Uniform integer in [0, n), n below 2³². */
  below(n: number): number;
  /** `random.sample(range(n), count)`: different numbers below n, in the order of selection. */
  sample(n: number, count: number): number[];
}

const SIZE = 624;
const MIDDLE = 397;

/** `random.Random(seed)` for a natural number below 2³². */
export function pythonRandom(seed: number): PythonRandom {
  const state = initialState(seed >>> 0);
  let next = SIZE;

  const word = (): number => {
    if (next === SIZE) {
      twist(state);
      next = 0;
    }
    let y = state[next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
  const bits = (count: number): number => word() >>> (32 - count);
  const below = (n: number): number => {
    const length = 32 - Math.clz32(n);
    let drawn = bits(length);
    while (drawn >= n) drawn = bits(length);
    return drawn;
  };
  return {
    random: () => {
      const [high, low] = [word() >>> 5, word() >>> 6];
      return (high * 2 ** 26 + low) / 2 ** 53;
    },
    bits,
    below,
    sample(n, count) {
      // Which of two ways is taken decides what is drawn: CPython compares the memory of a list with that of a set.
      const setSize = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
      if (n <= setSize) {
        const pool = Array.from({ length: n }, (_, i) => i);
        return Array.from({ length: count }, (_, i) => {
          const at = below(n - i);
          const drawn = pool[at]!;
          pool[at] = pool[n - i - 1]!;
          return drawn;
        });
      }
      const drawn = new Set<number>();
      while (drawn.size < count) drawn.add(below(n));
      return [...drawn];
    },
  };
}

/** The state that `init_by_array([seed])` sets. */
function initialState(seed: number): Uint32Array {
  const state = new Uint32Array(SIZE);
  state[0] = 19650218;
  const mixed = (i: number): number => state[i - 1]! ^ (state[i - 1]! >>> 30);
  for (let i = 1; i < SIZE; i++) state[i] = Math.imul(1812433253, mixed(i)) + i;
  let i = 1;
  const step = (factor: number, added: number): void => {
    state[i] = (state[i]! ^ Math.imul(mixed(i), factor)) + added;
    if (++i < SIZE) return;
    state[0] = state[SIZE - 1]!;
    i = 1;
  };
  for (let k = 0; k < SIZE; k++) step(1664525, seed);
  for (let k = 1; k < SIZE; k++) step(1566083941, -i);
  state[0] = 0x80000000;
  return state;
}

/** The next 624 words. */
function twist(state: Uint32Array): void {
  for (let i = 0; i < SIZE; i++) {
    const y = (state[i]! & 0x80000000) | (state[(i + 1) % SIZE]! & 0x7fffffff);
    state[i] = state[(i + MIDDLE) % SIZE]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
  }
}
