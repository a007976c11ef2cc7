/** What to tell those who ask for a device that cannot be had. */
import { GloraError } from "../base/errors.js";
import type { Device, DeviceName } from "./runtime.js";

/** What each device would need on the machine. */
const requirements: Readonly<Record<Exclude<Device, "cpu">, string>> = {
  cuda:
    "an NVIDIA GPU with its driver, and ONNX Runtime's CUDA libraries " +
    "(ONNXRUNTIME_NODE_INSTALL=cuda12 npm install onnxruntime-node)",
  webgpu: "a driver for Vulkan, Metal or Direct3D 12",
  wasm: "the package onnxruntime-web (npm install onnxruntime-web)",
};

/**
 * The device that a request ends at, and why. Only the CPU is complete in this version.
 *
 * @param offered  the execution providers that the installed ONNX Runtime has
 * @throws {GloraError} DEVICE for a device by name that cannot be had
 */
export function chooseDevice(asked: DeviceName, offered: readonly string[]): { device: Device; reason: string } {
  if (asked === "cpu") return { device: "cpu", reason: "cpu was asked for" };
  if (asked === "auto")
    return { device: "cpu", reason: "auto: the CPU is the only device that this version trains on" };
  if (!Object.hasOwn(requirements, asked))
    throw new GloraError("USAGE", `No device is called "${asked}"; choose cpu, webgpu, cuda, wasm or auto.`);
  const found = offered.includes(asked) ? "has" : "does not have";
  throw new GloraError(
    "DEVICE",
    `The device "${asked}" cannot be used: tried the installed ONNX Runtime, which ${found} it (it offers ` +
      `${offered.join(", ")}), but this version of glora writes graphs for the CPU only. ${asked} will also need ` +
      `${requirements[asked]}. Use the device cpu.`,
    { device: asked, offered },
  );
}

/** Turns a failure to load ONNX Runtime into advice. */
export function loadError(message: string): GloraError {
  // Two copies of one shared library: "version `VERS_1.30.0' not found (required by …/onnxruntime_binding.node)".
  const version = /VERS_([\d.]+)/.exec(message)?.[1]?.replace(/\.$/, "");
  const advice = version
    ? `Another version of onnxruntime-node is already loaded in this process, and two cannot share one. Let all packages ` +
      `use ${version} ("npm ls onnxruntime-node" lists them; "overrides": { "onnxruntime-node": "${version}" } in ` +
      `package.json makes them agree), or run glora in a process of its own.`
    : `Install it with "npm install onnxruntime-node" (ONNXRUNTIME_NODE_INSTALL=skip leaves out the CUDA libraries).`;
  return new GloraError("DEVICE", `ONNX Runtime cannot be loaded: ${message}. ${advice}`);
}
