import { expect, test } from "vitest";
import { Fields } from "../formats/fields.js";
import { fillerId, paddingRow, readPadId } from "./padding.js";

test("null sets no token aside; a field that is absent leaves the class's own", () => {
  const read = (config: object, fallback?: number) => readPadId(new Fields(config), fallback);
  expect(read({}, 1)).toBe(1);
  expect(read({})).toBeUndefined();
  expect(read({ pad_token_id: null }, 1)).toBeUndefined();
  expect(read({ pad_token_id: -1 }, 1)).toBe(-1);
  const fields = new Fields({ pad_token_id: "0" });
  readPadId(fields);
  expect(fields.problems).toEqual(["pad_token_id: a whole number is expected"]);
});

test("the row that is not trained is counted as PyTorch counts `padding_idx`", () => {
  expect([0, 9, -1, -10].map((id) => paddingRow(id, 10))).toEqual([0, 9, 9, 0]);
  expect([undefined, 10, -11].map((id) => paddingRow(id, 10))).toEqual([undefined, undefined, undefined]);
});

test("rows are filled up with a token of the vocabulary", () => {
  expect([undefined, 3, -1, 40].map((id) => fillerId(id, 10))).toEqual([0, 3, 0, 9]);
});
