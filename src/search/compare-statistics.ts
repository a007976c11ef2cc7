/** Means with their spread, and differences of pairs. */

export interface Spread {
  readonly values: readonly number[];
  readonly n: number;
  readonly mean: number;
  /** Of a sample: √(Σ(x − mean)² / (n − 1)); NaN for fewer than two. */
  readonly deviation: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const n = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { values, n, mean, deviation: n < 2 ? Number.NaN : Math.sqrt(squares / (n - 1)) };
}

/** What the differences of pairs say; NaN where there are too few. */
export interface Paired {
  readonly n: number;
  readonly mean: number;
  /** deviation / √n */
  readonly standardError: number;
  /** mean / standardError, with n − 1 degrees of freedom */
  readonly t: number;
  /** Two-sided, for differences that are independent and normal about 0. */
  readonly p: number;
  readonly positive: number;
  readonly negative: number;
}

/** Student's t test of paired differences. See SciPy, ttest_1samp(differences, 0). */
export function pairedTest(differences: readonly number[]): Paired {
  const { n, mean, deviation } = spreadOf(differences);
  const standardError = deviation / Math.sqrt(n);
  const t = mean === 0 && standardError === 0 ? 0 : mean / standardError; // no difference in any pair
  return {
    n,
    mean,
    standardError,
    t,
    p: studentP(t, n - 1),
    positive: differences.filter((x) => x > 0).length,
    negative: differences.filter((x) => x < 0).length,
  };
}

/**
 * P(|T| ≥ |t|) of Student's distribution, with θ = atan(|t| / √ν):
 *
 *     ν odd:   1 − 2/π · (θ + sin θ · (cos θ + 2/3 cos³θ + … + 2·4⋯(ν−3) / 3·5⋯(ν−2) · cos^(ν−2) θ))
 *     ν even:  1 − sin θ · (1 + 1/2 cos²θ + … + 1·3⋯(ν−3) / 2·4⋯(ν−2) · cos^(ν−2) θ)
 *
 * @param degrees  ν, a whole number; NaN is returned for less than 1
 * @see Abramowitz & Stegun, 26.7.3 and 26.7.4. Exact to about 1e-15, not relatively: a smaller p comes out as about 0.
 */
export function studentP(t: number, degrees: number): number {
  if (degrees < 1 || Number.isNaN(t)) return Number.NaN;
  const angle = Math.atan(Math.abs(t) / Math.sqrt(degrees));
  const cos = Math.cos(angle);
  const odd = degrees % 2 === 1;
  let term = odd ? cos : 1;
  let sum = odd && degrees === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k < degrees; k += 2) {
    term *= (cos * cos * (k - 1)) / k;
    sum += term;
  }
  const within = Math.sin(angle) * sum;
  return Math.max(0, odd ? 1 - (2 / Math.PI) * (angle + within) : 1 - within);
}
