import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Exp", { "": (g, [x]) => [g.exp(x!)] });
