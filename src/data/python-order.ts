/** Python's order of strings: by code point, where JavaScript's own is by UTF-16 unit. */
export function asPython(a: string, b: string): number {
  for (let i = 0; ; i++) {
    const [x, y] = [a.codePointAt(i), b.codePointAt(i)];
    if (x !== y || x === undefined) return (x ?? -1) - (y ?? -1);
  }
}
