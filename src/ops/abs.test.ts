import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Abs", { "": (g, [x]) => [g.abs(x!)] });
