import { expect, test } from "vitest";
import { decodeUtf8 } from "./utf8.js";

const bytes = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

test("a byte order mark is left out, and the line that is not UTF-8 is told", () => {
  expect(decodeUtf8(new TextEncoder().encode("\ufeffcafé"), "a.txt")).toBe("café");
  expect(() => decodeUtf8(bytes("one\ntwo\r\ncaf\xe9\nfour"), "a.txt")).toThrow(
    "a.txt: line 3 is not UTF-8 text. Save the file as UTF-8.",
  );
  expect(() => decodeUtf8(bytes("\xff\xfea\0\n\0"), "a.txt")).toThrow(
    "a.txt: UTF-16 text, where UTF-8 is expected. Save the file as UTF-8.",
  );
});
