import { expect, test } from "vitest";
import { rngStream } from "../../base/rng.js";
import { SessionMemory } from "./session-memory.js";

test("remembers what a list of rows would, whatever is appended and forgotten", () => {
  const rng = rngStream(0, "rows");
  const memory = new SessionMemory("past");
  let rows: number[][] = [];
  for (let step = 0; step < 200; step++) {
    const remember = rng.int(2) === 0 ? undefined : rng.int(rows.length + 1);
    rows = rows.slice(0, remember);
    const { shape, data } = memory.recall([3], remember);
    expect(shape).toEqual([rows.length, 3]);
    expect([...data]).toEqual(rows.flat());
    const more = Array.from({ length: rng.int(4) }, () => [rng.int(100), rng.int(100), rng.int(100)]);
    memory.append(Float32Array.from(more.flat()), more.length);
    rows.push(...more);
  }
});

test("refuses to remember more than there is, and rows of another width", () => {
  const memory = new SessionMemory("past");
  memory.recall([2]);
  memory.append(new Float32Array(4), 2);
  expect(() => memory.recall([2], 3)).toThrow('3 rows of "past" are to be remembered, and there are 2.');
  expect(() => memory.recall([3])).toThrow('"past" does not remember 2 rows of [3].');
  expect(memory.recall([3], 0).shape).toEqual([0, 3]); // all forgotten
});
