/**
 * Rotary position embedding (Su et al., 2021, arXiv:2104.09864) with the ways of stretching it to longer texts that
 * configs of transformers carry: how fast each pair of a head's elements turns, and the tables of a pass.
 */
import type { Fields } from "../../formats/fields.js";
import type { Builder } from "../../ir/builder.js";
import { elements } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";
import { counted } from "../counted.js";

export interface Rope {
  /** Radians a token of each pair, as transformers computes them in float32; half as many as elements of a head turn. */
  readonly frequencies: readonly number[];
  /** Factor of cosines and sines: what YaRN and LongRoPE make of the attention's temperature. */
  readonly temperature: number;
  /** Other frequencies for a pass over more than `from` tokens. */
  readonly beyond?: {
    readonly from: number;
    /** LongRoPE's second set, or the factor of dynamic NTK scaling. */
    readonly frequencies: readonly number[] | { readonly factor: number };
  };
}

/** What decides beside the scaling itself. */
export interface RopeContext {
  /** Elements of a head. */
  readonly headWidth: number;
  readonly maxTokens: number;
  /** Phi-3: a part of each head may turn, and LongRoPE is the one scaling, under whatever name. */
  readonly phi3: boolean;
}

/** Both spellings: `rope_parameters`, and `rope_scaling` beside `rope_theta`, with `rope_type` or `type`. */
export function parseRope(fields: Fields, { headWidth, maxTokens, phi3 }: RopeContext): Rope {
  const scaling = fields.object(fields.has("rope_scaling") ? "rope_scaling" : "rope_parameters");
  const nested = scaling.keys.find((key) => key.endsWith("_attention"));
  if (nested) scaling.refuse(nested, "parameters of their own for a kind of layer are not supported");
  const base = scaling.positive("rope_theta", fields.positive("rope_theta", 10_000));
  const share = scaling.positive("partial_rotary_factor", fields.positive("partial_rotary_factor", 1));
  const turned = Math.trunc(headWidth * share);
  if (share > 1 || (share < 1 && !phi3)) scaling.refuse("partial_rotary_factor", `${share} is not supported`);
  // Of an odd part of a head one element more turns; an odd head has none to spare.
  if (turned === 0 || turned + (turned % 2) > headWidth)
    fields.refuse("head_dim", `${turned} of ${headWidth} elements cannot turn in pairs`);
  if (turned > MOST_TURNED) {
    fields.refuse("head_dim", `at most ${MOST_TURNED} is expected, not ${headWidth}`);
    return { frequencies: [], temperature: 1 };
  }

  const plain = powers(base, turned);
  const type = scaling.text("rope_type", scaling.text("type", "default"));
  const length = () => {
    const own = scaling.natural("original_max_position_embeddings", maxTokens);
    return fields.natural("original_max_position_embeddings", phi3 ? 4096 : own);
  };
  const known = phi3 ? ["default", "longrope"] : ["default", "linear", "dynamic", "llama3", "yarn", "longrope"];
  const kind = phi3 && PHI3_LONG_ROPE.has(type) ? "longrope" : type;
  if (!known.includes(kind)) scaling.refuse("rope_type", `"${type}" is not one of ${known.join(", ")}`);
  switch (kind) {
    case "default":
      return { frequencies: plain.map(inverse), temperature: 1 };
    case "linear": {
      const factor = scaling.positive("factor");
      return { frequencies: plain.map((power) => f32(inverse(power) / factor)), temperature: 1 };
    }
    case "dynamic":
      if (turned < 4) fields.refuse("head_dim", "dynamic scaling needs heads of 4 elements or more");
      return {
        frequencies: plain.map(inverse),
        temperature: 1,
        beyond: { from: maxTokens, frequencies: { factor: scaling.positive("factor") } },
      };
    case "llama3":
      return { frequencies: llama3(plain.map(inverse), scaling, length()), temperature: 1 };
    case "yarn":
      return yarn(plain, scaling, { base, turned, maxTokens, original: length() });
    case "longrope":
      return longRope(plain, scaling, { maxTokens, original: length() });
    default:
      return { frequencies: [], temperature: 1 };
  }
}

/** A width above any head's, which is told when the weights are looked at, must not fill the memory before. */
const MOST_TURNED = 100_000;

/** Names that Phi-3's configs have had for it. */
const PHI3_LONG_ROPE: ReadonlySet<string> = new Set(["su", "yarn"]);

// transformers computes in float32: its rounding, times a position of thousands, is seen in the logits.
const f32 = Math.fround;
const inverse = (power: number): number => f32(1 / power);

/** base^(2i/d): what one turn of pair i takes, in tokens, over 2π. */
const powers = (base: number, turned: number): number[] =>
  Array.from({ length: Math.ceil(turned / 2) }, (_, i) => f32(base ** f32((2 * i) / turned)));

/** Llama 3.1: fast pairs as they are, slow ones divided by the factor, a ramp between. */
function llama3(frequencies: readonly number[], scaling: Fields, original: number): number[] {
  const factor = scaling.positive("factor");
  const [low, high] = [scaling.positive("low_freq_factor"), scaling.positive("high_freq_factor")];
  return frequencies.map((frequency) => {
    const wavelength = f32((2 * Math.PI) / frequency);
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return f32(frequency / factor);
    const smooth = f32((original / wavelength - low) / (high - low));
    return f32(f32((1 - smooth) * frequency) / factor + smooth * frequency);
  });
}

/** YaRN (Peng et al., 2023, arXiv:2309.00071): the ramp runs over pairs, its ends told by turns within the old length. */
function yarn(
  powers: readonly number[],
  scaling: Fields,
  { base, turned, maxTokens, original }: { base: number; turned: number; maxTokens: number; original: number },
): Rope {
  const factor = scaling.positive("factor", maxTokens / original);
  const pairOf = (turns: number): number =>
    (turned * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const ends = [pairOf(scaling.positive("beta_fast", 32)), pairOf(scaling.positive("beta_slow", 1))] as const;
  const whole = scaling.boolean("truncate", true);
  const low = Math.max(whole ? Math.floor(ends[0]) : ends[0], 0);
  const high = Math.min(whole ? Math.ceil(ends[1]) : ends[1], turned - 1);
  const span = low === high ? 0.001 : high - low;
  const frequencies = powers.map((power, i) => {
    const kept = f32(1 - f32(Math.min(Math.max((i - low) / span, 0), 1)));
    return f32(f32(inverse(f32(factor * power)) * f32(1 - kept)) + f32(inverse(power) * kept));
  });
  const temperatureOf = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const [scale, scaleOfAll] = [scaling.has("mscale"), scaling.has("mscale_all_dim")];
  const own =
    scale && scaleOfAll
      ? temperatureOf(scaling.positive("mscale")) / temperatureOf(scaling.positive("mscale_all_dim"))
      : temperatureOf(1);
  return { frequencies, temperature: scaling.positive("attention_factor", own) };
}

/** LongRoPE (Ding et al., 2024, arXiv:2402.13753): a factor for each pair, one set within the old length, one beyond. */
function longRope(
  powers: readonly number[],
  scaling: Fields,
  { maxTokens, original }: { maxTokens: number; original: number },
): Rope {
  const stretched = (key: string): number[] => {
    const factors = scaling.numbers(key);
    if (factors.length !== powers.length)
      scaling.refuse(key, `${powers.length} numbers are expected, not ${factors.length}`);
    return powers.map((power, i) => inverse(f32(f32(factors[i] ?? 1) * power)));
  };
  const factor = scaling.positive("factor", maxTokens / original);
  const temperature = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return {
    frequencies: stretched("short_factor"),
    temperature: scaling.positive("attention_factor", temperature),
    beyond: { from: original, frequencies: stretched("long_factor") },
  };
}

/** Cosines and sines of a pass: a row for each token, [batch·tokens, pairs], in the order of the positions. */
export interface RotaryTables {
  /** int64 [batch, tokens]: the row of each token. */
  readonly rows: Value;
  readonly cos: Value;
  readonly sin: Value;
}

/** @param positions int64 [batch, tokens] */
export function rotaryTables(g: Builder, rope: Rope, positions: Value): RotaryTables {
  const { shape } = positions.type;
  const all = elements(shape);
  const angles = g.mul(g.reshape(g.cast(positions, "float32"), [all, 1]), frequenciesOf(g, rope, positions));
  const tempered = (x: Value): Value => (rope.temperature === 1 ? x : g.mul(x, g.scalar(rope.temperature)));
  const rows = g.reshape(counted(g, all), shape);
  return { rows, cos: tempered(g.cos(angles)), sin: tempered(g.sin(angles)) };
}

/** [pairs] */
function frequenciesOf(g: Builder, { frequencies, beyond }: Rope, positions: Value): Value {
  const row = (values: readonly number[]): Value => g.constant("float32", [values.length], values);
  if (!beyond) return row(frequencies);
  const length = g.add(g.cast(g.reduceMax(positions), "float32"), g.scalar(1));
  const long = g.greater(length, g.scalar(beyond.from));
  const other = beyond.frequencies;
  if (!("factor" in other)) return g.where(long, row(other), row(frequencies));
  // Dynamic NTK: base · s^(d/(d − 2)) with s = factor · length / from − (factor − 1), so pair i turns s^(2i/(d − 2)) slower.
  const stretch = g.sub(g.mul(length, g.scalar(other.factor / beyond.from)), g.scalar(other.factor - 1));
  const exponents = frequencies.map((_, i) => (-2 * i) / (2 * frequencies.length - 2));
  const slower = g.exp(g.mul(g.log(g.where(long, stretch, g.scalar(1))), row(exponents)));
  return g.mul(row(frequencies), slower);
}
