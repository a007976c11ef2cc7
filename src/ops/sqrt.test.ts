import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Sqrt", { "": (g, [x]) => [g.sqrt(x!)] });
