import { expect, test } from "vitest";
import { duplicateKey } from "./unique-json.js";

test.each([
  ['{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}', undefined],
  ['{"a":":\\"a\\":","b":"{\\"b\\":1}"}', undefined],
  ['["a","a"]', undefined],
  ["3", undefined],
  ['{"a":1,"b":2,"a":3}', "a"],
  ['{"x":{"k":[1],"k":{}}}', "k"],
  ['{"\\u0061":1,"a":2}', "a"],
  ['{"q\\"":1, "q\\"" : 2}', 'q"'],
])("%s: %s", (text, key) => {
  JSON.parse(text); // the texts are valid
  expect(duplicateKey(text)).toBe(key);
});
