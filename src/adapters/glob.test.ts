import { expect, test } from "vitest";
import { globMatch } from "./glob.js";

test("a star is any run, a question mark one character, the rest literal", () => {
  expect(globMatch("*", "blocks.0.attn.qkv")).toBe(true);
  expect(globMatch("blocks.*.attn.*", "blocks.11.attn.proj")).toBe(true);
  expect(globMatch("blocks.?.mlp.fc1", "blocks.3.mlp.fc1")).toBe(true);
  expect(globMatch("blocks.?.mlp.fc1", "blocks.13.mlp.fc1")).toBe(false);
  expect(globMatch("attn", "blocks.0.attn")).toBe(false);
  expect(globMatch("blocks.0.attn", "blocks-0-attn")).toBe(false);
  expect(globMatch("a(b|c)+[d]", "a(b|c)+[d]")).toBe(true);
});
