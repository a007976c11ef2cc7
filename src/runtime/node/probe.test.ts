import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { chooseDevice } from "../devices.js";
import { probeDevice } from "./probe.node.js";
import { noWebgpu } from "./vulkan.fixtures.js";

test.each(["cpu", "wasm"] as const)("%s is usable, and has a rate", async (device) => {
  const report = await probeDevice(device, 1);
  expect(report).toMatchObject({
    device,
    usable: true,
    library: expect.stringMatching(/^onnxruntime-(node|web) 1\.\d+\.\d+$/),
  });
  // From a busy core to a large machine.
  expect(report.usable && report.gflops).toBeGreaterThan(0.1);
  expect(report.usable && report.gflops).toBeLessThan(1e5);
});

test.skipIf(existsSync("/dev/nvidia0"))("cuda is not, and says what it needs", async () => {
  const report = await probeDevice("cuda", 1);
  expect(report).toMatchObject({ device: "cuda", usable: false, problem: expect.stringContaining("Failed to load") });
  expect(!report.usable && report.advice).toContain("ONNXRUNTIME_NODE_INSTALL=cuda12");
});

test("a GPU whose driver is not there is no more than a report", async () => {
  const found = process.env["VK_ICD_FILENAMES"];
  process.env["VK_ICD_FILENAMES"] = "/nowhere/driver.json";
  try {
    const report = await probeDevice("webgpu", 1);
    if (process.platform === "linux")
      expect(report).toMatchObject({ usable: false, problem: expect.stringContaining("WebGPU") });
  } finally {
    if (found === undefined) delete process.env["VK_ICD_FILENAMES"];
    else process.env["VK_ICD_FILENAMES"] = found;
  }
});

test.skipIf(noWebgpu)("a GPU in software is usable, and auto does not take it", async () => {
  const reports = await Promise.all([probeDevice("webgpu", 1), probeDevice("cpu", 1)]);
  const cuda = { device: "cuda", usable: false, problem: "", advice: "" } as const;
  expect(reports[0]).toMatchObject({ usable: true });
  const chosen = await chooseDevice(async (device) => [cuda, ...reports].find((report) => report.device === device)!);
  expect(chosen).toMatchObject({
    device: "cpu",
    reason: expect.stringMatching(/^auto took cpu: .*; webgpu gives 0\.\d+ GFLOP\/s$/),
  });
});
