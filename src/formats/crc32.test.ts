import { crc32 as reference } from "node:zlib";
import { expect, test } from "vitest";
import { rngStream } from "../base/rng.js";
import { crc32, crc32Of } from "./crc32.js";
import { openFile } from "./file.node.js";
import { memorySource } from "./source.js";

test("the sum is zlib's, whole and piece by piece", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926); // the check value of every list of CRCs
  const rng = rngStream(1, "bytes");
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, () => rng.int(256));
    expect(crc32(bytes), `${length} bytes`).toBe(reference(bytes));
    const cut = rng.int(length + 1);
    expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(reference(bytes));
  }
});

test("a part of a source over several pieces, also where the source sums itself", async () => {
  const bytes = new Uint8Array(3 * 2 ** 20 + 10).map((_, i) => i * 7);
  expect(await crc32Of(memorySource("x", bytes), 3, bytes.length - 5)).toBe(reference(bytes.subarray(3, -2)));
  const file = await openFile("test/fixtures/weight-files/arrays.npz");
  expect(file.crc32).toBe(reference);
  const read = await file.read(0, file.size);
  expect(await crc32Of(file, 1, file.size - 1)).toBe(crc32(read.subarray(1)));
});
