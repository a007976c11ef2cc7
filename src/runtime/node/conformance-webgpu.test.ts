import { describe } from "vitest";
import { testConformance } from "./conformance.fixtures.js";
import { noWebgpu } from "./vulkan.fixtures.js";

describe.skipIf(noWebgpu)("webgpu", () => {
  testConformance("webgpu", [
    [/batch = 0$/, "the session refuses empty tensors: a product over none of them ends the process"],
    [/^Cast: /, "it has no float64"],
  ]);
});
