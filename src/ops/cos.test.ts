import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Cos", { "": (g, [x]) => [g.cos(x!)] });
