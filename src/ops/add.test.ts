import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Add", {
  "same shape": (g, [a, b]) => [g.add(a!, b!)],
  "both broadcast": (g, [a, b]) => [g.add(a!, b!)],
  "a row": (g, [a, b]) => [g.add(a!, b!)],
});
