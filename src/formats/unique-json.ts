/**
 * The first key that some object of a JSON text holds twice, or undefined. JSON.parse keeps the last of the two without a
 * word. The text must be valid JSON.
 */
export function duplicateKey(text: string): string | undefined {
  const objects: (Set<string> | undefined)[] = []; // the keys of each open object; undefined for an array
  let start = -1; // of the string that is open
  let last = ""; // the last string seen, with its quotes
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (start >= 0) {
      if (char === "\\") i++;
      else if (char === '"') {
        last = text.slice(start, i + 1);
        start = -1;
      }
    } else if (char === '"') start = i;
    else if (char === "{") objects.push(new Set());
    else if (char === "[") objects.push(undefined);
    else if (char === "}" || char === "]") objects.pop();
    else if (char === ":") {
      const key: string = JSON.parse(last);
      const keys = objects.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}
