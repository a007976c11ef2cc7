import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Tanh", { "": (g, [x]) => [g.tanh(x!)] });
