import { expect, test } from "vitest";
import { table } from "./table.js";
import { colours } from "./terminal.js";

test("numbers stand to the right with separators, texts to the left, wide characters count two columns", () => {
  const drawn = table(
    ["label", "images", { title: "share", align: "right" }],
    [
      ["Zürich", 1234, "9 %"],
      ["猫", 7, "100 %"],
      ["e\u0301", undefined, "1 %"],
    ],
  );
  expect(drawn).toBe(
    ["label   images  share", "Zürich   1,234    9 %", "猫           7  100 %", "e\u0301                 1 %"].join(
      "\n",
    ),
  );
});

test("colours take no columns, and a table without titles has no line for them", () => {
  const drawn = table(
    ["", ""],
    [
      [colours("green", "ab"), "x"],
      ["abc", "y"],
    ],
  );
  expect(drawn).toBe("\x1b[32mab\x1b[39m   x\nabc  y");
});
