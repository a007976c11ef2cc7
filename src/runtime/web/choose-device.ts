import { GloraError } from "../../base/errors.js";
import type { DeviceName } from "../runtime.js";

export type WebDeviceName = Extract<DeviceName, "wasm" | "webgpu" | "auto">;

/**
 * The device that a request in a browser ends at, and why: a real GPU before wasm; one that is emulated in software only where
 * WebGPU is asked for by name.
 *
 * @param gpu  `navigator.gpu`
 * @throws {GloraError} DEVICE for WebGPU by name that cannot be had
 */
export async function chooseWebDevice(
  asked: WebDeviceName,
  gpu: Pick<GPU, "requestAdapter"> | undefined,
): Promise<{ device: "wasm" | "webgpu"; reason: string }> {
  if (!["wasm", "webgpu", "auto"].includes(asked))
    throw new GloraError("USAGE", `In a browser no device is called "${asked}"; choose wasm, webgpu or auto.`);
  if (asked === "wasm") return { device: "wasm", reason: "wasm was asked for" };
  const adapter = await gpu?.requestAdapter();
  const lacking = gpu
    ? "this browser finds no GPU that it can use"
    : "this browser has no WebGPU, or the page comes neither by https nor from localhost";
  if (asked === "webgpu") {
    if (adapter) return { device: "webgpu", reason: `webgpu was asked for: ${nameOf(adapter)}` };
    throw new GloraError("DEVICE", `The device "webgpu" cannot be used: ${lacking}. Use the device wasm.`, {
      device: asked,
    });
  }
  if (!adapter) return { device: "wasm", reason: `auto: ${lacking}` };
  if (adapter.info.isFallbackAdapter)
    return { device: "wasm", reason: `auto: the only GPU is emulated in software (${nameOf(adapter)})` };
  return { device: "webgpu", reason: `auto: there is a GPU (${nameOf(adapter)})` };
}

const nameOf = ({ info }: GPUAdapter): string =>
  [info.vendor, info.architecture, info.description].filter((part) => part !== "").join(" ") || "of an unknown maker";
