import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Gelu", {
  none: (g, [x]) => [g.gelu(x!)],
  tanh: (g, [x]) => [g.gelu(x!, "tanh")],
});
