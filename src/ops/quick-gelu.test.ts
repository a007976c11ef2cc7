import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("QuickGelu", {
  "alpha 1.702": (g, [x]) => [g.quickGelu(x!, 1.702)],
  SiLU: (g, [x]) => [g.quickGelu(x!, 1)],
});
