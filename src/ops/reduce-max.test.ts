import { int } from "../ir/graph.js";
import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("ReduceMax", {
  axes: (g, [x]) => [g.reduceMax(x!, [0, 2])],
  keepdims: (g, [x]) => g.emit("ReduceMax", [x!, g.constant("int64", [1], [-2])], { keepdims: int(1) }),
  "equal ones": (g, [x]) => [g.reduceMax(x!, [1])],
});
