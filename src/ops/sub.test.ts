import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Sub", {
  "same shape": (g, [a, b]) => [g.sub(a!, b!)],
  "both broadcast": (g, [a, b]) => [g.sub(a!, b!)],
  "a row": (g, [a, b]) => [g.sub(a!, b!)],
});
