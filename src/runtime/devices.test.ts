import { expect, test } from "vitest";
import { checkDeviceName, chooseDevice, type DeviceReport, firstLine, loadError, unusable } from "./devices.js";
import type { Device } from "./runtime.js";

/** A machine on which these devices are usable, with these rates; what was tried. */
function machine(rates: Partial<Record<Device, number>>) {
  const tried: Device[] = [];
  const probe = async (device: Device): Promise<DeviceReport> => {
    tried.push(device);
    const gflops = rates[device];
    return gflops === undefined
      ? { device, usable: false, problem: `no ${device} here`, advice: "" }
      : { device, usable: true, gflops, size: 1024, library: "onnxruntime-node 1.30.0" };
  };
  return { tried, probe };
}

test.each<[Partial<Record<Device, number>>, string, Device[]]>([
  [{ cuda: 9000, webgpu: 8000, cpu: 100 }, "auto took cuda: 9.00e+3 GFLOP/s", ["cuda"]],
  [{ webgpu: 2000, cpu: 100 }, "auto took webgpu: 2.00e+3 GFLOP/s; cpu 100 GFLOP/s", ["cuda", "webgpu", "cpu"]],
  [
    { webgpu: 0.4, cpu: 100 }, // SwiftShader
    "auto took cpu: 100 GFLOP/s; cuda cannot be used; webgpu gives 0.400 GFLOP/s",
    ["cuda", "webgpu", "cpu"],
  ],
  [{ cpu: 100 }, "auto took cpu: 100 GFLOP/s; cuda cannot be used; nor can webgpu", ["cuda", "webgpu", "cpu"]],
  [
    { wasm: 30 },
    "auto took wasm: 30.0 GFLOP/s; the CPU cannot be used: no cpu here",
    ["cuda", "webgpu", "cpu", "wasm"],
  ],
])("auto with %o", async (rates, reason, tried) => {
  const here = machine(rates);
  expect((await chooseDevice(here.probe)).reason).toBe(reason);
  expect(here.tried).toEqual(tried);
});

test("auto where nothing runs says what the CPU needs", async () => {
  const chosen = chooseDevice(machine({}).probe);
  await expect(chosen).rejects.toThrow(
    'The device "cpu" cannot be used: no cpu here. It needs the package onnxruntime-node',
  );
});

// What ONNX Runtime 1.30 says where the libraries of CUDA, or any driver of Vulkan, are missing.
const said: Partial<Record<Device, string>> = {
  cuda: "OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library",
  webgpu:
    "/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(" +
    "const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success " +
    "was false. Failed to get a WebGPU adapter: No supported adapters\n",
};

test.each<[Device, string]>([
  [
    "cuda",
    'The device "cuda" cannot be used: OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library.',
  ],
  ["cuda", "ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node"],
  [
    "webgpu",
    'The device "webgpu" cannot be used: Failed to get a WebGPU adapter: No supported adapters. It needs a GPU',
  ],
  ["webgpu", '"glora devices" shows what is usable here.'],
])("%s: what was found and what to install", (device, text) => {
  const error = unusable(device, said[device]!);
  expect(error.code).toBe("DEVICE");
  expect(error.message).toContain(text);
});

test("a message of several lines is cut to its first", () => {
  expect(firstLine(" Something failed.\n    at somewhere\n")).toBe("Something failed");
});

test("a device that does not exist", () => {
  expect(() => checkDeviceName("tpu")).toThrow('No device is called "tpu"; choose cpu, webgpu, cuda, wasm or auto.');
  for (const name of ["cpu", "webgpu", "cuda", "wasm", "auto"]) expect(() => checkDeviceName(name)).not.toThrow();
});

test("two versions of ONNX Runtime in one process: advice", () => {
  // The dynamic linker's words on Linux.
  const text =
    "/app/node_modules/x/libonnxruntime.so.1: version `VERS_1.30.0' not found (required by /app/onnxruntime_binding.node)";
  const error = loadError("onnxruntime-node", text);
  expect(error.code).toBe("DEVICE");
  expect(error.message).toContain(text);
  expect(error.message).toContain("Another version of onnxruntime-node is already loaded in this process");
  expect(error.message).toContain('"overrides": { "onnxruntime-node": "1.30.0" }');
});

test.each(["onnxruntime-node", "onnxruntime-web"])("no %s at all: how to install it", (library) => {
  expect(loadError(library, `Cannot find package '${library}'`).message).toContain(`(npm install ${library}`);
});
