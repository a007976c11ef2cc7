import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Sigmoid", { "": (g, [x]) => [g.sigmoid(x!)] });
