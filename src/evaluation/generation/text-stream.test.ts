import { expect, test } from "vitest";
import type { Tokenizer } from "../../data/text/tokenizer.js";
import { TextStream } from "./text-stream.js";

/** Each token is a byte, as in a byte-level vocabulary; 256 is a special token. */
const bytes: Pick<Tokenizer, "decode"> = {
  decode: (ids) => new TextDecoder().decode(Uint8Array.from([...ids].filter((id) => id < 256))),
};
const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];

function streamed(text: string, stop: string[] = [], prompt = "…ä"): { pieces: string[]; stopped: boolean } {
  const stream = new TextStream(bytes, bytesOf(prompt), stop);
  const pieces = bytesOf(text).map((id) => stream.push(id));
  return { pieces: [...pieces, stream.end()], stopped: stream.stopped };
}

test("only whole characters come out, and all of them", () => {
  const text = "aé漢👩🏽‍🚀z";
  const { pieces } = streamed(text);
  expect(pieces.join("")).toBe(text);
  for (const piece of pieces) expect([..."aé漢👩🏽‍🚀z", ""]).toContain(piece);
  expect(pieces.slice(0, 3)).toEqual(["a", "", "é"]);
});

test("bytes that never become a character come at the end", () => {
  const stream = new TextStream(bytes, []);
  expect([0xe6, 0xbc].map((id) => stream.push(id))).toEqual(["", ""]);
  expect(stream.end()).toBe("\ufffd");
});

test("a special token gives no text, and is no beginning of one", () => {
  const stream = new TextStream(bytes, bytesOf("x"));
  expect([256, ...bytesOf("ä")].map((id) => stream.push(id))).toEqual(["", "", "ä"]);
});

test("a stop string ends the text in front of it, wherever its pieces lie; a false beginning is given out", () => {
  expect(streamed("one\n\nQ: two", ["\n\nQ:", "zzz"])).toEqual({
    pieces: ["o", "n", "e", ...Array<string>(9).fill("")],
    stopped: true,
  });
  const { pieces, stopped } = streamed("a\n\nQa\n", ["\n\nQ:"]);
  expect(stopped).toBe(false);
  expect(pieces).toEqual(["a", "", "", "", "\n\nQa", "", "\n"]);
  expect(streamed("xaab", ["aab"]).pieces.join("")).toBe("x");
});

test("a tokenizer that drops the space in front of a text: the prompt says whether there is one", () => {
  const words = ["Once", " upon", " a", " time"];
  const sentencePiece = {
    decode: (ids: Iterable<number>) =>
      [...ids]
        .map((id) => words[id])
        .join("")
        .trimStart(),
  };
  const stream = new TextStream(sentencePiece, [0]);
  expect([1, 2, 3].map((id) => stream.push(id))).toEqual([" upon", " a", " time"]);
});
