import { expect, test } from "vitest";
import { rendered } from "./svg.fixtures.js";
import { along, axis, box, dot, line, picture, text } from "./svg.js";

const canvas = { width: 60, height: 40, title: 'a < b & "c"', description: "d > e" };

test("shapes are drawn where they are said to be, in the tones of a light page", async () => {
  const svg = picture(canvas, [
    box([10, 10], 10, 10, "green"),
    dot([40, 15], 4, "orange"),
    line([[0, 35], [60, 35]], "ink", { width: 4 }), // biome-ignore format: two points
    text(50, 8, "<&>"),
  ]);
  const { width, height, at } = await rendered(svg);
  expect([width, height]).toEqual([60, 40]);
  expect([at(15, 15), at(40, 15), at(30, 35), at(30, 25)]).toEqual(["#1a7f37", "#bc4c00", "#1f2328", "#ffffff"]);
});

test("it says what it is, and has tones for a dark page", () => {
  const svg = picture(canvas, []);
  expect(svg).toContain('role="img"');
  expect(svg).toContain("<title>a &lt; b &amp; &quot;c&quot;</title>\n<desc>d &gt; e</desc>");
  expect(svg).toMatch(/prefers-color-scheme:dark\)\{\.f-back\{fill:#0d1117\}/);
});

test("an axis has round ticks inside its ends", () => {
  const { low, high, ticks, decimals } = axis(0.31, 0.52);
  expect([low, high].map((n) => n.toFixed(4))).toEqual(["0.2974", "0.5326"]);
  expect(ticks.map((tick) => tick.toFixed(decimals))).toEqual(["0.30", "0.35", "0.40", "0.45", "0.50"]);
  expect(axis(7, 7).ticks).toContain(7); // one value has an axis around it
  expect(axis(0, 0).low).toBeLessThan(0);
  expect(along({ low: 0, high: 10, ticks: [], decimals: 0 }, 100, 0)(2.5)).toBe(75);
});
