import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bytes, fixtures } from "../../test/fixtures/images/images.js";
import { decodeImage } from "./image.node.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "glora-image-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function decode(name: string, file: Uint8Array) {
  await writeFile(join(folder, name), file);
  return decodeImage(join(folder, name));
}

test.each(fixtures.decoded.map((c) => [c.name, c] as const))(
  "%s decodes as in Pillow, to the bit",
  async (name, { file, width, height, rgb }) => {
    const image = await decode(name, bytes(file));
    expect({ ...image, data: new Uint8Array(image.data) }).toEqual({ width, height, channels: 3, data: bytes(rgb) });
  },
);

test("of 16-bit grey the high byte is taken", async () => {
  const values = Uint16Array.of(0, 255, 256, 1000, 40000, 65535);
  const raw = { width: 6, height: 1, channels: 1, depth: "ushort" } as const;
  const file = await sharp(values, { raw }).toColourspace("grey16").png().toBuffer();
  expect((await sharp(file).metadata()).depth).toBe("ushort");
  const { data } = await decode("grey-16.png", file);
  expect([...data]).toEqual([...values].flatMap((value) => [value >> 8, value >> 8, value >> 8]));
});

test.each(["progressive.jpg", "alpha.png", "lossy.webp", "palette.gif", "lzw.tif"])(
  "a truncated file is an error: %s",
  async (name) => {
    const file = bytes(fixtures.decoded.find((c) => c.name === name)!.file);
    await expect(decode(`cut-${name}`, file.subarray(0, Math.floor(file.length * 0.7)))).rejects.toThrow(
      /truncated or damaged|cut short/,
    );
  },
);

test("a file name may end in brackets", async () => {
  const { file, rgb } = fixtures.decoded.find((c) => c.name === "alpha.png")!;
  expect(new Uint8Array((await decode("a[page=1]", bytes(file))).data)).toEqual(bytes(rgb));
});
