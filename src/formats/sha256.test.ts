import { expect, test } from "vitest";
import { sha256Hex } from "./sha256.node.js";
import { memorySource } from "./source.js";

test("the hash of FIPS 180-2's examples, and of a source longer than one chunk", async () => {
  const hash = (bytes: Uint8Array) => sha256Hex(memorySource("x", bytes));
  expect(await hash(new TextEncoder().encode("abc"))).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  expect(await hash(new Uint8Array())).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const long = new Uint8Array(2 ** 24 + 5).map((_, i) => i % 251);
  const whole = new Uint8Array(await crypto.subtle.digest("SHA-256", long));
  expect(await hash(long)).toBe(Buffer.from(whole).toString("hex"));
});
