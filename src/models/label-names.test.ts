import { expect, test } from "vitest";
import { labelNames } from "./label-names.node.js";

test("ImageNet-1k's names are those of timm, each once", async () => {
  const names = await labelNames("imagenet-1k");
  expect(new Set(names).size).toBe(1000);
  // ImageNetInfo("imagenet-1k").index_to_description(i) of timm 1.0.31.
  expect([0, 207, 281, 999].map((i) => names[i])).toEqual([
    "tench, Tinca tinca",
    "golden retriever",
    "tabby, tabby cat",
    "toilet tissue, toilet paper, bathroom tissue",
  ]);
  expect([134, 517].map((i) => names[i])).toEqual(["crane (bird)", "crane (machine)"]);
});
