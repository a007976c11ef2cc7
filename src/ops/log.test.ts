import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Log", { "": (g, [x]) => [g.log(x!)] });
