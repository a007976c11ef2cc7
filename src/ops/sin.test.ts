import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Sin", { "": (g, [x]) => [g.sin(x!)] });
