import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Mul", {
  "same shape": (g, [a, b]) => [g.mul(a!, b!)],
  "both broadcast": (g, [a, b]) => [g.mul(a!, b!)],
  "a row": (g, [a, b]) => [g.mul(a!, b!)],
});
