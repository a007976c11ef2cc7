import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("ReduceSum", {
  axes: (g, [x]) => [g.reduceSum(x!, [0, 2])],
  keepdims: (g, [x]) => [g.reduceSum(x!, [-2], true)],
});
