import { expect, test } from "vitest";
import type { Device } from "../runtime.js";
import { environmentFor, libraryOf } from "./library.node.js";
import { sessionOptions } from "./session-options.js";

const files = { folder: "/", externalData: [] };
const session = (device: Device, o = {}) =>
  sessionOptions(device, 2, o, files) as { extra: { session: object } } & Record<string, unknown>;

test.each<Device>(["cpu", "cuda", "webgpu", "wasm"])("%s and no other device", (device) => {
  const options = session(device);
  expect(options).toMatchObject({
    ...{
      executionProviders: [device],
      intraOpNumThreads: 2,
      graphOptimizationLevel: "disabled",
      enableMemPattern: false,
    },
  });
  // What WebGPU cannot run is an error; CUDA has the arithmetic of shapes on the CPU.
  expect("disable_cpu_ep_fallback" in options.extra.session).toBe(device === "webgpu");
  expect(libraryOf(device)).toBe(device === "wasm" ? "onnxruntime-web" : "onnxruntime-node");
});

test("cuda multiplies float32 as float32", () => {
  expect(environmentFor("cuda")).toEqual({ NVIDIA_TF32_OVERRIDE: "0" });
  expect(environmentFor("cpu")).toEqual({});
});

test("weights that are packed: widened once, where they are not wide already", () => {
  const packed = (device: Device) => session(device, { packWeights: true });
  expect(packed("cpu")).toMatchObject({
    graphOptimizationLevel: "basic",
    extra: { session: { disable_prepacking: "0" } },
  });
  expect(packed("webgpu")).toMatchObject({ graphOptimizationLevel: "disabled" });
});

test("weights in files have their folder, those in memory their bytes", () => {
  expect(session("cpu").extra.session).toMatchObject({ model_external_initializers_file_folder_path: "/" });
  const externalData = [{ path: "weights-0", data: Uint8Array.of(1) }];
  const options = sessionOptions("wasm", 1, {}, { externalData });
  expect(options.externalData).toBe(externalData);
  expect(JSON.stringify(options["extra"])).not.toContain("folder");
});
