/**
 * SentencePiece's compiled table of replacements: a double array of UTF-8 strings (Darts-clone) whose values point into
 * a text of replacements, each ended by a zero.
 *
 * @param charsmap base64: uint32 length of the array in bytes, the array, the replacements
 * @returns the normalizer, or undefined if the table is damaged
 * @see https://github.com/huggingface/spm_precompiled; as there, a grapheme of less than six bytes is looked up whole
 *   and gets the replacement of the *shortest* string in the table that it begins with, else each character its own
 */
export function precompiled(charsmap: string): ((text: string) => string) | undefined {
  const blob = fromBase64(charsmap);
  if (blob === undefined || blob.length < 4) return undefined;
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const size = view.getUint32(0, true);
  if (size % 4 !== 0 || 4 + size > blob.length) return undefined;
  const units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = blob.subarray(4 + size);

  const lookUp = (text: string): string | undefined => {
    const start = shortestPrefix(units, encoder.encode(text));
    if (start === undefined) return undefined;
    const end = replacements.indexOf(0, start);
    return decoder.decode(replacements.subarray(start, end < 0 ? undefined : end));
  };
  return (text) => {
    let out = "";
    for (const { segment } of graphemes.segment(text)) {
      const whole = encoder.encode(segment).length < 6 ? lookUp(segment) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += lookUp(character) ?? character;
    }
    return out;
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The value of the shortest key of a Darts-clone array that the bytes begin with. */
function shortestPrefix(units: Uint32Array, key: Uint8Array): number | undefined {
  const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
  let node = offset(units[0] ?? 0);
  for (const byte of key) {
    if (byte === 0) return undefined;
    node ^= byte;
    const unit = units[node];
    if (unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined; // the label
    node ^= offset(unit);
    if ((unit >>> 8) & 1) return (units[node] ?? 0) & 0x7fffffff;
  }
  return undefined;
}

function fromBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
