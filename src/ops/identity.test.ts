import { testAgainstTorch } from "./testing.fixtures.js";

testAgainstTorch("Identity", { "": (g, [x]) => g.emit("Identity", [x]) });
