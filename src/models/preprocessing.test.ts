import { RawImage, ViTImageProcessor } from "@huggingface/transformers";
import { expect, test } from "vitest";
import cases from "../../test/fixtures/vit-config/cases.fixtures.json" with { type: "json" };
import processors from "../../test/fixtures/vit-transformers/processors.fixtures.json" with { type: "json" };
import type { ImagePreprocessing } from "../data/image-spec.js";
import { imagePreprocessing, toPreprocessorConfig } from "./preprocessing.js";
import { parseVitConfig } from "./vit/config.js";

interface Case {
  config: object;
  preprocessor?: object;
  resize?: { step: string; size: number | number[]; interpolation: string; crop: number[] };
  probe: { shape: number[]; middle: number[] };
}

const read = (config: object, preprocessor?: unknown): ImagePreprocessing =>
  imagePreprocessing({ config, preprocessor }, parseVitConfig(config, "config.json"), "vit");

const entries = Object.entries(cases) as unknown as [string, Case][];

// Transforms that timm made of its config, and image processors of transformers: scripts/fixtures/vit-config.py.
test.each(entries)("%s", (_title, { config, preprocessor, resize, probe }) => {
  const p = read(config, preprocessor);
  // A grey image of 37 × 53 pixels of value 100 has this shape and these values behind the library's own steps.
  const size = p.crop ?? (p.resize as { height: number; width: number });
  const grey = p.mean.map((mean, i) => (100 * p.rescale - mean) / p.std[i]!);
  expect([p.channels, size.height, size.width]).toEqual(probe.shape);
  probe.middle.forEach((value, i) => {
    expect(grey[i]).toBeCloseTo(value, 5); // float32 of about 1
  });
  if (resize === undefined) return;
  const { size: to } = resize;
  const mode = { Resize: typeof to === "number" ? "shortest-edge" : "exact", ResizeKeepRatio: "cover" }[resize.step];
  expect(p.resize).toEqual(typeof to === "number" ? { mode, edge: to } : { mode, height: to[0], width: to[1] });
  expect([p.crop!.height, p.crop!.width, p.interpolation]).toEqual([...resize.crop, resize.interpolation]);
});

test.each(entries)("%s: preprocessor_config.json says the same", (_title, { config, preprocessor, resize }) => {
  const p = read(config, preprocessor);
  const { config: json, departure } = toPreprocessorConfig(p);
  const back = imagePreprocessing(
    { config: {}, preprocessor: JSON.parse(JSON.stringify(json)) },
    { ...parseVitConfig(config, "config.json"), library: "transformers" },
    "vit",
  );
  const cover = resize?.step === "ResizeKeepRatio";
  expect(back).toEqual({
    ...p,
    ...(cover ? { resize: { ...p.resize, mode: "exact" } } : {}),
    ...(p.crop ? { crop: { ...p.crop, rounding: "down" } } : {}),
  });
  expect(departure !== undefined).toBe(cover || (p.resize.mode === "shortest-edge" && p.crop?.rounding !== "down"));
});

const colour = entries.filter(([, { probe }]) => probe.shape[0] === 3); // transformers.js makes every image RGB

test.each(colour)("%s: transformers.js makes the same of it", async (_title, { config, preprocessor, probe }) => {
  const p = read(config, preprocessor);
  const image = new RawImage(new Uint8ClampedArray(37 * 53 * 3).fill(100), 53, 37, 3);
  const { pixel_values } = await new ViTImageProcessor(toPreprocessorConfig(p).config)([image]);
  expect(pixel_values.dims.slice(1)).toEqual(probe.shape);
  const [, height, width] = probe.shape as [number, number, number];
  const middle = Math.floor(height / 2) * width + Math.floor(width / 2);
  probe.middle.forEach((value, i) => {
    expect(pixel_values.data[i * height * width + middle]).toBeCloseTo(value, 5); // float32 of about 1
  });
});

test("a timm folder's own config is stronger than preprocessor_config.json beside it, unless it says nothing", () => {
  const bare = { architecture: "deit_tiny_patch16_224" };
  const beside = { size: { height: 224, width: 224 }, image_mean: [0, 0, 0], resample: 1 };
  expect(read(bare, beside)).toMatchObject({ mean: [0, 0, 0], interpolation: "lanczos", resize: { mode: "exact" } });
  const full = { ...bare, pretrained_cfg: { crop_pct: 0.5, mean: [0.1, 0.2, 0.3] } };
  expect(read(full, beside)).toMatchObject({
    mean: [0.1, 0.2, 0.3],
    std: [0.229, 0.224, 0.225],
    resize: { mode: "shortest-edge", edge: 448 },
  });
});

test("older files of transformers: numbers for sizes, another class name", () => {
  const config = { model_type: "vit" };
  const old = { feature_extractor_type: "ViTFeatureExtractor", size: 192, image_mean: 0.25, resample: 3 };
  expect(read(config, old)).toMatchObject({
    resize: { mode: "exact", height: 192, width: 192 },
    mean: [0.25, 0.25, 0.25],
    std: [0.5, 0.5, 0.5],
    interpolation: "bicubic",
  });
  for (const name of [
    "ViTImageProcessorFast",
    "DeiTImageProcessorFast",
    "DeiTFeatureExtractor",
    "ViTImageProcessorPil",
  ]) {
    expect(read(config, { image_processor_type: name }).crop !== undefined).toBe(name.startsWith("DeiT"));
  }
});

// Image processors of transformers on a grey image of 37 × 53 pixels: scripts/fixtures/vit-transformers.py.
test.each(Object.entries(processors))("%s", (_title, { preprocessor, shape, middle }) => {
  const p = read({ model_type: "vit" }, preprocessor);
  const size = p.crop ?? (p.resize as { height: number; width: number });
  expect([p.channels, size.height, size.width]).toEqual(shape);
  middle.forEach((value, i) => {
    expect((100 * p.rescale - p.mean[i]!) / p.std[i]!).toBeCloseTo(value, 5); // float32 of about 1
  });
  expect(p.interpolation).toBe("bicubic");
});

test("one number is the shorter edge to some processors", () => {
  const old = (name: string) => read({ model_type: "clip" }, { feature_extractor_type: name, size: 30, crop_size: 24 });
  expect(old("CLIPFeatureExtractor")).toMatchObject({
    resize: { mode: "shortest-edge", edge: 30 },
    crop: { height: 24 },
  });
  expect(old("SiglipFeatureExtractor").resize).toEqual({ mode: "shortest-edge", edge: 30 });
  expect(old("ViTFeatureExtractor").resize).toEqual({ mode: "exact", height: 30, width: 30 });
});

test("a folder without a preprocessor_config.json has its family's processor, at the size of its images", () => {
  const of = (config: object) => read(config);
  const small = { image_size: 28, patch_size: 14 };
  expect(of({ model_type: "dinov2", ...small })).toMatchObject({
    resize: { mode: "shortest-edge", edge: 28 },
    crop: { height: 28, width: 28 },
    interpolation: "bicubic",
  });
  expect(of({ model_type: "deit", ...small })).toMatchObject({
    resize: { mode: "exact", height: 32, width: 32 },
    crop: { height: 28, width: 28 },
  });
  expect(of({ model_type: "clip", vision_config: small }).mean).toEqual([0.48145466, 0.4578275, 0.40821073]);
  expect(of({ model_type: "siglip", vision_config: small })).toMatchObject({
    resize: { mode: "exact", height: 28, width: 28 },
    interpolation: "bicubic",
  });
  const grey = of({ model_type: "clip_vision_model", ...small, num_channels: 1 });
  expect(grey.std).toHaveLength(1);
});

test("all problems are told at once", () => {
  const config = { model_type: "vit" };
  const bad = {
    image_processor_type: "BeitImageProcessor",
    do_resize: false,
    do_pad: true,
    do_center_crop: true,
    size: { shortest_edge: 10, longest_edge: 20 },
    resample: 4,
    rescale_factor: 0,
    image_mean: [1, 2],
    image_std: [0.5, 0, 0.5],
  };
  expect(() => read(config, bad)).toThrow(
    expect.objectContaining({
      code: "CONFIG",
      message: [
        "vit/preprocessor_config.json:",
        '  - image_processor_type: "BeitImageProcessor" is not supported. Known: ViTImageProcessor, DeiTImageProcessor, BitImageProcessor, CLIPImageProcessor, SiglipImageProcessor',
        "  - do_resize: only true is supported",
        "  - do_pad: only false is supported",
        "  - size.longest_edge: is not supported beside shortest_edge",
        "  - crop_size: is missing; a positive whole number or [height, width] is expected",
        "  - resample: one of 0, 1, 2, 3 is expected, not 4",
        "  - rescale_factor: a positive number is expected, not 0",
        "  - image_mean: 3 numbers are expected (one a channel), not 2",
        "  - image_std: positive numbers are expected, not 0",
      ].join("\n"),
    }),
  );
  const timm = {
    architecture: "vit_tiny_patch16_224",
    pretrained_cfg: { crop_pct: 1, crop_mode: "border", interpolation: "random", std: [-1, 0.5, 0.5] },
  };
  expect(() => read(timm)).toThrow(
    "vit/config.json:\n" +
      '  - pretrained_cfg.crop_mode: one of center, squash is expected, not "border"\n' +
      '  - pretrained_cfg.interpolation: one of bicubic, bilinear, nearest, lanczos is expected, not "random"\n' +
      "  - pretrained_cfg.std: positive numbers are expected, not -1",
  );
});
