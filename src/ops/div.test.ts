import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Div", {
  "same shape": (g, [a, b]) => [g.div(a!, b!)],
  "both broadcast": (g, [a, b]) => [g.div(a!, b!)],
  "a row": (g, [a, b]) => [g.div(a!, b!)],
});
