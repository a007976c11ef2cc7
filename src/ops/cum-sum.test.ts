import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("CumSum", { "": (g, [x]) => [g.cumSum(x!, 1)] });
