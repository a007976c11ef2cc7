import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Neg", { "": (g, [x]) => [g.neg(x!)] });
