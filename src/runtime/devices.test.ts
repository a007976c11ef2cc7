import { expect, test } from "vitest";
import { chooseDevice, loadError } from "./devices.js";
import type { DeviceName } from "./runtime.js";

test("cpu and auto end at the CPU and say why", () => {
  expect(chooseDevice("cpu", ["cpu"])).toEqual({ device: "cpu", reason: "cpu was asked for" });
  expect(chooseDevice("auto", ["cpu"]).reason).toBe("auto: the CPU is the only device that this version trains on");
});

test.each<[DeviceName, string]>([
  ["cuda", "tried the installed ONNX Runtime, which does not have it (it offers cpu, webgpu)"],
  ["cuda", "ONNXRUNTIME_NODE_INSTALL=cuda12 npm install onnxruntime-node"],
  ["webgpu", "tried the installed ONNX Runtime, which has it"],
  ["webgpu", "a driver for Vulkan, Metal or Direct3D 12"],
  ["wasm", "npm install onnxruntime-web"],
])("%s says what was tried and what to install", (device, text) => {
  expect(() => chooseDevice(device, ["cpu", "webgpu"])).toThrow(text);
});

test("a device that does not exist", () => {
  expect(() => chooseDevice("tpu" as DeviceName, ["cpu"])).toThrow(
    'No device is called "tpu"; choose cpu, webgpu, cuda, wasm or auto.',
  );
});

test("two versions of ONNX Runtime in one process: advice", () => {
  // The dynamic linker's words on Linux.
  const said =
    "/app/node_modules/x/libonnxruntime.so.1: version `VERS_1.30.0' not found (required by /app/onnxruntime_binding.node)";
  const error = loadError(said);
  expect(error.code).toBe("DEVICE");
  expect(error.message).toContain(said);
  expect(error.message).toContain("Another version of onnxruntime-node is already loaded in this process");
  expect(error.message).toContain('"overrides": { "onnxruntime-node": "1.30.0" }');
});

test("no ONNX Runtime at all: how to install it", () => {
  expect(loadError("Cannot find package 'onnxruntime-node'").message).toContain("npm install onnxruntime-node");
});
