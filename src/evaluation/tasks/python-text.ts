/** Texts as Python counts, strips and capitalises them: prompts that are to be equal to the letter depend on it. */

/** What `str.isspace` and `\s` of Python's `re` accept; JavaScript's \s lacks the separators and takes U+FEFF. */
const SPACES = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LEADING = new RegExp(`^[${SPACES}]+`);
const TRAILING = new RegExp(`[${SPACES}]+$`);
const BETWEEN = new RegExp(`[${SPACES}]+`);

export const stripStart = (text: string): string => text.replace(LEADING, "");
export const stripEnd = (text: string): string => text.replace(TRAILING, "");
export const strip = (text: string): string => stripStart(stripEnd(text));

/** `re.split(r"\s+", text)`: an empty text is one word, white space at an end adds one. */
export const words = (text: string): string[] => text.split(BETWEEN);

/** `len(text)`: code points. */
export const codePoints = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

/** `str.capitalize`: the first letter large, all others small. */
export function capitalize(text: string): string {
  const [first] = text;
  if (first === undefined) return "";
  const [large, ...more] = first.toUpperCase(); // a ligature becomes several letters, of which one is large
  return large + more.join("").toLowerCase() + text.slice(first.length).toLowerCase();
}
