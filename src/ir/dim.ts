/**
 * Dimensions of a tensor: a number, or a polynomial in named symbols ("batch", "12*batch*tokens", "past + tokens")
 * kept as a canonical string, so that equal dimensions are equal strings.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** Coefficients by monomial; a monomial is its sorted symbols joined by "*", the constant is "". */
type Polynomial = ReadonlyMap<string, number>;

/** Those met so far: a session evaluates the same few at each run. */
const parsed = new Map<Dim, Polynomial>();

function parse(dim: Dim): Polynomial {
  const known = parsed.get(dim);
  if (known) return known;
  const terms = new Map<string, number>();
  for (const term of typeof dim === "number" ? [String(dim)] : dim.split(" + ")) {
    const factors = term.split("*");
    const coefficient = /^\d+$/.test(factors[0]!) ? Number(factors.shift()) : 1;
    const monomial = factors.sort().join("*");
    terms.set(monomial, (terms.get(monomial) ?? 0) + coefficient);
  }
  if (typeof dim === "string") parsed.set(dim, terms);
  return terms;
}

function format(terms: Polynomial): Dim {
  const parts = [...terms].filter(([, c]) => c !== 0).sort(([a], [b]) => (a < b ? 1 : -1));
  if (parts.length === 0) return 0;
  if (parts.length === 1 && parts[0]![0] === "") return parts[0]![1];
  return parts.map(([m, c]) => (m === "" ? String(c) : c === 1 ? m : `${c}*${m}`)).join(" + ");
}

export function addDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  const sum = new Map(parse(a));
  for (const [monomial, c] of parse(b)) sum.set(monomial, (sum.get(monomial) ?? 0) + c);
  return format(sum);
}

export function multiplyDims(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b;
  const product = new Map<string, number>();
  for (const [ma, ca] of parse(a))
    for (const [mb, cb] of parse(b)) {
      const monomial = [ma, mb]
        .flatMap((m) => (m === "" ? [] : m.split("*")))
        .sort()
        .join("*");
      product.set(monomial, (product.get(monomial) ?? 0) + ca * cb);
    }
  return format(product);
}

/** a / b where b has one term and divides every term of a; undefined otherwise. */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  const divisor = [...parse(b)];
  if (divisor.length !== 1) return undefined;
  const [symbols, coefficient] = divisor[0]!;
  if (coefficient === 0) return undefined;
  const quotient = new Map<string, number>();
  for (const [monomial, c] of parse(a)) {
    const left = monomial === "" ? [] : monomial.split("*");
    for (const symbol of symbols === "" ? [] : symbols.split("*")) {
      const at = left.indexOf(symbol);
      if (at < 0) return undefined;
      left.splice(at, 1);
    }
    if (c % coefficient !== 0) return undefined;
    quotient.set(left.join("*"), c / coefficient);
  }
  return format(quotient);
}

/** Number of elements of a tensor of this shape. */
export function elements(shape: Shape): Dim {
  // Numbers first: a polynomial is parsed from its text for each product.
  let count = 1;
  for (const d of shape) if (typeof d === "number") count *= d;
  return shape.reduce<Dim>((product, d) => (typeof d === "number" ? product : multiplyDims(product, d)), count);
}

/** Number of elements of a shape without symbols. */
export function size(shape: Shape): number {
  const count = elements(shape);
  if (typeof count !== "number") throw new Error(`The shape ${formatShape(shape)} has no fixed size.`);
  return count;
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

export const formatShape = (shape: Shape): string => `[${shape.join(", ")}]`;

/** The symbols of a dimension, each once. */
export const symbolsOf = (dim: Dim): string[] =>
  typeof dim === "number" ? [] : [...new Set([...parse(dim).keys()].flatMap((m) => (m === "" ? [] : m.split("*"))))];

/** Value of a dimension for given symbols. */
export function evaluateDim(dim: Dim, symbols: Readonly<Record<string, number>>): number {
  let sum = 0;
  for (const [monomial, c] of parse(dim))
    sum += (monomial === "" ? [] : monomial.split("*")).reduce((product, s) => {
      const value = symbols[s];
      if (value === undefined) throw new Error(`No value for the dimension "${s}".`);
      return product * value;
    }, c);
  return sum;
}
