import sharp from "sharp";
import { expect } from "vitest";

/** The picture as librsvg draws it: a reader of SVG that refuses what is not well formed. */
export async function rendered(svg: string) {
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  const { data, info } = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return {
    ...info,
    /** The colour of a pixel, as #rrggbb. */
    at: (x: number, y: number): string => {
      const start = 3 * (Math.round(y) * info.width + Math.round(x));
      return `#${data.subarray(start, start + 3).toString("hex")}`;
    },
  };
}
