/**
 * GPT-2's bytes as printable characters: 188 of Latin-1 stand for themselves, the others are moved to U+0100 and on.
 * @see https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode
 */
const characters: string[] = [];
const bytes = new Map<string, number>();
let moved = 0;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const character = String.fromCharCode(printable ? byte : 0x100 + moved++);
  characters.push(character);
  bytes.set(character, byte);
}

const encoder = new TextEncoder();
// A byte order mark inside a text is a character as any other.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The UTF-8 bytes of a text, a character each. */
export function toByteCharacters(text: string): string {
  let out = "";
  for (const byte of encoder.encode(text)) out += characters[byte]!;
  return out;
}

/** Text of tokens in those characters; a token with any other character stands for itself. */
export function fromByteCharacters(tokens: readonly string[]): string {
  const out: number[] = [];
  for (const token of tokens) {
    const own = Array.from(token, (character) => bytes.get(character));
    for (const byte of own.includes(undefined) ? encoder.encode(token) : own) out.push(byte!);
  }
  return decoder.decode(Uint8Array.from(out));
}
