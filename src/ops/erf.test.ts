import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Erf", { "": (g, [x]) => [g.erf(x!)] });
