import { expect, test } from "vitest";
import { roundHalfEven } from "./round.js";

test("halves go to the even neighbour, as Python documents it", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 2.51, 7].map((x) => roundHalfEven(x) + 0)).toEqual([
    0, 2, 2, 0, -2, 0, 3, 7,
  ]);
});
