import { testConformance } from "./conformance.fixtures.js";

testConformance("wasm", [[/^Cast: /, "its float64 does not enter or leave a session"]]);
