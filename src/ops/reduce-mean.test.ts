import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("ReduceMean", {
  axes: (g, [x]) => [g.reduceMean(x!, [0, 2])],
  keepdims: (g, [x]) => [g.reduceMean(x!, [-2], true)],
});
