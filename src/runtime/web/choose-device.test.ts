import { expect, test } from "vitest";
import { chooseWebDevice, type WebDeviceName } from "./choose-device.js";

/** A browser's `navigator.gpu` that finds this adapter, or none. */
const gpu = (info?: { vendor: string; architecture?: string; isFallbackAdapter?: boolean }) => ({
  requestAdapter: async () =>
    info
      ? ({ info: { architecture: "", description: "", isFallbackAdapter: false, ...info } } as unknown as GPUAdapter)
      : null,
});
const real = gpu({ vendor: "apple", architecture: "metal-3" });
const emulated = gpu({ vendor: "google", architecture: "swiftshader", isFallbackAdapter: true });

test.each<[WebDeviceName, ReturnType<typeof gpu> | undefined, string, string]>([
  ["wasm", real, "wasm", "wasm was asked for"],
  ["webgpu", real, "webgpu", "webgpu was asked for: apple metal-3"],
  ["webgpu", emulated, "webgpu", "webgpu was asked for: google swiftshader"],
  ["auto", real, "webgpu", "auto: there is a GPU (apple metal-3)"],
  ["auto", gpu({ vendor: "" }), "webgpu", "auto: there is a GPU (of an unknown maker)"],
  ["auto", emulated, "wasm", "auto: the only GPU is emulated in software (google swiftshader)"],
  ["auto", gpu(), "wasm", "auto: this browser finds no GPU that it can use"],
  [
    "auto",
    undefined,
    "wasm",
    "auto: this browser has no WebGPU, or the page comes neither by https nor from localhost",
  ],
])("%s", async (asked, found, device, reason) => {
  expect(await chooseWebDevice(asked, found)).toEqual({ device, reason });
});

test("WebGPU by name is had or refused; other names are refused", async () => {
  await expect(chooseWebDevice("webgpu", gpu())).rejects.toMatchObject({
    code: "DEVICE",
    message: 'The device "webgpu" cannot be used: this browser finds no GPU that it can use. Use the device wasm.',
  });
  await expect(chooseWebDevice("cpu" as "wasm", real)).rejects.toMatchObject({
    code: "USAGE",
    message: 'In a browser no device is called "cpu"; choose wasm, webgpu or auto.',
  });
});
