import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Relu", { "": (g, [x]) => [g.relu(x!)] });
