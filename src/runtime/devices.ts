/** Which device graphs run on, and what to tell those who ask for one that cannot be had. */
import { GloraError } from "../base/errors.js";
import type { Device } from "./runtime.js";

export const devices: readonly Device[] = ["cpu", "cuda", "webgpu", "wasm"];

/** What each device needs on the machine. */
export const requirements: Readonly<Record<Device, string>> = {
  cpu: "the package onnxruntime-node (npm install onnxruntime-node; ONNXRUNTIME_NODE_INSTALL=skip leaves out CUDA)",
  cuda:
    "an NVIDIA GPU with its driver, CUDA 12 and cuDNN 9 on Linux (x64), and ONNX Runtime's CUDA libraries " +
    "(ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node)",
  webgpu: "a GPU with a driver for Vulkan (and libvulkan1 on Linux), Metal or Direct3D 12",
  wasm: "the package onnxruntime-web (npm install onnxruntime-web)",
};

/** What was found when a device was tried. */
export type DeviceReport = { readonly device: Device } & (
  | {
      readonly usable: true;
      /** Rate of a product of two float32 matrices, 10⁹ operations a second. */
      readonly gflops: number;
      /** Rows and columns of those matrices. */
      readonly size: number;
      /** The package that runs it, with its version. */
      readonly library: string;
    }
  | { readonly usable: false; readonly problem: string; readonly advice: string }
);

/** @throws {GloraError} USAGE for a name that no device has */
export function checkDeviceName(name: string): void {
  if (name !== "auto" && !(devices as readonly string[]).includes(name))
    throw new GloraError("USAGE", `No device is called "${name}"; choose cpu, webgpu, cuda, wasm or auto.`);
}

/**
 * How much faster than the CPU a GPU multiplies before it is taken unasked. Below, what is not a product (and the way to the
 * GPU and back) eats the gain; and a GPU that is emulated in software, as SwiftShader and llvmpipe are, is slower by a hundred
 * times.
 */
const WORTH_IT = 2;

/**
 * The device that `auto` ends at, and why: cuda, a webgpu that is much faster than the CPU, the CPU, wasm.
 *
 * @param probe  tries a device; called for those alone that the choice depends on
 * @throws {GloraError} DEVICE if none can be had
 */
export async function chooseDevice(
  probe: (device: Device) => Promise<DeviceReport>,
): Promise<{ device: Device; reason: string }> {
  const took = (device: Device, ...why: string[]) => ({ device, reason: `auto took ${device}: ${why.join("; ")}` });
  const cuda = await probe("cuda");
  if (cuda.usable) return took("cuda", rate(cuda));
  const webgpu = await probe("webgpu");
  const cpu = await probe("cpu");
  if (webgpu.usable && (!cpu.usable || webgpu.gflops > WORTH_IT * cpu.gflops))
    return took("webgpu", rate(webgpu), cpu.usable ? `cpu ${rate(cpu)}` : "the CPU cannot be used");
  if (cpu.usable)
    return took(
      "cpu",
      rate(cpu),
      "cuda cannot be used",
      webgpu.usable ? `webgpu gives ${rate(webgpu)}` : "nor can webgpu",
    );
  const wasm = await probe("wasm");
  if (wasm.usable) return took("wasm", rate(wasm), `the CPU cannot be used: ${cpu.problem}`);
  throw unusable("cpu", cpu.problem);
}

const rate = ({ gflops }: { gflops: number }): string => `${gflops.toPrecision(3)} GFLOP/s`;

/** @param problem  what ONNX Runtime says when a session is made */
export function unusable(device: Device, problem: string): GloraError {
  return new GloraError(
    "DEVICE",
    `The device "${device}" cannot be used: ${firstLine(problem)}. It needs ${requirements[device]}. ` +
      `"glora devices" shows what is usable here.`,
    { device },
  );
}

/** ONNX Runtime's text without the place in its sources that stands in front, and without what follows in further lines. */
export const firstLine = (text: string): string =>
  text
    .trim()
    .split("\n")[0]!
    .replace(/^\/onnxruntime_src\/\S+ .* was false\. /, "")
    .replace(/\.$/, "");

/** Turns a failure to load ONNX Runtime into advice. */
export function loadError(library: string, message: string): GloraError {
  // Two copies of one shared library: "version `VERS_1.30.0' not found (required by …/onnxruntime_binding.node)".
  const version = /VERS_([\d.]+)/.exec(message)?.[1]?.replace(/\.$/, "");
  const advice = version
    ? `Another version of onnxruntime-node is already loaded in this process, and two cannot share one. Let all packages ` +
      `use ${version} ("npm ls onnxruntime-node" lists them; "overrides": { "onnxruntime-node": "${version}" } in ` +
      `package.json makes them agree), or run glora in a process of its own.`
    : `It needs ${requirements[library === "onnxruntime-web" ? "wasm" : "cpu"]}.`;
  return new GloraError("DEVICE", `ONNX Runtime cannot be loaded: ${message}. ${advice}`);
}
